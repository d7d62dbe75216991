//! Texts, packed: a name and what belongs to it for each place, in few more bytes than they have.
//!
//! A string of its own takes two words beside it, and what the allocator adds and rounds: more than a name of twelve
//! bytes. Here the texts of 32 places in a row are one block of memory, behind 32 bytes for their lengths. Where a text
//! begins is a sum over the lengths before it; putting another in its place moves those behind it, a few hundred bytes,
//! and leaves no gap, so nothing is ever left to compact. The few texts that are longer than a byte can say stand apart.

use hashbrown::HashMap;

use crate::protocol::view::grow_for_one;
use crate::protocol::view::keyed_hash::KeyedHash;

/// Texts in a block.
const BLOCK_TEXTS: usize = 32;

/// Longest text that stands in a block.
const BLOCK_TEXT_MAX: usize = u8::MAX as usize;

/// A text for each place from 0 on, empty where none was set. See the module.
#[derive(Debug)]
pub(in crate::protocol) struct Texts {
    /// The lengths of so many texts, then these. Nothing where all are empty and have always been.
    blocks: Vec<Box<[u8]>>,
    /// Those too long for a block, in which they are empty.
    long: HashMap<u32, Box<[u8]>, KeyedHash>,
}

impl Texts {
    /// No text; `key` protects a hash table against chosen places.
    pub(in crate::protocol) fn new(key: u64) -> Texts {
        Texts { blocks: Vec::new(), long: HashMap::with_hasher(KeyedHash::new(key)) }
    }

    /// Makes room for texts in the places below `places`, though not for what they say.
    pub(in crate::protocol) fn reserve(&mut self, places: usize) {
        self.blocks.reserve_exact(places.div_ceil(BLOCK_TEXTS).saturating_sub(self.blocks.len()));
    }

    /// The text in a place.
    pub(in crate::protocol) fn get(&self, place: u32) -> &[u8] {
        let at = place as usize % BLOCK_TEXTS;
        let Some((lengths, texts)) = self
            .blocks
            .get(place as usize / BLOCK_TEXTS)
            .and_then(|block| block.split_at_checked(BLOCK_TEXTS))
        else {
            return self.long(place);
        };
        if lengths[at] == 0 {
            return self.long(place);
        }
        let from = sum(lengths, at);
        &texts[from..from + usize::from(lengths[at])]
    }

    #[cold]
    fn long(&self, place: u32) -> &[u8] {
        self.long.get(&place).map_or(&[], |text| text)
    }

    /// Puts the text that `parts` are in a place.
    pub(in crate::protocol) fn set(&mut self, place: u32, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if length > BLOCK_TEXT_MAX {
            self.replace(place, &[], 0);
            self.long.insert(place, parts.concat().into());
            return;
        }
        if !self.long.is_empty() {
            self.long.remove(&place);
        }
        self.replace(place, parts, length);
    }

    /// Replaces what a block has in a place.
    fn replace(&mut self, place: u32, parts: &[&[u8]], length: usize) {
        let (nth, at) = (place as usize / BLOCK_TEXTS, place as usize % BLOCK_TEXTS);
        while self.blocks.len() <= nth {
            grow_for_one(&mut self.blocks);
            self.blocks.push(Box::default());
        }
        let mut block = std::mem::take(&mut self.blocks[nth]).into_vec();
        if block.is_empty() {
            block.reserve_exact(BLOCK_TEXTS + length);
            block.resize(BLOCK_TEXTS, 0);
        }
        let before = usize::from(block[at]);
        let (from, end) = (BLOCK_TEXTS + sum(&block[..BLOCK_TEXTS], at), block.len());
        if length > before {
            block.reserve_exact(length - before);
            block.resize(end + length - before, 0);
        }
        block.copy_within(from + before..end, from + length);
        block.truncate(end + length - before);
        let mut rest = &mut block[from..from + length];
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
        block[at] = length as u8;
        self.blocks[nth] = block.into_boxed_slice();
    }
}

/// The sum of the first `count` of a block's lengths: eight at a time, in lanes of 16 bits that hold the sum of 32.
fn sum(lengths: &[u8], count: usize) -> usize {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let mut lanes = 0;
    for (nth, word) in lengths.as_chunks::<8>().0.iter().enumerate() {
        let bits = count.saturating_sub(8 * nth).min(8) as u32 * 8;
        let word = u64::from_le_bytes(*word) & u64::MAX.checked_shr(u64::BITS - bits).unwrap_or(0);
        lanes += (word & EVEN) + (word >> 8 & EVEN);
    }
    (lanes.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACES: usize = 3 * BLOCK_TEXTS + 5;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => prop::collection::vec(any::<u8>(), 0..20),
            2 => prop::collection::vec(any::<u8>(), 0..BLOCK_TEXT_MAX + 3),
            1 => prop::collection::vec(any::<u8>(), BLOCK_TEXT_MAX - 2..700),
        ]
    }

    proptest! {
        /// The same as a string for each place, and no byte more than lengths and texts have.
        #[test]
        fn behave_as_strings(texts in prop::collection::vec((0..PLACES, text(), 0..9_usize), 0..400)) {
            let (mut packed, mut twin) = (Texts::new(7), vec![Vec::new(); PLACES]);
            for (place, text, cut) in texts {
                let cut = cut.min(text.len());
                packed.set(place as u32, &[&text[..cut], &text[cut..]]);
                twin[place] = text;
                for (place, text) in twin.iter().enumerate() {
                    prop_assert_eq!(packed.get(place as u32), text);
                }
                for (nth, block) in packed.blocks.iter().enumerate().filter(|(_, block)| !block.is_empty()) {
                    let texts = twin[nth * BLOCK_TEXTS..].iter().take(BLOCK_TEXTS).map(Vec::len);
                    let short = texts.filter(|length| *length <= BLOCK_TEXT_MAX);
                    prop_assert_eq!(block.len(), BLOCK_TEXTS + short.sum::<usize>());
                }
                let long = twin.iter().filter(|text| text.len() > BLOCK_TEXT_MAX).count();
                prop_assert_eq!(packed.long.len(), long);
            }
        }
    }

    #[test]
    fn a_place_without_a_text_has_an_empty_one() {
        let mut texts = Texts::new(7);
        assert_eq!(texts.get(900), b"");
        texts.set(40, &[b"a"]);
        assert_eq!(
            (texts.get(39), texts.get(40), texts.get(41), texts.get(3)),
            (&b""[..], &b"a"[..], &b""[..], &b""[..])
        );
    }
}
