//! Whole views on the native wire, where several members of a worker read and write them: who is taken over from bytes that another has read
//! is who would have been read, and what is copied is what would have been written.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring::protocol::{
    Event, Member, MemberConfig, Outbox, Settings, SharedState, StreamNext, StreamPurpose, Time, View,
};
use swimring_codec::native::{Introduction, STREAM_PREFIX_LEN, StreamMessage, stream_message_len};
use swimring_codec::{Incarnation, MemberId, State};

use crate::view_support::{Nowhere, address, name};

const MEMBERS: u32 = 300;
const JOIN: StreamPurpose = StreamPurpose::Join { token: 1 };

fn introduction(name: &str, number: u32, incarnation: u64) -> Introduction<'_> {
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: Incarnation::new(incarnation),
        state: State::Alive,
        address: address(number),
        name,
        metadata: &[],
        zone: if number.is_multiple_of(3) { "east" } else { "" },
    }
}

/// A member as a view has it: name, address, zone, incarnation and state.
type Believed = (String, SocketAddr, String, u64, u8);

/// The members of some numbers, in one worker.
struct Worker {
    members: Vec<Member>,
    shared: SharedState,
}

impl Worker {
    fn new(numbers: &[u32]) -> Worker {
        let settings = Arc::new(Settings::default());
        let mut shared = SharedState::new(7);
        let member = |number: &u32| {
            let config = MemberConfig {
                name: name(*number),
                address: address(*number),
                metadata: Vec::new(),
                zone: introduction("", *number, 1).zone.to_owned(),
                cluster: 0,
                incarnation: Incarnation::new(1),
                seed: u64::from(*number),
                settings: Arc::clone(&settings),
            };
            Member::new(config, &mut shared, Time::ZERO).unwrap()
        };
        let members = numbers.iter().map(member).collect();
        Worker { members, shared }
    }

    /// Those of `numbers` know of everybody of `known`, at these incarnations.
    fn knowing(numbers: &[u32], known: impl Iterator<Item = (u32, u64)>) -> Worker {
        let mut worker = Worker::new(numbers);
        let mut view = View::of(&worker.members, &mut worker.shared);
        for (number, incarnation) in known.filter(|(number, _)| !numbers.contains(number)) {
            let name = name(number);
            let introduction = introduction(&name, number, incarnation);
            view.add(&introduction, &Settings::default(), &mut worker.shared).unwrap();
        }
        view.load(&mut worker.members, &mut worker.shared);
        view.release(&mut worker.shared);
        worker
    }

    fn call<R>(
        &mut self,
        at: usize,
        call: impl FnOnce(&mut Member, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> (R, Vec<Event>) {
        let mut events = Vec::new();
        let mut out = Outbox {
            frames: &mut Nowhere::default(),
            streams: &mut Vec::new(),
            events: &mut events,
            gossip_budget: &mut u32::MAX.clone(),
        };
        (call(&mut self.members[at], &mut self.shared, &mut out), events)
    }

    /// What the member at `at` answers `joiner` with, who joins through it.
    fn answer(&mut self, at: usize, joiner: &mut Worker, nth: usize) -> Vec<u8> {
        let mut first = Vec::new();
        joiner.call(nth, |member, shared, out| {
            member.join(Time::from_micros(1), address(0), MemberId::NONE, 1, shared, out);
            member.open_stream(JOIN, MemberId::NONE, shared, &mut first);
        });
        self.read(at, None, &first).0
    }

    /// Takes in what was `written`, on a stream for `purpose`: the answer, and what happened.
    fn read(&mut self, at: usize, purpose: Option<StreamPurpose>, written: &[u8]) -> (Vec<u8>, Vec<Event>) {
        let (mut reply, mut happened, mut rest) = (Vec::new(), Vec::new(), written);
        while let Some((prefix, after)) = rest.split_first_chunk::<STREAM_PREFIX_LEN>() {
            let (message, after) = after.split_at(stream_message_len(*prefix).unwrap());
            let message = StreamMessage::decode(message).unwrap();
            rest = after;
            let (next, events) = self.call(at, |member, shared, out| {
                member.handle_stream(Time::from_micros(2), purpose, &message, &mut reply, shared, out)
            });
            happened.extend(events);
            if matches!(next, StreamNext::Close | StreamNext::ReplyAndClose) {
                break;
            }
        }
        (reply, happened)
    }

    /// A member as a view has it, for each, and the view's root.
    fn believed(&self, at: usize) -> (Vec<Believed>, u64) {
        let members = self.members[at].members(&self.shared);
        let mut believed: Vec<_> = members
            .map(|seen| {
                let (name, zone) = (seen.name.to_owned(), seen.zone.to_owned());
                (name, seen.address, zone, seen.incarnation.get(), seen.state as u8)
            })
            .collect();
        believed.sort();
        (believed, self.members[at].root())
    }
}

fn joined(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Joined { .. })).count()
}

