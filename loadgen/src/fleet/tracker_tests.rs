//! Scenes made by hand: who counts as an observer, what counts as false, and from when times are taken.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring::protocol::{FrameSink, Member, MemberConfig, Outbox, Settings, SharedState};
use swimring_codec::{Incarnation, MemberId};

use super::*;
use crate::fleet::sampling::Done;
use crate::fleet::{name_of, outcome};
use crate::schedule;

const MEMBERS: u32 = 8;
const WORKERS: u32 = 2;
/// The tracker under test watches members 1, 3, 5 and 7: locals 0 to 3.
const WORKER: u32 = 1;
/// Member 5, local 2 here, is killed 2 s after the window's beginning.
const VICTIM: u32 = 5;
const WINDOW: Time = Time::from_micros(10_000_000);

struct Nowhere;

impl FrameSink for Nowhere {
    fn reserve(&mut self, _: SocketAddr, _: usize) -> Option<&mut [u8]> {
        None
    }
}

/// A tracker, and members to tell it about.
struct Stage {
    tracker: Tracker,
    commons: SharedState,
    members: Vec<Member>,
    /// Events sent.
    sent: u32,
}

impl Stage {
    /// Before the measured window.
    fn before() -> Stage {
        let plan = Plan {
            kills: vec![schedule::Kill { at: Duration::from_secs(2), victim: VICTIM }],
            events: vec![schedule::Event { at: Duration::from_secs(1), sender: 0 }; 2],
        };
        let mut commons = SharedState::new(1);
        let member = |number: u32| {
            let config = MemberConfig {
                name: name_of(number),
                address: SocketAddr::from(([127, 0, 0, 1], 7000)),
                metadata: Vec::new(),
                zone: String::new(),
                cluster: 0,
                incarnation: Incarnation::new(1),
                seed: 1,
                settings: Arc::new(Settings::default()),
            };
            Member::new(config, &mut commons, Time::ZERO).unwrap()
        };
        let members = (0..MEMBERS).map(member).collect();
        Stage { tracker: Tracker::new(WORKER, WORKERS, MEMBERS, &plan), commons, members, sent: 0 }
    }

    /// The measured window has begun.
    fn begun() -> Stage {
        let mut stage = Stage::before();
        stage.tracker.begin(WINDOW);
        stage
    }

    /// `seconds` into the window, `event` happens at `local`.
    fn at(&mut self, seconds: f64, local: HostedMember, event: Event) {
        let now = WINDOW + Duration::from_secs_f64(seconds);
        let member = &self.members[self.tracker.number(local) as usize];
        let scene = EventContext { now, local, member, shared: &self.commons };
        self.tracker.event(&scene, &event);
    }

    fn suspected(&self, number: u32) -> Event {
        Event::Suspected { subject: self.members[number as usize].index(), accuser: MemberId::NONE }
    }

    fn failed(&self, number: u32) -> Event {
        Event::Failed { subject: self.members[number as usize].index(), suspicion: None, declared: false }
    }

    /// Member 0 sends a user event: as the others will be told of it.
    fn sent(&mut self, payload: &[u8]) -> Event {
        let (mut streams, mut events, mut budget) = (Vec::new(), Vec::new(), 0);
        let mut out = Outbox {
            frames: &mut Nowhere,
            streams: &mut streams,
            events: &mut events,
            gossip_budget: &mut budget,
        };
        self.members[0].send_event(Time::ZERO, "load", payload, &mut self.commons, &mut out).unwrap();
        // The store gives out its places in order.
        self.sent += 1;
        assert_eq!(self.commons.user_event(self.sent - 1).payload, payload);
        Event::UserEvent { event: self.sent - 1 }
    }
}

#[test]
fn a_death_after_the_planned_kill_is_a_detection_timed_from_the_plan() {
    let mut stage = Stage::begun();
    let failed = stage.failed(VICTIM);
    stage.at(14.0, 1, failed);
    stage.at(16.5, 0, failed);
    let tracker = &stage.tracker;
    assert_eq!((tracker.tally.declared, tracker.tally.false_deaths), (2, 0));
    assert_eq!(tracker.declared.count(0), 2);
    let planned = WINDOW + Duration::from_secs(2);
    assert_eq!(tracker.noticed[0].first.unwrap().since(planned), Duration::from_secs(12));
    assert_eq!(tracker.noticed[0].last.unwrap().since(planned), Duration::from_millis(14_500));
}

#[test]
fn an_observer_that_declares_the_victim_dead_twice_counts_once() {
    let mut stage = Stage::begun();
    let failed = stage.failed(VICTIM);
    stage.at(14.0, 1, failed);
    stage.at(20.0, 1, failed);
    assert_eq!((stage.tracker.tally.declared, stage.tracker.declared.count(0)), (1, 1));
    assert_eq!(stage.tracker.noticed[0].first, stage.tracker.noticed[0].last);
}

