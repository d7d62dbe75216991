//! The stream fallback: whether a probe over TCP comes back in the time that is left.
//!
//! The fallback sends four packets one after the other: SYN, SYN-ACK, ping, ack. A lost packet is sent again
//! after a timeout that doubles: 1 s at first in the handshake (RFC 6298, section 2.1), on an open connection
//! 200 ms on Linux (`TCP_RTO_MIN`), whatever the round trip where that is short. With losses independent at
//! rate l, k resends of one packet have the probability `l^k (1-l)` and take `(2^k - 1)` timeouts. The probe
//! works if all resends and two round trips fit in the time that is left:
//!
//! `sum over resends of the four packets of P(these resends) F2(left - what they take)`
//!
//! with F2 the distribution of two round trips. On a LAN a quarter of a second is left: a member that loses a packet
//! of the handshake has failed, and one resend of ping or ack is just in time.

use super::special::log_normal_cdf;

/// First retransmission timeouts, in seconds.
const HANDSHAKE_RESEND_S: f64 = 1.0;
const RESEND_S: f64 = 0.2;
/// Resends of one packet that are looked at: the next would take above a minute.
const RESENDS_MAX: i32 = 5;

/// The probability that a probe over a stream is answered within `left_s`, where a share `loss` of packets is
/// lost and two round trips are log-normal with this median and sigma.
pub(super) fn answered(loss: f64, left_s: f64, two_round_trips_s: f64, sigma: f64) -> f64 {
    let timeouts = [HANDSHAKE_RESEND_S, HANDSHAKE_RESEND_S, RESEND_S, RESEND_S];
    over_resends(&timeouts, loss, left_s, &|left_s| log_normal_cdf(left_s, two_round_trips_s, sigma))
}

fn over_resends(timeouts: &[f64], loss: f64, left_s: f64, in_time: &impl Fn(f64) -> f64) -> f64 {
    let Some((timeout, rest)) = timeouts.split_first() else { return in_time(left_s) };
    let mut sum = 0.0;
    for resends in 0..=RESENDS_MAX {
        let taken = timeout * (2_f64.powi(resends) - 1.0);
        if taken >= left_s {
            break;
        }
        let chance = loss.powi(resends) * (1.0 - loss);
        sum += chance * over_resends(rest, loss, left_s - taken, in_time);
        if loss == 0.0 {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packet by packet.
    fn experiment(loss: f64, left_s: f64, two_round_trips_s: f64, rng: &mut fastrand::Rng) -> bool {
        let mut took = two_round_trips_s;
        for timeout in [HANDSHAKE_RESEND_S, HANDSHAKE_RESEND_S, RESEND_S, RESEND_S] {
            let mut wait = timeout;
            while rng.f64() < loss {
                took += wait;
                wait *= 2.0;
            }
        }
        took <= left_s
    }

    #[test]
    fn it_works_as_often_as_in_an_experiment() {
        let mut rng = fastrand::Rng::with_seed(9);
        for (loss, left_s) in [(0.0, 0.25), (0.05, 0.25), (0.3, 0.25), (0.2, 1.5), (0.4, 5.0)] {
            let formula = answered(loss, left_s, 0.002, 0.0);
            let runs = 200_000;
            let works = (0..runs).filter(|_| experiment(loss, left_s, 0.002, &mut rng)).count();
            let measured = works as f64 / f64::from(runs);
            assert!((formula - measured).abs() < 0.005, "{loss} {left_s}: {formula} {measured}");
        }
        assert_eq!(answered(0.0, 0.25, 0.3, 0.0), 0.0, "two round trips take longer");
    }
}
