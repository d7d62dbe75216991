//! One delegation: up to six attempts, until one arrives at a live member of the part and is acknowledged.
//!
//! An attempt arrives with probability q = 1 - p. The first two go to one member of the part, chosen at random, and
//! each further one to any but the target before it. In a part of one all go to that one. After attempt a, counted
//! from 0, the sender waits RTO * r^a for an acknowledgement of that very attempt, so attempt a leaves
//! (1 + r + ... + r^(a-1)) RTO after the first.
//!
//! **When it is taken over.** Seen from a live member u of a part of s, with k of the s - 1 others alive, targets are
//! of three kinds: u, a live other, a dead one. All members of a kind are alike, so that the kinds of the targets form a
//! Markov chain: from u to a live other with probability k / (s-1), from a live other to another live one with
//! (k-1) / (s-1), and so on ([`Attempts::taken`]). The first attempt that arrives decides: u is told, or another takes
//! the part over and u lies in what it divides. k is binomial, each of the others being dead with probability d.
//!
//! **What it costs.** The same chain without u ([`Attempts::cost`]). A live target acknowledges all that arrives, but
//! the sender misses it with probability 1 - q^2 (1 - e_a), e_a being the chance that it comes later than the
//! timeout. Who was found silent before the part was taken over is probably dead, and still in it
//! ([`Attempts::known_dead`]).

/// Attempts at most: `ATTEMPTS_MAX` in `engine/src/protocol/shared_lists/delegations.rs`.
pub const ATTEMPTS: usize = 6;

/// Attempts at the first target.
const SAME: usize = 2;

/// Parts that are larger have as many dead as is expected, and no more or fewer.
const COUNTED_MAX: f64 = 80.0;

/// Numbers of live members that are rarer than this are left out.
const RARE: f64 = 1e-9;

/// What the attempts of a delegation depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempts {
    /// Share of datagrams lost.
    pub loss: f64,
    /// Share of members dead and not noticed.
    pub dead: f64,
    /// Share of acknowledgements that are later than the timeout, of all attempts but the last.
    pub late: [f64; ATTEMPTS - 1],
    /// Each timeout over the one before.
    pub backoff: u32,
}

/// The probabilities that a certain attempt is the first that arrives at a live member.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    /// At the live member in question.
    pub by_it: f64,
    /// At another one.
    pub by_other: f64,
}

/// What a delegation costs, in expectation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Attempts made.
    pub sends: f64,
    /// Attempts that arrive at a live member, each of which is acknowledged.
    pub acks: f64,
    /// The probability that each attempt is the first to arrive at somebody who lives, and so takes it over.
    pub taken: [f64; ATTEMPTS],
}

/// Probabilities of the kinds of an attempt's target.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
    /// The member in question.
    it: f64,
    /// A live other.
    live: f64,
    /// A dead one.
    dead: f64,
}

impl Kinds {
    /// The target after one of these: any other member but it, of whom so many are of each kind.
    fn next(self, it: f64, live: f64, dead: f64) -> Kinds {
        let mut next = Kinds::default();
        let mut to = |chance: f64, it: f64, live: f64, dead: f64| {
            // Expected numbers may be less than the one that is left out.
            let (it, live, dead) = (it.max(0.0), live.max(0.0), dead.max(0.0));
            let each = chance / (it + live + dead).max(f64::MIN_POSITIVE);
            next.it += each * it;
            next.live += each * live;
            next.dead += each * dead;
        };
        to(self.it, it - 1.0, live, dead);
        to(self.live, it, live - 1.0, dead);
        to(self.dead, it, live, dead - 1.0);
        next
    }

    fn total(self) -> f64 {
        self.it + self.live + self.dead
    }
}

impl Attempts {
    /// Timeouts that pass before an attempt, counted from 0, in units of the first one.
    pub fn units_before(&self, attempt: usize) -> usize {
        (0..attempt).map(|before| (self.backoff as usize).pow(before as u32)).sum()
    }

