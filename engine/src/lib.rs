//! Swimring: cluster membership, SWIM with Lifeguard, over io_uring.
//!
//! [`swim`] is the protocol, a plain value without I/O; [`sim`] drives it on a virtual network and clock.
#![deny(missing_docs)]

pub mod sim;
pub mod swim;
