//! Where two views differ: finding out, and bringing what is missing.
//!
//! A live member in a view is an *item*: its id, and its *contents*, which are the incarnation and the low 16 bits of the
//! identity hash. A *sketch* is the first cells of a rateless invertible Bloom lookup table over all items of a view (Yang and
//! others, SIGCOMM 2024): subtracted from another view's it says which items only one of them has, if those are not too many.
//! If they are, *sums* of root terms over ranges of ids find the ranges that differ, and *lists* of short codes what
//! differs within these. What is missing then travels as ordinary updates behind a message that says so.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{self, Update, ViewListHeader, ViewRepairMark, ViewSketchHeader, ViewSumsHeader, kind};
use super::parts::{member, reserved, take, update};
use super::{DecodeError, FRAME_MAX, HEADER_LEN, Message};
use crate::{Incarnation, MemberId};

/// Bytes of a sketch without its cells.
pub const VIEW_SKETCH_HEADER_LEN: usize = size_of::<ViewSketchHeader>();
/// Bytes of a cell of a sketch.
pub const SKETCH_CELL_LEN: usize = size_of::<SketchCell>();
/// Most cells of a sketch: as many as one frame holds.
pub const SKETCH_CELLS_MAX: usize = (FRAME_MAX - HEADER_LEN - VIEW_SKETCH_HEADER_LEN) / SKETCH_CELL_LEN;
/// Bytes of sums without the sums.
pub const VIEW_SUMS_HEADER_LEN: usize = size_of::<ViewSumsHeader>();
/// Most bits that one message of sums divides its range by: 64 parts.
pub const SUMS_STEP_MAX: u8 = 6;
/// Bytes of a list without its codes.
pub const VIEW_LIST_HEADER_LEN: usize = size_of::<ViewListHeader>();
/// Bytes of a code in a list.
pub const LISTED_LEN: usize = size_of::<[u8; 4]>();
/// Most codes in a list: as many as one frame holds.
pub const LISTED_MAX: usize = (FRAME_MAX - HEADER_LEN - VIEW_LIST_HEADER_LEN) / LISTED_LEN;
/// Bytes of a message that asks for an entry.
pub const ENTRY_WANTED_LEN: usize = size_of::<Update>();
/// Bytes of the message that stands before what repairs a view.
pub const VIEW_REPAIR_LEN: usize = size_of::<ViewRepairMark>();
/// Most leading bits of the ids in a range.
pub const RANGE_BITS_MAX: u8 = 30;

/// In the byte that says how many bits a range has: the sender began the exchange.
const BEGAN: u8 = 0x80;
/// In the same byte: the receiver has what is listed, and is asked for it.
const WANTED: u8 = 0x40;

/// What a sketch holds of a live member beside its id: the incarnation, and 16 bits of its identity.
#[inline]
pub const fn item_contents(incarnation: Incarnation, identity_hash: u64) -> u64 {
    incarnation.get() << 16 | identity_hash & 0xffff
}

/// The hash of an item, of which its checksum and its cells are made.
#[inline]
pub fn item_hash(id: MemberId, contents: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&id.0.to_le_bytes());
    bytes[8..].copy_from_slice(&contents.to_le_bytes());
    xxh3_64(&bytes)
}

/// What a list has of a live member: 16 bits of the id, by which members are told apart, and 16 bits of the root term, by
/// which views of one are.
#[inline]
pub const fn listed_code(id: MemberId, root_term: u64) -> u32 {
    (id.0 as u32) << 16 | (root_term >> 48) as u32
}

/// A cell of a sketch as it travels.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SketchCell {
    ids: U64,
    contents: U64,
    checksum: U16,
    count: U16,
}

const _: () = assert!(SKETCH_CELL_LEN == 20);

impl SketchCell {
    /// A cell whose items have these exclusive ors of ids, contents and checksums, and this number modulo 2^16.
    #[inline]
    pub const fn new(ids: u64, contents: u64, checksum: u16, count: u16) -> SketchCell {
        SketchCell {
            ids: U64::new(ids),
            contents: U64::new(contents),
            checksum: U16::new(checksum),
            count: U16::new(count),
        }
    }

    /// Exclusive or of the ids of its items.
    #[inline]
    pub const fn ids(&self) -> u64 {
        self.ids.get()
    }

    /// Exclusive or of their contents.
    #[inline]
    pub const fn contents(&self) -> u64 {
        self.contents.get()
    }

    /// Exclusive or of their checksums.
    #[inline]
    pub const fn checksum(&self) -> u16 {
        self.checksum.get()
    }

    /// How many there are, modulo 2^16.
    #[inline]
    pub const fn count(&self) -> u16 {
        self.count.get()
    }
}

