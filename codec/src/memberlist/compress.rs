//! Compressed messages: an algorithm and the compressed bytes of another message.

use super::lzw::{Deflater, Inflater};
use super::{DecodeError, kind};
use crate::msgpack::{Counter, Reader, Sink};

/// The only algorithm: LZW.
const LZW: u8 = 0;

/// Decompresses the message whose struct is at the front of `body` to the front of `out`, which grows to at
/// most `max` bytes, and gives how many there are.
///
/// # Errors
/// `Compression`, `TooLarge`, `Truncated`, `Field` or `Msgpack`; `Nested` if it is compressed itself.
pub(super) fn inflate(
    inflater: &mut Inflater,
    body: &[u8],
    out: &mut Vec<u8>,
    max: usize,
) -> Result<usize, DecodeError> {
    let (mut algorithm, mut data): (u8, &[u8]) = (LZW, &[]);
    Reader::new(body).structure(&["Algo", "Buf"], |field, reader| {
        match field {
            0 => algorithm = reader.u8("Algo")?,
            _ => data = reader.bytes("Buf")?,
        }
        Ok(())
    })?;
    if algorithm != LZW {
        return Err(DecodeError::Compression);
    }
    let length = inflater.inflate(data, out, max)?;
    match out[..length].first() {
        None => Err(DecodeError::Truncated),
        Some(&kind::COMPRESS) => Err(DecodeError::Nested),
        Some(_) => Ok(length),
    }
}

/// What goes in front of `length` compressed bytes.
fn front(out: &mut impl Sink, length: usize) {
    out.put(&[kind::COMPRESS]);
    out.put(b"\x82\xa4Algo");
    out.unsigned(LZW.into());
    out.put(b"\xa3Buf");
    out.raw_len(length);
}

/// Compresses `plain` into `out`, at least as long, and gives the stretch of `out` that the message took;
/// nothing unless it is smaller than `plain`.
pub(super) fn deflate<'a>(deflater: &mut Deflater, plain: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
    // The front is as long as for the whole of `plain`, or shorter.
    let mut room = Counter::default();
    front(&mut room, plain.len());
    let start = room.0;
    let length = deflater.deflate(plain, out.get_mut(start..plain.len().checked_sub(1)?)?)?;
    let mut taken = Counter::default();
    front(&mut taken, length);
    let begin = start - taken.0;
    let mut written = crate::msgpack::SliceSink::new(&mut out[begin..start]);
    front(&mut written, length);
    Some(&out[begin..start + length])
}
