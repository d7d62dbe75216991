//! What seals.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::envelope::{self, ENVELOPE_LEN, EnvelopeKind, Fields};
use super::keys::TAG_LEN;
use super::stream::StreamSeal;
use super::{SEAL_OVERHEAD, SealCipher, SealKeys};

/// Seals frames and stream messages with the primary key. One per worker: two share nothing, and sealing neither allocates nor
/// draws random numbers.
pub struct Sealer {
    keys: SealKeys,
    cipher: SealCipher,
    /// Draws lives.
    lives: StdRng,
    life: u64,
    /// The number of the next frame of this life; nothing once all have been used.
    next: Option<u32>,
    time_s: u32,
}

/// Without the keys.
impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("keys", &self.keys)
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

impl Sealer {
    /// What seals with the first of `keys`. Lives come from a cryptographic generator seeded with `seed`, which no other may have:
    /// a nonce that is used twice under one key gives away the plain text of both, and lets others forge.
    pub fn new(keys: SealKeys, cipher: SealCipher, seed: [u8; 32]) -> Sealer {
        let mut lives = StdRng::from_seed(seed);
        let life = draw(&mut lives);
        Sealer { keys, cipher, lives, life, next: Some(0), time_s: 0 }
    }

    /// Seals with the first of `keys` from now on.
    pub fn set_keys(&mut self, keys: SealKeys) {
        self.keys = keys;
    }

    /// The time that envelopes state: the lower 32 bits of the seconds since 1970.
    #[inline]
    pub fn set_time_s(&mut self, time_s: u32) {
        self.time_s = time_s;
    }

    /// Seals a frame. It lies in `buffer` behind room for the envelope, [`SEAL_ENVELOPE_LEN`](super::SEAL_ENVELOPE_LEN), and before
    /// room for the tag, [`SEAL_TAG_LEN`](super::SEAL_TAG_LEN). False, and `buffer` of no use, if there is no key or no room.
    #[inline]
    pub fn seal_frame(&mut self, buffer: &mut [u8]) -> bool {
        let sequence = match self.next {
            Some(sequence) => sequence,
            None => {
                self.life = draw(&mut self.lives);
                0
            }
        };
        self.next = sequence.checked_add(1);
        self.seal(EnvelopeKind::Frame, (self.life, sequence), None, buffer)
    }

    /// The seal of a stream that we open; whether we `seal` what we say on it.
    pub fn open_stream(&mut self, seal: bool) -> StreamSeal {
        StreamSeal::opened(if seal { draw(&mut self.lives) } else { 0 })
    }

    /// The seal of a stream that another has opened.
    pub fn accept_stream(&mut self) -> StreamSeal {
        StreamSeal::accepted(draw(&mut self.lives))
    }

    /// Seals the next message that we say on a stream. It lies in `buffer` as a frame does for [`Sealer::seal_frame`], without its
    /// length prefix. False, and `buffer` of no use, if there is no key or no room, or after 2^32 messages.
    pub fn seal_message(&mut self, stream: &mut StreamSeal, buffer: &mut [u8]) -> bool {
        let Some((kind, life, sequence)) = stream.next_of_ours() else { return false };
        let bound = stream.bound_to(kind);
        self.seal(kind, (life, sequence), bound, buffer)
    }

    #[inline]
    fn seal(
        &self,
        kind: EnvelopeKind,
        (life, sequence): (u64, u32),
        bound: Option<u64>,
        buffer: &mut [u8],
    ) -> bool {
        let Some(key) = self.keys.primary_id() else { return false };
        let Some(length) = buffer.len().checked_sub(SEAL_OVERHEAD) else { return false };
        let Some((head, rest)) = buffer.split_first_chunk_mut::<ENVELOPE_LEN>() else { return false };
        let Some((plain, tag)) = rest.split_last_chunk_mut::<TAG_LEN>() else { return false };
        let fields = Fields { cipher: self.cipher, key, time_s: self.time_s, life, sequence, length };
        envelope::write(&fields, kind, head);
        let additional = Additional::new(head, bound);
        match self.keys.seal(self.cipher, envelope::nonce(head), additional.bytes(), plain) {
            Some(sealed) => {
                *tag = sealed;
                true
            }
            None => false,
        }
    }
}

/// A life: never zero, which stands for none.
fn draw(lives: &mut StdRng) -> u64 {
    loop {
        let life = lives.next_u64();
        if life != 0 {
            return life;
        }
    }
}

