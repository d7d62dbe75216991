//! Delegated broadcast: how long it takes to a member, what it costs, and whom it leaves to repair.
//!
//! Whoever serves a part of the cluster, the members whose ids share its first L bits, goes down from L in steps of
//! b bits: it delegates each of the k - 1 other sub-prefixes, k = 2^b, to one member there, and goes on in its own.
//! The originator serves everyone. (Range delegation over a distributed hash table: El-Ansary, Alima, Brand and
//! Haridi, *Efficient broadcast in structured P2P networks*, 2003; Rohrer and Tschorsch, *Kadcast*, 2019. Here every
//! member knows all others, so that a part's members are known.) Four questions, one file for each:
//!
//! - [`mod@attempts`]: one delegation. It is sent again when no acknowledgement comes within the retransmission
//!   timeout: to the same member, then to four others of its part. When is it taken over, and by whom?
//! - [`mod@division`]: how many delegations lie between the originator and a random member, and how often each had
//!   to be sent; the expected copies and acknowledgements, over parts that grow smaller.
//! - [`mod@timing`]: how long a delegation takes: latency, the receiver's turn, pacing; how long the timeout is.
//! - [`mod@traffic`]: the bytes of it all, beside what probing costs anyway.
//!
//! A random member's delay is the sum of its hops and of whole timeouts,
//!
//! ```text
//! P(T <= t) = sum over h, w of P(h hops, w timeouts) * P(X_1 + ... + X_h <= t - w RTO)
//! ```
//!
//! with X one hop's latency, turn and pacing, summed numerically on a lattice.
//!
//! **Zones.** Where members are in zones, the originator delegates each other zone to one of its members. Who is in another
//! zone waits for that delegation first, with its longer way and its own timeout ([`mod@zones`]).
//!
//! **What is left out.** A delegation whose acknowledgements are lost twice is given to a second member though the
//! first has taken it over. Two waves then run through one part and prune each other where they meet, since each
//! member serves an update once; so the second costs its copies and hastens nothing. Retries wait for no turn,
//! everyone is in everyone's view, all members are alike, and all timeouts are those of the long run: a member that
//! has measured few round trips waits longer, as to other zones whoever tells seldom has. A member that has of late retried in vain goes on to another at once,
//! which hastens what comes after many deaths: here each forgets.
//!
//! One broadcast takes a millisecond or two to solve, and some twenty where members are dead, whatever their number;
//! [`Known`] solves each once.

pub mod attempts;
pub mod division;
mod known;
pub mod timing;
pub mod traffic;
pub mod zones;

use self::attempts::Attempts;
use self::division::{Costs, Law, division};
pub use self::known::Known;
use self::timing::{Hops, Timing};
use self::zones::{Others, OthersTold};
use super::Environment;
use super::special::quantile;
use swimring::protocol::Settings;

/// What a delegated broadcast depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BroadcastInputs {
    /// Members in everyone's view, the originator and the unnoticed dead among them; at least 2.
    pub members: u32,
    /// Bits of one step of the division (`delegation_bits`): 1 to 4.
    pub step_bits: u8,
    /// Share of datagrams lost.
    pub loss: f64,
    /// Share of members that are dead and believed alive by everyone.
    pub dead: f64,
    /// Median round trip on the network, in seconds.
    pub rtt_median_s: f64,
    /// Standard deviation of the round trip's natural logarithm.
    pub rtt_sigma: f64,
    /// Zones of like size that the members are in; 1 for none.
    pub zones: u32,
    /// What a round trip to another zone takes longer, in seconds.
    pub zone_rtt_s: f64,
    /// Longest wait of what arrived for the receiver's next turn, in seconds; the wait is uniform.
    pub turn_s: f64,
    /// Least retransmission timeout (`delegation_timeout_min_ms`), in seconds.
    pub timeout_min_s: f64,
    /// By how much each timeout of a delegation is longer than the one before: 2 in the engine, 1 for always the
    /// same.
    pub backoff: u32,
    /// Shortest time between two moments at which a member passes on (`delegation_pacing_ms`), in seconds.
    pub pacing_s: f64,
    /// Updates told per second, by members chosen at random: what pacing delays. One at a time: 0.
    pub updates_per_s: f64,
}

