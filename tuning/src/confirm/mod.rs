//! Confirmation: what the closed forms chose is simulated, corrected, chosen again, and judged on fresh seeds.
//!
//! 1. **Rounds.** The best settings by the forms are simulated. Where a measure differs, the forms are corrected
//!    by the observed ratio and searched again, a few rounds at most. Every round uses the same seeds, so
//!    candidates are compared under the same luck. Where the real size would take too long, rounds run at a
//!    smaller one, and the ratio of simulated to predicted *at that size* is the correction.
//! 2. **Holdout.** Seeds that no round has used judge the chosen settings, at the real size. Settings chosen
//!    because they looked good in some runs look better there than they are; the holdout does not know them.
//! 3. **Verdicts.** Each limit against its estimate and interval. What happens once a month cannot be seen in
//!    minutes: for false deaths the closed form decides, and the simulation says what it can exclude.

pub mod evidence;
pub mod plan;
pub mod rounds;
pub mod verdict;

pub use evidence::Evidence;
pub use plan::Plan;
pub use rounds::{Answer, Effort, Round, recommend};
pub use verdict::{Judged, Verdict};
