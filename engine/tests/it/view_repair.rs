//! Two members whose views differ, and nothing between them but their frames: what each believes in the end is what a plain
//! rule says of the two views, and what it takes follows the difference.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use swimring::protocol::{
    Event, FrameSink, Member, MemberConfig, Outbox, Settings, SharedState, StreamOpen, StreamPurpose, Time,
    View,
};
use swimring_codec::native::{FRAME_MAX, Frame, FrameHeader, FrameWriter, Introduction, Message};
use swimring_codec::{Incarnation, MemberId, State};

/// Incarnations of the views count from here.
const FIRST: u64 = 1_700_000_000;

/// What a view has of a member: its state, by how much its incarnation is above the first, and its metadata.
type Belief = (State, u64, u8);

/// A view without its owner, by numbers.
type Beliefs = BTreeMap<u64, Belief>;

#[derive(Default)]
struct Sent(Vec<(SocketAddr, Vec<u8>)>);

impl FrameSink for Sent {
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.0.push((to, vec![0; len]));
        self.0.last_mut().map(|(_, bytes)| &mut bytes[..])
    }
}

fn name(number: u64) -> String {
    format!("node-{number:04}")
}

/// One of the two, with storage of its own.
struct Side {
    member: Member,
    shared: SharedState,
    sent: Sent,
    streams: Vec<StreamOpen>,
    events: Vec<Event>,
}

fn owner(number: u8) -> (String, SocketAddr) {
    (format!("side-{number}"), SocketAddr::from(([10, 0, 1, number], 7946)))
}

impl Side {
    /// The side `number`, which knows the other, itself, and what `beliefs` say.
    fn new(number: u8, beliefs: &Beliefs) -> Side {
        let mut shared = SharedState::new(number.into());
        // Nobody is probed meanwhile: there is nobody to answer.
        let settings = Settings { probe_interval: Duration::from_secs(100_000), ..Settings::default() };
        let settings = Arc::new(settings);
        let (own_name, address) = owner(number);
        let config = MemberConfig {
            name: own_name,
            address,
            metadata: Vec::new(),
            zone: String::new(),
            cluster: 1,
            incarnation: Incarnation::new(FIRST),
            seed: number.into(),
            settings: settings.clone(),
        };
        let mut member = Member::new(config, &mut shared, Time::ZERO).expect("a member");
        let mut view = View::of([&member], &mut shared);
        let (other_name, other_address) = owner(1 - number);
        let known = beliefs.iter().map(|(number, belief)| {
            let ip = [10, 1, (number >> 8) as u8, *number as u8];
            (name(*number), SocketAddr::from((ip, 7946)), *belief)
        });
        let other = (other_name, other_address, (State::Alive, 0, 0));
        for (name, address, (state, above, metadata)) in known.chain([other]) {
            let introduction = Introduction {
                subject: MemberId::of_name(&name),
                incarnation: Incarnation::new(FIRST + above),
                state,
                address,
                name: &name,
                metadata: if metadata == 0 { &[] } else { &[metadata] },
                zone: "",
            };
            view.add(&introduction, &settings, &mut shared).expect("room");
        }
        member.load(&view, &mut shared);
        view.release(&mut shared);
        let (sent, streams, events) = (Sent::default(), Vec::new(), Vec::new());
        Side { member, shared, sent, streams, events }
    }

    fn take_in(&mut self, now: Time, bytes: &[u8]) {
        let frame = Frame::decode(bytes).expect("a frame");
        let Side { member, shared, sent, streams, events } = self;
        let out = &mut Outbox { frames: sent, streams, events, gossip_budget: &mut { 0 } };
        member.handle_frame(now, owner(0).1, &frame, shared, out);
    }

