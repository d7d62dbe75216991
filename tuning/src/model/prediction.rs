//! All closed forms together: settings and environment in, what a report would say out.
//!
//! Where the settings delegate and the wire is native, news spreads and costs what
//! [`mod@super::delegation`] says, otherwise what gossip's forms say.

use std::sync::Arc;

use serde::Serialize;
use swimring::protocol::Settings;
use swimring::protocol::settings::SuspicionMode;
use swimring_simulation::experiment::WireSizes;

use super::adaptive::Adaptive;
use super::delegation::traffic::Rates;
use super::delegation::{Broadcast, BroadcastInputs, Known};
use super::detection::FirstSuspicion;
use super::false_positives::{Probe, believed};
use super::special::fewer_successes;
use super::spread::{Spread, SpreadInputs};
use super::suspicion::{FirstDeclared, Refutation, Window};
use super::telling::{Delegated, Telling, delegates};
use super::traffic::Traffic;
use super::{Environment, cpu};

const DAY_S: f64 = 86_400.0;

/// What the forms say. Infinite where something never happens: a rumour that leaves members out has no p99.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Time from a crash to the first suspicion, in seconds.
    pub first_suspicion_p50_s: f64,
    /// The same within which 99 % of crashes are suspected.
    pub first_suspicion_p99_s: f64,
    /// Time from a crash to the first member that declares it.
    pub first_declared_p50_s: f64,
    /// The same of 99 % of crashes.
    pub first_declared_p99_s: f64,
    /// Time from a crash to the last live member that knows.
    pub all_declared_p50_s: f64,
    /// The same of 99 % of crashes.
    pub all_declared_p99_s: f64,
    /// Time from a user event to its delivery to a member, in milliseconds.
    pub spread_p50_ms: f64,
    /// The same of 99 % of deliveries.
    pub spread_p99_ms: f64,
    /// Time from a user event to its last delivery, the median.
    pub spread_last_p50_ms: f64,
    /// The share of members that a rumour does not reach by gossip, or an update by delegation.
    pub missed_share: f64,
    /// Copies of one rumour or update that a member sends.
    pub copies_per_update: f64,
    /// Acknowledgements of one update that a member sends; 0 with gossip.
    pub acks_per_update: f64,
    /// Copies among those that were sent again for want of an acknowledgement; 0 with gossip.
    pub retransmissions_per_update: f64,
    /// Copies of one update that cross to each zone but its origin's; 0 without zones.
    pub crossed_per_zone: f64,
    /// Payload bytes of datagrams that a member sends per second.
    pub bytes_per_member_second: f64,
    /// Bytes of streams (push/pull) that a member sends per second.
    pub stream_bytes_per_member_second: f64,
    /// Datagrams that a member sends per second.
    pub datagrams_per_member_second: f64,
    /// Probes that fail although their target lives, per member and day.
    pub false_accusations_per_member_day: f64,
    /// Live members suspected, counted for each observer, per observer and day.
    pub false_suspicions_per_member_day: f64,
    /// Live members declared dead, each counted once, in the whole cluster per day. An upper bound.
    pub false_deaths_per_day: f64,
    /// CPU microseconds per member-second.
    pub cpu_us_per_member_second: f64,
}

/// How news spreads among members with these settings, in this environment.
pub fn telling_of(settings: &Settings, environment: &Environment) -> Box<dyn Telling> {
    let probe = Probe::of(settings, &environment.to_another_zone());
    match News::of(settings, environment, &probe, &Known::default()) {
        News::Gossip { spread, .. } => spread,
        News::Delegated { telling, .. } => Box::new(telling),
    }
}

/// How news is told, and what a member sends.
enum News {
    Gossip { traffic: Traffic, inputs: SpreadInputs, spread: Box<Spread> },
    Delegated { traffic: Traffic, broadcast: Arc<Broadcast>, telling: Delegated },
}

impl News {
    fn of(settings: &Settings, environment: &Environment, probe: &Probe, known: &Known) -> News {
        if delegates(settings, environment) {
            let rates = Rates::of(settings, environment, probe);
            let inputs = BroadcastInputs::of(settings, environment);
            let inputs = BroadcastInputs { updates_per_s: rates.updates_per_s(), ..inputs };
            let broadcast = known.broadcast(&inputs);
            let traffic = Traffic::delegated(settings, environment, probe, &broadcast, &rates);
            let telling = Delegated::new(Arc::clone(&broadcast), environment.members);
            return News::Delegated { traffic, broadcast, telling };
        }
        let traffic = Traffic::of(settings, environment, probe);
        let inputs = spread_inputs(settings, environment, &traffic);
        News::Gossip { traffic, inputs, spread: Box::new(Spread::of(&inputs)) }
    }

    fn traffic(&self) -> &Traffic {
        match self {
            News::Gossip { traffic, .. } | News::Delegated { traffic, .. } => traffic,
        }
    }

