//! What a member pays for a datagram that tells it nothing new: nearly every datagram of a cluster.
//!
//! Targets for ten updates: under 1 us with 100 known members, under 2 us with 50,000. "fleet" is the same
//! for 1,000 members in one process, a random one of which receives each datagram: its state is not in
//! cache, as it is not in a load generator.

use criterion::{BenchmarkId, Criterion, criterion_group};
use swimring_bench::{Deck, Fleet};

use crate::quick::quick;

const KNOWN: [usize; 4] = [100, 1_000, 10_000, 50_000];
const FLEET_MEMBERS: usize = 1_000;
const FLEET_KNOWN: usize = 10_000;

/// Makes a deck for members with a view of this size.
type DeckOf = fn(usize, &mut Fleet) -> Deck;

const DECKS: [(&str, DeckOf); 6] = [
    ("10 alive", |known, _| Deck::alive(known)),
    ("10 suspect, dead, left", Deck::troubled),
    ("10 introductions", |known, _| Deck::introductions(known)),
    ("ping", |known, fleet| Deck::pings(known, fleet.members[0].root())),
    ("ping, roots differ", |known, _| Deck::pings(known, 0)),
    ("user event", Deck::events),
];

fn one_member(criterion: &mut Criterion) {
    for (name, deck_of) in DECKS {
        let mut group = criterion.benchmark_group(format!("handle {name}"));
        for known in KNOWN {
            let mut fleet = Fleet::new(1, known);
            let mut deck = deck_of(known, &mut fleet);
            deck.check_changes_nothing(&mut fleet);
            group.bench_function(BenchmarkId::from_parameter(known), |bencher| {
                bencher.iter(|| {
                    let (from, datagram) = deck.draw();
                    fleet.handle(0, datagram, from)
                });
            });
        }
        group.finish();
    }
}

fn fleet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handle, fleet of 1000");
    for (name, deck_of) in DECKS {
        // A queue and a suspicion per member and subject: one member shows that as well.
        if name.contains("dead") {
            continue;
        }
        let mut fleet = Fleet::new(FLEET_MEMBERS, FLEET_KNOWN);
        let mut deck = deck_of(FLEET_KNOWN, &mut fleet);
        deck.check_changes_nothing(&mut fleet);
        let mut rng = fastrand::Rng::with_seed(9);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (from, datagram) = deck.draw();
                fleet.handle(rng.usize(..FLEET_MEMBERS), datagram, from)
            });
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = one_member, fleet }
