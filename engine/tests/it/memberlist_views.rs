//! Whole views on memberlist's wire, where several members of a worker write and merge them: what is written once for
//! all of them, and passed over unread, is what each would have written and read itself.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring::protocol::{
    Counters, Member, MemberConfig, MemberlistOptions, Outbox, Settings, SharedState, StreamPurpose, Time,
    View, WireOptions,
};
use swimring_codec::memberlist::{Alive, Codec, Message, StreamMessage, Versions};
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use crate::view_support::{Nowhere, address, name};

const MEMBERS: u32 = 300;

/// A worker with the members of some numbers, each of which knows all of the cluster.
struct Worker {
    members: Vec<Member>,
    shared: SharedState,
    codec: Codec,
}

impl Worker {
    fn new(numbers: &[u32], seed: u64) -> Worker {
        let options = MemberlistOptions::default();
        let settings = Arc::new(Settings::default());
        let wire = WireOptions::Memberlist(options.clone()).check().unwrap();
        let mut shared = SharedState::speaking(&wire, seed, [1; 32]);
        let mut members: Vec<Member> = numbers
            .iter()
            .map(|number| {
                let config = MemberConfig {
                    name: name(*number),
                    address: address(*number),
                    metadata: Vec::new(),
                    zone: String::new(),
                    cluster: 0,
                    incarnation: Incarnation::new(1),
                    seed: u64::from(*number),
                    settings: Arc::clone(&settings),
                };
                Member::new(config, &mut shared, Time::ZERO).unwrap()
            })
            .collect();
        let mut view = View::of(&members, &mut shared);
        // In another order in each worker.
        for place in 0..MEMBERS {
            let number = (place * 7 + seed as u32) % MEMBERS;
            if numbers.contains(&number) {
                continue;
            }
            let introduction = Introduction {
                subject: MemberId::of_name(&name(number)),
                incarnation: Incarnation::new(1),
                state: State::Alive,
                address: address(number),
                name: &name(number),
                metadata: &[],
                zone: "",
            };
            view.add(&introduction, &settings, &mut shared).unwrap();
        }
        view.load(&mut members, &mut shared);
        view.release(&mut shared);
        Worker { members, shared, codec: Codec::new(&options.codec(), [2; 32]).unwrap() }
    }

    fn call<R>(
        &mut self,
        at: usize,
        call: impl FnOnce(&mut Member, &mut SharedState, &mut Codec, &mut Outbox<'_>) -> R,
    ) -> R {
        let mut out = Outbox {
            frames: &mut Nowhere::default(),
            streams: &mut Vec::new(),
            events: &mut Vec::new(),
            gossip_budget: &mut u32::MAX.clone(),
        };
        call(&mut self.members[at], &mut self.shared, &mut self.codec, &mut out)
    }

    fn hear(&mut self, at: usize, message: &Message<'_>) {
        self.call(at, |member, shared, _, out| {
            let messages = std::iter::once(Ok(*message));
            member.handle_packet(Time::from_micros(1), address(0), messages, shared, out);
        });
    }

    /// The view of the member at `at`, as it opens a push/pull.
    fn written(&mut self, at: usize) -> Vec<u8> {
        let mut written = Vec::new();
        self.call(at, |member, shared, _, _| {
            member.open_stream(StreamPurpose::Sync, MemberId::NONE, shared, &mut written);
        });
        written
    }

    /// Takes in what another has `written`; the answer.
    fn read(&mut self, at: usize, written: &[u8]) -> Vec<u8> {
        self.call(at, |member, shared, codec, out| {
            let (mut reply, message) = (Vec::new(), codec.open_stream(written, true).unwrap());
            member.handle_packet_stream(Time::from_micros(2), None, &message, &mut reply, shared, out);
            reply
        })
    }

    fn counters(&self) -> Counters {
        self.shared.counters
    }
}

/// A member as a view has it: name, address, metadata, incarnation and state.
type Seen = (String, SocketAddr, Vec<u8>, u64, u8);

/// What the member at `at` believes.
fn believed(worker: &Worker, at: usize) -> Vec<Seen> {
    let members = worker.members[at].members(&worker.shared);
    let mut believed: Vec<Seen> = members
        .map(|seen| {
            let incarnation = seen.incarnation.get();
            (seen.name.to_owned(), seen.address, seen.metadata.to_vec(), incarnation, seen.state as u8)
        })
        .collect();
    believed.sort();
    believed
}

/// What a view says, record by record.
fn said(written: &[u8]) -> Vec<Seen> {
    let mut codec = Codec::new(&MemberlistOptions::default().codec(), [3; 32]).unwrap();
    let StreamMessage::PushPull { records, .. } = codec.open_stream(written, true).unwrap() else {
        panic!("a push/pull");
    };
    let mut said: Vec<Seen> = records
        .map(|record| {
            let record = record.unwrap();
            let incarnation = record.incarnation.into();
            (
                record.node.to_owned(),
                record.address,
                record.metadata.to_vec(),
                incarnation,
                record.state as u8,
            )
        })
        .collect();
    said.sort();
    said
}

/// Something that a member may hear.
fn heard(rng: &mut fastrand::Rng, worker: &mut Worker, others: &mut [(&mut Worker, usize)], at: usize) {
    let number = rng.u32(..MEMBERS + 3);
    let (node, metadata) = (name(number), [rng.u8(..2); 3]);
    let incarnation = rng.u32(1..6);
    let message = match rng.u8(..4) {
        0 => Message::Suspect { incarnation, node: &node, from: "member-9" },
        1 => Message::Dead { incarnation, node: &node, from: "member-9" },
        2 => Message::Dead { incarnation, node: &node, from: &node },
        _ => Message::Alive(Alive {
            incarnation,
            node: &node,
            address: address(number),
            metadata: &metadata[..rng.usize(..2) * 3],
            versions: Versions::PLAIN,
        }),
    };
    worker.hear(at, &message);
    for (other, at) in others {
        other.hear(*at, &message);
    }
}

/// A member that shares a worker with another believes the same after each push/pull as its twin that is alone, and
/// says the same in its own.
#[test]
fn what_is_passed_over_and_copied_is_what_each_would_read_and_write() {
    let (mut passed, mut read) = (0, 0);
    for seed in 0..12 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut away = Worker::new(&[100, 101], seed + 1);
        let mut here = Worker::new(&[7, 8], seed + 2);
        let mut alone = Worker::new(&[7], seed + 2);
        for _ in 0..40 {
            for _ in 0..rng.usize(..3) {
                let at = rng.usize(..2);
                heard(&mut rng, &mut away, &mut [], at);
            }
            for _ in 0..rng.usize(..2) {
                heard(&mut rng, &mut here, &mut [(&mut alone, 0)], 0);
            }
            let at = rng.usize(..2);
            let written = away.written(at);
            assert_eq!(said(&written), believed(&away, at), "seed {seed}");
            let before = here.counters();
            let (answer, twins) = (here.read(0, &written), alone.read(0, &written));
            assert_eq!(said(&answer), said(&twins), "seed {seed}");
            assert_eq!(believed(&here, 0), believed(&alone, 0), "seed {seed}");
            let counted = here.counters().since(&before);
            assert_eq!(counted.push_pull_records, said(&written).len() as u64, "each counts");
            passed += counted.push_pull_records_passed;
            read += counted.push_pull_records - counted.push_pull_records_passed;
        }
        assert_eq!(alone.counters().push_pull_records_passed, 0, "one member alone keeps nothing");
    }
    assert!(passed > 5 * read && read > 0, "{passed} passed over, {read} read");
}

