//! From an objective to settings: closed forms, simulation, and a search over both.
//!
//! `swimring-tune model` ([`cli::model`]) shows how rumours spread, from formulas and from simulations side
//! by side.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod cli;
pub mod confirm;
pub mod model;
pub mod objective;
pub mod outputs;
pub mod search;
pub mod statistics;
pub mod store;
pub mod sweep;
