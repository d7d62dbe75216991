//! Who watches: one tracker per worker hears everything that happens to its members, and counts it there.
//!
//! The plan is known to every tracker from the start, so that a member declared dead before its planned
//! end counts as a false death, and every delivery of an event is timed from the instant it was meant to
//! be sent. Members that will be killed are not counted as observers: what they notice depends on when
//! they go. Recording allocates nothing.

use std::time::Duration;

use hdrhistogram::Histogram;
use swimring::swim::{Counters, Event, Time};
use swimring::worker::{HostCounters, JoinFailure, LocalMember, Observer, Scene};

use super::{MemberNumber, number_of};
use crate::measurements::{histogram_us, record};
use crate::schedule::Plan;

/// No kill.
const SPARED: u32 = u32::MAX;

/// One kill as seen by the members of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KillTally {
    /// Members that declared the victim dead.
    pub declared: u64,
    /// When the first did.
    pub first: Option<Time>,
    /// When the last did.
    pub last: Option<Time>,
}

/// What a tracker has counted, small enough to be copied while running.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Live subjects suspected, one per observer and suspicion.
    pub false_suspicions: u64,
    /// Live subjects declared dead, one per observer.
    pub false_deaths: u64,
    /// Victims declared dead, over all kills and observers.
    pub declared: u64,
    /// Events delivered to observers.
    pub delivered: u64,
    /// Joins that succeeded.
    pub joined: u64,
    /// Joins that failed.
    pub joins_failed: u64,
}

/// Counts what happens to the members of one worker.
pub struct Tracker {
    worker: u32,
    workers: u32,
    /// By member: which kill it is the victim of.
    kill_of: Vec<u32>,
    /// By kill: the planned instant, from the start of the measured window.
    kill_at: Vec<Duration>,
    event_at: Vec<Duration>,
    /// When the measured window began; nothing counts before.
    origin: Option<Time>,
    /// Whether round trips and lags are recorded: in the measured window only.
    timing: bool,
    /// By kill.
    pub kills: Vec<KillTally>,
    /// By event: deliveries to observers.
    pub delivered: Vec<u64>,
    /// What was counted.
    pub tally: Tally,
    /// From a probe's intended time to its ack.
    pub probe_rtt_us: Histogram<u64>,
    /// How late timers fired.
    pub schedule_lag_us: Histogram<u64>,
    /// From an event's intended time to each delivery.
    pub event_spread_us: Histogram<u64>,
    /// The round trips since they were last taken.
    pub interval_rtt_us: Histogram<u64>,
    /// Joins that failed, to be tried again.
    pub retry: Vec<LocalMember>,
    /// Why the last of them failed.
    pub failure: String,
}

impl Tracker {
    /// A tracker for `worker` of `workers`, of a fleet of `members` with `plan`.
    pub fn new(worker: u32, workers: u32, members: u32, plan: &Plan) -> Tracker {
        let mut kill_of = vec![SPARED; members as usize];
        for (number, kill) in plan.kills.iter().enumerate() {
            kill_of[kill.victim as usize] = number as u32;
        }
        Tracker {
            worker,
            workers,
            kill_of,
            kill_at: plan.kills.iter().map(|kill| kill.at).collect(),
            event_at: plan.events.iter().map(|event| event.at).collect(),
            origin: None,
            timing: false,
            kills: vec![KillTally::default(); plan.kills.len()],
            delivered: vec![0; plan.events.len()],
            tally: Tally::default(),
            probe_rtt_us: histogram_us(),
            schedule_lag_us: histogram_us(),
            event_spread_us: histogram_us(),
            interval_rtt_us: histogram_us(),
            retry: Vec::new(),
            failure: String::new(),
        }
    }

    /// The measured window begins at `now`.
    pub fn begin(&mut self, now: Time) {
        self.origin = Some(now);
        self.timing = true;
        self.probe_rtt_us.reset();
        self.schedule_lag_us.reset();
        self.interval_rtt_us.reset();
    }

    /// The measured window ends; kills and events are still followed.
    pub fn end(&mut self) {
        self.timing = false;
    }

