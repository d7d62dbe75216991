//! Messages put into a watch's ear: whose they are, whom they are about, and whether they count.

use std::time::Duration;

use super::*;
use crate::attach::payload::event_payload;
use crate::attach::tests::{common, options};
use crate::schedule::{self, Plan};

/// Member 2 is killed 5 s into the window, event 0 is sent after 1 s.
const VICTIM: u32 = 2;
const WINDOW: Time = Time::from_micros(10_000_000);

struct Stand {
    watch: Watch,
    real: SocketAddr,
    other: SocketAddr,
}

impl Stand {
    fn new() -> Stand {
        let options = options(&["--members", "8"]);
        let addresses = options.addresses(7946).unwrap();
        let plan = Plan {
            kills: vec![schedule::Kill { at: Duration::from_secs(5), victim: VICTIM }],
            events: vec![schedule::Event { at: Duration::from_secs(1), sender: 0 }],
        };
        let common = Arc::new(common(&options, addresses));
        (0..8).for_each(|number| common.roster.set(number, Stage::Present));
        let mut watch = Watch::new(common, Tracker::new(0, 1, 8, &plan));
        let [real, other] = [1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], 7946)));
        watch.heard.meet("agent-1", real);
        watch.heard.meet("agent-2", other);
        watch.tracker_mut().begin(WINDOW);
        Stand { watch, real, other }
    }

    /// `seconds` into the window, `from` says `message`.
    fn says(&mut self, seconds: f64, from: SocketAddr, message: &Message<'_>) {
        self.watch.heard(WINDOW + Duration::from_secs_f64(seconds), 0, from, message);
    }
}

fn suspect<'a>(node: &'a str, from: &'a str) -> Message<'a> {
    Message::Suspect { incarnation: 1, node, from }
}

fn dead<'a>(node: &'a str, from: &'a str) -> Message<'a> {
    Message::Dead { incarnation: 1, node, from }
}

fn event(payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    serf::Message::UserEvent { ltime: 1, name: EVENT_NAME, payload, coalesce: false }.encode(&mut body);
    body
}

#[test]
fn acts_on_a_death_are_timed_from_the_kill_for_whoever_passes_them_on() {
    let mut stand = Stand::new();
    let (real, other) = (stand.real, stand.other);
    stand.says(6.5, real, &suspect("swimring-00002", "swimring-00001"));
    stand.says(7.5, real, &suspect("swimring-00002", "agent-2"));
    stand.says(9.0, other, &dead("swimring-00002", "agent-1"));
    let heard = &stand.watch.heard;
    assert_eq!(heard.suspects.iter().collect::<Vec<_>>(), [(0, 0, 1_500_000)]);
    assert_eq!(heard.deaths.iter().collect::<Vec<_>>(), [(1, 0, 4_000_000)]);
    assert!(heard.accusations.is_empty(), "the victim is dead");
}

#[test]
fn accusations_of_the_living_count_for_their_author_if_he_is_real() {
    let mut stand = Stand::new();
    let (real, other) = (stand.real, stand.other);
    for _ in 0..3 {
        stand.says(1.0, other, &suspect("swimring-00003", "agent-1"));
        stand.says(1.0, real, &dead("swimring-00003", "agent-1"));
    }
    stand.says(1.0, real, &suspect("swimring-00003", "swimring-00001"));
    stand.says(1.0, real, &suspect("agent-2", "agent-1"));
    stand.says(1.0, real, &dead("swimring-00003", "swimring-00003"));
    let mut accusations: Vec<_> = stand.watch.heard.accusations.keys().copied().collect();
    accusations.sort_by_key(|(_, accusation)| accusation.dead);
    let accusation = |dead| (0, Accusation { subject: 3, incarnation: 1, dead });
    assert_eq!(accusations, [accusation(false), accusation(true)]);
}

#[test]
fn nobody_is_accused_wrongly_who_has_left() {
    let mut stand = Stand::new();
    let real = stand.real;
    stand.watch.common.roster.set(3, Stage::Away);
    stand.says(1.0, real, &dead("swimring-00003", "agent-1"));
    assert!(stand.watch.heard.accusations.is_empty());
}

#[test]
fn events_of_this_run_are_timed_to_the_first_copy() {
    let mut stand = Stand::new();
    let real = stand.real;
    let (ours, of_another_run) = (event(&event_payload(0, 7, 100)), event(&event_payload(0, 8, 100)));
    stand.says(1.2, real, &Message::User(&of_another_run));
    stand.says(1.3, real, &Message::User(&ours));
    stand.says(1.4, real, &Message::User(&ours));
    stand.says(1.4, real, &Message::User(b"\x09junk"));
    let firsts: Vec<_> = stand.watch.heard.events.iter().collect();
    assert_eq!(firsts, [(0, 0, 300_000)]);
}

#[test]
fn a_framed_event_of_a_plain_pool_is_found_at_its_end() {
    let mut stand = Stand::new();
    Arc::get_mut(&mut stand.watch.common).unwrap().dialect = MemberlistDialect::Memberlist;
    let body = [&b"SWR\x01\0\0\0\0\0\0\0\0\0\0\0\0\x08swimring"[..], &event_payload(0, 7, 100)].concat();
    assert_eq!(stand.watch.event_of(&body), Some(0));
    assert_eq!(stand.watch.event_of(&body[1..]), Some(0), "whatever is in front");
    assert_eq!(stand.watch.event_of(b"short"), None);
    assert_eq!(stand.watch.event_of(&event_payload(0, 7, 200)), None, "another's message");
}

#[test]
fn our_own_members_and_strangers_are_not_recorded() {
    let mut stand = Stand::new();
    let ours = stand.watch.common.addresses.of(4);
    stand.says(6.0, ours, &suspect("swimring-00002", "agent-1"));
    assert_eq!(stand.watch.heard.noticed, 0);
    stand.says(6.0, stand.real, &Message::Ack { sequence: 1, payload: b"" });
    assert_eq!(stand.watch.heard.noticed, 0, "anybody answers a ping");
    stand.says(6.0, SocketAddr::from(([10, 9, 8, 7], 1)), &suspect("swimring-00002", "agent-1"));
    assert_eq!(stand.watch.heard.noticed, 1);
    assert_eq!(stand.watch.heard.suspects.iter().count(), 0);
}

#[test]
fn nothing_counts_once_it_is_over() {
    let mut stand = Stand::new();
    let real = stand.real;
    stand.watch.tracker_mut().conclude();
    stand.says(6.0, real, &suspect("swimring-00002", "agent-1"));
    stand.says(6.0, real, &dead("swimring-00003", "agent-1"));
    assert_eq!(stand.watch.heard.suspects.iter().count(), 0);
    assert!(stand.watch.heard.accusations.is_empty());
}
