//! Spread in synchronous rounds: push, pull and push-pull.
//!
//! Demers et al., *Epidemic algorithms for replicated database maintenance* (1987), section 1.3 and the
//! analysis of Karp et al., *Randomized rumor spreading* (2000). One member of n knows something new. In each
//! round everyone chooses f distinct others at random; a message is lost with probability l. With I members
//! that know and U = n - I that do not, all as of the beginning of the round:
//!
//! - **push**: a member that knows tells f others. It chooses a given one with probability f/(n-1), so one that
//!   does not know is missed by all with probability `(1 - f(1-l)/(n-1))^I`. U halves and halves faster, then
//!   shrinks by e^-f a round. With a retransmit limit c a member tells c times, f in a round, and then is
//!   silent: the I of the formula are those that still tell.
//! - **pull**: everyone asks f others, who answer if they know something newer. Both messages have to arrive:
//!   missed with probability `(1 - (1-l)^2 I/(n-1))^f`. Slow at first, then U is squared in each round.
//! - **push-pull**: both at once; the probabilities multiply.
//!
//! The expected numbers are iterated as if they were the numbers themselves (mean field). The chance that
//! all know after a round is taken as e^-U, and the expected number of rounds until then is the sum of
//! 1 - e^-U over the rounds.

use clap::ValueEnum;
use serde::Serialize;

/// Side that speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Members that know tell others.
    Push,
    /// Everyone asks.
    Pull,
    /// Everyone tells and asks.
    PushPull,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 3] = [Strategy::Push, Strategy::Pull, Strategy::PushPull];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Strategy::Push => "push",
            Strategy::Pull => "pull",
            Strategy::PushPull => "push-pull",
        }
    }
}

/// Spread in rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounds {
    /// Members; at least 2.
    pub members: u32,
    /// Others that a member chooses in a round; at least 1. More than there are count as all.
    pub fanout: u32,
    /// Side that speaks first.
    pub strategy: Strategy,
    /// Share of messages lost.
    pub loss: f64,
    /// With push: times that a member tells. None for no limit.
    pub retransmit_limit: Option<u32>,
}

/// The state after a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Round {
    /// Members that know.
    pub informed: f64,
    /// Messages sent until then, requests and answers.
    pub messages: f64,
}

impl Rounds {
    /// The first state and that after each of `rounds` rounds.
    pub fn expected(&self, rounds: usize) -> Vec<Round> {
        let mut states = vec![Round { informed: 1.0, messages: 0.0 }];
        for _ in 0..rounds {
            let next = self.next(&states);
            states.push(next);
        }
        states
    }

    /// The expected number of rounds until all know, and the messages sent until then. None if that is more
    /// than `rounds_max`, or if some will never know.
    pub fn until_all_know(&self, rounds_max: usize) -> Option<(f64, f64)> {
        let states = self.expected(rounds_max);
        let missing = |state: &Round| f64::from(self.members) - state.informed;
        let last = states.last().map_or(f64::INFINITY, missing);
        if last > 0.1 {
            return None;
        }
        let rounds: f64 = states.iter().map(|state| -(-missing(state)).exp_m1()).sum();
        let whole = (rounds.floor() as usize).min(states.len() - 1);
        let next = (whole + 1).min(states.len() - 1);
        let part = rounds - rounds.floor();
        let messages = states[whole].messages + part * (states[next].messages - states[whole].messages);
        Some((rounds, messages))
    }

    fn next(&self, states: &[Round]) -> Round {
        let others = f64::from(self.members.max(2) - 1);
        let fanout = f64::from(self.fanout).min(others);
        let Round { informed, messages } = states[states.len() - 1];
        let kept = 1.0 - self.loss;
        let telling = self.telling(states);
        let push = ((1.0 - fanout * kept / others).max(0.0)).powf(telling);
        let pull = (1.0 - (kept * kept * informed / others).min(1.0)).powf(fanout);
        let asked = f64::from(self.members) * fanout;
        let (missed, sent) = match self.strategy {
            Strategy::Push => (push, telling * fanout),
            Strategy::Pull => (pull, asked + asked * kept),
            Strategy::PushPull => (push * pull, asked + asked * kept),
        };
        let uninformed = (f64::from(self.members) - informed) * missed;
        Round { informed: f64::from(self.members) - uninformed, messages: messages + sent }
    }