    fn number(&self, local: LocalMember) -> MemberNumber {
        local * self.workers + self.worker
    }

    /// Whether a member is never killed: what it notices counts.
    fn observes(&self, local: LocalMember) -> bool {
        self.kill_of.get(self.number(local) as usize).is_some_and(|kill| *kill == SPARED)
    }

    /// The kill that has ended `subject` by `now`, if one has.
    fn killed(&self, subject: MemberNumber, now: Time, origin: Time) -> Option<usize> {
        let kill = *self.kill_of.get(subject as usize)?;
        let at = self.kill_at.get(kill as usize)?;
        (origin + *at <= now).then_some(kill as usize)
    }

    fn suspected(&mut self, scene: &Scene<'_>, subject: &str) {
        let (Some(origin), Some(subject)) = (self.origin, number_of(subject)) else { return };
        if self.observes(scene.local) && self.killed(subject, scene.now, origin).is_none() {
            self.tally.false_suspicions += 1;
        }
    }

    fn failed(&mut self, scene: &Scene<'_>, subject: &str) {
        let (Some(origin), Some(subject)) = (self.origin, number_of(subject)) else { return };
        if !self.observes(scene.local) {
            return;
        }
        let Some(kill) = self.killed(subject, scene.now, origin) else {
            self.tally.false_deaths += 1;
            return;
        };
        self.tally.declared += 1;
        let tally = &mut self.kills[kill];
        tally.declared += 1;
        tally.first = tally.first.or(Some(scene.now));
        tally.last = Some(scene.now);
    }

    fn delivered(&mut self, scene: &Scene<'_>, payload: &[u8]) {
        let Some(number) = event_number(payload) else { return };
        let Some(origin) = self.origin else { return };
        let Some(at) = self.event_at.get(number) else { return };
        if self.observes(scene.local) {
            self.tally.delivered += 1;
            self.delivered[number] += 1;
            record(&mut self.event_spread_us, scene.now.since(origin + *at));
        }
    }
}

impl Observer for Tracker {
    fn event(&mut self, scene: &Scene<'_>, event: &Event) {
        match *event {
            Event::ProbeAcked { rtt } => {
                if self.timing {
                    record(&mut self.probe_rtt_us, rtt);
                    record(&mut self.interval_rtt_us, rtt);
                }
            }
            Event::Suspected { subject, .. } => self.suspected(scene, scene.commons.name(subject)),
            Event::Failed { subject, .. } => self.failed(scene, scene.commons.name(subject)),
            Event::UserEvent { event } => {
                self.delivered(scene, scene.commons.user_event(event).payload);
            }
            Event::JoinFinished { joined: true, .. } => self.tally.joined += 1,
            Event::JoinFinished { joined: false, .. } => {
                self.tally.joins_failed += 1;
                self.retry.push(scene.local);
            }
            _ => {}
        }
    }

    fn timer(&mut self, lag_us: u64) {
        if self.timing {
            self.schedule_lag_us.saturating_record(lag_us);
        }
    }

    fn join_failed(&mut self, _: LocalMember, _: u32, reason: &JoinFailure) {
        self.failure = reason.to_string();
    }
}

/// The payload of event `number`: its number, and filling up to `length` bytes.
pub fn event_payload(number: usize, length: usize) -> Vec<u8> {
    let mut payload = (number as u32).to_le_bytes().to_vec();
    payload.resize(length.max(4), b'.');
    payload
}

fn event_number(payload: &[u8]) -> Option<usize> {
    let (number, _) = payload.split_first_chunk::<4>()?;
    Some(u32::from_le_bytes(*number) as usize)
}

/// One worker's totals at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// The protocol's.
    pub protocol: Counters,
    /// The datagram path's.
    pub net: swimring::net::NetCounters,
    /// The worker's own.
    pub host: HostCounters,
    /// The tracker's.
    pub tally: Tally,
    /// Heap allocations of the worker's thread so far.
    pub allocations: u64,
    /// CPU time of the worker's thread so far.
    pub busy: Duration,
    /// Members that were not killed.
    pub alive: u64,
    /// 99th percentile of the probe round trips.
    pub probe_p99_us: u64,
}
