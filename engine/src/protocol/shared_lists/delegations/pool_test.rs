//! Tests of the lists of delegations.

use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use super::*;
use crate::protocol::shared_lists::delegation::Part;
use crate::protocol::shared_lists::delegations::*;
use crate::protocol::view::directory::UNVERSIONED;

const FLOOR: Duration = Duration::from_millis(20);
const PACING: Duration = Duration::from_millis(20);

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1_000)
}

fn delegation(subject: u32, delegate: MemberIndex, prefix_bits: u8) -> Delegation {
    let part = Part { delegate, zone: 0, prefix_bits, view_first: false };
    let (update, incarnation) = (Update::Event, Incarnation::new(1));
    Delegation { subject, update, incarnation, part, since: Time::ZERO, attempt: 0 }
}

/// Knows sixteen members.
fn directory() -> Directory {
    let mut directory = Directory::new(1);
    for nth in 0..16 {
        let name = format!("member-{nth}");
        let introduction = Introduction {
            subject: MemberId::of_name(&name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address: ([10, 0, 0, 1], 7946).into(),
            name: &name,
            metadata: b"",
            zone: "",
        };
        assert!(directory.intern(&introduction, UNVERSIONED, 16).is_ok());
    }
    directory
}

/// Sends all that waits, a frame for each delegate, and gives their numbers.
fn send_all(pool: &mut DelegationPool, of: &mut Delegations, now: Time) -> Vec<(MemberIndex, u32)> {
    let Some(ready) = pool.ready(of, now, PACING, &directory(), |_| true) else { return Vec::new() };
    let frames = ready.chunk_by(|one, next| one.part.delegate == next.part.delegate);
    let numbers = frames.map(|frame| {
        let Part { delegate, zone, .. } = frame[0].part;
        (delegate, pool.send(of, frame, Leaving { away: zone != 0, fresh: true, full: false }, now, FLOOR))
    });
    let numbers = numbers.collect();
    pool.done(ready);
    numbers
}

#[test]
fn what_is_acknowledged_is_over() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(3));
    for subject in 0..4 {
        assert!(pool.add(&mut of, delegation(subject, 7 + subject % 2, 4)));
    }
    assert_eq!(of.due(), Time::ZERO);
    let frames = send_all(&mut pool, &mut of, at(5));
    let mut delegates: Vec<_> = frames.iter().map(|frame| frame.0).collect();
    delegates.sort_unstable();
    assert_eq!(delegates, [7, 8]);
    let mut gone = Vec::new();
    let (delegate, number) = frames[0];
    let mut acknowledge = |from, number, gone: &mut Vec<u32>| {
        pool.acknowledge(&mut of, number, from, at(6), |over| gone.push(over.subject))
    };
    assert!(!acknowledge(delegate + 1, number, &mut gone), "another member's");
    assert!(!acknowledge(delegate, number + 100, &mut gone), "another number");
    assert!(!acknowledge(delegate, u32::MAX, &mut gone), "no such place");
    assert!(acknowledge(delegate, number, &mut gone));
    assert!(!acknowledge(delegate, number, &mut gone), "twice");
    assert_eq!(gone, if delegate == 7 { [0, 2] } else { [1, 3] }, "in the order in which they came");
    assert!(acknowledge(frames[1].0, frames[1].1, &mut gone));
    assert!(of.is_empty() && pool.used() == 0 && of.due() == Time::NEVER);
}

#[test]
fn a_late_acknowledgement_is_not_taken_for_that_of_a_later_frame() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    let mut earlier = Vec::new();
    for nth in 0..200 {
        assert!(pool.add(&mut of, delegation(nth, 7, 4)));
        let now = at(u64::from(nth) * 10_000);
        let number = send_all(&mut pool, &mut of, now)[0].1;
        for late in &earlier {
            assert!(!pool.acknowledge(&mut of, *late, 7, now, |_| {}), "{late} for {number}");
        }
        let due = of.unanswered();
        assert!(pool.expire(&mut of, due, |_| Retry::Drop));
        assert!(!pool.acknowledge(&mut of, number, 7, now, |_| {}), "taken apart");
        earlier.push(number);
    }
}