/// Members that read the same bytes know the same afterwards as one that has read them alone, and so it is with a view that has
/// changed a little, which some know in part.
#[test]
fn a_view_that_another_has_read_says_what_it_says() {
    let mut seed = Worker::knowing(&[0], (0..MEMBERS).map(|number| (number, 1)));
    let mut together = Worker::new(&[1_000, 1_001, 1_002]);
    for (nth, number) in [1_000, 1_001, 1_002].into_iter().enumerate() {
        let mut alone = Worker::new(&[number]);
        let written = seed.answer(0, &mut alone, 0);
        let before = together.shared.counters.push_pull_records_passed;
        together.call(nth, |member, shared, out| {
            member.join(Time::from_micros(1), address(0), MemberId::NONE, 1, shared, out);
        });
        let read = [together.read(nth, Some(JOIN), &written), alone.read(0, Some(JOIN), &written)];
        assert_eq!(read.each_ref().map(|(_, events)| joined(events)), [MEMBERS as usize + nth; 2]);
        assert_eq!(together.believed(nth), alone.believed(0), "{number}");
        let passed = together.shared.counters.push_pull_records_passed - before;
        assert_eq!(passed >= u64::from(MEMBERS), nth > 0, "{passed} of the view of {number}");
    }
    // A seed that knows some at another incarnation, and others besides.
    let other = (0..MEMBERS + 40).map(|number| (number, if number % 7 == 0 { 2 } else { 1 }));
    let mut other = Worker::knowing(&[0], other);
    let written = other.answer(0, &mut Worker::new(&[2_000]), 0);
    let mut alone = Worker::new(&[1_000]);
    let first = seed.answer(0, &mut alone, 0);
    alone.read(0, Some(JOIN), &first);
    let read = |worker: &mut Worker| {
        worker.read(0, Some(StreamPurpose::View), &written);
        worker.believed(0).0.into_iter().filter(|(name, ..)| !name.starts_with("member-100")).collect()
    };
    let [one, two]: [Vec<_>; 2] = [read(&mut together), read(&mut alone)];
    assert_eq!(one, two);
}

/// What a member writes does not depend on what others of its worker have written and read.
#[test]
fn a_view_that_is_copied_is_the_view_that_would_be_written() {
    let known = || (0..MEMBERS).map(|number| (number, 1));
    let mut alone = Worker::knowing(&[0], known());
    let mut together = Worker::knowing(&[0, 1], known());
    let mut expected = Vec::new();
    for number in [3_000, 3_001] {
        expected.push(alone.answer(0, &mut Worker::new(&[number]), 0));
    }
    for (number, expected) in [3_000, 3_001].into_iter().zip(&expected) {
        let mut joiner = Worker::new(&[number]);
        together.answer(1, &mut joiner, 0);
        let written = together.answer(0, &mut Worker::new(&[number]), 0);
        assert!(written == *expected, "the view for {number}");
    }
}
