//! Members with a replica each, talking in rounds.
//!
//! At the beginning everyone holds the same few keys, and one member has just written one of them anew. In a
//! round everyone acts on what it held at the round's beginning; what arrives is merged at its end.
//!
//! - push: whoever has news tells it to f others, in one message each, until its retransmit limit is used up;
//! - pull: everyone sends a digest to f others, who answer with what is newer, be it nothing;
//! - push-pull: everyone sends its entries to f others, who merge them and answer with what is newer.

use super::replica::{Entry, Replica};
use crate::model::rounds::{Round, Rounds, Strategy};

/// The key that is written.
const WRITTEN: u32 = 1;
/// All keys.
const KEYS: u32 = 4;

/// Everyone's replica.
struct Cluster<'a> {
    rules: &'a Rounds,
    replicas: Vec<Replica>,
    /// Times that a member still tells what it has learnt.
    left_to_tell: Vec<u32>,
    news: Entry,
    rng: fastrand::Rng,
    messages: u64,
}

impl Cluster<'_> {
    fn new(rules: &Rounds, seed: u64) -> Cluster<'_> {
        let mut common = Replica::default();
        for key in 0..KEYS {
            common.write(key, u64::from(key) * 10);
        }
        let members = rules.members as usize;
        let mut replicas = vec![common; members];
        let news = replicas[0].write(WRITTEN, 42);
        let mut left_to_tell = vec![0; members];
        left_to_tell[0] = rules.retransmit_limit.unwrap_or(u32::MAX);
        Cluster { rules, replicas, left_to_tell, news, rng: fastrand::Rng::with_seed(seed), messages: 0 }
    }

    fn informed(&self) -> usize {
        self.replicas.iter().filter(|replica| replica.version(WRITTEN) >= self.news.version).count()
    }

    /// One round.
    fn round(&mut self) {
        let mut arrivals: Vec<(usize, Entry)> = Vec::new();
        for member in 0..self.replicas.len() {
            match self.rules.strategy {
                Strategy::Push => self.push(member, &mut arrivals),
                Strategy::Pull => self.contact(member, false, &mut arrivals),
                Strategy::PushPull => self.contact(member, true, &mut arrivals),
            }
        }
        for (to, entry) in arrivals {
            if self.replicas[to].merge(entry) {
                self.left_to_tell[to] = self.rules.retransmit_limit.unwrap_or(u32::MAX);
            }
        }
    }

    fn push(&mut self, member: usize, arrivals: &mut Vec<(usize, Entry)>) {
        if self.left_to_tell[member] == 0 {
            return;
        }
        for target in self.targets(member) {
            if self.left_to_tell[member] == 0 {
                return;
            }
            if self.rules.retransmit_limit.is_some() {
                self.left_to_tell[member] -= 1;
            }
            if self.sent() {
                arrivals.push((target, self.news));
            }
        }
    }

    /// A digest, or everything, to each target; its answer.
    fn contact(&mut self, member: usize, with_entries: bool, arrivals: &mut Vec<(usize, Entry)>) {
        for target in self.targets(member) {
            if !self.sent() {
                continue;
            }
            if with_entries {
                // What is not newer would be merged without effect.
                let newer = self.replicas[member].newer_than(&self.replicas[target].digest());
                arrivals.extend(newer.into_iter().map(|entry| (target, entry)));
            }
            let answer = self.replicas[target].newer_than(&self.replicas[member].digest());
            if self.sent() {
                arrivals.extend(answer.into_iter().map(|entry| (member, entry)));
            }
        }
    }

    /// Counts a message. False if it is lost.
    fn sent(&mut self) -> bool {
        self.messages += 1;
        self.rules.loss <= 0.0 || self.rng.f64() >= self.rules.loss
    }

    /// Distinct others, as many as the fanout.
    fn targets(&mut self, member: usize) -> Vec<usize> {
        let others = self.replicas.len() - 1;
        let wanted = (self.rules.fanout as usize).min(others);
        let mut chosen = Vec::with_capacity(wanted);
        // Floyd's sampling: the last `wanted` numbers, each replaced by any below it.
        for last in others - wanted..others {
            let any = self.rng.usize(..=last);
            chosen.push(if chosen.contains(&any) { last } else { any });
        }
        chosen.iter_mut().for_each(|target| *target += usize::from(*target >= member));
        chosen
    }
}

/// One run: the state at first and after each round, until all know, nobody tells any more, or `rounds_max`.
pub fn run(rules: &Rounds, rounds_max: usize, seed: u64) -> Vec<Round> {
    let mut cluster = Cluster::new(rules, seed);
    let state = |cluster: &Cluster<'_>| Round {
        informed: cluster.informed() as f64,
        messages: cluster.messages as f64,
    };
    let mut states = vec![state(&cluster)];
    for _ in 0..rounds_max {
        let before = cluster.messages;
        cluster.round();
        states.push(state(&cluster));
        let silent = cluster.messages == before;
        if silent || cluster.informed() == cluster.replicas.len() {
            break;
        }
    }
    states
}

/// A mean, and half the width of its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % confidence interval, by the normal distribution.
    pub interval: f64,
}

