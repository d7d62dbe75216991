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
//! The [`guide`] goes from one member to a service, step by step.
//!
//! # Layers
//! [`Cluster`] is what a service embeds, and what is visible by default. Below it are the protocol, a plain value
//! without I/O; sockets for datagrams and for larger exchanges; and workers, which give each core a loop that
//! drives both for the members it owns, one or ten thousand. The crate `swimring-simulation` drives the same
//! protocol on a virtual network and clock. Whoever builds such a thing sees these layers through features:
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `metrics` | counters and gauges through the facade of the crate `metrics` | yes |
//! | `toml` | settings files: [`ClusterBuilder::file`], [`ClusterOptions::read_file`] and [`ClusterOptions::read_toml`] | yes |
//! | `ring` | what the native wire encrypts is computed by the crate `ring`, which takes a C compiler to build: the same bytes in less time | |
//! | `protocol` | the module `swimring::protocol` | |
//! | `net` | the modules `swimring::net` and `swimring::stream` | |
//! | `worker` | the module `swimring::worker`, and `protocol` and `net`, which its calls are made of | |
//! | `settings-file` | the module `swimring::settings_file`, and `protocol` and `toml` | |
//! | `snapshot` | the module `swimring::snapshot`: snapshot files, read and written | |
//!
//! What the last five add changes with any release: pin the version.
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!("swimring runs on Linux only: its datagrams go through io_uring, or sendmmsg and recvmmsg");

mod cluster;
mod error_text;
pub mod guide;
pub mod identity;

// Each layer is public with a feature, and otherwise an inner part that need not use all of it, in what lints that look
// at private items only would ask for. Written out: a macro would hide the files from rustfmt.

#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub mod net;
#[cfg(not(feature = "net"))]
#[allow(dead_code, unused_imports, clippy::enum_variant_names)]
mod net;

#[cfg(feature = "protocol")]
#[cfg_attr(docsrs, doc(cfg(feature = "protocol")))]
pub mod protocol;
#[cfg(not(feature = "protocol"))]
#[allow(dead_code, unused_imports, clippy::enum_variant_names)]
mod protocol;

#[cfg(feature = "settings-file")]
#[cfg_attr(docsrs, doc(cfg(feature = "settings-file")))]
pub mod settings_file;
#[cfg(not(feature = "settings-file"))]
#[allow(dead_code, unused_imports, clippy::enum_variant_names)]
mod settings_file;

#[cfg(feature = "snapshot")]
#[cfg_attr(docsrs, doc(cfg(feature = "snapshot")))]
pub mod snapshot;
#[cfg(not(feature = "snapshot"))]
#[allow(dead_code, unused_imports, clippy::enum_variant_names)]
mod snapshot;

#[cfg(feature = "net")]
#[cfg_attr(docsrs, doc(cfg(feature = "net")))]
pub mod stream;
#[cfg(not(feature = "net"))]
#[allow(dead_code, unused_imports, clippy::enum_variant_names)]
mod stream;

#[cfg(feature = "worker")]
#[cfg_attr(docsrs, doc(cfg(feature = "worker")))]
pub mod worker;
#[cfg(not(feature = "worker"))]
#[allow(dead_code, unused_imports, clippy::enum_variant_names)]
mod worker;

pub use cluster::{
    Accuser, Address, AddressOutcome, AdmissionHook, AsyncCluster, AsyncClusterState, Canceller, Candidate,
    Cluster, ClusterBuilder, ClusterError, ClusterEvent, ClusterOptions, ClusterState, DEFAULT_PORT,
    DirectMessage, EventOutcome, Events, EventsIntoIter, EventsIter, Join, JoinError, JoinReport, Leave,
    MemberDetail, MemberInfo, OngoingSuspicion, Question, Resolve, RoundTrip, Seed, SeedError, SeedOutcome,
    SentEvent, SentMessage, StartError, StateEntry, StateEvent, StateWatch, Suspicion, SystemResolver,
    UserEvent, WireKind,
};
pub use net::{DriverChoice, UnknownDriver};
pub use protocol::settings::{Dissemination, SuspicionMode};
pub use protocol::{
    EncryptionCipher, EncryptionOptions, MemberError, MemberlistDialect, MemberlistOptions,
    NotAdmittedReason, Preset, Refusal, Settings, SettingsError, StateError, WireOptions, WireOptionsError,
};
pub use stream::{CloseReason, OsError, ScanError};
pub use swimring_codec::memberlist::{KeyError, SecretKey, Versions};
pub use swimring_codec::{AddressFault, Incarnation, MemberId, State};
pub use worker::{JoinFailure, MessageFailure};

/// The README's program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
