//! The store against a plain twin: whatever reaches copies, in whatever order and however often, they are never ahead of
//! the owner or beside it, and after one exchange that is not cut they have what the owner has.

use std::cell::RefCell;
use std::collections::HashMap;

use swimring_codec::native::{KeySectionWriter, KeySections};

use super::*;
use crate::protocol::key_values::cluster_keys::CLUSTER_TOMBSTONES_MAX;
use crate::protocol::key_values::map::{Have, TOMBSTONES_MAX, said};

const OWNER: MemberId = MemberId(7);
const OTHER: MemberId = MemberId(9);
const LIMITS: Limits = Limits { each: 1 << 20, all: 4 << 20 };

/// The twin: what has a value.
type Plain = HashMap<String, Vec<u8>>;

fn plain(store: &Store, owner: MemberId) -> Plain {
    let list = store.list(owner, "").into_iter();
    list.map(|(key, value)| (key.to_string(), value.value.to_vec())).collect()
}

/// What a copy that has come to `have` lacks, in messages of at most `room` bytes.
fn messages(store: &Store, owner: MemberId, (epoch, version): (u64, u64), room: usize) -> Vec<Vec<u8>> {
    let mut have = Have { epoch, version, begun: false };
    let mut messages = Vec::new();
    let Some(map) = store.maps.get(&owner) else { return messages };
    loop {
        let mut message = Vec::new();
        let written = map.write(owner, have, &mut KeySectionWriter::new(&mut message, room));
        messages.push(message);
        match written {
            Ok(()) => return messages,
            Err(further) => have = further,
        }
    }
}

thread_local! {
    /// All stores of a test are those of members of one worker.
    static ENTRIES: RefCell<StateEntries> = RefCell::new(StateEntries::shared());
}

fn take(store: &mut Store, message: &[u8]) -> Taken {
    ENTRIES.with_borrow_mut(|entries| take_with(store, message, entries))
}

fn take_with(store: &mut Store, message: &[u8], entries: &mut StateEntries) -> Taken {
    let mut all = Taken::default();
    for section in KeySections::new(message) {
        let section = section.expect("written by a store");
        let taken = if section.span.owner.is_none() {
            store.take_cluster(&section, |_| Vouched::Yes(None))
        } else {
            store.take_map(&section, entries)
        };
        assert!(!taken.broken);
        all.gap |= taken.gap;
        all.refused += taken.refused;
        all.news += taken.news;
    }
    all
}

fn have(store: &Store, owner: MemberId) -> (u64, u64) {
    store.maps.get(&owner).map_or((0, 0), |map| (map.epoch, map.version))
}

fn bytes_of(store: &Store) -> usize {
    store.maps.values().map(Map::bytes).sum::<usize>() + store.cluster.bytes()
}

/// Changes a random key of `OWNER`, and of the twin; the key has a value afterwards or not.
fn change(rng: &mut fastrand::Rng, owner: &mut Store, twin: &mut Plain) {
    let key = format!("key-{}", rng.u8(..40));
    let value = (rng.u8(..4) != 0).then(|| vec![rng.u8(..); rng.usize(..300)]);
    owner.change_own(OWNER, 1, &key, value.clone().map(Bytes::from)).expect("within bounds");
    match value {
        Some(value) => _ = twin.insert(key, value),
        None => _ = twin.remove(&key),
    }
}

