//! Signed maps against a plain twin: whatever is done to sections on their way, a copy is what its owner's map was at some
//! version, and comes to what it is.

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;
use swimring_codec::native::{IdentityKey, KeyEntry, KeySectionWriter, KeySections};

use super::*;
use crate::protocol::key_values::map::Have;

const OWNER: MemberId = MemberId(7);
const CLUSTER: u32 = 5;
const LIMITS: Limits = Limits { each: 1 << 20, all: 4 << 20 };

/// Seeds of the campaign; `SWIMRING_SEEDS` runs more or fewer.
fn seeds() -> u64 {
    std::env::var("SWIMRING_SEEDS").map_or(100, |text| text.parse().expect("a number"))
}

type Plain = HashMap<String, Vec<u8>>;

fn key() -> IdentityKey {
    IdentityKey::from_seed(&[7; 32])
}

fn plain(store: &Store) -> Plain {
    let list = store.list(OWNER, "").into_iter();
    list.map(|(key, value)| (key.to_string(), value.value.to_vec())).collect()
}

fn have(store: &Store) -> Have {
    let map = store.maps.get(&OWNER);
    map.map_or_else(Have::default, |map| Have { epoch: map.epoch, version: map.version, begun: false })
}

fn bytes_of(store: &Store) -> usize {
    store.maps.values().map(Map::bytes).sum()
}

