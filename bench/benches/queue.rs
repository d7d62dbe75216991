//! The dissemination queue at work: choosing what a frame carries, writing it, and counting it as sent.
//!
//! A round of gossip fills three frames of 1,400 bytes with the least-sent broadcasts. An ack carries as
//! many. Before a queue runs low it is filled again, off the clock.
#![allow(clippy::disallowed_methods, reason = "a bench that leaves the refilling out reads the clock itself")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use swimring_bench::{Deck, Fleet, UPDATES, settings};

use crate::quick::quick;

const KNOWN: usize = 10_000;
const QUEUED: [usize; 3] = [10, 100, 4_000];

/// A member with something to say, and what it is told to have it.
struct Gossiper {
    fleet: Fleet,
    news: Deck,
    queued: u32,
}

impl Gossiper {
    fn new(queued: usize) -> Gossiper {
        let mut settings = settings();
        // Nothing but gossip: no probe, and so no suspicion, comes between.
        settings.probe_interval = Duration::from_secs(1 << 32);
        settings.push_pull_interval = Duration::ZERO;
        let mut news = Deck::news(KNOWN);
        news.truncate(queued / UPDATES);
        Gossiper { fleet: Fleet::with(1, KNOWN, settings), news, queued: queued as u32 }
    }

    /// Fills the queue if less than half of it is left.
    fn refill(&mut self) {
        if self.fleet.members[0].queued() > self.queued / 2 {
            return;
        }
        for _ in 0..self.news.len() {
            let (from, datagram) = self.news.draw_news();
            self.fleet.handle(0, datagram, from);
        }
        assert_eq!(self.fleet.members[0].queued(), self.queued);
    }

    /// The time that `rounds` of `round` take.
    fn time(&mut self, rounds: u64, mut round: impl FnMut(&mut Fleet)) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..rounds {
            self.refill();
            let start = Instant::now();
            round(&mut self.fleet);
            spent += start.elapsed();
        }
        spent
    }
}

fn gossip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue, a gossip round of 3 frames");
    for queued in QUEUED {
        let mut gossiper = Gossiper::new(queued);
        let interval = settings().gossip_interval;
        group.bench_function(BenchmarkId::new("queued", queued), |bencher| {
            bencher.iter_custom(|rounds| {
                gossiper.time(rounds, |fleet| {
                    fleet.scenery.now = fleet.scenery.now + interval;
                    fleet.timeout(0);
                })
            });
        });
        let counters = gossiper.fleet.scenery.commons.counters;
        assert_eq!(counters.gossip_deferred, 0, "every round was held");
    }
    group.finish();
}

fn ack(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue, a ping answered with news");
    for queued in QUEUED {
        let mut gossiper = Gossiper::new(queued);
        let mut pings = Deck::pings(KNOWN, 0);
        group.bench_function(BenchmarkId::new("queued", queued), |bencher| {
            bencher.iter_custom(|rounds| {
                gossiper.time(rounds, |fleet| {
                    let (from, ping) = pings.draw();
                    fleet.handle(0, ping, from);
                })
            });
        });
        let counters = gossiper.fleet.scenery.commons.counters;
        assert!(counters.broadcast_copies_sent >= counters.frames_sent, "every ack carried news");
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = gossip, ack }
