//! What a member is to every concern, and what the members of one worker share.

pub(in crate::protocol) mod local_health;
pub(in crate::protocol) mod shared_state;
