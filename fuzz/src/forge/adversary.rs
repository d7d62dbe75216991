//! Who stands between the workers: sees each datagram and message, keeps what it likes, offers the receiver what it makes of that,
//! passes the genuine one on, and repeats it. It has no key.

use std::collections::HashMap;
use std::net::SocketAddr;

use fastrand::Rng;
use swimring::protocol::Time;
use swimring_codec::native::{FRAME_MAX, Opener, REPLAY_WINDOW_MOST, Sealer, StreamSeal};

use super::cluster::{Fate, WORKERS, Worker, address_of};
use super::forgery::{KEY_AND_TIME, sender_of};
use super::tally::{Kind, StreamKind, Tally};
use crate::sealed::was_opened;

/// Datagrams that are kept of those that a worker has had lately.
const KEPT: usize = 4_096;
/// And of those that went first, which are repeated when they are old.
const KEPT_OLD: usize = 1_024;
/// Datagrams that are kept from a worker, to offer them when nobody can know any more whether they were delivered.
const HELD_BACK: usize = 4_096;
/// Of so many datagrams one is held back.
const HELD_BACK_EVERY: usize = 64;
/// So many of each kind make a beginning.
const ENOUGH: usize = 16;
/// Messages of streams are fewer, so more is made of each.
const PER_MESSAGE: u32 = 8;
/// Seconds after which who was started anew has to refuse what it has not heard; the clocks are alike.
const OLD_S: u32 = 61;

/// What is known of the datagrams to one worker.
#[derive(Default)]
struct Wire {
    /// The latest that it has had, in a ring.
    heard: Vec<Vec<u8>>,
    next: usize,
    /// The first that it has had, and when.
    old: Vec<(u32, Vec<u8>)>,
    /// Those that it has not had, the oldest first, in a ring.
    held_back: Vec<Vec<u8>>,
    next_held: usize,
    /// The latest number of each life that was delivered.
    latest: HashMap<u64, u32>,
    /// The latest messages of streams that it has had, in a ring.
    said: Vec<Vec<u8>>,
    next_said: usize,
}

impl Wire {
    fn note_delivered(&mut self, bytes: &[u8]) {
        let (life, sequence) = sender_of(bytes);
        let latest = self.latest.entry(life).or_default();
        *latest = sequence.max(*latest);
    }

    /// How many its sender has sealed since `bytes`.
    fn lag_of(&self, bytes: &[u8]) -> usize {
        let (life, sequence) = sender_of(bytes);
        self.latest.get(&life).map_or(0, |latest| latest.saturating_sub(sequence) as usize)
    }

    /// One that was held back until it lies below the largest window.
    fn held_back_for_ever(&self, rng: &mut Rng) -> Option<Vec<u8>> {
        rng.choice(&self.held_back).filter(|bytes| self.lag_of(bytes) > REPLAY_WINDOW_MOST).cloned()
    }
}

/// See the module.
pub(super) struct Adversary {
    rng: Rng,
    wires: [Wire; WORKERS],
    /// What members seal with another key, and what they say in the clear.
    pub(super) other_key: Vec<Vec<u8>>,
    pub(super) plain: Vec<Vec<u8>>,
    /// Someone who was started this moment and has the key.
    restarted: Option<Opener>,
    /// Inputs for each datagram and message that goes by.
    pub(super) inputs_each: u32,
    bytes: Vec<u8>,
    pub(super) tally: Tally,
}

fn keep(ring: &mut Vec<Vec<u8>>, next: &mut usize, most: usize, bytes: &[u8]) {
    if ring.len() < most {
        ring.push(bytes.to_vec());
        return;
    }
    let slot = &mut ring[*next % most];
    slot.clear();
    slot.extend_from_slice(bytes);
    *next += 1;
}

