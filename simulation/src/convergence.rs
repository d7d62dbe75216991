//! Convergence: once nothing goes wrong any more, everyone comes to agree, and soon.
//!
//! The bound is computed from the settings, from the longest that each part of the protocol may take.

use std::time::Duration;

use swimring_codec::State;

use super::checks::Violation;
use super::simulation::Simulation;
use swimring::protocol::{Settings, SuspicionMode, WireOptions};

/// Time between two looks at whether the views agree.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The longest that `members` members may take to agree after the last fault.
///
/// In this order at worst: local health comes down from its highest (one probe each step, with intervals
/// stretched by the score), every member is probed by everyone (two rounds of the permutation), a
/// suspicion runs unconfirmed to its end, the dead are tried again, each in its turn, roots are compared
/// and mended at the spacing of push/pulls, and what results is gossiped. What is found late may begin
/// all this once more.
///
/// On memberlist's wire there are no roots: what gossip missed waits for periodic push/pulls. And whoever
/// has died comes back at another address only after `dead_node_reclaim_time`.
pub fn calm_bound(settings: &Settings, wire: &WireOptions, members: usize) -> Duration {
    let highest = u32::from(settings.local_health_max);
    // With adaptive suspicion members choose whom to probe half as often, and a suspicion is put off while
    // nobody is heard, by as much as it lasts.
    let adaptive = 1 + u32::from(settings.suspicion.on(wire.is_native()) == SuspicionMode::Adaptive);
    let recovery = settings.probe_interval * (highest + 1) * (highest + 2) / 2 * adaptive;
    let rounds = settings.probe_interval * (2 * members as u32 + 2) * adaptive;
    let (_, suspicion) = settings.suspicion_timeouts(members);
    let suspicion = suspicion * adaptive;
    let reconnect = settings.reconnect_interval * 3;
    let mend = mending(settings, wire, members) * 4;
    let reclaim = match wire {
        WireOptions::Native | WireOptions::Encrypted(_) => Duration::ZERO,
        WireOptions::Memberlist(options) => options.dead_node_reclaim_time,
    };
    let gossip = settings.gossip_interval * u32::from(settings.retransmit_limit(members)) * 4;
    (recovery + rounds + suspicion + reclaim + reconnect + mend + gossip) * 2
}

/// Longest time until a difference that gossip has left is looked for.
pub(super) fn mending(settings: &Settings, wire: &WireOptions, members: usize) -> Duration {
    let period = settings.push_pull_period(members);
    match wire {
        WireOptions::Native | WireOptions::Encrypted(_) => (period / 10).max(Duration::from_secs(1)),
        // A push/pull is put off for up to half a period.
        WireOptions::Memberlist(_) => period + period / 2,
    }
}

impl Simulation {
    /// Whether all members agree with each other and with the truth, and are at rest; if not, what is
    /// amiss.
    ///
    /// # Errors
    /// The first difference, and the members it is between.
    pub fn converged(&self) -> Result<(), String> {
        let truth = (0..self.len()).filter(|node| self.is_member(*node)).count();
        let mut root = None;
        for node in 0..self.len() {
            let Some(member) = self.member(node).filter(|_| self.is_member(node)) else { continue };
            if !self.has_joined(node) {
                return Err(format!("member {node} has not joined"));
            }
            for other in 0..self.len() {
                let belief = self.belief(node, other);
                let right = match belief {
                    Some(State::Alive) => self.is_member(other),
                    Some(State::Suspect) => false,
                    Some(State::Dead | State::Left) | None => !self.is_member(other),
                };
                if !right {
                    return Err(format!("member {node} takes {other} for {belief:?}"));
                }
            }
            if member.live() != truth {
                return Err(format!("member {node} knows {} live of {truth}", member.live()));
            }
            if *root.get_or_insert(member.root()) != member.root() {
                return Err(format!("member {node} has another root"));
            }
            if member.queued() != 0 {
                return Err(format!("member {node} has {} broadcasts queued", member.queued()));
            }
            // Alone it has nobody to recover with.
            if member.local_health() != 0 && truth > 1 {
                return Err(format!("member {node} has local health {}", member.local_health()));
            }
        }
        Ok(())
    }

    /// Runs until the views agree and gives how long that took.
    ///
    /// # Errors
    /// A check that failed, or what is still amiss after `bound`.
    pub fn run_until_converged(&mut self, bound: Duration) -> Result<Duration, Violation> {
        let start = self.now;
        loop {
            self.run_for(LOOK_EVERY)?;
            let passed = self.now.since(start);
            match self.converged() {
                Ok(()) => return Ok(passed),
                Err(amiss) if passed > bound => {
                    let detail = format!("{amiss}, {passed:?} after the last fault");
                    return Err(Violation { at: self.now, node: 0, check: "no convergence", detail });
                }
                Err(_) => {}
            }
        }
    }
}