    fn telling(&self) -> &dyn Telling {
        match self {
            News::Gossip { spread, .. } => &**spread,
            News::Delegated { telling, .. } => telling,
        }
    }

    /// Acknowledgements and retransmissions of one update, per member.
    fn acknowledged(&self) -> (f64, f64) {
        match self {
            News::Gossip { .. } => (0.0, 0.0),
            News::Delegated { broadcast, .. } => (broadcast.acks, broadcast.copies - broadcast.delegations),
        }
    }

    /// Copies of one update that cross to each other zone.
    fn crossed_per_zone(&self, environment: &Environment) -> f64 {
        match self {
            // A copy of a member goes to a random other: as often to each zone.
            News::Gossip { traffic, .. } if environment.zones > 1 => {
                traffic.copies * f64::from(environment.members) / f64::from(environment.zones)
            }
            News::Gossip { .. } => 0.0,
            News::Delegated { broadcast, .. } => broadcast.crossed,
        }
    }

    /// From the first declaration to the last, with Lifeguard's timeouts.
    fn everyone_declares_s(&self) -> f64 {
        match self {
            News::Gossip { spread, inputs, .. } => everyone_declares_s(spread, inputs),
            // Who has not heard of the declaration, and not of the suspicion as long before.
            News::Delegated { telling, .. } => telling.last_of_s(2, 0.5).unwrap_or(telling.ends_s()),
        }
    }
}

fn spread_inputs(settings: &Settings, environment: &Environment, traffic: &Traffic) -> SpreadInputs {
    SpreadInputs {
        members: environment.members,
        fanout: settings.gossip_fanout.into(),
        gossip_interval_s: settings.gossip_interval.as_secs_f64(),
        piggybacked_per_s: traffic.piggybacked_per_s,
        copies: traffic.copies,
        loss: environment.loss,
        latency_s: (environment.rtt_median_ms + environment.in_other_zones() * environment.zone_rtt_ms) / 2e3,
    }
}

/// What valid `settings` give in a checked `environment`.
pub fn predict(settings: &Settings, environment: &Environment) -> Prediction {
    predict_known(settings, environment, &Known::default())
}

/// The same for a search, which asks often: broadcasts come from `known`, or go there.
pub fn predict_known(settings: &Settings, environment: &Environment, known: &Known) -> Prediction {
    let members = environment.members.max(2);
    // Only what is told knows zones.
    let (zoned, environment) = (environment, &environment.to_another_zone());
    let probe = Probe::of(settings, environment);
    let news = News::of(settings, zoned, &probe, known);
    let (traffic, spread) = (news.traffic(), news.telling());
    let interval_s = settings.probe_interval.as_secs_f64() * probe.stretch();
    let first = FirstSuspicion { probers: members - 1, interval_s };
    let window = Window::of(settings, members);
    let travel_s = spread.delay_s(0.5).unwrap_or(spread.ends_s());
    let adaptive = adaptive(settings, environment, &probe);
    let [first_declared_p50_s, first_declared_p99_s] =
        declared_s(settings, environment, &probe, spread, [0.5, 0.99]);
    let rest_s = match &adaptive {
        // All but the witnesses are told.
        Some(_) => spread.last_s(0.5).unwrap_or(spread.ends_s()),
        None => news.everyone_declares_s(),
    };
    let suspected_s =
        |share| adaptive.as_ref().map_or_else(|| first.quantile_s(share), |known| known.suspected_s(share));
    let (acks_per_update, retransmissions_per_update) = news.acknowledged();
    let ms = |seconds: Option<f64>| seconds.map_or(f64::INFINITY, |seconds| seconds * 1e3);
    let accusations = probe.accusations_per_member_second(settings);
    // A subject that is still suspected is not suspected anew.
    let cycle_s = 2.0 * travel_s;
    let episodes = accusations / (1.0 + accusations * cycle_s);
    let deaths = false_death_chance(settings, environment, &probe, spread, &window)
        + adaptive.map_or(0.0, |adaptive| adaptive.unheard);
    Prediction {
        first_suspicion_p50_s: suspected_s(0.5),
        first_suspicion_p99_s: suspected_s(0.99),
        first_declared_p50_s,
        first_declared_p99_s,
        all_declared_p50_s: first_declared_p50_s + rest_s,
        all_declared_p99_s: first_declared_p99_s + rest_s,
        spread_p50_ms: ms(spread.delay_s(0.5)),
        spread_p99_ms: ms(spread.delay_s(0.99)),
        spread_last_p50_ms: ms(spread.last_s(0.5)),
        missed_share: spread.missed(),
        copies_per_update: traffic.copies,
        acks_per_update,
        retransmissions_per_update,
        crossed_per_zone: news.crossed_per_zone(zoned),
        bytes_per_member_second: traffic.bytes,
        stream_bytes_per_member_second: traffic.stream_bytes,
        datagrams_per_member_second: traffic.datagrams,
        false_accusations_per_member_day: accusations * DAY_S,
        false_suspicions_per_member_day: episodes * f64::from(members - 1) * believed(members) * DAY_S,
        false_deaths_per_day: f64::from(members) * episodes * deaths * DAY_S,
        cpu_us_per_member_second: cpu::us_per_member_second(
            traffic.datagrams,
            environment.cpu_us_per_datagram,
        ),
    }
}

