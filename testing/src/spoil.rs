//! Damage: what a valid input becomes before it is read.

use fastrand::Rng;
use swimring_codec::native::FRAME_MAX;

/// Spoils `bytes` in one to three places, now and then all of them.
pub fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.u32(1..=3) {
        let at = rng.usize(..=bytes.len());
        let value = rng.u8(..);
        match rng.u8(..16) {
            0..=3 if at < bytes.len() => bytes[at] ^= 1 << (value % 8),
            4..=6 if at < bytes.len() => bytes[at] = value,
            7 => bytes.truncate(at),
            8 => bytes.insert(at, value),
            9 if at < bytes.len() => drop(bytes.remove(at)),
            // Part of itself, pasted elsewhere: whole messages land inside others.
            10 if at < bytes.len() => {
                let from = rng.usize(..bytes.len());
                let length = rng.usize(..=bytes.len() - at.max(from));
                bytes.copy_within(from..from + length, at);
            }
            // The count, and the extremes that lengths and flags are made of.
            11 if bytes.len() > 2 => bytes[2] = value,
            12..=13 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(value % 5)],
            14 if value < 16 => noise(rng, bytes),
            _ => {}
        }
    }
}

/// Replaces `bytes` by noise, behind a valid start half of the time.
fn noise(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let kept = if rng.bool() { bytes.len().min(32) } else { 0 };
    bytes.resize(rng.usize(kept..=FRAME_MAX + 1), 0);
    rng.fill(&mut bytes[kept..]);
}
