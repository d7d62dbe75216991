//! From an objective to settings: closed forms, simulation, and a search over both.
//!
//! `swimring-tune recommend` ([`cli::recommend`]) answers an [`objective`] with settings: a [`search`] over the
//! closed forms of [`model`], corrected and confirmed by simulations ([`validation`]). `swimring-tune simulate`
//! ([`cli::simulate`]) runs them on their own, over grids of settings ([`sweep`]).
//!
//! `swimring-tune model` ([`cli::model`]) shows how rumours spread, from formulas and from simulations side
//! by side ([`rumour_model`]); `swimring-tune compare` holds the closed forms ([`mod@model`]) against the simulator.
#![deny(missing_docs, clippy::print_stdout, clippy::print_stderr)]
#![forbid(unsafe_code)]

pub mod cli;
pub mod compare;
pub mod model;
pub mod objective;
pub mod outputs;
pub mod report;
pub mod rumour_model;
pub mod search;
pub mod statistics;
pub mod store;
pub mod sweep;
pub mod validation;
pub mod verify;

use swimring_tooling::environment::Build;

/// Which build of the tuner this is.
pub const BUILD: Build = swimring_tooling::build!();