/// The times from a crash within which these `shares` of crashes are declared by somebody, in seconds, with
/// these settings, in this environment.
pub fn declared_of<const COUNT: usize>(
    settings: &Settings,
    environment: &Environment,
    shares: [f64; COUNT],
) -> [f64; COUNT] {
    let telling = telling_of(settings, environment);
    let environment = &environment.to_another_zone();
    declared_s(settings, environment, &Probe::of(settings, environment), &*telling, shares)
}

fn adaptive(settings: &Settings, environment: &Environment, probe: &Probe) -> Option<Adaptive> {
    let interval_s = settings.probe_interval.as_secs_f64() * probe.stretch();
    (settings.suspicion.on(environment.wire == WireSizes::Native) == SuspicionMode::Adaptive)
        .then(|| Adaptive::of(settings, environment, probe, interval_s))
}

fn declared_s<const COUNT: usize>(
    settings: &Settings,
    environment: &Environment,
    probe: &Probe,
    spread: &dyn Telling,
    shares: [f64; COUNT],
) -> [f64; COUNT] {
    if let Some(adaptive) = adaptive(settings, environment, probe) {
        return adaptive.declared_s(shares);
    }
    let members = environment.members.max(2);
    let interval_s = settings.probe_interval.as_secs_f64() * probe.stretch();
    let first = FirstSuspicion { probers: members - 1, interval_s };
    let travel_s = spread.delay_s(0.5).unwrap_or(spread.ends_s());
    FirstDeclared { first: &first, window: Window::of(settings, members), travel_s }.quantiles_s(shares)
}

/// From the first declaration to the last. Every member declares for itself, as long after the first as it
/// heard of the suspicion later; and it is told by those who have declared already. Without either it does not
/// know yet: the hazard of being told grows with the number of those who have declared.
fn everyone_declares_s(spread: &Spread, inputs: &SpreadInputs) -> f64 {
    let others = f64::from(inputs.members.max(2) - 1);
    let rate = inputs.fanout.min(others) / inputs.gossip_interval_s + inputs.piggybacked_per_s;
    let told_per_s = rate * (1.0 - inputs.loss);
    let step_s = inputs.gossip_interval_s / 8.0;
    let (mut untold, mut time_s, mut unaware) = (1.0_f64, 0.0, 1.0_f64);
    // The last one: even odds that nobody is left.
    while others * unaware > std::f64::consts::LN_2 && time_s < spread.ends_s() {
        untold *= (-told_per_s * (1.0 - unaware) * step_s).exp();
        time_s += step_s;
        unaware = untold * spread.uninformed_s(time_s - inputs.latency_s);
    }
    time_s + inputs.latency_s
}

/// The probability that a falsely accused member is declared dead.
fn false_death_chance(
    settings: &Settings,
    environment: &Environment,
    probe: &Probe,
    spread: &dyn Telling,
    window: &Window,
) -> f64 {
    let arrives = 1.0 - environment.loss;
    let probes_per_s = 1.0 / (settings.probe_interval.as_secs_f64() * probe.stretch());
    let period_s = settings.push_pull_period(environment.members as usize).as_secs_f64();
    let push_pulls_per_s = if period_s > 0.0 { 2.0 / period_s } else { 0.0 };
    // Acks carry the state root: who differs for long asks for what it missed.
    let repair_per_s = match environment.wire {
        WireSizes::Native => probes_per_s * arrives.powi(2),
        WireSizes::Memberlist => push_pulls_per_s,
    };
    let refutation = Refutation::of(spread, probes_per_s * arrives, repair_per_s, window.longest_s);
    // Another prober of the same subject has bad luck within a window.
    let others = f64::from(environment.members.saturating_sub(2));
    let each_per_s = probe.accusations_per_member_second(settings) / others.max(1.0);
    let at_most = |confirmations: u32| {
        let chance = -(-each_per_s * window.timeout_s(confirmations)).exp_m1();
        1.0 - fewer_successes(confirmations, others, chance)
    };
    (0..=window.needed)
        .map(|confirmations| {
            let shorter = if confirmations < window.needed { at_most(confirmations + 1) } else { 0.0 };
            let share = (at_most(confirmations) - shorter).max(0.0);
            share * refutation.too_late(window.timeout_s(confirmations))
        })
        .sum()
}

#[cfg(test)]
#[path = "prediction_tests.rs"]
mod tests;
