//! LZW as peers compress: the variant of GIF, least significant bit first, codes of 9 to 12 bits.
//!
//! Codes below 256 are bytes, 256 clears the table, 257 ends the data, and every further code stands for
//! the string of the code before it and the first byte of the one after. Messages are short, so what
//! counts is what each costs before its first byte: neither direction here prepares a table. Crates that
//! decompress images do, for as long as a whole packet takes here.

mod deflate;
mod inflate;

pub(super) use deflate::Deflater;
pub(super) use inflate::Inflater;

const CLEAR: u16 = 256;
const END: u16 = 257;
/// The largest code: 12 bits.
const CODE_MAX: u16 = 4095;
const WIDTH_MIN: u32 = 9;
const WIDTH_MAX: u32 = 12;
