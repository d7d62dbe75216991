//! LZW as peers compress: the variant of GIF, least significant bit first, codes of 9 to 12 bits.
//!
//! Codes below 256 are bytes, 256 clears the table, 257 ends the data, and every further code stands for
//! the string of the code before it and the first byte of the one after. In the output these two are next
//! to each other, so the string of a code *is* a stretch of the output: reading needs no table of strings,
//! only where each began, and nothing has to be prepared for a message. Writing looks strings up by hash
//! in a table whose entries carry the number of the table they belong to, so clearing it is counting.

use super::DecodeError;

const CLEAR: u16 = 256;
const END: u16 = 257;
/// The largest code: 12 bits.
const CODE_MAX: u16 = 4095;
const WIDTH_MIN: u32 = 9;
const WIDTH_MAX: u32 = 12;

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
pub(super) struct Inflater {
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
    pub(super) fn new() -> Inflater {
        let table = vec![Stretch::default(); usize::from(CODE_MAX) + 1].into_boxed_slice();
        Inflater { table: table.try_into().expect("a table for every code") }
    }

    /// Decompresses `data` to the front of `out`, which grows to at most `max` bytes as they are needed,
    /// and gives how many were written. What follows the end of the data is ignored.
    ///
    /// # Errors
    /// `Truncated`, `Compression` for a code that means nothing, `TooLarge` for more than `max` bytes.
    pub(super) fn inflate(
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

/// Entries of the table of strings, a power of two: at most half of them are taken.
const ENTRIES: usize = 8192;

/// Compresses. One is reused for all messages.
#[derive(Debug)]
pub(super) struct Deflater {
    /// Generation (32 bits), prefix code (12), byte (8), code (12).
    table: Box<[u64]>,
    generation: u32,
}

/// Codes on their way out.
struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    bits: u64,
    count: u32,
}

impl Bits<'_> {
    /// Nothing once the codes no longer fit.
    #[inline(always)]
    fn put(&mut self, code: u16, width: u32) -> Option<()> {
        self.bits |= u64::from(code) << self.count;
        self.count += width;
        while self.count >= 8 {
            *self.out.get_mut(self.at)? = self.bits as u8;
            (self.at, self.bits, self.count) = (self.at + 1, self.bits >> 8, self.count - 8);
        }
        Some(())
    }

    /// Writes what is left, and gives how many bytes there are.
    fn finish(mut self) -> Option<usize> {
        if self.count > 0 {
            *self.out.get_mut(self.at)? = self.bits as u8;
            self.at += 1;
        }
        Some(self.at)
    }
}

impl Deflater {
    pub(super) fn new() -> Deflater {
        Deflater { table: vec![0; ENTRIES].into_boxed_slice(), generation: 0 }
    }

    /// Forgets all strings.
    fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.table.fill(0);
            self.generation = 1;
        }
    }

    /// Where the string of `prefix` and `byte` is or would be, and its code if it is there.
    #[inline(always)]
    fn find(&self, prefix: u16, byte: u8) -> (usize, Option<u16>) {
        let key = u64::from(prefix) << 8 | u64::from(byte);
        let wanted = u64::from(self.generation) << 20 | key;
        let mut at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ENTRIES.trailing_zeros())) as usize;
        loop {
            let entry = self.table[at];
            if entry >> 12 == wanted {
                return (at, Some(entry as u16 & CODE_MAX));
            }
            if (entry >> 32) as u32 != self.generation {
                return (at, None);
            }
            at = (at + 1) % ENTRIES;
        }
    }

    /// Compresses `data` to the front of `out` and gives how many bytes that took; nothing if it takes
    /// more than there are, so that the size of `out` decides what is worth it.
    pub(super) fn deflate(&mut self, data: &[u8], out: &mut [u8]) -> Option<usize> {
        let mut bits = Bits { out, at: 0, bits: 0, count: 0 };
        let (mut width, mut high) = (WIDTH_MIN, END);
        self.clear();
        bits.put(CLEAR, width)?;
        let Some((&first, rest)) = data.split_first() else {
            bits.put(END, width)?;
            return bits.finish();
        };
        let mut string = u16::from(first);
        for &byte in rest {
            let (place, code) = self.find(string, byte);
            if let Some(code) = code {
                string = code;
                continue;
            }
            bits.put(string, width)?;
            high += 1;
            width += u32::from(high) >> width;
            if high == CODE_MAX {
                bits.put(CLEAR, width)?;
                (width, high) = (WIDTH_MIN, END);
                self.clear();
            } else {
                let key = u64::from(string) << 8 | u64::from(byte);
                self.table[place] = u64::from(self.generation) << 32 | key << 12 | u64::from(high);
            }
            string = u16::from(byte);
        }
        bits.put(string, width)?;
        high += 1;
        width += u32::from(high) >> width;
        if high == CODE_MAX {
            bits.put(CLEAR, width)?;
            width = WIDTH_MIN;
        }
        bits.put(END, width)?;
        bits.finish()
    }
}
