//! Forgeries: what somebody who has no key can make of what goes by.
//!
//! Each kind changes bytes that the receiver has not had yet, so that nothing but what is authenticated can give them away; those
//! that repeat take bytes that it has had. What comes out is never the original, nor that with the zeros behind it that padding is.

use fastrand::Rng;
use swimring_codec::native::{FRAME_MAX, HEADER_LEN, SEAL_ENVELOPE_LEN, SEAL_OVERHEAD, SEAL_TAG_LEN};
use swimring_testing::spoil::spoil;

/// Where the fields of an envelope stand (`docs/PROTOCOL.md`, section 11): flags, cipher, kind, key, time, life, sequence, length.
const FIELDS: [std::ops::Range<usize>; 8] = [1..2, 2..3, 3..4, 4..8, 8..12, LIFE, SEQUENCE, LENGTH];
pub(super) const KEY_AND_TIME: std::ops::Range<usize> = 4..12;
const LIFE: std::ops::Range<usize> = 12..20;
const SEQUENCE: std::ops::Range<usize> = 20..24;
const LENGTH: std::ops::Range<usize> = 24..28;

/// How what goes by is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// One to eight bits are others.
    Flipped,
    /// One to three fields of the envelope are others: anything, one more or less, or those of another.
    Header,
    /// It ends early.
    Cut,
    /// There are more bytes, behind it or in it.
    Lengthened,
    /// Its beginning, and another's end; or one's envelope and the other's content.
    Spliced,
    /// Damage of any kind.
    Spoiled,
    /// Nothing of it but key and time: noise under an envelope that says what it has to.
    Invented,
}

impl Change {
    pub(super) const ALL: [Change; 7] = [
        Change::Flipped,
        Change::Header,
        Change::Cut,
        Change::Lengthened,
        Change::Spliced,
        Change::Spoiled,
        Change::Invented,
    ];

    /// Makes `out` of `genuine`, and of `other` that went by earlier. False if nothing came of it.
    pub(super) fn make(self, rng: &mut Rng, genuine: &[u8], other: &[u8], out: &mut Vec<u8>) -> bool {
        let end = sealed_end(genuine);
        out.clear();
        out.extend_from_slice(genuine);
        match self {
            Change::Flipped => {
                for _ in 0..rng.u8(1..=8) {
                    let at = rng.usize(..out.len());
                    out[at] ^= 1 << rng.u8(..8);
                }
            }
            Change::Header => (0..rng.u8(1..=3)).for_each(|_| change_field(rng, other, out)),
            Change::Cut => out.truncate(rng.usize(..end)),
            Change::Lengthened => lengthen(rng, end, out),
            Change::Spliced => splice(rng, other, out),
            Change::Spoiled => spoil(rng, out),
            Change::Invented => invent(rng, out),
        }
        !is_original(out, &genuine[..end])
    }
}

/// Where what is sealed in `bytes` ends and padding begins.
fn sealed_end(bytes: &[u8]) -> usize {
    length_of(bytes).saturating_add(SEAL_OVERHEAD).min(bytes.len())
}

fn length_of(bytes: &[u8]) -> usize {
    bytes.get(LENGTH).map_or(0, |length| u32::from_le_bytes(length.try_into().expect("four bytes")) as usize)
}

/// The life that has sealed `bytes`, and which of its frames they are: that is readable.
pub(super) fn sender_of(bytes: &[u8]) -> (u64, u32) {
    let life = u64::from_le_bytes(bytes[LIFE].try_into().expect("eight bytes"));
    (life, u32::from_le_bytes(bytes[SEQUENCE].try_into().expect("four bytes")))
}

/// Whether `bytes` are what was sealed, or that with padding.
fn is_original(bytes: &[u8], original: &[u8]) -> bool {
    bytes.strip_prefix(original).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

fn change_field(rng: &mut Rng, other: &[u8], out: &mut [u8]) {
    let range = rng.choice(&FIELDS).expect("eight").clone();
    let field = &mut out[range.clone()];
    match rng.u8(..4) {
        0 => rng.fill(field),
        1 => field[0] = field[0].wrapping_add(1),
        2 => field[0] = field[0].wrapping_sub(1),
        _ => field.copy_from_slice(&other[range]),
    }
}

fn lengthen(rng: &mut Rng, end: usize, out: &mut Vec<u8>) {
    let more = rng.usize(1..=64);
    if rng.bool() {
        out.extend((0..more).map(|_| rng.u8(..)));
        if rng.bool() {
            // As if it belonged to it.
            let length = (out.len() - SEAL_OVERHEAD) as u32;
            out[LENGTH].copy_from_slice(&length.to_le_bytes());
        }
    } else {
        let at = rng.usize(..end);
        let byte = rng.u8(..);
        out.splice(at..at, (0..more).map(|_| byte));
    }
}

fn splice(rng: &mut Rng, other: &[u8], out: &mut Vec<u8>) {
    let at = if rng.bool() { SEAL_ENVELOPE_LEN } else { rng.usize(..out.len()) };
    let from = if rng.bool() { at.min(other.len()) } else { rng.usize(..other.len()) };
    out.truncate(at);
    out.extend_from_slice(&other[from..]);
    out.truncate(FRAME_MAX);
}

/// A nonce that was used, or the next one, or a new life.
fn invent(rng: &mut Rng, out: &mut Vec<u8>) {
    let length = rng.usize(HEADER_LEN..=200);
    out.truncate(SEAL_ENVELOPE_LEN);
    out.resize(SEAL_ENVELOPE_LEN + length + SEAL_TAG_LEN, 0);
    rng.fill(&mut out[SEAL_ENVELOPE_LEN..]);
    out[LENGTH].copy_from_slice(&(length as u32).to_le_bytes());
    if rng.bool() {
        rng.fill(&mut out[LIFE]);
    }
    if rng.bool() {
        rng.fill(&mut out[SEQUENCE]);
    }
}
