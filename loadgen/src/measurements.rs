//! What a run measured, before it becomes a report: counted by each worker where it happens, merged once at
//! the end.
//!
//! Every histogram holds microseconds and has a fixed size, so that recording never allocates.

use std::time::Duration;

use hdrhistogram::Histogram;

use swimring::protocol::Counters;
use swimring_tooling::cpu::CpuTime;

use crate::zone_round_trips::ZoneRoundTrips;

/// The longest time a histogram tells apart, in microseconds: an hour. Longer ones count as an hour.
pub const HIGHEST_US: u64 = 3_600_000_000;
/// Digits a histogram keeps: errors stay below 0.1 %.
const DIGITS: u8 = 3;

/// An empty histogram of microseconds; recording into it never allocates (about 200 KiB).
pub fn histogram_us() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_US, DIGITS).expect("the bounds are constants and valid")
}

/// Records a time; beyond [`HIGHEST_US`] it counts as that.
pub fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

/// What a delegated broadcast took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelegationCounts {
    /// Updates and user events delegated, each copy counted, those sent again too.
    pub copies: u64,
    /// Acknowledgements sent, one for each frame of such copies that arrived.
    pub acknowledgements: u64,
    /// Copies sent again because no acknowledgement came in time.
    pub retransmissions: u64,
    /// Delegations given up after every attempt.
    pub given_up: u64,
    /// Delegations not begun because too many were under way.
    pub shed: u64,
    /// Copies that came from another zone, where zones are apart.
    pub crossed: u64,
}

impl DelegationCounts {
    /// Those among the protocol's counters, with the copies that `crossed` to another zone.
    pub fn of(counters: &Counters, crossed: u64) -> DelegationCounts {
        DelegationCounts {
            copies: counters.delegations_sent,
            acknowledgements: counters.delegation_acks_sent,
            retransmissions: counters.delegations_retried,
            given_up: counters.delegations_given_up,
            shed: counters.delegations_shed,
            crossed,
        }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &DelegationCounts) {
        self.copies += other.copies;
        self.acknowledgements += other.acknowledgements;
        self.retransmissions += other.retransmissions;
        self.given_up += other.given_up;
        self.shed += other.shed;
        self.crossed += other.crossed;
    }
}

/// What one worker counted in the measured window; what concerns kills and events, and what was taken for
/// dead, until the end of the run.
#[derive(Clone, Debug)]
pub struct WorkerMeasurements {
    /// Time spent working rather than waiting.
    pub busy: Duration,
    /// Datagrams handed to the kernel.
    pub datagrams_sent: u64,
    /// Datagrams taken from the kernel, those lost on purpose included.
    pub datagrams_received: u64,
    /// Datagrams shed by this machine: full socket buffers, full queues, refused sends.
    pub datagrams_dropped: u64,
    /// Datagrams dropped on purpose (`--loss`).
    pub datagrams_lost_on_purpose: u64,
    /// Packets handed to the kernel: trains, and datagrams that went alone.
    pub packets_sent: u64,
    /// Bytes of the datagrams sent, without IP and UDP headers.
    pub bytes_sent: u64,
    /// System calls that moved datagrams.
    pub system_calls: u64,
    /// Heap allocations of the worker's thread. `None`: not counted in this process.
    pub allocations: Option<u64>,
    /// From a probe's intended time to its ack.
    pub probe_rtt_us: Histogram<u64>,
    /// How late timers fired.
    pub schedule_lag_us: Histogram<u64>,
    /// From an event's intended time to each delivery to a member.
    pub event_spread_us: Histogram<u64>,
    /// Copies of user events received, duplicates included.
    pub event_copies: u64,
    /// Of those, copies that came from another zone, where zones are apart.
    pub event_copies_crossed: u64,
    /// Events refused to their senders because too many were under way.
    pub events_refused: u64,
    /// What delegated broadcast took in the measured window.
    pub delegations_while_measuring: DelegationCounts,
    /// The same until the end of the run.
    pub delegations: DelegationCounts,
    /// Times an observer began to suspect a live subject.
    pub false_suspicions: u64,
    /// Times an observer declared a live subject dead.
    pub false_deaths: u64,
    /// Base views made, of which members' views are differences.
    pub bases_made: u64,
    /// Times a member's view was moved to a newer base.
    pub views_rebased: u64,
    /// The longest that this has held up a turn, in microseconds.
    pub sweep_us_max: u64,
}

