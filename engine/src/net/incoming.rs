//! Received messages: trains split into the datagrams they were.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::address::{self, NAME_LEN};
use super::control::{RECEIVE_CONTROL_LEN, ReceiveControl};
use super::counters::NetCounters;

/// Room for the sender's address in front of a payload; a multiple of 8 keeps what follows aligned.
pub(super) const NAME_ROOM: usize = NAME_LEN.next_multiple_of(8);
/// Room for the control messages.
pub(super) const CONTROL_ROOM: usize = RECEIVE_CONTROL_LEN;
/// A train is at most one IP packet.
const PAYLOAD_TRAIN: usize = 65_536;
/// A frame is at most 1,400 bytes; peers of other formats may be set to a little more.
const PAYLOAD_SINGLE: usize = 2048 - 16 - NAME_ROOM - CONTROL_ROOM;

/// Datagrams after which a turn hands over no further message: with some microseconds each, timers wait for a few
/// milliseconds.
pub(super) const TURN_DATAGRAMS: u64 = 2_048;

/// How received messages are stored: how many at once, and how long each may be.
///
/// Also a bound on a turn: it handles at most `messages` messages, each of at most 128 datagrams, and none after
/// [`TURN_DATAGRAMS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReceiveShape {
    /// A power of two.
    pub(super) messages: usize,
    pub(super) payload: usize,
}

impl ReceiveShape {
    /// 64 trains (4 MiB) when messages arrive coalesced: the kernel delivers about so many in one go.
    /// Without, 256 of 2 KiB: more are always cache-cold.
    pub(super) fn new(coalescing: bool) -> ReceiveShape {
        match coalescing {
            true => ReceiveShape { messages: 64, payload: PAYLOAD_TRAIN },
            false => ReceiveShape { messages: 256, payload: PAYLOAD_SINGLE },
        }
    }
}

/// One message as the kernel left it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) name: &'a [u8],
    pub(super) control: &'a [u8],
    pub(super) payload: &'a [u8],
    /// The message was longer than its buffer, or its control messages than theirs: then it may be a train
    /// whose segment size was lost.
    pub(super) truncated: bool,
}

/// What a message says besides its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    pub(super) from: SocketAddr,
    /// The address that it was sent to, where that is asked for.
    pub(super) to: Option<IpAddr>,
    /// Bytes of its payload.
    pub(super) bytes: usize,
    /// Bytes of each of its datagrams but the last, which may be shorter.
    pub(super) segment: usize,
}

/// Opens messages and keeps account of them.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The socket's drop count when last told.
    dropped: u32,
    /// When the last message had arrived, from the epoch.
    arrived: Option<Duration>,
}

impl Incoming {
    /// What `message` says besides its payload; nothing, and counted, if it is not worth splitting.
    #[inline]
    pub(super) fn open(&mut self, message: Message<'_>, counters: &mut NetCounters) -> Option<Envelope> {
        let control = ReceiveControl::read(message.control);
        if let Some(dropped) = control.dropped {
            counters.receive_overflow += u64::from(dropped.wrapping_sub(self.dropped));
            self.dropped = dropped;
        }
        self.arrived = control.arrived.or(self.arrived);
        counters.messages_received += 1;
        let from = sender(message, counters)?;
        let bytes = message.payload.len();
        let segment = control.segment.unwrap_or(bytes);
        counters.bytes_received += bytes as u64;
        counters.datagrams_received += bytes.div_ceil(segment) as u64;
        Some(Envelope { from, to: control.to, bytes, segment })
    }

    /// How long ago the last message had arrived. Nothing if the kernel does not say so.
    ///
    /// It says so by the time of day. Should that be set back meanwhile, the message seems younger than it is.
    pub(super) fn age(&self) -> Option<Duration> {
        let now = Duration::try_from(clock_gettime(ClockId::Realtime)).ok()?;
        Some(now.saturating_sub(self.arrived?))
    }
}

/// Who sent `message`; nothing, and counted, if it is not worth splitting.
#[inline]
fn sender(message: Message<'_>, counters: &mut NetCounters) -> Option<SocketAddr> {
    if message.truncated {
        counters.receive_truncated += 1;
        return None;
    }
    if message.payload.is_empty() {
        counters.receive_empty += 1;
        return None;
    }
    let from = address::read(message.name);
    counters.receive_errors += u64::from(from.is_none());
    from
}
