//! The envelope: what of a sealed frame or stream message stays readable. All of it is authenticated.

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::SealError;
use super::keys::{KEY_ID_LEN, NONCE_LEN, TAG_LEN};
use crate::native::frame::FLAG_SEALED;
use crate::native::layout::Envelope;
use crate::native::{FRAME_MAX, HEADER_LEN, VERSION};

/// Bytes of the envelope in front of what is sealed.
pub const SEAL_ENVELOPE_LEN: usize = size_of::<Envelope>();
pub(super) const ENVELOPE_LEN: usize = SEAL_ENVELOPE_LEN;
/// Bytes by which a sealed frame or stream message is longer than a plain one: the envelope and the tag.
pub const SEAL_OVERHEAD: usize = ENVELOPE_LEN + TAG_LEN;

const _: () = assert!(SEAL_OVERHEAD == 44 && SEAL_OVERHEAD + HEADER_LEN < FRAME_MAX);

/// How what is sealed is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum SealCipher {
    /// AES-256-GCM: the fastest where the processor has instructions for it.
    AesGcm = 1,
    /// ChaCha20-Poly1305, of which no processor knows anything and which is fast, and constant in time, everywhere.
    ChaCha20Poly1305 = 2,
}

impl SealCipher {
    /// AES-256-GCM if this processor has instructions for AES and for carry-less multiplication, else ChaCha20-Poly1305.
    pub fn of_this_processor() -> SealCipher {
        #[cfg(target_arch = "x86_64")]
        let has_aes = is_x86_feature_detected!("aes") && is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let has_aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let has_aes = false;
        if has_aes { SealCipher::AesGcm } else { SealCipher::ChaCha20Poly1305 }
    }

    fn from_u8(value: u8) -> Option<SealCipher> {
        match value {
            1 => Some(SealCipher::AesGcm),
            2 => Some(SealCipher::ChaCha20Poly1305),
            _ => None,
        }
    }
}

/// What is in an envelope. One kind is never taken for another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum EnvelopeKind {
    /// A datagram.
    Frame = 0,
    /// A message of a stream, by who opened it.
    OfOpener = 1,
    /// A message of a stream, by who accepted it.
    OfAcceptor = 2,
}

/// The fields of an envelope that has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) cipher: SealCipher,
    pub(super) key: [u8; KEY_ID_LEN],
    pub(super) time_s: u32,
    pub(super) life: u64,
    pub(super) sequence: u32,
    /// Bytes of the ciphertext.
    pub(super) length: usize,
}

/// Whether `bytes` are marked as sealed.
#[inline]
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    matches!(bytes, [VERSION, flags, ..] if flags & FLAG_SEALED != 0)
}

/// Reads the envelope of `kind` at the front of `bytes`; gives its fields and its bytes, then what follows it.
#[inline]
pub(super) fn read(
    bytes: &[u8],
    kind: EnvelopeKind,
) -> Result<(Fields, &[u8; ENVELOPE_LEN], &[u8]), SealError> {
    let (raw, rest) = bytes.split_first_chunk::<ENVELOPE_LEN>().ok_or(SealError::Truncated)?;
    let envelope: &Envelope = zerocopy::transmute_ref!(raw);
    let cipher = SealCipher::from_u8(envelope.cipher).ok_or(SealError::Malformed)?;
    if envelope.version != VERSION || envelope.flags != FLAG_SEALED || envelope.kind != kind as u8 {
        return Err(SealError::Malformed);
    }
    let length = envelope.length.get() as usize;
    if length < HEADER_LEN {
        return Err(SealError::Malformed);
    }
    if rest.len() < TAG_LEN || rest.len() - TAG_LEN < length {
        return Err(SealError::Truncated);
    }
    let fields = Fields {
        cipher,
        key: envelope.key,
        time_s: envelope.time_s.get(),
        life: u64::from_le_bytes(envelope.life),
        sequence: envelope.sequence.get(),
        length,
    };
    Ok((fields, raw, rest))
}

/// Writes an envelope of `kind` to the front of `out`, which has room for it.
#[inline]
pub(super) fn write(fields: &Fields, kind: EnvelopeKind, out: &mut [u8; ENVELOPE_LEN]) {
    let envelope = Envelope {
        version: VERSION,
        flags: FLAG_SEALED,
        cipher: fields.cipher as u8,
        kind: kind as u8,
        key: fields.key,
        time_s: U32::new(fields.time_s),
        life: fields.life.to_le_bytes(),
        sequence: U32::new(fields.sequence),
        length: U32::new(fields.length as u32),
    };
    out.copy_from_slice(envelope.as_bytes());
}

/// The nonce: life and sequence as they stand in the envelope.
#[inline]
pub(super) fn nonce(envelope: &[u8; ENVELOPE_LEN]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&envelope[12..12 + NONCE_LEN]);
    nonce
}
