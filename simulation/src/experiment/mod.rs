//! Experiments: large clusters in virtual time, measured in the words of a load generator's report.
//!
//! A *trial* is one run of an experiment, with one seed. [`super::Simulation`] checks everything after every step; a trial
//! measures, and is fast: a thousand members live through a million member-seconds in a real second. The members are the same
//! [`swimring::protocol::Member`] values, all in one [`swimring::protocol::SharedState`]; what travels between them is what
//! would be on the wire, kept as values instead of bytes ([`TrialOptions::encoded`] writes and reads the
//! bytes), and every size is the exact one. A trial is one thread, and the same options give the same outcome
//! to the last bit.
//!
//! ```
//! use std::time::Duration;
//! use swimring_simulation::experiment::{Latency, TrialOptions, run};
//!
//! let outcome = run(&TrialOptions {
//!     members: 50,
//!     duration: Duration::from_secs(60),
//!     latency: Latency::Fixed(Duration::from_millis(1)),
//!     crashes: 1,
//!     ..TrialOptions::default()
//! })?;
//! assert_eq!(outcome.false_deaths, 0);
//! assert!(outcome.crashes[0].all_s.is_some());
//! # Ok::<(), swimring_simulation::experiment::TrialError>(())
//! ```
//!
//! | file | concern |
//! |---|---|
//! | `options`, `plan`, `outcome` | what is asked for, what will happen when, what came of it |
//! | `latency`, `regions` | the network |
//! | `agenda` | everything that is still to happen |
//! | `run`, `sending`, `streams`, `slow` | the loop, datagrams, streams, and what impairments (`faults`) do to members |
//! | `measuring` | who watches, and counts |

mod agenda;
mod latency;
mod measuring;
mod options;
mod outcome;
mod plan;
mod regions;
mod run;
mod sending;
mod slow;
mod streams;

pub use crate::faults::{Affected, Cycle, INBOX_MAX, Impairment, ImpairmentKind};
pub use agenda::Agenda;
pub use latency::Latency;
pub use options::{
    CrashKind, DRAIN_FROM_SETTINGS, EVENTS_MAX, LOSS_MAX, MEMBERS_MAX, TrialError, TrialOptions, Wakes,
    WireSizes, zones_max,
};
pub use outcome::{CrashOutcome, Delegated, EventOutcome, TrialOutcome};
pub use regions::{REGIONS_MAX, RegionMap};
pub use run::{Progress, run, run_with};
