//! False suspicions: how often a probe of a live member fails, and what local health makes of it.
//!
//! SWIM section 3.1, with datagrams lost independently with probability l and round trips that are
//! log-normal. A probe that begins at 0 with timeout t and interval P has failed at P if
//!
//! - the direct ack has not come: ping or ack lost, or the round trip longer than P (an ack that is late for
//!   the timeout still counts): `1 - (1-l)^2 F(P)`;
//! - none of K relays has come through: four datagrams each, and two round trips in P - t:
//!   `(1 - (1-l)^4 F2(P - t))^K`. They are asked only when the timeout has passed, but then the direct ack may
//!   still come, so the two are independent;
//! - the stream, tried half way through the rest, has not been answered in the half that is left: see
//!   `stream_probe`.
//!
//! F is the round trip's distribution, F2 that of two: log-normal again, with twice the median and sigma less
//! by the root of two.
//!
//! **Local health** (Lifeguard section IV.A). A failed probe raises the prober's score by the nacks that were
//! missed, a successful one lowers it by one; a refutation raises the subject's by one, and on average a member is
//! accused as often as it accuses. Interval and timeout are stretched by the score plus one. A nack
//! is missed if the request or the nack was lost; it is due if the relay's own probe failed. The score is a
//! Markov chain on 0..=S; its stationary mean, found by iterating, stretches the probes on average.
//!
//! **Per member and second** a member begins 1/(P (1 + score)) probes, each of which ends in an accusation
//! with the probability above. All the others believe it but for the few that the refutation reaches first,
//! about ln(n) of n.

use swimring::protocol::Settings;

use super::Environment;
use super::special::log_normal_cdf;
use super::stream_probe;

/// Highest score there is (see [`Settings::local_health_max`]).
const SCORES: usize = 16;
/// Iterations of the score's chain.
const ITERATIONS: usize = 60;

/// A probe of a member that lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// The probability that no direct ack comes within the timeout, so that relays are asked.
    pub unanswered: f64,
    /// The probability that it fails, and the member is accused.
    pub fails: f64,
    /// The mean local health score of a prober.
    pub mean_score: f64,
}

impl Probe {
    /// The rates for members with these settings, in this environment.
    pub fn of(settings: &Settings, environment: &Environment) -> Probe {
        let arrives = 1.0 - environment.loss;
        let (interval_s, timeout_s) =
            (settings.probe_interval.as_secs_f64(), settings.probe_timeout.as_secs_f64());
        let (median_s, sigma) = (environment.rtt_median_ms / 1e3, environment.rtt_sigma);
        let in_time = |time_s: f64| log_normal_cdf(time_s, median_s, sigma);
        let unanswered = 1.0 - arrives.powi(2) * in_time(timeout_s);
        let direct_fails = 1.0 - arrives.powi(2) * in_time(interval_s);
        let rest_s = interval_s - timeout_s;
        let twice = log_normal_cdf(rest_s, 2.0 * median_s, sigma / std::f64::consts::SQRT_2);
        let relay_works = arrives.powi(4) * twice;
        // There may be fewer others than K.
        let relays = settings.indirect_checks.min(environment.members.saturating_sub(2).min(255) as u8);
        let mut fails = direct_fails * (1.0 - relay_works).powi(relays.into());
        if settings.stream_fallback {
            // The handshake alone takes a round trip, ping and ack another, in half of the rest.
            let sigma_of_two = sigma / std::f64::consts::SQRT_2;
            fails *=
                1.0 - stream_probe::answered(environment.loss, rest_s / 2.0, 2.0 * median_s, sigma_of_two);
        }
        let nack = nack_comes(arrives, relay_works);
        let missed = if relays == 0 { 1.0 } else { f64::from(relays) * (1.0 - nack) };
        // A member is accused as often as it accuses, and one that refutes lowers its own health.
        let raise = missed + 1.0;
        let mean_score = mean_score(fails, raise, settings.local_health_max);
        Probe { unanswered, fails, mean_score }
    }

    /// Factor by which local health stretches the interval, on average.
    pub fn stretch(&self) -> f64 {
        1.0 + self.mean_score
    }

    /// Accusations of live members, per member and second.
    pub fn accusations_per_member_second(&self, settings: &Settings) -> f64 {
        self.fails / (settings.probe_interval.as_secs_f64() * self.stretch())
    }
}

/// The probability that a nack comes, of a relay through which no ack came.
fn nack_comes(arrives: f64, relay_works: f64) -> f64 {
    if relay_works >= 1.0 {
        return 1.0;
    }
    // Request and nack arrive, the relay's own ping or its ack does not.
    (arrives * (1.0 - arrives.powi(2)) * arrives / (1.0 - relay_works)).min(1.0)
}