/// Whatever else is under way, and in whatever order answers come, each frame is found once.
#[test]
fn each_of_many_frames_under_way_is_found_once() {
    let (mut pool, mut of, mut other) = (DelegationPool::new(7), Delegations::new(0), Delegations::new(1));
    let mut rng = fastrand::Rng::with_seed(3);
    let mut under_way: Vec<(u32, MemberIndex)> = Vec::new();
    for step in 0..5_000_u32 {
        let now = at(u64::from(step) * 1_000);
        let delegate = rng.u32(0..16);
        for of in [&mut of, &mut other] {
            assert!(pool.add(of, delegation(step, delegate, 4)));
        }
        under_way.push((send_all(&mut pool, &mut of, now)[0].1, delegate));
        send_all(&mut pool, &mut other, now);
        let calm = step % 500 > 400;
        while under_way.len() > if calm { 0 } else { 40 } {
            let (number, delegate) = under_way.swap_remove(rng.usize(..under_way.len()));
            assert!(pool.acknowledge(&mut of, number, delegate, now, |_| {}), "{number} at {step}");
            assert!(!pool.acknowledge(&mut of, number, delegate, now, |_| {}), "{number} at {step}");
        }
        assert_eq!(of.len() as usize, under_way.len());
        if calm {
            pool.clear(&mut other, |_| {});
            assert!(pool.index.is_empty() && pool.used() == 0, "nothing is kept of what is over");
        }
    }
}

#[test]
fn the_acknowledgement_of_another_member_of_the_worker_is_not_ours() {
    let mut pool = DelegationPool::new(7);
    let (mut of, mut other) = (Delegations::new(0), Delegations::new(1));
    assert!(pool.add(&mut of, delegation(1, 7, 0)) && pool.add(&mut other, delegation(1, 7, 0)));
    send_all(&mut pool, &mut of, at(0));
    send_all(&mut pool, &mut other, at(0));
    assert!(pool.add(&mut of, delegation(2, 7, 0)));
    // The second frame of the one; the other has sent one only.
    let number = send_all(&mut pool, &mut of, at(20))[0].1;
    assert!(!pool.acknowledge(&mut other, number, 7, at(1), |_| {}));
    assert!(pool.acknowledge(&mut of, number, 7, at(1), |_| {}));
}

#[test]
fn what_is_not_acknowledged_is_tried_elsewhere_and_given_up() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    assert!(pool.add(&mut of, delegation(1, 7, 4)));
    let mut now = at(0);
    for attempt in 1..=ATTEMPTS_MAX {
        assert_eq!(send_all(&mut pool, &mut of, now).len(), 1, "attempt {attempt}");
        let due = of.unanswered();
        assert!(!pool.expire(&mut of, due - Duration::from_micros(1), |_| unreachable!()));
        let next = |unheard: &Delegation| {
            assert_eq!(unheard.attempt, attempt);
            let part =
                Part { delegate: 7 + MemberIndex::from(attempt), zone: 0, prefix_bits: 4, view_first: false };
            if attempt == ATTEMPTS_MAX { Retry::GiveUp } else { Retry::Send(part) }
        };
        assert!(pool.expire(&mut of, due, next));
        now = due + PACING;
    }
    assert!(of.is_empty() && pool.used() == 0);
    assert!(of.distrusts(), "the second frame was in vain too");
}

#[test]
fn frames_are_paced_and_time_that_was_lost_does_not_count() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    assert!(pool.add(&mut of, delegation(1, 7, 4)));
    assert_eq!(send_all(&mut pool, &mut of, at(100)).len(), 1);
    let unanswered = of.unanswered();
    assert!(pool.add(&mut of, delegation(2, 8, 4)));
    assert_eq!(of.due(), at(100) + PACING);
    assert!(send_all(&mut pool, &mut of, at(119)).is_empty(), "too soon");
    assert_eq!(send_all(&mut pool, &mut of, at(120)).len(), 1);
    assert!(pool.add(&mut of, delegation(3, 9, 4)));
    assert!(send_all(&mut pool, &mut of, at(121)).is_empty(), "too soon");
    of.hurry(at(121));
    assert_eq!(of.due(), Time::ZERO);
    assert_eq!(send_all(&mut pool, &mut of, at(121)).len(), 1, "a refutation does not wait");
    of.extend(Duration::from_secs(1));
    assert_eq!(of.unanswered(), unanswered + Duration::from_secs(1));
    pool.clear(&mut of, |_| {});
    assert!(of.is_empty() && pool.used() == 0);
}

