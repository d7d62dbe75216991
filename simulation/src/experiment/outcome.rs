//! What a trial measured, in the words of a load generator's report.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::options::TrialOptions;
use swimring::protocol::Counters;

/// How one crash was noticed. Observers are the members that never crash and have no impairment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CrashOutcome {
    /// The member that crashed.
    pub member: u32,
    /// Time of the crash, in seconds from the beginning of the measured time.
    pub at_s: f64,
    /// From the crash to the first observer that suspects it.
    pub first_suspected_s: Option<f64>,
    /// From the crash to the first observer whose own suspicion ran out.
    pub first_declared_s: Option<f64>,
    /// From the crash to the first observer that holds it dead.
    pub first_s: Option<f64>,
    /// From the crash until half of the observers hold it dead.
    pub half_s: Option<f64>,
    /// From the crash until all of them do.
    pub all_s: Option<f64>,
    /// Observers that hold it dead at the end.
    pub declared: u32,
    /// Observers in all.
    pub of: u32,
}

/// How one user event spread.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EventOutcome {
    /// The member that sent it.
    pub sender: u32,
    /// Time of sending, in seconds from the beginning of the measured time.
    pub sent_at_s: f64,
    /// Observers it was delivered to.
    pub delivered: u32,
    /// Observers in all, without its sender.
    pub of: u32,
    /// Median time to a delivery.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the time to a delivery.
    pub p99_ms: Option<f64>,
    /// Time to the last delivery.
    pub last_ms: Option<f64>,
}

/// What telling by delegation came to, in all of the simulated time, per member and second. Zero with gossip.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Delegated {
    /// Copies of updates and events sent, those that were sent again among them.
    pub copies: f64,
    /// Acknowledgements sent.
    pub acks: f64,
    /// Copies sent again because no acknowledgement came in time.
    pub retransmissions: f64,
    /// Delegations given up after every attempt.
    pub given_up: f64,
    /// Of the copies, those that went to another zone.
    pub crossed: f64,
}

/// What a trial measured. False suspicions and deaths count from the beginning of the measured time to the
/// end of the trial, datagrams, bytes and round trips in the measured time alone.
#[derive(Clone, Debug)]
pub struct TrialOutcome {
    /// What was asked for.
    pub options: TrialOptions,
    /// Number of members.
    pub members: u32,
    /// The measured time in seconds.
    pub measured_s: f64,
    /// Everything that was simulated in seconds, with warm-up and drain.
    pub simulated_s: f64,
    /// The crashes, in order of time.
    pub crashes: Vec<CrashOutcome>,
    /// The events, in order of time.
    pub events: Vec<EventOutcome>,
    /// From an event's sending to each delivery, in microseconds, every delivery of every event.
    pub spread_us: Histogram<u64>,
    /// From the time a probe was due to its direct ack, in microseconds.
    pub probe_rtt_us: Histogram<u64>,
    /// Times that a member which never crashes came to suspect one that was alive.
    pub false_suspicions: u64,
    /// Times that a member which never crashes came to hold one for dead that was alive.
    pub false_deaths: u64,
    /// Those of subjects that have no impairment: Lifeguard's FP.
    pub false_deaths_healthy_subjects: u64,
    /// Those of subjects that have none, at members that have none: Lifeguard's FP-.
    pub false_deaths_at_healthy: u64,
    /// Distinct (member, incarnation) that someone held for dead while it was alive.
    pub false_death_subjects: u64,
    /// Those of members without impairment.
    pub false_death_subjects_healthy: u64,
    /// Datagrams sent, the lost ones among them.
    pub datagrams_sent: u64,
    /// The most of them that one member sent in one second, counted from the beginning of the measured time.
    pub datagrams_of_a_second_max: u32,
    /// Their payloads in bytes, as the codec makes them.
    pub bytes_sent: u64,
    /// The same with the padding that native frames are sent with, which is what a load generator counts.
    pub padded_bytes_sent: u64,
    /// Bytes of push/pulls and other streams.
    pub stream_bytes_sent: u64,
    /// Things that happened (wakes of members, arrivals) in all of the simulated time.
    pub happenings: u64,
    /// Real time that it took, without setting up.
    pub wall: Duration,
    /// The members' counters, over all of the simulated time.
    pub counters: Counters,
    /// Bytes of memory of the agenda and the frames under way.
    pub memory_bytes: u64,
    /// A hash over all that happened and was sent, in order: equal for two runs that were the same.
    pub fingerprint: u64,
}

impl TrialOutcome {
    /// Simulated seconds times members, per second of real time.
    pub fn node_seconds_per_second(&self) -> f64 {
        self.simulated_s * f64::from(self.members) / self.wall.as_secs_f64().max(1e-9)
    }

    /// Payload bytes of datagrams that a member sends per second.
    pub fn bytes_per_member_second(&self) -> f64 {
        self.bytes_sent as f64 / self.member_seconds()
    }

    /// The same with padding.
    pub fn padded_bytes_per_member_second(&self) -> f64 {
        self.padded_bytes_sent as f64 / self.member_seconds()
    }

    /// Bytes of streams that a member sends per second.
    pub fn stream_bytes_per_member_second(&self) -> f64 {
        self.stream_bytes_sent as f64 / self.member_seconds()
    }

    /// Datagrams that a member sends per second.
    pub fn datagrams_per_member_second(&self) -> f64 {
        self.datagrams_sent as f64 / self.member_seconds()
    }

    /// What telling by delegation came to.
    pub fn delegated(&self) -> Delegated {
        let each = |count: u64| count as f64 / (f64::from(self.members) * self.simulated_s.max(1e-9));
        Delegated {
            copies: each(self.counters.delegations_sent),
            acks: each(self.counters.delegation_acks_sent),
            retransmissions: each(self.counters.delegations_retried),
            given_up: each(self.counters.delegations_given_up),
            crossed: each(self.counters.delegations_crossed),
        }
    }

    /// Members times measured seconds, less what the crashed were no longer there for.
    fn member_seconds(&self) -> f64 {
        let gone: f64 = self.crashes.iter().map(|crash| self.measured_s - crash.at_s).sum();
        self.measured_s * f64::from(self.members) - gone
    }
}
