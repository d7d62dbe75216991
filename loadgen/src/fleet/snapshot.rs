//! What one worker has counted and timed by one moment, small enough to be copied while it runs.

use std::time::Duration;

use hdrhistogram::Histogram;
use swimring::net::NetCounters;
use swimring::protocol::Counters;
use swimring::worker::{Host, HostCounters};
use swimring_tooling::cpu;

use super::tracker::Tracking;
use crate::allocations;
use crate::measurements::histogram_us;

/// What a tracker has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Times an observer began to suspect a live subject.
    pub false_suspicions: u64,
    /// Times an observer declared a live subject dead.
    pub false_deaths: u64,
    /// (kill, observer) pairs: the observer has declared the victim dead.
    pub declared: u64,
    /// (event, observer) pairs: the event was delivered to the observer.
    pub delivered: u64,
    /// Deliveries of an event to an observer that had it already. There should be none.
    pub delivered_again: u64,
    /// Events that the sender's own engine refused: too many were under way.
    pub events_refused: u64,
    /// Joins that succeeded.
    pub joined: u64,
    /// Joins that failed.
    pub joins_failed: u64,
}

impl Tally {
    /// Adds another worker's.
    pub fn add(&mut self, other: &Tally) {
        self.false_suspicions += other.false_suspicions;
        self.false_deaths += other.false_deaths;
        self.declared += other.declared;
        self.delivered += other.delivered;
        self.delivered_again += other.delivered_again;
        self.events_refused += other.events_refused;
        self.joined += other.joined;
        self.joins_failed += other.joins_failed;
    }
}

/// What a tracker has timed, in microseconds.
#[derive(Clone, Debug)]
pub struct Timings {
    /// From a probe's intended time to its ack.
    pub probe_rtt_us: Histogram<u64>,
    /// How late timers fired.
    pub schedule_lag_us: Histogram<u64>,
    /// From an event's intended time to each delivery.
    pub event_spread_us: Histogram<u64>,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings {
            probe_rtt_us: histogram_us(),
            schedule_lag_us: histogram_us(),
            event_spread_us: histogram_us(),
        }
    }
}

impl Timings {
    /// Adds another's.
    pub fn add(&mut self, other: &Timings) {
        for (mine, theirs) in [
            (&mut self.probe_rtt_us, &other.probe_rtt_us),
            (&mut self.schedule_lag_us, &other.schedule_lag_us),
            (&mut self.event_spread_us, &other.event_spread_us),
        ] {
            mine.add(theirs).expect("all histograms have the same bounds");
        }
    }

    /// Empties all of them and keeps their memory.
    pub fn reset(&mut self) {
        self.probe_rtt_us.reset();
        self.schedule_lag_us.reset();
        self.event_spread_us.reset();
    }

    /// Each with the name it has in the histogram log.
    pub fn each(&self) -> [(&'static str, &Histogram<u64>); 3] {
        [
            ("probe_rtt_us", &self.probe_rtt_us),
            ("schedule_lag_us", &self.schedule_lag_us),
            ("event_spread_us", &self.event_spread_us),
        ]
    }
}

/// What went through the sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams handed to the kernel.
    pub sent: u64,
    /// Datagrams taken from the kernel.
    pub received: u64,
    /// Packets handed to the kernel: trains, and datagrams that went alone.
    pub packets_sent: u64,
    /// Datagrams shed by this machine: full socket buffers, full queues, refused sends.
    pub dropped: u64,
    /// Datagrams dropped on purpose.
    pub lost_on_purpose: u64,
    /// Frames from other zones that were dropped because too many were held back.
    pub zone_frames_shed: u64,
    /// Updates and user events that were delegated from one zone to another.
    pub zone_copies: u64,
    /// User events that came from another zone.
    pub zone_event_copies: u64,
    /// Bytes sent, without IP and UDP headers.
    pub bytes_sent: u64,
    /// System calls.
    pub system_calls: u64,
    /// Times that a path was found to take fewer bytes than were sent.
    pub paths_narrowed: u64,
    /// Datagrams that the kernel fragmented, being longer than their path takes.
    pub fragmented: u64,
}

