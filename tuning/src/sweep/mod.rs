//! Many simulated runs: a scenario, the values that are swept over, seeds, threads, and what came of it.
//!
//! A [`Scenario`] is one cluster; [`Sweep`]s turn it into a grid of [`Point`]s; each point is run with several
//! seeds, the same ones at every point, so that points are compared under the same luck. A run's outcome is
//! kept as a [`Digest`], small enough to store every one of thousands, and [`summary`] puts the digests of one
//! point together.

pub mod cost;
pub mod digest;
pub mod grid;
pub mod impaired;
pub mod progress;
pub mod run;
pub mod scenario;
pub mod summary;
pub mod table;

pub use digest::Digest;
pub use grid::{Point, Sweep, grid};
pub use run::{Job, Stop, run_all};
pub use scenario::Scenario;
pub use summary::Summary;

#[cfg(test)]
mod tests;
