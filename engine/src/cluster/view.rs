//! A consistent copy of a member's view, taken on the protocol's thread in the least time.
//!
//! Names and metadata go into one buffer there, so that a view of ten thousand members costs the protocol
//! a copy and two allocations; making owned members of it, and sorting them, is left to the caller.

use std::net::SocketAddr;

use bytes::Bytes;
use swimring_codec::{Incarnation, State, canonical};

use super::event::MemberInfo;
use crate::protocol::{Member, MemberRef, SharedState};

/// Bytes set aside per member for its name and metadata.
const BYTES_EACH: usize = 64;

struct Row {
    address: SocketAddr,
    state: State,
    incarnation: Incarnation,
    name_len: usize,
    metadata_len: usize,
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
        self.rows.push(Row {
            address: known.address,
            state: known.state,
            incarnation: known.incarnation,
            name_len: known.name.len(),
            metadata_len: known.metadata.len(),
        });
    }

    /// The members, sorted by name.
    pub(super) fn into_members(self) -> Vec<MemberInfo> {
        let mut rest = Bytes::from(self.bytes);
        let mut members: Vec<_> = (self.rows.into_iter())
            .map(|row| {
                let name = rest.split_to(row.name_len);
                let metadata = rest.split_to(row.metadata_len);
                MemberInfo {
                    // Copied from a `&str` of this length.
                    name: std::str::from_utf8(&name).unwrap_or_default().into(),
                    address: canonical(row.address),
                    // Of its own, so that one member kept does not keep the bytes of all.
                    metadata: Bytes::copy_from_slice(&metadata),
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
        state: known.state,
        incarnation: known.incarnation,
    }
}