impl Default for WorkerMeasurements {
    fn default() -> WorkerMeasurements {
        WorkerMeasurements {
            busy: Duration::ZERO,
            datagrams_sent: 0,
            datagrams_received: 0,
            datagrams_dropped: 0,
            datagrams_lost_on_purpose: 0,
            packets_sent: 0,
            bytes_sent: 0,
            system_calls: 0,
            allocations: None,
            probe_rtt_us: histogram_us(),
            schedule_lag_us: histogram_us(),
            event_spread_us: histogram_us(),
            event_copies: 0,
            event_copies_crossed: 0,
            events_refused: 0,
            delegations_while_measuring: DelegationCounts::default(),
            delegations: DelegationCounts::default(),
            false_suspicions: 0,
            false_deaths: 0,
            bases_made: 0,
            views_rebased: 0,
            sweep_us_max: 0,
        }
    }
}

impl WorkerMeasurements {
    /// Adds another worker's counts. What only one of them measured counts as measured.
    pub fn merge(&mut self, other: &WorkerMeasurements) {
        self.busy += other.busy;
        self.datagrams_sent += other.datagrams_sent;
        self.datagrams_received += other.datagrams_received;
        self.datagrams_dropped += other.datagrams_dropped;
        self.datagrams_lost_on_purpose += other.datagrams_lost_on_purpose;
        self.packets_sent += other.packets_sent;
        self.bytes_sent += other.bytes_sent;
        self.system_calls += other.system_calls;
        self.allocations = sum(self.allocations, other.allocations);
        for (mine, theirs) in [
            (&mut self.probe_rtt_us, &other.probe_rtt_us),
            (&mut self.schedule_lag_us, &other.schedule_lag_us),
            (&mut self.event_spread_us, &other.event_spread_us),
        ] {
            mine.add(theirs).expect("all histograms have the same bounds");
        }
        self.event_copies += other.event_copies;
        self.event_copies_crossed += other.event_copies_crossed;
        self.events_refused += other.events_refused;
        self.delegations_while_measuring.add(&other.delegations_while_measuring);
        self.delegations.add(&other.delegations);
        self.false_suspicions += other.false_suspicions;
        self.false_deaths += other.false_deaths;
        self.bases_made += other.bases_made;
        self.views_rebased += other.views_rebased;
        self.sweep_us_max = self.sweep_us_max.max(other.sweep_us_max);
    }
}

fn sum<T: std::ops::Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

/// One kill and who noticed, by the end of the run. Times count from the planned instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct KillOutcome {
    /// Live members that should have noticed.
    pub observers: u64,
    /// Live members that declared the victim dead.
    pub declared: u64,
    /// Time until the first of them did.
    pub first: Option<Duration>,
    /// Time until the last of them did so far.
    pub last: Option<Duration>,
}

impl KillOutcome {
    /// Whether every live member has declared the victim dead.
    pub fn detected_by_all(&self) -> bool {
        self.observers > 0 && self.declared >= self.observers
    }
}

/// One user event and who received it, by the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EventOutcome {
    /// Live members other than the sender.
    pub expected: u64,
    /// How many of them it was delivered to, each counted once.
    pub delivered: u64,
}

/// Everything a run measured.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    /// Members that were started.
    pub members: u64,
    /// Mean number of members that a member knows, itself included.
    pub members_known: f64,
    /// The driver that moved datagrams: `io_uring` or `mmsg`.
    pub driver: String,
    /// Length of the measured window; shorter than asked for if the run was ended early.
    pub measured: Duration,
    /// Whether the run was ended early.
    pub interrupted: bool,
    /// CPU time of the process in the measured window.
    pub cpu: CpuTime,
    /// CPU time of it that user events took. `None`: not measured.
    pub event_cpu: Option<Duration>,
    /// Resident bytes at the window's end. `None`: not told by the kernel.
    pub resident_bytes: Option<u64>,
    /// One per worker.
    pub workers: Vec<WorkerMeasurements>,
    /// One per kill that was carried out.
    pub kills: Vec<KillOutcome>,
    /// One per event that was sent.
    pub events: Vec<EventOutcome>,
    /// Zones that members are spread over; 0 or 1 for none.
    pub zones: u64,
    /// Probe round trips within zones and between them, where members are in some.
    pub zone_round_trips: ZoneRoundTrips,
    /// Cold start: until every view was complete. `None`: a warm start, or never complete.
    pub convergence: Option<Duration>,
}

