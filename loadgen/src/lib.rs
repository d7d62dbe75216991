//! Fleets of real Swimring members on one machine, measured.
//!
//! `swimring-loadgen run` goes: parse ([`cli`]) and check; ask the machine ([`preflight`]); plan kills and
//! events ([`schedule`]); run the fleet ([`run`]), which fills [`measurements`]; turn these into a
//! [`report`], judge the objectives ([`slo`]) and exit with a status that a script can read
//! ([`exit`](swimring_tooling::exit)). `swimring-loadgen attach` does the same with members in somebody else's pool
//! ([`attach`]).
#![deny(missing_docs, unsafe_code, clippy::print_stdout, clippy::print_stderr)]

pub mod allocations;
pub mod attach;
pub mod bottleneck;
pub mod cli;
pub mod cores;
pub mod fleet;
pub mod hlog;
pub mod measurements;
pub mod own_addresses;
pub mod preflight;
pub mod progress;
pub mod prometheus;
pub mod report;
pub mod run;
pub mod run_context;
pub mod schedule;
pub mod slo;
pub mod zone_round_trips;

use swimring_tooling::environment::Build;

/// Which build of the load generator this is.
pub const BUILD: Build = swimring_tooling::build!();