    /// What the side is sent by the other while nothing happens.
    fn hear_ping(&mut self, now: Time, other: &Side) {
        let header = FrameHeader {
            cluster: 1,
            source: other.member.id(),
            destination: self.member.id(),
            root: other.member.root(),
            quiet: true,
        };
        let mut bytes = [0; 64];
        let mut writer = FrameWriter::new(header, &mut bytes).expect("room");
        assert!(writer.push(&Message::Ping { sequence: 1 << 29, event_root: 0 }));
        let length = writer.finish();
        self.take_in(now, &bytes[..length]);
    }

    /// What it has to say to the other about views: pings, acks and what is told to third members are left out.
    fn say(&mut self) -> Vec<Vec<u8>> {
        let frames = std::mem::take(&mut self.sent.0).into_iter();
        let own = self.member.id();
        let about_views = |bytes: &Vec<u8>| {
            let frame = Frame::decode(bytes).expect("a frame");
            assert_eq!(frame.header.source, own);
            frame.messages().any(|message| {
                matches!(
                    message.expect("a message"),
                    Message::ViewSketch(_)
                        | Message::ViewSums(_)
                        | Message::ViewList(_)
                        | Message::ViewRepair { .. }
                )
            })
        };
        frames.map(|(_, bytes)| bytes).filter(about_views).collect()
    }

    /// What it believes of those that are in either view.
    fn beliefs(&self) -> Beliefs {
        let known = self.member.members(&self.shared).filter_map(|known| {
            let number = known.name.strip_prefix("node-")?.parse().ok()?;
            let metadata = known.metadata.first().copied().unwrap_or(0);
            Some((number, (known.state, known.incarnation.get() - FIRST, metadata)))
        });
        known.collect()
    }
}

/// What an exchange took.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Times that frames crossed, one way.
    crossings: usize,
    frames: usize,
    bytes: usize,
    whole: bool,
}

/// Has `a` find out that `b` differs, and both talk until they have nothing more to say.
fn exchange(a: &mut Side, b: &mut Side, now: Time) -> Cost {
    a.hear_ping(now, b);
    a.sent.0.clear();
    let asked = now + Duration::from_millis(400);
    a.hear_ping(asked, b);
    let mut cost = Cost::default();
    let mut to_b = a.say();
    while !to_b.is_empty() && cost.crossings < 20 {
        cost.crossings += 1;
        cost.frames += to_b.len();
        cost.bytes += to_b.iter().map(Vec::len).sum::<usize>();
        assert!(to_b.iter().all(|bytes| bytes.len() <= FRAME_MAX));
        let now = asked + Duration::from_millis(cost.crossings as u64);
        to_b.iter().for_each(|bytes| b.take_in(now, bytes));
        to_b = b.say();
        std::mem::swap(a, b);
    }
    if cost.crossings % 2 == 1 {
        std::mem::swap(a, b);
    }
    for side in [a, b] {
        let Side { member, shared, sent, streams, events } = side;
        let out = &mut Outbox { frames: sent, streams, events, gossip_budget: &mut { 0 } };
        member.handle_timeout(asked + Duration::from_millis(100), shared, out);
        cost.whole |= streams.drain(..).any(|stream| stream.purpose == StreamPurpose::Sync);
        sent.0.clear();
    }
    cost
}

/// Both views as they have to be once each has heard what the other has to say of one member.
fn merged(one: Option<Belief>, other: Option<Belief>) -> [Option<Belief>; 2] {
    let live = |belief: &Option<Belief>| matches!(belief, Some((State::Alive | State::Suspect, ..)));
    match (one, other) {
        (Some((_, i, m)), Some((_, j, n))) if live(&one) && live(&other) => {
            let newer = Some((State::Alive, i.max(j), if j > i { n } else { m }));
            [newer, newer]
        }
        (Some((_, i, m)), Some((gone, j, n))) if live(&one) => {
            if i > j {
                return [one, one];
            }
            // Accused at the incarnation in which it is held dead; a goodbye is believed.
            let state = if gone == State::Left { State::Left } else { State::Suspect };
            [Some((state, j, m)), Some((gone, j, n))]
        }
        (Some(_), None) if live(&one) => [one, one],
        _ if live(&other) => {
            let [other, one] = merged(other, one);
            [one, other]
        }
        _ => [one, other],
    }
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![4 => Just(State::Alive), 1 => Just(State::Dead), 1 => Just(State::Left)]
}

