//! What a member is to every concern, and what the members of one worker share.
//!
//! Each step of the protocol works on the [`Core`] of one member in a [`Context`]: the time, the [`SharedState`], and where
//! output goes.

mod context;
mod core;
pub(in crate::protocol) mod local_health;
mod shared_state;

pub(in crate::protocol) use self::context::{Context, ViewFirst};
pub(in crate::protocol) use self::core::{Core, Seldom, Status, chosen_probe_interval};
pub use self::shared_state::SharedState;
