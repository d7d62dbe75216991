//! Who watches: one tracker per worker hears everything that happens to its members, and counts it there.
//!
//! The plan is known to every tracker from the start, so that a member declared dead before its planned
//! end counts as a false death, and every delivery of an event is timed from the instant it was meant to
//! be sent. Members that will be killed are not counted as observers: what they notice depends on when
//! they go. Recording allocates nothing.
//!
//! Round trips and lateness are recorded in the measured window only. Deaths, suspicions and deliveries
//! are followed from the window's beginning to the end of the run: a false death while the last kills are
//! being noticed is a false death.

use std::time::Duration;

use swimring::protocol::{Event, MemberIndex, Time};
use swimring::worker::{EventContext, HostedMember, JoinFailure, Observer, ZoneLatency};
use swimring_codec::MemberId;

use super::seen::SeenBits;
use super::snapshot::{Tally, Timings};
use super::{MemberNumber, number_of};
use crate::measurements::record;
use crate::schedule::Plan;
use crate::zone_round_trips::ZoneRoundTrips;

/// No kill.
const SPARED: u32 = u32::MAX;

/// When a kill was noticed by the members of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// When the first observer declared the victim dead.
    pub first: Option<Time>,
    /// Time at which the last observer did.
    pub last: Option<Time>,
}

/// Counts what happens to the members of one worker.
pub struct Tracker {
    worker: u32,
    workers: u32,
    /// Number of the kill that each member is the victim of, by member.
    kill_of: Vec<u32>,
    /// By kill: the planned instant, from the start of the measured window.
    kill_at: Vec<Duration>,
    event_at: Vec<Duration>,
    /// When the measured window began; nothing counts before.
    origin: Option<Time>,
    /// Whether round trips and lateness are recorded: in the measured window only.
    timing: bool,
    /// Times at which each kill was noticed, by kill.
    pub noticed: Vec<Noticed>,
    /// By kill: the observers that declared the victim dead.
    pub declared: SeenBits,
    /// By event: the observers it was delivered to.
    pub received: SeenBits,
    /// Numbers of the events that members here refused to send.
    pub events_refused: Vec<usize>,
    /// Counters.
    pub tally: Tally,
    /// What was timed since it was last taken.
    pub timings: Timings,
    /// Round trips by zone, in a fleet whose zones are apart.
    pub zone_round_trips: ZoneRoundTrips,
    /// How these are apart.
    zones: Option<ZoneLatency>,
    /// Joins that failed, to be tried again.
    pub retry: Vec<HostedMember>,
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
        let here = members.div_ceil(workers) as usize;
        Tracker {
            worker,
            workers,
            kill_of,
            kill_at: plan.kills.iter().map(|kill| kill.at).collect(),
            event_at: plan.events.iter().map(|event| event.at).collect(),
            origin: None,
            timing: false,
            noticed: vec![Noticed::default(); plan.kills.len()],
            declared: SeenBits::new(plan.kills.len(), here),
            received: SeenBits::new(plan.events.len(), here),
            events_refused: Vec::with_capacity(plan.events.len()),
            tally: Tally::default(),
            timings: Timings::default(),
            zone_round_trips: ZoneRoundTrips::default(),
            zones: None,
            retry: Vec::with_capacity(here),
            failure: String::new(),
        }
    }

    /// The same of a fleet whose members are spread over `zones`.
    pub fn in_zones(mut self, zones: Option<ZoneLatency>) -> Tracker {
        let names = zones.map_or(0..0, |zones| 0..zones.zones).map(zone_name);
        self.zone_round_trips = ZoneRoundTrips::of(names);
        self.zones = zones;
        self
    }

    /// The measured window begins at `now`.
    pub fn begin(&mut self, now: Time) {
        self.origin = Some(now);
        self.timing = true;
    }

    /// The measured window ends; kills and events are still followed.
    pub fn end(&mut self) {
        self.timing = false;
    }

    /// The run is over: nothing counts any more.
    pub fn conclude(&mut self) {
        self.origin = None;
        self.timing = false;
    }

    /// The number of the worker's member `local` in the whole fleet.
    pub fn number(&self, local: HostedMember) -> MemberNumber {
        local * self.workers + self.worker
    }

    /// Whether a member is never killed: what it notices counts.
    pub fn observes(&self, local: HostedMember) -> bool {
        self.kill_of.get(self.number(local) as usize).is_some_and(|kill| *kill == SPARED)
    }

    /// The kill that has ended `subject` by `now`, if one has.
    fn killed(&self, subject: MemberNumber, now: Time, origin: Time) -> Option<usize> {
        let kill = *self.kill_of.get(subject as usize)?;
        let at = self.kill_at.get(kill as usize)?;
        (origin + *at <= now).then_some(kill as usize)
    }

    /// When the measured window began; nothing before it.
    pub fn origin(&self) -> Option<Time> {
        self.origin
    }

    /// Whether the measured window goes on.
    pub fn is_timing(&self) -> bool {
        self.timing
    }

    /// When event `number` was planned, on the members' clock; nothing if it was not.
    pub fn event_time(&self, number: usize) -> Option<Time> {
        Some(self.origin? + *self.event_at.get(number)?)
    }

    /// The kill that has ended `subject` by `now`, if one has, and when it was planned.
    pub fn kill_of(&self, subject: MemberNumber, now: Time) -> Option<(usize, Time)> {
        let origin = self.origin?;
        let kill = self.killed(subject, now, origin)?;
        Some((kill, origin + self.kill_at[kill]))
    }

    /// The member of `scene` suspects member `subject`.
    pub fn suspected(&mut self, scene: &EventContext<'_>, subject: MemberNumber) {
        let Some(origin) = self.origin else { return };
        if self.observes(scene.local) && self.killed(subject, scene.now, origin).is_none() {
            self.tally.false_suspicions += 1;
        }
    }

    /// The member of `scene` takes member `subject` for dead.
    pub fn failed(&mut self, scene: &EventContext<'_>, subject: MemberNumber) {
        let Some(origin) = self.origin else { return };
        if !self.observes(scene.local) {
            return;
        }
        let Some(kill) = self.killed(subject, scene.now, origin) else {
            self.tally.false_deaths += 1;
            return;
        };
        if self.declared.mark(kill, scene.local) {
            self.tally.declared += 1;
            let noticed = &mut self.noticed[kill];
            noticed.first = noticed.first.or(Some(scene.now));
            noticed.last = Some(scene.now);
        }
    }

    /// `subject` answered the member of `scene` directly.
    fn acked(&mut self, scene: &EventContext<'_>, subject: MemberIndex, rtt: Duration) {
        if !self.timing {
            return;
        }
        record(&mut self.timings.probe_rtt_us, rtt);
        if let Some(zones) = self.zones {
            let [from, to] = [scene.member.index(), subject]
                .map(|index| zones.zone_of(MemberId::of_name(scene.shared.name(index))));
            self.zone_round_trips.record(from, to, rtt);
        }
    }

    /// A member here refused to send event `number`.
    pub fn refused(&mut self, number: usize) {
        self.tally.events_refused += 1;
        self.events_refused.push(number);
    }

    /// Event `number` was delivered to the member of `scene`.
    pub fn delivered(&mut self, scene: &EventContext<'_>, number: usize) {
        let Some(origin) = self.origin else { return };
        let Some(at) = self.event_at.get(number) else { return };
        if !self.observes(scene.local) {
            return;
        }
        if self.received.mark(number, scene.local) {
            self.tally.delivered += 1;
            record(&mut self.timings.event_spread_us, scene.now.since(origin + *at));
        } else {
            self.tally.delivered_again += 1;
        }
    }
}