/// What is authenticated beside what is encrypted: the envelope, and in an answer the life of the stream that it answers.
pub(super) struct Additional {
    bytes: [u8; ENVELOPE_LEN + 8],
    length: usize,
}

impl Additional {
    #[inline]
    pub(super) fn new(envelope: &[u8; ENVELOPE_LEN], bound: Option<u64>) -> Additional {
        let mut bytes = [0; ENVELOPE_LEN + 8];
        bytes[..ENVELOPE_LEN].copy_from_slice(envelope);
        bytes[ENVELOPE_LEN..].copy_from_slice(&bound.unwrap_or(0).to_le_bytes());
        Additional { bytes, length: if bound.is_some() { ENVELOPE_LEN + 8 } else { ENVELOPE_LEN } }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memberlist::Keyring;

    #[test]
    fn a_life_ends_with_its_numbers() {
        let mut keyring = Keyring::default();
        keyring.install(&[7; 16]).unwrap();
        let mut sealer = Sealer::new(SealKeys::derive(&keyring), SealCipher::AesGcm, [1; 32]);
        let first = sealer.life;
        let mut sealed = [0; SEAL_OVERHEAD + 32];
        let mut next = |sealer: &mut Sealer| {
            assert!(sealer.seal_frame(&mut sealed));
            let (fields, ..) = envelope::read(&sealed, EnvelopeKind::Frame).unwrap();
            (fields.life, fields.sequence)
        };
        assert_eq!(next(&mut sealer), (first, 0));
        sealer.next = Some(u32::MAX - 1);
        assert_eq!(next(&mut sealer), (first, u32::MAX - 1));
        assert_eq!(next(&mut sealer), (first, u32::MAX));
        let (second, sequence) = next(&mut sealer);
        assert!(second != first && sequence == 0);
        assert_eq!(next(&mut sealer), (second, 1));
    }

    /// The vectors of `docs/PROTOCOL.md`: with their lives, sealing gives their bytes.
    #[test]
    fn the_vectors_are_sealed_so() {
        use swimring_testing::sealed::{
            AGREED, FRAME, KEY, SEALED_AGREED, SEALED_FRAMES, SEALED_SYNC, SYNC, TIME_S, bytes,
        };
        let (life, other) = (0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff00);
        let mut keyring = Keyring::default();
        keyring.install(&KEY).unwrap();
        let room = |plain: &str| [vec![0; ENVELOPE_LEN], bytes(plain), vec![0; TAG_LEN]].concat();
        for (cipher, sealed) in
            [SealCipher::AesGcm, SealCipher::ChaCha20Poly1305].into_iter().zip(SEALED_FRAMES)
        {
            let mut sealer = Sealer::new(SealKeys::derive(&keyring), cipher, [1; 32]);
            (sealer.life, sealer.next, sealer.time_s) = (life, Some(7), TIME_S);
            let mut frame = room(FRAME);
            assert!(sealer.seal_frame(&mut frame));
            assert_eq!(frame, bytes(sealed));
        }
        let mut sealer = Sealer::new(SealKeys::derive(&keyring), SealCipher::AesGcm, [1; 32]);
        sealer.set_time_s(TIME_S);
        let (mut sync, mut agreed) = (room(SYNC), room(AGREED));
        assert!(sealer.seal_message(&mut StreamSeal::opened(life), &mut sync));
        assert_eq!(sync, bytes(SEALED_SYNC));
        let mut accepted = StreamSeal::accepted(other);
        accepted.note(life, 0);
        assert!(sealer.seal_message(&mut accepted, &mut agreed));
        assert_eq!(agreed, bytes(SEALED_AGREED));
    }

    #[test]
    fn without_a_key_or_room_nothing_is_sealed() {
        let mut keyring = Keyring::default();
        let mut sealer = Sealer::new(SealKeys::derive(&keyring), SealCipher::AesGcm, [1; 32]);
        assert!(!sealer.seal_frame(&mut [0; 100]));
        keyring.install(&[7; 16]).unwrap();
        sealer.set_keys(SealKeys::derive(&keyring));
        for length in 0..SEAL_OVERHEAD {
            assert!(!sealer.seal_frame(&mut vec![0; length]));
        }
        assert!(sealer.seal_frame(&mut [0; SEAL_OVERHEAD]));
        let shown = format!("{sealer:?}");
        assert!(shown.contains("SealKeys(1)") && !shown.contains("7, 7"), "{shown}");
    }
}
