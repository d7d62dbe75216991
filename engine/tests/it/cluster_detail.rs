//! What an application can learn of a member beyond its place in the view.

#![allow(clippy::disallowed_methods, reason = "the test waits")]

use std::time::{Duration, Instant};

use crate::cluster_support::*;
use swimring::{Accuser, Cluster, ClusterEvent, MemberDetail, State, SuspicionMode};

/// The detail of `name` at `cluster`, once `wanted` accepts it.
fn detail_when(cluster: &Cluster, name: &str, wanted: impl Fn(&MemberDetail) -> bool) -> MemberDetail {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let detail = cluster.detail(name).unwrap().filter(&wanted);
        match detail {
            Some(detail) => return detail,
            None => assert!(Instant::now() < deadline, "{:?}", cluster.detail(name)),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn round_trips_lives_and_when_a_member_was_heard_are_known() {
    let one = start("one");
    let two = joined("two", &one);
    let detail = detail_when(&two, "one", |detail| detail.round_trip.is_some());
    let round_trip = detail.round_trip.unwrap();
    assert!(round_trip.smoothed > Duration::ZERO && round_trip.smoothed < PATIENCE, "{detail:?}");
    assert!(detail.last_heard.is_some_and(|heard| heard <= detail.in_state), "{detail:?}");
    assert_eq!((detail.member.state, detail.suspicion), (State::Alive, None));
    assert_eq!(detail.life, one.local().unwrap().incarnation);
    // A change is of the same life.
    one.update_metadata("v2").unwrap();
    let changed = detail_when(&two, "one", |detail| detail.member.metadata == "v2");
    assert!(changed.member.incarnation > changed.life && changed.life == detail.life, "{changed:?}");
    assert!(changed.in_state >= detail.in_state, "{changed:?}");

    let all = two.details().unwrap();
    let names: Vec<&str> = all.iter().map(|detail| &*detail.member.name).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!((all[1].round_trip, all[1].last_heard), (None, None), "nobody probes itself");
    assert_eq!(two.detail("nobody").unwrap(), None);
    block_on(async {
        let awaited = two.as_async();
        assert_eq!(awaited.detail("nobody").await.unwrap(), None);
        assert_eq!(awaited.details().await.unwrap().len(), 2);
    });
}

#[test]
fn a_suspicion_that_goes_on_can_be_looked_at() {
    let slow = |name: &str| {
        member(name).tune(|protocol| {
            protocol.suspicion = SuspicionMode::Lifeguard;
            protocol.suspicion_multiplier = 9;
            protocol.probe_interval = Duration::from_secs(1);
        })
    };
    let one = slow("one").start().unwrap();
    let others = ["two", "three"].map(|name| slow(name).start().unwrap());
    for other in &others {
        other.join([one.address()]).wait().unwrap();
    }
    let mut events = one.subscribe().unwrap();
    detail_when(&one, "three", |_| true);
    others[1].shutdown();
    let is_suspected = |event: &ClusterEvent| matches!(event, ClusterEvent::Suspected { member, .. } if &*member.name == "three");
    until(&mut events, "the suspicion", is_suspected);
    let detail = detail_when(&one, "three", |detail| detail.suspicion.is_some());
    let suspicion = detail.suspicion.unwrap();
    assert_eq!(detail.member.state, State::Suspect);
    let known = [Accuser::Local, Accuser::Member("two".into())];
    assert!(known.contains(&suspicion.accuser), "{suspicion:?}");
    assert!(suspicion.confirmed_by.iter().all(|accuser| known.contains(accuser)), "{suspicion:?}");
    assert!(!suspicion.confirmed_by.contains(&suspicion.accuser), "{suspicion:?}");
    assert!(suspicion.left > Duration::ZERO && suspicion.lasted < PATIENCE, "{suspicion:?}");
    let (event, _) = until(&mut events, "the failure", |event| is_failed(event, "three"));
    assert!(matches!(event, ClusterEvent::Failed { suspicion: Some(_), .. }));
    let gone = detail_when(&one, "three", |detail| detail.member.state == State::Dead);
    assert_eq!(gone.suspicion, None);
}