impl Observer for Tracker {
    fn event(&mut self, scene: &EventContext<'_>, event: &Event) {
        match *event {
            Event::ProbeAcked { subject, rtt } => self.acked(scene, subject, rtt),
            Event::Suspected { subject, .. } => {
                if let Some(subject) = number_of(scene.shared.name(subject)) {
                    self.suspected(scene, subject);
                }
            }
            Event::Failed { subject, .. } => {
                if let Some(subject) = number_of(scene.shared.name(subject)) {
                    self.failed(scene, subject);
                }
            }
            Event::UserEvent { event } => {
                if let Some(number) = event_number(scene.shared.user_event(event).payload) {
                    self.delivered(scene, number);
                }
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
            self.timings.schedule_lag_us.saturating_record(lag_us);
        }
    }

    fn join_failed(&mut self, _: HostedMember, _: u32, reason: &JoinFailure) {
        self.failure = reason.to_string();
    }
}

/// What zone `zone` of those that a fleet is spread over is called.
pub fn zone_name(zone: u32) -> String {
    format!("zone-{}", zone + 1)
}

/// An observer that keeps a [`Tracker`] of a worker's members.
pub trait Tracking: Observer {
    /// The worker's tracker.
    fn tracker(&self) -> &Tracker;

    /// The worker's tracker.
    fn tracker_mut(&mut self) -> &mut Tracker;
}

impl Tracking for Tracker {
    fn tracker(&self) -> &Tracker {
        self
    }

    fn tracker_mut(&mut self) -> &mut Tracker {
        self
    }
}

/// Bytes of a payload that say which event it is.
pub const EVENT_NUMBER_BYTES: usize = 4;

/// The payload of event `number`: its number, and filling up to `length` bytes.
pub fn event_payload(number: usize, length: usize) -> Vec<u8> {
    let mut payload = (number as u32).to_le_bytes().to_vec();
    payload.resize(length.max(EVENT_NUMBER_BYTES), b'.');
    payload
}

fn event_number(payload: &[u8]) -> Option<usize> {
    let (number, _) = payload.split_first_chunk::<EVENT_NUMBER_BYTES>()?;
    Some(u32::from_le_bytes(*number) as usize)
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