/// Views of `same` members, and of some about which each side believes something else or nothing.
fn views() -> impl Strategy<Value = [Beliefs; 2]> {
    let belief = || prop::option::of((states(), 0..4_u64));
    let differing = prop_oneof![0..24_usize, 0..200_usize];
    let pair = differing.prop_flat_map(move |count| prop::collection::vec((belief(), belief()), count));
    (0..700_u64, pair).prop_map(|(same, differing)| {
        let mut views = [Beliefs::new(), Beliefs::new()];
        for number in 0..same {
            views.iter_mut().for_each(|view| _ = view.insert(number, (State::Alive, 1, 0)));
        }
        for (nth, (one, other)) in differing.into_iter().enumerate() {
            for (view, belief) in views.iter_mut().zip([one, other]) {
                if let Some((state, above)) = belief {
                    // Who publishes something else raises its incarnation.
                    view.insert(1_000 + nth as u64, (state, above, above as u8 % 2));
                }
            }
        }
        views
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However views differ, each side believes in the end what the plain rule says.
    #[test]
    fn views_become_what_the_rule_says(views in views()) {
        let [mut a, mut b] = [Side::new(0, &views[0]), Side::new(1, &views[1])];
        let mut now = Time::from_micros(1_000_000);
        for nth in 0..6 {
            let cost = exchange(&mut a, &mut b, now);
            // An accusation that nobody refutes is asked about again, in vain.
            prop_assert!(cost.crossings <= 6 && (!cost.whole || nth >= 3), "{cost:?}");
            now = now + Duration::from_secs(10);
        }
        let numbers = views[0].keys().chain(views[1].keys());
        let (mut expected_a, mut expected_b) = (Beliefs::new(), Beliefs::new());
        for number in numbers {
            let [one, other] = merged(views[0].get(number).copied(), views[1].get(number).copied());
            one.into_iter().for_each(|belief| _ = expected_a.insert(*number, belief));
            other.into_iter().for_each(|belief| _ = expected_b.insert(*number, belief));
        }
        // Suspicions may have ended by now, as nobody refutes them, and the dead may have been reaped.
        let alive = |mut beliefs: Beliefs| -> Beliefs {
            beliefs.retain(|_, (state, ..)| *state == State::Alive);
            beliefs
        };
        prop_assert_eq!(alive(a.beliefs()), alive(expected_a));
        prop_assert_eq!(alive(b.beliefs()), alive(expected_b));
    }
}

/// Views of 10,000 members that differ in `count`, in the way that `differ` says of the nth.
fn large(count: u64, differ: impl Fn(u64) -> [Option<Belief>; 2]) -> [Side; 2] {
    let mut views: [Beliefs; 2] = Default::default();
    for number in 0..9_998 {
        let pair = if number < count { differ(number) } else { [Some((State::Alive, 1, 0)); 2] };
        for (view, belief) in views.iter_mut().zip(pair) {
            belief.into_iter().for_each(|belief| _ = view.insert(number, belief));
        }
    }
    [Side::new(0, &views[0]), Side::new(1, &views[1])]
}

const ALIVE: Option<Belief> = Some((State::Alive, 1, 0));
const NEWER: Option<Belief> = Some((State::Alive, 2, 0));
const CHANGED: Option<Belief> = Some((State::Alive, 2, 7));
const DEAD: Option<Belief> = Some((State::Dead, 1, 0));

/// A way in which two views differ: what each believes of a member, by its number.
type Way = (&'static str, fn(u64) -> [Option<Belief>; 2]);

fn ways() -> Vec<Way> {
    vec![
        ("the one who asks lacks them", |_| [None, ALIVE]),
        ("the other lacks them", |_| [ALIVE, None]),
        ("each lacks half of them", |nth| if nth % 2 == 0 { [None, ALIVE] } else { [ALIVE, None] }),
        ("older incarnations with the one who asks", |_| [ALIVE, NEWER]),
        ("older incarnations with the other", |_| [NEWER, ALIVE]),
        ("older metadata with the one who asks", |_| [ALIVE, CHANGED]),
        ("dead to the other", |_| [ALIVE, DEAD]),
        ("dead to the one who asks", |_| [DEAD, ALIVE]),
        ("some of each", |nth| {
            [[None, ALIVE], [ALIVE, None], [ALIVE, NEWER], [CHANGED, ALIVE], [ALIVE, DEAD]][nth as usize % 5]
        }),
    ]
}

/// Ten differences among 10,000 members cost two kilobytes and two round trips, and nothing that grows with the views.
#[test]
fn ten_differences_cost_two_kilobytes() {
    for (way, differ) in ways() {
        let [mut a, mut b] = large(10, differ);
        let cost = exchange(&mut a, &mut b, Time::from_micros(1_000_000));
        println!("10 differences, {way}: {cost:?}");
        assert!(cost.crossings <= 4 && cost.bytes <= 2_048 && !cost.whole, "{way}: {cost:?}");
        for number in 0..10 {
            let [one, other] = differ(number);
            let [one, other] = merged(one, other);
            assert_eq!(
                [a.beliefs().get(&number), b.beliefs().get(&number)],
                [one.as_ref(), other.as_ref()],
                "{way}"
            );
        }
    }
}

/// A thousand cost a hundred kilobytes where one side lacks them, and at most a third more where both sides know of them and have to
/// say what they know before one can tell the other.
#[test]
fn a_thousand_differences_cost_a_hundred_kilobytes() {
    for (way, differ) in ways() {
        let [mut a, mut b] = large(1_000, differ);
        let cost = exchange(&mut a, &mut b, Time::from_micros(1_000_000));
        println!("1,000 differences, {way}: {cost:?}");
        let most = if way.contains("lack") { 100_000 } else { 133_000 };
        assert!(cost.bytes <= most && !cost.whole, "{way}: {cost:?}");
        let shed = a.shared.counters.view_repairs_shed + b.shared.counters.view_repairs_shed;
        assert_eq!(shed, 0, "{way}");
        let (a, b) = (a.beliefs(), b.beliefs());
        for number in 0..1_000 {
            let [one, other] = differ(number);
            let [one, other] = merged(one, other);
            assert_eq!([a.get(&number), b.get(&number)], [one.as_ref(), other.as_ref()], "{way}");
        }
    }
}

/// Who has hardly anything is given whole views, over a stream.
#[test]
fn who_has_nearly_nothing_exchanges_whole_views() {
    let [mut a, mut b] = large(9_000, |_| [None, ALIVE]);
    let cost = exchange(&mut a, &mut b, Time::from_micros(1_000_000));
    assert!(cost.whole && cost.crossings == 1, "{cost:?}");
    let [mut a, mut b] = large(3_000, |_| [None, ALIVE]);
    let cost = exchange(&mut a, &mut b, Time::from_micros(1_000_000));
    assert!(!cost.whole && a.beliefs().len() > 8_000, "{cost:?}: as much as fits the frames of a second");
}

/// Equal views have nothing to say, and neither have those that were just compared.
#[test]
fn equal_views_cost_nothing() {
    let [mut a, mut b] = large(0, |_| [ALIVE; 2]);
    let cost = exchange(&mut a, &mut b, Time::from_micros(1_000_000));
    assert_eq!((cost.frames, a.shared.counters.view_sketches_sent), (0, 0));
    let [mut a, mut b] = large(10, |_| [None, ALIVE]);
    exchange(&mut a, &mut b, Time::from_micros(1_000_000));
    assert_eq!(a.member.root(), b.member.root());
    let cost = exchange(&mut a, &mut b, Time::from_micros(9_000_000));
    assert_eq!((cost.frames, a.shared.counters.view_sketches_sent), (0, 1));
}
