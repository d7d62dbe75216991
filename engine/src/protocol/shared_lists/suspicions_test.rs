//! Tests of suspicions: Lifeguard's timeouts, witnesses and their windows, bounds.

use swimring_codec::Incarnation;

use super::*;
use crate::protocol::shared_lists::suspicion::confirmations_needed;

fn suspicion(needed: u8) -> Suspicion {
    let timeouts = (Duration::from_secs(2), Duration::from_secs(30));
    Suspicion::new(Time::ZERO, 0, Incarnation::new(1), MemberId(100), timeouts, needed)
}

/// memberlist's published fractions, for a maximum of 30 s and a minimum of 2 s.
#[test]
fn timeouts_shrink_along_lifeguards_logarithm() {
    let expected: [(u8, &[u64]); 3] = [
        (2, &[30_000, 12_333, 2_000]),
        (3, &[30_000, 16_000, 7_810, 2_000]),
        (4, &[30_000, 17_941, 10_887, 5_882, 2_000]),
    ];
    for (needed, timeouts) in expected {
        let mut suspicion = suspicion(needed);
        for (confirmations, millis) in timeouts.iter().enumerate() {
            if confirmations > 0 {
                assert!(suspicion.confirm(MemberId(confirmations as u64)));
            }
            assert_eq!(suspicion.deadline().as_micros(), millis * 1000, "{needed} {confirmations}");
        }
    }
}

#[test]
fn lost_time_is_given_back() {
    let mut pool = SuspicionPool::new(1);
    let mut of = SuspicionList::new(0);
    assert!(pool.start(&mut of, suspicion(0)));
    of.extend(Duration::from_secs(3));
    let end = Time::ZERO + Duration::from_secs(5);
    assert_eq!(pool.due(&of), end);
    assert!(pool.expired(&of, end - Duration::from_millis(1)).is_none());
    assert!(pool.expired(&of, end).is_some());
    // One that begins afterwards has lost nothing.
    let later = Suspicion { subject: 1, started: end, ..suspicion(0) };
    pool.end(&mut of, 0, end);
    assert!(pool.start(&mut of, later));
    assert_eq!(pool.due(&of), end + Duration::from_secs(2));
}

#[test]
fn suspicions_that_are_begun_anew_have_the_whole_time() {
    let mut pool = SuspicionPool::new(1);
    let mut of = SuspicionList::new(0);
    assert!(pool.start(&mut of, suspicion(2)));
    assert!(pool.confirm(&mut of, 0, MemberId(1)));
    of.extend(Duration::from_secs(3));
    let later = Time::ZERO + Duration::from_secs(100);
    pool.restart(&mut of, later);
    assert_eq!((of.len(), pool.due(&of)), (1, later + Duration::from_secs(30)));
}

fn at(millis: u64) -> Time {
    Time::from_micros(millis * 1000)
}

const WINDOW: Window = Window {
    length: Duration::from_millis(500),
    unknown_length: Duration::from_millis(1500),
    patience: Duration::from_millis(700),
    appeals: 2,
    appeal_every: Duration::from_millis(200),
};

