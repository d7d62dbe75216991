//! What encrypted bytes are wrapped in: a version, a nonce, the cipher text and its tag.
//!
//! Version 0 pads the plain text to whole blocks of 16 bytes, always by at least one, each padding byte
//! saying how many there are; version 1 does not pad. The version itself is not authenticated: whoever
//! changes it from 0 to 1 on the way leaves the padding at the end of the message, where it is ignored or,
//! in a user message, seen.

use super::DecodeError;
use super::keyring::{Keyring, NONCE_LEN, TAG_LEN};

/// Bytes in front of the cipher text: version and nonce.
pub(super) const ENVELOPE_FRONT: usize = 1 + NONCE_LEN;
/// Block length that version 0 pads to.
const BLOCK: usize = 16;

/// Most bytes that the envelope of this version adds.
pub(super) const fn overhead(version: u8) -> usize {
    ENVELOPE_FRONT + TAG_LEN + if version == 0 { BLOCK } else { 0 }
}

/// Bytes of the envelope around `plain_len` bytes.
pub(super) const fn sealed_len(version: u8, plain_len: usize) -> usize {
    let padding = if version == 0 { BLOCK - plain_len % BLOCK } else { 0 };
    ENVELOPE_FRONT + plain_len + padding + TAG_LEN
}

/// Encrypts in place: `buffer` is exactly the envelope, with `plain_len` bytes of plain text where the
/// cipher text belongs.
pub(super) fn seal(
    keyring: &Keyring,
    version: u8,
    nonce: [u8; NONCE_LEN],
    additional: &[u8],
    (buffer, plain_len): (&mut [u8], usize),
) {
    let (front, rest) = buffer.split_at_mut(ENVELOPE_FRONT);
    front[0] = version;
    front[1..].copy_from_slice(&nonce);
    let (text, tag) = rest.split_at_mut(rest.len() - TAG_LEN);
    let padding = text.len() - plain_len;
    text[plain_len..].fill(padding as u8);
    if let Some(sealed) = keyring.seal(nonce, additional, text) {
        tag.copy_from_slice(&sealed);
    }
}

/// Bytes of plain text, padding included, in the envelope `bytes`.
///
/// # Errors
/// `Decrypt` if this is no envelope.
pub(super) fn text_len(bytes: &[u8]) -> Result<usize, DecodeError> {
    let length = bytes.len().checked_sub(ENVELOPE_FRONT + TAG_LEN).ok_or(DecodeError::Decrypt)?;
    match bytes[0] {
        0 if length >= BLOCK => Ok(length),
        1 => Ok(length),
        _ => Err(DecodeError::Decrypt),
    }
}

/// Decrypts the envelope `bytes` into `out`, which has room for [`text_len`], and gives the length of the
/// plain text without padding.
///
/// # Errors
/// `Decrypt` if no key opens it or its padding is none.
pub(super) fn open(
    keyring: &Keyring,
    additional: &[u8],
    bytes: &[u8],
    out: &mut [u8],
) -> Result<usize, DecodeError> {
    let length = text_len(bytes)?;
    let (&[version, ref nonce @ ..], rest) =
        bytes.split_first_chunk::<ENVELOPE_FRONT>().ok_or(DecodeError::Decrypt)?;
    let (text, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(DecodeError::Decrypt)?;
    let out = out.get_mut(..length).ok_or(DecodeError::TooLarge)?;
    if !keyring.open(*nonce, additional, (text, &mut *out), *tag) {
        return Err(DecodeError::Decrypt);
    }
    if version == 1 {
        return Ok(length);
    }
    let padding = out.last().map_or(0, |&last| usize::from(last));
    let whole = (1..=BLOCK).contains(&padding)
        && padding <= length
        && out[length - padding..].iter().all(|&byte| usize::from(byte) == padding);
    if whole { Ok(length - padding) } else { Err(DecodeError::Decrypt) }
}
