//! The stream thread: accepts connections, passes the workers' commands to their exchanges, stops.

use std::cell::{Cell, RefCell};
use std::io::{self, PipeReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::canonical;
use tokio::net::unix::pipe;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};

use super::counters::StreamCounters;
use super::event::{CloseReason, ExchangeId, StreamEvent};
use super::exchange::{Ends, Exchange, FULL_QUEUE_POLL, Mailbox};
use super::link::{Link, ReadinessLink, UringLink};
use super::notifier::Notifier;
use super::options::{StreamDriver, StreamError, StreamOptions};
use super::port::{Channel, Command, StreamPort};

/// Pause after a failed accept, which is mostly a lack of descriptors that will not pass sooner.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How long stopping waits for exchanges to end by themselves.
const STOP_GRACE: Duration = Duration::from_millis(250);
/// Largest submission queue asked of the kernel; a fuller one is flushed early.
const RING_ENTRIES_MAX: usize = 4096;

/// How the stream thread tells a worker that events wait.
pub trait Wake: Send + Sync {
    /// Makes the worker call [`StreamPort::poll`] soon. Called on the stream thread once per event, so
    /// it must be cheap when the worker is awake, and must not block.
    fn wake(&self);
}

/// The stream service: owns the thread. Dropping it stops it.
#[derive(Debug)]
pub struct StreamService {
    thread: Option<JoinHandle<()>>,
    notifier: Arc<Notifier>,
    counters: Arc<StreamCounters>,
    driver: StreamDriver,
}

impl StreamService {
    /// Starts the service. Exchanges accepted at `listeners[i]` belong to worker i, which drains the
    /// i-th port when `wakers[i]` is woken.
    ///
    /// # Errors
    /// [`StreamError`] if an option is out of bounds, there is not one waker per listener, io_uring is
    /// demanded and forbidden, or the system refuses a thread, pipe or socket setting.
    pub fn start(
        listeners: Vec<TcpListener>,
        wakers: Vec<Arc<dyn Wake>>,
        options: StreamOptions,
    ) -> Result<(StreamService, Vec<StreamPort>), StreamError> {
        options.check(listeners.len())?;
        if wakers.len() != listeners.len() {
            let expected = format!("give one per listener: {}, not {}", listeners.len(), wakers.len());
            return Err(StreamError::Option { setting: "wakers", expected });
        }
        let (notifier, listener) =
            Notifier::new().map_err(StreamError::os("make the stream thread's pipe"))?;
        let notifier = Arc::new(notifier);
        let counters = Arc::new(StreamCounters::default());
        let channels: Vec<_> = wakers.iter().map(|_| Arc::new(Channel::new(&options))).collect();
        let ports = (channels.iter().enumerate())
            .map(|(i, channel)| StreamPort::new(i, channel.clone(), notifier.clone(), counters.clone()))
            .collect();
        let setup = Setup {
            ends: channels.into_iter().zip(wakers).collect(),
            listeners,
            bell: listener,
            notifier: notifier.clone(),
            counters: counters.clone(),
            options,
        };
        let (started, outcome) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("swimring-stream".to_owned())
            .spawn(move || run(setup, &started))
            .map_err(StreamError::os("start the stream thread"))?;
        let mut service =
            StreamService { thread: Some(thread), notifier, counters, driver: StreamDriver::Automatic };
        service.driver = outcome.recv().unwrap_or_else(|_| {
            let source = io::Error::other("the stream thread ended while starting");
            Err(StreamError::Os { action: "start the stream thread", source })
        })?;
        Ok((service, ports))
    }

    /// Closes every exchange, with [`CloseReason::Stopped`], and ends the thread; well within a second.
    pub fn stop(self) {
        drop(self);
    }

    /// What the service did and refused.
    pub fn counters(&self) -> &Arc<StreamCounters> {
        &self.counters
    }

    /// The driver in use; never [`StreamDriver::Automatic`].
    pub fn driver(&self) -> StreamDriver {
        self.driver
    }
}

impl Drop for StreamService {
    fn drop(&mut self) {
        self.notifier.stop();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the stream thread panicked");
        }
    }
}

/// What the thread is given.
struct Setup {
    ends: Vec<(Arc<Channel>, Arc<dyn Wake>)>,
    listeners: Vec<TcpListener>,
    bell: PipeReader,
    notifier: Arc<Notifier>,
    counters: Arc<StreamCounters>,
    options: StreamOptions,
}

type Started = SyncSender<Result<StreamDriver, StreamError>>;

/// The thread: chooses a driver, then serves until told to stop.
fn run(setup: Setup, started: &Started) {
    if setup.options.driver != StreamDriver::Readiness {
        match uring_runtime(setup.options.exchanges_max) {
            Ok(runtime) => {
                return runtime.block_on(serve::<UringLink>(setup, started, StreamDriver::Uring));
            }
            Err(error) if setup.options.driver == StreamDriver::Uring => {
                let _ = started.send(Err(StreamError::Uring(error)));
                return;
            }
            Err(error) => tracing::warn!(%error, "streams use epoll: io_uring is not available here"),
        }
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, serve::<ReadinessLink>(setup, started, StreamDriver::Readiness));
        }
        Err(source) => {
            let _ = started.send(Err(StreamError::Os { action: "start the stream thread", source }));
        }
    }
}

