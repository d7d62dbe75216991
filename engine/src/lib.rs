//! Swimring: cluster membership, SWIM with Lifeguard, over io_uring.
//!
//! [`swim`] is the protocol, a plain value without I/O.
#![deny(missing_docs)]

pub mod swim;
