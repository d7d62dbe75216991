//! The protocol, sans-I/O: time, randomness and bytes come in; bytes, timers and events go out.
//!
//! [`Member`] is one member of the cluster and documents how it is driven. What members of one worker share is in
//! [`SharedState`]. Each concern has a room:
//!
//! | room | concern |
//! |---|---|
//! | `view` | who is there: one member's table, shared views, the directory of identities, the departed |
//! | `detection` | is a member still there? probes, relays, suspicion, refutation, local health, adaptive windows |
//! | `dissemination` | what is still to be told, to whom, and on what it travels; the application's user events |
//! | `repair` | finding and mending what telling has missed: roots, push/pull, reconnecting |
//! | `wire` | what a frame looks like, a format to a file |
//! | `settings` | every constant, with its presets and ranges |
//!
//! Beside the rooms: `member` holds one member's state and drives the rooms, `commands` is what an application asks of it,
//! `merge` decides between what is known and what is told, `event` and `outbox` are what comes out, `behaviour` says whose
//! protocol it is (ours, or upstream's for simulations), `serf` has the clocks of Serf's pools.
//!
//! What the rooms keep is imported downwards; `Member` puts it together, and each room has its part of `impl Member`:
//!
//! ```text
//! commands  merge  member
//!    |        |      |
//!    repair   detection   dissemination      each with its own part of `impl Member`
//!         \       |       /
//!          view   wire   settings  time
//! ```
#![forbid(unsafe_code)]

mod behaviour;
mod counters;
mod detection;
mod dissemination;
mod event;
mod member;
mod outbox;
mod pools;
mod repair;
mod serf;
pub mod settings;
mod state;
mod time;
mod view;
mod wire;

pub use behaviour::{Behaviour, BehaviourError};
pub use counters::Counters;
pub use event::{Event, EventIndex, SuspicionSummary};
pub(crate) use member::check_name;
pub use member::commands::{MemberRef, View, check_event};
pub use member::compaction::{COMPACTION_MEMBERS_MAX, Compaction, Crew};
pub use member::streams::{StreamNext, StreamOutcome};
pub use member::{Member, MemberConfig, MemberError};
pub use outbox::{FrameSink, Outbox, StreamOpen, StreamPurpose};
pub use settings::{
    Preset, SETTINGS, Setting, SettingKind, SettingValue, Settings, SettingsError, SuspicionMode,
};
pub use state::SharedState;
pub use time::Time;
pub use view::directory::{Directory, Identity, MemberIndex, identity_of};
pub use view::permutation::Permutation;
pub use wire::typed;
pub use wire::{CheckedWire, MemberlistOptions, Pool, Refusal, WireOptions, WireOptionsError};
