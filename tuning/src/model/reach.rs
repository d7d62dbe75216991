//! Reach: how many copies each member has to send so that a rumour gets to any member, or to all.
//!
//! The final size of an epidemic (Kermack and McKendrick 1927; for rumours with a limit of c copies, Eugster,
//! Guerraoui, Kermarrec and Massoulié, *From epidemics to distributed computing*, 2004, section 3). In the end
//! a share z of all n members has told c others each, of which a share 1 - l arrived at targets chosen
//! uniformly. A member was chosen by none of them with probability
//!
//! ```text
//! x = (1 - (1-l)/(n-1))^(c z n) -> e^(-c (1-l) (1-x)),    z = 1 - x
//! ```
//!
//! which iterating from x = 0 solves. Nobody is missed with probability close to e^(-n x): members are missed
//! nearly independently when few are (a Poisson number). The interval and the fanout do not enter: only the
//! product, the number of copies, decides who is reached.

/// Iterations: the slowest case, c (1-l) close to 1, is not one to run a cluster with.
const ITERATIONS: usize = 200;

/// The share of members that a rumour never reaches by gossip when every member sends `copies`, of which a
/// share `loss` is lost. 1 where a rumour does not spread at all.
pub fn missed(copies: f64, loss: f64) -> f64 {
    let contacts = copies * (1.0 - loss);
    if contacts <= 1.0 {
        return 1.0;
    }
    let mut missed = 0.0_f64;
    for _ in 0..ITERATIONS {
        missed = (-contacts * (1.0 - missed)).exp();
    }
    missed
}

/// The probability that a rumour reaches every one of `members`.
pub fn all_reached(members: u32, copies: f64, loss: f64) -> f64 {
    (-f64::from(members.saturating_sub(1)) * missed(copies, loss)).exp()
}

/// The copies that each of `members` has to send so that all are reached with this `probability`, between 0
/// and 1, both excluded.
pub fn copies_for_all(members: u32, probability: f64, loss: f64) -> f64 {
    let others = f64::from(members.saturating_sub(1).max(1));
    let missed = (-probability.ln() / others).min(0.5);
    -missed.ln() / ((1.0 - loss) * (1.0 - missed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_copy_too_few_reaches_nobody_and_many_reach_all() {
        assert_eq!(missed(1.0, 0.0), 1.0);
        assert_eq!(missed(2.0, 0.5), 1.0);
        assert!((missed(2.0, 0.0) - 0.203).abs() < 0.001);
        assert!(missed(16.0, 0.0) < 2e-7);
    }

    /// Members that tell their copies one after the other; time does not matter.
    fn experiment(members: usize, copies: usize, loss: f64, rng: &mut fastrand::Rng) -> usize {
        let mut known = vec![false; members];
        known[0] = true;
        let mut telling = vec![0];
        while let Some(member) = telling.pop() {
            for _ in 0..copies {
                let mut target = rng.usize(..members - 1);
                target += usize::from(target >= member);
                if rng.f64() >= loss && !known[target] {
                    known[target] = true;
                    telling.push(target);
                }
            }
        }
        known.iter().filter(|known| !**known).count()
    }

    #[test]
    fn an_experiment_misses_as_many_and_reaches_all_as_often() {
        let mut rng = fastrand::Rng::with_seed(5);
        for (members, copies, loss) in [(500, 3, 0.0), (500, 5, 0.2), (300, 7, 0.1)] {
            let runs = 2_000;
            let missing: Vec<usize> =
                (0..runs).map(|_| experiment(members, copies, loss, &mut rng)).collect();
            // A rumour that dies with its first tellers is another matter.
            let alive: Vec<usize> = missing.into_iter().filter(|missing| *missing < members / 2).collect();
            let share = alive.iter().sum::<usize>() as f64 / (alive.len() * (members - 1)) as f64;
            let expected = missed(copies as f64, loss);
            assert!((share / expected - 1.0).abs() < 0.1, "{members} {copies} {loss}: {share} {expected}");
            let all = alive.iter().filter(|missing| **missing == 0).count() as f64 / alive.len() as f64;
            let expected = all_reached(members as u32, copies as f64, loss);
            assert!((all - expected).abs() < 0.05, "{members} {copies} {loss}: {all} {expected}");
        }
    }

    proptest! {
        #[test]
        fn the_copies_asked_for_are_enough_and_no_more(
            members in 2_u32..1_000_000,
            probability in 0.7..0.999_999_f64,
            loss in 0.0..0.8_f64,
        ) {
            let copies = copies_for_all(members, probability, loss);
            if copies * (1.0 - loss) > 1.5 {
                prop_assert!((all_reached(members, copies, loss) - probability).abs() < 1e-6);
            }
            let lossier = copies_for_all(members, probability, loss + 0.1);
            prop_assert!(lossier >= copies);
        }
    }
}
