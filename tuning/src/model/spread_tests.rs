//! The epidemic's formula against an experiment with members, grids and copies.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const LAN: SpreadInputs = SpreadInputs {
    members: 1_000,
    fanout: 3.0,
    gossip_interval_s: 0.2,
    piggybacked_per_s: 0.0,
    copies: 16.0,
    loss: 0.0,
    latency_s: 0.000_5,
};

/// One rumour among members that each tell on their own grid. Gives every delay, infinite for who is missed.
fn experiment(inputs: &SpreadInputs, rng: &mut fastrand::Rng) -> Vec<f64> {
    let n = inputs.members as usize;
    let us = |seconds: f64| (seconds * 1e6) as u64;
    let mut known = vec![f64::INFINITY; n];
    let mut left = vec![inputs.copies as u32; n];
    // (time, member, whether it is a tick of its own)
    let mut happenings = BinaryHeap::from([Reverse((0_u64, 0_usize, false))]);
    while let Some(Reverse((now, member, tick))) = happenings.pop() {
        if !tick {
            if known[member].is_finite() {
                continue;
            }
            known[member] = now as f64 / 1e6;
            happenings.push(Reverse((now + us(rng.f64() * inputs.gossip_interval_s), member, true)));
            continue;
        }
        let mut told = Vec::new();
        while told.len() < (inputs.fanout as usize).min(n - 1) && left[member] > 0 {
            let target = rng.usize(..n);
            if target == member || told.contains(&target) {
                continue;
            }
            told.push(target);
            left[member] -= 1;
            if rng.f64() >= inputs.loss {
                happenings.push(Reverse((now + us(inputs.latency_s), target, false)));
            }
        }
        if left[member] > 0 {
            happenings.push(Reverse((now + us(inputs.gossip_interval_s), member, true)));
        }
    }
    known.split_off(1)
}

/// The formula's and the experiment's p50 and p99 delay and median last member.
fn both(inputs: &SpreadInputs, runs: usize) -> [(f64, f64); 3] {
    let mut rng = fastrand::Rng::with_seed(11);
    let mut all = Vec::new();
    let mut last = Vec::new();
    for _ in 0..runs {
        let delays = experiment(inputs, &mut rng);
        last.push(delays.iter().copied().fold(0.0, f64::max));
        all.extend(delays);
    }
    all.sort_by(f64::total_cmp);
    last.sort_by(f64::total_cmp);
    let at = |sorted: &[f64], share: f64| sorted[(share * sorted.len() as f64) as usize];
    let spread = Spread::of(inputs);
    [
        (spread.delay_s(0.5).unwrap(), at(&all, 0.5)),
        (spread.delay_s(0.99).unwrap(), at(&all, 0.99)),
        (spread.last_s(0.5).unwrap_or(f64::INFINITY), at(&last, 0.5)),
    ]
}

#[test]
fn delays_are_those_of_an_experiment() {
    let cases = [
        (LAN, 60),
        (SpreadInputs { members: 100, copies: 12.0, ..LAN }, 400),
        (SpreadInputs { members: 20, copies: 8.0, ..LAN }, 1_000),
        (SpreadInputs { fanout: 1.0, ..LAN }, 60),
        (SpreadInputs { fanout: 6.0, ..LAN }, 60),
        (SpreadInputs { loss: 0.2, ..LAN }, 60),
        (SpreadInputs { latency_s: 0.1, ..LAN }, 60),
    ];
    for (inputs, runs) in cases {
        for (what, (formula, experiment)) in ["p50", "p99", "last"].into_iter().zip(both(&inputs, runs)) {
            let ratio = formula / experiment;
            println!("{what}: {formula:.3} s by formula, {experiment:.3} s, ratio {ratio:.3} {inputs:?}");
            assert!((0.88..1.12).contains(&ratio), "{what}: {formula} and {experiment}: {inputs:?}");
        }
    }
}

#[test]
fn few_copies_leave_members_out_as_the_final_size_says() {
    let inputs = SpreadInputs { copies: 3.0, ..LAN };
    let missed = Spread::of(&inputs).missed();
    let mut rng = fastrand::Rng::with_seed(3);
    let runs = 60;
    let outside: usize = (0..runs)
        .map(|_| experiment(&inputs, &mut rng).iter().filter(|delay| delay.is_infinite()).count())
        .sum();
    let measured = outside as f64 / f64::from(runs) / 999.0;
    assert!((missed / measured - 1.0).abs() < 0.1, "{missed} and {measured}");
    assert_eq!(Spread::of(&inputs).delay_s(0.99), None);
}

#[test]
fn two_members_tell_each_other_at_the_first_tick() {
    let spread = Spread::of(&SpreadInputs { members: 2, copies: 4.0, ..LAN });
    let median = spread.delay_s(0.5).unwrap();
    assert!((0.08..0.13).contains(&median), "{median}");
    assert!(spread.last_s(0.99).unwrap() < 0.25);
}

proptest! {
    #[test]
    fn fanout_never_slows_and_loss_never_hastens(
        members in 2_u32..200_000,
        fanout in 1_u32..12,
        loss in 0.0..0.6_f64,
        latency_s in 0.0..0.2_f64,
    ) {
        let inputs = SpreadInputs {
            members,
            fanout: fanout.into(),
            loss,
            latency_s,
            // Enough for all to be reached, so that there is a time to compare.
            copies: 60.0,
            ..LAN
        };
        let median = |inputs: &SpreadInputs| Spread::of(inputs).delay_s(0.9).unwrap_or(f64::INFINITY);
        let base = median(&inputs);
        prop_assert!(base.is_finite() && base > 0.0);
        // A step of the curve is as fine as the comparison can be.
        let slack = 1.0 + 2.0 / STEPS_PER_TICK as f64;
        let wider = median(&SpreadInputs { fanout: inputs.fanout + 1.0, ..inputs });
        let lossier = median(&SpreadInputs { loss: loss + 0.1, ..inputs });
        prop_assert!(wider <= base * slack, "{} {}", wider, base);
        prop_assert!(lossier >= base / slack, "{} {}", lossier, base);
    }

    #[test]
    fn the_uninformed_only_grow_fewer(
        members in 2_u32..50_000,
        copies in 1_u32..30,
        times in prop::collection::vec(0.0..10.0_f64, 2..20),
    ) {
        let spread = Spread::of(&SpreadInputs { members, copies: copies.into(), ..LAN });
        let mut times = times;
        times.sort_by(f64::total_cmp);
        for pair in times.windows(2) {
            prop_assert!(spread.uninformed_s(pair[1]) <= spread.uninformed_s(pair[0]) + 1e-12);
            prop_assert!(spread.somebody_uninformed_s(pair[1]) <= spread.somebody_uninformed_s(pair[0]) + 1e-12);
        }
    }
}