    /// How many are known to be dead in a part, in expectation, once this attempt was the first to arrive there: the
    /// targets that did not answer before.
    pub fn known_dead(&self, attempt: usize) -> f64 {
        let silent = |lost: f64| {
            if self.dead > 0.0 { self.dead / (self.dead + (1.0 - self.dead) * lost) } else { 0.0 }
        };
        match attempt.checked_sub(SAME) {
            None => 0.0,
            Some(others) => silent(self.loss * self.loss) + others as f64 * silent(self.loss),
        }
    }

    /// When a delegation of a part with `size` members is taken over, as one live member of it sees it: at which
    /// attempt, and by whom.
    pub fn taken(&self, size: f64) -> [Taken; ATTEMPTS] {
        let (lost, arrives) = (self.loss, 1.0 - self.loss);
        let mut taken = [Taken::default(); ATTEMPTS];
        if size < 1.5 {
            for (attempt, taken) in taken.iter_mut().enumerate() {
                taken.by_it = lost.powi(attempt as i32) * arrives;
            }
            return taken;
        }
        let others = size - 1.0;
        for (live, weight) in self.living(others) {
            let dead = others - live;
            // Nothing has arrived yet.
            let mut kinds =
                Kinds { it: weight / size, live: weight * live / size, dead: weight * dead / size };
            for (attempt, taken) in taken.iter_mut().enumerate() {
                if attempt >= SAME {
                    kinds = kinds.next(1.0, live, dead);
                }
                taken.by_it += kinds.it * arrives;
                taken.by_other += kinds.live * arrives;
                kinds = Kinds { it: kinds.it * lost, live: kinds.live * lost, ..kinds };
            }
        }
        taken
    }

    /// What a delegation of a part with `size` members costs.
    pub fn cost(&self, size: f64) -> Cost {
        let (lost, arrives) = (self.loss, 1.0 - self.loss);
        let mut cost = Cost::default();
        for (live, weight) in self.living(size) {
            let dead = size - live;
            // Not acknowledged yet; and of these, not arrived yet.
            let mut asked = Kinds { it: 0.0, live: weight * live / size, dead: weight * dead / size };
            let mut unheard = asked;
            for attempt in 0..ATTEMPTS {
                if attempt >= SAME && size > 1.5 {
                    (asked, unheard) = (asked.next(0.0, live, dead), unheard.next(0.0, live, dead));
                }
                cost.sends += asked.total();
                cost.acks += asked.live * arrives;
                cost.taken[attempt] += unheard.live * arrives;
                let late = self.late.get(attempt).copied().unwrap_or(1.0);
                asked.live *= 1.0 - arrives * arrives * (1.0 - late);
                unheard.live *= lost;
            }
        }
        cost
    }

