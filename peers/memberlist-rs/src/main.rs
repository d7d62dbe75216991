//! Memory and processor time of one member of al8n's memberlist that is told of so many others, as `bench/src/bin/embedded` measures
//! them of Swimring and foca: in datagrams of ten, with the same names. What it passes on goes to loopback addresses where nobody
//! listens; it probes nobody.
//!
//! `swimring-memberlist-rs KNOWN`

use std::alloc::System;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use memberlist::Options;
use memberlist::delegate::VoidDelegate;
use memberlist::net::NetTransportOptions;
use memberlist::proto::{Alive, Message, Node, ProtoEncoder};
use memberlist::tokio::{TokioSocketAddrResolver, TokioTcp, TokioTcpMemberlist};
use smol_str::SmolStr;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Peer = TokioTcpMemberlist<SmolStr, TokioSocketAddrResolver, VoidDelegate<SmolStr, SocketAddr>>;

/// Updates in one datagram.
const UPDATES: usize = 10;
/// Bytes of the longest.
const DATAGRAM_MAX: usize = 1_400;
/// Datagrams that are sent before it is looked at how many have been read.
const AHEAD: usize = 64;
/// What is not known by then is sent again.
const LOST: Duration = Duration::from_secs(1);
/// Nothing has been freed for so long: all has been told on.
const QUIET: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(240);

fn node_of(number: usize) -> Node<SmolStr, SocketAddr> {
    let address = Ipv4Addr::new(127, 1 + (number >> 16) as u8, (number >> 8) as u8, number as u8);
    Node::new(format!("node-{number:07}").into(), SocketAddr::from((address, 7946)))
}

/// Bytes that are allocated now.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).map_or(0, |kib: usize| kib * 1024)
}

/// Processor time of this process, in milliseconds.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) * 10.0
}

fn datagram(numbers: std::ops::Range<usize>, incarnation: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let alive = |number| Message::Alive(Alive::new(incarnation, node_of(number)));
    let messages: Vec<Message<SmolStr, SocketAddr>> = numbers.map(alive).collect();
    let encoder = ProtoEncoder::new(DATAGRAM_MAX).with_messages(messages);
    let mut payloads = encoder.encode();
    let payload = payloads.next().ok_or("nothing")?.map_err(|error| error.to_string())?;
    if payloads.next().is_some() {
        return Err("more than one datagram".into());
    }
    Ok(payload.data().to_vec())
}

/// Tells the peer of all in `0..known`, some at a time, and again as long as it does not know those.
async fn tell(peer: &Peer, to: SocketAddr, known: usize) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let began = Instant::now();
    for first in (0..known).step_by(UPDATES * AHEAD) {
        let last = (first + UPDATES * AHEAD).min(known);
        while peer.num_online_members().await < last + 1 {
            for each in (first..last).step_by(UPDATES) {
                socket.send_to(&datagram(each..(each + UPDATES).min(last), 1)?, to)?;
            }
            let sent = Instant::now();
            while peer.num_online_members().await < last + 1 && sent.elapsed() < LOST {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("it knows {} after {PATIENCE:?}", peer.num_online_members().await).into());
            }
        }
    }
    Ok(())
}

/// Waits until what it had to tell is told.
async fn wait_until_told() -> usize {
    let (began, mut least, mut since) = (Instant::now(), held(), Instant::now());
    while since.elapsed() < QUIET && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if held() < least {
            (least, since) = (held(), Instant::now());
        }
    }
    least
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let known: usize = std::env::args().nth(1).ok_or("how many are known?")?.parse()?;
    let mut transport = NetTransportOptions::<SmolStr, TokioSocketAddrResolver, TokioTcp>::new("self".into());
    transport.add_bind_address("127.0.0.1:0".parse()?);
    let options = Options::lan()
        .with_probe_interval(Duration::ZERO)
        .with_push_pull_interval(Duration::ZERO)
        .with_gossip_interval(Duration::from_millis(100))
        .with_gossip_nodes(200)
        .with_retransmit_mult(1);
    let peer: Peer = Peer::new(transport, options).await.map_err(|error| error.to_string())?;
    let (heap, before) = (wait_until_told().await, resident());
    let began = processor_ms();
    tell(&peer, *peer.advertise_address(), known).await?;
    let learning = held() - heap;
    let spent = processor_ms() - began;
    let told = wait_until_told().await.saturating_sub(heap);
    println!(
        "{known} known: heap {told} bytes, {:.1} each; {:.1} each while it still tells of them; resident {:.0} each; learned and \
         told on in {spent:.0} ms of processor time; {} online",
        told as f64 / known as f64,
        learning as f64 / known as f64,
        resident().saturating_sub(before) as f64 / known as f64,
        peer.num_online_members().await
    );
    Ok(())
}
