//! What is still to be told, to whom, and on what it travels.
//!
//! What the rest of the protocol calls, all of it on [`Core`](super::state::Core):
//!
//! | door | file | what it does |
//! |---|---|---|
//! | `tell_update` | `queue` | has everyone told what we say of ourselves, or have found out of others |
//! | `retell_update` | `queue` | the same of what we have heard, as far as it is ours to tell |
//! | `delegate`, `delegation_timeout`, `acknowledge`, `on_delegation_ack` | `delegated` | delegated broadcast: whom to ask, trying again, answers |
//! | `pass_on` | `delegation_frames` | sends what waits of it |
//! | `gather`, `fetch_view`, `newcomers_timeout` | `newcomers` | tells of those that join through us, in a rush by our view |
//! | `drop_queue` | `queue` | forgets what was to be told: there is nobody to tell |
//! | `send`, `send_bare` | `piggyback` | sends messages to one member, with what is queued or without |
//! | `on_event`, `on_stored_event`, `tell_event` | `user_events` | takes in the application's events, and tells its own |
//! | `on_user_message`, `tell_join_intent` | `user_messages` | the same for what an application or Serf sends inside memberlist's messages |
//! | `say_goodbye` | `goodbye` | tells that we leave |
//!
//! And two concerns with a state of their own: `gossip` (`arm`, `due`, `timeout`) tells a few random members what is queued when no
//! frame is sent anyway, and `spread_estimate` measures how long telling takes.

pub(in crate::protocol) mod delegated;
pub(in crate::protocol) mod delegates;
pub(in crate::protocol) mod delegation_frames;
pub(in crate::protocol) mod division;
pub(in crate::protocol) mod goodbye;
pub(in crate::protocol) mod gossip;
pub(in crate::protocol) mod newcomers;
pub(in crate::protocol) mod piggyback;
pub(in crate::protocol) mod queue;
pub(in crate::protocol) mod spread_estimate;
pub(in crate::protocol) mod user_events;
pub(in crate::protocol) mod user_messages;
