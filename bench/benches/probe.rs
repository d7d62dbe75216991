//! Probing: whom to probe next, and what a whole probe costs the prober.

use criterion::{BenchmarkId, Criterion, criterion_group};
use swimring::protocol::{Permutation, Time};
use swimring_bench::Fleet;

use crate::quick::quick;

fn order(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("probe order, next target");
    for known in [100, 1_000, 10_000, 50_000, 65_537] {
        let permutation = Permutation::new(7, known);
        let mut position = 0;
        group.bench_function(BenchmarkId::from_parameter(known), |bencher| {
            bencher.iter(|| {
                position = if position + 1 == known { 0 } else { position + 1 };
                permutation.at(position)
            });
        });
    }
    group.finish();
}

/// The timer fires, a target is chosen and pinged, its ack is handled.
fn probe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("probe, ping and ack");
    for (members, known) in [(1, 100), (1, 10_000), (1, 50_000), (1_000, 10_000)] {
        let mut fleet = Fleet::new(members, known);
        let mut due: Vec<Time> = fleet.members.iter().map(|member| member.next_timeout()).collect();
        let mut order: Vec<usize> = (0..members).collect();
        order.sort_by_key(|number| due[*number]);
        let mut turn = 0;
        group.bench_function(BenchmarkId::new(format!("{members} members"), known), |bencher| {
            bencher.iter(|| {
                let number = order[turn % members];
                turn += 1;
                fleet.scenery.now = fleet.scenery.now.max(due[number]);
                due[number] = fleet.probe(number);
            });
        });
        let counters = fleet.scenery.commons.counters;
        assert_eq!(counters.probes_acked, counters.probes_sent, "every probe was answered");
        assert!(counters.probes_acked >= turn as u64 / 2, "a probe for nearly every timer");
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = order, probe }
