//! Tests of what is remembered of newcomers.

use super::*;

fn at(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(10_000 + ms)
}

fn joined(newcomers: &mut Newcomers, number: u32, now: Time) {
    newcomers.note_join(200, now);
    assert!(!newcomers.add(number, Incarnation::new(1), now));
}

#[test]
fn few_are_told_of_by_themselves_and_in_turn() {
    let mut newcomers = Newcomers::new(1);
    assert_eq!(newcomers.due(100), Time::NEVER);
    joined(&mut newcomers, 1, at(0));
    assert!(newcomers.due(100) <= at(0), "a lone one at once");
    assert_eq!(newcomers.take(at(0)), [(1, Incarnation::new(1))]);
    for number in 2..RUSH_LEAST as u32 {
        joined(&mut newcomers, number, at(10));
    }
    assert!(!newcomers.are_rush());
    assert_eq!(newcomers.due(100), at(0) + WAIT);
}

#[test]
fn a_rush_waits_for_its_end_and_not_for_ever() {
    let mut newcomers = Newcomers::new(1);
    let live = 200;
    let quiet = QUIET + QUIET_EACH * live as u32;
    for nth in 0..=50 {
        joined(&mut newcomers, nth, at(nth.into()));
    }
    assert!(newcomers.are_rush());
    assert_eq!(newcomers.due(live), at(50) + quiet);
    // Others are about to hand themselves over.
    newcomers.note_join(live, at(90));
    assert_eq!(newcomers.due(live), at(90) + quiet);
    for ms in (100..10_000).step_by(50) {
        joined(&mut newcomers, 1, at(ms));
    }
    assert_eq!(newcomers.due(live), at(0) + RUSH_MAX + RUSH_MAX_EACH * live as u32);
}

#[test]
fn so_few_of_so_many_are_no_rush() {
    let mut newcomers = Newcomers::new(1);
    let live = 40 * RUSH_SHARE;
    (1..40).for_each(|_| newcomers.note_join(live, at(0)));
    assert!(!newcomers.are_rush());
    newcomers.note_join(live, at(0));
    assert!(newcomers.are_rush());
}

#[test]
fn who_comes_after_a_rush_is_told_of_as_always() {
    let mut newcomers = Newcomers::new(1);
    for nth in 0..40 {
        newcomers.note_join(60, at(0));
        newcomers.add(nth, Incarnation::new(1), at(0));
    }
    assert!(newcomers.are_rush());
    assert_eq!(newcomers.take(at(200)).len(), 40);
    newcomers.offer(at(200));
    newcomers.note_join(60, at(210));
    newcomers.add(41, Incarnation::new(1), at(210));
    assert!(!newcomers.are_rush());
    assert_eq!(newcomers.due(60), at(200) + WAIT);
    assert!(newcomers.has_offered(60, at(210)), "others may hand themselves over that were in the view");
    assert!(!newcomers.has_offered(60, at(210) + RUSH_MEMORY + RUSH_MEMORY_EACH * 60));
}

#[test]
fn nothing_is_remembered_for_ever() {
    let mut newcomers = Newcomers::new(1);
    newcomers.note_join(2, at(0));
    newcomers.add(1, Incarnation::new(1), at(0));
    assert!(!newcomers.is_over(2, at(1_000_000)), "somebody waits");
    newcomers.take(at(0));
    newcomers.joined_in_rush(7, at(0));
    assert!(!newcomers.is_over(2, at(1)));
    newcomers.rush_told(2, at(1));
    assert!(!newcomers.is_over(2, at(2)), "others may wait");
    assert!(newcomers.is_over(2, at(2) + OTHERS_WAIT_MAX));
}

#[test]
fn whoever_told_one_of_two_groups_tells_both() {
    let mut newcomers = Newcomers::new(1);
    newcomers.groups_met(100, 200, false, at(0));
    assert_eq!(newcomers.again_due(), Time::NEVER, "it has told nobody");
    newcomers.offer(at(0));
    newcomers.groups_met(RUSH_LEAST - 1, 2 * RUSH_LEAST, false, at(0));
    newcomers.groups_met(100, 100 * GROUP_SHARE + 1, false, at(0));
    assert_eq!(newcomers.again_due(), Time::NEVER, "so few come later, or are found by comparing");
    newcomers.groups_met(100, 200, false, at(0));
    assert_eq!(newcomers.again_due(), at(0) + quiet(200));
    // Of another group a few were missing that had come with a third.
    newcomers.groups_met(1, 300, false, at(50));
    assert_eq!(newcomers.again_due(), at(50) + quiet(300));
    assert!(!newcomers.is_over(300, at(1_000_000)));
    (0..10_000).step_by(50).for_each(|ms| newcomers.groups_met(100, 300, false, at(ms)));
    assert_eq!(newcomers.again_due(), at(0) + longest_wait(300));
    newcomers.groups_are_told();
    assert_eq!(newcomers.again_due(), Time::NEVER);
}

