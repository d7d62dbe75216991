//! The same with foca 2.0: told of the others in datagrams of ten, over postcard, its own codec, with identities that
//! are a name and an address.
//!
//! foca finds a member by walking its table, so what it is told grows dear; of many members it is told of some only.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use foca::{
    Codec, Config, Foca, Header, Identity, Member, Message, NoCustomBroadcast, Notification, PostcardCodec,
    Runtime, State, Timer,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use swimring_loadgen::allocations::held_by_this_thread;
use swimring_tooling::cpu::{of_this_thread, resident_bytes};

use crate::case::{Cost, UPDATES, address_of, name_of, shuffled};

/// Most members that updates are told of.
const TOLD_MAX: usize = 2_000;

/// A member: what ours knows of one, without metadata.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Node {
    address: SocketAddr,
    name: Box<str>,
}

impl Node {
    fn new(number: usize) -> Node {
        Node { address: address_of(number), name: name_of(number).into() }
    }
}

impl Identity for Node {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Node> {
        None
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, _: &Node) -> bool {
        false
    }
}

/// Takes what it sends, and keeps no timers.
struct Nowhere;

impl Runtime<Node> for Nowhere {
    fn notify(&mut self, _: Notification<'_, Node>) {}

    fn send_to(&mut self, _: Node, _: &[u8]) {}

    fn submit_after(&mut self, _: Timer<Node>, _: Duration) {}
}

type Peer = Foca<Node, PostcardCodec, StdRng, NoCustomBroadcast>;

fn datagram(own: &Node, subjects: &[usize], incarnation: u16, state: State) -> Vec<u8> {
    let src = Node::new(subjects[0]);
    let header = Header { src, src_incarnation: incarnation, dst: own.clone(), message: Message::Gossip };
    let mut bytes = Vec::new();
    PostcardCodec.encode_header(&header, &mut bytes).expect("a header");
    bytes.extend_from_slice(&(subjects.len() as u16).to_be_bytes());
    for subject in subjects {
        let member = Member::new(Node::new(*subject), incarnation, state);
        PostcardCodec.encode_member(&member, &mut bytes).expect("an update");
    }
    bytes
}

/// Tells `state` of all `subjects`, and gives the processor time that it took.
fn tell(peer: &mut Peer, own: &Node, subjects: &[usize], incarnation: u16, state: State) -> Duration {
    let mut spent = Duration::ZERO;
    for subjects in subjects.chunks(UPDATES) {
        let datagram = datagram(own, subjects, incarnation, state);
        let began = of_this_thread();
        peer.handle_data(&datagram, Nowhere).expect("handled");
        spent += of_this_thread() - began;
    }
    spent
}

/// Has it pass on all it has to say.
fn pass_on(peer: &mut Peer) -> Result<(), foca::Error> {
    while peer.updates_backlog() > 0 {
        peer.gossip(Nowhere)?;
    }
    Ok(())
}

pub fn measure(known: usize) -> Result<Cost, Box<dyn Error>> {
    let own = Node { address: SocketAddr::from(([10, 255, 0, 1], 7946)), name: "self".into() };
    let config = Config::new_lan(NonZeroU32::new(known as u32 + 1).ok_or("nobody")?);
    let mut peer: Peer = Foca::new(own.clone(), config, StdRng::seed_from_u64(1), PostcardCodec);
    let subjects = shuffled(known);
    let (held, resident) = (held_by_this_thread(), resident_bytes().unwrap_or(0));
    let learned = tell(&mut peer, &own, &subjects, 0, State::Alive);
    assert_eq!(peer.num_members(), known, "all are known");
    let heap_bytes_learning = held_by_this_thread() - held;
    pass_on(&mut peer)?;
    let heap_bytes = held_by_this_thread() - held;
    let resident = resident_bytes().unwrap_or(0).saturating_sub(resident);
    let told = &subjects[..known.min(TOLD_MAX)];
    let each = |spent: Duration, updates: usize| spent.as_secs_f64() * 1e9 / (told.len() * updates) as f64;
    let alive_ns = each(tell(&mut peer, &own, told, 1, State::Alive), 1);
    pass_on(&mut peer)?;
    let suspected = tell(&mut peer, &own, told, 1, State::Suspect);
    let refuted = tell(&mut peer, &own, told, 2, State::Alive);
    pass_on(&mut peer)?;
    assert_eq!(peer.num_members(), known, "all are there");
    Ok(Cost {
        known,
        heap_bytes,
        heap_bytes_learning: Some(heap_bytes_learning),
        resident_bytes: resident,
        learned_ms: learned.as_secs_f64() * 1e3,
        idle_us: None,
        alive_ns,
        suspected_ns: Some(each(suspected + refuted, 2)),
        died_ns: None,
        event_ns: None,
    })
}
