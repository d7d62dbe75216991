//! Formula and simulation side by side: round by round, and over the size of the cluster.

use serde::Serialize;

use super::simulation::{Mean, Runs, runs};
use super::telling::{Told, side_by_side};
use crate::model::rounds::{Round, Rounds, Strategy};
use crate::model::serf::SerfFormula;

/// Sizes of the fanout table.
pub const SIZES: [u32; 4] = [20, 40, 80, 160];

/// What is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Options {
    /// Members; at least 2.
    pub members: u32,
    /// Others that a member chooses in a round; at least 1.
    pub fanout: u32,
    /// Strategies to show.
    pub strategies: Vec<Strategy>,
    /// Share of messages lost.
    pub loss: f64,
    /// With push: times that a member tells.
    pub retransmit_limit: Option<u32>,
    /// What the simulation says.
    pub seed: u64,
    /// Simulations of each case.
    pub runs: u32,
    /// Rounds at most.
    pub rounds_max: usize,
    /// On Swimring's own wire: zones that the members are in; 1 for none.
    pub zones: u32,
    /// What a round trip to another zone takes longer there, in milliseconds.
    pub zone_rtt_ms: f64,
}

/// Everything that is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Basics {
    /// Names of this layout.
    pub schema: &'static str,
    /// What was asked for.
    pub options: Options,
    /// Round by round, one for each strategy.
    pub convergence: Vec<Convergence>,
    /// Members that know after each round by Serf's published formula.
    pub serf_informed: Vec<f64>,
    /// The fanout table, a row for each size and strategy.
    pub fanout: Vec<FanoutRow>,
    /// Gossip and delegation on Swimring's own wire, in time.
    pub telling: Vec<Told>,
}

/// One strategy, round by round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Convergence {
    /// Side that speaks first.
    pub strategy: Strategy,
    /// Values by the formula, at first and after each round.
    pub formula: Vec<Round>,
    /// Rounds and messages until all know, by formula; none if some never do.
    pub formula_until_all: Option<(f64, f64)>,
    /// The simulations.
    pub simulated: Runs,
}

/// One size and strategy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FanoutRow {
    /// Members.
    pub members: u32,
    /// Side that speaks first.
    pub strategy: Strategy,
    /// Rounds and messages until all know, by formula; none if some never do.
    pub formula: Option<(f64, f64)>,
    /// Rounds until all know, simulated.
    pub rounds: Mean,
    /// Messages until all know, simulated.
    pub messages: Mean,
    /// Simulations in which all came to know.
    pub complete: u32,
    /// Rounds by Serf's published formula, until 99.99 % know.
    pub serf_rounds: u32,
}

impl Basics {
    /// Computes and simulates.
    pub fn of(options: &Options) -> Basics {
        let convergence: Vec<Convergence> =
            options.strategies.iter().map(|strategy| converge(options, *strategy)).collect();
        let rounds = convergence.iter().map(|one| one.formula.len()).max().unwrap_or(1);
        let serf = serf(options, options.members);
        let rows = SIZES.iter().flat_map(|members| {
            options.strategies.iter().map(|strategy| fanout_row(options, *members, *strategy))
        });
        Basics {
            schema: "swimring-tune-model/1",
            options: options.clone(),
            serf_informed: (0..rounds).map(|round| serf.informed(round as f64)).collect(),
            fanout: rows.collect(),
            telling: side_by_side(options),
            convergence,
        }
    }
}

fn rules(options: &Options, members: u32, strategy: Strategy) -> Rounds {
    let (fanout, loss) = (options.fanout, options.loss);
    Rounds { members, fanout, strategy, loss, retransmit_limit: options.retransmit_limit }
}

fn serf(options: &Options, members: u32) -> SerfFormula {
    SerfFormula { members, fanout: options.fanout, loss: options.loss, failed: 0.0 }
}

fn converge(options: &Options, strategy: Strategy) -> Convergence {
    let rules = rules(options, options.members, strategy);
    let mut formula = rules.expected(options.rounds_max);
    let simulated = runs(&rules, options.rounds_max, options.runs, options.seed);
    // Until nothing happens any more in either.
    let over = formula.windows(2).position(|pair| {
        f64::from(options.members) - pair[0].informed < 0.05 || pair[1].informed - pair[0].informed < 0.005
    });
    let rows = over.map_or(formula.len(), |last| last + 1).max(simulated.informed.len());
    formula.truncate(rows);
    let formula_until_all = rules.until_all_know(options.rounds_max);
    Convergence { strategy, formula, formula_until_all, simulated }
}

fn fanout_row(options: &Options, members: u32, strategy: Strategy) -> FanoutRow {
    let rules = rules(options, members, strategy);
    let simulated = runs(&rules, options.rounds_max, options.runs, options.seed);
    FanoutRow {
        members,
        strategy,
        formula: rules.until_all_know(options.rounds_max),
        rounds: simulated.rounds_until_all,
        messages: simulated.messages_until_all,
        complete: simulated.complete,
        serf_rounds: serf(options, members).rounds(),
    }
}
