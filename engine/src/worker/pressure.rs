//! What the workers of a fleet know of each other: how far behind each is.
//!
//! They share a machine, and what one sends another has to read. If only the one that is behind sent less, the
//! others would go on filling its receive buffer, and take its members for slow or dead. So the slowest sets
//! the pace of all; a loss at one worker counts for all, since somewhere a member waits for the lost answer; and
//! silence is judged as far as the slowest has read, since what it has not read it cannot have answered. Nothing
//! else is shared, and without it every member would still come to the right view, only later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::protocol::Time;

/// How long a worker's state counts: an idle one does not say that it has recovered.
const FRESH: Duration = Duration::from_secs(2);

/// Full rate of gossip, as it is written down.
const RATE_ONE: f64 = 65_535.0;

/// One worker's state, alone on its cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Gauge {
    /// When in milliseconds (40 bits), rate (16 bits), overload (8).
    pace: AtomicU64,
    /// For how long what arrives lies unread, in microseconds.
    unread_us: AtomicU64,
    /// Until when it has read everything, in microseconds; [`Time::NEVER`] while nothing lies unread.
    read_until_us: AtomicU64,
}

impl Gauge {
    /// Whether what it says counts at `now`.
    fn is_fresh(pace: u64, now: Time) -> bool {
        pace != 0 && now.since(Time::from_micros((pace >> 24) * 1000)) <= FRESH
    }
}

/// How one worker is, or the worst of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Told {
    /// The part of gossip's full rate that is granted.
    pub(super) gossip_rate: f64,
    /// What members add to their local health score.
    pub(super) overload: u8,
    /// For how long what arrives has lain unread of late.
    pub(super) unread: Duration,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pressure {
    gauges: Box<[Gauge]>,
    /// When something was last lost or left unread, in microseconds.
    doubt_us: AtomicU64,
}

/// The state of the worst.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Worst {
    /// The worst of what each has told.
    pub(super) told: Told,
    /// When something was last lost or left unread.
    pub(super) doubt: Time,
}

impl Pressure {
    pub(super) fn new(workers: usize) -> Pressure {
        let gauges = (0..workers).map(|_| Gauge::default()).collect();
        Pressure { gauges, doubt_us: AtomicU64::new(0) }
    }

    /// `worker` says how it is.
    pub(super) fn tell(&self, worker: usize, told: Told, now: Time) {
        let told_ms = now.as_micros() / 1000;
        let rate = (told.gossip_rate * RATE_ONE) as u64;
        let gauge = &self.gauges[worker];
        gauge.unread_us.store(told.unread.as_micros() as u64, Ordering::Relaxed);
        gauge.pace.store(told_ms << 24 | rate << 8 | u64::from(told.overload), Ordering::Relaxed);
    }

    /// `worker` has read everything that had arrived until `until`; [`Time::NEVER`] if nothing lies unread.
    pub(super) fn has_read(&self, worker: usize, until: Time) {
        self.gauges[worker].read_until_us.store(until.as_micros(), Ordering::Relaxed);
    }

    /// Until when `worker` and the others have read everything; [`Time::NEVER`] if nothing lies unread.
    pub(super) fn all_have_read(&self, worker: usize, now: Time) -> Time {
        let counts = |(other, gauge): &(usize, &Gauge)| {
            *other == worker || Gauge::is_fresh(gauge.pace.load(Ordering::Relaxed), now)
        };
        let counting = self.gauges.iter().enumerate().filter(counts);
        let until = counting.map(|(_, gauge)| gauge.read_until_us.load(Ordering::Relaxed)).min();
        until.map_or(Time::NEVER, Time::from_micros)
    }

    /// Something that was sent to a worker may not have been read.
    pub(super) fn doubt(&self, now: Time) {
        self.doubt_us.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// How the worst is.
    pub(super) fn worst(&self, now: Time) -> Worst {
        let (mut rate, mut overload, mut unread_us) = (RATE_ONE as u64, 0, 0);
        for gauge in &self.gauges {
            let told = gauge.pace.load(Ordering::Relaxed);
            if Gauge::is_fresh(told, now) {
                rate = rate.min(told >> 8 & 0xFFFF);
                overload = overload.max(told as u8);
                unread_us = unread_us.max(gauge.unread_us.load(Ordering::Relaxed));
            }
        }
        let doubt = Time::from_micros(self.doubt_us.load(Ordering::Relaxed));
        let unread = Duration::from_micros(unread_us);
        Worst { told: Told { gossip_rate: rate as f64 / RATE_ONE, overload, unread }, doubt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    #[test]
    fn the_slowest_says_what_can_be_judged() {
        let pressure = Pressure::new(3);
        let told = Told { gossip_rate: 1.0, overload: 0, unread: Duration::ZERO };
        pressure.has_read(0, Time::NEVER);
        assert_eq!(pressure.all_have_read(0, at(10_000)), Time::NEVER, "the others have not begun");
        pressure.has_read(0, at(9_950));
        pressure.has_read(1, at(9_900));
        pressure.has_read(2, Time::NEVER);
        assert_eq!(
            pressure.all_have_read(0, at(10_000)),
            at(9_950),
            "what we have not read ourselves always counts"
        );
        pressure.tell(1, told, at(10_000));
        pressure.tell(2, told, at(10_000));
        assert_eq!(pressure.all_have_read(0, at(10_000)), at(9_900));
        pressure.has_read(1, Time::NEVER);
        assert_eq!(pressure.all_have_read(2, at(10_000)), Time::NEVER, "of the first nothing is known");
        pressure.has_read(1, at(9_900));
        assert_eq!(pressure.all_have_read(2, at(12_001)), Time::NEVER, "it stands still, or has ended");
    }

    #[test]
    fn the_worst_counts_while_it_is_fresh() {
        let told = |gossip_rate, overload, unread_ms| {
            let unread = Duration::from_millis(unread_ms);
            Told { gossip_rate, overload, unread }
        };
        let pressure = Pressure::new(3);
        let worst = pressure.worst(at(5));
        assert_eq!(worst, Worst { told: told(1.0, 0, 0), doubt: Time::ZERO });
        pressure.tell(0, told(1.0, 0, 70), at(10_000));
        pressure.tell(1, told(0.25, 3, 0), at(10_000));
        pressure.tell(2, told(0.5, 8, 250), at(7_000));
        pressure.doubt(at(9_000));
        pressure.doubt(at(8_000));
        let worst = pressure.worst(at(10_001));
        assert!((worst.told.gossip_rate - 0.25).abs() < 1e-4);
        assert_eq!(
            (worst.told.overload, worst.doubt, worst.told.unread),
            (3, at(9_000), Duration::from_millis(70))
        );
        assert_eq!(pressure.worst(at(13_000)).told.overload, 0, "it is better, or has nothing to do");
    }
}