/// A pool with a suspicion that a witness holds since 100 ms, to whom a stream has shown `presence`, with these nacks.
fn witnessed(presence: Presence, nacks: &[u64]) -> (SuspicionPool, SuspicionList) {
    let (mut pool, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
    assert!(pool.start(&mut of, suspicion(2)));
    let nackers = nacks.iter().map(|id| MemberId(*id));
    assert!(pool.witness(&mut of, 0, at(100), (WINDOW, presence), nackers));
    for now in [100, 300] {
        assert!(matches!(pool.expired(&of, at(now)), Some(Due::Appeal { .. })), "{now}");
        pool.appealed(&mut of, 0, true, at(now), (Duration::from_secs(1000), Duration::from_secs(1000)));
    }
    (pool, of)
}

#[test]
fn a_witness_that_relays_agree_with_waits_for_its_window_only() {
    let (mut pool, mut of) = witnessed(Presence::Gone, &[1, 2]);
    assert_eq!(pool.due(&of), at(600));
    let Some(Due::Window { appealed: true, since, .. }) = pool.expired(&of, at(600)) else {
        panic!("the window is over");
    };
    assert_eq!(since, at(100));
    pool.postpone(&mut of, 0, at(800));
    assert_eq!(pool.due(&of), at(800));
    assert!(pool.withdraw(&mut of, 0) && !pool.withdraw(&mut of, 0));
    assert_eq!(
        pool.due(&of),
        at(30_000),
        "an answer leaves what everyone waits, and no nack counts for that"
    );
}

#[test]
fn an_unconfirmed_witness_waits_long() {
    let (pool, of) = witnessed(Presence::Unknown, &[]);
    assert_eq!(pool.due(&of), at(30_000));
    let (pool, of) = witnessed(Presence::Gone, &[]);
    // One of two: 30 s - 29.5 s * ln 2 / ln 3.
    assert_eq!(pool.due(&of), at(11_387), "the subject's host is one that says so");
    let (pool, of) = witnessed(Presence::Gone, &[1]);
    assert_eq!(pool.due(&of), at(600));
    let (pool, of) = witnessed(Presence::Unknown, &[100, 100]);
    assert_eq!(pool.due(&of), at(30_000), "who began it does not confirm itself");
}

/// What a relay says counts as much when it comes after the probe has failed, where acks and nacks lie unread.
#[test]
fn a_late_nack_counts() {
    let (mut pool, mut of) = witnessed(Presence::Gone, &[]);
    pool.nacked(&mut of, 0, MemberId(100));
    assert_eq!(pool.due(&of), at(11_387), "who began it does not confirm itself");
    pool.nacked(&mut of, 0, MemberId(1));
    assert_eq!(pool.due(&of), at(600));
    assert!(pool.withdraw(&mut of, 0));
    pool.nacked(&mut of, 0, MemberId(2));
    pool.nacked(&mut of, 9, MemberId(2));
    assert_eq!(pool.due(&of), at(30_000), "to those that only heard of it nobody says so");
}

#[test]
fn a_window_is_as_long_as_the_subjects_host_makes_it() {
    let (mut pool, mut of) = witnessed(Presence::Unknown, &[1, 2]);
    assert_eq!(pool.due(&of), at(1_600), "nothing was found out");
    pool.found(&mut of, 0, Presence::Silent);
    assert_eq!(pool.due(&of), at(30_700), "it stands still: no window");
    let (again, none) = ((WINDOW, Presence::Unknown), std::iter::empty());
    assert!(pool.witness(&mut of, 0, at(100), again, none));
    let due = |pool: &SuspicionPool, of: &SuspicionList| match pool.expired(of, at(100)) {
        Some(Due::Appeal { suspicion, .. }) => suspicion.window_ends(),
        other => panic!("{other:?}"),
    };
    assert_eq!(due(&pool, &of), None, "that nothing more was found out changes nothing");
    pool.found(&mut of, 0, Presence::Gone);
    assert_eq!(due(&pool, &of), Some(at(600)), "it has ended after all");
    pool.found(&mut of, 9, Presence::Gone);
}

#[test]
fn a_relay_that_also_accuses_counts_once() {
    let (mut pool, mut of) = witnessed(Presence::Unknown, &[1]);
    let alone = pool.due(&of);
    assert!(pool.confirm(&mut of, 0, MemberId(1)), "news to others");
    assert!(!pool.confirm(&mut of, 0, MemberId(1)));
    assert_eq!(pool.due(&of), alone);
    assert!(pool.confirm(&mut of, 0, MemberId(2)));
    // A second accuser: everyone waits the shortest, and a witness its window.
    assert_eq!(pool.due(&of), at(1_600));
    pool.withdraw(&mut of, 0);
    assert_eq!(pool.due(&of), at(2_000));
}

#[test]
fn nacks_never_keep_accusers_out() {
    let mut all = suspicion(7);
    (1..20).for_each(|relay| all.nacked(MemberId(relay)));
    assert_eq!((all.named, all.confirmed()), (7, 0));
    (30..37).for_each(|accuser| assert!(all.confirm(MemberId(accuser)), "{accuser}"));
    assert!(!all.confirm(MemberId(40)));
    assert_eq!(all.deadline(), at(2_000));
}

#[test]
fn a_witness_that_was_cut_off_begins_anew() {
    let (mut pool, mut of) = witnessed(Presence::Gone, &[1, 2]);
    let often = (Duration::from_secs(1000), Duration::from_secs(1000));
    pool.appealed(&mut of, 0, false, at(400), often);
    pool.appealed(&mut of, 0, true, at(900), often);
    assert_eq!(pool.due(&of), at(1_100), "the second appeal");
    pool.appealed(&mut of, 0, true, at(1_100), often);
    let Some(Due::Window { appealed: true, since, .. }) = pool.expired(&of, at(1_400)) else {
        panic!("the window is over");
    };
    assert_eq!((since, pool.due(&of)), (at(900), at(1_400)));
}

#[test]
fn appeals_are_bounded() {
    let (mut pool, mut of) = witnessed(Presence::Unknown, &[]);
    let mut sent = 2;
    let mut now = at(300);
    while now < at(29_000) {
        pool.appealed(&mut of, 0, true, now, (Duration::from_millis(1), Duration::from_millis(1)));
        sent += 1;
        now = pool.due(&of);
    }
    assert_eq!(sent, APPEALS_MAX);
}

#[test]
fn putting_off_is_bounded() {
    let (mut pool, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
    assert!(pool.start(&mut of, suspicion(2)));
    let mut last = pool.due(&of);
    while pool.put_off(&mut of, 0, Duration::from_secs(4)) {
        assert_eq!(pool.due(&of), last + Duration::from_secs(4));
        last = pool.due(&of);
    }
    assert!((60_000..64_000).contains(&(last.as_micros() / 1000)), "{last:?}");
}

#[test]
fn only_new_accusers_confirm() {
    let mut suspicion = suspicion(2);
    assert!(!suspicion.confirm(MemberId(100)), "who began it");
    assert!(!suspicion.confirm(MemberId::NONE), "a push/pull record is nobody's observation");
    assert!(suspicion.confirm(MemberId(1)));
    assert!(!suspicion.confirm(MemberId(1)), "twice the same");
    assert!(suspicion.confirm(MemberId(2)));
    assert!(!suspicion.confirm(MemberId(3)), "more than are needed");
}

#[test]
fn without_enough_others_the_shortest_timeout_holds() {
    assert_eq!(confirmations_needed(4, 3), 0);
    assert_eq!(confirmations_needed(4, 4), 2);
    assert_eq!(suspicion(0).deadline(), Time::ZERO + Duration::from_secs(2));
}

/// Where the host says that the subject is gone and enough agree, its death is told in place of the suspicion; if it is
/// not declared when the window is over, the suspicion is told after all.
#[test]
fn an_accusation_is_kept_quiet_for_a_window_that_nothing_else_prolongs() {
    let longer = Duration::from_millis(200);
    for (presence, nacks, quiet) in [
        (Presence::Gone, &[1][..], true),
        (Presence::Gone, &[], false),
        (Presence::Unknown, &[1, 2], false),
        (Presence::Silent, &[1, 2], false),
    ] {
        let (mut pool, mut of) = witnessed(presence, nacks);
        assert_eq!(pool.keep_quiet(&mut of, 0, longer), quiet, "{presence:?} {nacks:?}");
    }
    let (mut pool, mut of) = witnessed(Presence::Gone, &[1]);
    assert!(pool.keep_quiet(&mut of, 0, longer));
    assert!(matches!(pool.expired(&of, at(600)), Some(Due::Window { .. })));
    pool.postpone(&mut of, 0, at(900));
    assert!(matches!(pool.expired(&of, at(800)), Some(Due::Tell(_))), "200 ms after the window");
    pool.told(&mut of, 0);
    assert_eq!(pool.due(&of), at(900), "once");
    assert!(pool.keep_quiet(&mut of, 0, longer));
    pool.found(&mut of, 0, Presence::Silent);
    assert!(matches!(pool.expired(&of, at(600)), Some(Due::Tell(_))), "it is there after all");
    pool.told(&mut of, 0);
    assert_eq!(pool.due(&of), at(30_700));
}

#[test]
fn who_does_not_live_in_another_view_is_checked_soon() {
    let (mut pool, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
    assert!(pool.start(&mut of, suspicion(2).checked_at(at(9_000))));
    pool.check_by(&mut of, 0, at(10_000));
    assert_eq!(pool.due(&of), at(9_000), "no later than it was");
    pool.check_by(&mut of, 0, at(500));
    assert!(matches!(pool.expired(&of, at(500)), Some(Due::Check(_))));
    let (mut pool, mut of) = witnessed(Presence::Gone, &[1]);
    pool.check_by(&mut of, 0, at(300));
    assert_eq!(pool.due(&of), at(600), "a witness has seen for itself");
}

/// Each time that nobody is heard is borne with for as long as a suspicion lasts.
#[test]
fn deafness_puts_off_anew_after_each_sign_of_life() {
    let (mut pool, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
    assert!(pool.start(&mut of, suspicion(2)));
    let more = Duration::from_secs(4);
    let mut spell = |heard| {
        let before = pool.due(&of);
        while pool.put_off_deaf(&mut of, 0, at(heard), more) {}
        pool.due(&of).since(before)
    };
    assert_eq!([spell(1_000), spell(1_000), spell(70_000)].map(|long| long.as_secs()), [32, 0, 32]);
    let (mut few, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
    assert!(few.start(&mut of, suspicion(0)));
    assert!(!few.put_off_deaf(&mut of, 0, at(1_000), more), "too few members to expect to hear one");
}

#[test]
fn a_suspect_of_a_deaf_time_is_listened_to_for_as_long() {
    let goes_on = |suspicion: Suspicion, now, again, deaf_ms| {
        let (mut pool, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
        assert!(pool.start(&mut of, suspicion));
        let deaf_for = Duration::from_millis(deaf_ms);
        pool.catches_up(&mut of, 0, at(now), at(again), deaf_for).then(|| pool.due(&of))
    };
    assert_eq!(goes_on(suspicion(2), 30_000, 29_000, 5_000), Some(at(34_000)));
    assert_eq!(goes_on(suspicion(2), 34_000, 29_000, 5_000), None, "it was");
    assert_eq!(goes_on(suspicion(2), 30_000, 29_000, 500_000), Some(at(59_000)), "its timeout at most");
    let later = Suspicion { started: at(29_500), ..suspicion(2) };
    assert_eq!(goes_on(later, 59_500, 29_000, 50_000), None, "it began when we heard again");
    assert_eq!(goes_on(suspicion(0), 2_000, 1_000, 50_000), None, "too few members to expect to hear one");
}

/// A record is one that says so, and the host another.
#[test]
fn a_record_counts_for_the_window_of_a_witness() {
    let (mut pool, mut of) = (SuspicionPool::new(1), SuspicionList::new(0));
    assert!(pool.start(&mut of, suspicion(2)));
    assert!(!pool.record(&mut of, 9) && pool.record(&mut of, 0) && pool.is_recorded(&of, 0));
    assert_eq!(pool.due(&of), at(30_000), "everyone else waits as long");
    let what = (WINDOW, Presence::Unknown);
    assert!(pool.witness(&mut of, 0, at(100), what, std::iter::empty()));
    assert!(!pool.record(&mut of, 0) && !pool.is_recorded(&of, 0), "it is being asked");
    for now in [100, 300] {
        pool.appealed(&mut of, 0, true, at(now), (Duration::from_secs(1000), Duration::from_secs(1000)));
    }
    pool.found(&mut of, 0, Presence::Gone);
    assert_eq!(pool.due(&of), at(600));
}
