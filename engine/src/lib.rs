//! Swimring: cluster membership, SWIM with Lifeguard, over io_uring.
//!
//! A service that wants to know which others are there embeds a [`Cluster`]: it joins, keeps a view of the
//! members, hears of every change, and tells all of them something. A failed member is found within seconds,
//! at a cost per member that does not grow with the cluster.
//!
//! ```no_run
//! use swimring::{Cluster, ClusterEvent};
//!
//! # fn main() -> Result<(), swimring::ClusterError> {
//! let cluster = Cluster::builder("web-1").bind("127.0.0.1:7946").start()?;
//! let (members, events) = cluster.watch()?;
//! // Every address that a name stands for is tried; this member's own is passed over.
//! cluster.join(["127.0.0.1:7947", "seeds.example.org"]).wait()?;
//! for event in events {
//!     match event {
//!         ClusterEvent::Joined(member) => println!("{} is here, at {}", member.name, member.address),
//!         ClusterEvent::Failed { member, .. } => println!("{} has failed", member.name),
//!         ClusterEvent::Left(member) => println!("{} has left", member.name),
//!         _ => {}
//!     }
//! }
//! # let _ = members;
//! # Ok(())
//! # }
//! ```
//!
//! # Layers
//! [`cluster`] is what a service embeds. Below it, [`protocol`] is the protocol, a plain value without I/O.
//! [`net`] moves datagrams, [`stream`] the larger exchanges, [`worker`] gives each core a loop that drives
//! both for the members it owns, one or ten thousand, and the crate `swimring-simulation` drives the same protocol on a virtual
//! network and clock.
#![deny(missing_docs)]

#[cfg(not(target_os = "linux"))]
compile_error!("swimring runs on Linux only: its datagrams go through io_uring, or sendmmsg and recvmmsg");

pub mod cluster;
pub mod net;
pub mod protocol;
mod sentence;
pub mod settings_file;
pub mod stream;
pub mod worker;

pub use cluster::{
    Accuser, Address, AddressOutcome, Canceller, Cluster, ClusterBuilder, ClusterError, ClusterEvent,
    ClusterOptions, Events, EventsIntoIter, EventsIter, Join, JoinError, JoinReport, Leave, MemberInfo,
    Resolve, Seed, SeedError, SeedOutcome, Suspicion, SystemResolver, UserEvent,
};
pub use net::DriverChoice;
pub use protocol::{MemberlistDialect, MemberlistOptions, Preset, Settings, WireOptions};
pub use settings_file::toml_fault;
pub use swimring_codec::{Incarnation, MemberId, State};

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