/// The ids that begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IdRange {
    bits: u8,
    /// The first 32 bits of its lowest id.
    prefix: u32,
}

impl IdRange {
    /// All ids.
    pub const ALL: IdRange = IdRange { bits: 0, prefix: 0 };

    /// Those that share the first `bits` bits of `prefix`, of which the others have to be zero. Nothing if they are not,
    /// or if there are more than [`RANGE_BITS_MAX`].
    #[inline]
    pub const fn new(bits: u8, prefix: u32) -> Option<IdRange> {
        if bits > RANGE_BITS_MAX || prefix & (u32::MAX >> bits) != 0 {
            return None;
        }
        Some(IdRange { bits, prefix })
    }

    /// How many bits are the same.
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// These bits, in front of zeros.
    pub const fn prefix(self) -> u32 {
        self.prefix
    }

    /// The lowest and the highest id.
    #[inline]
    pub const fn ends(self) -> (u64, u64) {
        let lowest = (self.prefix as u64) << 32;
        (lowest, lowest | u64::MAX >> self.bits)
    }

    /// The `nth` of its parts with `step` more bits. Nothing if there is none.
    #[inline]
    pub fn part(self, step: u8, nth: usize) -> Option<IdRange> {
        let bits = self.bits.checked_add(step)?;
        let valid = bits <= RANGE_BITS_MAX && nth >> step == 0;
        valid.then(|| IdRange { bits, prefix: self.prefix | ((nth as u64) << (32 - u32::from(bits))) as u32 })
    }

    /// Which of its parts with `step` more bits `id`, which is in it, is in.
    #[inline]
    pub const fn part_of(self, step: u8, id: u64) -> usize {
        ((id << self.bits) >> (64 - step as u32)) as usize
    }
}

/// What a view sums to, as the first cells of a sketch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewSketch<'a> {
    /// 1 to [`SKETCH_CELLS_MAX`].
    pub cells: &'a [SketchCell],
}

/// What parts of a view sum to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewSums<'a> {
    /// What is divided.
    pub range: IdRange,
    /// The sender began the exchange.
    pub began: bool,
    /// By so many bits, 1 to [`SUMS_STEP_MAX`].
    pub step: u8,
    /// The sum of the root terms in each part, modulo 2^64, little-endian: two to the power of `step`.
    pub sums: &'a [[u8; 8]],
}

/// What a view has in one range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViewList<'a> {
    /// Where.
    pub range: IdRange,
    /// The sender began the exchange.
    pub began: bool,
    /// It is what the receiver has there, and the sender lacks. Otherwise it is all that the sender has.
    pub wanted: bool,
    /// What [`listed_code`] makes of each member, little-endian; at most [`LISTED_MAX`].
    pub codes: &'a [[u8; 4]],
}

/// Asks for what the receiver knows of a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryWanted {
    /// The member.
    pub subject: MemberId,
    /// The incarnation that the sender knows of it; zero if it does not know it.
    pub incarnation: Incarnation,
    /// The tag of the identity that the sender knows of it.
    pub tag: u8,
}

impl ViewSketch<'_> {
    /// Bytes on the wire.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        VIEW_SKETCH_HEADER_LEN + size_of_val(self.cells)
    }

    pub(super) fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let count = self.cells.len();
        if count == 0 || count > SKETCH_CELLS_MAX {
            return None;
        }
        let header = ViewSketchHeader { kind: kind::VIEW_SKETCH, count: count as u8, reserved: [0; 2] };
        with_tail(&header, self.cells.as_bytes(), out)
    }
}

impl ViewSums<'_> {
    /// Bytes on the wire.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        VIEW_SUMS_HEADER_LEN + size_of_val(self.sums)
    }

    pub(super) fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let IdRange { bits, prefix } = self.range;
        if !is_step(self.step, bits) || self.sums.len() != 1 << self.step {
            return None;
        }
        let header = ViewSumsHeader {
            kind: kind::VIEW_SUMS,
            bits: bits | if self.began { BEGAN } else { 0 },
            step: self.step,
            reserved: 0,
            prefix: U32::new(prefix),
        };
        with_tail(&header, self.sums.as_bytes(), out)
    }
}

impl ViewList<'_> {
    /// Bytes on the wire.
    #[inline]
    pub const fn encoded_len(&self) -> usize {
        VIEW_LIST_HEADER_LEN + size_of_val(self.codes)
    }

    pub(super) fn encode(&self, out: &mut [u8]) -> Option<usize> {
        if self.codes.len() > LISTED_MAX {
            return None;
        }
        let flags = if self.began { BEGAN } else { 0 } | if self.wanted { WANTED } else { 0 };
        let header = ViewListHeader {
            kind: kind::VIEW_LIST,
            bits: self.range.bits | flags,
            count: U16::new(self.codes.len() as u16),
            prefix: U32::new(self.range.prefix),
        };
        with_tail(&header, self.codes.as_bytes(), out)
    }
}

