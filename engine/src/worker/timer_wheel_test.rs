//! Tests of the timer wheel against a plain map of deadlines.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn at(micros: u64) -> Time {
    Time::from_micros(micros)
}

/// The same, without any cleverness.
#[derive(Default)]
struct Naive {
    start: u64,
    deadlines: BTreeMap<u32, u64>,
}

impl Naive {
    /// When a timer fires, given when it was armed.
    fn fires(&self, deadline: u64) -> u64 {
        self.start + deadline.saturating_sub(self.start).next_multiple_of(TICK_MICROS)
    }

    fn expire(&mut self, now: u64) -> BTreeSet<(u32, u64)> {
        let due: BTreeSet<_> = self
            .deadlines
            .iter()
            .filter(|&(_, &deadline)| self.fires(deadline) <= now)
            .map(|(&member, &deadline)| (member, deadline))
            .collect();
        self.deadlines.retain(|member, deadline| !due.contains(&(*member, *deadline)));
        due
    }
}

#[derive(Clone, Debug)]
enum Step {
    Schedule { member: u32, after: u64 },
    Cancel { member: u32 },
    Expire { after: u64 },
    FollowNextDeadline,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let member = 0..40_u32;
    // The wheel has 64 slots: up to several turns ahead, and far beyond.
    let after = prop_oneof![6 => 0..100_000_u64, 3 => 0..400_000_u64, 1 => 0..50_000_000_u64];
    let pass = prop_oneof![8 => 0..5_000_u64, 2 => 0..300_000_u64, 1 => 0..20_000_000_u64];
    let step = prop_oneof![
        6 => (member.clone(), after).prop_map(|(member, after)| Step::Schedule { member, after }),
        1 => member.prop_map(|member| Step::Cancel { member }),
        2 => pass.prop_map(|after| Step::Expire { after }),
        3 => Just(Step::FollowNextDeadline),
    ];
    prop::collection::vec(step, 1..400)
}

fn check_links(wheel: &Wheel) {
    let mut armed = 0;
    for (list, ends) in wheel.lists.iter().enumerate() {
        let (mut previous, mut member) = (NONE, ends.first);
        while member != NONE {
            let node = wheel.nodes[member as usize];
            assert_eq!((node.list as usize, node.previous), (list, previous));
            (previous, member) = (member, node.next);
            armed += 1;
        }
        assert_eq!(ends.last, previous);
        if let Some(word) = wheel.occupied.get(list / WORD_BITS) {
            assert_eq!(word >> (list % WORD_BITS) & 1 == 1, ends.first != NONE);
        }
    }
    assert_eq!(armed, wheel.len());
}

