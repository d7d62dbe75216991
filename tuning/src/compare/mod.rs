//! The closed forms against the simulator, over a grid: where they hold, and where they stop.
//!
//! Every case runs the whole protocol ([`swimring_simulation::experiment`]) with crashes and events, several seeds, and
//! asks [`crate::model::predict`] the same. Small clusters run without the stream fallback, so that loss makes
//! enough false suspicions to count. Where members delegate, what telling takes and costs is from trials of its own, with
//! events and nothing else to tell.

pub mod case;
pub mod grid;
pub mod table;
