//! How long an acknowledgement may take: a retransmission timeout from measured round trips (RFC 6298).
//!
//! Smoothed round trip plus four times its deviation, or a clock's granularity, never below a floor, doubled for each attempt.

use std::time::Duration;

use crate::protocol::time::Time;

/// Longest timeout of a first attempt. A peer that takes longer is treated as lost and tried again.
const TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// What a timeout is longer than the smoothed round trip at least (the clock granularity of RFC 6298, section 2.3): a driver
/// acts once in a tick, and where all round trips were alike the next is not exactly so.
const GRANULARITY_US: u64 = 2_000;

/// Before anything was measured.
const TIMEOUT_UNKNOWN: Duration = Duration::from_millis(200);

/// An estimate, of one peer or over all of a member's, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    smoothed_us: u32,
    deviation_us: u32,
}

impl RoundTrip {
    pub(crate) const UNKNOWN: RoundTrip = RoundTrip { smoothed_us: 0, deviation_us: 0 };

    /// Whether nothing was measured.
    pub(crate) const fn is_unknown(&self) -> bool {
        self.smoothed_us == 0
    }

    /// The smoothed round trip; zero if nothing was measured.
    pub(crate) fn smoothed(&self) -> Duration {
        Duration::from_micros(self.smoothed_us.into())
    }

    /// Its smoothed mean deviation.
    pub(crate) fn deviation(&self) -> Duration {
        Duration::from_micros(self.deviation_us.into())
    }

    /// Takes in what took from `sent` until `now`.
    pub(in crate::protocol) fn measured(&mut self, sent: Time, now: Time) {
        self.took(now.since(sent));
    }

    /// Takes in a measurement (RFC 6298, section 2, with its constants 1/8 and 1/4).
    pub(crate) fn took(&mut self, measured: Duration) {
        let measured_us = u32::try_from(measured.as_micros()).unwrap_or(u32::MAX / 8).clamp(1, u32::MAX / 8);
        if self.smoothed_us == 0 {
            (self.smoothed_us, self.deviation_us) = (measured_us, measured_us / 2);
            return;
        }
        let error_us = self.smoothed_us.abs_diff(measured_us);
        self.deviation_us = self.deviation_us - self.deviation_us / 4 + error_us / 4;
        self.smoothed_us = self.smoothed_us - self.smoothed_us / 8 + measured_us / 8;
    }

    /// How long attempt number `attempt`, counted from zero, waits, at least `floor`.
    pub(in crate::protocol) fn timeout(&self, attempt: u8, floor: Duration) -> Duration {
        let first = match self.smoothed_us {
            0 => TIMEOUT_UNKNOWN,
            smoothed_us => {
                let deviation_us = (4 * u64::from(self.deviation_us)).max(GRANULARITY_US);
                Duration::from_micros(u64::from(smoothed_us) + deviation_us)
            }
        };
        first.min(TIMEOUT_MAX).max(floor) * (1 << attempt.min(6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_millis(20);

    fn after(samples: &[u64]) -> RoundTrip {
        let mut estimate = RoundTrip::UNKNOWN;
        for sample in samples {
            estimate.measured(Time::ZERO, Time::from_micros(*sample));
        }
        estimate
    }

    #[test]
    fn short_round_trips_wait_for_the_floor() {
        assert_eq!(after(&[500; 20]).timeout(0, FLOOR), FLOOR);
        assert_eq!(after(&[500; 20]).timeout(2, FLOOR), FLOOR * 4);
        assert_eq!(after(&[0]).timeout(0, FLOOR), FLOOR, "a clock that stood still");
    }

    #[test]
    fn long_and_uneven_round_trips_wait_longer() {
        let even = after(&[80_000; 40]).timeout(0, FLOOR);
        assert!((Duration::from_millis(80)..Duration::from_millis(90)).contains(&even), "{even:?}");
        let uneven: Vec<u64> = (0..40).map(|nth| 40_000 + 80_000 * (nth % 2)).collect();
        assert!(after(&uneven).timeout(0, FLOOR) > even * 2);
    }

    #[test]
    fn nothing_measured_and_nothing_endless() {
        assert_eq!(RoundTrip::UNKNOWN.timeout(0, FLOOR), TIMEOUT_UNKNOWN);
        assert_eq!(after(&[u64::MAX / 2; 3]).timeout(0, FLOOR), TIMEOUT_MAX);
        assert_eq!(after(&[u64::MAX / 2; 3]).timeout(200, FLOOR), TIMEOUT_MAX * 64);
    }
}
