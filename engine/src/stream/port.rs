//! A worker's end of the stream service, and the queues between them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;

use super::counters::StreamCounters;
use super::event::{ExchangeId, StreamEvent};
use super::notifier::Notifier;
use super::options::StreamOptions;
use super::pool::Pool;

/// What a worker asks of the stream thread.
#[derive(Debug)]
pub(super) enum Command {
    Open {
        exchange: ExchangeId,
        token: u64,
        from: Option<IpAddr>,
        to: SocketAddr,
        first_turn: Vec<u8>,
        deadline: Duration,
    },
    Reply {
        exchange: ExchangeId,
        turn: Vec<u8>,
        then_close: bool,
    },
    Close {
        exchange: ExchangeId,
    },
}

/// What a worker and the stream thread share.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) commands: ArrayQueue<Command>,
    events: ArrayQueue<StreamEvent>,
    /// Bytes of the messages in `events`.
    queued_bytes: AtomicUsize,
    queued_bytes_max: usize,
    pub(super) pool: Pool,
}

impl Channel {
    pub(super) fn new(options: &StreamOptions) -> Channel {
        Channel {
            commands: ArrayQueue::new(options.queue_depth),
            events: ArrayQueue::new(options.queue_depth),
            queued_bytes: AtomicUsize::new(0),
            queued_bytes_max: options.queued_bytes_max,
            pool: Pool::new(options.pooled_bytes_max),
        }
    }

    /// Queues an event for the worker; gives it back if there is no room. Only the stream thread calls it.
    pub(super) fn offer(&self, event: StreamEvent) -> Result<(), StreamEvent> {
        let bytes = event.message_len();
        if self.queued_bytes.load(Ordering::Relaxed) + bytes > self.queued_bytes_max {
            return Err(event);
        }
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.events.push(event).inspect_err(|_| {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        })
    }

    fn take(&self) -> Option<StreamEvent> {
        let event = self.events.pop()?;
        self.queued_bytes.fetch_sub(event.message_len(), Ordering::Relaxed);
        Some(event)
    }
}

/// A worker's end of the stream service.
///
/// No method blocks or takes a lock, and none allocates, as long as turns are written into buffers from
/// [`buffer`](StreamPort::buffer) and messages are given back with [`recycle`](StreamPort::recycle).
#[derive(Debug)]
pub struct StreamPort {
    index: usize,
    opened: u64,
    channel: Arc<Channel>,
    notifier: Arc<Notifier>,
    counters: Arc<StreamCounters>,
}

impl StreamPort {
    pub(super) fn new(
        index: usize,
        channel: Arc<Channel>,
        notifier: Arc<Notifier>,
        counters: Arc<StreamCounters>,
    ) -> StreamPort {
        StreamPort { index, opened: 0, channel, notifier, counters }
    }

    /// An empty buffer to write a turn into, with capacity from its last life if there is one to reuse.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.channel.pool.take()
    }

    /// An empty buffer for a long turn, such as a whole view: one that has been large before, if there is
    /// one to reuse.
    pub fn large_buffer(&mut self) -> Vec<u8> {
        self.channel.pool.take_large()
    }

    /// Sets buffers aside, so that the first turns do not allocate either: `count` small ones, and
    /// `large_count` of `large_bytes`, as far as [`StreamOptions::pooled_bytes_max`] permits.
    pub fn set_aside(&mut self, count: usize, large_count: usize, large_bytes: usize) {
        const SMALL_BYTES: usize = 1024;
        for _ in 0..count {
            self.recycle(Vec::with_capacity(SMALL_BYTES));
        }
        for _ in 0..large_count {
            self.recycle(Vec::with_capacity(large_bytes));
        }
    }

    /// Gives back the bytes of a [`StreamEvent::Message`], or a turn that was not sent.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.channel.pool.put(buffer);
    }

    /// Opens an exchange with the member at `to`, and sends `first_turn` once connected; from the address
    /// `from`, which must be this machine's and of `to`'s family, or from the one that the route prefers.
    ///
    /// `first_turn` is one or more complete messages, each behind its length unless
    /// [`StreamOptions::framing`] says otherwise. `token` comes back in every
    /// event of the exchange. The exchange ends after `deadline` at the latest, or after
    /// [`StreamOptions::exchange_timeout`] if that is sooner. Exactly one [`StreamEvent::Closed`] follows,
    /// whatever happens.
    ///
    /// # Errors
    /// Gives `first_turn` back if the command queue is full.
    pub fn open(
        &mut self,
        token: u64,
        from: Option<IpAddr>,
        to: SocketAddr,
        first_turn: Vec<u8>,
        deadline: Duration,
    ) -> Result<ExchangeId, Vec<u8>> {
        let exchange = ExchangeId::opened(self.index, self.opened);
        self.send(Command::Open { exchange, token, from, to, first_turn, deadline })?;
        self.opened += 1;
        Ok(exchange)
    }

    /// Sends a turn, and afterwards closes the exchange if `then_close`.
    ///
    /// Does nothing if the exchange has ended meanwhile.
    ///
    /// # Errors
    /// Gives `turn` back if the command queue is full.
    pub fn reply(&mut self, exchange: ExchangeId, turn: Vec<u8>, then_close: bool) -> Result<(), Vec<u8>> {
        self.send(Command::Reply { exchange, turn, then_close })
    }

    /// Closes an exchange once the turns already given are sent; at once if it has not connected yet.
    ///
    /// False if the command queue is full: try again, or leave it to the deadline.
    pub fn close(&mut self, exchange: ExchangeId) -> bool {
        self.send(Command::Close { exchange }).is_ok()
    }

    /// The next event, oldest first. Call it until it gives nothing.
    pub fn poll(&mut self) -> Option<StreamEvent> {
        self.channel.take()
    }

    fn send(&mut self, command: Command) -> Result<(), Vec<u8>> {
        if let Err(refused) = self.channel.commands.push(command) {
            self.counters.commands_shed.increment();
            return Err(match refused {
                Command::Open { first_turn: turn, .. } | Command::Reply { turn, .. } => turn,
                Command::Close { .. } => Vec::new(),
            });
        }
        self.notifier.ring();
        Ok(())
    }
}
