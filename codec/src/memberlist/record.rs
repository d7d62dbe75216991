//! What a push/pull says about one member.

use std::net::SocketAddr;

use super::message::is_name;
use super::{METADATA_MAX, Versions};
use crate::State;
use crate::msgpack::Sink;

/// A member as a push/pull tells of it: an alive message and what the sender believes of the member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// The member's incarnation.
    pub incarnation: u32,
    /// The member's name: 1 to [`NAME_MAX`](super::NAME_MAX) bytes.
    pub node: &'a str,
    /// The member's address, in the form it came in. The port may be zero, as very old peers send it.
    pub address: SocketAddr,
    /// The member's metadata: at most [`METADATA_MAX`] bytes.
    pub metadata: &'a [u8],
    /// Protocol versions of the member.
    pub versions: Versions,
    /// State of the member in the sender's view.
    pub state: State,
}

impl Record<'_> {
    /// Whether every field is in its bounds.
    pub(super) fn is_valid(&self) -> bool {
        is_name(self.node) && self.metadata.len() <= METADATA_MAX
    }

    /// Appends it to `out` as it stands in a push/pull. False, and nothing appended, if it breaks a rule of the format.
    pub fn append(&self, out: &mut Vec<u8>) -> bool {
        let valid = self.is_valid();
        if valid {
            self.write(out);
        }
        valid
    }

    #[inline]
    pub(super) fn write(&self, out: &mut impl Sink) {
        out.put(b"\x87\xa4Addr");
        out.ip(&self.address);
        out.put(b"\xabIncarnation");
        out.unsigned(self.incarnation.into());
        out.put(b"\xa4Meta");
        out.raw_or_nil(self.metadata);
        out.put(b"\xa4Name");
        out.raw(self.node.as_bytes());
        out.put(b"\xa4Port");
        out.unsigned(self.address.port().into());
        out.put(b"\xa5State");
        out.unsigned(state_number(self.state).into());
        out.put(b"\xa3Vsn");
        out.raw(&self.versions.0);
    }
}

/// The number that stands for a state on this wire: one less than on the native one.
pub(super) const fn state_number(state: State) -> u8 {
    state as u8 - 1
}

/// The state that `number` stands for on this wire.
#[inline]
pub(super) fn state_of(number: u8) -> Option<State> {
    State::from_u8(number.checked_add(1)?)
}
