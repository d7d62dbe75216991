//! What opens.

use aes_gcm::aead::inout::InOutBuf;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::envelope::{self, ENVELOPE_LEN, EnvelopeKind};
use super::keys::TAG_LEN;
use super::sealer::Additional;
use super::senders::{Senders, StreamsSeen};
use super::stream::StreamSeal;
use super::{SealError, SealKeys};
use crate::native::{FRAME_MAX, VERSION};

/// What an opener has opened and refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SealCounters {
    /// Datagrams and stream messages opened with the primary key.
    pub opened_primary: u64,
    /// Opened with another installed key.
    pub opened_other: u64,
    /// Taken although they were plain, since that is permitted.
    pub opened_plain: u64,
    /// Refused, by [`SealError::index`].
    pub refused: [u64; SealError::KINDS],
    /// Senders that are known now, each process's workers apart.
    pub senders: u64,
}

/// Opens sealed frames and stream messages, each once. One per worker.
pub struct Opener {
    keys: SealKeys,
    /// Whether what is plain is refused.
    verify_incoming: bool,
    senders: Senders,
    streams: StreamsSeen,
    time_s: u32,
    counters: SealCounters,
}

/// Without the keys.
impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Opener { keys, counters, .. } = self;
        f.debug_struct("Opener").field("keys", keys).field("counters", counters).finish_non_exhaustive()
    }
}

impl Opener {
    /// What opens with any of `keys`. With `verify_incoming` it refuses what is plain. `seed` keys hash tables and has to be
    /// secret.
    pub fn new(keys: SealKeys, verify_incoming: bool, seed: [u8; 32]) -> Opener {
        let mut rng = StdRng::from_seed(seed);
        Opener {
            keys,
            verify_incoming,
            senders: Senders::new(rng.next_u64()),
            streams: StreamsSeen::new(rng.next_u64()),
            time_s: 0,
            counters: SealCounters::default(),
        }
    }

    /// Remembers `sequences` of each sender that is new from now on, instead of letting that grow when datagrams come out of order:
    /// for workers of thousands of members, whose peers are such workers.
    pub fn begin_windows_at(&mut self, sequences: usize) {
        self.senders.begin_windows_at(sequences);
    }

    /// Opens with any of `keys` from now on.
    pub fn set_keys(&mut self, keys: SealKeys) {
        self.keys = keys;
    }

    /// The time now: the lower 32 bits of the seconds since 1970.
    #[inline]
    pub fn set_time_s(&mut self, time_s: u32) {
        self.time_s = time_s;
    }

    /// What was opened and refused.
    pub fn counters(&self) -> SealCounters {
        SealCounters { senders: self.senders.len() as u64, ..self.counters }
    }

