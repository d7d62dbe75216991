//! The same datagram, handled by foca 2.0 and by Swimring, in one run on one machine.
//!
//! Both are told ten times that a member they hold alive is alive; foca over postcard, its own codec. foca
//! looks each member up by walking its table, so its cost grows with the size of the cluster.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group};
use foca::{
    Codec, Config, Foca, Header, Member, Message, NoCustomBroadcast, Notification, PostcardCodec, Runtime,
    Timer,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use swimring_bench::{Deck, Fleet, UPDATES, address_of};

use crate::quick::quick;

const KNOWN: [usize; 4] = [100, 1_000, 10_000, 50_000];

/// Counts what is sent and ignores the rest: a driver that costs nothing.
#[derive(Default)]
struct Nowhere {
    sent: u64,
}

impl Runtime<SocketAddr> for Nowhere {
    fn notify(&mut self, _notification: Notification<'_, SocketAddr>) {}

    fn send_to(&mut self, _to: SocketAddr, _data: &[u8]) {
        self.sent += 1;
    }

    fn submit_after(&mut self, _event: Timer<SocketAddr>, _after: Duration) {}
}

type Peer = Foca<SocketAddr, PostcardCodec, StdRng, NoCustomBroadcast>;

/// Member 0 with a view of `known` members.
fn peer(known: usize) -> Peer {
    let size = NonZeroU32::new(known as u32).expect("members");
    let config = Config::new_lan(size);
    let mut peer = Foca::new(address_of(0), config, StdRng::seed_from_u64(1), PostcardCodec);
    let members = (1..known).map(|number| Member::alive(address_of(number)));
    peer.apply_many(members, false, &mut Nowhere::default()).expect("members are applied");
    peer
}

fn datagram(subjects: &[usize], message: Message<SocketAddr>) -> Vec<u8> {
    let header = Header { src: address_of(subjects[0]), src_incarnation: 0, dst: address_of(0), message };
    let mut bytes = Vec::new();
    PostcardCodec.encode_header(&header, &mut bytes).expect("a header");
    bytes.extend_from_slice(&(subjects.len() as u16).to_be_bytes());
    for subject in subjects {
        let member = Member::alive(address_of(*subject));
        PostcardCodec.encode_member(&member, &mut bytes).expect("an update");
    }
    bytes
}

/// Ten updates each, through the whole table in random order.
fn datagrams(known: usize) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut subjects: Vec<usize> = (1..known).collect();
    rng.shuffle(&mut subjects);
    subjects.chunks_exact(UPDATES).map(|subjects| datagram(subjects, Message::Gossip)).collect()
}

fn side_by_side(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("peers: 10 alive");
    for known in KNOWN {
        let mut peer = peer(known);
        let datagrams = datagrams(known);
        let mut next = datagrams.iter().cycle();
        group.bench_function(BenchmarkId::new("foca 2.0", known), |bencher| {
            bencher.iter(|| {
                let datagram = next.next().expect("a cycle");
                peer.handle_data(datagram, Nowhere::default()).expect("handled");
            });
        });
        assert_eq!((peer.num_members(), peer.updates_backlog()), (known - 1, 0), "nothing has changed");
        let mut fleet = Fleet::new(1, known);
        let mut deck = Deck::alive(known);
        group.bench_function(BenchmarkId::new("swimring", known), |bencher| {
            bencher.iter(|| {
                let (from, datagram) = deck.draw();
                fleet.handle(0, datagram, from)
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = side_by_side }
