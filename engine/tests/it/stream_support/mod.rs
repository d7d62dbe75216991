//! A stream service with its ports, and peers made of plain sockets.
#![allow(clippy::disallowed_methods, reason = "real sockets are what these tests are about")]

pub mod items;

use std::collections::VecDeque;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use swimring::stream::{
    CloseReason, ExchangeId, StreamCounters, StreamDriver, StreamEvent, StreamOptions, StreamPort,
    StreamService, Wake,
};

/// Both drivers: every test runs on each.
pub const DRIVERS: [StreamDriver; 2] = [StreamDriver::Uring, StreamDriver::Readiness];
/// How long a test waits for what must happen: far longer than it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct CountWakes(AtomicU64);

impl Wake for CountWakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A service of one worker.
pub struct Node {
    pub service: StreamService,
    pub port: StreamPort,
    pub address: SocketAddr,
    waker: Arc<CountWakes>,
    polled: u64,
    waiting: VecDeque<StreamEvent>,
}

impl Node {
    pub fn start(driver: StreamDriver, options: StreamOptions) -> Node {
        Node::start_at(driver, options, Ipv4Addr::LOCALHOST.into())
    }

    pub fn start_at(driver: StreamDriver, options: StreamOptions, ip: IpAddr) -> Node {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let waker = Arc::new(CountWakes::default());
        let options = StreamOptions { driver, ..options };
        let (service, mut ports) =
            StreamService::start(vec![listener], vec![waker.clone()], options).unwrap();
        if driver != StreamDriver::Automatic {
            assert_eq!(service.driver(), driver);
        }
        Node { service, port: ports.remove(0), address, waker, polled: 0, waiting: VecDeque::new() }
    }

    pub fn counters(&self) -> &StreamCounters {
        self.service.counters()
    }

    /// The next event if one waits.
    pub fn try_event(&mut self) -> Option<StreamEvent> {
        if let Some(event) = self.waiting.pop_front() {
            return Some(event);
        }
        let event = self.port.poll()?;
        self.polled += 1;
        Some(event)
    }

    /// The next event.
    pub fn event(&mut self) -> StreamEvent {
        wait_for("an event", || self.try_event())
    }

    pub fn message(&mut self) -> (ExchangeId, Option<u64>, Vec<u8>) {
        match self.event() {
            StreamEvent::Message { exchange, token, bytes, .. } => (exchange, token, bytes),
            other => panic!("expected a message, not {}", brief(&other)),
        }
    }

    pub fn opened(&mut self) -> (ExchangeId, u64) {
        match self.event() {
            StreamEvent::Opened { exchange, token } => (exchange, token),
            other => panic!("expected an opening, not {}", brief(&other)),
        }
    }

    pub fn closed(&mut self) -> (ExchangeId, Option<u64>, CloseReason) {
        match self.event() {
            StreamEvent::Closed { exchange, token, reason } => (exchange, token, reason),
            other => panic!("expected an end, not {}", brief(&other)),
        }
    }

    /// Every event was announced by a wake.
    pub fn check_wakes(&self) {
        // The wake of the last event may still be on its way when it is polled.
        wait_for("the last wake", || (self.waker.0.load(Ordering::Relaxed) >= self.polled).then_some(()));
    }

    pub fn turn(&mut self, messages: &[&[u8]]) -> Vec<u8> {
        let mut turn = self.port.buffer();
        write_turn(&mut turn, messages);
        turn
    }

    pub fn open(&mut self, token: u64, to: SocketAddr, messages: &[&[u8]]) -> ExchangeId {
        let turn = self.turn(messages);
        self.port.open(token, None, to, turn, PATIENCE).unwrap()
    }

    pub fn reply(&mut self, exchange: ExchangeId, messages: &[&[u8]], then_close: bool) {
        let turn = self.turn(messages);
        self.port.reply(exchange, turn, then_close).unwrap();
    }

    pub fn wait_for_count(&self, what: &str, reached: impl Fn(&StreamCounters) -> bool) {
        wait_for(what, || reached(self.counters()).then_some(()));
    }

    pub fn wait_until_idle(&self) {
        wait_for("all exchanges to end", || (self.counters().open.get() == 0).then_some(()));
    }
}

/// An event without its megabytes.
fn brief(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Message { bytes, .. } => format!("a message of {} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}

/// Long enough for anything but a test's failure.
pub fn patient() -> StreamOptions {
    StreamOptions {
        idle_timeout: PATIENCE,
        exchange_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        queue_wait: PATIENCE,
        ..StreamOptions::default()
    }
}

pub fn write_turn(turn: &mut Vec<u8>, messages: &[&[u8]]) {
    for message in messages {
        turn.extend_from_slice(&(message.len() as u32).to_le_bytes());
        turn.extend_from_slice(message);
    }
}

pub fn framed(messages: &[&[u8]]) -> Vec<u8> {
    let mut turn = Vec::new();
    write_turn(&mut turn, messages);
    turn
}

/// Calls `check` until it gives something.
pub fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Reads until the other side closes; whatever came.
pub fn read_to_close(socket: &mut std::net::TcpStream) -> Vec<u8> {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Ok(_) => {}
        // Closed with bytes of ours unread.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    bytes
}

/// Bytes that differ everywhere, so that a misplaced chunk shows.
pub fn pattern(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}
