//! A delegated broadcast one datagram at a time: members with random ids, some of them dead, that divide, wait for
//! acknowledgements and try again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::BroadcastInputs;
use super::attempts::ATTEMPTS;

/// What several broadcasts came to.
#[derive(Default)]
pub struct Outcome {
    /// Each live member's delay in seconds, the originator apart; infinite for who was not told.
    pub delays_s: Vec<f64>,
    /// Datagrams with an update.
    pub sends: u64,
    /// Acknowledgements.
    pub acks: u64,
    /// Delegations of the originators.
    pub originator_delegations: u64,
    /// Broadcasts.
    pub broadcasts: u64,
}

/// What is to happen, to a delegation and at which attempt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Begins,
    Sent,
    Arrived { target: usize },
    Acknowledged,
    TimedOut,
}

type Happening = Reverse<(u64, What, usize, usize)>;

struct Delegation {
    update: usize,
    from: usize,
    part: Range<usize>,
    prefix_bits: u32,
    target: usize,
    attempt: usize,
    acknowledged: bool,
}

/// Members in one cluster, and updates on their way.
struct Experiment<'a> {
    inputs: BroadcastInputs,
    timeout_s: f64,
    rng: &'a mut fastrand::Rng,
    /// In order.
    ids: Vec<u64>,
    dead: Vec<bool>,
    /// When each member was last to pass on, or will.
    passed_on_us: Vec<Option<u64>>,
    delegations: Vec<Delegation>,
    happenings: BinaryHeap<Happening>,
    /// Of each update: who began it, when, and when each member was told.
    updates: Vec<(usize, u64, Vec<u64>)>,
    outcome: Outcome,
}

const NEVER: u64 = u64::MAX;

/// So many updates, one after the other at the rate of `inputs` (all at once if it is none, which is for one only), in a
/// cluster of its own. A fixed first timeout.
pub fn experiment(
    inputs: &BroadcastInputs,
    timeout_s: f64,
    updates: usize,
    rng: &mut fastrand::Rng,
) -> Outcome {
    let mut ids: Vec<u64> = (0..inputs.members).map(|_| rng.u64(..)).collect();
    ids.sort_unstable();
    let dead = ids.iter().map(|_| rng.f64() < inputs.dead).collect();
    let passed_on_us = vec![None; ids.len()];
    let mut experiment = Experiment {
        inputs: *inputs,
        timeout_s,
        rng,
        ids,
        dead,
        passed_on_us,
        delegations: Vec::new(),
        happenings: BinaryHeap::new(),
        updates: Vec::new(),
        outcome: Outcome::default(),
    };
    experiment.begin(updates);
    while let Some(Reverse((now, what, which, attempt))) = experiment.happenings.pop() {
        experiment.happens(now, what, which, attempt);
    }
    experiment.finish()
}