#[test]
fn a_death_before_the_planned_kill_is_false() {
    let mut stage = Stage::begun();
    let failed = stage.failed(VICTIM);
    stage.at(1.9, 1, failed);
    let failed = stage.failed(4);
    stage.at(50.0, 1, failed);
    assert_eq!((stage.tracker.tally.false_deaths, stage.tracker.tally.declared), (2, 0));
}

#[test]
fn a_suspicion_is_false_until_the_planned_kill_and_counts_each_time() {
    let mut stage = Stage::begun();
    let suspected = stage.suspected(VICTIM);
    stage.at(1.0, 0, suspected);
    stage.at(1.5, 0, suspected);
    stage.at(1.5, 1, suspected);
    stage.at(2.5, 3, suspected);
    assert_eq!(stage.tracker.tally.false_suspicions, 3);
}

#[test]
fn what_the_doomed_notice_counts_for_nothing() {
    let mut stage = Stage::begun();
    let (suspected, failed) = (stage.suspected(4), stage.failed(4));
    let event = stage.sent(&event_payload(0, 100));
    for event in [suspected, failed, event] {
        stage.at(1.0, 2, event);
    }
    assert_eq!(stage.tracker.tally, Tally::default());
}

#[test]
fn nothing_counts_before_the_window_and_no_time_after_it() {
    let mut stage = Stage::before();
    let acked = Event::ProbeAcked { subject: 0, rtt: Duration::from_micros(100) };
    for event in [stage.suspected(4), stage.failed(4), acked] {
        stage.at(0.0, 0, event);
    }
    stage.tracker.timer(5);
    assert_eq!(stage.tracker.tally, Tally::default());
    assert!(stage.tracker.timings.each().iter().all(|(_, histogram)| histogram.is_empty()));

    stage.tracker.begin(WINDOW);
    stage.at(1.0, 0, acked);
    stage.tracker.timer(5);
    stage.tracker.end();
    stage.at(61.0, 0, acked);
    stage.tracker.timer(5);
    let timings = &stage.tracker.timings;
    assert_eq!((timings.probe_rtt_us.len(), timings.schedule_lag_us.len()), (1, 1));
    let failed = stage.failed(4);
    stage.at(62.0, 0, failed);
    assert_eq!(stage.tracker.tally.false_deaths, 1, "a false death while settling is one");
}

#[test]
fn a_delivery_is_timed_from_the_planned_instant_and_counts_once() {
    let mut stage = Stage::begun();
    let event = stage.sent(&event_payload(1, 100));
    stage.at(1.25, 0, event);
    stage.at(1.5, 0, event);
    stage.at(1.5, 1, event);
    let tracker = &stage.tracker;
    assert_eq!((tracker.tally.delivered, tracker.tally.delivered_again), (2, 1));
    assert_eq!((tracker.received.count(0), tracker.received.count(1)), (0, 2));
    let spread = &tracker.timings.event_spread_us;
    assert_eq!((spread.len(), spread.value_at_quantile(0.5) / 1000), (2, 250));
}

#[test]
fn an_event_that_its_sender_refused_was_not_sent() {
    let mut stage = Stage::begun();
    let event = stage.sent(&event_payload(1, 100));
    stage.at(1.25, 0, event);
    stage.tracker.refused(0);
    assert_eq!(stage.tracker.tally.events_refused, 1);
    let outcomes = outcome::events(&[stage.tracker], Done { kills: 0, events: 2 }, 7);
    let told: Vec<(u64, u64)> = outcomes.iter().map(|event| (event.expected, event.delivered)).collect();
    assert_eq!(told, [(6, 1)]);
}

#[test]
fn events_of_nobody_s_plan_are_ignored() {
    let mut stage = Stage::begun();
    for payload in [&b"abc"[..], &event_payload(2, 4), &event_payload(usize::from(u16::MAX), 4)] {
        let event = stage.sent(payload);
        stage.at(1.0, 0, event);
    }
    assert_eq!(stage.tracker.tally, Tally::default());
}

#[test]
fn failed_joins_wait_to_be_tried_again() {
    let mut stage = Stage::before();
    stage.tracker.join_failed(3, 3, &JoinFailure::OtherCluster);
    stage.at(0.0, 3, Event::JoinFinished { token: 3, joined: false });
    stage.at(0.0, 1, Event::JoinFinished { token: 1, joined: true });
    let tracker = &stage.tracker;
    assert_eq!((tracker.tally.joined, tracker.tally.joins_failed), (1, 1));
    assert_eq!(
        (tracker.retry.as_slice(), tracker.failure.as_str()),
        ([3].as_slice(), "belongs to another cluster")
    );
}

#[test]
fn a_payload_is_as_long_as_asked_and_never_without_its_number() {
    assert_eq!((event_payload(7, 100).len(), event_payload(7, 0).len()), (100, 4));
    assert_eq!(event_number(&event_payload(70_000, 100)), Some(70_000));
    assert_eq!(event_number(b"abc"), None);
}
