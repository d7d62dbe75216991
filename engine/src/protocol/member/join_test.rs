//! Tests of what follows a join.

use std::net::SocketAddr;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use super::refutation_tests::{Nowhere, call, member, second};
use super::*;
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::state::Status;
use crate::protocol::wire::Update;
use crate::protocol::{MemberlistOptions, StreamPurpose, WireOptions};

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

/// On memberlist's wire, whoever has joined asks for the view of the member that it joined through, and sends only that it lives
/// itself: those that join together know nothing that others do not. Once it knows what others do it sends its view as well.
#[test]
fn a_member_that_has_just_joined_asks_for_a_view_and_sends_none() {
    let (mut one, mut shared) = member(&WireOptions::Memberlist(MemberlistOptions::default()), 100);
    one.restart_timers(second(1), &shared);
    let seed = MemberId::of_name("two 7");
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
        let through = cx.shared.directory.find(seed);
        assert!(through.is_some());
        one.anti_entropy.note_joined(&mut one.core, cx, through);
        let due = one.anti_entropy.due();
        assert!(due > second(1) && due <= second(4), "{due:?}");
    });
    call(&mut one, &mut shared, second(4), |one, cx| {
        let to = ([127, 0, 1, 7], 7946).into();
        let views = &one.view_repair;
        one.anti_entropy.timeout(&mut one.core, cx, views);
        let asked: Vec<SocketAddr> = cx.out.streams.iter().map(|open| open.to).collect();
        assert_eq!(asked, [to]);
    });
    let said = |one: &Member, shared: &mut SharedState| {
        let mut first = Vec::new();
        one.open_stream(StreamPurpose::Sync, seed, shared, &mut first);
        first.len()
    };
    let all = 100 * 64;
    assert!(said(&one, &mut shared) < 400);
    let learn = |one: &mut Member, shared: &mut SharedState, many| {
        call(one, shared, second(5), |one, cx| one.anti_entropy.learned(&mut one.core, cx, many));
    };
    learn(&mut one, &mut shared, 20);
    assert!(said(&one, &mut shared) < 400, "others were joining");
    learn(&mut one, &mut shared, 1);
    assert!(said(&one, &mut shared) > all, "it knows what others know");
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
