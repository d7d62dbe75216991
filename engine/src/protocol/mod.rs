//! The protocol, sans-I/O: time, randomness and bytes come in; bytes, timers and events go out.
//!
//! [`Member`] is one member of the cluster and documents how it is driven. What members of one worker
//! share is in [`SharedState`]. Beside them there is one file per concern:
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

mod behaviour;
mod commands;
mod counters;
mod detection;
mod dissemination;
mod event;
mod member;
mod merge;
mod outbox;
mod repair;
mod serf;
pub mod settings;
mod shared_state;
mod time;
mod view;
mod wire;

pub use behaviour::Behaviour;
pub use commands::{MemberRef, View, check_event};
pub use counters::Counters;
pub use dissemination::user_events::EventIndex;
pub use event::{Event, SuspicionSummary};
pub(crate) use member::check_name;
pub use member::{Member, MemberConfig, MemberError};
pub use outbox::{FrameSink, Outbox, StreamOpen, StreamPurpose};
pub use repair::push_pull::StreamNext;
pub use settings::{Preset, Settings, SettingsError, SuspicionMode};
pub use shared_state::SharedState;
pub use time::Time;
pub use view::compaction::{COMPACTION_MEMBERS_MAX, Compaction, Crew};
pub use view::directory::{Directory, Identity, MemberIndex, identity_of};
pub use view::permutation::Permutation;
pub use wire::typed;
pub use wire::{MemberlistOptions, Pool, Refusal, StreamOutcome, WireOptions, WireOptionsError};
