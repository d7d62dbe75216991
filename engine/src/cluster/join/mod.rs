//! Joining: finding one member that answers among the seeds, without waiting long for those that do not.
//!
//! Seeds are tried side by side, each address with its own short time limit, so that a list of dead seeds
//! costs seconds and not minutes (hashicorp/memberlist#291). All are tried, and all addresses of each name,
//! also when one has answered: members that start together through one name would otherwise fall into several
//! pools, each of which takes itself for the whole (prometheus/alertmanager#1449). Only who is in the view
//! already is passed over. A join is over when every address has answered or failed, or a moment after one has
//! answered and the last one was begun; it can be cancelled at any time. The background
//! thread carries it out beside others. Names are resolved by the system's resolver, which blocks: each has a
//! thread of its own for that time, 32 at most, so that a resolver that hangs holds up nothing but its seed.
//!
//! | file | concern |
//! |---|---|
//! | `seed`, `resolve` | addresses, and names and how they become addresses |
//! | `order` | which address is tried next |
//! | `attempt` | one join |
//! | `outcome` | how it ended |
//! | `handle` | the application's hold on it |
//! | `remembered` | which seeds are tried again later |

mod attempt;
mod handle;
mod order;
mod outcome;
mod remembered;
mod resolve;
mod seed;

pub(super) use attempt::{Attempt, JoinId, JoinProgress, ProgressSender, Whom};
pub(super) use handle::{NewJoin, WaitingJoin, start};
pub(super) use order::Tried;
pub(super) use remembered::Remembered;
pub(super) use resolve::Resolvers;
pub(super) use seed::parse_all;

pub use handle::{Canceller, Join};
pub use outcome::{AddressOutcome, JoinError, JoinReport, SeedError, SeedOutcome};
pub use resolve::{Resolve, SystemResolver};
pub use seed::{DEFAULT_PORT, Seed};
