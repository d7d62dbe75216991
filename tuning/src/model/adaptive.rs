//! Adaptive suspicion: from a crash to the first declaration, and how often a live member is declared dead.
//!
//! The engine's own (`engine/src/protocol/detection/adaptive.rs`, `dissemination/spread_estimate.rs`; docs/PROTOCOL.md): a
//! *witness*, whose own probe failed, whose relays nacked, and to whom the crashed member's host has refused a
//! connection, declares after a short window; everyone else keeps Lifeguard's timeout. What crashes is taken to be a
//! process, whose host goes on and refuses.
//!
//! **First probe after the crash.** Every second probe of a member is its own choice, so the crashed member is
//! chosen half as often as with Lifeguard: with probability `u(t)` nobody has in time t, where [`FirstSuspicion`]
//! has the double interval. The other probes return a received ping: the member that was pinged last before
//! its crash pings it back at a random time of the next two intervals P. Nobody has begun to probe it after t with
//!
//! ```text
//! u(t) max(0, 1 - t / 2P)
//! ```
//!
//! which ends at two intervals unless that ping, its return or the returning member itself gets lost: a share l
//! of crashes has the first factor alone.
//!
//! **Window.** What `spread_estimate.rs` computes, with what it measures put at its mean: the loss it estimates from a
//! share m of probes without a direct ack settles where `m (1 - x) / 16 = (1 - m) x / 32`, at `2m / (1 + m)`,
//! not below 2 %. With b the fanout less that loss, g the gossip interval and n members, delegation's d bits, pacing p
//! and shortest timeout t, a = max(50 ms, rtt) within g, and r = ceil(ln 0.001 / ln x) attempts up to 6,
//!
//! ```text
//! appeals   = ceil(ln bound / ln x)
//! gossip    = g + g ln n / ln(1 + b) + g ln n / b
//! delegated = ceil(log2 n / d) (rtt / 2 + p) + max(t, rtt) (2^r - 1)
//! window    = max(a appeals, gossip or delegated) + rtt, within the floor and Lifeguard's Min
//! ```
//!
//! **Refusal.** The connection is tried half way between probe timeout and interval. If its first packet or the answer is
//! lost it is tried again a second later, and the refusal may come after the window; if that fails too, nothing is found
//! out, and the window has the longer floor.
//!
//! A nack takes two datagrams. With fewer nacks than K, less the one that a refusal counts for, the first witness waits for
//! another accuser. Those come by their own choice, one in two intervals on average, and that is what the form adds.
//!
//! **False deaths.** A witness has appealed in vain, with chance f^appeals, where f is a lost round trip; or
//! somebody's Lifeguard timeout has run out, as without witnesses.

use std::time::Duration;

use swimring::protocol::Settings;

use super::Environment;
use super::detection::FirstSuspicion;
use super::false_positives::Probe;
use super::special::{fewer_successes, quantile};
use super::suspicion::Window;
use super::telling::delegates;

/// Bounds of the loss that the engine believes.
const LOSS_MIN: f64 = 0.02;
const LOSS_MAX: f64 = 0.9;
/// Most appeals of one witness.
const APPEALS_MAX: f64 = 64.0;
/// Least time between two of them.
const APPEALS_APART_S: f64 = 0.05;
/// Share of members that a delegated broadcast may not have reached in the time that is reckoned with, and most attempts
/// of a delegation.
const UNTOLD: f64 = 1e-3;
const ATTEMPTS_MAX: f64 = 6.0;
/// First retransmission timeout of a handshake.
const HANDSHAKE_RESEND_S: f64 = 1.0;
/// Parts that the distribution of the first probe is cut into.
const PARTS: usize = 200;

/// Suspicion as a witness sees it.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive {
    first: FirstSuspicion,
    interval_s: f64,
    loss: f64,
    /// What a witness waits, in seconds, for a member whose host refuses the connection.
    pub window_s: f64,
    /// The times that it may come to wait, by when a refusal comes, with their probabilities.
    waits: [(f64, f64); 3],
    /// The probability that enough relays nack at once.
    pub agreed: f64,
    /// The probability that every appeal of a witness to a live member is in vain.
    pub unheard: f64,
}

