//! Joining: finding one member that answers among the seeds, without waiting long for those that do not.
//!
//! Seeds are tried side by side, each address with its own short time limit, so that a list of dead seeds
//! costs seconds and not minutes (hashicorp/memberlist#291). A join is over when every seed has answered or
//! failed, or a moment after the first one has answered; it can be cancelled at any time. It runs on a
//! thread of its own, because names are resolved by the system's resolver, which blocks.

mod attempt;
mod handle;
mod outcome;
mod resolve;
mod seed;

pub(super) use attempt::Note;
pub(super) use handle::start;
pub(super) use resolve::Resolvers;
pub(super) use seed::parse_all;

pub use handle::{Canceller, Join};
pub use outcome::{JoinError, JoinReport, SeedError, SeedOutcome};
pub use seed::{DEFAULT_PORT, Seed};
