//! Tests of admission: who gets through the door, what a word and silence do, and what a flood of strangers may cost.

use std::net::SocketAddr;
use std::sync::Arc;

use super::admission::{CANDIDATES_MAX, Judged};
use super::refutation_tests::{Nowhere, call, member, second, wires};
use super::*;
use crate::protocol::member::merge::TellOn;
use crate::protocol::view::directory::UNVERSIONED;
use crate::protocol::{Event, Networks, WireOptions};
use swimring_codec::{MemberId, identity_hash};

/// A member as somebody introduces it.
struct Stranger {
    name: String,
    address: SocketAddr,
    metadata: &'static [u8],
    incarnation: u64,
}

fn stranger(name: &str, ip: [u8; 4]) -> Stranger {
    Stranger { name: name.to_owned(), address: (ip, 7946).into(), metadata: b"", incarnation: 1_000 }
}

impl Stranger {
    fn id(&self) -> MemberId {
        MemberId::of_name(&self.name)
    }

    fn introduction(&self) -> Introduction<'_> {
        Introduction {
            subject: self.id(),
            incarnation: Incarnation::new(self.incarnation),
            state: State::Alive,
            address: self.address,
            name: &self.name,
            metadata: self.metadata,
            zone: "",
        }
    }
}

/// A member that asks, and what it has said.
struct Asking {
    one: Member,
    shared: SharedState,
}

impl Asking {
    fn new(wire: &WireOptions, rules: AdmissionRules) -> Asking {
        let (mut one, shared) = member(wire, 1_000);
        one.set_admission(rules);
        Asking { one, shared }
    }

    fn tune(mut self, change: impl FnOnce(&mut Settings)) -> Asking {
        change(Arc::make_mut(&mut self.one.core.settings));
        self
    }

    fn hear(&mut self, at: u64, stranger: &Stranger) -> Vec<Event> {
        call(&mut self.one, &mut self.shared, second(at), |one, cx| {
            one.on_introduction(cx, &stranger.introduction(), UNVERSIONED, TellOn::Nobody);
        })
    }

    fn answer(&mut self, at: u64, stranger: &Stranger, admitted: bool) -> Vec<Event> {
        let Introduction { address, metadata, zone, .. } = stranger.introduction();
        let key = (stranger.id(), identity_hash(address, metadata, zone));
        let mut events = Vec::new();
        let streams = &mut Vec::new();
        let out = &mut Outbox { frames: &mut Nowhere, streams, events: &mut events, gossip_budget: &mut 0 };
        self.one.judge_candidate(second(at), key, admitted, &mut self.shared, out);
        events
    }

    /// Lets timers that are due at `at` fire, and gives what came of candidates.
    fn pass(&mut self, at: u64) -> Vec<Event> {
        assert!(self.one.admission_due() <= second(at), "nothing is due");
        let mut events = Vec::new();
        while self.one.admission_due() <= second(at) {
            events.extend(call(&mut self.one, &mut self.shared, second(at), Member::admission_timeout));
        }
        events
    }

    fn knows(&self, stranger: &Stranger) -> bool {
        let index = self.shared.directory.find(stranger.id());
        index.is_some_and(|index| self.one.member(index, &self.shared).is_some())
    }

    fn counters(&self) -> &crate::protocol::Counters {
        &self.shared.counters
    }
}

fn asks() -> AdmissionRules {
    AdmissionRules { networks: Networks::default(), asks: true }
}

fn networks(networks: &[&str]) -> AdmissionRules {
    AdmissionRules { networks: Networks::parse(networks).unwrap(), asks: false }
}

#[test]
fn members_in_other_networks_stay_out_and_are_told_once() {
    for wire in wires() {
        let mut asking = Asking::new(&wire, networks(&["10.0.0.0/8"]));
        let (inside, mut outside) = (stranger("inside", [10, 1, 2, 3]), stranger("outside", [11, 1, 2, 3]));
        assert!(matches!(asking.hear(1, &inside)[..], [Event::Joined { .. }]));
        assert_eq!(asking.hear(1, &outside), [Event::NotAdmitted { at: 0 }]);
        let (told, reason) = asking.one.not_admitted(0).unwrap();
        assert_eq!(
            (told.name, told.address, reason),
            ("outside", outside.address, NotAdmittedReason::Network)
        );
        for at in 2..200 {
            outside.incarnation += 1;
            assert_eq!(asking.hear(at, &outside), [], "{wire:?}: it is told once");
        }
        assert!(!asking.knows(&outside) && asking.one.live() == 2);
        assert_eq!(asking.counters().candidates_outside, 199);
        // Nobody takes note of what is said of it, and after a while it is told again.
        let (id, incarnation) = (outside.id(), outside.introduction().incarnation);
        call(&mut asking.one, &mut asking.shared, second(200), |one, cx| one.on_dead(cx, id, incarnation));
        assert_eq!(asking.counters().unknown_subject, 1);
        assert_eq!(asking.hear(301, &outside), [Event::NotAdmitted { at: 0 }]);
    }
}

