//! Direct messages measured beside plain sockets: round trips and throughput of one pair on loopback.
//!
//! ```sh
//! cargo run --release -p swimring --example direct_messages
//! ```
//!
//! Everything is measured in one process and one run, one after the other: UDP and TCP sockets of the standard library,
//! blocking, with a thread at each end; then `send`, `send_reliable` and `ask` between two embedded members, each of which
//! has its threads. What a member adds to a socket is the way from the application's thread to the member's and back.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "plain sockets are what is compared with"
)]

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use swimring::{Cluster, ClusterError, ClusterEvent, Preset};

const PATIENCE: Duration = Duration::from_secs(30);
/// Round trips not counted, and counted.
const WARM_UP: usize = 1_000;
const ROUND_TRIPS: usize = 10_000;
/// How long throughput is measured.
const SENDING: Duration = Duration::from_secs(3);
/// Messages of ours that are not acknowledged yet.
const UNDER_WAY: usize = 256;
const SMALL: usize = 64;
const LARGE: usize = 16 << 10;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    println!("round trips of {SMALL} bytes, {ROUND_TRIPS} each");
    println!("  {:<28} {:>10} {:>10}", "", "p50", "p99");
    udp_round_trips()?;
    tcp_round_trips()?;
    let (one, two) = pair()?;
    send_round_trips(&one, &two)?;
    ask_round_trips(&one)?;
    println!("one way, {} s each", SENDING.as_secs());
    println!("  {:<28} {:>14} {:>10}", "", "messages/s", "MB/s");
    udp_throughput()?;
    tcp_throughput(SMALL)?;
    tcp_throughput(LARGE)?;
    send_throughput(&one, &two)?;
    reliable_throughput(&one, SMALL)?;
    reliable_throughput(&one, LARGE)?;
    Ok(())
}

/// Times `round_trip` and prints the quantiles.
fn time(what: &str, mut round_trip: impl FnMut() -> Outcome<()>) -> Outcome<()> {
    for _ in 0..WARM_UP {
        round_trip()?;
    }
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        round_trip()?;
        times.push(begun.elapsed());
    }
    times.sort();
    let micros = |at: usize| times[at].as_secs_f64() * 1e6;
    println!("  {what:<28} {:>7.1} us {:>7.1} us", micros(ROUND_TRIPS / 2), micros(ROUND_TRIPS * 99 / 100));
    Ok(())
}

fn rate(what: &str, bytes: usize, messages: u64, within: Duration) {
    let per_second = messages as f64 / within.as_secs_f64();
    let what = format!("{what}, {bytes} bytes");
    println!("  {what:<28} {per_second:>14.0} {:>10.1}", per_second * bytes as f64 / 1e6);
}

fn udp_pair() -> Outcome<(UdpSocket, UdpSocket)> {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    Ok((near, far))
}

fn tcp_pair() -> Outcome<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    Ok((near, far))
}

fn udp_round_trips() -> Outcome<()> {
    let (near, far) = udp_pair()?;
    far.set_read_timeout(Some(Duration::from_millis(500)))?;
    near.set_read_timeout(Some(PATIENCE))?;
    let echo = thread::spawn(move || {
        let mut bytes = [0; SMALL];
        while let Ok(length) = far.recv(&mut bytes) {
            let _ = far.send(&bytes[..length]);
        }
    });
    let mut bytes = [7; SMALL];
    time("UDP of std", || {
        near.send(&bytes)?;
        near.recv(&mut bytes)?;
        Ok(())
    })?;
    let _ = echo.join();
    Ok(())
}

fn tcp_round_trips() -> Outcome<()> {
    let (mut near, mut far) = tcp_pair()?;
    let echo = thread::spawn(move || {
        let mut bytes = [0; SMALL];
        while far.read_exact(&mut bytes).and_then(|()| far.write_all(&bytes)).is_ok() {}
    });
    let mut bytes = [7; SMALL];
    time("TCP of std", || {
        near.write_all(&bytes)?;
        near.read_exact(&mut bytes)?;
        Ok(())
    })?;
    drop(near);
    let _ = echo.join();
    Ok(())
}

