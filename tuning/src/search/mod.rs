//! The search.

mod knob;

pub use knob::Knob;
