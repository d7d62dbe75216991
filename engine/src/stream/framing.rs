//! Where one message ends and the next begins: either a length says so, or a scanner that knows the format.
//!
//! The native format puts a length in front of every message. Other formats do not: a message must be
//! read to find its end, as a sequence of msgpack values for instance. The stream thread cannot read
//! messages, so it is given a [`Scanner`] that can: it is shown what has arrived and says how long the
//! first message is.

use std::fmt;
use std::sync::Arc;

/// How the bytes of a connection are cut into messages.
#[derive(Clone, Default)]
pub enum Framing {
    /// Each message follows its length, four bytes, little-endian; turns are written so, too. Default.
    #[default]
    LengthPrefixed,
    /// Messages end where a scanner says, and turns are sent as they are.
    Scanned(Arc<dyn ScannerFactory>),
}

impl fmt::Debug for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Framing::LengthPrefixed => "LengthPrefixed",
            Framing::Scanned(_) => "Scanned",
        })
    }
}

/// Makes scanners. Called on the stream thread.
pub trait ScannerFactory: Send + Sync {
    /// A scanner for the next message of an exchange: of one that the peer opened (`accepted`) or that we
    /// did; its `first` message or a later one. Made when the first byte of the message is there.
    fn scanner(&self, accepted: bool, first: bool) -> Box<dyn Scanner>;
}

/// Finds the end of one message.
pub trait Scanner: Send {
    /// Looks at `bytes`, which begin with the message, never are empty, and may go beyond its end.
    ///
    /// `Some(length)` once the message's length is known, 1 or more; it may be more than is there, and then
    /// the rest is awaited without another call. `None` if more must be seen: the next call has the same
    /// bytes and at least one more after them, so a scanner should remember how far it has come, or a peer
    /// that sends byte by byte makes it read everything again for each.
    ///
    /// # Errors
    /// [`ScanError`] if no continuation makes it a message: the exchange ends with
    /// [`CloseReason::Unreadable`](super::CloseReason::Unreadable).
    fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, ScanError>;
}

/// Why bytes are not a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ScanError {
    /// They break the format; the words say how, for the log.
    Malformed(&'static str),
    /// A message announces, or has, more bytes or parts than the format's reader takes.
    TooLong,
}

impl fmt::Display for ScanError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScanError::Malformed(how) => out.write_str(how),
            ScanError::TooLong => out.write_str("longer than may be"),
        }
    }
}
