//! Changes of the member table: what news costs, and the exchanges that carry whole tables.
//!
//! "10 news" handles a datagram of ten alive updates at a higher incarnation: ten entries replaced, the state
//! root moved ten times, ten broadcasts queued (in place of older ones about the same members, or of those
//! sent most often once the queue is full).

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use swimring::protocol::StreamPurpose;
use swimring_bench::{Deck, Fleet, UPDATES};
use swimring_codec::MemberId;
use swimring_codec::native::{StreamBody, StreamMessage, stream_message_len};

use crate::quick::quick;

const KNOWN: [usize; 4] = [100, 1_000, 10_000, 50_000];

fn news(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table, 10 news");
    group.throughput(Throughput::Elements(UPDATES as u64));
    for known in KNOWN {
        let mut fleet = Fleet::new(1, known);
        let mut deck = Deck::news(known);
        group.bench_function(BenchmarkId::from_parameter(known), |bencher| {
            bencher.iter(|| {
                let (from, datagram) = deck.draw_news();
                fleet.handle(0, datagram, from)
            });
        });
        let counters = fleet.scenery.commons.counters;
        assert_eq!(counters.broadcasts_queued, counters.frames_received * UPDATES as u64, "all was news");
    }
    group.finish();
}

/// A view written for a joining member, and read by one that knows all of it.
fn views(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table, whole view");
    for known in [100, 10_000] {
        group.throughput(Throughput::Elements(known as u64));
        let mut fleet = Fleet::new(1, known);
        let mut view = Vec::new();
        group.bench_function(BenchmarkId::new("write", known), |bencher| {
            bencher.iter(|| {
                view.clear();
                let purpose = StreamPurpose::Join { token: 1 };
                let Fleet { members, scenery } = &mut fleet;
                members[0].open_stream(purpose, MemberId::NONE, &mut scenery.commons, &mut view);
                view.len()
            });
        });
        group.bench_function(BenchmarkId::new("merge, nothing new", known), |bencher| {
            bencher.iter(|| merge(&mut fleet, &view));
        });
        let counters = fleet.scenery.commons.counters;
        assert_eq!((counters.decode_errors, counters.members_joined), (0, 0), "all was known");
        assert_eq!(counters.push_pull_records % known as u64, 0, "all of it was read");
    }
    group.finish();
}

/// Handles the records of a join as its receiver does.
fn merge(fleet: &mut Fleet, stream: &[u8]) {
    let Fleet { members, scenery } = fleet;
    let mut rest = stream;
    while let Some((prefix, tail)) = rest.split_first_chunk() {
        let (bytes, tail) = tail.split_at(stream_message_len(*prefix).expect("a length"));
        let message = StreamMessage::decode(bytes).expect("a stream message");
        if matches!(message.body, StreamBody::State(_)) {
            scenery.call(|now, commons, out| {
                members[0].handle_stream(now, None, &message, &mut Vec::new(), commons, out)
            });
        }
        rest = tail;
    }
}

criterion_group! { name = benches; config = quick(); targets = news, views }
