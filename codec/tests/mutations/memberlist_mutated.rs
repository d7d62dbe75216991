//! Random and spoiled packets and streams of the memberlist format by the ten thousand, among them bombs:
//! no panic, the twin agrees about each, and the process does not grow.
//!
//! `SWIMRING_MUTATIONS` and `SWIMRING_SEED` choose how many and which.

use fastrand::Rng;
use swimring_codec::State;
use swimring_codec::memberlist::{Codec, PushPullWriter};
use swimring_testing::memberlist::parts::Parts;
use swimring_testing::memberlist::{KEY, checks, codec, dialect};
use swimring_testing::process::{resident_bytes, setting};
use swimring_testing::spoil::spoil;

/// Inputs in a plain `cargo test`.
const MUTATIONS: u64 = 40_000;
/// How much the process may grow while it runs, in bytes: allocators and the test harness move a little.
const GROWTH_MAX: u64 = 8 << 20;

/// What became of the inputs. All of these must happen often, or the mutations test nothing.
#[derive(Default, Debug)]
struct Tally {
    packets_with_messages: u64,
    packets_without: u64,
    opened: u64,
    unopened: u64,
    streams_read: u64,
    streams_refused: u64,
}

fn parts(rng: &mut Rng) -> Parts {
    let name = |rng: &mut Rng| "node.".repeat(rng.usize(1..=25) >> rng.u32(..5)) + "n";
    let ip =
        if rng.bool() { [127, 0, 0, rng.u8(..)].into() } else { std::net::IpAddr::from([rng.u8(..); 16]) };
    Parts {
        kind: rng.u8(..),
        number: rng.u32(..) >> rng.u32(..32),
        node: name(rng),
        from: name(rng),
        address: (ip, rng.u16(1..)).into(),
        source: rng.bool().then(|| (ip, rng.u16(1..)).into()),
        flag: rng.bool(),
        bytes: vec![rng.u8(..); rng.usize(..=512) >> rng.u32(..10)],
        versions: [1, 5, 2, rng.u8(..), 5, 4],
        state: State::from_u8(rng.u8(1..=4)).expect("a state"),
    }
}

/// A message or compound, in any dialect, perhaps compressed, and perhaps into a bomb.
fn plain(rng: &mut Rng, codec: &mut Codec, out: &mut Vec<u8>) {
    let count = rng.usize(1..6);
    let messages: Vec<_> = (0..count)
        .map(|_| {
            let parts = parts(rng);
            dialect::message(rng, &parts.message())
        })
        .collect();
    out.clear();
    if count > 1 {
        out.extend([7, count as u8]);
        messages.iter().for_each(|message| out.extend((message.len() as u16).to_be_bytes()));
    }
    out.extend(messages.concat());
    if rng.u8(..20) == 0 {
        out.resize(65_536, 0);
    }
    if rng.bool()
        && let Some(compressed) = codec.compress(out)
    {
        *out = compressed.to_vec();
    }
}

fn stream(rng: &mut Rng, codec: &mut Codec, out: &mut Vec<u8>) {
    out.clear();
    let mut writer = PushPullWriter::new(out, rng.bool());
    for _ in 0..rng.usize(..5) {
        assert!(writer.record(&parts(rng).record()));
    }
    assert!(writer.finish(b"state"));
    if rng.bool() {
        codec.seal_stream(out, 0, true);
    }
}

/// Packs `plain` as `codec` does.
fn seal(codec: &mut Codec, plain: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; codec.sealed_len(plain.len(), true)];
    let at = codec.plain_offset(true);
    packet[at..at + plain.len()].copy_from_slice(plain);
    codec.seal_packet(&mut packet, plain.len(), true);
    packet
}

fn run(rng: &mut Rng, count: u64, (open, keyed): (&mut Codec, &mut Codec), tally: &mut Tally) {
    let mut bytes = Vec::new();
    for _ in 0..count {
        if rng.u8(..4) == 0 {
            stream(rng, open, &mut bytes);
            spoil(rng, &mut bytes);
            match checks::stream(open, &bytes) {
                true => tally.streams_read += 1,
                false => tally.streams_refused += 1,
            }
            let _ = keyed.open_stream(&bytes, rng.bool());
            continue;
        }
        plain(rng, open, &mut bytes);
        let mut sealed = seal(keyed, &bytes);
        if rng.bool() {
            spoil(rng, &mut sealed);
        }
        match keyed.open_packet(&sealed) {
            Ok(messages) => tally.opened += messages.count().min(1) as u64,
            Err(_) => tally.unopened += 1,
        }
        spoil(rng, &mut bytes);
        match checks::packet(open, &bytes) {
            0 => tally.packets_without += 1,
            _ => tally.packets_with_messages += 1,
        }
    }
}

#[test]
fn mutated_inputs_are_read_or_refused_and_nothing_grows() {
    let (count, seed) = (setting("SWIMRING_MUTATIONS", MUTATIONS), setting("SWIMRING_SEED", 1));
    println!("seed {seed}, {count} inputs");
    let mut rng = Rng::with_seed(seed);
    let (mut open, mut keyed) = (codec("", &[]), codec("dc1", &[&[9; 32], &KEY]));
    let mut tally = Tally::default();
    let warm_up = count / 10;
    run(&mut rng, warm_up, (&mut open, &mut keyed), &mut tally);
    let before = resident_bytes();
    run(&mut rng, count - warm_up, (&mut open, &mut keyed), &mut tally);
    let after = resident_bytes();
    println!("{tally:?}; resident {before} bytes after a tenth, {after} at the end");
    assert!(after.saturating_sub(before) < GROWTH_MAX, "grew from {before} to {after} bytes");
    let few = count / 100;
    let Tally { packets_with_messages, packets_without, opened, unopened, streams_read, streams_refused } =
        tally;
    let all = [packets_with_messages, packets_without, opened, unopened, streams_read, streams_refused];
    assert!(all.iter().all(|&number| number > few), "{tally:?}");
}
