//! Packets: what is around the messages of a datagram.
//!
//! From the outside in: the label in clear text, the envelope of encryption, a CRC, compression, and a
//! compound or a single message. Everything but the messages is optional. A packet is written where it is
//! sent from: its plain text at [`Codec::plain_offset`], then [`Codec::seal_packet`] puts the rest around it.

use super::codec::Security;
use super::envelope::{self, ENVELOPE_FRONT};
use super::{Codec, DecodeError, INFLATED_PACKET_MAX, Messages, compress, kind};

/// Bytes of a CRC: its type byte and 32 bits.
const CRC_LEN: usize = 5;

impl Codec {
    /// Opens a received packet. The messages borrow from `bytes`, or from the codec's own memory if they
    /// had to be decrypted or inflated.
    ///
    /// # Errors
    /// Why the packet as a whole is refused. What is wrong with single messages comes from the iterator.
    pub fn open_packet<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Messages<'a>, DecodeError> {
        let bytes = strip_label(bytes, self.security.label.header())?;
        let plain = match self.security.keyring.is_empty() {
            true => bytes,
            false => decrypt(&self.security, bytes, &mut self.opened)?,
        };
        let checked = strip_crc(plain)?;
        match checked.split_first() {
            Some((&kind::COMPRESS, body)) => {
                let length =
                    compress::inflate(&mut self.inflater, body, &mut self.inflated, INFLATED_PACKET_MAX)?;
                Messages::read(&self.inflated[..length])
            }
            _ => Messages::read(checked),
        }
    }

    /// Most bytes around the plain text of a packet, of whatever length it is.
    pub fn packet_overhead(&self, crc: bool) -> usize {
        let envelope = if self.encrypts() { envelope::overhead(self.security.encryption_version) } else { 0 };
        self.security.label.header().len() + envelope + if crc { CRC_LEN } else { 0 }
    }

    /// Where in a packet its plain text starts.
    pub fn plain_offset(&self, crc: bool) -> usize {
        let envelope = if self.encrypts() { ENVELOPE_FRONT } else { 0 };
        self.security.label.header().len() + envelope + if crc { CRC_LEN } else { 0 }
    }

    /// Bytes of a packet with `plain_len` bytes of plain text.
    pub fn sealed_len(&self, plain_len: usize, crc: bool) -> usize {
        let checked_len = plain_len + if crc { CRC_LEN } else { 0 };
        let sealed_len = match self.encrypts() {
            true => envelope::sealed_len(self.security.encryption_version, checked_len),
            false => checked_len,
        };
        self.security.label.header().len() + sealed_len
    }

    /// Makes a packet of the `plain_len` bytes of plain text at [`Codec::plain_offset`]: puts label, CRC and
    /// envelope around them. The packet is the first [`Codec::sealed_len`] bytes of `buffer`.
    ///
    /// A CRC is only for peers whose [`protocol_max`](super::Versions::protocol_max) is 5 or more.
    ///
    /// # Panics
    /// If `buffer` is shorter than that.
    pub fn seal_packet(&mut self, buffer: &mut [u8], plain_len: usize, crc: bool) {
        let (offset, length) = (self.plain_offset(crc), self.sealed_len(plain_len, crc));
        let buffer = &mut buffer[..length];
        if crc {
            let sum = crc32fast::hash(&buffer[offset..offset + plain_len]);
            buffer[offset - CRC_LEN] = kind::CRC;
            buffer[offset - 4..offset].copy_from_slice(&sum.to_be_bytes());
        }
        let (label, sealed) = buffer.split_at_mut(self.security.label.header().len());
        label.copy_from_slice(self.security.label.header());
        if self.encrypts() {
            let nonce = self.nonce();
            let checked_len = plain_len + if crc { CRC_LEN } else { 0 };
            let parts = (sealed, checked_len);
            envelope::seal(
                &self.security.keyring,
                self.security.encryption_version,
                nonce,
                self.security.label.text(),
                parts,
            );
        }
    }
}

/// The plain text of a packet without its label, in `out` or in `bytes` itself.
fn decrypt<'a>(security: &Security, bytes: &'a [u8], out: &'a mut [u8]) -> Result<&'a [u8], DecodeError> {
    match envelope::open(&security.keyring, security.label.text(), bytes, out) {
        Ok(length) => Ok(&out[..length]),
        Err(_) if !security.verify_incoming => Ok(bytes),
        // An envelope begins with its version, 0 or 1, and so do plain pings: those look encrypted.
        Err(_) if bytes.first().is_some_and(|&first| first > 1) => Err(DecodeError::Unencrypted),
        Err(error) => Err(error),
    }
}

/// What follows the label, which must be `header`; no header stands for no label.
#[inline]
pub(super) fn strip_label<'a>(bytes: &'a [u8], header: &[u8]) -> Result<&'a [u8], DecodeError> {
    let rest = bytes.strip_prefix(header).ok_or(DecodeError::Label)?;
    match header.is_empty() && rest.first() == Some(&kind::LABEL) {
        true => Err(DecodeError::Label),
        false => Ok(rest),
    }
}

/// What follows the CRC, if there is one.
#[inline]
fn strip_crc(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    let Some((&kind::CRC, rest)) = bytes.split_first() else { return Ok(bytes) };
    let (sum, rest) = rest.split_first_chunk::<4>().ok_or(DecodeError::Truncated)?;
    match crc32fast::hash(rest) == u32::from_be_bytes(*sum) {
        true => Ok(rest),
        false => Err(DecodeError::Crc),
    }
}
