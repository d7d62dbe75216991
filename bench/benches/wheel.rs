//! The worker's timer wheel with one timer for each of its members.

use criterion::{BenchmarkId, Criterion, criterion_group};
use swimring::protocol::Time;
use swimring::worker::timer_wheel::{TICK_MICROS, Wheel};

use crate::quick::quick;

const MEMBERS: [u32; 3] = [100, 10_000, 100_000];
const SLOTS: usize = 4_096;
/// A probe interval: where members arm their timers.
const INTERVAL_MICROS: u64 = 1_000_000;

fn at(micros: u64) -> Time {
    Time::from_micros(micros)
}

/// A wheel with `members` timers spread over the interval.
fn full(members: u32) -> Wheel {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut wheel = Wheel::new(Time::ZERO, SLOTS);
    wheel.reserve(members);
    for member in 0..members {
        wheel.schedule(member, at(rng.u64(1..INTERVAL_MICROS)));
    }
    wheel
}

fn wheel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    for members in MEMBERS {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut timers = full(members);
        group.bench_function(BenchmarkId::new("move a timer", members), |bencher| {
            bencher.iter(|| timers.schedule(rng.u32(..members), at(rng.u64(1..INTERVAL_MICROS))));
        });
        let mut timers = full(members);
        let mut now = 0;
        group.bench_function(BenchmarkId::new("fire a timer and arm it again", members), |bencher| {
            bencher.iter(|| {
                loop {
                    if let Some((member, deadline)) = timers.next_expired(at(now)) {
                        timers.schedule(member, at(deadline.as_micros() + INTERVAL_MICROS));
                        return member;
                    }
                    now = timers.next_deadline(at(now + TICK_MICROS)).expect("armed timers").as_micros();
                }
            });
        });
        let timers = full(members);
        group.bench_function(BenchmarkId::new("next deadline", members), |bencher| {
            bencher.iter(|| timers.next_deadline(at(0)));
        });
    }
    let mut lone = Wheel::new(Time::ZERO, SLOTS);
    lone.schedule(0, at(SLOTS as u64 * TICK_MICROS - TICK_MICROS));
    group.bench_function("next deadline, one timer a turn away", |bencher| {
        bencher.iter(|| lone.next_deadline(at(0)));
    });
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = wheel }
