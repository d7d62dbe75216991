//! What the benches share: members with views of any size, and the datagrams they handle.
//!
//! A bench that handled one datagram over and over would measure a cache that no real member has. So the
//! set-up here makes a deck of datagrams whose updates go through the whole table in random order, and
//! every iteration takes the next.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod fleet;
mod frames;
mod sink;

pub use fleet::{Fleet, INCARNATION, Scenery, name_of};
pub use frames::{Deck, UPDATES, frame_of};
pub use sink::Sink;