fn uring_runtime(exchanges_max: usize) -> io::Result<tokio_uring::Runtime> {
    // A small ring first: where rings are forbidden, a runtime that fails half-way leaks its descriptors.
    drop(io_uring::IoUring::new(2)?);
    // Every exchange may have a read and a write in flight, and completions have twice the room.
    let entries = exchanges_max.next_power_of_two().clamp(64, RING_ENTRIES_MAX) as u32;
    tokio_uring::Runtime::new(tokio_uring::builder().entries(entries))
}

/// The stream thread's end of a worker.
pub(super) struct PortEnd {
    index: usize,
    pub(super) channel: Arc<Channel>,
    waker: Arc<dyn Wake>,
    /// The end of an exchange that never began, waiting for room in the worker's queue. The port's
    /// commands wait behind it.
    stalled: Cell<Option<StreamEvent>>,
}

impl PortEnd {
    /// Queues an event and wakes the worker; gives it back if there is no room.
    pub(super) fn offer(&self, event: StreamEvent) -> Result<(), StreamEvent> {
        self.channel.offer(event)?;
        self.waker.wake();
        Ok(())
    }
}

/// What the exchanges of a service share.
pub(super) struct Shared {
    pub(super) options: StreamOptions,
    pub(super) counters: Arc<StreamCounters>,
    notifier: Arc<Notifier>,
    exchanges: RefCell<HashMap<ExchangeId, Rc<Mailbox>>>,
    /// How many of them the peers opened.
    accepted: Cell<usize>,
    /// Bytes held for messages that have not arrived whole.
    assembled_bytes: Cell<usize>,
    /// Numbers accepted exchanges.
    sequence: Cell<u64>,
}

impl Shared {
    pub(super) fn register(&self, id: ExchangeId, accepted: bool, mailbox: &Rc<Mailbox>) {
        self.exchanges.borrow_mut().insert(id, mailbox.clone());
        self.accepted.update(|count| count + usize::from(accepted));
        self.counters.open.set(self.open() as u64);
    }

    pub(super) fn unregister(&self, id: ExchangeId, accepted: bool) {
        self.exchanges.borrow_mut().remove(&id);
        self.accepted.update(|count| count - usize::from(accepted));
        self.counters.open.set(self.open() as u64);
    }

    /// An exchange that held `before` bytes for a message now holds `after`. Whether all of them together
    /// hold no more than they may.
    pub(super) fn account(&self, before: usize, after: usize) -> bool {
        let all = self.assembled_bytes.get() - before + after;
        self.assembled_bytes.set(all);
        all <= self.options.assembled_bytes_max
    }

    pub(super) fn stopping(&self) -> bool {
        self.notifier.stopping()
    }

    pub(super) fn count_end(&self, reason: CloseReason) {
        let counters = &self.counters;
        match reason {
            CloseReason::ConnectTimeout | CloseReason::ExchangeTimeout | CloseReason::IdleTimeout => {
                counters.timeouts.increment();
            }
            CloseReason::BadLength(_)
            | CloseReason::ExchangeTooLong
            | CloseReason::TooLong
            | CloseReason::Truncated
            | CloseReason::Unreadable(_) => {
                counters.protocol_errors.increment();
            }
            CloseReason::Broken(_) => counters.broken.increment(),
            CloseReason::Refused(_) => counters.refused.increment(),
            CloseReason::Shed => counters.shed.increment(),
            CloseReason::MemoryFull => counters.memory_shed.increment(),
            CloseReason::TooManyTurns => counters.turns_shed.increment(),
            CloseReason::WorkerBusy => counters.worker_busy.increment(),
            CloseReason::Finished | CloseReason::PeerClosed | CloseReason::Stopped => {}
        }
    }

    fn open(&self) -> usize {
        self.exchanges.borrow().len()
    }

    fn find(&self, exchange: ExchangeId) -> Option<Rc<Mailbox>> {
        self.exchanges.borrow().get(&exchange).cloned()
    }
}

async fn serve<L: Link>(setup: Setup, started: &Started, driver: StreamDriver) {
    let prepared = prepare(setup);
    let (shared, ports, listeners, bell) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let accepting: Vec<_> = (listeners.into_iter().zip(&ports))
        .map(|(listener, port)| spawn_local(accept::<L>(listener, port.clone(), shared.clone())))
        .collect();
    let _ = started.send(Ok(driver));
    while !shared.stopping() {
        let stalled = ports.iter().filter(|port| !dispatch::<L>(port, &shared)).count();
        tokio::select! {
            answered = shared.notifier.answer(&bell) => {
                if let Err(error) = answered {
                    tracing::error!(%error, "the stream thread lost its workers");
                    break;
                }
            }
            () = sleep(FULL_QUEUE_POLL), if stalled > 0 => {}
        }
    }
    for task in accepting {
        task.abort();
    }
    stop(&shared).await;
}