impl BroadcastInputs {
    /// With these settings, in this environment, nobody dead. The updates are the user events.
    pub fn of(settings: &Settings, environment: &Environment) -> BroadcastInputs {
        BroadcastInputs {
            members: environment.members.max(2),
            step_bits: settings.delegation_bits,
            loss: environment.loss,
            dead: 0.0,
            rtt_median_s: environment.rtt_median_ms / 1e3,
            rtt_sigma: environment.rtt_sigma,
            zones: environment.zones.max(1),
            zone_rtt_s: environment.zone_rtt_ms / 1e3,
            turn_s: 0.0,
            timeout_min_s: settings.delegation_timeout_min.as_secs_f64(),
            backoff: 2,
            pacing_s: settings.delegation_pacing.as_secs_f64(),
            updates_per_s: environment.events_per_second,
        }
    }

    /// Whether every field has a value that [`Broadcast::of`] can use.
    ///
    /// # Errors
    /// One line that names the field and what it has to be.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, lowest: f64, highest: f64| {
            if (lowest..=highest).contains(&value) {
                return Ok(());
            }
            Err(format!("{name} has to be between {lowest} and {highest}, and is {value}"))
        };
        within("members", self.members.into(), 2.0, 10_000_000.0)?;
        within("step_bits", self.step_bits.into(), 1.0, 4.0)?;
        within("loss", self.loss, 0.0, 0.95)?;
        within("dead", self.dead, 0.0, 0.95)?;
        within("rtt_median_s", self.rtt_median_s, 1e-6, 60.0)?;
        within("rtt_sigma", self.rtt_sigma, 0.0, 2.0)?;
        within("zones", self.zones.into(), 1.0, (self.members / 2).into())?;
        within("zone_rtt_s", self.zone_rtt_s, 0.0, 60.0)?;
        within("turn_s", self.turn_s, 0.0, 10.0)?;
        within("timeout_min_s", self.timeout_min_s, 0.001, 60.0)?;
        within("backoff", self.backoff.into(), 1.0, 4.0)?;
        within("pacing_s", self.pacing_s, 0.0, 60.0)?;
        within("updates_per_s", self.updates_per_s, 0.0, 1e6)
    }
}

/// A delegated broadcast, in expectation.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// Frames that carry the update, sent per live member.
    pub copies: f64,
    /// Acknowledgements sent per live member.
    pub acks: f64,
    /// Delegations, each sent once or more, per live member: one, and one for each dead member.
    pub delegations: f64,
    /// Share of live members that the broadcast does not reach, and repair has to.
    pub missed: f64,
    /// Delegations of the originator: `(2^b - 1) log_2^b n` but for the last levels, whose parts are often empty.
    pub originator_delegations: f64,
    /// Share of live members that delegate anything.
    pub serving: f64,
    /// First retransmission timeout, in seconds.
    pub timeout_s: f64,
    /// Share of delegations that have to wait for the pacing interval to end.
    pub paced: f64,
    /// Copies that cross to each zone but the originator's: one, and those sent again. 0 without zones.
    pub crossed: f64,
    /// Members of the originator's zone.
    hops: Hops,
    /// Those of the others, if there are any.
    others: Option<OthersTold>,
}

/// A broadcast without regard to pacing: what it costs, and in how many hops and timeouts it reaches a member.
#[derive(Clone, Debug)]
pub struct Divided {
    timing: Timing,
    law: Law,
    costs: Costs,
    /// Live members without the originator.
    live: f64,
    others: Option<Others>,
}

