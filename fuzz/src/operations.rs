//! Operations: time, commands, faults and forgeries on a small simulated cluster.

use swimring_simulation::{fuzz_identities, fuzz_member};

use crate::Seed;

/// Reads `bytes` as operations on a cluster of four members.
///
/// # Panics
/// When a member panics, or one of the simulator's checks fails.
pub fn operations(bytes: &[u8]) {
    fuzz_member(bytes);
}

/// The same on a cluster whose members have identities.
///
/// # Panics
/// When a member panics, one of the simulator's checks fails, or something forged is believed.
pub fn identities(bytes: &[u8]) {
    fuzz_identities(bytes);
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
    (0..6).map(|start| Seed { name: format!("mixed_{start}"), bytes: bytes(start, 300) }).collect()
}