impl Measurements {
    /// All workers together.
    pub fn total(&self) -> WorkerMeasurements {
        let mut total = WorkerMeasurements::default();
        for worker in &self.workers {
            total.merge(worker);
        }
        total
    }

    /// Share of the measured window that each worker was busy.
    pub fn busy_ratios(&self) -> Vec<f64> {
        let measured = self.measured.as_secs_f64();
        let ratio = |worker: &WorkerMeasurements| worker.busy.as_secs_f64() / measured;
        self.workers.iter().map(|worker| if measured > 0.0 { ratio(worker) } else { 0.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_an_hour_count_as_an_hour() {
        let mut histogram = histogram_us();
        record(&mut histogram, Duration::from_secs(7200));
        record(&mut histogram, Duration::ZERO);
        assert_eq!(histogram.len(), 2);
        assert!(histogram.max() >= HIGHEST_US && histogram.max() < HIGHEST_US + HIGHEST_US / 500);
    }

    #[test]
    fn a_merge_adds_every_count() {
        let one = WorkerMeasurements {
            busy: Duration::from_secs(1),
            datagrams_sent: 2,
            datagrams_received: 3,
            datagrams_dropped: 4,
            datagrams_lost_on_purpose: 5,
            packets_sent: 13,
            bytes_sent: 6,
            system_calls: 7,
            allocations: Some(8),
            event_copies: 9,
            events_refused: 14,
            delegations_while_measuring: DelegationCounts { copies: 15, ..DelegationCounts::default() },
            delegations: DelegationCounts {
                copies: 16,
                acknowledgements: 17,
                retransmissions: 18,
                given_up: 19,
                shed: 20,
                crossed: 21,
            },
            event_copies_crossed: 22,
            false_suspicions: 11,
            false_deaths: 12,
            ..WorkerMeasurements::default()
        };
        let total = Measurements { workers: vec![one.clone(), one], ..Measurements::default() }.total();
        assert_eq!(total.busy, Duration::from_secs(2));
        assert_eq!((total.datagrams_sent, total.datagrams_received, total.datagrams_dropped), (4, 6, 8));
        assert_eq!((total.datagrams_lost_on_purpose, total.bytes_sent, total.system_calls), (10, 12, 14));
        assert_eq!((total.packets_sent, total.allocations), (26, Some(16)));
        assert_eq!((total.event_copies, total.events_refused), (18, 28));
        assert_eq!((total.false_suspicions, total.false_deaths), (22, 24));
        assert_eq!(total.delegations_while_measuring.copies, 30);
        let delegations = total.delegations;
        assert_eq!((delegations.copies, delegations.acknowledgements), (32, 34));
        assert_eq!((delegations.retransmissions, delegations.given_up, delegations.shed), (36, 38, 40));
        assert_eq!((delegations.crossed, total.event_copies_crossed), (42, 44));
    }

    #[test]
    fn a_merge_adds_every_histogram() {
        let mut one = WorkerMeasurements::default();
        record(&mut one.probe_rtt_us, Duration::from_micros(100));
        record(&mut one.schedule_lag_us, Duration::from_micros(200));
        record(&mut one.event_spread_us, Duration::from_micros(300));
        let total = Measurements { workers: vec![one.clone(), one], ..Measurements::default() }.total();
        for (histogram, value) in
            [(&total.probe_rtt_us, 100), (&total.schedule_lag_us, 200), (&total.event_spread_us, 300)]
        {
            assert_eq!((histogram.len(), histogram.max()), (2, value));
        }
    }

    #[test]
    fn allocations_nobody_counted_stay_unknown() {
        assert_eq!(Measurements::default().total().allocations, None);
    }

    #[test]
    fn a_kill_counts_as_detected_only_by_all() {
        let kill = KillOutcome { observers: 3, declared: 2, ..KillOutcome::default() };
        assert!(!kill.detected_by_all());
        assert!(KillOutcome { declared: 3, ..kill }.detected_by_all());
        assert!(!KillOutcome::default().detected_by_all());
    }
}
