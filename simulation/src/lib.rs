//! A virtual network and clock that drive the protocol: thousands of minutes of cluster life per second.
//!
//! The members are the same [`swimring::protocol::Member`] values that a worker drives, and what travels between
//! them is what would be on the wire. Everything that is left to chance is drawn from one seed, so a run
//! can be repeated exactly. See `docs/TESTING.md`.
//!
//! | file | concern |
//! |---|---|
//! | `simulation` | members, agenda and network, and the loop that makes time pass |
//! | `options` | what is to be simulated |
//! | `operations` | what operators do, and what may be looked at |
//! | `faults`, `adversary` | what may go wrong, and what lets it strike |
//! | `silence` | a member that takes part and tells nothing |
//! | `network`, `streams`, `node`, `queue` | datagrams, streams, machines, the agenda |
//! | `wire` | what opens datagrams and streams of either format |
//! | `checks`, `trace`, `log` | what has to hold at every step, and what happened |
//! | `view_rebasing` | which base views are held against, which nobody may notice |
//! | `scenario`, `convergence` | whole runs drawn from a seed, and how they have to end |
//! | [`experiment`] | large clusters, measured instead of checked |
//! | `fuzz` | any bytes as a sequence of operations, for fuzzing |
#![forbid(unsafe_code)]

mod adversary;
mod checks;
mod convergence;
pub mod experiment;
mod faults;
mod fuzz;
mod log;
mod network;
mod node;
mod operations;
mod options;
mod queue;
mod scenario;
mod silence;
mod simulation;
mod streams;
mod trace;
mod view_rebasing;
mod wire;

pub use checks::{Checks, Coverage, Violation};
pub use convergence::calm_bound;
pub use faults::{Direction, Faults, Slowness};
pub use fuzz::{fuzz_identities, fuzz_member};
pub use log::{Entry, Log, What};
pub use operations::Restart;
pub use options::{Identities, SimulationOptions};
pub use scenario::{Outcome, play, run_scenario, scenario};
pub use simulation::{CLUSTER, CapturedFrame, Simulation};
pub use trace::Trace;
pub use view_rebasing::Rebasing;
