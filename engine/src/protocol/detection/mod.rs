//! Is a member still there, and how long until it is declared dead if it does not answer?
//!
//! `probe` asks directly, `relay` for others; `suspicion` is the time to refute, `refutation` the answer. `local_health` is how
//! far to trust our own probes. `adaptive` and `return_probes` are the faster suspicion that follows the measured spread.

pub(in crate::protocol) mod adaptive;
pub(in crate::protocol) mod probe;
pub(in crate::protocol) mod reachability;
pub(in crate::protocol) mod refutation;
pub(in crate::protocol) mod relay;
pub(in crate::protocol) mod return_probes;
pub(in crate::protocol) mod suspicion;
