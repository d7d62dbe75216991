//! Writing stream messages.
//!
//! Messages go to the end of a reused buffer, each with its length in front. The length and the number
//! of records are kept right with every record, so the buffer can be sent at any moment between calls:
//! a reply that is made in parts is a new writer on an emptied buffer for each part.

use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use super::direct::{self, DirectOutcome, DirectTurn};
use super::layout::StateHeader;
use super::signed::{self, SIGNATURE_MESSAGE_LEN, Signature};
use super::{
    FrameHeader, HEADER_LEN, Introduction, KeyDigestList, KeySectionWriter, SECTIONS_MAX, STREAM_MESSAGE_MAX,
    STREAM_PREFIX_LEN, StreamKind,
};

/// Writes stream messages, each with its length prefix, to the end of a reused buffer.
#[derive(Debug)]
pub struct StreamWriter<'a> {
    header: FrameHeader,
    out: &'a mut Vec<u8>,
    /// Where the `State` message being filled starts, and its records.
    state: Option<(usize, u32)>,
}

impl<'a> StreamWriter<'a> {
    /// A writer whose messages carry `header`, whose source must be a member.
    pub fn new(header: FrameHeader, out: &'a mut Vec<u8>) -> StreamWriter<'a> {
        debug_assert!(!header.source.is_none(), "a stream message needs a source");
        StreamWriter { header, out, state: None }
    }

    /// Bytes in the buffer.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Writes a message that has no body: any kind but those that have methods of their own.
    pub fn plain(&mut self, kind: StreamKind) {
        debug_assert!(
            !matches!(
                kind,
                StreamKind::State
                    | StreamKind::Ping
                    | StreamKind::Ack
                    | StreamKind::KeyDigests
                    | StreamKind::KeyValues
                    | StreamKind::Direct
                    | StreamKind::DirectAck
            ),
            "{kind:?} has a body"
        );
        self.state = None;
        let start = self.open(kind);
        self.close(start);
    }

    /// Writes a fallback probe (`Ping`) or its answer (`Ack`).
    pub fn probe(&mut self, kind: StreamKind, sequence: u32) {
        debug_assert!(matches!(kind, StreamKind::Ping | StreamKind::Ack), "{kind:?} is not a probe");
        self.state = None;
        let start = self.open(kind);
        self.out.extend_from_slice(&sequence.to_le_bytes());
        self.close(start);
    }

    /// Writes digests of shared state; nothing if there are too many for one message.
    pub fn key_digests(&mut self, digests: &KeyDigestList) {
        self.state = None;
        let start = self.open(StreamKind::KeyDigests);
        if digests.write(self.out) {
            self.close(start);
        } else {
            self.out.truncate(start);
        }
    }

    /// Writes a message with sections of shared state, which `write` writes.
    pub fn key_values<R>(&mut self, write: impl FnOnce(&mut KeySectionWriter<'_>) -> R) -> R {
        self.state = None;
        let start = self.open(StreamKind::KeyValues);
        let mut sections = KeySectionWriter::new(self.out, SECTIONS_MAX);
        let written = write(&mut sections);
        drop(sections);
        self.close(start);
        written
    }

    /// Writes a direct message. False, and nothing written, if it breaks a rule of the format.
    pub fn direct(&mut self, turn: &DirectTurn<'_>) -> bool {
        if !turn.is_valid() {
            return false;
        }
        self.state = None;
        let start = self.open(StreamKind::Direct);
        turn.write(self.out);
        self.close(start);
        true
    }

    /// Writes what became of the direct message `sequence`.
    pub fn direct_ack(&mut self, sequence: u64, outcome: DirectOutcome) {
        self.state = None;
        let start = self.open(StreamKind::DirectAck);
        direct::write_ack(sequence, outcome, self.out);
        self.close(start);
    }

    /// Appends a record, opening a `State` message where one is needed. False, and nothing written, if
    /// the record breaks a rule of the format. Until [`StreamWriter::finish_state`], the receiver is
    /// told that more follows.
    pub fn record(&mut self, record: &Introduction<'_>) -> bool {
        self.signed_record(record, None)
    }

    /// The same, with the subject's signature in front of the record.
    pub fn signed_record(&mut self, record: &Introduction<'_>, signature: Option<&Signature>) -> bool {
        if !record.is_valid() {
            return false;
        }
        let length = record.wire_len() + signature.map_or(0, |_| SIGNATURE_MESSAGE_LEN);
        let (start, count) = self.state_for(length);
        if let Some(signature) = signature {
            self.out.extend_from_slice(signed::layout(signature).as_bytes());
        }
        let at = self.out.len();
        self.out.resize(at + record.wire_len(), 0);
        let written = record.write(&mut self.out[at..]).is_some();
        debug_assert!(written, "a valid record in a buffer of its length");
        self.close_state(start, count + 1, true);
        true
    }

    /// Appends `count` records as they were written before. False, and nothing written, if no message is long enough for all of them.
    pub fn records_written(&mut self, count: usize, records: &[u8]) -> bool {
        if HEADER_LEN + size_of::<StateHeader>() + records.len() > STREAM_MESSAGE_MAX {
            return false;
        }
        let (start, before) = self.state_for(records.len());
        self.out.extend_from_slice(records);
        self.close_state(start, before + count as u32, true);
        true
    }

    /// Where the `State` message starts that `length` more bytes of records go into, and how many it has.
    fn state_for(&mut self, length: usize) -> (usize, u32) {
        match self.state {
            Some((start, count)) if self.message_len(start) + length <= STREAM_MESSAGE_MAX => (start, count),
            _ => self.open_state(),
        }
    }

    /// Ends the records: marks the last `State` message, writing an empty one if there was none.
    pub fn finish_state(&mut self) {
        let (start, count) = self.state.unwrap_or_else(|| self.open_state());
        self.close_state(start, count, false);
        self.state = None;
    }

    /// Length, without the prefix, of the message that starts at `start` and ends the buffer.
    fn message_len(&self, start: usize) -> usize {
        self.out.len() - start - STREAM_PREFIX_LEN
    }

    fn open_state(&mut self) -> (usize, u32) {
        let start = self.open(StreamKind::State);
        self.out.extend_from_slice(&[0; size_of::<StateHeader>()]);
        (start, 0)
    }

    fn close_state(&mut self, start: usize, count: u32, more: bool) {
        let header = StateHeader { count: U32::new(count), more: u8::from(more), reserved: [0; 3] };
        let at = start + STREAM_PREFIX_LEN + HEADER_LEN;
        self.out[at..at + size_of::<StateHeader>()].copy_from_slice(header.as_bytes());
        self.state = Some((start, count));
        self.close(start);
    }

    fn open(&mut self, kind: StreamKind) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; STREAM_PREFIX_LEN + HEADER_LEN]);
        // The room has just been made.
        let _ = self.header.write(kind as u8, &mut self.out[start + STREAM_PREFIX_LEN..]);
        start
    }

    fn close(&mut self, start: usize) {
        let length = self.message_len(start) as u32;
        self.out[start..start + STREAM_PREFIX_LEN].copy_from_slice(&length.to_le_bytes());
    }
}
