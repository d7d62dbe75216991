//! Pings and acks over each datagram driver, on loopback.
//!
//! A prober writes pings, a member answers them, the prober reads the acks: a closed loop with 1 or 256 pings
//! in flight. Both ends have a driver of their own and share this thread, so what is measured is the work of
//! both and the kernel's, and no thread's waking up: time per round trip is CPU time. "Trains" send through
//! UDP GSO and receive through GRO; "single" sends and receives every datagram by itself.
//!
//! The mesh is 1,000 members behind one socket, each frame from a random one to another, so that every frame is
//! a datagram of its own: with IP_PKTINFO both ways ("own addresses"), and without as the measure of its cost.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use swimring::net::{Driver, DriverChoice, Endpoint, NetOptions, Trains};
use swimring::protocol::{FrameSink, Outbox};
use swimring_bench::{CLUSTER, Fleet, id_of};
use swimring_codec::native::{Frame, FrameHeader, FrameWriter, HEADER_LEN, Message, PROBE_LEN};

use crate::quick::quick;

const KNOWN: usize = 1_000;
const IN_FLIGHT: [usize; 2] = [1, 256];
/// Turns without an ack until the rest counts as lost: loopback loses nothing, and is never this slow.
const QUIET_TURNS: u32 = 1_000;
/// A turn does not wait longer than this.
const TURN: Duration = Duration::from_millis(1);

fn open(driver: DriverChoice, trains: bool) -> Option<Driver> {
    let options = NetOptions { driver, segmentation: trains, coalescing: trains, ..NetOptions::default() };
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let endpoint = Endpoint::bind(address, &options).expect("a free port");
    Driver::open(endpoint, &options).inspect_err(|error| println!("skipped: {error}")).ok()
}

/// A prober and the member it probes.
struct Pair {
    prober: Driver,
    server: Driver,
    fleet: Fleet,
    sequence: u32,
}

impl Pair {
    fn open(driver: DriverChoice, trains: bool) -> Option<Pair> {
        let (prober, server) = (open(driver, trains)?, open(driver, trains)?);
        Some(Pair { prober, server, fleet: Fleet::new(1, KNOWN), sequence: 0 })
    }

    fn write_ping(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        let to = self.server.local_address();
        let header = FrameHeader {
            cluster: CLUSTER,
            source: id_of(1),
            destination: id_of(0),
            root: self.fleet.members[0].root(),
            quiet: true,
        };
        let room = self.prober.trains().reserve(to, HEADER_LEN + PROBE_LEN).expect("room in the trains");
        let mut writer = FrameWriter::new(header, room).expect("room for a header");
        writer.push(&Message::Ping { sequence: self.sequence, event_root: 0 });
        writer.finish();
    }

    /// Has the member answer what has arrived.
    fn answer(&mut self) {
        let Fleet { members, scenery } = &mut self.fleet;
        let mut handler = |from: SocketAddr, _: Option<IpAddr>, bytes: &[u8], trains: &mut Trains| {
            let frame = Frame::decode(bytes).expect("a frame");
            let (streams, events) = (&mut scenery.streams, &mut scenery.events);
            let mut out = Outbox { frames: trains, streams, events, gossip_budget: &mut 0 };
            members[0].handle_frame(scenery.now, from, &frame, &mut scenery.commons, &mut out);
        };
        self.server.turn(Some(TURN), &mut handler).expect("a turn");
        self.server.flush().expect("a flush");
    }

    /// Counts the acks that have arrived.
    fn acks(&mut self) -> usize {
        let mut acks = 0;
        let mut handler = |_: SocketAddr, _: Option<IpAddr>, bytes: &[u8], _: &mut Trains| {
            let message = Frame::decode(bytes).expect("a frame").messages().next();
            acks += usize::from(matches!(message, Some(Ok(Message::Ack { .. }))));
        };
        self.prober.turn(Some(TURN), &mut handler).expect("a turn");
        acks
    }

