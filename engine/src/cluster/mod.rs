//! A member to embed in a service.
//!
//! [`Cluster`] runs one member beside the service, on three threads, and a fourth that writes its snapshot if it is to have
//! one: the protocol's, which sleeps in the
//! kernel until something is to be done; the streams'; and a background thread, which carries out
//! joins, knows when a leave or a shutdown is done, writes the log, publishes metrics, and joins again. The service calls in through handles and hears of events through bounded queues. Nothing
//! calls back into the service, so nothing it does can stop or deadlock the protocol; a subscriber that does
//! not keep up loses events and is told so.
//!
//! No async runtime is imposed. What takes time can be waited for on a thread, or awaited on any executor:
//! [`Join`], [`Leave`] and [`SentEvent`] are futures, [`Events`] is a stream.
//!
//! | file | concern |
//! |---|---|
//! | `builder`, `options`, `file`, `wire`, `given_address`, `address` | from settings to a running member |
//! | `handle`, `keys`, `state`, `async_cluster` | the application's side, blocking and awaited |
//! | `requests`, `shared` | what is asked, and the way to the protocol's thread |
//! | `join`, `leave`, `sent_event`, `message` | what takes time |
//! | `admission` | asking the application who may come into the view |
//! | `dispatcher`, `event`, `view`, `detail` | the protocol's side: owned copies of what happened and of who is there |
//! | `lossy_channel`, `subscription`, `state_watch`, `waiting` | the bounded queues between the two, and waiting for them |
//! | `snapshot` | what outlives the process |
//! | `background`, `mailbox`, `log`, `metrics`, `no_metrics` | what may wait |
#![forbid(unsafe_code)]

mod address;
mod admission;
mod async_cluster;
mod background;
mod builder;
mod detail;
mod dispatcher;
mod error;
mod event;
#[cfg(feature = "toml")]
mod file;
mod given_address;
mod handle;
mod join;
mod keys;
mod leave;
mod log;
mod lossy_channel;
mod mailbox;
mod message;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(not(feature = "metrics"))]
#[path = "no_metrics.rs"]
mod metrics;
mod options;
mod requests;
mod sent_event;
mod shared;
mod snapshot;
mod state;
mod state_watch;
mod subscription;
mod view;
mod waiting;
#[cfg(feature = "toml")]
mod wire;

pub use admission::{AdmissionHook, Candidate, WireKind};
pub use async_cluster::AsyncCluster;
pub use builder::ClusterBuilder;
pub use detail::{MemberDetail, OngoingSuspicion, RoundTrip};
pub use error::{ClusterError, StartError};
pub use event::{Accuser, ClusterEvent, MemberInfo, Suspicion, UserEvent};
pub use given_address::Address;
pub use handle::Cluster;
pub use join::{
    AddressOutcome, Canceller, DEFAULT_PORT, Join, JoinError, JoinReport, Resolve, Seed, SeedError,
    SeedOutcome, SystemResolver,
};
pub use leave::Leave;
pub use message::{DirectMessage, Question, SentMessage};
pub use options::ClusterOptions;
pub use sent_event::{EventOutcome, SentEvent};
pub use state::{AsyncClusterState, ClusterState, StateEntry};
pub use state_watch::{StateEvent, StateWatch};
pub use subscription::{Events, EventsIntoIter, EventsIter};
