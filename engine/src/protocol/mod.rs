//! The protocol, sans-I/O: time, randomness and bytes come in; bytes, timers and events go out.
//!
//! [`Member`] is one member of the cluster and documents how it is driven. What members of one worker share is in
//! [`SharedState`]. Each concern has a room, and imports go one way, down this picture (`tests/it/protocol_rooms.rs` holds
//! the sources to it):
//!
//! ```text
//! member         | puts the rooms together: timers, what arrives, commands, and which of two beliefs wins
//! repair         | mending what telling has missed: push/pull, reconnecting
//! key_values     | shared state: maps that members own, told, compared and fetched
//! detection      | is a member still there? probes, relays, suspicions, refutation
//! dissemination  | what is told to whom, and on what it travels
//! state          | Core: one member as every concern sees it; SharedState; Context: now, and where output goes
//! shared_lists counters | the short lists of all members, in shared storage: queue, events, suspicions, relays; what is counted
//! wire           | what a frame looks like, a format to a file
//! outbox         | where output goes
//! event          | what a member tells its driver
//! view           | who is there: table, shared views, directory, departed
//! behaviour networks serf settings time | our ways or upstream's, where members may be, Serf's clocks, every constant, plain time
//! ```
//!
//! A concern keeps its state in private fields, and its methods are given the core and the context of the member. What it
//! finds that others have to know it returns, and `member` takes it there: a probe that failed becomes a suspicion in
//! `member/detection.rs`. Doors that the other rooms use: `Core::send` and its kin (`dissemination/piggyback.rs`),
//! `Core::tell_update`, `Core::retell_update` and `Core::drop_queue` (`dissemination/queue.rs`), `Gossip` and the timers' `due` and `timeout`.
#![forbid(unsafe_code)]

mod behaviour;
mod counters;
mod detection;
mod dissemination;
mod event;
mod key_values;
mod member;
mod networks;
mod outbox;
mod repair;
mod serf;
pub mod settings;
mod shared_lists;
mod state;
mod time;
mod view;
mod wire;

pub use behaviour::{Behaviour, BehaviourError};
pub use counters::Counters;
pub use event::{Event, EventIndex, StandingSuspicion, SuspicionSummary};
pub use key_values::{SavedClusterKey, SavedKey, SavedMark, SavedState, StateChange, StateError, StateValue};
pub use member::{
    AdmissionRules, CANDIDATES_MAX, COMPACTION_MEMBERS_MAX, CandidateRef, Compaction, Crew, Member,
    MemberConfig, MemberError, MemberRef, NotAdmittedReason, StreamNext, StreamOutcome, VERDICTS_MAX, View,
    check_event,
};
pub(crate) use member::{check_name, check_zone};
pub use networks::{NETWORKS_MAX, Networks};
pub use outbox::{FrameSink, Outbox, StreamConnection, StreamOpen, StreamPurpose};
pub use settings::{
    Preset, SETTINGS, Setting, SettingKind, SettingValue, Settings, SettingsError, SuspicionMode,
};
pub(crate) use shared_lists::round_trip::RoundTrip;
pub use state::SharedState;
pub use time::Time;
pub use view::directory::{Directory, Identity, MemberIndex, identity_of};
pub use view::permutation::Permutation;
pub use view::statements::AdmittedKeys;
pub use wire::typed;
pub use wire::{
    CheckedWire, Encryption, EncryptionCipher, EncryptionOptions, MemberlistDialect, MemberlistOptions,
    Refusal, WireOptions, WireOptionsError,
};