/// What a member sends in a second is bounded whatever waits: frames with room in them are spaced once a burst of them has
/// left, and a refutation may leave all the same.
#[test]
fn frames_with_room_in_them_are_spaced_in_a_storm() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    let (mut sent, mut spaced) = (0, 0);
    for ms in 0..3_000 {
        // Something for each of sixteen delegates, all the time.
        for delegate in 0..16 {
            assert!(pool.add(&mut of, delegation(ms, delegate, 4)));
        }
        let frames = send_all(&mut pool, &mut of, at(ms.into()));
        for (delegate, number) in &frames {
            assert!(pool.acknowledge(&mut of, *number, *delegate, at(ms.into()), |_| {}));
        }
        sent += frames.len() as u32;
        spaced += u32::from(!frames.is_empty() && of.is_spaced());
        if ms >= 1_000 {
            assert!(
                sent <= FRAMES_BURST + 16 + (ms + 1) * FRAMES_PER_SECOND / 1_000 + 1,
                "{sent} after {ms} ms"
            );
        }
    }
    assert!(sent >= 3 * FRAMES_PER_SECOND && spaced > 0, "{sent} frames, spaced {spaced} times");
    assert!(of.due() > at(3_000), "the next wait");
    of.hurry(at(3_000));
    assert!(!send_all(&mut pool, &mut of, at(3_000)).is_empty(), "a refutation does not");
}

/// What is held back leaves once little lies unread, or after so long; what else there is to tell passes it.
#[test]
fn what_is_held_back_leaves_when_little_lies_unread() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    let dead = |subject, now| Delegation { update: Update::Dead, since: now, ..delegation(subject, 7, 4) };
    assert!(pool.hold(&mut of, dead(1, at(100))) && pool.hold(&mut of, dead(2, at(110))));
    assert_eq!((of.len(), of.holds(), of.due()), (2, true, at(100) + HOLD_MAX));
    assert!(pool.add(&mut of, delegation(3, 8, 4)));
    pool.release(&mut of, at(120), HOLD_FROM);
    assert_eq!(send_all(&mut pool, &mut of, at(120)), [(8, 1)], "the event alone");
    assert_eq!(of.due(), at(100) + HOLD_MAX);
    pool.release(&mut of, at(130), HOLD_FROM - Duration::from_micros(1));
    assert_eq!((of.holds(), of.due()), (false, at(120) + PACING), "from now on they go by its pace");
    assert_eq!(send_all(&mut pool, &mut of, at(140)), [(7, 2)], "both in one frame");
    assert!(pool.hold(&mut of, dead(4, at(200))) && pool.hold(&mut of, dead(5, at(300))));
    pool.release(&mut of, at(199) + HOLD_MAX, HOLD_MAX);
    assert!(of.holds());
    pool.release(&mut of, at(200) + HOLD_MAX, HOLD_MAX);
    assert!(!of.holds() && of.due() <= at(200) + HOLD_MAX, "however much lies unread");
    assert!(pool.hold(&mut of, dead(6, at(700))));
    pool.clear(&mut of, |_| {});
    assert!(of.is_empty() && !of.holds() && of.due() == Time::NEVER && pool.used() == 0);
}

/// A full frame would not be saved by waiting.
#[test]
fn full_frames_are_not_spaced() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    let directory = directory();
    let leaving = |full| Leaving { away: false, fresh: true, full };
    for (full, spaced) in [(true, false), (false, true)] {
        for subject in 0..FRAMES_BURST + 8 {
            assert!(pool.add(&mut of, delegation(subject, 7, 4)));
        }
        let ready =
            pool.ready(&mut of, at(1_000), Duration::ZERO, &directory, |_| true).expect("not too soon");
        for one in ready.chunks(1) {
            pool.send(&mut of, one, leaving(full), at(1_000), FLOOR);
        }
        pool.done(ready);
        assert_eq!(of.is_spaced(), spaced);
    }
}

