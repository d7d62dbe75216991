//! Tests of two lives in one incarnation: that everyone settles on the same, and that the subject hears of it.

use std::net::SocketAddr;

use swimring_codec::identity_hash;
use swimring_codec::memberlist::Versions;

use super::refutation_tests::{Addresses, call, member, second, wires};
use super::*;
use crate::protocol::WireOptions;
use crate::protocol::member::merge::TellOn;
use crate::protocol::shared_lists::view_talk::Said;
use crate::protocol::view::directory::UNVERSIONED;
use crate::protocol::wire::Incoming;

/// A life of `two` at 100.
fn life(port: u16, metadata: &[u8]) -> Introduction<'_> {
    Introduction {
        subject: MemberId::of_name("two"),
        incarnation: Incarnation::new(100),
        state: State::Alive,
        address: SocketAddr::from(([127, 0, 0, 2], port)),
        name: "two",
        metadata,
        zone: "",
    }
}

/// Lives that differ in address, in metadata, and in both: of each pair the lesser identity hash first.
fn pairs() -> Vec<[Introduction<'static>; 2]> {
    let hash = |life: &Introduction<'_>| identity_hash(life.address, life.metadata, life.zone);
    let others = [life(3, b""), life(2, b"a"), life(2, b"b"), life(4, b"c"), life(5, b"d"), life(6, b"e")];
    let mut pairs = others.map(|other| [life(2, b""), other]);
    pairs.iter_mut().for_each(|pair| pair.sort_by_key(hash));
    pairs.to_vec()
}

fn hear(one: &mut Member, shared: &mut SharedState, life: &Introduction<'_>, tell_on: TellOn) {
    call(one, shared, second(1), |one, cx| one.on_introduction(cx, life, UNVERSIONED, tell_on));
}

/// Where `two` is held to be, with which metadata and in which state.
fn held(one: &Member, shared: &SharedState) -> (SocketAddr, Vec<u8>, State) {
    let index = shared.directory.find(MemberId::of_name("two")).expect("known");
    let held = one.member(index, shared).expect("known");
    (held.address, held.metadata.to_vec(), held.state)
}

fn is(life: &Introduction<'_>, state: State) -> (SocketAddr, Vec<u8>, State) {
    (life.address, life.metadata.to_vec(), state)
}

/// Does `call` with a frame from `source` as what is taken in, and gives where frames went.
fn taking_in(
    (one, shared): (&mut Member, &mut SharedState),
    source: (SocketAddr, MemberId),
    call: impl FnOnce(&mut Member, &mut Context<'_, '_>),
) -> Vec<SocketAddr> {
    let (mut frames, streams, events) = (Addresses::default(), &mut Vec::new(), &mut Vec::new());
    let out = &mut Outbox { frames: &mut frames, streams, events, gossip_budget: &mut 0 };
    let cx = &mut Context::new(second(2), shared, out);
    cx.sender = Some(source);
    call(one, cx);
    frames.0
}

#[test]
fn whoever_hears_of_both_settles_on_the_same() {
    for wire in wires() {
        for [lesser, greater] in pairs() {
            for (first, then) in [(lesser, greater), (greater, lesser)] {
                for tell_on in [TellOn::Ours, TellOn::Everyone, TellOn::Nobody] {
                    let (mut one, mut shared) = member(&wire, 100);
                    hear(&mut one, &mut shared, &first, tell_on);
                    hear(&mut one, &mut shared, &then, tell_on);
                    let native = matches!(wire, WireOptions::Native);
                    let counts = if native { greater } else { first };
                    assert_eq!(held(&one, &shared), is(&counts, State::Alive), "{wire:?}");
                    assert_eq!(shared.counters.lives_clashed, u64::from(native));
                    // Said again it is nothing new.
                    hear(&mut one, &mut shared, &counts, tell_on);
                    assert_eq!(shared.counters.lives_clashed, u64::from(native));
                }
            }
        }
    }
}

