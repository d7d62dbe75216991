//! Swimring: cluster membership, SWIM with Lifeguard, over io_uring.
//!
//! [`swim`] is the protocol, a plain value without I/O. [`net`] moves datagrams, [`stream`] the larger
//! exchanges, [`worker`] gives each core a loop that drives both for the members it owns, and [`sim`]
//! drives the same protocol on a virtual network and clock.
#![deny(missing_docs)]

pub mod net;
pub mod sim;
pub mod stream;
pub mod swim;
pub mod worker;
