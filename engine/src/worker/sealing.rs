//! What opens sealed frames and streams for the members of a worker, and what seals the streams that they answer.
//!
//! Frames are sealed where they are written, in the send buffer. Streams are sealed here, message by message, when a turn is
//! handed to the stream thread: it moves what is sealed and knows nothing of it.

use std::net::SocketAddr;

use hashbrown::HashMap;
use swimring_codec::memberlist::Keyring;
use swimring_codec::native::{
    FRAME_MAX, Notice, Opener, SEAL_ENVELOPE_LEN, SEAL_OVERHEAD, STREAM_PREFIX_LEN, SealCounters, SealError,
    SealKeys, Sealer, StreamSeal,
};

use super::host::{Host, Secret};
use super::observer::Observer;
use super::repeated_warning::RepeatedWarning;
use crate::net::Trains;
use crate::protocol::{Encryption, Time};
use crate::stream::ExchangeId;

/// Frames that a member of a fleet writes at one time when there is much to tell.
const FRAMES_EACH: usize = 8;

/// Streams for whose seals memory is set aside.
const STREAMS_EXPECTED: usize = 256;

/// What a worker opens with. Nothing but plain frames reaches its members.
pub(super) struct Sealing {
    keyring: Keyring,
    opener: Opener,
    /// The frame that was opened last.
    plain: [u8; FRAME_MAX],
    /// When a refusal was put in the log last.
    said: RepeatedWarning,
}

impl Sealing {
    /// With memory for `members` members that are expected here: as many at each other worker write at one time what leaves in another
    /// order.
    pub(super) fn new(encryption: &Encryption, secret: Secret, members: usize) -> Sealing {
        let mut opener = encryption.opener(secret);
        opener.begin_windows_at(members.saturating_mul(FRAMES_EACH));
        Sealing {
            keyring: encryption.keyring().clone(),
            opener,
            plain: [0; FRAME_MAX],
            said: RepeatedWarning::new(),
        }
    }

    /// What was opened and refused.
    pub(super) fn counters(&self) -> SealCounters {
        self.opener.counters()
    }

    /// Says that what `from` sent was refused, if that has to be known and was not said lately.
    #[cold]
    fn refused(&mut self, now: Time, from: SocketAddr, error: SealError) {
        let mend = match error {
            SealError::NotSealed => {
                "it is not encrypted: give the sender the key, or switch gossip_verify_incoming off while members are \
                 moved to encryption"
            }
            SealError::UnknownKey => "it is encrypted with a key that is not among secret_keys: install it",
            SealError::Stale => {
                "its clock and ours differ by more than a minute, or it is a repetition: set the clocks"
            }
            SealError::Crowded => "too many senders are known",
            _ => return,
        };
        if self.said.is_due(now) {
            tracing::warn!(%from, "refused what was received: {mend}");
        }
    }
}

/// The streams of a worker whose members encrypt.
pub(super) struct SealedStreams {
    sealer: Sealer,
    /// Whether we seal what we say.
    seals: bool,
    /// At most as many as there are exchanges: each goes when its exchange has closed.
    exchanges: HashMap<ExchangeId, StreamSeal>,
}

impl SealedStreams {
    pub(super) fn new(encryption: &Encryption, secret: Secret) -> SealedStreams {
        SealedStreams {
            sealer: encryption.stream_sealer(secret),
            seals: encryption.verifies_outgoing(),
            exchanges: HashMap::with_capacity(STREAMS_EXPECTED),
        }
    }

    /// The seal of a stream that is about to be opened.
    pub(super) fn begin(&mut self) -> StreamSeal {
        self.sealer.open_stream(self.seals)
    }

    /// The stream has become `exchange`.
    pub(super) fn opened(&mut self, exchange: ExchangeId, seal: StreamSeal) {
        self.exchanges.insert(exchange, seal);
    }

    /// The seal of a stream on which something has come.
    fn heard(&mut self, exchange: ExchangeId) -> &mut StreamSeal {
        let sealer = &mut self.sealer;
        self.exchanges.entry(exchange).or_insert_with(|| sealer.accept_stream())
    }

    /// The stream is over.
    pub(super) fn closed(&mut self, exchange: ExchangeId) {
        self.exchanges.remove(&exchange);
    }

    /// The seal that what we say on `exchange` gets; nothing if it is said in the clear.
    pub(super) fn seal_of(&mut self, exchange: ExchangeId) -> Option<StreamSeal> {
        self.exchanges.get(&exchange).filter(|_| self.seals).cloned()
    }

    /// Whether what we say is sealed.
    pub(super) fn seals(&self) -> bool {
        self.seals
    }

    /// Appends the messages of the turn `plain`, each sealed, to `turn`. False if one cannot be: then nothing of the turn may be
    /// sent.
    pub(super) fn seal_turn(&mut self, seal: &mut StreamSeal, plain: &[u8], turn: &mut Vec<u8>) -> bool {
        let mut rest = plain;
        while let Some(message) = next_message(&mut rest) {
            let length = message.len() + SEAL_OVERHEAD;
            turn.extend_from_slice(&(length as u32).to_le_bytes());
            let start = turn.len();
            turn.resize(start + SEAL_ENVELOPE_LEN, 0);
            turn.extend_from_slice(message);
            turn.resize(start + length, 0);
            if !self.sealer.seal_message(seal, &mut turn[start..]) {
                return false;
            }
        }
        debug_assert!(rest.is_empty(), "a turn is whole messages");
        true
    }
}

