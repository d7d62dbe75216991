//! What the stream thread tells a worker.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::framing::ScanError;

/// Most workers a service may have: the width of the worker's part in an [`ExchangeId`].
pub(super) const PORTS_MAX: usize = 1 << 12;
/// Bits of an [`ExchangeId`] that count exchanges; 2^50 of them outlast any process.
const SEQUENCE_BITS: u32 = 50;
/// Set in the ids of the exchanges that a worker opened: those are numbered by its port, without asking
/// the stream thread, which numbers the accepted ones.
const OPENED_BIT: u64 = 1 << 63;

/// Names an exchange within its service; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExchangeId(u64);

impl ExchangeId {
    pub(super) fn opened(port: usize, sequence: u64) -> ExchangeId {
        ExchangeId(OPENED_BIT | ExchangeId::accepted(port, sequence).0)
    }

    /// One of a test's.
    #[cfg(test)]
    pub(crate) fn numbered(number: u64) -> ExchangeId {
        ExchangeId::accepted(0, number)
    }

    pub(super) fn accepted(port: usize, sequence: u64) -> ExchangeId {
        debug_assert!(port < PORTS_MAX);
        ExchangeId((port as u64) << SEQUENCE_BITS | sequence & ((1 << SEQUENCE_BITS) - 1))
    }
}

/// Something that happened to one of a worker's exchanges.
///
/// Per exchange they come in this order: `Opened` (ours only, and only if it connected), any number of
/// `Message`s, then exactly one `Closed`. An accepted exchange that ends before its first message is
/// never mentioned.
#[derive(Debug)]
pub enum StreamEvent {
    /// An exchange that we opened has connected; its first turn is on its way.
    Opened {
        /// The exchange.
        exchange: ExchangeId,
        /// As given to [`StreamPort::open`](super::StreamPort::open).
        token: u64,
    },
    /// A message arrived.
    Message {
        /// The exchange.
        exchange: ExchangeId,
        /// As given to [`StreamPort::open`](super::StreamPort::open); nothing if the peer opened it.
        token: Option<u64>,
        /// The peer's address.
        from: SocketAddr,
        /// Our end of the connection: for an exchange that the peer opened, the address it was made to.
        local: SocketAddr,
        /// The message without its length prefix, 1 to `message_bytes_max` bytes. Give it back with
        /// [`StreamPort::recycle`](super::StreamPort::recycle).
        bytes: Vec<u8>,
    },
    /// The exchange is over; its id means nothing any more.
    Closed {
        /// The exchange.
        exchange: ExchangeId,
        /// As given to [`StreamPort::open`](super::StreamPort::open); nothing if the peer opened it.
        token: Option<u64>,
        /// Why.
        reason: CloseReason,
    },
}

impl StreamEvent {
    /// What it is about.
    pub(crate) fn exchange(&self) -> ExchangeId {
        match self {
            StreamEvent::Opened { exchange, .. }
            | StreamEvent::Message { exchange, .. }
            | StreamEvent::Closed { exchange, .. } => *exchange,
        }
    }

    /// Bytes of message it carries.
    pub(crate) fn message_len(&self) -> usize {
        match self {
            StreamEvent::Message { bytes, .. } => bytes.len(),
            StreamEvent::Opened { .. } | StreamEvent::Closed { .. } => 0,
        }
    }
}

/// Why an exchange ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer announced a message of this many bytes: none, or more than `message_bytes_max`.
    BadLength(u32),
    /// The connection broke.
    Broken(OsError),
    /// Connecting took longer than `connect_timeout`.
    ConnectTimeout,
    /// The peer sent more than `exchange_bytes_max`.
    ExchangeTooLong,
    /// The exchange took longer than its deadline.
    ExchangeTimeout,
    /// This side closed it.
    Finished,
    /// No byte moved for `idle_timeout`.
    IdleTimeout,
    /// The messages that have not arrived whole, of all exchanges, filled `assembled_bytes_max`.
    MemoryFull,
    /// The peer closed it, between messages.
    PeerClosed,
    /// Connecting failed.
    Refused(OsError),
    /// There were `exchanges_max` already.
    Shed,
    /// The service is stopping.
    Stopped,
    /// The peer's message grew beyond `message_bytes_max`, or will, by its own account.
    TooLong,
    /// The worker queued more turns than an exchange may hold.
    TooManyTurns,
    /// The peer closed it in the middle of a message.
    Truncated,
    /// The peer sent something that the scanner cannot read as a message.
    Unreadable(ScanError),
    /// The worker did not take its events for `queue_wait`.
    WorkerBusy,
}

impl CloseReason {
    /// Whether the other host has refused the connection, which says that nobody listens there.
    pub fn is_refusal(self) -> bool {
        matches!(self, CloseReason::Refused(OsError { kind: io::ErrorKind::ConnectionRefused, .. }))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::BadLength(length) => write!(out, "the peer announced a message of {length} bytes"),
            CloseReason::Broken(error) => write!(out, "the connection broke: {error}"),
            CloseReason::ConnectTimeout => out.write_str("connecting timed out"),
            CloseReason::ExchangeTooLong => out.write_str("the peer sent more than an exchange may hold"),
            CloseReason::ExchangeTimeout => out.write_str("the exchange took too long"),
            CloseReason::Finished => out.write_str("finished"),
            CloseReason::IdleTimeout => out.write_str("the peer went silent"),
            CloseReason::MemoryFull => out.write_str("too much is being received at one time"),
            CloseReason::PeerClosed => out.write_str("the peer closed the exchange"),
            CloseReason::Refused(error) => write!(out, "cannot connect: {error}"),
            CloseReason::Shed => out.write_str("too many exchanges at one time"),
            CloseReason::Stopped => out.write_str("the stream service is stopping"),
            CloseReason::TooLong => out.write_str("the peer's message is longer than message_bytes_max"),
            CloseReason::TooManyTurns => out.write_str("too many turns waited to be sent"),
            CloseReason::Truncated => {
                out.write_str("the peer closed the exchange in the middle of a message")
            }
            CloseReason::Unreadable(error) => write!(out, "the peer sent what is no message: {error}"),
            CloseReason::WorkerBusy => out.write_str("the worker did not take its stream events in time"),
        }
    }
}

/// What the operating system said, small enough to copy. Displays as the system's own words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OsError {
    /// The portable kind.
    pub kind: io::ErrorKind,
    /// The system's number, where it gave one.
    pub code: Option<i32>,
}

impl From<io::Error> for OsError {
    fn from(error: io::Error) -> OsError {
        OsError { kind: error.kind(), code: error.raw_os_error() }
    }
}

impl From<io::ErrorKind> for OsError {
    fn from(kind: io::ErrorKind) -> OsError {
        OsError { kind, code: None }
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code).fmt(out),
            None => self.kind.fmt(out),
        }
    }
}
