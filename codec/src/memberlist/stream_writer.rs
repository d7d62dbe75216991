//! Writing stream messages, to the end of a reused buffer.
//!
//! The header of a push/pull says how many records follow, which is known when they are written. Its
//! numbers are therefore written in a form of fixed width, which peers read like any other, and set right
//! at the end, so that records go out in one pass over the member table.

use super::message::{write_ack, write_ping};
use super::record::Record;
use super::{RECORDS_MAX, Source, USER_STATE_MAX, kind};
use crate::msgpack::Sink;

/// A push/pull header up to its numbers, which are big-endian, of 32 bits each.
const NODES_AT: usize = 1 + 1 + 6 + 6 + 1;
const USER_STATE_LEN_AT: usize = NODES_AT + 4 + 13 + 1;

/// Writes a push/pull.
#[derive(Debug)]
pub struct PushPullWriter<'v> {
    out: &'v mut Vec<u8>,
    start: usize,
    records: usize,
}

impl<'v> PushPullWriter<'v> {
    /// A push/pull at the end of `out`; `join` if the sender wants to become a member.
    pub fn new(out: &'v mut Vec<u8>, join: bool) -> PushPullWriter<'v> {
        let start = out.len();
        out.put(&[kind::PUSH_PULL]);
        out.put(b"\x83\xa4Join");
        out.flag(join);
        out.put(b"\xa5Nodes\xce\0\0\0\0");
        out.put(b"\xacUserStateLen\xce\0\0\0\0");
        PushPullWriter { out, start, records: 0 }
    }

    /// Appends a record. False, and nothing written, if it breaks a rule of the format or there are
    /// [`RECORDS_MAX`] already.
    pub fn record(&mut self, record: &Record<'_>) -> bool {
        let appended = self.records < RECORDS_MAX && record.append(self.out);
        self.records += usize::from(appended);
        appended
    }

    /// Appends `count` records that have been written before, by [`Record::append`]. False, and nothing written, if that
    /// would be more than [`RECORDS_MAX`].
    pub fn written(&mut self, count: usize, records: &[u8]) -> bool {
        if self.records + count > RECORDS_MAX {
            return false;
        }
        self.out.put(records);
        self.records += count;
        true
    }

    /// Number of records written.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Ends the push/pull with the application's state, of which peers take at most
    /// [`USER_STATE_MAX`] bytes. False if it has more: the push/pull is then ended without it.
    pub fn finish(self, user_state: &[u8]) -> bool {
        let fits = user_state.len() <= USER_STATE_MAX;
        let user_state = if fits { user_state } else { &[] };
        for (at, number) in [(NODES_AT, self.records), (USER_STATE_LEN_AT, user_state.len())] {
            let at = self.start + at;
            self.out[at..at + 4].copy_from_slice(&(number as u32).to_be_bytes());
        }
        self.out.put(user_state);
        fits
    }
}

/// Appends a fallback probe to `out`.
pub fn encode_stream_ping(out: &mut Vec<u8>, sequence: u32, node: &str, source: Option<&Source<'_>>) {
    write_ping(out, sequence, node, source);
}

/// Appends the answer to a fallback probe to `out`.
pub fn encode_stream_ack(out: &mut Vec<u8>, sequence: u32, payload: &[u8]) {
    write_ack(out, sequence, payload);
}

/// Appends a message of the application to `out`; peers take at most [`USER_STATE_MAX`] bytes and ignore
/// an empty one.
pub fn encode_stream_user(out: &mut Vec<u8>, payload: &[u8]) {
    out.put(&[kind::USER, 0x81]);
    out.put(b"\xaaUserMsgLen");
    out.unsigned(payload.len() as u64);
    out.put(payload);
}

/// Appends the refusal of a request to `out`, with its reason.
pub fn encode_stream_error(out: &mut Vec<u8>, reason: &str) {
    out.put(&[kind::ERROR, 0x81]);
    out.put(b"\xa5Error");
    out.raw(reason.as_bytes());
}
