//! A consistent copy of a member's view, taken on the protocol's thread in the least time.
//!
//! Names, metadata and zones go into one buffer there, so that a view of ten thousand members costs the protocol
//! a copy and two allocations; making owned members of it, and sorting them, is left to the caller.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::native::PublicKey;
use swimring_codec::{Incarnation, State, canonical};

use super::event::MemberInfo;
use crate::protocol::{Member, MemberRef, SharedState};

/// Bytes set aside per member for its name, metadata and zone.
const BYTES_EACH: usize = 64;

struct Row {
    address: SocketAddr,
    state: State,
    incarnation: Incarnation,
    name_len: usize,
    metadata_len: usize,
    zone_len: usize,
    public_key: Option<PublicKey>,
}

/// A view, not yet made of owned members.
pub(super) struct RawView {
    rows: Vec<Row>,
    bytes: Vec<u8>,
}

impl RawView {
    /// Copies those of `member`'s view that `wanted` accepts.
    pub(super) fn of(member: &Member, shared: &SharedState, wanted: impl Fn(State) -> bool) -> RawView {
        let members = member.known();
        let mut view =
            RawView { rows: Vec::with_capacity(members), bytes: Vec::with_capacity(members * BYTES_EACH) };
        for known in member.members(shared).filter(|known| wanted(known.state)) {
            view.push(&known);
        }
        view
    }

    fn push(&mut self, known: &MemberRef<'_>) {
        self.bytes.extend_from_slice(known.name.as_bytes());
        self.bytes.extend_from_slice(known.metadata);
        self.bytes.extend_from_slice(known.zone.as_bytes());
        self.rows.push(Row {
            address: known.address,
            state: known.state,
            incarnation: known.incarnation,
            name_len: known.name.len(),
            metadata_len: known.metadata.len(),
            zone_len: known.zone.len(),
            public_key: known.public_key,
        });
    }

    /// The members, sorted by name.
    pub(super) fn into_members(self) -> Vec<MemberInfo> {
        let mut rest = Bytes::from(self.bytes);
        let no_zone: Arc<str> = Arc::default();
        let mut members: Vec<_> = (self.rows.into_iter())
            .map(|row| {
                let name = rest.split_to(row.name_len);
                let metadata = rest.split_to(row.metadata_len);
                let zone = rest.split_to(row.zone_len);
                // Copied from a `&str` of its length.
                let text = |bytes: &[u8]| Arc::from(std::str::from_utf8(bytes).unwrap_or_default());
                let zone = if zone.is_empty() { Arc::clone(&no_zone) } else { text(&zone) };
                MemberInfo {
                    name: text(&name),
                    address: canonical(row.address),
                    // Of its own, so that one member kept does not keep the bytes of all.
                    metadata: Bytes::copy_from_slice(&metadata),
                    zone,
                    public_key: row.public_key,
                    state: row.state,
                    incarnation: row.incarnation,
                }
            })
            .collect();
        members.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        members
    }
}

/// An owned member.
pub(super) fn owned(known: &MemberRef<'_>) -> MemberInfo {
    MemberInfo {
        name: known.name.into(),
        address: canonical(known.address),
        metadata: Bytes::copy_from_slice(known.metadata),
        zone: known.zone.into(),
        public_key: known.public_key,
        state: known.state,
        incarnation: known.incarnation,
    }
}