#[test]
fn copies_come_to_what_the_owner_has() {
    for seed in 0..300 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let (mut owner, mut twin) = (Store::new(LIMITS, false), Plain::new());
        let mut copies: Vec<Store> = (0..3).map(|_| Store::new(LIMITS, false)).collect();
        let mut under_way: Vec<Vec<u8>> = Vec::new();
        for _ in 0..200 {
            match rng.u8(..8) {
                0..4 => change(rng, &mut owner, &mut twin),
                4 => {
                    // Some copy answers another: part of it is lost, part comes late or twice.
                    let (from, to) = (rng.usize(..4), rng.usize(..3));
                    let source = copies.get(from).unwrap_or(&owner);
                    under_way.extend(messages(
                        source,
                        OWNER,
                        have(&copies[to], OWNER),
                        rng.usize(500..2_000),
                    ));
                }
                5 if !under_way.is_empty() => drop(under_way.swap_remove(rng.usize(..under_way.len()))),
                6 if rng.u8(..10) == 0 => {
                    // A new life of the owner.
                    let epoch = have(&owner, OWNER).0;
                    (owner, twin) = (Store::new(LIMITS, false), Plain::new());
                    if epoch != 0 {
                        owner.outrank(OWNER, rng.u64(1..=EPOCH_CHANCE), epoch);
                    }
                }
                _ if !under_way.is_empty() => {
                    let message = &under_way[rng.usize(..under_way.len())];
                    take(&mut copies[rng.usize(..3)], message);
                }
                _ => {}
            }
            assert_eq!(plain(&owner, OWNER), twin);
        }
        for copy in &mut copies {
            for message in messages(&owner, OWNER, have(copy, OWNER), 1_000) {
                take(copy, &message);
            }
            if owner.maps.contains_key(&OWNER) {
                assert_eq!(plain(copy, OWNER), twin, "seed {seed}");
                assert_eq!(have(copy, OWNER), have(&owner, OWNER), "seed {seed}");
            }
            assert_eq!(copy.bytes(), bytes_of(copy), "seed {seed}");
        }
    }
}

/// Copies of one worker hold each entry once, and what one does to its own changes nothing of the other's.
#[test]
fn copies_share_what_is_the_same_and_nothing_else() {
    let (mut owner, mut twin) = (Store::new(LIMITS, false), Plain::new());
    let rng = &mut fastrand::Rng::with_seed(1);
    (0..200).for_each(|_| change(rng, &mut owner, &mut twin));
    let whole = messages(&owner, OWNER, (0, 0), 1_000);
    let [mut first, mut second] = [(); 2].map(|()| {
        let mut copy = Store::new(LIMITS, false);
        whole.iter().for_each(|message| _ = take(&mut copy, message));
        copy
    });
    let held = |store: &Store| -> Vec<_> { store.maps[&OWNER].later(0).map(std::ptr::from_ref).collect() };
    assert!(held(&first).len() > 20 && held(&first) == held(&second));
    // A new life of the owner, of which the first has heard and the second has not.
    let mut next = Store::new(LIMITS, false);
    next.outrank(OWNER, 3, have(&owner, OWNER).0);
    next.change_own(OWNER, 3, "new", Some(Bytes::from_static(b"x"))).expect("within bounds");
    let told = messages(&next, OWNER, have(&first, OWNER), 1_000);
    told.iter().for_each(|message| _ = take(&mut first, message));
    assert_eq!(plain(&first, OWNER), plain(&next, OWNER));
    assert_eq!((plain(&second, OWNER), have(&second, OWNER)), (twin, have(&owner, OWNER)));
    told.iter().for_each(|message| _ = take(&mut second, message));
    assert_eq!(held(&first), held(&second));
    assert_eq!((first.bytes(), bytes_of(&second)), (second.bytes(), second.bytes()));
}