impl Divided {
    /// Solves the division, for inputs that pass [`BroadcastInputs::check`].
    pub fn of(inputs: &BroadcastInputs) -> Divided {
        let timing = Timing::of(inputs);
        let members = zones::members_of_each(inputs);
        let zone = division(members, inputs.step_bits, &attempts(inputs, &timing));
        let (law, mut costs) = (zone.served().law.clone(), zone.served().costs);
        let others = (inputs.zones > 1).then(|| Others::of(inputs, &zone));
        if let Some(others) = &others {
            others.add_costs(&mut costs);
        }
        let live = (f64::from(inputs.members.max(2) - 1) * (1.0 - inputs.dead)).max(1.0);
        Divided { timing, law, costs, live, others }
    }

    /// The share of delegations that have to wait for the pacing interval of `inputs` to end.
    pub fn paced(&self, inputs: &BroadcastInputs) -> f64 {
        let Costs { sends, delegations, servers, .. } = self.costs;
        // Those who pass on do it once, and again for each retransmission.
        let moments = (1.0 + servers + sends - delegations) / (self.live + 1.0);
        timing::paced(inputs.pacing_s, inputs.updates_per_s * moments)
    }

    /// The broadcast, of whose delegations a share is `paced` by intervals of `pacing_s`.
    pub fn broadcast(&self, pacing_s: f64, paced: f64) -> Broadcast {
        let Costs { sends, acks, delegations, servers, own } = self.costs;
        let live = self.live;
        let timing = self.timing.paced_by(pacing_s);
        let others = self.others.as_ref().map(|others| others.told(&timing, paced));
        let reached = match &others {
            None => self.law.total(),
            Some(others) => others.mixed(self.law.total(), others.total()),
        };
        Broadcast {
            copies: sends / live,
            acks: acks / live,
            delegations: delegations / live,
            missed: (1.0 - reached).max(0.0),
            originator_delegations: own,
            serving: (1.0 + servers) / (live + 1.0),
            timeout_s: self.timing.timeout_s(0),
            paced,
            crossed: self.others.as_ref().map_or(0.0, Others::crossed),
            hops: Hops::of(&timing, paced, &self.law),
            others,
        }
    }
}

/// What attempts depend on where round trips take this long.
fn attempts(inputs: &BroadcastInputs, timing: &Timing) -> Attempts {
    Attempts {
        loss: inputs.loss,
        dead: inputs.dead,
        late: std::array::from_fn(|attempt| timing.ack_late(timing.timeout_s(attempt as u32))),
        backoff: inputs.backoff,
    }
}

impl Broadcast {
    /// Solves the broadcast of inputs that pass [`BroadcastInputs::check`].
    pub fn of(inputs: &BroadcastInputs) -> Broadcast {
        let divided = Divided::of(inputs);
        divided.broadcast(inputs.pacing_s, divided.paced(inputs))
    }

    /// When nobody tells any more, in seconds.
    pub fn ends_s(&self) -> f64 {
        self.others.iter().map(OthersTold::ends_s).fold(self.hops.ends_s(), f64::max)
    }

    /// The share of live members that have been told `time_s` after the originator began.
    pub fn told_s(&self, time_s: f64) -> f64 {
        let here = self.hops.told_s(time_s);
        self.others.as_ref().map_or(here, |others| others.mixed(here, others.told_s(time_s)))
    }

    /// The time after which a `share` of all live members has been told. None if repair has to tell so many.
    pub fn delay_s(&self, share: f64) -> Option<f64> {
        let highest = self.ends_s();
        let untold = |time_s: f64| 1.0 - self.told_s(time_s);
        (untold(highest) <= 1.0 - share).then(|| quantile(share, highest, untold))
    }

    /// The originator's delegations as the usual formula has them: `(2^b - 1) log_2^b n`.
    pub fn originator_formula(members: u32, step_bits: u8) -> f64 {
        let parts = f64::from(1_u32 << step_bits);
        (parts - 1.0) * f64::from(members.max(1)).log(parts)
    }
}

#[cfg(test)]
mod experiment;
#[cfg(test)]
mod tests;
