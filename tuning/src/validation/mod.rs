//! Confirmation: what the closed forms chose is simulated, corrected, chosen again, and judged on fresh seeds.
//!
//! 1. **Rounds.** The best settings by the forms are simulated. Where a measure differs, the forms are corrected
//!    by the observed ratio and searched again, a few rounds at most. Every round uses the same seeds, so
//!    candidates are compared under the same luck. Where the real size would take too long, rounds run at a
//!    smaller one, and the ratio of simulated to predicted *at that size* is the correction.
//! 2. **Holdout.** Seeds that no round has used judge the chosen settings, at the largest size whose crashes the
//!    effort pays for, the real one if it does. Settings chosen
//!    because they looked good in some runs look better there than they are; the holdout does not know them.
//! 3. **Verdicts.** Each limit against the interval of its estimate: met, not met, or not surely where the limit
//!    lies within it. What happens once a month cannot be seen in minutes: for false deaths the closed form
//!    decides, and the simulation says what it can exclude.

mod choice;
pub mod evidence;
pub mod plan;
pub mod rounds;
pub mod trials;
pub mod verdict;

pub use evidence::Evidence;
pub use plan::Plan;
pub use rounds::{Answer, Round, recommend};
pub use trials::{CORE_S_DEFAULT, Effort};
pub use verdict::{Judged, Verdict};

#[cfg(test)]
mod tests;