/// Takes the first message off a turn, without its length.
fn next_message<'a>(turn: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (prefix, rest) = turn.split_first_chunk::<STREAM_PREFIX_LEN>()?;
    let (message, rest) = rest.split_at_checked(u32::from_le_bytes(*prefix) as usize)?;
    *turn = rest;
    Some(message)
}

/// Bytes of a turn once its messages are sealed.
pub(super) fn sealed_len(plain: &[u8]) -> usize {
    let mut rest = plain;
    let messages = std::iter::from_fn(|| next_message(&mut rest)).count();
    plain.len() + messages * SEAL_OVERHEAD
}

/// What is said to whoever opened a stream of why it is refused.
fn notice(error: SealError) -> Option<Notice> {
    match error {
        SealError::NotSealed => Some(Notice::KeyNeeded),
        SealError::UnknownKey => Some(Notice::KeyUnknown),
        SealError::Stale => Some(Notice::ClockDiffers),
        _ => None,
    }
}

/// What a notice means to whoever wanted to join.
pub(super) fn told(notice: Notice) -> &'static str {
    match notice {
        Notice::KeyNeeded => "the cluster is encrypted: give one of its keys (secret_keys)",
        Notice::KeyUnknown => {
            "the cluster is encrypted with a key that is not ours: give one of its keys (secret_keys)"
        }
        Notice::ClockDiffers => "its clock and ours differ by more than a minute: set the clocks",
        Notice::NoKeyHere => "the cluster is not encrypted, and we have a key: leave out secret_keys",
    }
}

/// What it says that an answer could not be opened.
pub(super) fn unopened(error: SealError) -> &'static str {
    match error {
        SealError::NotSealed => {
            "the cluster is not encrypted, and we have a key: leave out secret_keys, or switch gossip_verify_incoming off"
        }
        SealError::UnknownKey => told(Notice::KeyUnknown),
        _ => "its answer was altered on its way",
    }
}

impl<O: Observer> Host<O> {
    /// A datagram from `from` for members that encrypt. While `sealing` lends what it has opened it is not in its place, so that
    /// this is taken for a plain one.
    pub(super) fn sealed_datagram(
        &mut self,
        mut sealing: Box<Sealing>,
        from: SocketAddr,
        bytes: &[u8],
        trains: &mut Trains,
    ) {
        let Sealing { opener, plain, .. } = &mut *sealing;
        match opener.open_frame(bytes, plain) {
            Ok(frame) => self.datagram(from, None, frame, trains),
            Err(error) => sealing.refused(self.clock.now(), from, error),
        }
        self.sealing = Some(sealing);
    }

    /// Opens a message that came on a stream; nothing if it was refused. `opened` says whether we have opened the stream.
    ///
    /// # Errors
    /// What to say of it, and the notice to answer with.
    pub(super) fn open_message<'b>(
        &mut self,
        (exchange, opened): (ExchangeId, bool),
        from: SocketAddr,
        bytes: &'b mut [u8],
    ) -> Result<&'b [u8], (&'static str, Option<Notice>)> {
        if opened && let Some(notice) = Notice::read(bytes) {
            return Err((told(notice), None));
        }
        let (Some(sealing), Some(streams)) = (&mut self.sealing, self.streams.sealed_mut()) else {
            return Ok(bytes);
        };
        match sealing.opener.open_message(streams.heard(exchange), bytes) {
            Ok(message) => Ok(message),
            Err(error) => {
                sealing.refused(self.clock.now(), from, error);
                Err((unopened(error), if opened { None } else { notice(error) }))
            }
        }
    }

    /// Tells what opens and seals the time: from time to time, since each turn asks once it has waited, be it that the process stood
    /// still for minutes.
    pub(super) fn tell_time(&mut self) {
        let Some(sealing) = &mut self.sealing else { return };
        self.clock.read();
        let Some(time_s) = self.clock.new_second() else { return };
        sealing.opener.set_time_s(time_s);
        self.sealers().for_each(|sealer| sealer.set_time_s(time_s));
    }

    /// Changes the keys of members that encrypt; nothing if these do not.
    pub(super) fn change_sealing_keys<E>(
        &mut self,
        change: impl FnOnce(&mut Keyring) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(sealing) = &mut self.sealing else { return Ok(()) };
        let mut keyring = sealing.keyring.clone();
        change(&mut keyring)?;
        let keys = SealKeys::derive(&keyring);
        sealing.keyring = keyring;
        sealing.opener.set_keys(keys.clone());
        self.sealers().for_each(|sealer| sealer.set_keys(keys.clone()));
        Ok(())
    }

    /// What seals: messages of streams, and frames if these are sealed.
    fn sealers(&mut self) -> impl Iterator<Item = &mut Sealer> {
        let streams = self.streams.sealed_mut().map(|streams| &mut streams.sealer);
        streams.into_iter().chain(self.members.shared.sealer_mut())
    }
}
