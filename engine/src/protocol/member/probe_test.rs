//! Tests of probing: what the pinged one says beside its ack, and what is told of silence.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, Message, STREAM_PREFIX_LEN, StreamKind, StreamMessage,
    StreamWriter,
};

use super::*;
use crate::protocol::settings::Dissemination;
use crate::protocol::{Event, FrameSink, Preset, StreamNext, View};

/// Keeps the last frame.
#[derive(Default)]
struct Last(Vec<u8>);

impl FrameSink for Last {
    fn reserve(&mut self, _to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.0 = vec![0; len];
        Some(&mut self.0)
    }
}

/// Two members that know each other, and what they share.
fn pair() -> (Member, Member, SharedState) {
    pair_with(Settings::preset(Preset::Lan))
}

/// The same with `settings`.
fn pair_with(settings: Settings) -> (Member, Member, SharedState) {
    let mut shared = SharedState::new(1);
    let settings = Arc::new(settings);
    let mut member = |name: &str| {
        let config = MemberConfig {
            name: name.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            metadata: Vec::new(),
            zone: String::new(),
            cluster: 1,
            incarnation: Incarnation::new(7),
            seed: 1,
            settings: Arc::clone(&settings),
        };
        Member::new(config, &mut shared, Time::ZERO).unwrap()
    };
    let (mut one, mut other) = (member("one"), member("other"));
    let view = View::of([&one, &other], &mut shared);
    one.load(&view, &mut shared);
    other.load(&view, &mut shared);
    view.release(&mut shared);
    (one, other, shared)
}

/// What `member` answers to a frame with `message` from `source`, whose root is `root`.
fn answer(
    member: &mut Member,
    shared: &mut SharedState,
    source: MemberId,
    root: u64,
    message: Message<'_>,
) -> Vec<u8> {
    answer_at(member, shared, Time::from_micros(1), (source, root), message)
}

/// The same at `now`.
fn answer_at(
    member: &mut Member,
    shared: &mut SharedState,
    now: Time,
    (source, root): (MemberId, u64),
    message: Message<'_>,
) -> Vec<u8> {
    let header = FrameHeader { cluster: 1, source, destination: member.id(), root, quiet: true };
    let mut bytes = [0; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut bytes).unwrap();
    assert!(writer.push(&message));
    let used = writer.finish();
    let mut last = Last::default();
    let (streams, events) = (&mut Vec::new(), &mut Vec::new());
    let mut out = Outbox { frames: &mut last, streams, events, gossip_budget: &mut 0 };
    let frame = Frame::decode(&bytes[..used]).unwrap();
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    member.handle_frame(now, from, &frame, shared, &mut out);
    last.0
}

/// How often the answer to a ping says `message` beside its ack.
fn says(answer: &[u8], message: Message<'_>) -> usize {
    let said: Vec<_> = Frame::decode(answer).unwrap().messages().map(Result::unwrap).collect();
    assert_eq!(said[0], Message::Ack { sequence: 5, event_root: 0 });
    said[1..].iter().filter(|said| **said == message).count()
}

/// With either way of telling; `dead_copies` of its death are in the answer to a ping of the dead.
fn whoever_pings_learns_it(dissemination: Dissemination, dead_copies: usize) {
    let (mut one, other, mut shared) = pair_with(Settings { dissemination, ..Settings::preset(Preset::Lan) });
    let (subject, incarnation) = (other.id(), Incarnation::new(7));
    let ping = Message::Ping { sequence: 5, event_root: 0 };
    let suspect = Message::Suspect { subject, incarnation, accuser: one.id() };
    let dead = Message::Dead { subject, incarnation };
    let calm = answer(&mut one, &mut shared, subject, other.root(), ping);
    assert_eq!((says(&calm, suspect), says(&calm, dead)), (0, 0));
    let accuser = MemberId(9);
    answer(&mut one, &mut shared, subject, 0, Message::Suspect { subject, incarnation, accuser });
    // A suspect is still live: the roots agree, and it is told all the same.
    assert_eq!(one.root(), other.root());
    let answered = answer(&mut one, &mut shared, subject, other.root(), ping);
    assert_eq!(says(&answered, suspect), 1);
    answer(&mut one, &mut shared, subject, 0, dead);
    assert_ne!(one.root(), other.root());
    let answered = answer(&mut one, &mut shared, subject, other.root(), ping);
    assert_eq!(says(&answered, dead), dead_copies);
}

