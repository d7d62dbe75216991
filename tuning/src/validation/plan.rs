//! Which trials are run to confirm settings: some with crashes and events, some quiet.
//!
//! Crashes and events are what detection and spread are measured on, and there have to be hundreds of them for
//! a 99th percentile; but their news are traffic too. So bytes are measured in trials of their own, with no
//! crash and the events of the objective.
//!
//! How much a trial costs is reckoned before it is run ([`Plan::crashing_core_s`], [`Plan::quiet_core_s`]), from
//! counts alone: what is run follows from the objective and the seed, never from how busy the machine is.

use std::time::Duration;

use swimring::Settings;
use swimring_simulation::experiment::TrialOptions;

use crate::objective::{Measures, Objective};
use crate::sweep::cost::core_s;

/// Crashes that a 99th percentile wants: from 368 on its interval has an upper end.
pub const CRASHES_WANTED: usize = 400;
/// Share of the members that crash in a trial at most, so that the cluster stays what it is.
const CRASH_SHARE_MAX: f64 = 0.01;
/// Crashes times members of a trial at most: the news of a crash takes every member some 10 us of a core, less
/// where many share the frames, and the threads are to end together.
const CRASHES_BY_MEMBERS_MAX: u32 = 1_000_000;
/// But so many crashes at least.
const CRASHES_MIN: u32 = 2;
/// Pieces of news in a frame at most, on average: a frame holds several times as many, so that the crashes of a
/// trial do not crowd out each other's news.
const NEWS_PER_FRAME: f64 = 10.0;
/// Crashes per simulated second at most, whatever frames hold.
const CRASHES_PER_SECOND_MAX: f64 = 20.0;
/// Probe intervals in the measured time: what probing sends is then even.
const PROBE_INTERVALS: f64 = 6.0;
/// Longest measured time.
const DURATION_MAX_S: f64 = 600.0;
/// Events per second in trials with crashes at most, but for the objective's own: to measure their spread.
const EVENTS_PER_SECOND_MAX: f64 = 1.0;
/// Events for each crash: their news is to be the lesser part.
const EVENTS_PER_CRASH: f64 = 0.3;
/// Added to the seeds of quiet trials.
const QUIET: u64 = 1 << 40;

/// The trials of some settings.
#[derive(Clone, Debug)]
pub struct Plan {
    base: TrialOptions,
    events_per_second: f64,
    quiet_s: f64,
    /// Time from a crash until all know, 99 % of the crashes.
    detect_s: f64,
}

impl Plan {
    /// The plan for `settings`, in the network of `objective`, with `members` members, which are predicted to do as
    /// `predicted`.
    pub fn new(objective: &Objective, settings: &Settings, predicted: &Measures, members: u32) -> Plan {
        let interval_s = settings.probe_interval.as_secs_f64();
        let share = (f64::from(members) * CRASH_SHARE_MAX).max(1.0) as u32;
        let quick = (CRASHES_BY_MEMBERS_MAX / members).max(CRASHES_MIN);
        let crashes = share.min(quick).clamp(1, (members / 2).max(1));
        let two_thirds_s = f64::from(crashes) / crashes_per_second(settings, members);
        let duration_s = (PROBE_INTERVALS * interval_s).max(two_thirds_s * 1.5).clamp(2.0, DURATION_MAX_S);
        let base = TrialOptions {
            settings: settings.clone(),
            wire: objective.target.wire(),
            behaviour: objective.target.behaviour(),
            warm_up: settings.probe_interval.max(Duration::from_secs(2)),
            duration: Duration::from_secs_f64(duration_s),
            drain_max: Duration::from_secs_f64(drain_s(predicted)),
            latency: objective.network.latency(),
            zones: objective.network.zones_among(members),
            zone_delay: objective.network.zone_delay(),
            loss: objective.network.loss,
            impaired: objective.network.impaired(members),
            crashes,
            ..TrialOptions::new(0, members)
        };
        let detect_s = if predicted.detect_all_p99_s.is_finite() { predicted.detect_all_p99_s } else { 60.0 };
        Plan { base, events_per_second: objective.events_per_second, quiet_s: 4.0 * interval_s, detect_s }
    }

    /// A trial with crashes and events.
    pub fn crashing(&self, seed: u64) -> TrialOptions {
        TrialOptions { seed, events_per_second: self.crashing_events_per_second(), ..self.base.clone() }
    }

    fn crashing_events_per_second(&self) -> f64 {
        let two_thirds_s = self.base.duration.as_secs_f64() * 2.0 / 3.0;
        // One at least: half a one would be none.
        let few = (f64::from(self.base.crashes) * EVENTS_PER_CRASH).max(1.0) / two_thirds_s;
        self.events_per_second.max(few.min(EVENTS_PER_SECOND_MAX).max(1.01 / two_thirds_s))
    }

    /// A trial without crashes, with the objective's events.
    pub fn quiet(&self, seed: u64) -> TrialOptions {
        // Enough member-seconds for a steady mean; large clusters have them in a few intervals.
        let enough_s = 30_000.0 / f64::from(self.base.members);
        TrialOptions {
            seed: seed + QUIET,
            crashes: 0,
            events_per_second: self.events_per_second,
            duration: Duration::from_secs_f64(enough_s.clamp(self.quiet_s.max(3.0), 300.0)),
            drain_max: Duration::ZERO,
            ..self.base.clone()
        }
    }

    /// Crashes of one trial.
    pub fn crashes(&self) -> u32 {
        self.base.crashes
    }

    /// Members.
    pub fn members(&self) -> u32 {
        self.base.members
    }

    /// Seconds of an idle core that a trial with crashes takes, about.
    pub fn crashing_core_s(&self) -> f64 {
        core_s(&self.crashing(0), self.detect_s)
    }

    /// The same of a trial without crashes.
    pub fn quiet_core_s(&self) -> f64 {
        core_s(&self.quiet(0), 0.0)
    }
}

/// Crashes per simulated second whose news the members' gossip carries with ease.
fn crashes_per_second(settings: &Settings, members: u32) -> f64 {
    let frames = f64::from(settings.gossip_fanout) / settings.gossip_interval.as_secs_f64();
    // A crash is news twice: suspected, then dead. Each member tells both so often.
    let told = 2.0 * f64::from(settings.retransmit_limit(members as usize));
    (frames * NEWS_PER_FRAME / told).min(CRASHES_PER_SECOND_MAX)
}

/// How long after the measured time crashes are followed: what was predicted, several times over.
fn drain_s(predicted: &Measures) -> f64 {
    let all = if predicted.detect_all_p99_s.is_finite() { predicted.detect_all_p99_s } else { 60.0 };
    (3.0 * all + 5.0).min(600.0)
}