    /// `in_flight` pings and their acks.
    fn round(&mut self, in_flight: usize) {
        for _ in 0..in_flight {
            self.write_ping();
        }
        self.prober.flush().expect("a flush");
        let (mut acked, mut quiet) = (0, 0);
        while acked < in_flight {
            self.answer();
            let acks = self.acks();
            acked += acks;
            quiet = if acks == 0 { quiet + 1 } else { 0 };
            assert!(quiet < QUIET_TURNS, "{acked} of {in_flight} pings were answered");
        }
    }
}

fn round_trips(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("drivers, ping and ack");
    for driver in [DriverChoice::IoUring, DriverChoice::Mmsg] {
        for (way, trains) in [("trains", true), ("single", false)] {
            for in_flight in IN_FLIGHT {
                let Some(mut pair) = Pair::open(driver, trains) else { continue };
                group.throughput(Throughput::Elements(in_flight as u64));
                let name = BenchmarkId::new(format!("{driver}, {way}, in flight"), in_flight);
                group.bench_function(name, |bencher| bencher.iter(|| pair.round(in_flight)));
            }
        }
    }
    group.finish();
}

/// Members at addresses of their own behind one wildcard socket.
const MEMBERS: u32 = 1_000;
/// Frames under way between them.
const MESH_IN_FLIGHT: usize = 256;
const MESH_FRAME_LEN: usize = 200;

/// A socket for [`MEMBERS`] addresses; between random pairs of them frames are kept under way.
struct Mesh {
    driver: Driver,
    pairs: Pairs,
    /// Frames to have been received by the end of the pass.
    due: u64,
}

struct Pairs {
    rng: fastrand::Rng,
    port: u16,
    named: bool,
}

impl Pairs {
    /// One frame from a random member to another, which leaves from the sender's address if `named`.
    fn write(&mut self, trains: &mut Trains) {
        let mut member = || IpAddr::V4(Ipv4Addr::from_bits(0x7f10_0000 + self.rng.u32(..MEMBERS)));
        let (from, to) = (member(), SocketAddr::new(member(), self.port));
        trains.set_source(self.named.then_some(from));
        trains.reserve(to, MESH_FRAME_LEN).expect("room in the trains").fill(1);
    }
}

impl Mesh {
    fn open(driver: DriverChoice, named: bool) -> Option<Mesh> {
        let options = NetOptions {
            driver,
            own_addresses: named,
            segmentation: false,
            coalescing: false,
            ..NetOptions::default()
        };
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let endpoint = Endpoint::bind(address, &options).expect("a free port");
        let opened = Driver::open(endpoint, &options).inspect_err(|error| println!("skipped: {error}"));
        let mut driver = opened.ok()?;
        let port = driver.local_address().port();
        let mut pairs = Pairs { rng: fastrand::Rng::with_seed(1), port, named };
        (0..MESH_IN_FLIGHT).for_each(|_| pairs.write(driver.trains()));
        Some(Mesh { driver, pairs, due: 0 })
    }

    /// Receives `count` frames, writing one for each. What a turn brings beyond that counts for the next pass.
    fn pass(&mut self, count: u64) {
        let pairs = &mut self.pairs;
        let mut quiet = 0;
        let mut next = |_: SocketAddr, _: Option<IpAddr>, _: &[u8], trains: &mut Trains| {
            pairs.write(trains);
        };
        self.due += count;
        while self.driver.counters().datagrams_received < self.due {
            let before = self.driver.counters().datagrams_received;
            self.driver.turn(Some(TURN), &mut next).expect("a turn");
            quiet = if self.driver.counters().datagrams_received == before { quiet + 1 } else { 0 };
            assert!(quiet < QUIET_TURNS, "frames got lost");
        }
    }
}

fn own_addresses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("drivers, 256 frames between 1,000 members");
    for driver in [DriverChoice::IoUring, DriverChoice::Mmsg] {
        for (way, named) in [("own addresses", true), ("one address", false)] {
            let Some(mut mesh) = Mesh::open(driver, named) else { continue };
            group.throughput(Throughput::Elements(MESH_IN_FLIGHT as u64));
            let name = BenchmarkId::new(driver.as_str(), way);
            group.bench_function(name, |bencher| bencher.iter(|| mesh.pass(MESH_IN_FLIGHT as u64)));
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = round_trips, own_addresses }
