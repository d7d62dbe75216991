//! foca 2.0 in a loop like ours: the same agenda, the same latency, all members known to all, its LAN
//! configuration, one crash.
//!
//! Its members are named by numbers, the smallest identity it can have; its packets are kept in buffers that are
//! used again. Everything else is foca's own: its codec, its timers, its table.

use std::error::Error;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use foca::{Config, Foca, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime, Timer};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use swimring_simulation::experiment::Agenda;
use swimring_tooling::cpu::{of_this_thread, resident_bytes};

use crate::case::{CRASH_S, DURATION_S, LATENCY_US, Run, Side};
use crate::ours::peak_bytes;

/// A member, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Number(u32);

impl Identity for Number {
    type Addr = u32;

    fn renew(&self) -> Option<Number> {
        None
    }

    fn addr(&self) -> u32 {
        self.0
    }

    fn win_addr_conflict(&self, _: &Number) -> bool {
        false
    }
}

type Peer = Foca<Number, PostcardCodec, StdRng, NoCustomBroadcast>;

/// Something on the agenda.
#[derive(Clone, Copy, Debug)]
enum SimEvent {
    Packet(u32),
    Timer(u32),
    Crash,
}

/// What is used again: packets and timers under way.
struct Slots<T> {
    slots: Vec<T>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    fn new() -> Slots<T> {
        Slots { slots: Vec::new(), free: Vec::new() }
    }

    fn at(&mut self, make: impl FnOnce() -> T) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(make());
            (self.slots.len() - 1) as u32
        })
    }
}

/// The network, clock and observer of all members.
struct World {
    now: u64,
    agenda: Agenda<SimEvent>,
    packets: Slots<(u32, Vec<u8>)>,
    timers: Slots<Option<(u32, Timer<Number>)>>,
    datagrams: u64,
    bytes: u64,
    /// The member that crashes.
    victim: u32,
    crashed: bool,
    first: Option<u64>,
    last: Option<u64>,
    declared: u32,
}

/// What one member is given.
struct Outside<'a> {
    world: &'a mut World,
    node: u32,
}

impl Runtime<Number> for Outside<'_> {
    fn notify(&mut self, notification: Notification<'_, Number>) {
        let world = &mut *self.world;
        if let Notification::MemberDown(Number(subject)) = notification
            && world.crashed
            && *subject == world.victim
            && self.node != world.victim
        {
            world.declared += 1;
            world.first.get_or_insert(world.now);
            world.last = Some(world.now);
        }
    }

    fn send_to(&mut self, to: Number, data: &[u8]) {
        let world = &mut *self.world;
        world.datagrams += 1;
        world.bytes += data.len() as u64;
        let at = world.packets.at(|| (0, Vec::new()));
        let (receiver, bytes) = &mut world.packets.slots[at as usize];
        *receiver = to.0;
        bytes.clear();
        bytes.extend_from_slice(data);
        world.agenda.push(world.now + LATENCY_US, SimEvent::Packet(at));
    }

    fn submit_after(&mut self, event: Timer<Number>, after: Duration) {
        let world = &mut *self.world;
        let at = world.timers.at(|| None);
        world.timers.slots[at as usize] = Some((self.node, event));
        world.agenda.push(world.now + after.as_micros() as u64, SimEvent::Timer(at));
    }
}

pub fn play(members: u32, seed: u64) -> Result<Run, Box<dyn Error>> {
    let before = resident_bytes();
    let (mut world, mut peers) = set_up(members, seed)?;
    #[expect(clippy::disallowed_methods, reason = "measures the loop")]
    let started = Instant::now();
    let cpu = of_this_thread();
    let mut happenings = 0;
    while let Some((at, happening)) = world.agenda.pop_until(DURATION_S * 1_000_000) {
        world.now = at;
        happenings += 1;
        happen(happening, &mut world, &mut peers)?;
    }
    let wall_s = started.elapsed().as_secs_f64();
    let cpu_s = of_this_thread().saturating_sub(cpu).as_secs_f64();
    let after_crash = |at: u64| (at - CRASH_S * 1_000_000) as f64 / 1e6;
    Ok(Run {
        side: Side::Foca,
        members,
        seed,
        simulated_s: DURATION_S as f64,
        wall_s,
        cpu_s,
        happenings,
        datagrams: world.datagrams,
        bytes: world.bytes,
        first_s: world.first.map(after_crash),
        all_s: world.last.filter(|_| world.declared == members - 1).map(after_crash),
        memory_bytes: before.zip(peak_bytes()).map(|(before, peak)| peak.saturating_sub(before)),
    })
}

fn set_up(members: u32, seed: u64) -> Result<(World, Vec<Peer>), Box<dyn Error>> {
    let size = NonZeroU32::new(members).ok_or("no members")?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut world = World {
        now: 0,
        // A member has five gossip timers, three probe timers and two packets in a second.
        agenda: Agenda::new(f64::from(members) * 10.0, 2_000_000),
        packets: Slots::new(),
        timers: Slots::new(),
        datagrams: 0,
        bytes: 0,
        victim: rng.u32(..members),
        crashed: false,
        first: None,
        last: None,
        declared: 0,
    };
    let mut peers = Vec::with_capacity(members as usize);
    for node in 0..members {
        let random = StdRng::seed_from_u64(rng.u64(..));
        let mut peer = Foca::new(Number(node), Config::new_lan(size), random, PostcardCodec);
        let others = (0..members).filter(|other| *other != node).map(|other| Member::alive(Number(other)));
        // Its timers start when it knows another member: staggered, so that the members do not act in step.
        world.now = rng.u64(..1_000_000);
        peer.apply_many(others, false, Outside { world: &mut world, node })?;
        peers.push(peer);
    }
    world.now = 0;
    world.agenda.push(CRASH_S * 1_000_000, SimEvent::Crash);
    Ok((world, peers))
}

fn happen(happening: SimEvent, world: &mut World, peers: &mut [Peer]) -> Result<(), foca::Error> {
    match happening {
        SimEvent::Crash => world.crashed = true,
        SimEvent::Packet(at) => {
            let (to, bytes) = std::mem::take(&mut world.packets.slots[at as usize]);
            if !(world.crashed && to == world.victim) {
                peers[to as usize].handle_data(&bytes, Outside { world, node: to })?;
            }
            world.packets.slots[at as usize].1 = bytes;
            world.packets.free.push(at);
        }
        SimEvent::Timer(at) => {
            let Some((node, timer)) = world.timers.slots[at as usize].take() else { return Ok(()) };
            world.timers.free.push(at);
            if !(world.crashed && node == world.victim) {
                peers[node as usize].handle_timer(timer, Outside { world, node })?;
            }
        }
    }
    Ok(())
}
