//! Writing the sections of shared state.
//!
//! A section is written entry by entry, each as far as there is room for it: what did not fit is the next message's, and the section
//! says only as much as is in it.

use zerocopy::IntoBytes;

use super::key_values::{KeyEntry, KeySpan, SECTION_HEADER_LEN};
use super::signed_map::{MAP_STATEMENT_LEN, MapStatement};

/// A section that is being written.
#[derive(Debug)]
struct Open {
    span: KeySpan,
    /// What goes behind it, if it is written to its end.
    statement: Option<MapStatement>,
    /// Where it starts.
    start: usize,
}

/// Writes sections to the end of a buffer, at most so many bytes.
#[derive(Debug)]
pub struct KeySectionWriter<'a> {
    out: &'a mut Vec<u8>,
    /// The length that the buffer may have.
    max: usize,
    /// The section that is being written.
    open: Option<Open>,
    /// Version of the last entry.
    last: u64,
}

impl<'a> KeySectionWriter<'a> {
    /// A writer that appends at most `bytes_max` bytes to `out`.
    pub fn new(out: &'a mut Vec<u8>, bytes_max: usize) -> KeySectionWriter<'a> {
        let max = out.len() + bytes_max;
        KeySectionWriter { out, max, open: None, last: 0 }
    }

    /// Begins a section; false if it does not fit or is none.
    pub fn begin(&mut self, span: KeySpan) -> bool {
        self.begin_stated(span, None)
    }

    /// The same, with what the owner states of its map where `span` ends: it stands behind the section if all of its entries fit.
    pub fn begin_stated(&mut self, span: KeySpan, statement: Option<&MapStatement>) -> bool {
        self.end();
        let behind = statement.map_or(0, |_| MAP_STATEMENT_LEN);
        let valid = span.is_valid() && (statement.is_none() || !span.owner.is_none());
        if !valid || self.out.len() + SECTION_HEADER_LEN + behind > self.max {
            return false;
        }
        self.open = Some(Open { span, statement: statement.copied(), start: self.out.len() });
        self.last = span.since;
        self.out.extend_from_slice(span.layout(0, false).as_bytes());
        true
    }

    /// Appends an entry to the section that was begun; false if it does not fit or may not be in it. Then the section
    /// goes only as far as what was appended.
    pub fn entry(&mut self, entry: &KeyEntry<'_>) -> bool {
        let Some(Open { span, statement, .. }) = &mut self.open else { return false };
        let behind = statement.map_or(0, |_| MAP_STATEMENT_LEN);
        let of_cluster = span.owner.is_none();
        let in_order = of_cluster || (entry.version > self.last && entry.version <= span.until);
        let fits = self.out.len() + entry.encoded_len() + behind <= self.max;
        if !in_order || !fits || !entry.is_valid(span.owner) {
            (span.complete, *statement) = (false, None);
            span.until = self.last.max(span.since);
            if of_cluster {
                *span = KeySpan::CLUSTER;
            }
            return false;
        }
        entry.write(self.out);
        self.last = entry.version;
        true
    }

    /// Ends the section that was begun.
    pub fn end(&mut self) {
        if let Some(Open { span, statement, start }) = self.open.take() {
            let entries = start + SECTION_HEADER_LEN;
            let header = span.layout(self.out.len() - entries, statement.is_some());
            self.out[start..entries].copy_from_slice(header.as_bytes());
            if let Some(statement) = statement {
                self.out.extend_from_slice(statement.as_bytes());
            }
        }
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.out.len())
    }
}

impl Drop for KeySectionWriter<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
