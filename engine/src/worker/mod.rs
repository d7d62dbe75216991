//! (being built)

pub mod wheel;