impl Traffic {
    fn of(net: &NetCounters, host: &HostCounters) -> Traffic {
        Traffic {
            sent: net.datagrams_sent,
            received: net.datagrams_received,
            packets_sent: net.messages_sent,
            dropped: net.receive_overflow
                + net.shed_frames
                + net.send_errors
                + net.receive_truncated
                + host.zone_frames_shed,
            lost_on_purpose: host.lost,
            zone_frames_shed: host.zone_frames_shed,
            zone_copies: host.zone_copies,
            zone_event_copies: host.zone_event_copies,
            bytes_sent: net.bytes_sent,
            system_calls: net.system_calls,
            paths_narrowed: net.paths_narrowed,
            fragmented: net.datagrams_fragmented,
        }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &Traffic) {
        self.sent += other.sent;
        self.received += other.received;
        self.packets_sent += other.packets_sent;
        self.dropped += other.dropped;
        self.lost_on_purpose += other.lost_on_purpose;
        self.zone_frames_shed += other.zone_frames_shed;
        self.zone_copies += other.zone_copies;
        self.zone_event_copies += other.zone_event_copies;
        self.bytes_sent += other.bytes_sent;
        self.system_calls += other.system_calls;
        self.paths_narrowed += other.paths_narrowed;
        self.fragmented += other.fragmented;
    }

    /// What went through since `earlier`.
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        Traffic {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
            packets_sent: self.packets_sent - earlier.packets_sent,
            dropped: self.dropped - earlier.dropped,
            lost_on_purpose: self.lost_on_purpose - earlier.lost_on_purpose,
            zone_frames_shed: self.zone_frames_shed - earlier.zone_frames_shed,
            zone_copies: self.zone_copies - earlier.zone_copies,
            zone_event_copies: self.zone_event_copies - earlier.zone_event_copies,
            bytes_sent: self.bytes_sent - earlier.bytes_sent,
            system_calls: self.system_calls - earlier.system_calls,
            paths_narrowed: self.paths_narrowed - earlier.paths_narrowed,
            fragmented: self.fragmented - earlier.fragmented,
        }
    }
}

/// One worker's totals at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerSnapshot {
    /// The protocol's.
    pub protocol: Counters,
    /// The sockets'.
    pub traffic: Traffic,
    /// The tracker's.
    pub tally: Tally,
    /// Heap allocations of the worker's thread so far.
    pub allocations: u64,
    /// CPU time of the worker's thread so far.
    pub busy: Duration,
    /// Members that were not killed.
    pub alive: u64,
    /// Pairs of one of those and a member that it holds live, itself included.
    pub held_live: u64,
    /// Pairs of one of those and a member that it suspects.
    pub suspected: u64,
    /// The longest that moving views to a shared base has held up a turn, in microseconds.
    pub sweep_us_max: u64,
}

impl WorkerSnapshot {
    /// The moment on this worker's thread.
    pub fn of<O: Tracking>(host: &Host<O>) -> WorkerSnapshot {
        WorkerSnapshot {
            protocol: host.shared().counters,
            traffic: Traffic::of(&host.net_counters(), &host.counters()),
            tally: host.observer.tracker().tally,
            allocations: allocations::of_this_thread(),
            busy: cpu::of_this_thread(),
            alive: host.alive() as u64,
            held_live: host.members().map(|(_, member)| member.live() as u64).sum(),
            suspected: host.members().map(|(_, member)| member.suspects() as u64).sum(),
            sweep_us_max: host.counters().sweep_us_max,
        }
    }

    /// Adds another worker's.
    pub fn add(&mut self, other: &WorkerSnapshot) {
        self.protocol.add(&other.protocol);
        self.traffic.add(&other.traffic);
        self.tally.add(&other.tally);
        self.allocations += other.allocations;
        self.busy += other.busy;
        self.alive += other.alive;
        self.held_live += other.held_live;
        self.suspected += other.suspected;
        self.sweep_us_max = self.sweep_us_max.max(other.sweep_us_max);
    }
}