impl Adversary {
    pub(super) fn new(seed: u64, restarted: Option<Opener>) -> Adversary {
        Adversary {
            rng: Rng::with_seed(seed),
            wires: Default::default(),
            other_key: Vec::new(),
            plain: Vec::new(),
            restarted,
            inputs_each: 0,
            bytes: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// What workers have had: for those who only record.
    pub(super) fn heard(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.wires.iter().flat_map(|wire| &wire.heard)
    }

    /// Whether each worker could be offered something of every kind.
    pub(super) fn is_ready(&self, time_s: u32) -> bool {
        self.wires.iter().all(|wire| {
            let below = wire.held_back.iter().filter(|bytes| wire.lag_of(bytes) > REPLAY_WINDOW_MOST);
            let old = wire.old.iter().filter(|(at_s, _)| time_s - at_s >= OLD_S);
            below.count() >= ENOUGH && old.count() >= ENOUGH && wire.said.len() >= ENOUGH
        })
    }

    /// The datagram `genuine` is on its way to `worker`.
    pub(super) fn datagram(
        &mut self,
        (now, time_s): (Time, u32),
        from: SocketAddr,
        (to, worker): (usize, &mut Worker),
        genuine: &[u8],
    ) {
        if let Some(restarted) = &mut self.restarted {
            restarted.set_time_s(time_s);
        }
        for _ in 0..self.inputs_each {
            self.offer((now, time_s), (to, worker), genuine);
        }
        let wire = &mut self.wires[to];
        if worker.opener.is_some() {
            if self.rng.usize(..HELD_BACK_EVERY) == 0 {
                return keep(&mut wire.held_back, &mut wire.next_held, HELD_BACK, genuine);
            }
            wire.note_delivered(genuine);
        }
        self.tally.genuine(worker.receive(now, from, genuine) == Fate::Taken);
        keep(&mut wire.heard, &mut wire.next, KEPT, genuine);
        if wire.old.len() < KEPT_OLD {
            wire.old.push((time_s, genuine.to_vec()));
        }
    }

    /// Offers `worker` one forgery, or `genuine` before its time to who must not take it.
    fn offer(&mut self, (now, time_s): (Time, u32), (to, worker): (usize, &mut Worker), genuine: &[u8]) {
        let (kind, mut bytes) = (Kind::draw(&mut self.rng), std::mem::take(&mut self.bytes));
        let made = self.make(kind, to, time_s, genuine, &mut bytes);
        // From anywhere: addresses are as easily forged.
        let from = address_of(self.rng.usize(..WORKERS));
        let fate = match (kind, &mut self.restarted) {
            _ if !made => None,
            (Kind::Stale, Some(restarted)) => {
                let mut plain = [0; FRAME_MAX];
                let opened = restarted.open_frame(&bytes, &mut plain);
                Some(if was_opened(&opened, bytes.first().copied()) {
                    Fate::Taken
                } else {
                    Fate::Refused(opened.err())
                })
            }
            _ => Some(worker.receive(now, from, &bytes)),
        };
        if let Some(fate) = fate {
            self.tally.forged(kind, fate);
        }
        self.bytes = bytes;
    }

    /// Puts a forgery of this kind for the worker `to` in `out`. False if there is none.
    fn make(&mut self, kind: Kind, to: usize, time_s: u32, genuine: &[u8], out: &mut Vec<u8>) -> bool {
        let Adversary { rng, wires, .. } = self;
        let heard = |rng: &mut Rng, wire: &Wire| rng.choice(&wire.heard).cloned();
        let found = match kind {
            Kind::Changed(change) => {
                let any = rng.usize(..WORKERS);
                let Some(other) = rng.choice(&wires[any].heard) else { return false };
                return change.make(rng, genuine, other, out);
            }
            Kind::Replayed => heard(rng, &wires[to]),
            Kind::Padded => heard(rng, &wires[to]).map(|mut bytes| {
                bytes.resize(bytes.len() + rng.usize(1..64), 0);
                bytes
            }),
            Kind::Misdirected => {
                let elsewhere = (to + rng.usize(1..WORKERS)) % WORKERS;
                heard(rng, &wires[elsewhere])
            }
            Kind::HeldBack => wires[to].held_back_for_ever(rng),
            Kind::Stale => rng
                .choice(&wires[to].old)
                .filter(|(at_s, _)| time_s - at_s >= OLD_S)
                .map(|(_, bytes)| bytes.clone()),
            Kind::OtherKey => rng.choice(&self.other_key).cloned(),
            Kind::Renamed => rng.choice(&self.other_key).cloned().map(|mut bytes| {
                bytes[KEY_AND_TIME].copy_from_slice(&genuine[KEY_AND_TIME]);
                bytes
            }),
            Kind::Plain => rng.choice(&self.plain).cloned(),
            Kind::OfStream => rng.choice(&wires[to].said).cloned(),
        };
        found.map(|found| *out = found).is_some()
    }

    /// The message at `at` of a turn is on its way to the worker `to`, whose `seal` of that stream, with what opens and seals for it,
    /// are these.
    pub(super) fn message(
        &mut self,
        opener: &mut Opener,
        (to, seal, sealer): (usize, &StreamSeal, &mut Sealer),
        turn: &[Vec<u8>],
        at: usize,
    ) {
        for _ in 0..self.inputs_each * PER_MESSAGE {
            let kind = StreamKind::draw(&mut self.rng);
            let mut bytes = std::mem::take(&mut self.bytes);
            if self.make_message(kind, to, turn, at, &mut bytes) {
                let anew = kind == StreamKind::Anew || self.rng.u8(..4) == 0 && kind != StreamKind::Ahead;
                let mut seal = if anew { sealer.accept_stream() } else { seal.clone() };
                let first = bytes.first().copied();
                let opened = opener.open_message(&mut seal, &mut bytes);
                let taken = was_opened(&opened, first);
                self.tally
                    .forged_message(kind, if taken { Fate::Taken } else { Fate::Refused(opened.err()) });
            }
            self.bytes = bytes;
        }
    }

    /// And has been read, or not.
    pub(super) fn message_passed(&mut self, to: usize, message: &[u8], taken: bool) {
        let wire = &mut self.wires[to];
        keep(&mut wire.said, &mut wire.next_said, KEPT, message);
        self.tally.genuine_message(taken);
    }

    fn make_message(
        &mut self,
        kind: StreamKind,
        to: usize,
        turn: &[Vec<u8>],
        at: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let Adversary { rng, wires, .. } = self;
        let Some(said) = rng.choice(&wires[to].said) else { return false };
        let found = match kind {
            StreamKind::Changed(change) => return change.make(rng, &turn[at], said, out),
            StreamKind::Anew | StreamKind::Crossed => Some(said),
            StreamKind::Ahead => rng.choice(&turn[at + 1..]),
            StreamKind::Plain => rng.choice(&self.plain),
            StreamKind::OfDatagram => rng.choice(&wires[to].heard),
        };
        found.map(|found| out.clone_from(found)).is_some()
    }
}
