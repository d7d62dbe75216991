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

pub use behaviour::{Behaviour, BehaviourError};
pub use commands::{MemberRef, View, check_event};
pub use counters::Counters;
pub use dissemination::user_events::EventIndex;
pub use event::{Event, SuspicionSummary};
pub(crate) use member::check_name;
pub use member::{Member, MemberConfig, MemberError};
pub use outbox::{FrameSink, Outbox, StreamOpen, StreamPurpose};
pub use repair::push_pull::StreamNext;
pub use settings::{
    Preset, SETTINGS, Setting, SettingKind, SettingValue, Settings, SettingsError, SuspicionMode,
};
pub use shared_state::SharedState;
pub use time::Time;
pub use view::compaction::{COMPACTION_MEMBERS_MAX, Compaction, Crew};
pub use view::directory::{Directory, Identity, MemberIndex, identity_of};
pub use view::permutation::Permutation;
pub use wire::typed;
pub use wire::{MemberlistDialect, MemberlistOptions, Refusal, StreamOutcome, WireOptions, WireOptionsError};
