//! Members of hashicorp/memberlist in one Go process.
//!
//! Commands go to the process as lines of JSON and are answered one by one; what its members see comes unasked and
//! is kept in the order in which it came, so that a test can wait for what may already have happened.

mod answers;
mod channel;
mod events;
mod options;
mod peer;

pub use answers::{Departure, Heard, LogCounts, Node, Stats, Totals};
pub use events::{NodeChange, PeerEvent, UserMessage};
pub use options::{MemberlistOptions, Preset};
pub use peer::{MemberlistPeer, Message, Of};
