//! A small pool over real sockets, under attack: what is hostile is refused and counted, memory stays flat, and
//! every member keeps the others.
//!
//! The attacker is on the pool's network. In one variant the pool is encrypted with a key that it does not
//! know; in the other everything is plain text, so it may forge: suspicions of live members, which they
//! refute. `attack_at_full_rate`, which is run by hand, does the same at 100,000 packets a second:
//! `cargo test --release -p swimring --test memberlist_attack -- --ignored --nocapture`.

#![allow(clippy::disallowed_methods, reason = "the attack comes over real sockets, in real time")]

mod hostile_support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hostile_support::{Target, packets, streams};
use swimring::protocol::{Counters, Event, MemberlistOptions, Preset, Settings, WireOptions};
use swimring::stream::StreamOptions;
use swimring::worker::{EventContext, Fleet, FleetOptions, HostCounters, Observer};
use swimring_codec::Incarnation;
use swimring_codec::memberlist::DecodeError;
use swimring_testing::process::resident_bytes;

const MEMBERS: usize = 5;

/// Far longer than anything takes: a wait that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Memory that may be taken up after a first round in which every buffer has been used.
const GROWTH_MAX: u64 = 24 << 20;

/// Tests take turns: each looks at how the whole process grows, and the other's buffers would be counted too.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who was declared dead, left or claimed.
#[derive(Default)]
struct Witness {
    lost: Vec<String>,
}

impl Observer for Witness {
    fn event(&mut self, scene: &EventContext<'_>, event: &Event) {
        if let Event::Failed { subject, .. } | Event::Left { subject } = *event {
            self.lost.push(format!("{event:?} of {} at {}", scene.shared.name(subject), scene.local));
        }
    }
}

/// What was counted in all.
#[derive(Clone, Copy, Default)]
struct Counted {
    host: HostCounters,
    swim: Counters,
    packets: u64,
}

impl Counted {
    fn refused(&self, error: DecodeError) -> u64 {
        self.host.refused_packets[error.index()]
    }

    /// Packets, messages and claims that came to nothing.
    fn refused_in_all(&self) -> u64 {
        let Counters { decode_errors, implausible_incarnation, unknown_subject, .. } = self.swim;
        let packets: u64 = self.host.refused_packets.iter().sum();
        packets + decode_errors + implausible_incarnation + unknown_subject
    }
}

struct Pool {
    fleet: Fleet<Witness>,
    addresses: Vec<SocketAddr>,
    names: Vec<String>,
    label: String,
}

