//! The formula of Serf's convergence page, as published.
//!
//! Source: `website/source/assets/javascripts/_simulator.js` of hashicorp/serf, removed from the repository in
//! commit 1e5befc. It takes the logistic curve of an epidemic,
//!
//! ```text
//! contact = fanout / n * (1 - loss) * (1 - failed) * 0.5
//! informed(x) = n / (1 + (n + 1) e^(-contact n x))
//! ```
//!
//! x in gossip rounds, until 99.99 % know or 100 rounds have passed, and puts the bandwidth of a member at
//! `1400 * fanout / interval * 2` bytes.
//!
//! Its quirks, kept here: n cancels in the exponent, so that the growth does not depend on the size at all;
//! the half takes back half of every contact, so one member tells fanout/2 others in a round; it starts at
//! n/(n + 2) members and not at one; nothing in it knows of the retransmit limit, of the share of a packet,
//! of latency, or of a member's own timer; the bandwidth is that of full packets all the time, whatever there
//! is to tell.

/// Where the published page stops.
const DONE_SHARE: f64 = 0.9999;
/// Or here.
const ROUNDS_MAX: u32 = 100;
/// A packet on the page.
const PACKET_BYTES: f64 = 1400.0;

/// The page's inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SerfFormula {
    /// Members.
    pub members: u32,
    /// Members told in a round.
    pub fanout: u32,
    /// Share of packets lost.
    pub loss: f64,
    /// Share of members that have failed.
    pub failed: f64,
}

impl SerfFormula {
    /// Members that know after `round` rounds.
    pub fn informed(&self, round: f64) -> f64 {
        let n = f64::from(self.members);
        let contact = f64::from(self.fanout) / n * (1.0 - self.loss) * (1.0 - self.failed) * 0.5;
        n / (1.0 + (n + 1.0) * (-contact * n * round).exp())
    }

    /// Rounds until the page shows 99.99 %; 100 at most.
    pub fn rounds(&self) -> u32 {
        let enough = DONE_SHARE * f64::from(self.members);
        (0..ROUNDS_MAX).find(|round| self.informed(f64::from(*round)) >= enough).unwrap_or(ROUNDS_MAX)
    }

    /// Bytes per second that the page says a member takes, with a gossip interval of so many seconds.
    pub fn bytes_per_second(&self, gossip_interval_s: f64) -> f64 {
        PACKET_BYTES * f64::from(self.fanout) / gossip_interval_s * 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: SerfFormula = SerfFormula { members: 100, fanout: 3, loss: 0.0, failed: 0.0 };

    #[test]
    fn it_starts_at_one_member_or_so_whatever_the_size() {
        for members in [10, 1000, 100_000] {
            let formula = SerfFormula { members, ..DEFAULTS };
            let start = f64::from(members) / f64::from(members + 2);
            assert!((formula.informed(0.0) - start).abs() < 1e-9);
        }
    }

    #[test]
    fn rounds_follow_the_logarithm_of_the_size() {
        // n + 1 = e^(1.5 x) / 9999 at the end: x = (ln(n + 1) + ln(9999)) / 1.5.
        for members in [20, 160, 10_000, 1_000_000] {
            let formula = SerfFormula { members, ..DEFAULTS };
            let expected = ((f64::from(members) + 1.0).ln() + 9999_f64.ln()) / 1.5;
            assert_eq!(f64::from(formula.rounds()), expected.ceil(), "{members}");
        }
        assert_eq!(SerfFormula { fanout: 1, loss: 0.95, ..DEFAULTS }.rounds(), 100);
    }

    #[test]
    fn the_bandwidth_is_the_pages_at_its_defaults() {
        // 328 kb/s at a gossip interval of 200 ms and a fanout of 3, in units of 1,024 bits.
        let bits = DEFAULTS.bytes_per_second(0.2) * 8.0 / 1024.0;
        assert_eq!(bits.round(), 328.0);
    }
}