impl EntryWanted {
    pub(super) fn layout(&self) -> Option<Update> {
        update(kind::ENTRY_WANTED, self.tag, self.incarnation, self.subject)
    }
}

pub(super) fn mark(began: bool) -> ViewRepairMark {
    ViewRepairMark { kind: kind::VIEW_REPAIR, flags: if began { BEGAN } else { 0 }, reserved: [0; 6] }
}

/// Whether a range of so many bits can be divided by `step` more.
fn is_step(step: u8, bits: u8) -> bool {
    (1..=SUMS_STEP_MAX).contains(&step) && bits + step <= RANGE_BITS_MAX
}

/// Writes a layout and what follows it, and gives their length.
fn with_tail(header: &(impl IntoBytes + Immutable), tail: &[u8], out: &mut [u8]) -> Option<usize> {
    let at = size_of_val(header);
    let length = at + tail.len();
    let out = out.get_mut(..length)?;
    header.write_to_prefix(out).ok()?;
    out[at..].copy_from_slice(tail);
    Some(length)
}

/// Takes `count` values off the front of `bytes`.
fn values<'a, T: FromBytes + Immutable + KnownLayout + Unaligned>(
    bytes: &mut &'a [u8],
    count: usize,
) -> Result<&'a [T], DecodeError> {
    let (values, rest) =
        <[T]>::ref_from_prefix_with_elems(bytes, count).map_err(|_| DecodeError::Truncated)?;
    *bytes = rest;
    Ok(values)
}

fn range(bits: u8, prefix: U32) -> Result<IdRange, DecodeError> {
    IdRange::new(bits, prefix.get()).ok_or(DecodeError::Field("range of ids"))
}

/// Takes the message of `kind` off the front of `bytes`.
pub(super) fn take_message<'a>(kind: u8, bytes: &mut &'a [u8]) -> Result<Message<'a>, DecodeError> {
    match kind {
        kind::VIEW_SKETCH => take_sketch(bytes).map(Message::ViewSketch),
        kind::VIEW_SUMS => take_sums(bytes).map(Message::ViewSums),
        kind::VIEW_LIST => take_list(bytes).map(Message::ViewList),
        kind::ENTRY_WANTED => {
            let wanted = take::<Update>(bytes)?;
            let incarnation = layout::incarnation_from(wanted.incarnation);
            let subject = member(wanted.subject, "entry wanted")?;
            Ok(Message::EntryWanted(EntryWanted { subject, incarnation, tag: wanted.tag }))
        }
        _ => {
            let mark = take::<ViewRepairMark>(bytes)?;
            reserved([mark.flags & !BEGAN])?;
            reserved(mark.reserved)?;
            Ok(Message::ViewRepair { began: mark.flags != 0 })
        }
    }
}

fn take_sketch<'a>(bytes: &mut &'a [u8]) -> Result<ViewSketch<'a>, DecodeError> {
    let header = take::<ViewSketchHeader>(bytes)?;
    reserved(header.reserved)?;
    let count = usize::from(header.count);
    if count == 0 || count > SKETCH_CELLS_MAX {
        return Err(DecodeError::Field("cells of a sketch"));
    }
    Ok(ViewSketch { cells: values(bytes, count)? })
}

fn take_sums<'a>(bytes: &mut &'a [u8]) -> Result<ViewSums<'a>, DecodeError> {
    let header = take::<ViewSumsHeader>(bytes)?;
    reserved([header.reserved])?;
    let (range, step) = (range(header.bits & !BEGAN, header.prefix)?, header.step);
    if !is_step(step, range.bits) {
        return Err(DecodeError::Field("parts of a range"));
    }
    Ok(ViewSums { range, began: header.bits & BEGAN != 0, step, sums: values(bytes, 1 << step)? })
}

fn take_list<'a>(bytes: &mut &'a [u8]) -> Result<ViewList<'a>, DecodeError> {
    let header = take::<ViewListHeader>(bytes)?;
    let range = range(header.bits & !(BEGAN | WANTED), header.prefix)?;
    let count = usize::from(header.count.get());
    if count > LISTED_MAX {
        return Err(DecodeError::Field("length of a list"));
    }
    let (began, wanted) = (header.bits & BEGAN != 0, header.bits & WANTED != 0);
    Ok(ViewList { range, began, wanted, codes: values(bytes, count)? })
}