/// memberlist's own members send records in an order of their own each time.
#[test]
fn views_in_any_order_are_read_record_by_record() {
    let (mut here, mut alone) = (Worker::new(&[7, 8], 1), Worker::new(&[7], 1));
    here.written(1);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut order: Vec<u32> = (0..MEMBERS).collect();
    rng.shuffle(&mut order);
    let mut written = Vec::new();
    let mut writer = swimring_codec::memberlist::PushPullWriter::new(&mut written, false);
    for number in order {
        writer.record(&swimring_codec::memberlist::Record {
            incarnation: 1 + u32::from(number % 50 == 0),
            node: &name(number),
            address: address(number),
            metadata: &[],
            versions: Versions::PLAIN,
            state: State::Alive,
        });
    }
    writer.finish(b"");
    here.read(0, &written);
    alone.read(0, &written);
    assert_eq!(believed(&here, 0), believed(&alone, 0));
    assert_eq!(here.counters().push_pull_records, u64::from(MEMBERS));
    let raised = believed(&here, 0).iter().filter(|seen| seen.3 == 2).count();
    assert_eq!(raised, 6, "every fiftieth");
}

/// Whoever asks for a view sends its own if that says something that the answer did not, and says nothing more if both are the same.
#[test]
fn a_view_is_sent_where_the_answer_to_a_pull_lacks_something() {
    // Which of the two have heard that somebody has left.
    for (here_knows, away_knows, sends) in
        [(false, false, false), (false, true, false), (true, false, true), (true, true, false)]
    {
        for workers in [&[7, 8][..], &[7]] {
            let (mut here, mut away) = (Worker::new(workers, 1), Worker::new(&[100, 101], 2));
            for (worker, knows) in [(&mut here, here_knows), (&mut away, away_knows)] {
                let node = &name(50);
                if knows {
                    worker.hear(0, &Message::Dead { incarnation: 1, node, from: node });
                }
            }
            let answer = away.written(0);
            here.written(0);
            let from = here.shared.directory().find(MemberId::of_name(&name(100))).unwrap();
            let opened = here.call(0, |member, shared, codec, out| {
                let (mut reply, message) = (Vec::new(), codec.open_stream(&answer, false).unwrap());
                let purpose = Some(StreamPurpose::Pull { from });
                member.handle_packet_stream(Time::from_micros(2), purpose, &message, &mut reply, shared, out);
                assert!(reply.is_empty());
                member.handle_timeout(Time::from_micros(3), shared, out);
                out.streams.pop()
            });
            assert_eq!(opened.is_some(), sends, "{here_knows:?} {away_knows:?} {workers:?}");
            assert!(opened.is_none_or(|open| (open.to, open.purpose) == (address(100), StreamPurpose::Sync)));
        }
    }
}
