//! Adaptive suspicion: from a crash to the first declaration, and how often a live member is declared dead.
//!
//! The engine's own (`engine/src/protocol/adaptive.rs` and `spread.rs`; docs/PROTOCOL.md): a *witness*, whose own
//! probe failed and whose relays nacked, declares after a short window; everyone else keeps Lifeguard's
//! timeout.
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
//! **Window.** What `spread.rs` computes, with what it measures put at its mean: the loss it estimates from a
//! share m of probes without a direct ack settles where `m (1 - x) / 16 = (1 - m) x / 32`, at `2m / (1 + m)`,
//! not below 2 %. With b the fanout less that loss, g the gossip interval and n members,
//!
//! ```text
//! appeals = ceil(ln bound / ln x)
//! window  = max(appeals g, g + g ln n / ln(1 + b) + g ln n / b) + rtt, within the floor and Lifeguard's Min
//! ```
//!
//! A nack takes two datagrams. With fewer nacks than K the first witness waits for another accuser. Those come by
//! their own choice, one in two intervals on average, and that is what the form adds.
//!
//! **False deaths.** A witness has appealed in vain, with chance f^appeals, where f is a lost round trip; or
//! somebody's Lifeguard timeout has run out, as without witnesses.

use swimring::protocol::Settings;

use super::Environment;
use super::detection::FirstSuspicion;
use super::false_positives::Probe;
use super::special::{fewer_successes, quantile};
use super::suspicion::Window;

/// Bounds of the loss that the engine believes.
const LOSS_MIN: f64 = 0.02;
const LOSS_MAX: f64 = 0.9;
/// Most appeals of one witness.
const APPEALS_MAX: f64 = 64.0;
/// Parts that the distribution of the first probe is cut into.
const PARTS: usize = 200;

/// Suspicion as a witness sees it.
#[derive(Clone, Copy, Debug)]
pub struct Adaptive {
    first: FirstSuspicion,
    interval_s: f64,
    loss: f64,
    /// What a witness waits, in seconds.
    pub window_s: f64,
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
        let told = f64::from(settings.gossip_fanout) * (1.0 - estimated);
        let logarithm = f64::from(members).ln();
        let by_gossip = gossip_s * (1.0 + logarithm / (1.0 + told).ln() + logarithm / told);
        let needed = (appeals * gossip_s).max(by_gossip) + environment.rtt_median_ms / 1e3;
        let lifeguard = Window::of(settings, members);
        let window_s = needed.max(settings.suspicion_floor.as_secs_f64()).min(lifeguard.shortest_s);
        let relays = u32::from(settings.indirect_checks).min(members.saturating_sub(2));
        Adaptive {
            first: FirstSuspicion { probers: members - 1, interval_s: 2.0 * interval_s },
            interval_s,
            loss: environment.loss,
            window_s,
            agreed: 1.0 - fewer_successes(lifeguard.needed, relays.into(), arrives.powi(2)),
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
        let mut times = Vec::with_capacity(2 * PARTS);
        for time_s in first {
            let at_s = time_s + self.interval_s + self.window_s;
            times.push((at_s, self.agreed));
            times.push((at_s + again_s, 1.0 - self.agreed));
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

#[cfg(test)]
mod tests {
    use swimring::protocol::settings::{Preset, SuspicionMode};

    use super::*;

    fn of(members: u32, loss: f64) -> Adaptive {
        let settings = Settings { suspicion: SuspicionMode::Adaptive, ..Settings::preset(Preset::Lan) };
        let environment = Environment { members, loss, ..Environment::default() };
        Adaptive::of(&settings, &environment, &Probe::of(&settings, &environment), 1.0)
    }

    #[test]
    fn the_crashed_are_declared_within_the_window_of_their_first_failed_probe() {
        let adaptive = of(100, 0.0);
        // LAN's floor, which is above what 100 members need.
        assert_eq!((adaptive.window_s, adaptive.agreed), (2.0, 1.0));
        let [median_s, late_s] = adaptive.declared_s([0.5, 0.99]);
        assert!((3.5..3.8).contains(&median_s), "{median_s}");
        assert!((4.8..5.05).contains(&late_s), "{late_s}");
        assert!((adaptive.suspected_s(0.5) + 2.0 - median_s).abs() < 0.02);
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
        assert!(of(100_000, 0.0).window_s < 3.0, "{}", of(100_000, 0.0).window_s);
        assert!(of(100, 0.01).unheard < 1e-6, "{:?}", of(100, 0.01));
    }
}