type Prepared = (Rc<Shared>, Vec<Rc<PortEnd>>, Vec<tokio::net::TcpListener>, pipe::Receiver);

/// Hands the descriptors to the runtime that now runs.
fn prepare(setup: Setup) -> Result<Prepared, StreamError> {
    let listeners = (setup.listeners.into_iter())
        .map(|listener| {
            listener.set_nonblocking(true)?;
            tokio::net::TcpListener::from_std(listener)
        })
        .collect::<io::Result<_>>()
        .map_err(StreamError::os("listen for streams"))?;
    let bell = pipe::Receiver::from_owned_fd(OwnedFd::from(setup.bell))
        .map_err(StreamError::os("watch the stream thread's pipe"))?;
    let ports = (setup.ends.into_iter().enumerate())
        .map(|(index, (channel, waker))| Rc::new(PortEnd { index, channel, waker, stalled: Cell::new(None) }))
        .collect();
    let shared = Shared {
        exchanges: RefCell::new(HashMap::with_capacity(setup.options.exchanges_max)),
        options: setup.options,
        counters: setup.counters,
        notifier: setup.notifier,
        accepted: Cell::new(0),
        assembled_bytes: Cell::new(0),
        sequence: Cell::new(0),
    };
    Ok((Rc::new(shared), ports, listeners, bell))
}

/// Accepts connections for one worker; those over the limits are closed at once.
async fn accept<L: Link>(listener: tokio::net::TcpListener, port: Rc<PortEnd>, shared: Rc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit::<L>(stream, peer, &port, &shared),
            Err(error) => {
                tracing::debug!(%error, "cannot accept a stream");
                shared.counters.accept_errors.increment();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit<L: Link>(stream: tokio::net::TcpStream, peer: SocketAddr, port: &Rc<PortEnd>, shared: &Rc<Shared>) {
    let options = &shared.options;
    if !options.networks.allow(peer.ip()) {
        return shared.counters.outside.increment();
    }
    if shared.open() >= options.exchanges_max || shared.accepted.get() >= options.accepted_max {
        return shared.count_end(CloseReason::Shed);
    }
    let id = ExchangeId::accepted(port.index, shared.sequence.get());
    shared.sequence.update(|sequence| sequence + 1);
    let exchange = Exchange::new(
        id,
        None,
        Ends { source: None, peer: canonical(peer) },
        port,
        shared,
        options.exchange_timeout,
    );
    spawn_local(exchange.accepted::<L>(stream));
}

/// Carries out a worker's commands. False if its queue is full, so that some must wait.
fn dispatch<L: Link>(port: &Rc<PortEnd>, shared: &Rc<Shared>) -> bool {
    if let Some(event) = port.stalled.take()
        && let Err(refused) = port.offer(event)
    {
        port.stalled.set(Some(refused));
        return false;
    }
    // One queue's worth a turn, so that a worker that never pauses cannot hold up the others.
    for _ in 0..shared.options.queue_depth {
        let Some(command) = port.channel.commands.pop() else { return true };
        if let Err(refused) = carry_out::<L>(command, port, shared) {
            port.stalled.set(Some(refused));
            return false;
        }
    }
    // A command that came meanwhile has woken the thread again.
    true
}

fn carry_out<L: Link>(command: Command, port: &Rc<PortEnd>, shared: &Rc<Shared>) -> Result<(), StreamEvent> {
    match command {
        Command::Open { exchange: id, token, from, to, first_turn, deadline } => {
            if shared.open() >= shared.options.exchanges_max {
                shared.count_end(CloseReason::Shed);
                port.channel.pool.put(first_turn);
                let reason = CloseReason::Shed;
                return port.offer(StreamEvent::Closed { exchange: id, token: Some(token), reason });
            }
            let ends = Ends { source: from, peer: to };
            let exchange = Exchange::new(id, Some(token), ends, port, shared, deadline);
            // Before the task runs: a reply that follows at once must come second.
            let _ = exchange.mailbox().push(first_turn);
            spawn_local(exchange.opened::<L>(token));
        }
        Command::Reply { exchange, turn, then_close } => match shared.find(exchange) {
            Some(mailbox) => match mailbox.push(turn) {
                Ok(()) if then_close => mailbox.close_after_turns(),
                Ok(()) => {}
                Err(turn) => port.channel.pool.put(turn),
            },
            None => {
                shared.counters.late_replies.increment();
                port.channel.pool.put(turn);
            }
        },
        Command::Close { exchange } => {
            if let Some(mailbox) = shared.find(exchange) {
                mailbox.close();
            }
        }
    }
    Ok(())
}

/// Ends every exchange, so that the kernel gives back what it holds and the workers hear of it.
async fn stop(shared: &Rc<Shared>) {
    for mailbox in shared.exchanges.borrow().values() {
        mailbox.end(CloseReason::Stopped);
    }
    let patience = Instant::now() + STOP_GRACE;
    while shared.open() > 0 && Instant::now() < patience {
        sleep(FULL_QUEUE_POLL).await;
    }
}
