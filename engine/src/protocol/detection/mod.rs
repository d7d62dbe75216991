//! Is a member still there, and how long until it is declared dead if it does not answer?
//!
//! `probe` asks directly, in the order of `probe_schedule`, and takes each `attempt` through its phases, with `probe_sequence` in its pings; `ping_answer` answers.
//! `relay` asks for others, `return_probes` asks back, `neighbours` sees after those that nobody probes once many have died.
//! `suspicion` is how long a member has to refute, `refutation` the answer, `adaptive` the shorter time that follows the
//! measured spread. `reachability` is whether others reach us. Local health, how far to trust our own probes, is in `state`.

pub(in crate::protocol) mod adaptive;
mod attempt;
pub(in crate::protocol) mod neighbours;
pub(in crate::protocol) mod ping_answer;
pub(in crate::protocol) mod probe;
mod probe_schedule;
mod probe_sequence;
pub(in crate::protocol) mod reachability;
pub(in crate::protocol) mod refutation;
pub(in crate::protocol) mod relay;
pub(in crate::protocol) mod return_probes;
pub(in crate::protocol) mod suspicion;