impl Adaptive {
    /// With these settings, in this environment. `interval_s`: the probe interval as local health stretches it.
    pub fn of(settings: &Settings, environment: &Environment, probe: &Probe, interval_s: f64) -> Adaptive {
        let members = environment.members.max(2);
        let arrives = 1.0 - environment.loss;
        let missed = probe.unanswered;
        let estimated = (2.0 * missed / (1.0 + missed)).clamp(LOSS_MIN, LOSS_MAX);
        let appeals = (settings.false_death_bound.ln() / estimated.ln()).ceil().clamp(1.0, APPEALS_MAX);
        let gossip_s = settings.gossip_interval.as_secs_f64();
        let rtt_s = environment.rtt_median_ms / 1e3;
        let told_s = if delegates(settings, environment) {
            delegated_s(settings, members, estimated, rtt_s)
        } else {
            let told = f64::from(settings.gossip_fanout) * (1.0 - estimated);
            let logarithm = f64::from(members).ln();
            gossip_s * (1.0 + logarithm / (1.0 + told).ln() + logarithm / told)
        };
        let apart_s = APPEALS_APART_S.max(rtt_s).min(gossip_s);
        let needed_s = (appeals * apart_s).max(told_s) + rtt_s;
        let lifeguard = Window::of(settings, members);
        let within = |floor: Duration| needed_s.max(floor.as_secs_f64()).min(lifeguard.shortest_s);
        let window_s = within(settings.suspicion_floor);
        let unknown_s = within(settings.unreachable_floor).max(window_s);
        let waits = waits(settings, environment, interval_s, (window_s, unknown_s));
        let relays = u32::from(settings.indirect_checks).min(members.saturating_sub(2));
        Adaptive {
            first: FirstSuspicion { probers: members - 1, interval_s: 2.0 * interval_s },
            interval_s,
            loss: environment.loss,
            window_s,
            waits,
            agreed: 1.0 - fewer_successes(lifeguard.needed.saturating_sub(1), relays.into(), arrives.powi(2)),
            unheard: (1.0 - arrives.powi(2)).powf(appeals),
        }
    }

    /// The probability that nobody has begun to probe the crashed member after `time_s`.
    fn unprobed_s(&self, time_s: f64) -> f64 {
        let lost = 1.0 - (1.0 - self.loss).powi(2);
        let returned = (1.0 - time_s / (2.0 * self.interval_s)).max(0.0);
        self.first.unprobed_s(time_s) * (lost + (1.0 - lost) * returned)
    }

    fn first_probe_s(&self, share: f64) -> f64 {
        quantile(share, self.first.longest_s(), |time_s| self.unprobed_s(time_s))
    }

    /// The time from a crash within which a `share` of crashes is suspected, in seconds.
    pub fn suspected_s(&self, share: f64) -> f64 {
        self.interval_s + self.first_probe_s(share)
    }

    /// The times within which these `shares` of crashes are declared by somebody, in seconds.
    pub fn declared_s<const COUNT: usize>(&self, shares: [f64; COUNT]) -> [f64; COUNT] {
        let part = |index: usize| self.first_probe_s((index as f64 + 0.5) / PARTS as f64);
        let first: [f64; PARTS] = std::array::from_fn(part);
        let again_s = 2.0 * self.interval_s;
        let mut times = Vec::with_capacity(6 * PARTS);
        for time_s in first {
            for (wait_s, chance) in self.waits {
                let at_s = time_s + self.interval_s + wait_s;
                times.push((at_s, chance * self.agreed));
                times.push((at_s + again_s, chance * (1.0 - self.agreed)));
            }
        }
        times.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        shares.map(|share| {
            let mut below = 0.0;
            let found = times.iter().find(|(_, weight)| {
                below += weight / PARTS as f64;
                below >= share
            });
            found.unwrap_or(&times[times.len() - 1]).0
        })
    }
}

