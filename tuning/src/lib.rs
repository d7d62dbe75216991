//! From an objective to settings: closed forms, simulation, and a search over both.
//!
//! `swimring-tune model` ([`cli::model`]) shows how rumours spread, from formulas and from simulations side
//! by side ([`basics`]); `swimring-tune compare` holds the closed forms ([`mod@model`]) against the simulator.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod basics;
pub mod cli;
pub mod compare;
pub mod model;
