//! Compression.
//!
//! Strings are looked up by hash, in a table whose entries carry the generation they belong to, so clearing
//! it is counting.

use super::{CLEAR, CODE_MAX, END, WIDTH_MIN};

/// Entries of the table of strings, a power of two: at most half of them are taken.
const ENTRIES: usize = 8192;

/// Compresses. One is reused for all messages.
#[derive(Debug)]
pub(in crate::memberlist) struct Deflater {
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
    pub(in crate::memberlist) fn new() -> Deflater {
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
    pub(in crate::memberlist) fn deflate(&mut self, data: &[u8], out: &mut [u8]) -> Option<usize> {
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
