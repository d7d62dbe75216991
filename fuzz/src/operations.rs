//! Operations: time, commands, faults, forgeries, and what applications say of candidates, on a small simulated cluster.

use swimring_simulation::{fuzz_identities, fuzz_member};

use crate::Seed;

/// Reads `bytes` as operations on a cluster of four members.
///
/// # Panics
/// When a member panics, or one of the simulator's checks fails.
pub fn operations(bytes: &[u8]) {
    let _ = fuzz_member(bytes);
}

/// The same on a cluster whose members have identities.
///
/// # Panics
/// When a member panics, one of the simulator's checks fails, or something forged is believed.
pub fn identities(bytes: &[u8]) {
    let _ = fuzz_identities(bytes);
}

/// Bytes without a pattern, from a cluster that starts warm and from one that starts cold: what they do
/// follows the simulator's own reading of them.
pub(crate) fn seeds() -> Vec<Seed> {
    let bytes = |start: u8, length: usize| -> Vec<u8> {
        let mut state = u32::from(start) + 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        [0, start, start & 1].into_iter().chain((0..length).map(|_| next())).collect()
    };
    let mixed = (0..6).map(|start| Seed { name: format!("mixed_{start}"), bytes: bytes(start, 300) });
    let admission = [("refused", 0), ("silence_admits", 2)];
    mixed
        .chain(
            admission
                .map(|(name, first)| Seed { name: format!("admission_{name}"), bytes: admission_of(first) }),
        )
        .collect()
}

/// From a warm cluster: one asks about everybody from now on, and is started anew; it is told something of each, early and late. Then another
/// has rules about networks, which a third moves out of.
fn admission_of(first: u8) -> Vec<u8> {
    const PASS: u8 = 1;
    const RESTART: u8 = 10;
    const RULES: u8 = 16;
    const ANSWER: u8 = 17;
    let operations: [&[u8]; 14] = [
        &[0, RULES, 0, 1],
        &[0, RESTART, 129, 0],
        &[0, PASS, 2],
        &[0, ANSWER, 1, 0],
        &[0, ANSWER, 0, 0],
        &[0, PASS, 30],
        // Of another identity, and of a stranger.
        &[0, ANSWER, 3, 0, 0, 0, 0, 0, 0, 0, 0, 9],
        &[0, ANSWER, 5, 4],
        &[0, PASS, 100],
        &[0, ANSWER, 5, 3],
        &[1, RULES, 1, 0],
        &[2, RESTART, 129, 1],
        &[0, PASS, 100],
        &[0, PASS, 100],
    ];
    [&[first, 7, 1][..], &operations.concat()].concat()
}