/// What the engine reckons a delegated broadcast to take.
fn delegated_s(settings: &Settings, members: u32, loss: f64, rtt_s: f64) -> f64 {
    let levels = (f64::from(members).log2() / f64::from(settings.delegation_bits)).ceil();
    let timeout_s = settings.delegation_timeout_min.as_secs_f64().max(rtt_s.min(2.0));
    let attempts = (UNTOLD.ln() / loss.ln()).ceil().clamp(1.0, ATTEMPTS_MAX);
    levels * (rtt_s / 2.0 + settings.delegation_pacing.as_secs_f64()) + timeout_s * (attempts.exp2() - 1.0)
}

/// How long a witness comes to wait, with a refusal at the first or second try or none.
fn waits(
    settings: &Settings,
    environment: &Environment,
    interval_s: f64,
    (window_s, unknown_s): (f64, f64),
) -> [(f64, f64); 3] {
    if !settings.stream_fallback {
        return [(unknown_s, 1.0), (unknown_s, 0.0), (unknown_s, 0.0)];
    }
    let refused = (1.0 - environment.loss).powi(2);
    let left_s = (interval_s - settings.probe_timeout.as_secs_f64()).max(0.0) / 2.0;
    let again_s = HANDSHAKE_RESEND_S + environment.rtt_median_ms / 1e3 - left_s;
    [
        (window_s, refused),
        (window_s.max(again_s).min(unknown_s), (1.0 - refused) * refused),
        (unknown_s, (1.0 - refused).powi(2)),
    ]
}

#[cfg(test)]
mod tests {
    use swimring::protocol::settings::{Dissemination, Preset, SuspicionMode};

    use super::*;

    fn of(members: u32, loss: f64) -> Adaptive {
        let (suspicion, dissemination) = (SuspicionMode::Adaptive, Dissemination::Delegated);
        let settings = Settings { suspicion, dissemination, ..Settings::preset(Preset::Lan) };
        let environment = Environment { members, loss, ..Environment::default() };
        Adaptive::of(&settings, &environment, &Probe::of(&settings, &environment), 1.0)
    }

    #[test]
    fn the_crashed_are_declared_within_the_window_of_their_first_failed_probe() {
        let adaptive = of(100, 0.0);
        // LAN's floor, which is above what 100 members need.
        assert_eq!((adaptive.window_s, adaptive.agreed), (0.75, 1.0));
        let [median_s, late_s] = adaptive.declared_s([0.5, 0.99]);
        assert!((2.25..2.55).contains(&median_s), "{median_s}");
        assert!((3.55..3.8).contains(&late_s), "{late_s}");
        assert!((adaptive.suspected_s(0.5) + 0.75 - median_s).abs() < 0.02);
    }

    /// Own choices and the return of the last ping, drawn.
    #[test]
    fn first_probes_come_as_in_an_experiment() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (members, runs) = (50_u32, 40_000);
        let mut times: Vec<f64> = (0..runs)
            .map(|_| {
                let returned = rng.f64() * 2.0;
                // In two intervals each of the others chooses once.
                let chosen = (1..members).filter(|_| rng.u32(..members - 1) == 0);
                let chosen = chosen.count();
                (0..chosen).map(|_| rng.f64() * 2.0).fold(returned, f64::min)
            })
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        let adaptive = of(members, 0.0);
        for share in [0.1, 0.5, 0.9] {
            let measured = times[(share * f64::from(runs)) as usize];
            let formula = adaptive.first_probe_s(share);
            assert!((formula - measured).abs() < 0.05, "{share}: {formula} {measured}");
        }
    }

    #[test]
    fn loss_lengthens_the_window_and_size_hardly() {
        assert!(of(100, 0.2).window_s > of(100, 0.0).window_s);
        assert!(of(100_000, 0.0).window_s < 1.0, "{}", of(100_000, 0.0).window_s);
        assert!(of(100, 0.01).unheard < 1e-6, "{:?}", of(100, 0.01));
    }
}
