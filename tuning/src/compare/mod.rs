//! The closed forms against the simulator, over a grid: where they hold, and where they stop.
//!
//! Every case runs the whole protocol ([`swimring::sim::trial`]) with crashes and events, several seeds, and
//! asks [`crate::model::predict`] the same. Streams are reliable in the simulator, so loss alone makes no
//! false suspicion while probes fall back to them; small clusters run without the fallback to see some.

pub mod case;
pub mod grid;
pub mod table;