#[test]
fn a_known_member_does_not_move_out_of_the_networks() {
    let mut asking = Asking::new(&WireOptions::Native, networks(&["10.0.0.0/8"]));
    let mut moving = stranger("moving", [10, 1, 2, 3]);
    asking.hear(1, &moving);
    let port = |asking: &Asking| {
        let index = asking.shared.directory.find(MemberId::of_name("moving")).unwrap();
        asking.one.member(index, &asking.shared).unwrap().address
    };
    moving = Stranger { incarnation: 1_001, ..stranger("moving", [11, 0, 0, 1]) };
    assert_eq!(asking.hear(2, &moving), [Event::NotAdmitted { at: 0 }]);
    assert_eq!(port(&asking), SocketAddr::from(([10, 1, 2, 3], 7946)));
    moving = Stranger { incarnation: 1_001, ..stranger("moving", [10, 9, 9, 9]) };
    assert!(matches!(asking.hear(3, &moving)[..], [Event::Restarted { .. }]));
    assert_eq!(port(&asking), moving.address);
}

#[test]
fn a_word_admits_or_refuses_and_is_remembered() {
    for wire in wires() {
        let mut asking = Asking::new(&wire, asks());
        let (good, bad) = (stranger("good", [10, 0, 0, 1]), stranger("bad", [10, 0, 0, 2]));
        assert_eq!(asking.hear(1, &good), [Event::CandidateAsked { subject: good.id() }]);
        assert_eq!(asking.hear(1, &bad), [Event::CandidateAsked { subject: bad.id() }]);
        assert_eq!(asking.hear(1, &good), [], "it is being asked about");
        assert_eq!(asking.one.candidate(good.id()).map(|known| known.name), Some("good"));
        assert!(!asking.knows(&good));
        assert!(matches!(asking.answer(1, &good, true)[..], [Event::Joined { .. }]));
        assert_eq!(asking.answer(1, &bad, false), [Event::NotAdmitted { at: 0 }]);
        assert_eq!(asking.one.not_admitted(0).unwrap().1, NotAdmittedReason::Refused);
        assert!(asking.knows(&good) && !asking.knows(&bad));
        for at in 2..300 {
            assert_eq!(asking.hear(at, &bad), [], "{wire:?}: the word is remembered");
        }
        // As another it is asked about anew, and so it is once the word is forgotten.
        let other = Stranger { metadata: b"other", ..stranger("bad", [10, 0, 0, 2]) };
        assert_eq!(asking.hear(300, &other), [Event::CandidateAsked { subject: bad.id() }]);
        asking.answer(300, &other, false);
        assert_eq!(asking.hear(302, &bad), [Event::CandidateAsked { subject: bad.id() }]);
        assert!(
            matches!(asking.answer(302, &bad, true)[..], [Event::Joined { .. }]),
            "the word is withdrawn"
        );
        let counters = asking.counters();
        assert_eq!((counters.candidates_asked, counters.candidates_admitted), (4, 2));
        assert_eq!((counters.candidates_refused, counters.candidates_repeated), (2, 299));
        assert_eq!((counters.candidates_unanswered, counters.candidates_answered_late), (0, 0));
    }
}

#[test]
fn silence_is_what_the_setting_says() {
    for (wire, admits) in wires().into_iter().flat_map(|wire| [(wire.clone(), false), (wire, true)]) {
        let mut asking = Asking::new(&wire, asks()).tune(|settings| settings.admit_on_timeout = admits);
        let mut silent = stranger("silent", [10, 0, 0, 1]);
        asking.hear(1, &silent);
        silent.incarnation += 5;
        asking.hear(1, &silent);
        let events = asking.pass(2);
        assert_eq!(asking.counters().candidates_unanswered, 1);
        assert_eq!(asking.knows(&silent), admits, "{wire:?}");
        if admits {
            assert!(matches!(events[..], [Event::Joined { .. }]), "{events:?}");
            let index = asking.shared.directory.find(silent.id()).unwrap();
            let (_, incarnation) = asking.one.state_of(index).unwrap();
            assert_eq!(incarnation.get(), 1_005, "as it was heard of last");
            continue;
        }
        assert_eq!(events, [Event::NotAdmitted { at: 0 }]);
        assert_eq!(asking.one.not_admitted(0).unwrap().1, NotAdmittedReason::Unanswered);
        // Not asked about for as long again.
        assert_eq!(asking.hear(2, &silent), []);
        assert_eq!(asking.hear(3, &silent), [Event::CandidateAsked { subject: silent.id() }]);
        asking.pass(4);
        // The word comes at last, and counts from then on.
        assert_eq!(asking.answer(5, &silent, true), []);
        assert_eq!(asking.counters().candidates_answered_late, 1);
        assert!(matches!(asking.hear(6, &silent)[..], [Event::Joined { .. }]));
    }
}