impl Pool {
    /// A pool whose members have addresses of their own in 127.`network`.0.0/16.
    fn start(network: u8, wire: MemberlistOptions) -> Pool {
        let settings = Settings {
            probe_interval: Duration::from_millis(300),
            probe_timeout: Duration::from_millis(150),
            gossip_interval: Duration::from_millis(20),
            ..Settings::preset(Preset::Lan)
        };
        let stream = StreamOptions {
            idle_timeout: Duration::from_millis(200),
            exchange_timeout: Duration::from_secs(2),
            ..StreamOptions::default()
        };
        let label = wire.label.clone();
        let options = FleetOptions {
            settings: Arc::new(settings),
            wire: WireOptions::Memberlist(wire),
            stream,
            own_addresses: true,
            bind: ([0, 0, 0, 0], 0).into(),
            seed: network.into(),
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(&options, |_| Witness::default()).unwrap();
        let port = fleet.address(0).port();
        let addresses: Vec<SocketAddr> =
            (1..=MEMBERS as u8).map(|number| ([127, network, 0, number], port).into()).collect();
        let names: Vec<String> = (0..MEMBERS).map(|number| format!("member-{number}")).collect();
        let (at, named) = (addresses.clone(), names.clone());
        fleet
            .ask(0, move |host, _| {
                for (address, name) in at.iter().zip(&named) {
                    host.add_at(*address, name, b"metadata", "", Incarnation::new(100)).unwrap();
                }
                host.load_views(|_, _, _| Ok(())).unwrap();
            })
            .unwrap();
        Pool { fleet, addresses, names, label }
    }

    fn target(&self) -> Target {
        Target { names: self.names.clone(), label: self.label.clone() }
    }

    fn counted(&self) -> Counted {
        let ask = |host: &mut swimring::worker::Host<Witness>, _: &mut _| Counted {
            host: host.counters(),
            swim: host.shared().counters,
            packets: host.net_counters().messages_received,
        };
        self.fleet.ask(0, ask).unwrap()
    }

    /// Every member holds all others, and has never lost one.
    #[track_caller]
    fn holds_together(&self) {
        let (live, lost) = self
            .fleet
            .ask(0, |host, _| {
                let live: Vec<usize> = host.members().map(|(_, member)| member.live()).collect();
                (live, host.observer.lost.clone())
            })
            .unwrap();
        assert_eq!(live, [MEMBERS; MEMBERS], "{lost:?}");
        assert!(lost.is_empty(), "{lost:?}");
    }

    /// Waits until `done`.
    #[track_caller]
    fn until(&self, what: &str, done: impl Fn(&Pool) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Once the attack is over nobody is left in doubt, and probes are answered.
    fn recovers(&self) {
        self.until("no suspicion is left", |pool| {
            pool.fleet.ask(0, |host, _| host.members().all(|(_, member)| member.suspects() == 0)).unwrap()
        });
        let acked = self.counted().swim.probes_acked;
        self.until("probes are acked", |pool| pool.counted().swim.probes_acked > acked + 2 * MEMBERS as u64);
        self.holds_together();
    }
}

/// Sends `count` of `packets` to the members in turn, a few at a time so that most are read.
fn flood(pool: &Pool, socket: &UdpSocket, packets: &[Vec<u8>], count: usize) {
    for (nth, packet) in packets.iter().cycle().take(count).enumerate() {
        // A full buffer is the kernel's way to shed.
        let _ = socket.send_to(packet, pool.addresses[nth % MEMBERS]);
        if nth % 200 == 199 {
            std::thread::sleep(Duration::from_millis(1));
        }
        if nth % 2_000 == 1_999 {
            pool.holds_together();
        }
    }
}

/// Opens a connection for each of `streams` and sees each of them end.
fn hostile_connections(pool: &Pool, streams: &[Vec<u8>]) {
    let label = match pool.label.len() {
        0 => Vec::new(),
        length => [&[0xf4, length as u8], pool.label.as_bytes()].concat(),
    };
    for (nth, bytes) in streams.iter().enumerate() {
        let mut connection = TcpStream::connect(pool.addresses[nth % MEMBERS]).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        // Refused half way, it may be reset before all is written.
        let _ = connection.write_all(&[&label[..], bytes].concat());
        let mut answer = Vec::new();
        match connection.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "stream {nth} is kept open");
            }
        }
        assert!(answer.is_empty(), "stream {nth} was answered with {} bytes", answer.len());
    }
}

/// Connections that are begun and left alone, and connections that end at once.
fn stalled_connections(pool: &Pool) {
    let mut held = Vec::new();
    for nth in 0..300 {
        let Ok(mut connection) = TcpStream::connect(pool.addresses[nth % MEMBERS]) else { continue };
        let _ = connection.write_all(&[0xf4, 4, b's'][..1 + nth % 3]);
        if nth % 3 == 0 {
            held.push(connection);
        }
    }
    let counters = pool.fleet.stream_counters().unwrap();
    pool.until("every stalled connection is ended", |_| counters.open.get() == 0);
    assert!(counters.timeouts.get() + counters.shed.get() + counters.protocol_errors.get() > 0);
}

/// A whole attack of `count` packets a round. Gives what was counted.
fn attack(pool: &Pool, count: usize) -> Counted {
    let mut rng = fastrand::Rng::with_seed(7);
    let packets = packets(&pool.target(), &mut rng);
    let streams = streams(&mut rng);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    pool.recovers();
    // Everything once, so that what is kept for later is there.
    flood(pool, &socket, &packets, packets.len());
    hostile_connections(pool, &streams);
    stalled_connections(pool);
    let before = resident_bytes();
    flood(pool, &socket, &packets, count);
    for _ in 0..3 {
        hostile_connections(pool, &streams);
    }
    flood(pool, &socket, &packets, count);
    let grown = resident_bytes().saturating_sub(before);
    println!("memory grew by {} KiB", grown / 1024);
    assert!(grown < GROWTH_MAX, "{grown} bytes more than before");
    pool.recovers();
    pool.counted()
}