#[test]
fn whoever_pings_learns_that_it_is_suspected_or_dead() {
    // To the sender, beside whom there is nobody to tell.
    whoever_pings_learns_it(Dissemination::Delegated, 1);
    // Once to the sender, and once among the news for everyone.
    whoever_pings_learns_it(Dissemination::Gossip, 2);
}

#[test]
fn a_probe_without_a_direct_ack_in_time_is_told() {
    let (mut one, other, mut shared) = pair();
    let (mut last, mut streams, mut events) = (Last::default(), Vec::new(), Vec::new());
    let unanswered = Event::ProbeUnanswered { subject: other.index() };
    // The first probe of an interval, and the end of its timeout, with the gossip between.
    for _ in 0..50 {
        let (streams, budget) = (&mut streams, &mut 0);
        let mut out = Outbox { frames: &mut last, streams, events: &mut events, gossip_budget: budget };
        one.handle_timeout(one.next_timeout(), &mut shared, &mut out);
        if events.contains(&unanswered) {
            return;
        }
    }
    panic!("{events:?}");
}

/// What happens when `one` probes someone who never answers, while `doubted` says that datagrams are being lost.
fn probed_in_vain(doubted: bool) -> (u64, u64) {
    let (mut one, other, mut shared) = pair();
    let (mut last, mut events) = (Last::default(), Vec::new());
    let suspected = Event::Suspected { subject: other.index(), accuser: one.id() };
    for _ in 0..100 {
        let now = one.next_timeout();
        if doubted {
            shared.set_doubt(now);
        }
        let streams = &mut Vec::new();
        let mut out = Outbox { frames: &mut last, streams, events: &mut events, gossip_budget: &mut 0 };
        one.handle_timeout(now, &mut shared, &mut out);
        if events.contains(&suspected) {
            return (shared.counters.probes_failed, shared.counters.probes_inconclusive);
        }
    }
    panic!("{events:?}");
}

/// Whose answers may have been lost here is asked again before it is suspected, but not for ever: somebody may make
/// us lose datagrams on purpose.
#[test]
fn a_probe_whose_answer_may_be_lost_is_repeated() {
    assert_eq!(probed_in_vain(false), (1, 0));
    assert_eq!(probed_in_vain(true), (3, 2));
}

/// While something lies unread a member goes on beginning probes and judges none, since the answers may be there.
#[test]
fn silence_is_judged_as_far_as_reading_has_come() {
    let (mut one, other, mut shared) = pair();
    let (mut last, mut events) = (Last::default(), Vec::new());
    let unanswered = Event::ProbeUnanswered { subject: other.index() };
    let mut call = |one: &mut Member, shared: &mut SharedState, events: &mut Vec<Event>, now: Time| {
        let streams = &mut Vec::new();
        let mut out = Outbox { frames: &mut last, streams, events, gossip_budget: &mut 0 };
        one.handle_timeout(now, shared, &mut out);
    };
    while shared.counters.probes_sent == 0 {
        let now = one.next_begun();
        call(&mut one, &mut shared, &mut events, now);
    }
    let timed_out = one.next_judged();
    shared.set_read_until(timed_out - Duration::from_micros(1));
    call(&mut one, &mut shared, &mut events, timed_out);
    assert!(!events.contains(&unanswered), "the ack may lie unread");
    assert!(one.next_judged() <= timed_out && one.next_begun() > timed_out, "the judgement is still to come");
    shared.set_read_until(timed_out);
    call(&mut one, &mut shared, &mut events, timed_out + Duration::from_millis(80));
    assert!(events.contains(&unanswered), "what was sent by then has been read");
    assert!(one.next_judged() > timed_out);
}

/// What the driver lost counts for each member as if it had been told itself, whenever it is called next.
#[test]
fn time_that_a_driver_lost_is_taken_note_of_once() {
    let (mut one, _, mut shared) = pair();
    let mut last = Last::default();
    let mut call = |one: &mut Member, shared: &mut SharedState, now: Time| {
        let (streams, events) = (&mut Vec::new(), &mut Vec::new());
        let mut out = Outbox { frames: &mut last, streams, events, gossip_budget: &mut 0 };
        one.handle_timeout(now, shared, &mut out);
    };
    while shared.counters.probes_sent == 0 {
        let now = one.next_begun();
        call(&mut one, &mut shared, now);
    }
    let timed_out = one.next_judged();
    shared.lose(Duration::from_millis(30));
    call(&mut one, &mut shared, timed_out - Duration::from_millis(1));
    call(&mut one, &mut shared, timed_out - Duration::from_micros(1));
    assert_eq!(one.next_judged(), timed_out + Duration::from_millis(30));
    assert_eq!(shared.counters.stalls, 1);
}

