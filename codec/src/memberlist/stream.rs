//! Stream messages: what goes over a connection.
//!
//! A connection carries one request and perhaps one reply. From the outside in: the label, which only the
//! dialer sends; a frame with an envelope of encryption; compression; the message. A push/pull is a header,
//! as many records as it says, one after the other, and the application's state.

use std::iter::FusedIterator;

use super::codec::Security;
use super::envelope::{self, ENVELOPE_FRONT};
use super::packet::strip_label;
use super::record::Record;
use super::{
    Codec, DecodeError, INFLATED_STREAM_MAX, LABEL_MAX, RECORDS_MAX, STREAM_MAX, STREAM_SCRATCH_KEPT, Source,
    StreamScanner, USER_STATE_MAX, canonical, compress, general, kind,
};
use crate::msgpack::{Reader, Skip};

/// Bytes in front of an envelope on a stream: the type byte and the length of the envelope.
pub(super) const FRAME_FRONT: usize = 5;

/// Most bytes that a frame's encryption binds to.
const ADDITIONAL_MAX: usize = FRAME_FRONT + LABEL_MAX;

/// A stream message. Borrows from the received bytes or from the codec.
#[derive(Clone, Debug)]
pub enum StreamMessage<'a> {
    /// All that the sender knows, to be answered with the same.
    PushPull {
        /// Whether the sender joins, or only compares.
        join: bool,
        /// Its members.
        records: Records<'a>,
        /// State of its application (Serf: clocks and intents).
        user_state: &'a [u8],
    },
    /// A fallback probe; see [`Message::Ping`](super::Message::Ping).
    Ping {
        /// Echoed in the ack.
        sequence: u32,
        /// Whom it is for.
        node: &'a str,
        /// Address for the ack: not used here, since the answer goes back over the stream.
        source: Option<Source<'a>>,
    },
    /// The answer to a fallback probe.
    Ack {
        /// From the ping.
        sequence: u32,
        /// State of the application.
        payload: &'a [u8],
    },
    /// A message of the application.
    User(&'a [u8]),
    /// The request was refused, and why, in the peer's words.
    Error(&'a str),
}

/// The records of a push/pull, in order. One that is refused does not stop the others.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Walks over `count` records at the front of `bytes`: the records, and what follows them.
    fn read(count: usize, bytes: &'a [u8]) -> Result<(Records<'a>, &'a [u8]), DecodeError> {
        let mut at = 0;
        for _ in 0..count {
            match canonical::record_len(&bytes[at..]) {
                Some(length) => at += length,
                None if Skip::new().step(bytes, &mut at)? => {}
                None => return Err(DecodeError::Truncated),
            }
        }
        let (records, rest) = bytes.split_at(at);
        Ok((Records { left: count, rest: records }, rest))
    }

    /// The bytes of the records that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Passes over `count` records, which take `bytes`: whoever calls it has found there what it wrote itself.
    pub fn pass_over(&mut self, count: usize, bytes: usize) {
        self.left = self.left.saturating_sub(count);
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Number of records left.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if let Some((record, rest)) = canonical::record(self.rest) {
            self.rest = rest;
            return Some(Ok(record));
        }
        let mut reader = Reader::new(self.rest);
        if let Err(error) = reader.skip() {
            // Cannot be: all of them have been walked over.
            self.left = 0;
            return Some(Err(error));
        }
        let record = general::record(self.rest);
        self.rest = reader.rest();
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Records<'_> {}
impl FusedIterator for Records<'_> {}

/// The header of a push/pull.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PushPullHeader {
    pub(super) records: usize,
    pub(super) user_state_len: usize,
    pub(super) join: bool,
}

/// A number that must not exceed `max`.
fn bounded(reader: &mut Reader<'_>, max: usize, what: &'static str) -> Result<usize, DecodeError> {
    let number = reader.unsigned(u64::MAX, what)?;
    if number > max as u64 { Err(DecodeError::TooLarge) } else { Ok(number as usize) }
}

/// The header of a push/pull.
pub(super) fn push_pull_header(reader: &mut Reader<'_>) -> Result<PushPullHeader, DecodeError> {
    let mut header = PushPullHeader { records: 0, user_state_len: 0, join: false };
    reader.structure(&["Nodes", "UserStateLen", "Join"], |field, reader| {
        match field {
            0 => header.records = bounded(reader, RECORDS_MAX, "Nodes")?,
            1 => header.user_state_len = bounded(reader, USER_STATE_MAX, "UserStateLen")?,
            _ => header.join = reader.flag("Join")?,
        }
        Ok(())
    })?;
    Ok(header)
}

/// The header of a user message: how many bytes follow.
pub(super) fn user_header(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let mut length = 0;
    reader.structure(&["UserMsgLen"], |_, reader| {
        length = bounded(reader, USER_STATE_MAX, "UserMsgLen")?;
        Ok(())
    })?;
    Ok(length)
}

impl<'a> StreamMessage<'a> {
    /// Reads a message that is not encrypted, compressed or labelled, type byte included. Bytes after its
    /// end are ignored.
    pub(super) fn read(bytes: &'a [u8]) -> Result<StreamMessage<'a>, DecodeError> {
        let (&kind, body) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        let mut reader = Reader::new(body);
        match kind {
            kind::PUSH_PULL => StreamMessage::push_pull(reader),
            kind::PING => {
                let (sequence, node, source) = general::ping(&mut reader)?;
                Ok(StreamMessage::Ping { sequence, node, source })
            }
            kind::ACK => {
                let (sequence, payload) = general::ack(&mut reader)?;
                Ok(StreamMessage::Ack { sequence, payload })
            }
            kind::USER => {
                let length = user_header(&mut reader)?;
                Ok(StreamMessage::User(reader.rest().get(..length).ok_or(DecodeError::Truncated)?))
            }
            kind::ERROR => {
                let mut error = "";
                reader.structure(&["Error"], |_, reader| {
                    error = reader.text("Error")?;
                    Ok(())
                })?;
                Ok(StreamMessage::Error(error))
            }
            kind::COMPRESS => Err(DecodeError::Nested),
            unknown => Err(DecodeError::Kind(unknown)),
        }
    }

    fn push_pull(mut reader: Reader<'a>) -> Result<StreamMessage<'a>, DecodeError> {
        let PushPullHeader { records, user_state_len, join } = push_pull_header(&mut reader)?;
        let (records, rest) = Records::read(records, reader.rest())?;
        let user_state = rest.get(..user_state_len).ok_or(DecodeError::Truncated)?;
        Ok(StreamMessage::PushPull { join, records, user_state })
    }
}

/// What a frame's encryption binds to: the frame's front and the label.
fn additional<'a>(front: &[u8], label: &[u8], out: &'a mut [u8; ADDITIONAL_MAX]) -> &'a [u8] {
    let end = FRAME_FRONT + label.len();
    out[..FRAME_FRONT].copy_from_slice(front);
    out[FRAME_FRONT..end].copy_from_slice(label);
    &out[..end]
}

/// Gives back memory that a large message needed: before the next one, or at once if it was refused.
fn shrink(scratch: &mut Vec<u8>) {
    if scratch.len() > STREAM_SCRATCH_KEPT {
        scratch.truncate(STREAM_SCRATCH_KEPT);
        scratch.shrink_to_fit();
    }
}

/// The plain text of the frame at the front of `bytes`, in `out`.
fn decrypt<'a>(security: &Security, bytes: &[u8], out: &'a mut Vec<u8>) -> Result<&'a [u8], DecodeError> {
    let (&front, rest) = bytes.split_first_chunk::<FRAME_FRONT>().ok_or(DecodeError::Truncated)?;
    let envelope = rest.get(..frame_len(front)?).ok_or(DecodeError::Truncated)?;
    let text_len = envelope::text_len(envelope)?;
    if security.keyring.is_empty() {
        return Err(DecodeError::Decrypt);
    }
    if out.len() < text_len {
        out.resize(text_len, 0);
    }
    let mut bound = [0; ADDITIONAL_MAX];
    let bound = additional(&front, security.label.text(), &mut bound);
    match envelope::open(&security.keyring, bound, envelope, out) {
        Ok(length) => Ok(&out[..length]),
        Err(error) => {
            shrink(out);
            Err(error)
        }
    }
}

