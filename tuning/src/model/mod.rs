//! Closed forms: what settings give, computed instead of measured.

pub mod detection;
pub mod rounds;
pub mod serf;
pub mod special;
pub mod spread;