/// Roots that differ while something lies unread say nothing: what makes them differ may be there. A whole view is neither
/// asked for nor given.
#[test]
fn no_views_are_exchanged_while_the_driver_is_behind() {
    let (mut one, other, mut shared) = pair();
    let root = other.root() ^ 1;
    let header = FrameHeader { cluster: 1, source: other.id(), destination: one.id(), root, quiet: true };
    let mut bytes = Vec::new();
    StreamWriter::new(header, &mut bytes).plain(StreamKind::Sync);
    let asked = |one: &mut Member, shared: &mut SharedState, now: Time| {
        let message = StreamMessage::decode(&bytes[STREAM_PREFIX_LEN..]).unwrap();
        let (mut last, mut reply) = (Last::default(), Vec::new());
        let (streams, events) = (&mut Vec::new(), &mut Vec::new());
        let mut out = Outbox { frames: &mut last, streams, events, gossip_budget: &mut 0 };
        one.handle_stream(now, None, &message, &mut reply, shared, &mut out)
    };
    let ping = Message::Ping { sequence: 5, event_root: 0 };
    let later = Time::ZERO + one.core.settled() * 20;
    shared.set_read_until(later - Duration::from_micros(1));
    assert_eq!(asked(&mut one, &mut shared, later), StreamNext::Close);
    assert_eq!(shared.counters.push_pulls_declined, 1);
    answer_at(&mut one, &mut shared, later, (other.id(), root), ping);
    shared.set_read_until(Time::NEVER);
    let (begun, lasting) = (later + Duration::from_millis(1), Duration::from_millis(300));
    answer_at(&mut one, &mut shared, begun, (other.id(), root), ping);
    answer_at(&mut one, &mut shared, later + lasting, (other.id(), root), ping);
    assert_eq!(shared.counters.view_sketches_sent, 0, "they have differed since reading came to an end");
    answer_at(&mut one, &mut shared, begun + lasting, (other.id(), root), ping);
    assert_eq!(shared.counters.view_sketches_sent, 1);
    assert_eq!(asked(&mut one, &mut shared, begun + lasting), StreamNext::Reply);
}

/// Everyone hears of a death at once, and takes the member out of its view half a minute later, not all at once.
/// Members that have missed the same have the same root: one that hears another does not take its view for everybody's.
#[test]
fn three_roots_in_a_row_have_to_agree() {
    let (mut one, other, mut shared) = pair();
    one.view_repair.note_joined(Time::ZERO);
    let (same, another) = (other.root(), other.root() + 1);
    let ping = Message::Ping { sequence: 5, event_root: 0 };
    let agrees = [same, same, another, same, same, same, same, another].map(|root| {
        answer(&mut one, &mut shared, other.id(), root, ping);
        one.view_repair.agrees()
    });
    assert_eq!(agrees, [false, false, false, false, false, true, true, false]);
}

#[test]
fn members_reap_the_dead_one_after_the_other() {
    let (mut one, mut other, mut shared) = pair();
    let incarnation = Incarnation::new(7);
    let subjects = [other.id(), one.id()];
    let third = {
        let config = MemberConfig {
            name: "third".to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            metadata: Vec::new(),
            zone: String::new(),
            cluster: 1,
            incarnation,
            seed: 1,
            settings: Arc::clone(&one.core.settings),
        };
        Member::new(config, &mut shared, Time::ZERO).unwrap()
    };
    let introduction = Message::Introduction(Introduction {
        subject: third.id(),
        incarnation,
        state: State::Alive,
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        name: "third",
        metadata: &[],
        zone: "",
    });
    let patience = one.core.settings.gossip_to_the_dead;
    let reaped = [&mut one, &mut other].map(|member| {
        let source = subjects.into_iter().find(|subject| *subject != member.id()).unwrap();
        answer(member, &mut shared, source, 0, introduction);
        answer(member, &mut shared, source, 0, Message::Dead { subject: third.id(), incarnation });
        member.reconnect.due_to_reap()
    });
    assert_ne!(reaped[0], reaped[1]);
    for at in reaped {
        let later = at.since(Time::ZERO + patience);
        assert!(later > Duration::ZERO && later <= patience / 8 + Duration::from_micros(1), "{at:?}");
    }
}
