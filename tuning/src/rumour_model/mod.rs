//! The basics, shown: how one write to a small (key, value, version) store spreads by push, pull and push-pull.
//!
//! [`simulation`] lets members with a [`replica`] each talk in rounds, many times; [`table`] puts that beside the
//! formulas of [`crate::model::rounds`], [`telling`] adds gossip and delegation as the engine has them, [`text`], [`files`] and [`plot`] show it.

pub mod files;
pub mod plot;
pub mod replica;
pub mod simulation;
pub mod table;
pub mod telling;
pub mod text;