    /// The frame in the datagram `bytes`: opened into `plain`, or `bytes` if it is plain and that is permitted.
    ///
    /// # Errors
    /// [`SealError`], which has been counted.
    #[inline]
    pub fn open_frame<'b>(
        &mut self,
        bytes: &'b [u8],
        plain: &'b mut [u8; FRAME_MAX],
    ) -> Result<&'b [u8], SealError> {
        if !envelope::is_sealed(bytes) {
            return self.plain(bytes, false).map(|()| bytes);
        }
        match self.open_sealed(bytes, plain) {
            Ok(length) => Ok(&plain[..length]),
            Err(error) => Err(self.refuse(error)),
        }
    }

    fn open_sealed(&mut self, bytes: &[u8], plain: &mut [u8; FRAME_MAX]) -> Result<usize, SealError> {
        if bytes.len() > FRAME_MAX {
            return Err(SealError::Malformed);
        }
        let (fields, head, rest) = envelope::read(bytes, EnvelopeKind::Frame)?;
        let Some((sealed, padding)) = split_tag(rest, fields.length) else {
            return Err(SealError::Truncated);
        };
        if padding.iter().any(|byte| *byte != 0) {
            return Err(SealError::Malformed);
        }
        if !self.keys.has(fields.key) {
            return Err(SealError::UnknownKey);
        }
        let standing = self.senders.check(fields.life, fields.sequence, fields.time_s, self.time_s)?;
        let (sealed, tag) = sealed;
        let buffer = InOutBuf::new(sealed, &mut plain[..sealed.len()]).map_err(|_| SealError::Malformed)?;
        let additional = Additional::new(head, None);
        let how = (fields.cipher, fields.key);
        let opened = self.keys.open(how, envelope::nonce(head), additional.bytes(), buffer, tag);
        let key = opened.ok_or(SealError::Forged)?;
        self.senders.take(standing, (fields.life, fields.sequence), fields.time_s, self.time_s)?;
        self.count(key);
        Ok(fields.length)
    }

    /// The next message in `bytes`, without its length prefix, that the other side has said on a stream: opened in place, or
    /// `bytes` if it is plain and that is permitted.
    ///
    /// # Errors
    /// [`SealError`], which has been counted. The stream is of no more use then.
    pub fn open_message<'b>(
        &mut self,
        stream: &mut StreamSeal,
        bytes: &'b mut [u8],
    ) -> Result<&'b [u8], SealError> {
        if !envelope::is_sealed(bytes) {
            return self.plain(bytes, stream.is_sealed()).map(|()| &*bytes);
        }
        match self.open_sealed_message(stream, bytes) {
            Ok(length) => Ok(&bytes[ENVELOPE_LEN..ENVELOPE_LEN + length]),
            Err(error) => Err(self.refuse(error)),
        }
    }

    fn open_sealed_message(&mut self, stream: &mut StreamSeal, bytes: &mut [u8]) -> Result<usize, SealError> {
        let kind = stream.kind_of_theirs();
        let (fields, head, rest) = envelope::read(bytes, kind)?;
        if rest.len() != fields.length + TAG_LEN {
            return Err(SealError::Malformed);
        }
        if !self.keys.has(fields.key) {
            return Err(SealError::UnknownKey);
        }
        if !stream.expects(fields.life, fields.sequence) {
            return Err(SealError::Replayed);
        }
        if stream.begins() {
            self.streams.check(fields.life, fields.time_s, self.time_s)?;
        }
        let additional = Additional::new(head, stream.bound_to(kind));
        let nonce = envelope::nonce(head);
        let Some((sealed, tag)) = bytes[ENVELOPE_LEN..].split_last_chunk_mut::<TAG_LEN>() else {
            return Err(SealError::Truncated);
        };
        let how = (fields.cipher, fields.key);
        let opened = self.keys.open(how, nonce, additional.bytes(), sealed.into(), *tag);
        let key = opened.ok_or(SealError::Forged)?;
        if stream.begins() {
            self.streams.take(fields.life, self.time_s)?;
        }
        stream.note(fields.life, fields.sequence);
        self.count(key);
        Ok(fields.length)
    }

    /// Something plain: permitted unless all has to be sealed, or `sealed_before` on the same stream. Another version's is left to
    /// the decoder, which knows what to say of it.
    fn plain(&mut self, bytes: &[u8], sealed_before: bool) -> Result<(), SealError> {
        if bytes.first() != Some(&VERSION) {
            return Ok(());
        }
        if self.verify_incoming || sealed_before {
            return Err(self.refuse(SealError::NotSealed));
        }
        self.counters.opened_plain += 1;
        Ok(())
    }

    #[inline]
    fn count(&mut self, key: usize) {
        let opened =
            if key == 0 { &mut self.counters.opened_primary } else { &mut self.counters.opened_other };
        *opened += 1;
    }

    #[cold]
    fn refuse(&mut self, error: SealError) -> SealError {
        self.counters.refused[error.index()] += 1;
        error
    }
}

/// The ciphertext of `length` bytes and its tag at the front of `bytes`, and what follows them.
#[inline]
#[allow(clippy::type_complexity, reason = "a name would have to be looked up")]
fn split_tag(bytes: &[u8], length: usize) -> Option<((&[u8], [u8; TAG_LEN]), &[u8])> {
    let (sealed, rest) = bytes.split_at_checked(length)?;
    let (tag, padding) = rest.split_first_chunk::<TAG_LEN>()?;
    Some(((sealed, *tag), padding))
}
