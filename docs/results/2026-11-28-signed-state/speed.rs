//! Signatures of shared state in a second on one core: a program with `swimring-codec` as its only dependency, `lto = "thin"`.
//! It prints the middle of 21 rounds of 2,000.

use std::hint::black_box;
use std::time::Instant;

use swimring_codec::MemberId;
use swimring_codec::native::{IdentityKey, KeyEntry, KeySpan, KeyValue, entry_hash, map_hash};

const ROUNDS: usize = 21;
const EACH: u32 = 2_000;

fn measure(what: &str, mut once: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            (0..EACH).for_each(|_| once());
            begin.elapsed().as_secs_f64() / f64::from(EACH)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let each = rounds[ROUNDS / 2];
    println!("{what}: {:.2} us, {:.0} in a second", each * 1e6, 1.0 / each);
}

fn main() {
    let key = IdentityKey::from_seed(&[7; 32]);
    let value = [b'v'; 16];
    let entry = KeyEntry {
        key: "key-7",
        version: 9 << 16,
        writer: MemberId(7),
        value: KeyValue::Set(&value),
        statement: None,
    };
    let statement = key.sign_key(7, &entry).unwrap();
    let mut bytes = statement.to_bytes();
    bytes[80] ^= 1;
    let wrong = swimring_codec::native::KeyStatement::from_bytes(bytes);
    measure("sign a key of the cluster", || drop(black_box(key.sign_key(7, black_box(&entry)))));
    measure("verify one", || assert!(statement.verifies(7, black_box(&entry))));
    measure("refuse a wrong one", || assert!(!wrong.verifies(7, black_box(&entry))));
    measure("recognise one that was verified", || drop(black_box(statement.digest(black_box(&entry)))));
    let large = KeyEntry { value: KeyValue::Set(&[b'v'; 65_536]), ..entry };
    let of_large = key.sign_key(7, &large).unwrap();
    measure("verify one of 64 KiB", || assert!(of_large.verifies(7, black_box(&large))));

    let owned = KeyEntry { writer: MemberId::NONE, ..entry };
    let span = KeySpan { owner: MemberId(7), epoch: 1, since: 0, until: 9, floor: 0, complete: true, reset: false };
    measure("hash an entry of a map", || drop(black_box(entry_hash(black_box(&owned)))));
    for keys in [10, 1_000] {
        let hashes = vec![entry_hash(&owned); keys];
        measure(&format!("hash a map of {keys} keys"), || drop(black_box(map_hash(black_box(&hashes)))));
    }
    let stated = key.sign_map(7, &span, map_hash(&[entry_hash(&owned)]));
    measure("sign a map", || drop(black_box(key.sign_map(7, black_box(&span), stated.hash))));
    measure("verify one", || assert!(key.public().verifies_map(7, black_box(&span), &stated)));
}
