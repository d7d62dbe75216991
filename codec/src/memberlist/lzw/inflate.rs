//! Decompression.
//!
//! In the output, the string of a code and the first byte of the one after are next to each other, so the
//! string of a new code *is* a stretch of the output: no table of strings is needed, only where each began.

use super::{CLEAR, CODE_MAX, END, WIDTH_MAX, WIDTH_MIN};
use crate::memberlist::DecodeError;

/// The output is read and written in chunks of this many bytes, most strings being shorter.
const CHUNK: usize = 16;

/// A stretch of the output.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    start: u32,
    length: u32,
}

/// Decompresses. One is reused for all messages.
#[derive(Debug)]
pub(in crate::memberlist) struct Inflater {
    table: Box<[Stretch; CODE_MAX as usize + 1]>,
}

/// Codes taken from bytes, least significant bit first.
struct Codes<'a> {
    rest: &'a [u8],
    bits: u64,
    count: u32,
}

impl Codes<'_> {
    #[inline(always)]
    fn next(&mut self, width: u32) -> Result<u16, DecodeError> {
        if self.count < width {
            self.refill(width)?;
        }
        let code = self.bits as u16 & ((1 << width) - 1);
        self.bits >>= width;
        self.count -= width;
        Ok(code)
    }

    #[inline(always)]
    fn refill(&mut self, width: u32) -> Result<(), DecodeError> {
        if let Some(chunk) = self.rest.first_chunk::<8>() {
            self.bits |= u64::from_le_bytes(*chunk) << self.count;
            let taken = (63 - self.count) / 8;
            self.rest = &self.rest[taken as usize..];
            self.count += 8 * taken;
            // What was shifted in beyond the counted bytes comes again with the next refill.
            self.bits &= (1 << self.count) - 1;
            return Ok(());
        }
        while self.count < width {
            let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
            self.bits |= u64::from(byte) << self.count;
            (self.rest, self.count) = (rest, self.count + 8);
        }
        Ok(())
    }
}

impl Inflater {
    pub(in crate::memberlist) fn new() -> Inflater {
        let table = vec![Stretch::default(); usize::from(CODE_MAX) + 1].into_boxed_slice();
        Inflater { table: table.try_into().expect("a table for every code") }
    }

    /// Decompresses `data` to the front of `out`, which grows to at most `max` bytes as they are needed,
    /// and gives how many were written. What follows the end of the data is ignored.
    ///
    /// # Errors
    /// `Truncated`, `Compression` for a code that means nothing, `TooLarge` for more than `max` bytes.
    pub(in crate::memberlist) fn inflate(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<usize, DecodeError> {
        let mut codes = Codes { rest: data, bits: 0, count: 0 };
        let mut at = 0;
        let (mut width, mut high) = (WIDTH_MIN, END);
        // The stretch of the code before, if the next one adds to the table.
        let mut last: Option<Stretch> = None;
        loop {
            let code = codes.next(width)?;
            match code {
                CLEAR => {
                    (width, high, last) = (WIDTH_MIN, END, None);
                    continue;
                }
                END => return Ok(at),
                _ => {}
            }
            if let Some(last) = last {
                self.table[usize::from(high)] = Stretch { start: last.start, length: last.length + 1 };
            }
            let length = if code < CLEAR {
                make_room(out, at, 1, max)?;
                out[at] = code as u8;
                1
            } else {
                if code > high || (code == high && last.is_none() && high != CODE_MAX) {
                    return Err(DecodeError::Compression);
                }
                let string = self.table[usize::from(code)];
                make_room(out, at, string.length as usize, max)?;
                repeat(out, string, at);
                string.length
            };
            last = Some(Stretch { start: at as u32, length });
            at += length as usize;
            high += 1;
            if u32::from(high) >> width != 0 {
                if width == WIDTH_MAX {
                    // The table is full and stays as it is until it is cleared.
                    (last, high) = (None, CODE_MAX);
                } else {
                    width += 1;
                }
            }
        }
    }
}

/// Makes sure that `length` bytes fit in at `at`.
#[inline(always)]
fn make_room(out: &mut Vec<u8>, at: usize, length: usize, max: usize) -> Result<(), DecodeError> {
    let end = at + length;
    if end <= out.len() { Ok(()) } else { grow(out, end, max) }
}

#[cold]
fn grow(out: &mut Vec<u8>, end: usize, max: usize) -> Result<(), DecodeError> {
    if end > max {
        return Err(DecodeError::TooLarge);
    }
    out.resize((2 * out.len()).clamp(end, max), 0);
    Ok(())
}

/// Copies a stretch of the output to `at`, of which it may include the first byte: then it ends with what
/// it begins with.
#[inline(always)]
fn repeat(out: &mut [u8], string: Stretch, at: usize) {
    let (start, length) = (string.start as usize, string.length as usize);
    if length <= CHUNK && at + CHUNK <= out.len() {
        // `start` is before `at`, so this chunk is inside as well. What it holds beyond the string is
        // overwritten by what comes next or never looked at.
        let mut chunk = [0; CHUNK];
        chunk.copy_from_slice(&out[start..start + CHUNK]);
        out[at..at + CHUNK].copy_from_slice(&chunk);
    } else {
        let before = length.min(at - start);
        out.copy_within(start..start + before, at);
    }
    if start + length > at {
        out[at + length - 1] = out[start];
    }
}