/// What a copy that has come so far lacks, in messages of at most `room` bytes.
fn messages(store: &Store, mut have: Have, room: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let Some(map) = store.maps.get(&OWNER) else { return messages };
    loop {
        let mut message = Vec::new();
        let written = map.write(OWNER, have, &mut KeySectionWriter::new(&mut message, room));
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

/// Takes in what a message of `from` has, as `KeyValues` does.
fn take(store: &mut Store, from: MemberId, message: &[u8]) -> Taken {
    let mut all = Taken::default();
    for section in KeySections::new(message) {
        let Ok(section) = section else { return Taken { broken: true, ..all } };
        let public = key().public();
        if section.span.owner != OWNER || !store.is_further(&section.span, &public) {
            continue;
        }
        let taken = match section.statement {
            Some(statement) if public.verifies_map(CLUSTER, &section.span, statement) => ENTRIES
                .with_borrow_mut(|entries| store.take_stated(from, &section, (public, *statement), entries)),
            None if !section.span.complete => {
                ENTRIES.with_borrow_mut(|entries| store.stage(from, &section, entries, Time::ZERO))
            }
            _ => Taken { forged: 1, ..Taken::default() },
        };
        all.news += taken.news;
        all.forged += taken.forged;
        all.gap |= taken.gap;
    }
    all
}

/// The owner, and what its map has been at every version of each of its lives.
struct Owner {
    store: Store,
    was: HashMap<(u64, u64), Plain>,
}

impl Owner {
    fn new() -> Owner {
        Owner { store: Store::new(LIMITS, true), was: HashMap::new() }
    }

    fn note(&mut self) {
        let Some(map) = self.store.maps.get_mut(&OWNER) else { return };
        map.state(OWNER, |span, hash| key().sign_map(CLUSTER, span, hash));
        self.was.insert((map.epoch, map.version), plain(&self.store));
    }

    fn change(&mut self, rng: &mut fastrand::Rng) {
        let value = (rng.u8(..3) != 0).then(|| Bytes::from(vec![rng.u8(..); rng.usize(..200)]));
        self.store.change_own(OWNER, 1, &format!("key-{}", rng.u8(..12)), value).expect("within bounds");
        self.note();
    }

    /// A new life, which has heard of the one before.
    fn begin_anew(&mut self, rng: &mut fastrand::Rng) {
        let epoch = have(&self.store).epoch;
        self.store = Store::new(LIMITS, true);
        if epoch != 0 {
            self.store.outrank(OWNER, rng.u64(1..1 << 16), epoch);
        }
        self.note();
    }
}

/// What a forger makes of a message: it leaves entries out, changes or repeats them, or says more or less than there is.
fn spoil(rng: &mut fastrand::Rng, message: &[u8]) -> Vec<u8> {
    let mut spoiled = Vec::new();
    let mut writer = KeySectionWriter::new(&mut spoiled, 1 << 20);
    for section in KeySections::new(message).flatten() {
        let (mut span, kind) = (section.span, rng.u8(..8));
        match kind {
            0 => span.until += rng.u64(1..9),
            1 => span.epoch += rng.u64(1..3),
            2 => span.floor = rng.u64(..span.until + 1),
            3 => span.since = 0,
            _ => {}
        }
        (span.complete, span.reset) = (rng.u8(..4) != 0, rng.u8(..4) == 0 && span.since == 0);
        let statement = section.statement.filter(|_| rng.u8(..4) != 0);
        writer.begin_stated(span, statement);
        for entry in section.entries().flatten() {
            match kind {
                4 if rng.bool() => {}
                5 if rng.bool() => _ = writer.entry(&KeyEntry { value: KeyValue::Deleted, ..entry }),
                6 if rng.bool() => _ = writer.entry(&KeyEntry { value: KeyValue::Set(b"forged"), ..entry }),
                7 if rng.bool() => _ = writer.entry(&KeyEntry { key: "forged", ..entry }),
                _ => _ = writer.entry(&entry),
            }
        }
        writer.end();
    }
    drop(writer);
    if rng.u8(..8) == 0 && !spoiled.is_empty() {
        let at = rng.usize(..spoiled.len());
        spoiled[at] ^= 1 << rng.u8(..8);
    }
    spoiled
}

#[test]
fn copies_are_what_the_owner_has_said_whatever_is_done_to_it() {
    let (mut forged, mut staged) = (0, 0);
    for seed in 0..seeds() {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let mut owner = Owner::new();
        let mut copies: Vec<Store> = (0..3).map(|_| Store::new(LIMITS, true)).collect();
        let mut under_way: Vec<Vec<u8>> = Vec::new();
        for _ in 0..200 {
            match rng.u8(..8) {
                0..3 => owner.change(rng),
                3 | 4 => {
                    let (from, to) = (rng.usize(..4), rng.usize(..3));
                    let source = copies.get(from).unwrap_or(&owner.store);
                    under_way.extend(messages(source, have(&copies[to]), rng.usize(420..2_000)));
                }
                5 if rng.u8(..12) == 0 => owner.begin_anew(rng),
                _ if !under_way.is_empty() => {
                    let at = rng.usize(..under_way.len());
                    let message = under_way[at].clone();
                    let message = if rng.u8(..3) == 0 { spoil(rng, &message) } else { message };
                    let copy = &mut copies[rng.usize(..3)];
                    forged += take(copy, MemberId(rng.u64(1..4)), &message).forged;
                    staged += copy.staged.len();
                    assert_eq!(copy.bytes(), bytes_of(copy), "seed {seed}");
                    let Have { epoch, version, .. } = have(copy);
                    if version != 0 {
                        assert_eq!(Some(&plain(copy)), owner.was.get(&(epoch, version)), "seed {seed}");
                    }
                }
                _ => {}
            }
        }
        for copy in &mut copies {
            for message in messages(&owner.store, have(copy), 600) {
                take(copy, OWNER, &message);
            }
            if owner.store.maps.contains_key(&OWNER) {
                assert_eq!(plain(copy), plain(&owner.store), "seed {seed}");
                assert_eq!(have(copy), have(&owner.store), "seed {seed}");
                assert_eq!(
                    copy.maps[&OWNER].statement(),
                    owner.store.maps[&OWNER].statement(),
                    "seed {seed}"
                );
            }
        }
    }
    assert!(forged > 3 * seeds() && staged > 3 * seeds() as usize, "{forged} forged, {staged} staged");
}

/// The memory that pieces take is bounded, and they do not wait for ever.
#[test]
fn pieces_that_are_not_followed_are_dropped() {
    let mut owner = Owner::new();
    let rng = &mut fastrand::Rng::with_seed(1);
    (0..60).for_each(|_| owner.change(rng));
    let mut copy = Store::new(LIMITS, true);
    let first = &messages(&owner.store, Have::default(), 500)[0];
    for from in 1..20 {
        take(&mut copy, MemberId(from), first);
        assert!(copy.staged.len() <= STAGED_MAX);
    }
    copy.drop_staged(Time::ZERO + STAGED_KEPT);
    assert_eq!((copy.staged.len(), copy.maps.len(), copy.bytes()), (0, 0, 0));
    // The owner has said more than there is room for here: nothing of it is taken.
    let mut small = Store::new(Limits { each: 100, all: 4 << 20 }, true);
    for message in messages(&owner.store, Have::default(), 1 << 20) {
        assert_eq!(take(&mut small, OWNER, &message).news, 0);
    }
    assert_eq!((small.maps.len(), small.staged.len()), (0, 0));
}
