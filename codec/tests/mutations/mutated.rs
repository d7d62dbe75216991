//! Random and spoiled datagrams and stream messages by the hundred thousand: no panic, the twin agrees
//! about each, and the process does not grow.
//!
//! `SWIMRING_MUTATIONS=10000000 cargo test --release -p swimring-codec --test mutations -- --nocapture`
//! runs ten million instead. `SWIMRING_SEED` chooses others; the seed is printed first.

use crate::random;

use fastrand::Rng;
use swimring_codec::native::FRAME_MAX;
use swimring_testing::checks;
use swimring_testing::process::{resident_bytes, setting};
use swimring_testing::spoil::spoil;

/// Inputs in a plain `cargo test`.
const MUTATIONS: u64 = 200_000;
/// How much the process may grow while it runs, in bytes: allocators and the test harness move a little.
const GROWTH_MAX: u64 = 4 << 20;

/// What became of the inputs. All of these must happen often, or the mutations test nothing.
#[derive(Default, Debug)]
struct Tally {
    frames_with_messages: u64,
    frames_without: u64,
    streams_read: u64,
    streams_refused: u64,
}

fn run(rng: &mut Rng, count: u64, bytes: &mut Vec<u8>, tally: &mut Tally) {
    for _ in 0..count {
        if rng.u8(..4) != 0 {
            random::frame(rng, bytes);
            spoil(rng, bytes);
            match checks::frame(bytes) {
                0 => tally.frames_without += 1,
                _ => tally.frames_with_messages += 1,
            }
        } else {
            random::stream(rng, bytes);
            spoil(rng, bytes);
            match checks::stream(bytes) {
                true => tally.streams_read += 1,
                false => tally.streams_refused += 1,
            }
        }
    }
}

#[test]
fn mutated_inputs_are_read_or_refused_and_nothing_grows() {
    let (count, seed) = (setting("SWIMRING_MUTATIONS", MUTATIONS), setting("SWIMRING_SEED", 1));
    println!("seed {seed}, {count} inputs");
    let mut rng = Rng::with_seed(seed);
    let mut bytes = Vec::with_capacity(4 * FRAME_MAX);
    let mut tally = Tally::default();
    let warm_up = count / 10;
    run(&mut rng, warm_up, &mut bytes, &mut tally);
    let before = resident_bytes();
    run(&mut rng, count - warm_up, &mut bytes, &mut tally);
    let after = resident_bytes();
    println!("{tally:?}; resident {before} bytes after a tenth, {after} at the end");
    assert!(after.saturating_sub(before) < GROWTH_MAX, "grew from {before} to {after} bytes");
    let few = count / 100;
    assert!(
        tally.frames_with_messages > few
            && tally.frames_without > few
            && tally.streams_read > few
            && tally.streams_refused > few,
        "{tally:?}"
    );
}
