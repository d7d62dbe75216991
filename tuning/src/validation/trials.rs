//! Running the trials: how many, of how large clusters, reckoned in core seconds.
//!
//! **The same seed gives the same answer however busy the machine is and however many threads there are.** Which
//! trials are run follows from the objective, the seed and [`Effort::core_s`] alone: what a trial costs is reckoned
//! from counts before it is run, and nothing is ever measured. Real time is only a cap; where it cut something off,
//! `Trials::is_cut` says so, since what was finished by then is a matter of luck.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Evidence, Plan, plan::CRASHES_WANTED};
use crate::objective::{Measure, Objective};
use crate::search::{Candidate, Forms};
use crate::sweep::progress::Watch;
use crate::sweep::run::now;
use crate::sweep::{Digest, Job, Stop, run_all};
use swimring_simulation::experiment::TrialOptions;

/// Seconds of an idle core that are spent on simulations where nothing else is said: about a minute on two.
pub const CORE_S_DEFAULT: f64 = 120.0;
/// The smallest cluster that stands for a larger one.
const MEMBERS_MIN: u32 = 500;
/// Trials at once at least, so that threads have something to do.
const TRIALS_MIN: usize = 2;
/// Quiet trials.
const QUIET_RUNS: u64 = 3;

/// How much may be spent.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Threads: only how long it takes depends on them.
    pub threads: usize,
    /// First seed of the rounds.
    pub seed: u64,
    /// Seconds of an idle core for all simulations, about. What is simulated follows from it.
    pub core_s: f64,
    /// Real time for everything at most; what it cuts off is not judged.
    pub time: Duration,
    /// Simulates nothing: what the forms say is all there is.
    pub forms_only: bool,
}

/// What is run, and how much of the effort that took.
pub(super) struct Trials<'a> {
    objective: &'a Objective,
    effort: &'a Effort,
    stop: Stop,
    watch: &'a Watch,
    spent_core_s: f64,
    cut: bool,
}

