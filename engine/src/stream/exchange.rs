//! One exchange, from connecting to its `Closed` event: a task on the stream thread.
//!
//! Three loops run side by side until the first of them ends the exchange: the reader hands messages to
//! the worker, the writer sends the worker's turns, the watchdog keeps the time. A read or write is never
//! abandoned while the exchange lives, because io_uring would lose its bytes; only the end of the
//! exchange, which shuts the socket down, cancels them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use swimring_codec::canonical;
use tokio::net::TcpSocket;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::any_assembler::AnyAssembler;
use super::assembler::{HEAD_LEN, Want};
use super::event::{CloseReason, ExchangeId, StreamEvent};
use super::link::Link;
use super::service::{PortEnd, Shared};
use crate::net::bind_address_without_port;

/// Turns that may wait in one exchange. A conversation needs one or two.
const TURNS_MAX: usize = 64;
/// How long after our last turn the peer may take to close its side. Closing at once could destroy that
/// turn on its way: TCP resets a connection that is closed with bytes unread.
const LINGER: Duration = Duration::from_secs(1);
/// How often an exchange looks again at its worker's full queue.
pub(super) const FULL_QUEUE_POLL: Duration = Duration::from_millis(1);

/// What the dispatcher leaves for an exchange.
#[derive(Default)]
pub(super) struct Mailbox {
    turns: RefCell<VecDeque<Turn>>,
    turn_waits: Notify,
    ending: Cell<Option<CloseReason>>,
    ends: Notify,
    connected: Cell<bool>,
}

enum Turn {
    Send(Vec<u8>),
    Close,
}

impl Mailbox {
    /// Adds a turn; gives it back, and ends the exchange, if too many wait.
    pub(super) fn push(&self, turn: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.turns.borrow().len() >= TURNS_MAX {
            self.end(CloseReason::TooManyTurns);
            return Err(turn);
        }
        self.turns.borrow_mut().push_back(Turn::Send(turn));
        self.turn_waits.notify_one();
        Ok(())
    }

    /// Closes the exchange: after the turns that wait, or at once if it has yet to connect.
    pub(super) fn close(&self) {
        if self.connected.get() { self.close_after_turns() } else { self.end(CloseReason::Finished) }
    }

    /// Closes the exchange once it has connected and the turns that wait are sent.
    pub(super) fn close_after_turns(&self) {
        let mut turns = self.turns.borrow_mut();
        if !matches!(turns.back(), Some(Turn::Close)) {
            turns.push_back(Turn::Close);
        }
        self.turn_waits.notify_one();
    }

    /// Ends the exchange now.
    pub(super) fn end(&self, reason: CloseReason) {
        self.ending.set(Some(self.ending.get().unwrap_or(reason)));
        self.ends.notify_one();
    }

    async fn next(&self) -> Turn {
        loop {
            if let Some(turn) = self.turns.borrow_mut().pop_front() {
                return turn;
            }
            self.turn_waits.notified().await;
        }
    }

    async fn ended(&self) -> CloseReason {
        loop {
            if let Some(reason) = self.ending.get() {
                return reason;
            }
            self.ends.notified().await;
        }
    }
}

/// The two ends of an exchange.
pub(super) struct Ends {
    /// Address to connect from; none leaves it to the route.
    pub(super) source: Option<IpAddr>,
    pub(super) peer: SocketAddr,
}

impl Ends {
    async fn connect(&self) -> io::Result<tokio::net::TcpStream> {
        let Some(source) = self.source else { return tokio::net::TcpStream::connect(self.peer).await };
        let source = source.to_canonical();
        let socket = match source {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        bind_address_without_port(&socket)?;
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(canonical(self.peer)).await
    }
}

/// What an exchange's message on its way in takes of the memory for all of them, until dropped: the reader
/// may be cancelled anywhere.
struct Held<'a> {
    shared: &'a Shared,
    bytes: usize,
}

impl Held<'_> {
    /// Holds `bytes` from now on; whether that is allowed.
    fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.shared.account(before, bytes) || bytes <= HEAD_LEN
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// One exchange. Holds its place among `exchanges_max` until dropped.
pub(super) struct Exchange {
    id: ExchangeId,
    token: Option<u64>,
    ends: Ends,
    /// Our address, once there is a connection.
    local: Cell<SocketAddr>,
    port: Rc<PortEnd>,
    shared: Rc<Shared>,
    mailbox: Rc<Mailbox>,
    deadline: Instant,
    /// When a byte last moved.
    progress: Cell<Instant>,
    /// Whether the worker knows the exchange, and must hear of its end.
    known: Cell<bool>,
    /// Whether the worker is done with it, so that what still arrives is dropped.
    deaf: Cell<bool>,
}