#[test]
fn a_copy_that_missed_forgotten_deletions_gets_the_whole_map() {
    let (mut owner, mut copy) = (Store::new(LIMITS, false), Store::new(LIMITS, false));
    let count = TOMBSTONES_MAX + 50;
    let key = |nth: usize| format!("key-{nth}");
    for nth in 0..count + 10 {
        owner.change_own(OWNER, 1, &key(nth), Some(Bytes::from_static(b"x"))).expect("within bounds");
    }
    for message in messages(&owner, OWNER, (0, 0), 10_000) {
        take(&mut copy, &message);
    }
    assert_eq!(plain(&copy, OWNER).len(), count + 10);
    for nth in 0..count {
        owner.change_own(OWNER, 1, &key(nth), None).expect("it is there");
    }
    assert!(owner.maps[&OWNER].floor > have(&copy, OWNER).1);
    let whole = messages(&owner, OWNER, have(&copy, OWNER), 10_000);
    let (last, first) = whole.split_last().expect("there is something");
    for message in first {
        take(&mut copy, message);
        assert!(plain(&copy, OWNER).len() >= 10, "nothing vanishes that is there");
    }
    copy.changes.clear();
    take(&mut copy, last);
    assert_eq!(plain(&copy, OWNER), plain(&owner, OWNER));
    assert!(copy.changes.iter().any(|change| change.value.is_none()), "what has gone is told");
    assert_eq!(copy.bytes(), bytes_of(&copy));
}

/// What is left of a map that does not fit a message lies below the floor of its deletions.
#[test]
fn a_whole_map_comes_to_its_end_in_small_messages() {
    let (mut owner, mut copy) = (Store::new(LIMITS, false), Store::new(LIMITS, false));
    let key = |nth: usize| format!("key-{nth}");
    for nth in 0..TOMBSTONES_MAX + 500 {
        owner.change_own(OWNER, 1, &key(nth), Some(Bytes::from_static(b"x"))).expect("within bounds");
    }
    take(&mut copy, &messages(&owner, OWNER, (0, 0), 1_000)[0]);
    for nth in 400..TOMBSTONES_MAX + 500 {
        owner.change_own(OWNER, 1, &key(nth), None).expect("it is there");
    }
    let whole = messages(&owner, OWNER, have(&copy, OWNER), 1_000);
    assert!(whole.len() > 10, "in {} messages", whole.len());
    whole.iter().for_each(|message| _ = take(&mut copy, message));
    assert_eq!(plain(&copy, OWNER), plain(&owner, OWNER));
}

#[test]
fn what_does_not_follow_is_a_gap_and_what_does_not_fit_is_refused() {
    let (mut owner, mut copy) =
        (Store::new(LIMITS, false), Store::new(Limits { each: 1_000, all: 1_500 }, false));
    for nth in 0..4 {
        owner
            .change_own(OWNER, 1, &format!("{nth}"), Some(Bytes::from(vec![nth; 300])))
            .expect("within bounds");
    }
    let late = &messages(&owner, OWNER, (1, 2), 10_000)[0];
    assert_eq!(take(&mut copy, late), Taken { gap: true, ..Taken::default() });
    assert!(copy.maps.is_empty());
    let all = &messages(&owner, OWNER, (0, 0), 10_000)[0];
    let taken = take(&mut copy, all);
    assert_eq!((taken.news, taken.refused), (3, 1));
    assert_eq!(have(&copy, OWNER), (1, 3), "it is told what is missing");
    assert_eq!(copy.bytes(), bytes_of(&copy));
    // There is no room for more of others either.
    let mut other = Store::new(LIMITS, false);
    other.change_own(OTHER, 1, "big", Some(Bytes::from(vec![0; 900]))).expect("within bounds");
    assert_eq!(take(&mut copy, &messages(&other, OTHER, (0, 0), 10_000)[0]).refused, 1);
    assert!(!copy.maps.contains_key(&OTHER));
    copy.forget(OWNER);
    assert_eq!(copy.bytes(), 0);
    assert_eq!(take(&mut copy, &messages(&other, OTHER, (0, 0), 10_000)[0]).refused, 0);
}