impl Experiment<'_> {
    fn begin(&mut self, updates: usize) {
        let mut now_us = 0;
        for update in 0..updates {
            let origin = loop {
                let member = self.rng.usize(..self.ids.len());
                if !self.dead[member] {
                    break member;
                }
                if self.dead.iter().all(|dead| *dead) {
                    self.dead[member] = false;
                }
            };
            self.updates.push((origin, now_us, vec![NEVER; self.ids.len()]));
            self.happenings.push(Reverse((now_us, What::Begins, update, 0)));
            if self.inputs.updates_per_s > 0.0 {
                now_us += us(-(1.0 - self.rng.f64()).ln() / self.inputs.updates_per_s);
            }
        }
    }

    fn happens(&mut self, now: u64, what: What, which: usize, attempt: usize) {
        match what {
            What::Begins => {
                let origin = self.updates[which].0;
                let before = self.delegations.len();
                self.told(now, which, origin, 0..self.ids.len(), 0);
                self.outcome.originator_delegations += (self.delegations.len() - before) as u64;
            }
            What::Sent => self.send(now, which, attempt),
            What::Arrived { target } => {
                let Delegation { update, part, prefix_bits, .. } = &self.delegations[which];
                let (update, part, prefix_bits) = (*update, part.clone(), *prefix_bits);
                self.outcome.acks += 1;
                if self.rng.f64() >= self.inputs.loss {
                    let at = now + self.way_us();
                    self.happenings.push(Reverse((at, What::Acknowledged, which, attempt)));
                }
                self.told(now, update, target, part, prefix_bits);
            }
            // After the timeout nobody waits for it.
            What::Acknowledged => {
                let delegation = &mut self.delegations[which];
                delegation.acknowledged |= delegation.attempt == attempt;
            }
            What::TimedOut if self.delegations[which].acknowledged => {}
            What::TimedOut => self.retry(now, which, attempt + 1),
        }
    }

    /// A member that was told serves its part, once.
    fn told(&mut self, now: u64, update: usize, own: usize, mut part: Range<usize>, mut prefix_bits: u32) {
        let told = &mut self.updates[update].2[own];
        if *told != NEVER {
            return;
        }
        *told = now;
        while part.len() > 1 && prefix_bits < u64::BITS {
            let below = (prefix_bits + u32::from(self.inputs.step_bits)).min(u64::BITS);
            let (mut first, mut mine) = (part.start, part.clone());
            while first < part.end {
                let prefix = self.ids[first] >> (u64::BITS - below);
                let same = |id: &u64| *id >> (u64::BITS - below) == prefix;
                let end = first + self.ids[first..part.end].partition_point(same);
                if (first..end).contains(&own) {
                    mine = first..end;
                } else {
                    self.delegate(now, update, own, first..end, below);
                }
                first = end;
            }
            (part, prefix_bits) = (mine, below);
        }
    }

    fn delegate(&mut self, now: u64, update: usize, from: usize, part: Range<usize>, prefix_bits: u32) {
        let target = self.rng.usize(part.clone());
        let delegation =
            Delegation { update, from, part, prefix_bits, target, attempt: 0, acknowledged: false };
        self.delegations.push(delegation);
        self.pass_on(now, self.delegations.len() - 1, 0);
    }

    /// Now, or when the pacing interval ends.
    fn pass_on(&mut self, now: u64, which: usize, attempt: usize) {
        let from = self.delegations[which].from;
        let pacing_us = us(self.inputs.pacing_s);
        let at = match self.passed_on_us[from] {
            Some(before) if now <= before => before,
            Some(before) => now.max(before + pacing_us),
            None => now,
        };
        self.passed_on_us[from] = Some(at);
        self.happenings.push(Reverse((at, What::Sent, which, attempt)));
    }

    fn send(&mut self, now: u64, which: usize, attempt: usize) {
        self.outcome.sends += 1;
        let target = self.delegations[which].target;
        if !self.dead[target] && self.rng.f64() >= self.inputs.loss {
            let at = now + self.way_us();
            self.happenings.push(Reverse((at, What::Arrived { target }, which, attempt)));
        }
        let timeout_us = us(self.timeout_s * f64::from(self.inputs.backoff.pow(attempt as u32)));
        self.happenings.push(Reverse((now + timeout_us, What::TimedOut, which, attempt)));
    }

    fn retry(&mut self, now: u64, which: usize, attempt: usize) {
        if attempt >= ATTEMPTS {
            return;
        }
        let Delegation { part, target, attempt: current, .. } = &mut self.delegations[which];
        *current = attempt;
        if attempt >= 2 && part.len() > 1 {
            let other = self.rng.usize(part.start..part.end - 1);
            *target = other + usize::from(other >= *target);
        }
        self.pass_on(now, which, attempt);
    }

    /// One way and the wait for the receiver's turn.
    fn way_us(&mut self) -> u64 {
        let BroadcastInputs { rtt_median_s, rtt_sigma, turn_s, .. } = self.inputs;
        // Two such ways have the round trip's mean and variance.
        let variance = (2.0 * (rtt_sigma * rtt_sigma).exp_m1()).ln_1p();
        let median_s = rtt_median_s / 2.0 * ((rtt_sigma * rtt_sigma - variance) / 2.0).exp();
        let normal =
            (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * self.rng.f64()).cos();
        us(median_s * (variance.sqrt() * normal).exp() + turn_s * self.rng.f64())
    }

    fn finish(mut self) -> Outcome {
        for (origin, began, told) in &self.updates {
            let others =
                told.iter().enumerate().filter(|(member, _)| member != origin && !self.dead[*member]);
            self.outcome.delays_s.extend(others.map(|(_, told)| match *told {
                NEVER => f64::INFINITY,
                told => (told - began) as f64 / 1e6,
            }));
        }
        self.outcome.broadcasts = self.updates.len() as u64;
        self.outcome
    }
}

fn us(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
