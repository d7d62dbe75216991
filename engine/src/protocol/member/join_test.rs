//! Tests of what follows a join.

use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use super::refutation_tests::{Nowhere, call, member, second};
use super::*;
use crate::protocol::repair::push_pull::Taught;
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::state::Status;
use crate::protocol::wire::Update;
use crate::protocol::{MemberlistOptions, StreamOpen, StreamPurpose, WireOptions};

/// Whoever answered has left meanwhile, and is in no view: there is nobody to compare views with, and without a period
/// nothing else to wait for. A timer that stays due would keep the driver busy.
#[test]
fn a_join_through_nobody_leaves_no_timer_that_stays_due() {
    let (mut one, mut shared) = member(&WireOptions::Native, 100);
    let settings = Settings { push_pull_interval: Duration::ZERO, ..Settings::default() };
    one.core.settings = Arc::new(settings);
    one.restart_timers(second(1), &shared);
    call(&mut one, &mut shared, second(1), |one, cx| one.anti_entropy.note_joined(&mut one.core, cx, None));
    let due = one.anti_entropy.due();
    assert!(due < second(2), "views are to be compared soon");
    let (streams, events) = (&mut Vec::new(), &mut Vec::new());
    let out = &mut Outbox { frames: &mut Nowhere, streams, events, gossip_budget: &mut 0 };
    one.handle_timeout(due, &mut shared, out);
    assert!(one.next_timeout() > due);
}

/// A member on memberlist's wire that has just joined alone through the seventh of a hundred, all of which it knows.
fn joined_member() -> (Member, SharedState) {
    let (mut one, mut shared) = member(&WireOptions::Memberlist(MemberlistOptions::default()), 100);
    one.restart_timers(second(1), &shared);
    let introduce = |one: &mut Member, cx: &mut Context<'_, '_>, number: u8| {
        let name = &format!("two {number}");
        let address = ([127, 0, 1, number], 7946).into();
        let subject = MemberId::of_name(name);
        let (incarnation, state) = (Incarnation::new(1), State::Alive);
        let said = Introduction { subject, incarnation, state, address, name, metadata: &[], zone: "" };
        one.on_introduction(cx, &said, Versions::PLAIN, merge::TellOn::Nobody);
    };
    call(&mut one, &mut shared, second(1), |one, cx| {
        one.core.seldom.joined_alone = true;
        (1..=100).for_each(|number| introduce(one, cx, number));
        let through = cx.shared.directory.find(seed());
        assert!(through.is_some());
        one.anti_entropy.note_joined(&mut one.core, cx, through);
    });
    (one, shared)
}

fn seed() -> MemberId {
    MemberId::of_name("two 7")
}

/// When the next push/pull begins, and for what; it fails if that is not by `latest`.
fn next_push_pull(one: &mut Member, shared: &mut SharedState, latest: Time) -> (Time, StreamOpen) {
    let opened = &mut None;
    while opened.is_none() {
        let due = one.anti_entropy.due();
        assert!(due <= latest, "{due:?}");
        call(one, shared, due, |one, cx| {
            one.anti_entropy.timeout(&mut one.core, cx, &one.view_repair);
            *opened = cx.out.streams.pop().map(|open| (due, open));
        });
    }
    opened.take().unwrap()
}

/// A view of the member that was joined through comes, in which nobody is new and so many records say what we say.
fn answered(one: &mut Member, shared: &mut SharedState, at: Time, same: usize) {
    taught(one, shared, at, Taught { joined: 0, same });
}

fn taught(one: &mut Member, shared: &mut SharedState, at: Time, taught: Taught) {
    let from = shared.directory.find(seed()).unwrap();
    call(one, shared, at, |one, cx| one.anti_entropy.answered(&mut one.core, cx, from, taught));
}

/// On memberlist's wire, whoever has joined asks for the view of the member that it joined through, and sends only that it lives
/// itself: those that join together know nothing that others do not.
#[test]
fn a_member_that_has_just_joined_asks_for_a_view_and_sends_none() {
    let (mut one, mut shared) = joined_member();
    let (at, asked) = next_push_pull(&mut one, &mut shared, second(4));
    assert!(at > second(2), "{at:?}");
    assert_eq!(asked.to, ([127, 0, 1, 7], 7946).into());
    let mut said = |purpose| {
        let mut first = Vec::new();
        one.open_stream(purpose, seed(), &mut shared, &mut first);
        first.len()
    };
    assert!(said(asked.purpose) < 400);
    assert!(said(StreamPurpose::Sync) > 100 * 64);
}

/// It asks again soon if gossip shows that others have joined since, and otherwise compares much later.
#[test]
fn who_catches_up_asks_again_while_others_join() {
    let (mut one, mut shared) = joined_member();
    let (at, _) = next_push_pull(&mut one, &mut shared, second(4));
    answered(&mut one, &mut shared, at, 100);
    let (again, _) = next_push_pull(&mut one, &mut shared, at + Duration::from_millis(2200));
    assert!(again > at + Duration::from_secs(1), "somebody joined while the answer was on its way");
    let at = again;
    answered(&mut one, &mut shared, at, 101);
    let quiet = one.anti_entropy.due();
    one.anti_entropy.met(shared.directory.find(MemberId::of_name("two 9")).unwrap());
    let soon = at + Duration::from_millis(2200);
    let (again, asked) = next_push_pull(&mut one, &mut shared, soon);
    assert!(again > at + Duration::from_secs(1) && again < quiet, "{again:?} {quiet:?}");
    assert_eq!(asked.to, ([127, 0, 1, 7], 7946).into(), "in its view are all that join through it");
    answered(&mut one, &mut shared, again, 101);
    assert!(one.anti_entropy.catches_up());
    let (_, asked) = next_push_pull(&mut one, &mut shared, again + Duration::from_secs(10));
    assert!(!one.anti_entropy.catches_up() && matches!(asked.purpose, StreamPurpose::Pull { .. }));
}

