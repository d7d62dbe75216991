//! The protocol, sans-I/O: time, randomness and bytes come in; bytes, timers and events go out.
//!
//! [`Member`] is one member of the cluster and documents how it is driven. What members of one worker
//! share is in [`Commons`]. Beside them there is one file per concern:
//!
//! | file | concern |
//! |---|---|
//! | `probe`, `relay` | is a member still there? directly, through others, over a stream |
//! | `local_health` | how far to trust our own probes |
//! | `suspicion`, `updates`, `refutation` | what is believed of whom, and who may object |
//! | `adaptive`, `spread`, `watch` | faster suspicion, from how long news takes; who looks after whom |
//! | `broadcasts`, `gossip` | what is still to be told, and to whom |
//! | `user_events` | the application's own messages to all |
//! | `anti_entropy` | finding and mending what gossip missed |
//! | `departed`, `reconnect` | the dead: for how long, and whether they came back |
//! | `sending`, `wire` | what a frame carries, and how it is written |
//! | `behaviour` | whose protocol it is: ours, or upstream's for simulations |
//! | `serf` | Serf's clocks, for members of its pools |
//! | `directory`, `table`, `permutation`, `pool`, `heap` | who is who, in little memory |
//! | `base`, `sweep` | what the views of a worker's members have in common, and keeping it so |
#![forbid(unsafe_code)]

mod adaptive;
mod anti_entropy;
mod base;
mod behaviour;
mod broadcasts;
mod commands;
mod commons;
mod counters;
mod departed;
mod directory;
mod event;
mod gossip;
mod heap;
mod local_health;
mod member;
mod outbox;
pub mod permutation;
mod pool;
mod probe;
mod reachability;
mod reconnect;
mod refutation;
mod relay;
mod sending;
mod serf;
pub mod settings;
mod spread;
mod suspicion;
mod sweep;
mod table;
#[cfg(test)]
mod table_test;
mod time;
mod updates;
mod user_events;
mod watch;
mod wire;

pub use anti_entropy::StreamNext;
pub use behaviour::Behaviour;
pub use commands::{Known, View, check_event};
pub use commons::Commons;
pub use counters::Counters;
pub(crate) use directory::identity_of;
pub use directory::{Directory, Identity, MemberIndex};
pub use event::{Event, SuspicionSummary};
pub(crate) use member::check_name;
pub use member::{Member, MemberConfig, MemberError};
pub use outbox::{FrameSink, Outbox, Purpose, StreamOpen};
pub use permutation::Permutation;
pub use settings::{Preset, Settings, SettingsError, SuspicionMode};
pub use sweep::{Crew, SWEEP_MEMBERS_MAX, Sweep};
pub use time::Time;
pub use user_events::EventIndex;
pub(crate) use wire::typed;
pub use wire::{MemberlistOptions, Pool, Refusal, StreamOutcome, WireOptions, WireOptionsError};