#[test]
fn an_encrypted_pool_withstands_whoever_has_no_key() {
    let _turn = alone();
    let wire = MemberlistOptions {
        label: "shop".to_owned(),
        secret_keys: vec![vec![7; 32].into()],
        ..MemberlistOptions::default()
    };
    let pool = Pool::start(61, wire);
    let counted = attack(&pool, 8_000);
    for error in [DecodeError::Label, DecodeError::Decrypt, DecodeError::Unencrypted] {
        assert!(counted.refused(error) >= 1_000, "{error}: {:?}", counted.host.refused_packets);
    }
    // Not a single message of theirs was read, and nobody doubted anybody.
    let Counters { decode_errors, suspicions_started, refutations, .. } = counted.swim;
    assert_eq!((decode_errors, suspicions_started, refutations), (0, 0, 0));
    println!("{} packets, {} refused", counted.packets, counted.refused_in_all());
}

#[test]
fn a_plain_pool_refutes_what_is_forged() {
    let _turn = alone();
    let pool = Pool::start(62, MemberlistOptions::default());
    let counted = attack(&pool, 8_000);
    let refused = [
        DecodeError::Truncated,
        DecodeError::Label,
        DecodeError::Crc,
        DecodeError::TooLarge,
        DecodeError::Compression,
    ];
    for error in refused {
        assert!(counted.refused(error) > 100, "{error}: {:?}", counted.host.refused_packets);
    }
    assert!(counted.swim.decode_errors > 1_000, "{:?}", counted.swim);
    assert!(counted.swim.implausible_incarnation > 1_000, "{:?}", counted.swim);
    assert!(counted.swim.refutations > 0, "{:?}", counted.swim);
    println!("{} packets, {} refused", counted.packets, counted.refused_in_all());
}

/// 100,000 packets a second for half a minute, on either kind of pool.
#[test]
#[ignore = "takes over a minute and a whole processor: for the record"]
fn attack_at_full_rate() {
    let _turn = alone();
    const RATE: u64 = 100_000;
    let encrypted = MemberlistOptions {
        label: "shop".to_owned(),
        secret_keys: vec![vec![7; 32].into()],
        ..MemberlistOptions::default()
    };
    for (network, what, wire) in [(63, "encrypted", encrypted), (64, "plain", MemberlistOptions::default())] {
        let pool = Pool::start(network, wire);
        let packets = packets(&pool.target(), &mut fastrand::Rng::with_seed(8));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        pool.recovers();
        flood(&pool, &socket, &packets, packets.len());
        let (before, counted_before, begun) = (resident_bytes(), pool.counted(), Instant::now());
        let (mut sent, mut looked) = (0u64, 0);
        while begun.elapsed() < Duration::from_secs(30) {
            let due = begun.elapsed().as_micros() as u64 * RATE / 1_000_000;
            while sent < due {
                let packet = &packets[sent as usize % packets.len()];
                // A full buffer is the kernel's way to shed.
                let _ = socket.send_to(packet, pool.addresses[sent as usize % MEMBERS]);
                sent += 1;
            }
            if begun.elapsed().as_secs() > looked {
                looked += 1;
                pool.holds_together();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let counted = pool.counted();
        println!(
            "{what}: {sent} packets in {:.1} s, {} received, {} refused, {} suspicions, {} refutations, \
             memory {:+} KiB",
            begun.elapsed().as_secs_f64(),
            counted.packets - counted_before.packets,
            counted.refused_in_all() - counted_before.refused_in_all(),
            counted.swim.suspicions_started,
            counted.swim.refutations,
            (resident_bytes() as i64 - before as i64) / 1024,
        );
        pool.recovers();
    }
}