impl Exchange {
    /// Takes a place, which the caller has seen to be free.
    pub(super) fn new(
        id: ExchangeId,
        token: Option<u64>,
        ends: Ends,
        port: &Rc<PortEnd>,
        shared: &Rc<Shared>,
        limit: Duration,
    ) -> Exchange {
        let mailbox = Rc::new(Mailbox::default());
        shared.register(id, token.is_none(), &mailbox);
        let now = Instant::now();
        Exchange {
            id,
            token,
            ends,
            local: Cell::new(SocketAddr::from(([0, 0, 0, 0], 0))),
            port: port.clone(),
            shared: shared.clone(),
            mailbox,
            deadline: now + limit.min(shared.options.exchange_timeout),
            progress: Cell::new(now),
            known: Cell::new(token.is_some()),
            deaf: Cell::new(false),
        }
    }

    /// Runs an exchange that the peer opened.
    pub(super) async fn accepted<L: Link>(self, stream: tokio::net::TcpStream) {
        self.shared.counters.accepted.increment();
        let reason = self.converse::<L>(stream).await;
        self.finish(reason).await;
    }

    /// Runs an exchange that the worker opened, its first turn in the mailbox.
    pub(super) async fn opened<L: Link>(self, token: u64) {
        let reason = match self.connect(token).await {
            Ok(stream) => self.converse::<L>(stream).await,
            Err(reason) => reason,
        };
        self.finish(reason).await;
    }

    /// Where the dispatcher puts what the worker says.
    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    async fn connect(&self, token: u64) -> Result<tokio::net::TcpStream, CloseReason> {
        let stream = self.reach().await?;
        self.shared.counters.opened.increment();
        self.deliver(StreamEvent::Opened { exchange: self.id, token }).await?;
        Ok(stream)
    }

    async fn reach(&self) -> Result<tokio::net::TcpStream, CloseReason> {
        let patience = Instant::now() + self.shared.options.connect_timeout;
        tokio::select! {
            biased;
            reason = self.mailbox.ended() => Err(reason),
            result = self.ends.connect() => {
                result.map_err(|error| CloseReason::Refused(error.into()))
            }
            () = sleep_until(patience.min(self.deadline)) => Err(CloseReason::ConnectTimeout),
        }
    }

    /// Everything between connecting and closing.
    async fn converse<L: Link>(&self, stream: tokio::net::TcpStream) -> CloseReason {
        self.mailbox.connected.set(true);
        self.progress.set(Instant::now());
        if let Ok(local) = stream.local_addr() {
            self.local.set(canonical(local));
        }
        // A turn is handed over whole, so there is nothing to gain from holding back its last packet.
        let link = match stream.set_nodelay(true).and_then(|()| L::new(stream)) {
            Ok(link) => link,
            Err(error) => return CloseReason::Broken(error.into()),
        };
        let mut reader = std::pin::pin!(self.read(&link));
        let (reason, read) = {
            let mut writer = std::pin::pin!(self.write(&link));
            tokio::select! {
                biased;
                reason = &mut reader => (reason, true),
                reason = &mut writer => {
                    if reason == CloseReason::Finished {
                        self.deaf.set(true);
                        link.shutdown(Shutdown::Write);
                    }
                    let last = self.linger(&mut reader).await;
                    // A peer that closes as we write shows up as a broken connection: what it said before,
                    // and how it ended, is the reader's to tell.
                    let first = if reason == CloseReason::Finished { reason } else { last.unwrap_or(reason) };
                    (first, last.is_some())
                }
                reason = self.watch() => (reason, false),
            }
        };
        link.shutdown(Shutdown::Both);
        if !read {
            // What it waits for is completed by that: so its buffers go back to the pool.
            self.deaf.set(true);
            let _ = tokio::time::timeout(LINGER, reader).await;
        }
        reason
    }