#[test]
fn the_last_to_write_a_key_of_the_cluster_wins_in_any_order() {
    for seed in 0..300 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut stores: Vec<Store> = (0..3).map(|_| Store::new(LIMITS, false)).collect();
        let mut said: Vec<Vec<u8>> = Vec::new();
        for _ in 0..60 {
            let at = rng.usize(..3);
            let key = format!("{}", rng.u8(..5));
            let value = (rng.u8(..4) != 0).then(|| Bytes::from(vec![rng.u8(..); 3]));
            if stores[at]
                .change_cluster(MemberId(at as u64 + 1), 1, &key, value)
                .expect("within bounds")
                .is_some()
            {
                let mut message = Vec::new();
                let mut writer = KeySectionWriter::new(&mut message, 1_000);
                writer.begin(swimring_codec::native::KeySpan::CLUSTER);
                assert!(writer.entry(&stores[at].cluster.said(&key).expect("it was changed")));
                drop(writer);
                said.push(message);
            }
            if rng.bool() && !said.is_empty() {
                take(&mut stores[rng.usize(..3)], &said[rng.usize(..said.len())]);
            }
        }
        for store in &mut stores {
            rng.shuffle(&mut said);
            for message in &said {
                take(store, message);
            }
        }
        let first = plain(&stores[0], MemberId::NONE);
        for store in &stores {
            assert_eq!(plain(store, MemberId::NONE), first, "seed {seed}");
            assert_eq!(store.cluster.root(), stores[0].cluster.root(), "seed {seed}");
            assert_eq!(store.bytes(), bytes_of(store), "seed {seed}");
        }
    }
}

#[test]
fn deletions_of_the_cluster_are_bounded_and_versions_are_not_driven_to_their_end() {
    let mut store = Store::new(LIMITS, false);
    for nth in 0..CLUSTER_TOMBSTONES_MAX + 100 {
        let key = format!("{nth}");
        store.change_cluster(OWNER, 1, &key, Some(Bytes::new())).expect("within bounds");
        store.change_cluster(OWNER, 1, &key, None).expect("it is there");
    }
    assert_eq!(store.cluster.digests().count(), CLUSTER_TOMBSTONES_MAX);
    assert_eq!((store.cluster.root(), store.bytes()), (0, bytes_of(&store)));
    let mut message = Vec::new();
    let mut writer = KeySectionWriter::new(&mut message, 1_000);
    writer.begin(swimring_codec::native::KeySpan::CLUSTER);
    let forged = said("forged", u64::MAX, OTHER, &None);
    assert!(writer.entry(&forged));
    drop(writer);
    assert_eq!(take(&mut store, &message).refused, 1);
    assert!(store.change_cluster(OWNER, 1, "more", Some(Bytes::new())).is_ok());
}

/// A member that writes a key before it has heard of what it wrote in an earlier life is not taken for that one.
#[test]
fn lives_that_have_heard_of_nobody_take_versions_of_their_own() {
    let versions = [5, 6].map(|epoch| {
        let mut store = Store::new(LIMITS, false);
        store.change_cluster(OWNER, 700 << 16 | epoch, "key", Some(Bytes::new())).expect("within bounds")
    });
    assert_eq!(versions, [Some(1 << 16 | 5), Some(1 << 16 | 6)]);
    let mut store = Store::new(LIMITS, false);
    store.cluster.raise_clock(u64::MAX);
    assert_eq!(store.change_cluster(OWNER, 1, "key", Some(Bytes::new())), Err(StateError::VersionsUsedUp));
}

/// Two lives that have heard of an earlier one, and not of each other, are not taken for one.
#[test]
fn lives_that_outrank_the_same_past_have_maps_of_their_own() {
    let past = 700 << 16 | 5;
    let began = [3 << 16 | 4, 3 << 16 | 5, 3 << 16 | 6, 900 << 16 | 1];
    let epochs = began.map(|began| {
        let mut store = Store::new(LIMITS, false);
        store.outrank(OWNER, began, past);
        have(&store, OWNER).0
    });
    assert_eq!(epochs, [701 << 16 | 4, 701 << 16 | 5, 700 << 16 | 6, 900 << 16 | 1]);
    // Nothing is above the highest, which only a forger states.
    let mut store = Store::new(LIMITS, false);
    store.outrank(OWNER, 1, u64::MAX);
    assert_eq!(have(&store, OWNER), (u64::MAX, 1));
}