impl<'a> Trials<'a> {
    /// None yet. The time runs from here.
    pub(super) fn new(
        objective: &'a Objective,
        effort: &'a Effort,
        stop: &Stop,
        watch: &'a Watch,
    ) -> Trials<'a> {
        // A time beyond what the clock can say is no cap.
        let stop = now().checked_add(effort.time).map_or_else(|| stop.clone(), |end| stop.at(end));
        Trials { objective, effort, stop, watch, spent_core_s: 0.0, cut: false }
    }

    /// Whether to stop, on request or at the end of the time.
    pub(super) fn must_stop(&mut self) -> bool {
        let stop = self.stop.now();
        self.cut |= stop && !self.stop.asked();
        stop
    }

    /// Whether the time cut something off.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Core seconds that were reckoned for all trials so far.
    pub(super) fn spent_core_s(&self) -> f64 {
        self.spent_core_s
    }

    /// Core seconds that are left.
    pub(super) fn left_core_s(&self) -> f64 {
        self.effort.core_s - self.spent_core_s
    }

    /// The trials of `chosen` in the largest cluster in which `crashes` are followed within `budget_core_s`.
    pub(super) fn crashing_plan(&self, chosen: &Candidate, crashes: usize, budget_core_s: f64) -> Plan {
        self.largest(chosen, |plan| {
            let trials = crashes.div_ceil(plan.crashes().max(1) as usize).max(TRIALS_MIN);
            plan.crashing_core_s() * trials as f64 <= budget_core_s
        })
    }

    /// The trials of `chosen` in the largest cluster whose quiet ones fit into `budget_core_s`.
    pub(super) fn quiet_plan(&self, chosen: &Candidate, budget_core_s: f64) -> Plan {
        self.largest(chosen, |plan| plan.quiet_core_s() * QUIET_RUNS as f64 <= budget_core_s)
    }

    fn largest(&self, chosen: &Candidate, fits: impl Fn(&Plan) -> bool) -> Plan {
        let mut members = self.objective.members;
        loop {
            let plan = Plan::new(self.objective, &chosen.settings, &chosen.predicted, members);
            if members / 2 < MEMBERS_MIN || fits(&plan) {
                return plan;
            }
            members /= 2;
        }
    }

    /// Runs trials: until there are the fewest crashes that are wanted, then twice as many as long as a limit is
    /// not decided, up to the most, or up to `budget_core_s`.
    pub(super) fn simulate(
        &mut self,
        [quiet, plan]: [&Plan; 2],
        scales: Vec<(Measure, f64)>,
        seed: u64,
        wanted: RangeInclusive<usize>,
        budget_core_s: f64,
    ) -> Result<Evidence, String> {
        let (members, crashing_members) = (quiet.members(), plan.members());
        let mut evidence = Evidence { members, crashing_members, scales, ..Evidence::default() };
        let until = self.spent_core_s + budget_core_s;
        let trials: Vec<_> = (0..QUIET_RUNS).map(|index| quiet.quiet(seed + index)).collect();
        self.run_batch(trials, quiet.quiet_core_s(), &mut evidence.quiet)?;
        let (mut goal, mut next) = (*wanted.start(), seed);
        loop {
            let missing = goal.saturating_sub(evidence.crashes()).div_ceil(plan.crashes().max(1) as usize);
            let batch = missing.max(TRIALS_MIN);
            let more = goal > *wanted.start();
            if more && self.spent_core_s + plan.crashing_core_s() * batch as f64 > until {
                break;
            }
            let trials: Vec<_> = (0..batch as u64).map(|index| plan.crashing(next + index)).collect();
            next += batch as u64;
            self.run_batch(trials, plan.crashing_core_s(), &mut evidence.crashing)?;
            if self.must_stop() || goal >= *wanted.end() || self.is_decided(&evidence) {
                break;
            }
            goal = (goal * 2).min(*wanted.end());
        }
        Ok(evidence)
    }

    /// Whether the intervals of all limits on what can be simulated lie on one side of them.
    fn is_decided(&self, evidence: &Evidence) -> bool {
        self.objective.limits.iter().all(|limit| match evidence.scaled_estimate(limit.measure) {
            None => true,
            Some(seen) => {
                seen.high.is_some_and(|high| high <= limit.most)
                    || seen.low.is_some_and(|low| low > limit.most)
            }
        })
    }

    /// Runs every one of `trials`, in whatever order; their outcomes are in the order of the trials.
    fn run_batch(
        &mut self,
        trials: Vec<TrialOptions>,
        core_s: f64,
        into: &mut Vec<Digest>,
    ) -> Result<(), String> {
        self.spent_core_s += core_s * trials.len() as f64;
        let jobs: Vec<Job> =
            trials.into_iter().enumerate().map(|(index, options)| Job { index, options }).collect();
        let mut done: Vec<(usize, Digest)> = Vec::new();
        run_all(&jobs, self.effort.threads, &self.stop, self.watch, |job, digest| {
            done.push((job.index, digest));
            Ok(())
        })?;
        self.cut |= done.len() < jobs.len() && !self.stop.asked();
        done.sort_by_key(|(index, _)| *index);
        into.extend(done.into_iter().map(|(_, digest)| digest));
        Ok(())
    }
}

/// Crashes of a judgement: enough for a 99th percentile, up to four times as many where that does not decide.
pub(super) const JUDGED: RangeInclusive<usize> = CRASHES_WANTED..=CRASHES_WANTED * 4;
/// Crashes of a round.
pub(super) const TRIED: RangeInclusive<usize> = CRASHES_WANTED / 2..=CRASHES_WANTED;

/// What the forms say of the size that is judged over what they say of the sizes that are simulated, where these
/// differ.
pub(super) fn scales(
    objective: &Objective,
    forms: &Forms,
    chosen: &Candidate,
    [quiet, plan]: [&Plan; 2],
) -> Vec<(Measure, f64)> {
    let said = |members: u32| forms.at_size(members).predict(&chosen.settings);
    let whole = said(objective.members);
    let scaled = Measure::ALL.into_iter().filter_map(|measure| {
        let members = if measure.is_cost() { quiet.members() } else { plan.members() };
        let scale = whole.get(measure) / said(members).get(measure);
        (members < objective.members && scale.is_finite()).then_some((measure, scale))
    });
    scaled.collect()
}