/// Nobody's word about one address is taken for a word about another that says it is the same.
#[test]
fn a_word_counts_for_whom_it_was_asked_about() {
    let mut asking = Asking::new(&WireOptions::Native, asks());
    let (asked, other) = (stranger("name", [10, 0, 0, 1]), stranger("name", [10, 0, 0, 2]));
    asking.hear(1, &asked);
    assert_eq!(asking.answer(1, &other, true), [], "nobody asked about that one");
    assert!(!asking.knows(&asked) && asking.one.candidate(asked.id()).is_some(), "it is still asked about");
    assert_eq!(asking.answer(1, &asked, false), [Event::NotAdmitted { at: 0 }]);
    assert!(!asking.knows(&asked));
}

#[test]
fn a_flood_of_strangers_stays_within_its_bounds_and_is_counted() {
    const STRANGERS: u32 = 100_000;
    for (wire, silent) in wires().into_iter().flat_map(|wire| [(wire.clone(), false), (wire, true)]) {
        let mut asking = Asking::new(&wire, asks());
        let friend = stranger("friend", [10, 0, 0, 1]);
        asking.hear(0, &friend);
        asking.answer(0, &friend, true);
        let (mut asked, mut told) = (0, 0);
        for number in 0..STRANGERS {
            let [_, high, middle, low] = number.to_be_bytes();
            let flooding = stranger(&format!("stranger-{number}"), [11, high, middle, low]);
            let events = asking.hear(1, &flooding);
            asked += u64::from(!events.is_empty());
            if !silent {
                told += asking.answer(1, &flooding, false).len();
            }
        }
        let admission = asking.one.apart.admission.as_ref().unwrap();
        let (waiting, verdicts) = admission.sizes();
        let counters = *asking.counters();
        let all = u64::from(STRANGERS);
        if silent {
            assert_eq!((waiting, asked), (CANDIDATES_MAX, CANDIDATES_MAX as u64));
            assert_eq!(counters.candidates_shed, all - asked);
            assert_eq!(asking.pass(2).len(), 16, "told within a second");
            assert_eq!(asking.counters().candidates_unanswered, asked);
        } else {
            assert_eq!((waiting, verdicts, told), (0, VERDICTS_MAX, 16));
            assert_eq!((counters.candidates_refused, counters.candidates_shed), (all, 0));
        }
        assert_eq!(asking.one.live(), 2, "the friend is there");
        // Itself and the friend: nobody else takes up a place.
        assert_eq!(asking.shared.directory.len(), 2);
    }
}

#[test]
fn a_join_is_over_once_all_whom_it_brought_are_judged() {
    let before = Judged::default();
    let over =
        |events: &[Event]| events.iter().find(|event| matches!(event, Event::JoinFinished { .. })).copied();
    for (admitted, nobody) in [(true, false), (false, true)] {
        let mut asking = Asking::new(&WireOptions::Native, asks());
        let brought = [stranger("a", [10, 0, 0, 1]), stranger("b", [10, 0, 0, 2])];
        for brought in &brought {
            asking.hear(1, brought);
        }
        let began = call(&mut asking.one, &mut asking.shared, second(1), |one, cx| {
            one.join_brought(cx, (7, None), before);
        });
        assert_eq!(over(&began), None, "two are asked about");
        assert_eq!(over(&asking.answer(1, &brought[0], false)), None, "one still is");
        let events = asking.answer(1, &brought[1], admitted);
        assert_eq!(over(&events), Some(Event::JoinFinished { token: 7, joined: !nobody }));
        assert_eq!(events.contains(&Event::NobodyAdmitted { token: 7 }), nobody);
    }
    // Strangers that keep coming do not hold it up.
    let mut asking = Asking::new(&WireOptions::Native, asks());
    asking.hear(1, &stranger("a", [10, 0, 0, 1]));
    call(&mut asking.one, &mut asking.shared, second(1), |one, cx| {
        one.join_brought(cx, (7, None), before);
    });
    call(&mut asking.one, &mut asking.shared, Time::from_micros(1_999_999), |one, cx| {
        one.on_introduction(cx, &stranger("b", [10, 0, 0, 2]).introduction(), UNVERSIONED, TellOn::Nobody);
    });
    assert_eq!(over(&asking.pass(2)), Some(Event::JoinFinished { token: 7, joined: false }));
}

#[test]
fn who_admits_everybody_keeps_nothing_for_it() {
    let (one, _) = member(&WireOptions::Native, 1_000);
    assert!(one.apart.admission.is_none() && one.admission_due() == Time::NEVER);
    let mut asking = Asking::new(&WireOptions::Native, AdmissionRules::default());
    assert!(asking.one.apart.admission.is_none());
    assert!(matches!(asking.hear(1, &stranger("a", [10, 0, 0, 1]))[..], [Event::Joined { .. }]));
}