proptest! {
    #[test]
    fn it_fires_what_a_sorted_map_would(start in 0..5_000_000_u64, steps in steps()) {
        let mut wheel = Wheel::new(at(start), 64);
        let mut naive = Naive { start, ..Naive::default() };
        let mut now = start;
        wheel.expire(at(now), &mut |_, _| unreachable!());
        for step in steps {
            let expire_at = match step {
                Step::Schedule { member, after } => {
                    // Always after the tick that the wheel has done: then the twin need not know it.
                    let deadline = now + TICK_MICROS + after;
                    wheel.schedule(member, at(deadline));
                    naive.deadlines.insert(member, deadline);
                    None
                }
                Step::Cancel { member } => {
                    wheel.cancel(member);
                    naive.deadlines.remove(&member);
                    None
                }
                Step::Expire { after } => Some(now + after),
                Step::FollowNextDeadline => {
                    let next = wheel.next_deadline(at(now));
                    let fires = || naive.deadlines.values().map(|&deadline| naive.fires(deadline));
                    let (earliest, latest) = (fires().min(), fires().max());
                    match (next, earliest) {
                        (None, None) => {}
                        (Some(next), Some(earliest)) => {
                            let next = next.as_micros();
                            prop_assert!(now <= next && next <= earliest);
                            if latest < Some(now + 63 * TICK_MICROS) {
                                prop_assert_eq!(next, earliest, "exact within a turn");
                            }
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                    next.map(Time::as_micros)
                }
            };
            if let Some(later) = expire_at {
                now = later;
                let mut fired = BTreeSet::new();
                wheel.expire(at(now), &mut |member, deadline| {
                    assert!(fired.insert((member, deadline.as_micros())));
                });
                prop_assert_eq!(fired, naive.expire(now));
            }
            prop_assert_eq!(wheel.len(), naive.deadlines.len());
            for member in 0..40 {
                let expected = naive.deadlines.get(&member).map(|&deadline| at(deadline));
                prop_assert_eq!(wheel.deadline(member), expected);
            }
            check_links(&wheel);
        }
    }
}

#[test]
fn following_next_deadline_reaches_every_timer_on_its_tick() {
    let mut wheel = Wheel::new(at(500), 64);
    let deadlines = [900, 1_500, 1_501, 64_500, 64_501, 700_000, 90_000_000];
    for (member, &deadline) in deadlines.iter().enumerate() {
        wheel.schedule(member as u32, at(deadline));
    }
    let mut now = at(500);
    wheel.expire(now, &mut |_, _| panic!("early"));
    let mut fired = Vec::new();
    let mut wakes = 0;
    while let Some(next) = wheel.next_deadline(now) {
        assert!(next > now, "a wake that does nothing must not repeat");
        now = next;
        wheel.expire(now, &mut |member, deadline| fired.push((member, deadline, now)));
        wakes += 1;
    }
    assert_eq!(fired.len(), deadlines.len());
    for (member, (fired_member, deadline, when)) in fired.into_iter().enumerate() {
        assert_eq!((fired_member, deadline), (member as u32, at(deadlines[member])));
        assert!(when >= deadline && when < deadline + std::time::Duration::from_millis(1));
    }
    // One wake per turn of the wheel for the far one.
    assert!(wakes < 7 + 90_000 / 64 + 64, "{wakes} wakes");
}

#[test]
fn a_timer_armed_in_the_past_fires_once_per_tick() {
    let mut wheel = Wheel::new(at(0), 64);
    wheel.schedule(3, at(0));
    let mut fired = 0;
    while let Some((member, _)) = wheel.next_expired(at(5_000)) {
        wheel.schedule(member, at(0));
        fired += 1;
    }
    assert_eq!(fired, 6, "ticks 0 to 5");
    assert_eq!(wheel.next_deadline(at(5_000)), Some(at(6_000)));
}

#[test]
fn what_is_due_can_be_moved_and_disarmed_before_it_is_taken() {
    let mut wheel = Wheel::new(at(0), 64);
    for member in 0..4 {
        wheel.schedule(member, at(10_000));
    }
    assert_eq!(wheel.first_expired(at(9_999)), None);
    assert_eq!(wheel.first_expired(at(10_000)), Some(at(10_000)));
    assert_eq!(wheel.next_expired(at(10_000)), Some((0, at(10_000))), "looking takes nothing");
    assert_eq!(wheel.next_deadline(at(10_000)), Some(at(10_000)));
    wheel.cancel(1);
    wheel.schedule(2, at(12_000));
    assert_eq!(wheel.next_expired(at(10_000)), Some((3, at(10_000))));
    assert_eq!(wheel.next_expired(at(10_000)), None);
    assert_eq!(wheel.next_deadline(at(10_000)), Some(at(12_000)));
    check_links(&wheel);
}

#[test]
fn never_disarms_and_unknown_members_are_no_harm() {
    let mut wheel = Wheel::new(at(0), 64);
    wheel.cancel(1_000);
    assert_eq!(wheel.deadline(1_000), None);
    wheel.schedule(7, at(1_000));
    wheel.schedule(7, Time::NEVER);
    assert!(wheel.is_empty());
    assert_eq!(wheel.next_deadline(at(0)), None);
    wheel.schedule(7, at(u64::MAX - 1));
    wheel.expire(at(u64::MAX - 5_000_000), &mut |_, _| panic!("early"));
    assert_eq!(wheel.len(), 1);
}
