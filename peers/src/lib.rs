//! Real memberlist, Serf and Consul processes, driven from Rust: for the interop tests and the side-by-side
//! benches.
//!
//! [`memberlist`] drives `memberlist-peer`, a Go program beside this crate that runs one or many members of
//! hashicorp/memberlist; [`serf`] and [`consul`] drive those agents as they are. Every process has a directory of
//! its own that goes with it, listens only on loopback addresses that its options name, and ends with the value
//! that holds it, however that one ends. [`namespace`] gives them a network that loses packets.
//!
//! `peers/build` builds the programs; without them every start says so in one line ([`Error::NotBuilt`]).
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod agent;
pub mod consul;
mod error;
mod http;
pub mod memberlist;
pub mod namespace;
mod programs;
pub mod serf;
mod wait;

pub use error::Error;
pub use programs::{directory, program};
pub use wait::wait_until;