impl Codec {
    /// A scanner for the next message that the peer sends on a connection.
    pub fn scanner(&self, dialed_by_peer: bool) -> StreamScanner {
        StreamScanner::new(dialed_by_peer && !self.security.label.header().is_empty())
    }

    /// Opens a whole stream message, as a [`StreamScanner`] finds it. Only the dialer
    /// sends the label, so `dialed_by_peer` says whether one belongs in front.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn open_stream<'a>(
        &'a mut self,
        bytes: &'a [u8],
        dialed_by_peer: bool,
    ) -> Result<StreamMessage<'a>, DecodeError> {
        shrink(&mut self.stream_opened);
        shrink(&mut self.stream_inflated);
        let bytes = strip_label(bytes, if dialed_by_peer { self.security.label.header() } else { &[] })?;
        let plain = match bytes.first() {
            Some(&kind::ENCRYPT) => decrypt(&self.security, bytes, &mut self.stream_opened)?,
            Some(_) if self.security.verify_incoming && !self.security.keyring.is_empty() => {
                return Err(DecodeError::Unencrypted);
            }
            _ => bytes,
        };
        match plain.split_first() {
            Some((&kind::COMPRESS, body)) => {
                let out = &mut self.stream_inflated;
                let length = match compress::inflate(&mut self.inflater, body, out, INFLATED_STREAM_MAX) {
                    Ok(length) => length,
                    Err(error) => {
                        shrink(out);
                        return Err(error);
                    }
                };
                StreamMessage::read(&self.stream_inflated[..length])
            }
            _ => StreamMessage::read(plain),
        }
    }

    /// Wraps the message that is `message[at..]`: compresses it if compression is on and that makes it
    /// smaller, encrypts it if there are keys, and puts the label in front if we are the dialer. Peers refuse
    /// an encrypted message that is longer than [`STREAM_MAX`] by then.
    pub fn seal_stream(&mut self, message: &mut Vec<u8>, at: usize, dialed_by_us: bool) {
        if self.compresses() {
            self.compress_stream(message, at);
        }
        let label_len = if dialed_by_us { self.security.label.header().len() } else { 0 };
        let plain_len = message.len() - at;
        let version = self.security.encryption_version;
        let (front_len, sealed_len) = match self.encrypts() {
            true => (FRAME_FRONT + ENVELOPE_FRONT, FRAME_FRONT + envelope::sealed_len(version, plain_len)),
            false => (0, plain_len),
        };
        message.resize(at + label_len + sealed_len, 0);
        message.copy_within(at..at + plain_len, at + label_len + front_len);
        let (label, sealed) = message[at..].split_at_mut(label_len);
        label.copy_from_slice(&self.security.label.header()[..label_len]);
        if self.encrypts() {
            self.seal_frame(sealed, plain_len);
        }
    }

    /// Encrypts the `plain_len` bytes of plain text that lie in `frame` where the cipher text belongs.
    fn seal_frame(&mut self, frame: &mut [u8], plain_len: usize) {
        let nonce = self.nonce();
        let Security { label, keyring, encryption_version, .. } = &self.security;
        let (front, sealed) = frame.split_at_mut(FRAME_FRONT);
        front[0] = kind::ENCRYPT;
        front[1..].copy_from_slice(&(sealed.len() as u32).to_be_bytes());
        let mut bound = [0; ADDITIONAL_MAX];
        let bound = additional(front, label.text(), &mut bound);
        envelope::seal(keyring, *encryption_version, nonce, bound, (sealed, plain_len));
    }

    fn compress_stream(&mut self, message: &mut Vec<u8>, at: usize) {
        shrink(&mut self.stream_inflated);
        let plain_len = message.len() - at;
        if self.stream_inflated.len() < plain_len {
            self.stream_inflated.resize(plain_len, 0);
        }
        let compressed = compress::deflate(&mut self.deflater, &message[at..], &mut self.stream_inflated);
        if let Some(compressed) = compressed {
            message.truncate(at);
            message.extend_from_slice(compressed);
        }
    }
}

/// Bytes of the envelope that a frame's front announces.
pub(super) fn frame_len(front: [u8; FRAME_FRONT]) -> Result<usize, DecodeError> {
    let [_, a, b, c, d] = front;
    match u32::from_be_bytes([a, b, c, d]) as usize {
        length if length > STREAM_MAX => Err(DecodeError::TooLarge),
        length => Ok(length),
    }
}