    /// How many of so many members live, each number with its probability.
    fn living(&self, members: f64) -> Vec<(f64, f64)> {
        let live = 1.0 - self.dead;
        if self.dead <= 0.0 || members > COUNTED_MAX || members.fract() > 0.0 {
            return vec![(members * live, 1.0)];
        }
        if live <= 0.0 {
            return vec![(0.0, 1.0)];
        }
        let mut chance = self.dead.powf(members);
        let mut counts = Vec::with_capacity(members as usize + 1);
        for count in 0..=members as u32 {
            if chance > RARE {
                counts.push((f64::from(count), chance));
            }
            let count = f64::from(count);
            chance *= (members - count) / (count + 1.0) * live / self.dead;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attempts(loss: f64, dead: f64) -> Attempts {
        Attempts { loss, dead, late: [0.0; ATTEMPTS - 1], backoff: 2 }
    }

    #[test]
    fn timeouts_double_or_stay() {
        let doubling = attempts(0.0, 0.0);
        let units = |of: &Attempts| [0, 1, 2, 3, 4, 5].map(|attempt| of.units_before(attempt));
        assert_eq!(units(&doubling), [0, 1, 3, 7, 15, 31]);
        let same = Attempts { backoff: 1, ..doubling };
        assert_eq!(units(&same), [0, 1, 2, 3, 4, 5]);
    }

    /// Attempts one by one, at members of whom some are `dead`: which attempt was the first to arrive and whether
    /// at member 0, how many were made, and how many arrived.
    fn experiment(
        of: &Attempts,
        dead: &[bool],
        rng: &mut fastrand::Rng,
    ) -> (Option<(usize, bool)>, u32, u32) {
        let (mut taken, mut sends, mut acks) = (None, 0, 0);
        let mut target = rng.usize(..dead.len());
        for attempt in 0..ATTEMPTS {
            if attempt >= SAME && dead.len() > 1 {
                let other = rng.usize(..dead.len() - 1);
                target = other + usize::from(other >= target);
            }
            sends += 1;
            if dead[target] || rng.f64() < of.loss {
                continue;
            }
            acks += 1;
            taken = taken.or(Some((attempt, target == 0)));
            if rng.f64() >= of.loss && of.late.get(attempt).is_none_or(|late| rng.f64() >= *late) {
                break;
            }
        }
        (taken, sends, acks)
    }

    fn some_dead(of: &Attempts, size: usize, rng: &mut fastrand::Rng) -> Vec<bool> {
        (0..size).map(|_| rng.f64() < of.dead).collect()
    }

    const CASES: [(usize, f64, f64); 5] =
        [(1, 0.3, 0.4), (2, 0.3, 0.4), (3, 0.2, 0.5), (4, 0.0, 0.6), (9, 0.4, 0.3)];

    #[test]
    fn cases_are_those_of_an_experiment() {
        let mut rng = fastrand::Rng::with_seed(8);
        let runs = 200_000;
        for (size, loss, dead) in CASES {
            let of = Attempts { late: [0.2, 0.1, 0.0, 0.1, 0.0], ..attempts(loss, dead) };
            let mut counted = [Taken::default(); ATTEMPTS];
            for _ in 0..runs {
                let mut dead = some_dead(&of, size, &mut rng);
                dead[0] = false;
                match experiment(&of, &dead, &mut rng).0 {
                    Some((attempt, true)) => counted[attempt].by_it += 1.0 / f64::from(runs),
                    Some((attempt, false)) => counted[attempt].by_other += 1.0 / f64::from(runs),
                    None => {}
                }
            }
            for (formula, counted) in of.taken(size as f64).iter().zip(counted) {
                assert!((formula.by_it - counted.by_it).abs() < 0.005, "{size}: {formula:?} {counted:?}");
                let difference = formula.by_other - counted.by_other;
                assert!(difference.abs() < 0.005, "{size}: {formula:?} {counted:?}");
            }
        }
    }

    #[test]
    fn costs_are_those_of_an_experiment() {
        let mut rng = fastrand::Rng::with_seed(9);
        let runs = 200_000;
        for (size, loss, dead) in CASES {
            let of = Attempts { late: [0.2, 0.1, 0.3, 0.1, 0.2], ..attempts(loss, dead) };
            let mut counted = Cost::default();
            for _ in 0..runs {
                let dead = some_dead(&of, size, &mut rng);
                let (taken, sends, acks) = experiment(&of, &dead, &mut rng);
                counted.sends += f64::from(sends) / f64::from(runs);
                counted.acks += f64::from(acks) / f64::from(runs);
                if let Some((attempt, _)) = taken {
                    counted.taken[attempt] += 1.0 / f64::from(runs);
                }
            }
            let cost = of.cost(size as f64);
            for (formula, counted) in [(cost.sends, counted.sends), (cost.acks, counted.acks)] {
                assert!((formula / counted - 1.0).abs() < 0.015, "{size}: {formula} {counted}");
            }
            for (formula, counted) in cost.taken.into_iter().zip(counted.taken) {
                assert!((formula - counted).abs() < 0.005, "{size}: {formula} {counted}");
            }
        }
    }

    proptest! {
        #[test]
        fn chances_are_chances(loss in 0.0..0.95_f64, dead in 0.0..0.95_f64, size in 1..2_000_u32) {
            let of = attempts(loss, dead);
            let total: f64 = of.taken(size.into()).iter().map(|taken| taken.by_it + taken.by_other).sum();
            prop_assert!((0.0..=1.0 + 1e-12).contains(&total), "{}", total);
            let cost = of.cost(size.into());
            let taken: f64 = cost.taken.iter().sum();
            prop_assert!((1.0 - 1e-6..=6.0 + 1e-6).contains(&cost.sends) && (0.0..=1.0 + 1e-12).contains(&taken));
            prop_assert!(cost.acks <= cost.sends && cost.acks >= taken - 1e-9);
        }
    }
}