    async fn read<L: Link>(&self, link: &L) -> CloseReason {
        let pool = &self.port.channel.pool;
        let mut held = Held { shared: &self.shared, bytes: 0 };
        let mut assembler = AnyAssembler::new(&self.shared.options, pool.take(), self.token.is_none());
        let reason = loop {
            let Want { buffer, limit } = assembler.want(pool);
            if !held.set(buffer.capacity()) {
                assembler.filled(buffer, 0);
                break CloseReason::MemoryFull;
            }
            let (result, buffer) = link.read(buffer, limit).await;
            let count = match result {
                Ok(0) => {
                    assembler.filled(buffer, 0);
                    break assembler.end();
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => break CloseReason::Broken(error.into()),
            };
            self.shared.counters.bytes_in.add(count as u64);
            self.progress.set(Instant::now());
            assembler.filled(buffer, count);
            if let Err(reason) = self.hand_over(&mut assembler).await {
                break reason;
            }
        };
        assembler.recycle(pool);
        reason
    }

    /// Hands the messages that are complete to the worker.
    async fn hand_over(&self, assembler: &mut AnyAssembler) -> Result<(), CloseReason> {
        while let Some(bytes) = assembler.next(&self.port.channel.pool)? {
            if self.deaf.get() {
                self.port.channel.pool.put(bytes);
                continue;
            }
            let (exchange, token) = (self.id, self.token);
            let (from, local) = (self.ends.peer, self.local.get());
            self.deliver(StreamEvent::Message { exchange, token, from, local, bytes }).await?;
            self.known.set(true);
            self.shared.counters.messages_in.increment();
        }
        Ok(())
    }

    async fn write<L: Link>(&self, link: &L) -> CloseReason {
        loop {
            let Turn::Send(mut turn) = self.mailbox.next().await else { return CloseReason::Finished };
            let mut sent = 0;
            while sent < turn.len() {
                let result;
                (result, turn) = link.write(turn, sent).await;
                match result {
                    Ok(0) => return CloseReason::Broken(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        sent += count;
                        self.shared.counters.bytes_out.add(count as u64);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return CloseReason::Broken(error.into()),
                }
                self.progress.set(Instant::now());
            }
            self.port.channel.pool.put(turn);
        }
    }

    /// Ends an exchange that takes too long, is silent, or is told to end.
    async fn watch(&self) -> CloseReason {
        loop {
            let now = Instant::now();
            let idle = self.progress.get() + self.shared.options.idle_timeout;
            if now >= self.deadline {
                return CloseReason::ExchangeTimeout;
            }
            if now >= idle {
                return CloseReason::IdleTimeout;
            }
            tokio::select! {
                biased;
                reason = self.mailbox.ended() => return reason,
                () = sleep_until(idle.min(self.deadline)) => {}
            }
        }
    }

    /// Lets the reader go on for a while after the last turn; how it ended, if it did.
    async fn linger(&self, reader: impl Future<Output = CloseReason>) -> Option<CloseReason> {
        let patience = Instant::now() + LINGER;
        tokio::select! {
            biased;
            reason = reader => Some(reason),
            _ = self.mailbox.ended() => None,
            () = sleep_until(patience.min(self.deadline)) => None,
        }
    }

    /// Queues an event for the worker, waiting `queue_wait` for room.
    async fn deliver(&self, event: StreamEvent) -> Result<(), CloseReason> {
        let Err(mut refused) = self.port.offer(event) else { return Ok(()) };
        let patience = Instant::now() + self.shared.options.queue_wait;
        while Instant::now() < patience {
            sleep(FULL_QUEUE_POLL).await;
            match self.port.offer(refused) {
                Ok(()) => {
                    self.progress.set(Instant::now());
                    return Ok(());
                }
                Err(again) => refused = again,
            }
        }
        if let StreamEvent::Message { bytes, .. } = refused {
            self.port.channel.pool.put(bytes);
        }
        Err(CloseReason::WorkerBusy)
    }

    /// Counts the end and tells the worker. The exchange keeps its place until the worker's queue has
    /// taken the event, so the number of ends that wait is bounded too.
    async fn finish(self, reason: CloseReason) {
        self.shared.count_end(reason);
        for turn in self.mailbox.turns.borrow_mut().drain(..) {
            if let Turn::Send(turn) = turn {
                self.port.channel.pool.put(turn);
            }
        }
        if !self.known.get() {
            return;
        }
        let mut closed = StreamEvent::Closed { exchange: self.id, token: self.token, reason };
        while let Err(refused) = self.port.offer(closed) {
            if self.shared.stopping() {
                return;
            }
            closed = refused;
            sleep(FULL_QUEUE_POLL).await;
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.unregister(self.id, self.token.is_none());
    }
}