impl Mean {
    /// The statistics of `values`; zero for none.
    pub fn of(values: &[f64]) -> Mean {
        let count = values.len() as f64;
        if values.is_empty() {
            return Mean::default();
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if count > 1.0 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
        Mean { mean, interval: 1.96 * deviation / count.sqrt() }
    }
}

/// Many runs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Runs {
    /// Runs made.
    pub runs: u32,
    /// Those in which all came to know.
    pub complete: u32,
    /// Members that know, at first and after each round.
    pub informed: Vec<Mean>,
    /// Messages until then.
    pub messages: Vec<Mean>,
    /// Rounds until all know, of the complete runs.
    pub rounds_until_all: Mean,
    /// Messages until all know, of the complete runs.
    pub messages_until_all: Mean,
}

/// Runs `rules` so many times, each run with a seed of its own made from `seed`.
pub fn runs(rules: &Rounds, rounds_max: usize, runs: u32, seed: u64) -> Runs {
    let mut seeds = fastrand::Rng::with_seed(seed);
    let all: Vec<Vec<Round>> = (0..runs).map(|_| run(rules, rounds_max, seeds.u64(..))).collect();
    let longest = all.iter().map(Vec::len).max().unwrap_or(1);
    // A run that is over stays as it ended.
    let at = |run: &[Round], round: usize| run[round.min(run.len() - 1)];
    let means = |of: &dyn Fn(Round) -> f64| {
        let one = |round: usize| Mean::of(&all.iter().map(|run| of(at(run, round))).collect::<Vec<f64>>());
        (0..longest).map(one).collect::<Vec<Mean>>()
    };
    let members = f64::from(rules.members);
    let complete: Vec<&Vec<Round>> =
        all.iter().filter(|run| at(run, usize::MAX).informed >= members).collect();
    let rounds: Vec<f64> = complete.iter().map(|run| (run.len() - 1) as f64).collect();
    let messages: Vec<f64> = complete.iter().map(|run| at(run, usize::MAX).messages).collect();
    Runs {
        runs,
        complete: complete.len() as u32,
        informed: means(&|round| round.informed),
        messages: means(&|round| round.messages),
        rounds_until_all: Mean::of(&rounds),
        messages_until_all: Mean::of(&messages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(members: u32, fanout: u32, strategy: Strategy, loss: f64) -> Rounds {
        Rounds { members, fanout, strategy, loss, retransmit_limit: None }
    }

    #[test]
    fn a_seed_gives_the_same_run_again() {
        let rules = rules(50, 3, Strategy::PushPull, 0.1);
        assert_eq!(run(&rules, 50, 7), run(&rules, 50, 7));
        assert_ne!(run(&rules, 50, 7), run(&rules, 50, 8));
    }

    #[test]
    fn targets_are_distinct_others_and_all_alike() {
        let rules = rules(5, 3, Strategy::Push, 0.0);
        let mut cluster = Cluster::new(&rules, 1);
        let mut counts = [0_u32; 5];
        for _ in 0..10_000 {
            let mut targets = cluster.targets(2);
            targets.sort_unstable();
            targets.dedup();
            assert_eq!(targets.len(), 3);
            targets.iter().for_each(|target| counts[*target] += 1);
        }
        assert_eq!(counts[2], 0);
        assert!(counts.iter().filter(|count| (7_200..7_800).contains(*count)).count() == 4, "{counts:?}");
    }

    #[test]
    fn rounds_and_messages_are_those_of_the_formula() {
        for strategy in Strategy::ALL {
            for (members, fanout, loss) in [(40, 4, 0.0), (160, 4, 0.2), (1_000, 2, 0.0)] {
                let rules = rules(members, fanout, strategy, loss);
                let measured = runs(&rules, 100, 200, 3);
                assert_eq!(measured.complete, 200);
                let (rounds, messages) = rules.until_all_know(100).unwrap();
                let what = format!("{strategy:?} {members} {fanout} {loss}");
                let ratio = rounds / measured.rounds_until_all.mean;
                let dear = messages / measured.messages_until_all.mean;
                println!("{what}: rounds {ratio:.3}, messages {dear:.3}");
                assert!((0.85..1.15).contains(&ratio), "{what}: {rounds} {:?}", measured.rounds_until_all);
                assert!((0.8..1.2).contains(&dear), "{what}: {messages} {:?}", measured.messages_until_all);
            }
        }
    }

    #[test]
    fn a_limit_is_kept() {
        let limited = Rounds { retransmit_limit: Some(5), ..rules(100, 3, Strategy::Push, 0.0) };
        let states = run(&limited, 100, 1);
        let last = states[states.len() - 1];
        assert!(last.messages <= 5.0 * last.informed, "{last:?}");
        let few = runs(&Rounds { retransmit_limit: Some(2), ..limited }, 100, 50, 1);
        assert!(few.complete < 50);
    }

    #[test]
    fn an_interval_is_that_of_the_normal_distribution() {
        let mean = Mean::of(&[1.0, 2.0, 3.0, 4.0]);
        assert!((mean.mean - 2.5).abs() < 1e-12 && (mean.interval - 1.96 * 1.290_99 / 2.0).abs() < 1e-4);
        assert_eq!(Mean::of(&[]), Mean::default());
    }
}