/// Two members; the second sends messages back while it is told to, and replies to questions with themselves.
fn pair() -> Outcome<(Cluster, Arc<Far>)> {
    let start = |name| Cluster::builder(name).bind("127.0.0.1:0").preset(Preset::Local).start();
    let (one, two) = (start("one")?, start("two")?);
    two.join([one.address()]).wait()?;
    let deadline = Instant::now() + PATIENCE;
    while one.member("two")?.is_none() {
        if Instant::now() > deadline {
            return Err("the members do not meet".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let far = Arc::new(Far { echoes: AtomicBool::new(true), received: AtomicU64::new(0) });
    let (events, this) = (two.subscribe()?, Arc::clone(&far));
    thread::spawn(move || {
        for event in events {
            match event {
                ClusterEvent::Message(message) if this.echoes.load(Ordering::Relaxed) => {
                    let _ = two.send(&message.from, &message.payload);
                }
                ClusterEvent::Message(_) => {
                    this.received.fetch_add(1, Ordering::Relaxed);
                }
                ClusterEvent::Question(question) => {
                    let _ = question.reply(question.payload().clone());
                }
                _ => {}
            }
        }
    });
    Ok((one, far))
}

/// What the second member does with messages.
struct Far {
    echoes: AtomicBool,
    received: AtomicU64,
}

fn send_round_trips(one: &Cluster, far: &Far) -> Outcome<()> {
    let mut events = one.subscribe()?;
    time("send, and send back", || {
        one.send("two", [7; SMALL])?;
        while !matches!(events.recv_timeout(PATIENCE)?, ClusterEvent::Message(_)) {}
        Ok(())
    })?;
    far.echoes.store(false, Ordering::Relaxed);
    Ok(())
}

fn ask_round_trips(one: &Cluster) -> Outcome<()> {
    time("ask, and reply", || {
        one.ask("two", vec![7; SMALL], PATIENCE)?;
        Ok(())
    })
}

fn udp_throughput() -> Outcome<()> {
    let (near, far) = udp_pair()?;
    far.set_read_timeout(Some(Duration::from_millis(500)))?;
    let counting = thread::spawn(move || {
        let (mut bytes, mut count) = ([0; SMALL], 0);
        while far.recv(&mut bytes).is_ok() {
            count += 1;
        }
        count
    });
    let begun = Instant::now();
    while begun.elapsed() < SENDING {
        for _ in 0..64 {
            near.send(&[7; SMALL])?;
        }
    }
    let within = begun.elapsed();
    rate("UDP, received", SMALL, counting.join().map_err(|_| "the receiver panicked")?, within);
    Ok(())
}

fn tcp_throughput(length: usize) -> Outcome<()> {
    let (mut near, mut far) = tcp_pair()?;
    let counting = thread::spawn(move || {
        let (mut bytes, mut count) = (vec![0; length], 0);
        while far.read_exact(&mut bytes).is_ok() {
            count += 1;
        }
        count
    });
    let (bytes, begun) = (vec![7; length], Instant::now());
    while begun.elapsed() < SENDING {
        for _ in 0..64 {
            near.write_all(&bytes)?;
        }
    }
    drop(near);
    let count = counting.join().map_err(|_| "the receiver panicked")?;
    rate("TCP, a write a message", length, count, begun.elapsed());
    Ok(())
}

fn send_throughput(one: &Cluster, far: &Far) -> Outcome<()> {
    let (before, begun) = (far.received.load(Ordering::Relaxed), Instant::now());
    while begun.elapsed() < SENDING {
        one.send("two", [7; SMALL])?;
    }
    let within = begun.elapsed();
    thread::sleep(Duration::from_millis(500));
    rate("send, received", SMALL, far.received.load(Ordering::Relaxed) - before, within);
    Ok(())
}

fn reliable_throughput(one: &Cluster, length: usize) -> Outcome<()> {
    let (payload, begun) = (vec![7; length], Instant::now());
    let (mut under_way, mut delivered) = (VecDeque::new(), 0);
    while begun.elapsed() < SENDING {
        match one.send_reliable("two", payload.clone()) {
            Ok(sent) => under_way.push_back(sent),
            Err(ClusterError::QueueFull) => {}
            Err(error) => return Err(error.into()),
        }
        while under_way.len() >= UNDER_WAY {
            under_way.pop_front().map_or(Ok(()), |mut sent| sent.wait(PATIENCE))?;
            delivered += 1;
        }
    }
    for mut sent in under_way {
        sent.wait(PATIENCE)?;
        delivered += 1;
    }
    rate("send_reliable", length, delivered, begun.elapsed());
    Ok(())
}