/// Where what was sent lies unread for long, no more is sent before in a storm: a round trip lies between frames, up to a bound.
#[test]
fn long_round_trips_put_frames_of_a_storm_further_apart() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    assert_eq!(of.interval(PACING), PACING, "nothing measured");
    for (round_trip, expected) in [(1, PACING), (150, Duration::from_millis(150)), (5_000, INTERVAL_MAX)] {
        for nth in 0..60 {
            let now = 1_000_000 * round_trip + nth * 10_000;
            assert!(pool.add(&mut of, delegation(1, 7, 4)));
            let number = send_all(&mut pool, &mut of, at(now))[0].1;
            assert!(pool.acknowledge(&mut of, number, 7, at(now + round_trip), |_| {}));
        }
        for nth in 0..STORM_FROM {
            assert!(pool.add(&mut of, delegation(nth, 7, 4)));
            assert_eq!(of.interval(PACING), PACING, "{nth} are no storm yet");
        }
        assert!(pool.add(&mut of, delegation(STORM_FROM, 7, 4)));
        let interval = of.interval(PACING);
        assert!(interval.abs_diff(expected) < Duration::from_millis(2), "{interval:?} at {round_trip} ms");
        pool.clear(&mut of, |_| {});
    }
}

/// One that has missed nothing is not made to wait for what others have missed.
#[test]
fn an_attempt_at_somebody_fresh_waits_no_longer_than_four_times_the_first() {
    let directory = directory();
    let waits = |fresh| {
        let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
        assert!(pool.add(&mut of, Delegation { attempt: 5, ..delegation(1, 7, 4) }));
        let ready = pool.ready(&mut of, at(0), PACING, &directory, |_| true).expect("not too soon");
        pool.send(&mut of, &ready, Leaving { away: false, fresh, full: false }, at(0), FLOOR);
        of.unanswered().since(at(0))
    };
    assert_eq!(waits(false), waits(true) * 8);
}

#[test]
fn other_zones_have_round_trips_of_their_own() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    let mut to = |zone, now, round_trip| {
        let mut delegation = delegation(1, 7, 4);
        delegation.part.zone = zone;
        assert!(pool.add(&mut of, delegation));
        let number = send_all(&mut pool, &mut of, at(now))[0].1;
        let waits = of.unanswered().since(at(now));
        assert!(pool.acknowledge(&mut of, number, 7, at(now + round_trip), |_| {}));
        waits
    };
    for nth in 0..40 {
        to(0, nth * 1_000, 1);
        to(5, nth * 1_000 + 500, 80);
    }
    assert_eq!(to(0, 50_000, 1), FLOOR);
    let away = to(5, 51_000, 80);
    assert!((Duration::from_millis(80)..Duration::from_millis(90)).contains(&away), "{away:?}");
}

#[test]
fn a_probe_stands_for_acknowledgements_of_its_own_side() {
    let mut of = Delegations::new(0);
    assert!(of.learns_from_probes(false));
    of.assume_round_trip(true, Duration::from_millis(80));
    assert!(of.round_trip(false).is_unknown(), "what comes from away says nothing of the own zone");
    of.assume_round_trip(false, Duration::from_millis(30));
    of.assume_round_trip(false, Duration::from_millis(900));
    assert_eq!(of.round_trip(false).smoothed(), Duration::from_millis(30), "then acknowledgements say it");
    assert!(!of.learns_from_probes(false) && of.learns_from_probes(true));
    let first = of.round_trip(true).timeout(0, FLOOR);
    for _ in 0..40 {
        of.assume_round_trip(true, Duration::from_millis(80));
    }
    let settled = of.round_trip(true).timeout(0, FLOOR);
    assert!(
        first > Duration::from_millis(200) && settled < Duration::from_millis(100),
        "{first:?} {settled:?}"
    );
}

#[test]
fn a_frame_that_could_not_be_written_waits_again() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    assert!(pool.add(&mut of, delegation(1, 7, 4)));
    let number = send_all(&mut pool, &mut of, at(0))[0].1;
    pool.unsend(&mut of, number);
    assert_eq!(of.due(), at(0) + PACING);
    assert_eq!(send_all(&mut pool, &mut of, at(20)).len(), 1);
    assert!(pool.expire(&mut of, at(100_000), |unheard| {
        assert_eq!(unheard.attempt, 1);
        Retry::Drop
    }));
}

#[test]
fn what_is_too_much_is_refused() {
    let (mut pool, mut of) = (DelegationPool::new(7), Delegations::new(0));
    let accepted = (0..DELEGATIONS_MAX + 5).filter(|nth| pool.add(&mut of, delegation(*nth, 7, 4))).count();
    assert_eq!(accepted as u32, DELEGATIONS_MAX);
    assert!(of.is_full() && of.len() == DELEGATIONS_MAX);
}