/// The mean score of a prober whose probes fail with probability `fails` and then raise it by `raise` on
/// average, up to `highest`.
fn mean_score(fails: f64, raise: f64, highest: u8) -> f64 {
    let highest = usize::from(highest).min(SCORES - 1);
    if highest == 0 || fails <= 0.0 {
        return 0.0;
    }
    let (whole, part) = (raise.floor() as usize, raise - raise.floor());
    let mut shares = [0.0; SCORES];
    shares[0] = 1.0;
    for _ in 0..ITERATIONS {
        let mut next = [0.0; SCORES];
        for (score, share) in shares.iter().enumerate().take(highest + 1) {
            next[score.saturating_sub(1)] += share * (1.0 - fails);
            next[(score + whole).min(highest)] += share * fails * (1.0 - part);
            next[(score + whole + 1).min(highest)] += share * fails * part;
        }
        shares = next;
    }
    shares.iter().enumerate().map(|(score, share)| score as f64 * share).sum()
}

/// The share of members that believe a false accusation before its refutation reaches them.
pub fn believed(members: u32) -> f64 {
    let n = f64::from(members.max(2));
    (1.0 - n.ln() / n).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swimring::protocol::settings::Preset;

    use super::*;

    fn lossy(loss: f64) -> Environment {
        Environment { members: 100, loss, rtt_median_ms: 1.0, rtt_sigma: 0.0, ..Environment::default() }
    }

    fn datagrams_only() -> Settings {
        Settings { stream_fallback: false, ..Settings::preset(Preset::Lan) }
    }

    /// Datagram by datagram.
    fn experiment(loss: f64, relays: u32, rng: &mut fastrand::Rng) -> bool {
        let mut arrives = || rng.f64() >= loss;
        let direct = arrives() && arrives();
        let indirect =
            (0..relays).fold(false, |any, _| (arrives() && arrives() && arrives() && arrives()) | any);
        !direct && !indirect
    }

    #[test]
    fn probes_fail_as_often_as_in_an_experiment() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (loss, relays) in [(0.05, 0), (0.2, 1), (0.2, 3), (0.5, 3)] {
            let settings = Settings { indirect_checks: relays, ..datagrams_only() };
            let formula = Probe::of(&settings, &lossy(loss)).fails;
            let runs = 300_000;
            let failed = (0..runs).filter(|_| experiment(loss, relays.into(), &mut rng)).count();
            let measured = failed as f64 / f64::from(runs);
            assert!((formula / measured - 1.0).abs() < 0.1, "{loss} {relays}: {formula} {measured}");
        }
    }

    #[test]
    fn a_stream_forgives_little_loss_and_not_much() {
        let lan = Settings::preset(Preset::Lan);
        let forgiven = |loss| {
            let with = Probe::of(&lan, &lossy(loss)).fails;
            with / Probe::of(&datagrams_only(), &lossy(loss)).fails
        };
        assert_eq!(Probe::of(&lan, &lossy(0.0)).fails, 0.0);
        assert!(forgiven(0.01) < 0.03, "{}", forgiven(0.01));
        assert!((0.3..0.6).contains(&forgiven(0.2)), "{}", forgiven(0.2));
    }

    #[test]
    fn a_round_trip_beyond_the_timeout_asks_relays_and_beyond_the_interval_fails() {
        let slow = |rtt_median_ms| Probe::of(&datagrams_only(), &Environment { rtt_median_ms, ..lossy(0.0) });
        assert_eq!((slow(100.0).unanswered, slow(100.0).fails), (0.0, 0.0));
        assert_eq!((slow(600.0).unanswered, slow(600.0).fails), (1.0, 0.0));
        assert_eq!(slow(1_200.0).fails, 1.0);
        assert!(slow(1_200.0).mean_score > 7.0, "{:?}", slow(1_200.0));
    }

    proptest! {
        #[test]
        fn loss_never_helps_and_relays_never_hurt(
            loss in 0.0..0.9_f64,
            rtt_median_ms in 0.1..1_500.0_f64,
            rtt_sigma in 0.0..1.5_f64,
            indirect_checks in 0_u8..8,
            stream_fallback: bool,
        ) {
            let settings = Settings { indirect_checks, stream_fallback, ..Settings::preset(Preset::Lan) };
            let here = Environment { rtt_median_ms, rtt_sigma, ..lossy(loss) };
            let base = Probe::of(&settings, &here);
            let worse = Environment { loss: loss + 0.05, ..here.clone() };
            let lossier = Probe::of(&settings, &worse);
            let helped = Settings { indirect_checks: indirect_checks + 1, ..settings.clone() };
            prop_assert!(lossier.fails >= base.fails);
            prop_assert!(lossier.unanswered >= base.unanswered);
            prop_assert!(Probe::of(&helped, &here).fails <= base.fails);
        }
    }
}
