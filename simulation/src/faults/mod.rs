//! The fault model, in one place: what may go wrong, how often, and how badly.
//!
//! Nothing here knows a member or a network: `adversary` lets random faults strike a checked simulation, and
//! `experiment::slow` puts impairments on members of an experiment.
//!
//! | file | concern |
//! |---|---|
//! | `fault` | [`Faults`]: what may befall a checked simulation, with what chance |
//! | `impairments` | what is wrong with chosen members of an experiment, always or in cycles |
//! | `slowness` | what a slow member does not do, and in which order it catches up, in both |
//! | `links` | partitions: who can reach whom |

mod fault;
mod impairments;
mod links;
mod slowness;

pub(crate) use fault::FaultKind;
pub use fault::Faults;
pub use impairments::{Affected, Cycle, INBOX_MAX, Impairment, ImpairmentKind};
pub use links::Direction;
pub(crate) use links::Links;
pub(crate) use slowness::Part;
pub use slowness::Slowness;
