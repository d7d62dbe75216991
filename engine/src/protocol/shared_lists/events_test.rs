//! Tests of the event store: what the event roots stand for, against a plain twin, and what is forgotten.

use super::*;
use crate::protocol::shared_lists::event_window::EVENT_SETTLED;
use swimring_codec::native::{EVENT_ROOT_MAX, UserEvent};

fn at_ms(ms: u64) -> Time {
    Time::from_micros(ms * 1_000)
}

fn key(number: u32) -> EventKey {
    EventKey { origin: MemberId(7), sequence: number }
}

/// Stores event `number`, which is `age` old.
fn insert(
    store: &mut EventStore,
    number: u32,
    age: Duration,
    now: Time,
    settings: &Settings,
) -> Option<EventIndex> {
    let event = UserEvent { origin: MemberId(7), sequence: number, name: "news", payload: b"" };
    store.insert(&EventBody::Plain(&event), age, now, settings)
}

fn store(members: usize) -> EventStore {
    let mut store = EventStore::new(1, 512, true);
    store.grow_members(members);
    store
}

/// An event as the twin keeps it.
struct Told {
    number: u32,
    born_ms: i64,
    seen: Vec<u32>,
}

/// The root that `member` has at `now_ms`, by the words of the specification.
fn twin(told: &[Told], member: u32, now_ms: u64) -> u32 {
    let ages = 2_000..30_000;
    let covered = told.iter().filter(|told| ages.contains(&(now_ms as i64 - told.born_ms)));
    let known = covered.filter(|told| told.seen.contains(&member));
    known.fold(0, |sum: u32, told| sum.wrapping_add(EventId::of(MemberId(7), told.number).1)) & EVENT_ROOT_MAX
}

/// Whatever is told, learned late, repaired with any age, and whoever is new: each member's root is the sum over what it
/// knows of the right age.
#[test]
fn roots_stand_for_what_each_member_knows() {
    let settings = Settings::default();
    let mut roots = 0;
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut members = rng.u32(1..130);
        let mut store = store(members as usize);
        let mut told: Vec<Told> = Vec::new();
        let mut now_ms = rng.u64(0..40_000);
        for _ in 0..400 {
            now_ms += rng.u64(0..400);
            let now = at_ms(now_ms);
            store.keep_time(now);
            match rng.u8(..10) {
                0 if members < 200 => {
                    members += 1;
                    store.grow_members(members as usize);
                }
                0..5 => {
                    let number = told.len() as u32;
                    let age_ms = if rng.bool() { 0 } else { rng.u64(0..30_000) };
                    let age = Duration::from_millis(age_ms);
                    let at = insert(&mut store, number, age, now, &settings).expect("room");
                    let seen: Vec<u32> = (0..members).filter(|_| rng.u8(..8) != 0).collect();
                    seen.iter().for_each(|member| assert!(store.mark_seen(at, *member)));
                    told.push(Told { number, born_ms: now_ms as i64 - age_ms as i64, seen });
                }
                _ => {
                    let Some(known) = rng.choice(&mut told) else { continue };
                    let member = rng.u32(..members);
                    let Some(at) = store.find(key(known.number)) else { continue };
                    if store.mark_seen(at, member) {
                        known.seen.push(member);
                    }
                }
            }
            let member = rng.u32(..members);
            assert_eq!(store.root(member), twin(&told, member, now_ms), "seed {seed} at {now_ms}");
            roots += u32::from(store.root(member) != 0);
        }
    }
    assert!(roots > 10_000, "{roots}");
}

/// Members that learned of the same events at quite different moments agree once all of these have left, and nobody waits
/// for an event to enter or leave.
#[test]
fn skewed_receipt_does_not_part_roots_for_ever() {
    let settings = Settings::default();
    let (mut early, mut late) = (store(1), store(1));
    let mut rng = fastrand::Rng::with_seed(3);
    let skews: Vec<u64> = (0..50).map(|_| rng.u64(0..7_000)).collect();
    let (mut agreed, mut differed) = (0, 0);
    for ms in (0..60_000).step_by(100) {
        for (number, skew) in skews.iter().enumerate() {
            let told = number as u64 * 200;
            for (store, when) in [(&mut early, told), (&mut late, told + skew / 100 * 100)] {
                if when == ms {
                    store.keep_time(at_ms(ms));
                    let at = insert(store, number as u32, Duration::ZERO, at_ms(ms), &settings);
                    store.mark_seen(at.expect("room"), 0);
                }
            }
        }
        early.keep_time(at_ms(ms));
        late.keep_time(at_ms(ms));
        let same = early.root(0) == late.root(0);
        // The last is told after 9.8 s and up to 7 s later: all are in, then all are out.
        assert!(same || !(19_000..30_000).contains(&ms) && ms < 47_000, "at {ms}");
        (agreed, differed) = (agreed + u32::from(same), differed + u32::from(!same));
    }
    assert!(agreed > 200 && differed > 100, "{agreed} {differed}");
    assert_eq!((early.root(0), late.root(0)), (0, 0));
}

/// A full store forgets early. What it says and takes then is only what it can be sure of.
#[test]
fn what_was_forgotten_early_is_not_taken_for_new() {
    let settings = Settings { events_max: 16, event_memory: Duration::from_secs(10), ..Settings::default() };
    let mut store = store(1);
    assert_eq!(store.age_max(at_ms(0)), 120);
    for number in 0..16 {
        let now = at_ms(u64::from(number) * 100);
        store.keep_time(now);
        let at = insert(&mut store, number, Duration::ZERO, now, &settings).expect("room");
        store.mark_seen(at, 0);
    }
    let now = at_ms(10_500);
    store.keep_time(now);
    assert_ne!(store.root(0), 0);
    let before = store.known_by(0, now, 120).count();
    assert!(insert(&mut store, 16, Duration::ZERO, now, &settings).is_some(), "in place of the oldest");
    assert_eq!(store.find(key(0)), None);
    assert_eq!(store.known_by(0, now, 120).count(), before - 1);
    // It was told 10.5 s ago; ages may differ by 8 s.
    assert_eq!(store.age_max(now), 10);
    assert!(!store.takes_repaired(now, Duration::from_secs(10)));
    assert!(!store.takes_repaired(now, Duration::from_millis(2_600)));
    assert!(store.takes_repaired(now, Duration::from_millis(2_400)));
    // In the end nobody sends it any more.
    let later = now + Duration::from_secs(28);
    assert_eq!(store.age_max(later), 120);
    assert!(store.takes_repaired(later, EVENT_WINDOW - EVENT_SETTLED));
    assert!(!store.takes_repaired(later, EVENT_WINDOW));
}

/// Where there is room events are remembered for longer than anyone sends them.
#[test]
fn with_room_events_are_remembered_for_a_minute() {
    let settings = Settings { event_memory: Duration::from_secs(10), ..Settings::default() };
    let mut store = store(1);
    insert(&mut store, 0, Duration::ZERO, at_ms(0), &settings).expect("room");
    for (number, ms) in [(1, 11_000), (2, 59_900)] {
        store.keep_time(at_ms(ms));
        insert(&mut store, number, Duration::ZERO, at_ms(ms), &settings).expect("room");
        assert!(store.find(key(0)).is_some());
    }
    store.keep_time(at_ms(60_000));
    insert(&mut store, 3, Duration::ZERO, at_ms(60_000), &settings).expect("room");
    assert_eq!(store.find(key(0)), None);
    assert_eq!(store.age_max(at_ms(60_000)), 120, "nobody has it in a root any more");
}
