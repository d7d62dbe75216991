//! What the benches share: members with views of any size, and the datagrams they handle.
//!
//! A bench that handled one datagram over and over would measure a cache that no real member has. So the
//! set-up here makes a deck of datagrams whose updates go through the whole table in random order, and
//! every iteration takes the next.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod fleet;
mod frames;
mod packets;
mod sink;

pub use fleet::{CLUSTER, Fleet, INCARNATION, Scenery, address_of, id_of, name_of, settings};
pub use frames::{Deck, UPDATES, frame_of};
pub use packets::{Form, PacketDeck, PacketMember, known_push_pull, push_pull};
pub use sink::Sink;
