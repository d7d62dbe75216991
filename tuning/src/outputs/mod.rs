//! The answer, written down: for people, for the engine, for memberlist, Serf and Consul, and as JSON.
//!
//! Settings are written only for programs that can express them: a block that leaves a changed setting out
//! would be another recommendation.

pub mod document;
pub mod settings;
pub mod text;
pub mod view;

pub use settings::{Block, blocks};
pub use view::View;

#[cfg(test)]
mod tests;