    /// Members that still tell, those that have only a part of their last round left counted in part.
    fn telling(&self, states: &[Round]) -> f64 {
        let now = states[states.len() - 1].informed;
        let (Strategy::Push, Some(limit)) = (self.strategy, self.retransmit_limit) else { return now };
        let rounds = f64::from(limit) / f64::from(self.fanout);
        let at = |rounds_ago: usize| match states.len().checked_sub(1 + rounds_ago) {
            Some(index) => states[index].informed,
            None => 0.0,
        };
        let whole = rounds.floor() as usize;
        let part = rounds - rounds.floor();
        now - at(whole) + part * (at(whole) - at(whole + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, prop_assert, prop_oneof, proptest};
    use proptest::strategy::Strategy as Strategies;

    use super::*;

    fn rounds(members: u32, fanout: u32, strategy: Strategy, loss: f64) -> Rounds {
        Rounds { members, fanout, strategy, loss, retransmit_limit: None }
    }

    #[test]
    fn two_members_need_one_round() {
        for strategy in Strategy::ALL {
            let (needed, _) = rounds(2, 1, strategy, 0.0).until_all_know(10).unwrap();
            assert!((needed - 0.632).abs() < 0.001, "{needed}");
        }
    }

    #[test]
    fn pull_squares_the_ignorant_at_the_end_and_push_divides_them() {
        let states = rounds(1_000_000, 1, Strategy::Pull, 0.0).expected(30);
        let share: Vec<f64> = states.iter().map(|state| 1.0 - state.informed / 1e6).collect();
        let late = share.iter().position(|share| *share < 0.1).unwrap();
        assert!((share[late + 1] / (share[late] * share[late]) - 1.0).abs() < 1e-3);
        let states = rounds(1_000_000, 1, Strategy::Push, 0.0).expected(30);
        let share: Vec<f64> = states.iter().map(|state| 1.0 - state.informed / 1e6).collect();
        let late = share.iter().position(|share| *share < 0.001).unwrap();
        assert!((share[late + 1] / share[late] * std::f64::consts::E - 1.0).abs() < 1e-2);
    }

    #[test]
    fn a_retransmit_limit_leaves_members_out() {
        let limited = Rounds { retransmit_limit: Some(3), ..rounds(10_000, 3, Strategy::Push, 0.0) };
        assert_eq!(limited.until_all_know(100), None);
        let ample = Rounds { retransmit_limit: Some(30), ..limited };
        assert!(ample.until_all_know(100).is_some());
        // Each of those who know has sent its three.
        let last = limited.expected(60)[60];
        assert!((last.messages / last.informed - 3.0).abs() < 1e-6);
    }

    fn strategies() -> impl Strategies<Value = Strategy> {
        prop_oneof![Just(Strategy::Push), Just(Strategy::Pull), Just(Strategy::PushPull)]
    }

    proptest! {
        #[test]
        fn more_fanout_never_informs_fewer_and_more_loss_never_more(
            members in 2_u32..5_000,
            fanout in 1_u32..16,
            loss in 0.0..0.9_f64,
            strategy in strategies(),
        ) {
            let base = rounds(members, fanout, strategy, loss).expected(20);
            let wider = rounds(members, fanout + 1, strategy, loss).expected(20);
            let lossier = rounds(members, fanout, strategy, loss + 0.05).expected(20);
            for (round, state) in base.iter().enumerate() {
                prop_assert!(state.informed <= f64::from(members) + 1e-6);
                prop_assert!(wider[round].informed >= state.informed - 1e-6);
                prop_assert!(lossier[round].informed <= state.informed + 1e-6);
            }
        }
    }
}
