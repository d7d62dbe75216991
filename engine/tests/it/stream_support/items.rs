//! A format without length prefixes, and the settings for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use swimring::stream::{Framing, ScanError, Scanner, ScannerFactory, StreamOptions};

use crate::stream_support::patient;

/// The longest message taken.
pub const MESSAGE_MAX: usize = 20 << 20;

/// A format that must be read to its end, in small like those of other peers. A message is one or more
/// items: `#`, a count of four bytes and as many bytes; `=`, the same as the last one; or `.`, which ends the
/// message. The first message from a dialing peer begins with `label `; an answer does not.
pub struct Items {
    labelled: bool,
    /// Where the next item starts.
    at: usize,
}

pub const LABEL: &[u8] = b"label ";

impl Scanner for Items {
    fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, ScanError> {
        if self.labelled {
            let seen = bytes.len().min(LABEL.len());
            if bytes[..seen] != LABEL[..seen] {
                return Err(ScanError::Malformed("no label"));
            }
            if seen < LABEL.len() {
                return Ok(None);
            }
            (self.labelled, self.at) = (false, LABEL.len());
        }
        while let Some(item) = bytes.get(self.at) {
            match item {
                b'.' => return Ok(Some(self.at + 1)),
                b'#' | b'=' => {
                    let Some(count) = bytes[self.at + 1..].first_chunk::<4>() else { return Ok(None) };
                    let count = u32::from_le_bytes(*count) as usize;
                    if count > MESSAGE_MAX {
                        return Err(ScanError::TooLong);
                    }
                    self.at += 5 + count;
                    if *item == b'=' {
                        return Ok(Some(self.at));
                    }
                }
                _ => return Err(ScanError::Malformed("none of # = .")),
            }
        }
        Ok(None)
    }
}

/// Counts the scanners it has made.
#[derive(Default)]
pub struct Maker(pub AtomicUsize);

impl ScannerFactory for Maker {
    fn scanner(&self, accepted: bool, first: bool) -> Box<dyn Scanner> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(Items { labelled: accepted && first, at: 0 })
    }
}

pub fn scanned() -> StreamOptions {
    StreamOptions {
        framing: Framing::Scanned(Arc::new(Maker::default())),
        message_bytes_max: MESSAGE_MAX,
        ..patient()
    }
}

/// A message of one item.
pub fn message(label: &[u8], item: &[u8]) -> Vec<u8> {
    [label, b"#", &(item.len() as u32).to_le_bytes(), item, b"."].concat()
}
