//! Finding the end of a value without reading it.
//!
//! A value is a header, then either bytes or further values. A walk keeps how many values are still due
//! at each depth, so it needs no recursion, and it can stop at the end of what has been received and go
//! on from there: a stream that trickles in is walked once, not once per packet.

use super::DEPTH_MAX;
use crate::memberlist::DecodeError;

/// What the header of a value says about its extent.
enum Extent {
    /// This many bytes, the header included.
    Bytes(usize),
    /// A header of so many bytes, then so many values.
    Values(usize, u64),
}

/// A big-endian number of `N` bytes at `at`.
#[inline]
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let digits = bytes.get(at..at + N)?;
    Some(digits.iter().fold(0, |number, &digit| number << 8 | u64::from(digit)))
}

/// The extent of the value at the front of `bytes`; nothing if its header is not there yet.
#[inline]
fn extent(bytes: &[u8]) -> Result<Option<Extent>, DecodeError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let sized = |length: Option<u64>, header: usize| length.map(|n| Extent::Bytes(header + n as usize));
    let many = |count: Option<u64>, header: usize, each: u64| count.map(|n| Extent::Values(header, n * each));
    Ok(match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Some(Extent::Bytes(1)),
        0xa0..=0xbf => Some(Extent::Bytes(1 + usize::from(first & 0x1f))),
        0x80..=0x8f => Some(Extent::Values(1, 2 * u64::from(first & 0x0f))),
        0x90..=0x9f => Some(Extent::Values(1, u64::from(first & 0x0f))),
        0xcc | 0xd0 => Some(Extent::Bytes(2)),
        0xcd | 0xd1 => Some(Extent::Bytes(3)),
        0xce | 0xd2 | 0xca => Some(Extent::Bytes(5)),
        0xcf | 0xd3 | 0xcb => Some(Extent::Bytes(9)),
        0xc4 | 0xd9 => sized(number::<1>(bytes, 1), 2),
        0xc5 | 0xda => sized(number::<2>(bytes, 1), 3),
        0xc6 | 0xdb => sized(number::<4>(bytes, 1), 5),
        0xc7 => sized(number::<1>(bytes, 1), 3),
        0xc8 => sized(number::<2>(bytes, 1), 4),
        0xc9 => sized(number::<4>(bytes, 1), 6),
        0xd4..=0xd8 => Some(Extent::Bytes(2 + (1 << (first - 0xd4)))),
        0xdc => many(number::<2>(bytes, 1), 3, 1),
        0xdd => many(number::<4>(bytes, 1), 5, 1),
        0xde => many(number::<2>(bytes, 1), 3, 2),
        0xdf => many(number::<4>(bytes, 1), 5, 2),
        // The one byte that msgpack never uses.
        0xc1 => return Err(DecodeError::Msgpack),
    })
}

/// A walk to the end of one value.
#[derive(Clone, Debug)]
pub(crate) struct Skip {
    /// Values due at each depth.
    due: [u64; DEPTH_MAX + 1],
    depth: usize,
}

impl Skip {
    /// A walk that has not begun.
    pub(crate) fn new() -> Skip {
        let mut due = [0; DEPTH_MAX + 1];
        due[0] = 1;
        Skip { due, depth: 0 }
    }

    /// Walks on from `at`, which moves; true once it is behind the value. Until then `at` may lie beyond
    /// the end of `bytes`: the next call is given the same bytes and more, and goes on from there.
    ///
    /// # Errors
    /// `Msgpack` for a byte that begins nothing, `Nested` for more than [`DEPTH_MAX`] levels.
    #[inline]
    pub(crate) fn step(&mut self, bytes: &[u8], at: &mut usize) -> Result<bool, DecodeError> {
        loop {
            while self.due[self.depth] == 0 {
                if self.depth == 0 {
                    return Ok(*at <= bytes.len());
                }
                self.depth -= 1;
            }
            let Some(rest) = bytes.get(*at..) else { return Ok(false) };
            match extent(rest)? {
                None => return Ok(false),
                Some(Extent::Bytes(length)) => {
                    *at += length;
                    self.due[self.depth] -= 1;
                }
                Some(Extent::Values(header, count)) => {
                    *at += header;
                    self.due[self.depth] -= 1;
                    if count > 0 {
                        self.depth += 1;
                        *self.due.get_mut(self.depth).ok_or(DecodeError::Nested)? = count;
                    }
                }
            }
        }
    }
}