/// Whoever took itself to have caught up, and hears of more by a comparison, was not the only one that had not: it asks again soon, as
/// others may have joined while that answer was on its way.
#[test]
fn who_is_taught_by_a_comparison_catches_up_again() {
    for (joined, again) in [(0, false), (3, true)] {
        let (mut one, mut shared) = joined_member();
        let (at, _) = next_push_pull(&mut one, &mut shared, second(4));
        answered(&mut one, &mut shared, at, 101);
        let (at, _) = next_push_pull(&mut one, &mut shared, at + Duration::from_secs(10));
        assert!(!one.anti_entropy.catches_up());
        taught(&mut one, &mut shared, at, Taught { joined, same: 101 });
        assert_eq!(one.anti_entropy.catches_up(), again);
        let soon = at + Duration::from_millis(2200);
        assert_eq!(one.anti_entropy.due() <= soon, again);
    }
}

/// A view that cannot be had is asked for again soon, later each time, and for no longer than a member counts as new.
#[test]
fn a_view_asked_for_in_vain_is_asked_for_again() {
    let (mut one, mut shared) = joined_member();
    let (mut last, open) = next_push_pull(&mut one, &mut shared, second(4));
    let mut waits = Vec::new();
    for _ in 0..8 {
        let out = &mut Outbox {
            frames: &mut Nowhere,
            streams: &mut Vec::new(),
            events: &mut Vec::new(),
            gossip_budget: &mut 0,
        };
        one.handle_stream_closed(last, open.purpose, out);
        let (at, _) = next_push_pull(&mut one, &mut shared, last + Duration::from_secs(10));
        waits.push(at.since(last));
        last = at;
    }
    assert!(waits[0] < Duration::from_millis(301), "{waits:?}");
    assert!(waits[7] > 8 * waits[0] && waits[7] < Duration::from_secs(10), "{waits:?}");
}

/// Later it asks as well, and sends its own view only to whom that is news.
#[test]
fn whoever_compares_sends_its_view_only_where_it_is_news() {
    for (same, pushes) in [(101, false), (100, true)] {
        let (mut one, mut shared) = joined_member();
        let (at, _) = next_push_pull(&mut one, &mut shared, second(4));
        answered(&mut one, &mut shared, at, 101);
        let (at, asked) = next_push_pull(&mut one, &mut shared, at + Duration::from_secs(10));
        assert!(matches!(asked.purpose, StreamPurpose::Pull { .. }));
        answered(&mut one, &mut shared, at, same);
        let (then, next) = next_push_pull(&mut one, &mut shared, at + Duration::from_secs(300));
        assert_eq!(next.purpose == StreamPurpose::Sync, pushes);
        assert_eq!(then == at, pushes);
        if pushes {
            assert_eq!(next.to, ([127, 0, 1, 7], 7946).into());
            let (_, after) = next_push_pull(&mut one, &mut shared, then + Duration::from_secs(300));
            assert!(matches!(after.purpose, StreamPurpose::Pull { .. }), "once");
        }
    }
}

/// What stands for the view that a rush is told by is that the member lives, once more; one that is leaving does not say so.
#[test]
fn a_rush_is_told_by_a_claim_that_nobody_has_served_unless_its_member_leaves() {
    for (status, steps) in [(Status::Active, 1), (Status::Leaving, 0)] {
        let (mut one, mut shared) = member(&WireOptions::Native, 100);
        one.restart_timers(second(1), &shared);
        call(&mut one, &mut shared, second(1), |one, cx| {
            cx.asked = Some(Range::Zone { zone: one.core.zone, prefix_bits: 0 });
            for number in 1..=20 {
                let (name, incarnation) = (&format!("two {number}"), Incarnation::new(1));
                let (subject, address) = (MemberId::of_name(name), ([127, 0, 1, number], 7946).into());
                let said = Introduction {
                    subject,
                    incarnation,
                    state: State::Alive,
                    address,
                    name,
                    metadata: &[],
                    zone: "",
                };
                one.core.note_join(cx.now);
                one.on_introduction(cx, &said, Versions::PLAIN, merge::TellOn::Nobody);
                let index = cx.shared.directory.find(subject).unwrap();
                one.core.delegate_asked(cx, index, Update::Alive { introduce: true }, incarnation);
            }
            cx.introduced = true;
            one.core.delegate_read(cx);
        });
        let before = one.incarnation().get();
        let due = one.core.newcomers_due();
        assert!(due > second(1) && due < second(3), "{due:?}");
        one.core.status = status;
        call(&mut one, &mut shared, due, |one, cx| one.core.delegation_timeout(cx));
        assert_eq!(shared.counters.views_offered, 1, "{status:?}");
        assert_eq!(one.incarnation().get() - before, steps, "{status:?}");
        assert!(one.core.newcomers_due() > due, "{status:?}");
    }
}