/// A record and a frame that are looked at briefly are not taken for what is known.
#[test]
fn another_life_is_worth_a_look() {
    for [lesser, greater] in pairs() {
        for (first, then) in [(lesser, greater), (greater, lesser)] {
            let (mut one, mut shared) = member(&WireOptions::Native, 100);
            hear(&mut one, &mut shared, &first, TellOn::Nobody);
            taking_in((&mut one, &mut shared), (first.address, first.subject), |one, cx| {
                assert!(one.core.is_old(cx, &first) && !one.core.is_old(cx, &then));
                assert!(!one.core.is_worth_merging(cx, &first, Versions::PLAIN));
                assert!(one.core.is_worth_merging(cx, &then, Versions::PLAIN));
            });
        }
    }
}

#[test]
fn a_suspect_stays_one_and_who_is_dead_stays_dead() {
    for [lesser, greater] in pairs() {
        let (mut one, mut shared) = member(&WireOptions::Native, 100);
        hear(&mut one, &mut shared, &lesser, TellOn::Nobody);
        call(&mut one, &mut shared, second(1), |one, cx| {
            one.on_suspect(cx, lesser.subject, lesser.incarnation, MemberId(9));
        });
        hear(&mut one, &mut shared, &greater, TellOn::Nobody);
        assert_eq!(held(&one, &shared), is(&greater, State::Suspect));
        assert_eq!(one.suspects(), 1);
        call(&mut one, &mut shared, second(1), |one, cx| one.on_dead(cx, lesser.subject, lesser.incarnation));
        for life in [lesser, greater] {
            hear(&mut one, &mut shared, &life, TellOn::Nobody);
            assert_eq!(held(&one, &shared), is(&greater, State::Dead));
        }
    }
}

#[test]
fn the_subject_is_accused_wherever_it_is_held_to_be() {
    let somebody = (SocketAddr::from(([127, 0, 0, 7], 7)), MemberId(7));
    for [lesser, greater] in pairs() {
        for (first, then) in [(lesser, greater), (greater, lesser)] {
            let accused_at = |tell_on, source| {
                let (mut one, mut shared) = member(&WireOptions::Native, 100);
                hear(&mut one, &mut shared, &first, TellOn::Nobody);
                taking_in((&mut one, &mut shared), source, |one, cx| {
                    one.on_introduction(cx, &then, UNVERSIONED, tell_on);
                })
            };
            let adopted = then == greater;
            let places = if adopted { vec![first.address, then.address] } else { vec![first.address] };
            for tell_on in [TellOn::Everyone, TellOn::Nobody] {
                assert_eq!(accused_at(tell_on, somebody), places);
                // Its own word: it is where that came from.
                let own = (somebody.0, first.subject);
                assert_eq!(accused_at(tell_on, own), vec![own.0; places.len()]);
            }
            assert_eq!(accused_at(TellOn::Ours, somebody), [], "all whom it is told hear of it");
        }
    }
}

#[test]
fn who_compares_with_a_lesser_life_is_told_of_the_greater() {
    for [lesser, greater] in pairs() {
        for (first, then) in [(lesser, greater), (greater, lesser)] {
            let (mut one, mut shared) = member(&WireOptions::Native, 100);
            hear(&mut one, &mut shared, &first, TellOn::Nobody);
            let somebody = (SocketAddr::from(([127, 0, 0, 7], 7)), MemberId(7));
            taking_in((&mut one, &mut shared), somebody, |one, cx| {
                one.on_repaired(cx, Incoming::<MemberId>::Introduction(then), true);
            });
            let said = shared.view_talk.as_ref().expect("it is nobody's now").said.clone();
            let index = shared.directory.find(first.subject).expect("known");
            let told = if first == greater { vec![Said::Introduction(index)] } else { vec![] };
            assert_eq!(said, told);
        }
    }
}

/// Whoever is dead to us is answered nothing else.
#[test]
fn who_introduces_itself_and_is_dead_to_us_is_accused_where_it_is() {
    let (mut one, mut shared) = member(&WireOptions::Native, 100);
    let two = life(2, b"");
    hear(&mut one, &mut shared, &two, TellOn::Nobody);
    call(&mut one, &mut shared, second(1), |one, cx| one.on_dead(cx, two.subject, two.incarnation));
    let elsewhere = (SocketAddr::from(([127, 0, 0, 7], 7)), two.subject);
    let frames = taking_in((&mut one, &mut shared), elsewhere, |one, cx| {
        one.on_repaired(cx, Incoming::<MemberId>::Introduction(two), true);
    });
    assert_eq!(frames, [elsewhere.0]);
    assert_eq!(held(&one, &shared).2, State::Dead);
}
