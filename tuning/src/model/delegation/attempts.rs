//! One delegation: up to four attempts, until one arrives at a live member of the part and is acknowledged.
//!
//! An attempt arrives with probability q = 1 - p. The first two go to one member D1 of the part, chosen at random;
//! the third to another D2, the fourth to one that is not D2 (perhaps D1 again). In a part of one all four go to
//! that one. After attempt a, counted from 0, the sender waits RTO * r^a for an acknowledgement of that very
//! attempt, so attempt a leaves (1 + r + ... + r^(a-1)) RTO after the first.
//!
//! **When it is taken over.** Seen from a live member u of a part of s, u among them: D1 is u with probability 1/s,
//! and otherwise dead with probability d. The first two attempts both fail with p^2, or for certain if D1 is dead.
//! D2 is anyone but D1, with equal chances, and so on: [`Attempts::taken`] writes the tree of cases out. The first
//! attempt that arrives decides: u is told, or another takes the part over and u lies in what it divides.
//!
//! **What it costs.** A live target acknowledges all that arrives, but the sender misses it with probability
//! f_a = 1 - q^2 (1 - e_a), e_a being the chance that it comes later than the timeout. With a live D1 the second
//! attempt is made with f_0 and the third with f_0 f_1, with a dead one always; the fourth with d + (1-d) f_2
//! times as much. Who was found silent before the part was taken over is probably dead, and still in it
//! ([`Attempts::known_dead`]).

/// Attempts at most.
pub const ATTEMPTS: usize = 4;

/// What the attempts of a delegation depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempts {
    /// Share of datagrams lost.
    pub loss: f64,
    /// Share of members dead and not noticed.
    pub dead: f64,
    /// Share of acknowledgements that are later than the timeout, of the first three attempts.
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Attempts made.
    pub sends: f64,
    /// Attempts that arrive at a live member, each of which is acknowledged.
    pub acks: f64,
    /// The probability that each attempt is the first to arrive at somebody who lives, and so takes it over.
    pub taken: [f64; ATTEMPTS],
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
        match attempt {
            0 | 1 => 0.0,
            2 => silent(self.loss * self.loss),
            _ => silent(self.loss * self.loss) + silent(self.loss),
        }
    }

    /// When a delegation of a part with `size` members is taken over, as one live member of it sees it: at which
    /// attempt, and by whom.
    pub fn taken(&self, size: f64) -> [Taken; ATTEMPTS] {
        let (lost, arrives) = (self.loss, 1.0 - self.loss);
        // At somebody who may be dead.
        let hit = (1.0 - self.dead) * arrives;
        let mut taken = [Taken::default(); ATTEMPTS];
        if size < 1.5 {
            for (attempt, taken) in taken.iter_mut().enumerate() {
                taken.by_it = lost.powi(attempt as i32) * arrives;
            }
            return taken;
        }
        let one = 1.0 / (size - 1.0);
        let chosen = 1.0 / size;
        for (attempt, taken) in taken.iter_mut().take(2).enumerate() {
            taken.by_it = chosen * lost.powi(attempt as i32) * arrives;
            taken.by_other = (1.0 - chosen) * lost.powi(attempt as i32) * hit;
        }
        // D1 is the member in question, and both attempts were lost.
        let unheard = chosen * lost * lost;
        taken[2].by_other += unheard * hit;
        taken[3].by_it += unheard * (1.0 - hit) * one * arrives;
        taken[3].by_other += unheard * (1.0 - hit) * (1.0 - one) * hit;
        // D1 is another one, that lives or is dead.
        for (share, first_lives) in [((1.0 - self.dead) * lost * lost, 1.0), (self.dead, 0.0)] {
            let unheard = (1.0 - chosen) * share;
            // D2 is the member in question.
            taken[2].by_it += unheard * one * arrives;
            let again = first_lives * arrives;
            taken[3].by_other += unheard * one * lost * (one * again + (1.0 - one) * hit);
            // D2 is a third one.
            let third = unheard * (1.0 - one);
            taken[2].by_other += third * hit;
            taken[3].by_it += third * (1.0 - hit) * one * arrives;
            let fourth = (1.0 - 2.0 * one).max(0.0);
            taken[3].by_other += third * (1.0 - hit) * (one * again + fourth * hit);
        }
        taken
    }

    /// What a delegation of a part with `size` members costs.
    pub fn cost(&self, size: f64) -> Cost {
        let (lost, arrives) = (self.loss, 1.0 - self.loss);
        let unacked = self.late.map(|late| 1.0 - arrives * arrives * (1.0 - late));
        let live = 1.0 - self.dead;
        if size < 1.5 {
            let made = 1.0 + unacked[0] * (1.0 + unacked[1] * (1.0 + unacked[2]));
            let sends = live * made + self.dead * ATTEMPTS as f64;
            let taken = [0, 1, 2, 3].map(|attempt| live * lost.powi(attempt) * arrives);
            return Cost { sends, acks: live * made * arrives, taken };
        }
        let one = 1.0 / (size - 1.0);
        let hit = live * arrives;
        let third_unacked = live * unacked[2] + self.dead;
        let mut cost = Cost { sends: 0.0, acks: 0.0, taken: [0.0; ATTEMPTS] };
        for (share, first_lives) in [(live, 1.0), (self.dead, 0.0)] {
            let (second, third) =
                if first_lives > 0.0 { (unacked[0], unacked[0] * unacked[1]) } else { (1.0, 1.0) };
            // The fourth attempt's target lives.
            let fourth_hit = (one * first_lives + (1.0 - one) * live) * arrives;
            cost.sends += share * (1.0 + second + third * (1.0 + third_unacked));
            let at_first = first_lives * arrives * (1.0 + second);
            cost.acks += share * (at_first + third * (hit + third_unacked * fourth_hit));
            let unheard = if first_lives > 0.0 { lost * lost } else { 1.0 };
            cost.taken[0] += share * first_lives * arrives;
            cost.taken[1] += share * first_lives * lost * arrives;
            cost.taken[2] += share * unheard * hit;
            cost.taken[3] += share * unheard * (1.0 - hit) * fourth_hit;
        }
        cost
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attempts(loss: f64, dead: f64) -> Attempts {
        Attempts { loss, dead, late: [0.0; 3], backoff: 2 }
    }

    #[test]
    fn timeouts_double_or_stay() {
        let doubling = attempts(0.0, 0.0);
        assert_eq!([0, 1, 2, 3].map(|attempt| doubling.units_before(attempt)), [0, 1, 3, 7]);
        let same = Attempts { backoff: 1, ..doubling };
        assert_eq!([0, 1, 2, 3].map(|attempt| same.units_before(attempt)), [0, 1, 2, 3]);
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
            if attempt >= 2 && dead.len() > 1 {
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
            let of = Attempts { late: [0.2, 0.1, 0.0], ..attempts(loss, dead) };
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
            let of = Attempts { late: [0.2, 0.1, 0.3], ..attempts(loss, dead) };
            let mut counted = Cost { sends: 0.0, acks: 0.0, taken: [0.0; ATTEMPTS] };
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
            prop_assert!((1.0..=4.0).contains(&cost.sends) && (0.0..=1.0 + 1e-12).contains(&taken));
            prop_assert!(cost.acks <= cost.sends && cost.acks >= taken - 1e-12);
        }
    }
}