/// A member that has joined through the seventh, and through whom twenty have.
fn joined_and_joined_through() -> Newcomers {
    let mut newcomers = Newcomers::new(5);
    newcomers.joined_in_rush(7, at(0));
    assert_eq!(newcomers.told_by(20, false), at(0) + UNTOLD_MAX);
    for nth in 0..20 {
        newcomers.note_join(20, at(nth));
    }
    assert_eq!(newcomers.told_by(20, false), at(0) + UNTOLD_MAX, "nobody has handed itself over");
    assert!(!newcomers.hands_over());
    newcomers.add(1, Incarnation::new(1), at(30));
    newcomers
}

#[test]
fn whoever_has_joined_hands_over_to_the_one_that_it_joined_through() {
    let mut newcomers = joined_and_joined_through();
    assert_eq!(newcomers.told_by(20, false), at(30) + quiet(20));
    assert!(newcomers.hands_over());
    newcomers.hand_over(7, 20, at(200));
    assert_eq!((newcomers.hands_over(), newcomers.due(20)), (false, Time::NEVER));
    assert_eq!(newcomers.told_by(20, true), Time::ZERO, "it is gone");
    assert_eq!(newcomers.told_by(20, false), at(200) + HANDED_MAX + HANDED_MAX_EACH * 20);
    assert!(newcomers.give_up() && !newcomers.give_up());
    let mut told = joined_and_joined_through();
    told.hand_over(7, 20, at(200));
    told.rush_told(20, at(300));
    assert_eq!((told.untold(), told.handed_to()), (None, Some(7)));
    told.groups_met(100, 200, false, at(300));
    assert_eq!(told.again_due(), Time::NEVER, "the seventh tells");
    told.groups_met(100, 200, true, at(300));
    assert_eq!(told.again_due(), at(300) + quiet(200) * 5, "it is gone");
    told.groups_are_told();
    assert_eq!((told.handed_to(), told.again_due()), (None, Time::NEVER));
}

#[test]
fn what_is_handed_over_is_handed_on_and_told_in_a_ring() {
    let mut newcomers = joined_and_joined_through();
    newcomers.hand_over(7, 20, at(200));
    newcomers.take_over(RUSH_LEAST, 40, at(250));
    assert_eq!((newcomers.hands_over(), newcomers.again_due()), (true, at(250) + quiet(40)));
    newcomers.hand_over(7, 40, at(400));
    newcomers.take_over(RUSH_LEAST - 1, 40, at(450));
    assert!(!newcomers.hands_over(), "all of the ring is known");
    assert_eq!(newcomers.again_due(), at(450) + quiet(40) * 5);
    // Nobody is above it.
    let mut first = Newcomers::new(1);
    first.take_over(0, 40, at(0));
    assert_eq!(first.again_due(), at(0) + quiet(40));
    first.fetch = Some(Fetch::new(("127.0.0.1:7".parse().unwrap(), MemberId(7)), 1, at(0)));
    assert_eq!(first.again_due(), Time::NEVER, "with those of another");
}

#[test]
fn views_of_several_are_had_one_after_the_other() {
    let from = |number: u16| (([127, 0, 0, 1], number).into(), MemberId(number.into()));
    let view = |number, handed_over| Fetch { handed_over, ..Fetch::new(from(number), 1, at(0)) };
    let mut newcomers = Newcomers::new(1);
    newcomers.fetch = Some(view(0, false));
    assert!(newcomers.fetch_later(view(0, false)), "it is being asked for");
    assert!((1..=LATER_MAX as u16).all(|number| newcomers.fetch_later(view(number, false))));
    assert!(newcomers.fetch_later(view(1, true)) && !newcomers.fetch_later(view(100, true)));
    for left in (0..=LATER_MAX).rev() {
        let handed_over = newcomers.fetch.map(|fetch| fetch.handed_over);
        assert_eq!(handed_over, Some(left == 0), "{left} are left");
        newcomers.fetch_next(2, at(1));
    }
    assert!(newcomers.fetch.is_none());
}

#[test]
fn no_more_than_so_many_wait() {
    let mut newcomers = Newcomers::new(1);
    let room = (0..).take_while(|number| !newcomers.add(*number, Incarnation::new(1), at(0))).count();
    assert_eq!(room + 1, NEWCOMERS_MAX);
}

#[test]
fn a_view_that_does_not_come_is_asked_for_a_few_times() {
    let mut fetch = Fetch::new(("127.0.0.1:7".parse().unwrap(), MemberId(7)), 1, at(0));
    let mut waits = Vec::new();
    while !fetch.is_in_vain() {
        let now = fetch.due;
        fetch.begin();
        assert_eq!(fetch.due, Time::NEVER, "for as long as it takes");
        fetch.failed(0.5, now);
        waits.push(fetch.due.since(now));
    }
    assert_eq!(waits.len(), usize::from(VIEW_ATTEMPTS_MAX));
    assert!(waits.is_sorted() && waits[0] >= AGAIN);
}
