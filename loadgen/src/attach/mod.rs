//! `swimring-loadgen attach`: thousands of virtual members in a real memberlist, Serf or Consul pool.
//!
//! Every one is a full member at an address of its own: it probes and is probed, gossips, suspects and refutes.
//! Together they churn in the pool, and measure it from where its own members stand. The measured part is that
//! of a `run`; what is particular is here: who the members are (`identity`, `addresses`), how they get in
//! (`targets`, `contacts`, `joining`, `admission`) and out (`leaving`), what is heard of the real ones (`watch`, `heard`,
//! `doubts`, `live`, `outcome`), and whether they and ours hear each other at all (`contact`).

pub mod addresses;
pub mod admission;
mod command;
pub mod contact;
mod contacts;
pub mod doubts;
pub mod heard;
pub mod identity;
mod joining;
mod leaving;
pub mod live;
pub mod outcome;
pub mod payload;
pub mod plan;
pub mod roster;
mod schedule;
mod session;
mod start;
pub mod targets;
pub mod watch;

pub use command::attach;

#[cfg(test)]
pub(crate) mod tests;
