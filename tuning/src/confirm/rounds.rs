//! The rounds of search and simulation, and the holdout, within a bounded time.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::verdict::{Judged, Verdict, judge};
use super::{Evidence, Plan, plan::CRASHES_WANTED};
use crate::objective::{Measure, Objective};
use crate::search::obstacles::{Obstacle, obstacles};
use crate::search::{Candidate, Corrections, Forms, Found, search};
use crate::statistics::Estimate;
use crate::sweep::progress::Watch;
use crate::sweep::run::now;
use crate::sweep::{Job, Stop, run_all};

/// Rounds of search and simulation at most.
const ROUNDS_MAX: usize = 4;
/// Kept from every limit in the search, as a share: simulations scatter, and the interval is to be within.
const MARGIN: f64 = 0.05;
/// A correction within this of 1 is no news.
const AGREES: f64 = 0.03;
/// Trials started at once: at least, so that threads have something to do, and at most, before their sum is
/// looked at. Fixed, so that the answer does not depend on the threads.
const BATCH: (usize, usize) = (2, 64);
/// Real seconds that a unit of [`Plan::work`] takes, before anything was measured; a careful guess.
const SECONDS_PER_WORK: f64 = 0.8e-6;
/// Share of the time for the rounds; the rest is the holdout's and the comparison's.
const ROUNDS_SHARE: f64 = 0.4;
/// The smallest cluster that stands for a larger one.
const MEMBERS_MIN: u32 = 500;
/// Added to the seeds of the holdout: no round has used them.
const HOLDOUT: u64 = 1 << 32;
/// Judgements at most: settings that miss a limit are corrected by what the holdout showed and chosen anew, and
/// other seeds judge those.
const HOLDOUTS_MAX: u64 = 3;
/// Share of the time after which there is no other judgement.
const HOLDOUTS_SHARE: f64 = 0.75;
/// Share of its time that the holdout's first trials are planned to take: large clusters are slower, by member,
/// than the smaller ones that the speed was learned from.
const HOLDOUT_USE: f64 = 0.4;
/// With fewer crashes than this in a trial, a smaller cluster tells more.
const CRASHES_FEW: u32 = 8;
/// The first trials may take this much of the time: without them there is nothing to judge.
const FIRST_BATCH: f64 = 1.3;
/// Quiet trials.
const QUIET_RUNS: u64 = 3;

/// How much may be spent.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Threads.
    pub threads: usize,
    /// First seed of the rounds.
    pub seed: u64,
    /// Real time for everything, about.
    pub time: Duration,
    /// Simulates nothing: what the forms say is all there is.
    pub forms_only: bool,
}

/// One round: what was chosen and what simulations showed of it.
#[derive(Debug)]
pub struct Round {
    /// The choice, with what the forms said at that time, for the real size.
    pub chosen: Candidate,
    /// The simulations, maybe of a smaller cluster.
    pub evidence: Evidence,
    /// What was seen over what the forms said at the simulated size, for each measure that can be seen.
    pub ratios: Vec<(Measure, f64)>,
}

/// The answer to an objective.
#[derive(Debug)]
pub struct Answer {
    /// The forms, corrected by all rounds.
    pub forms: Forms,
    /// The last search.
    pub found: Found,
    /// The chosen settings.
    pub chosen: Candidate,
    /// How they were found.
    pub rounds: Vec<Round>,
    /// The simulations with fresh seeds.
    pub holdout: Evidence,
    /// How many candidates were judged: those before the last one missed a limit.
    pub holdouts: u64,
    /// The verdict on each limit.
    pub judged: Vec<Judged>,
    /// Where the limits cannot be met: what stands in the way.
    pub obstacles: Vec<Obstacle>,
    /// Whether Ctrl-C ended it early.
    pub interrupted: bool,
}

impl Answer {
    /// Whether every limit is met.
    pub fn is_met(&self) -> bool {
        self.obstacles.is_empty() && self.judged.iter().all(|judged| judged.verdict.is_met())
    }

    /// Whether the limits cannot be met together.
    pub fn is_refused(&self) -> bool {
        !self.obstacles.is_empty()
    }
}

/// Answers `objective`.
///
/// # Errors
/// What a simulation refused.
pub fn recommend(
    objective: &Objective,
    effort: &Effort,
    stop: &Stop,
    watch: &Watch,
) -> Result<Answer, String> {
    Confirmation::new(objective, effort, stop, watch).run()
}

struct Confirmation<'a> {
    objective: &'a Objective,
    effort: &'a Effort,
    stop: &'a Stop,
    watch: &'a Watch,
    forms: Forms,
    started: Instant,
    /// Real seconds per unit of work, as it was last.
    seconds_per_work: f64,
}

impl<'a> Confirmation<'a> {
    fn new(
        objective: &'a Objective,
        effort: &'a Effort,
        stop: &'a Stop,
        watch: &'a Watch,
    ) -> Confirmation<'a> {
        let (forms, started) = (Forms::of(objective), now());
        Confirmation { objective, effort, stop, watch, forms, started, seconds_per_work: SECONDS_PER_WORK }
    }

    fn run(mut self) -> Result<Answer, String> {
        self.watch.say("searching the closed forms");
        let mut found = search(self.objective, &self.forms, MARGIN);
        let mut rounds: Vec<Round> = Vec::new();
        if !self.effort.forms_only {
            for number in 0..ROUNDS_MAX {
                let within_time = self.started.elapsed() < self.effort.time.mul_f64(ROUNDS_SHARE);
                let tried = rounds.iter().any(|round| round.chosen.settings == found.best.settings);
                if self.stop.asked() || tried || (number > 0 && !within_time) {
                    break;
                }
                self.watch.say(format!("round {}", number + 1));
                let round = self.round(found.best.clone())?;
                let news = round.ratios.iter().any(|(measure, ratio)| {
                    (ratio / self.forms.corrections().of(*measure) - 1.0).abs() > AGREES
                });
                self.correct(&round.ratios);
                rounds.push(round);
                found = search(self.objective, &self.forms, MARGIN);
                if !news {
                    break;
                }
            }
        }
        // Settings that keep a distance from the limits are better, but within them is enough.
        if !found.best.meets(self.objective) {
            found = search(self.objective, &self.forms, 0.0);
        }
        self.judge(found, rounds)
    }

    fn judge(mut self, found: Found, rounds: Vec<Round>) -> Result<Answer, String> {
        let chosen = found.best.clone();
        let mut answer = Answer {
            forms: self.forms.clone(),
            found,
            chosen,
            rounds,
            holdout: Evidence::default(),
            holdouts: 0,
            judged: Vec::new(),
            obstacles: Vec::new(),
            interrupted: false,
        };
        if !answer.chosen.meets(self.objective) {
            self.watch.say("looking for what is in the way");
            answer.obstacles = obstacles(self.objective, &self.forms);
        } else if !self.effort.forms_only {
            self.hold_out(&mut answer)?;
        }
        answer.judged = judge(self.objective, &answer.chosen.predicted, &answer.holdout);
        if self.effort.forms_only {
            for judged in answer.judged.iter_mut().filter(|judged| judged.verdict == Verdict::NotSeen) {
                judged.verdict =
                    if judged.predicted <= judged.limit.most { Verdict::MetByForm } else { Verdict::Missed };
            }
        }
        answer.interrupted = self.stop.asked();
        Ok(answer)
    }

    /// Simulates `chosen` and compares with what the forms, uncorrected, say at the simulated size.
    fn round(&mut self, chosen: Candidate) -> Result<Round, String> {
        let budget = self.effort.time.mul_f64(ROUNDS_SHARE / 2.0);
        let members = self.size_for(&chosen, budget);
        let plan = self.plan(&chosen, members, u32::MAX);
        let wanted = CRASHES_WANTED / 2..=CRASHES_WANTED;
        let evidence = self.simulate([&plan, &plan], self.effort.seed, wanted, budget)?;
        let ratios = self.ratios(&chosen, &evidence);
        Ok(Round { chosen, evidence, ratios })
    }

    /// What was seen over what the forms, uncorrected, say at the simulated size.
    fn ratios(&self, chosen: &Candidate, evidence: &Evidence) -> Vec<(Measure, f64)> {
        let raw =
            self.forms.corrected(Corrections::none()).at_size(evidence.members).predict(&chosen.settings);
        Measure::ALL
            .into_iter()
            .filter_map(|measure| Some((measure, evidence.estimate(measure)?.value / raw.get(measure))))
            .filter(|(_, ratio)| ratio.is_finite())
            .collect()
    }

    fn correct(&mut self, ratios: &[(Measure, f64)]) {
        let mut corrections = self.forms.corrections().clone();
        for (measure, ratio) in ratios {
            corrections.note(*measure, *ratio);
        }
        self.forms = self.forms.corrected(corrections);
    }

    /// Judges the choice on fresh seeds, and where it misses a limit, another choice on others.
    fn hold_out(&mut self, answer: &mut Answer) -> Result<(), String> {
        loop {
            self.watch.say("judging with fresh seeds");
            answer.holdout = self.holdout(&answer.chosen, answer.holdouts)?;
            answer.holdouts += 1;
            let judged = judge(self.objective, &answer.chosen.predicted, &answer.holdout);
            let missed = judged.iter().any(|judged| judged.verdict == Verdict::Missed);
            let late = self.started.elapsed() > self.effort.time.mul_f64(HOLDOUTS_SHARE);
            if !missed || late || answer.holdouts >= HOLDOUTS_MAX || self.stop.asked() {
                return Ok(());
            }
            let ratios = self.ratios(&answer.chosen, &answer.holdout);
            self.correct(&ratios);
            let found = search(self.objective, &self.forms, MARGIN);
            if !found.best.meets(self.objective) || found.best.settings == answer.chosen.settings {
                return Ok(());
            }
            let (chosen, evidence) = (found.best.clone(), std::mem::take(&mut answer.holdout));
            let missed = std::mem::replace(&mut answer.chosen, chosen);
            answer.rounds.push(Round { chosen: missed, evidence, ratios });
            answer.found = found;
            answer.forms = self.forms.clone();
        }
    }

    /// Judges at the real size; with fewer crashes where the time is short, rather than with none.
    fn holdout(&mut self, chosen: &Candidate, number: u64) -> Result<Evidence, String> {
        let left = self.effort.time.mul_f64(0.9).saturating_sub(self.started.elapsed());
        let budget = left.max(self.effort.time / 4);
        let members = self.objective.members;
        let mut plan = self.plan(chosen, members, u32::MAX);
        let too_slow = |plan: &Plan| plan.work() * self.seconds_per_work > budget.as_secs_f64() * HOLDOUT_USE;
        while plan.crashes() > CRASHES_FEW && too_slow(&plan) {
            plan = self.plan(chosen, members, plan.crashes() * 3 / 4);
        }
        let quiet = plan.clone();
        if too_slow(&plan) {
            plan = self.plan(chosen, self.size_for(chosen, budget.mul_f64(HOLDOUT_USE)), u32::MAX);
        }
        let wanted = CRASHES_WANTED..=CRASHES_WANTED * 5;
        let seed = self.effort.seed + HOLDOUT * (number + 1);
        let mut evidence = self.simulate([&quiet, &plan], seed, wanted, budget)?;
        if evidence.crashing_members < members {
            let said = |members: u32| self.forms.at_size(members).predict(&chosen.settings);
            let (small, large) = (said(evidence.crashing_members), said(members));
            let speeds = Measure::ALL.into_iter().filter(|measure| !measure.is_cost());
            evidence.scales = speeds
                .map(|measure| (measure, large.get(measure) / small.get(measure)))
                .filter(|(_, scale)| scale.is_finite())
                .collect();
        }
        Ok(evidence)
    }

    fn plan(&self, chosen: &Candidate, members: u32, crashes_max: u32) -> Plan {
        Plan::new(self.objective, &chosen.settings, &chosen.predicted, members, crashes_max)
    }

    /// The largest size at which half of the crashes that are wanted are simulated within `budget`.
    fn size_for(&self, chosen: &Candidate, budget: Duration) -> u32 {
        let mut members = self.objective.members;
        loop {
            let plan = self.plan(chosen, members, u32::MAX);
            let trials = (CRASHES_WANTED / 2).div_ceil(plan.crashes().max(1) as usize).max(BATCH.0);
            let each_s = plan.work() * self.seconds_per_work;
            let all_s = each_s * trials.div_ceil(self.effort.threads) as f64;
            if members / 2 < MEMBERS_MIN || all_s <= budget.as_secs_f64() * 0.8 {
                return members;
            }
            members /= 2;
        }
    }

    /// Runs trials in batches until there are the fewest crashes that are wanted and every limit is decided, or
    /// the most, or the time is up.
    fn simulate(
        &mut self,
        [quiet, plan]: [&Plan; 2],
        seed: u64,
        wanted: RangeInclusive<usize>,
        budget: Duration,
    ) -> Result<Evidence, String> {
        let deadline = now() + budget;
        let stop = self.stop.at(deadline);
        let mut evidence =
            Evidence { members: quiet.members(), crashing_members: plan.members(), ..Evidence::default() };
        let quiet: Vec<_> = (0..QUIET_RUNS).map(|index| quiet.quiet(seed + index)).collect();
        self.run_batch(quiet, &stop, &mut evidence.quiet)?;
        let mut next = seed;
        while evidence.crashes() < *wanted.end() && !stop.now() {
            if evidence.crashes() >= *wanted.start() && self.is_decided(&evidence) {
                break;
            }
            let more = evidence.crashes() + wanted.start() / 2;
            let next_goal = more.clamp(*wanted.start(), *wanted.end());
            let missing =
                next_goal.saturating_sub(evidence.crashes()).div_ceil(plan.crashes().max(1) as usize);
            // Small clusters have few crashes in a trial: many trials at once keep the threads busy.
            let batch = missing.clamp(BATCH.0, BATCH.1);
            let trials: Vec<_> = (0..batch as u64).map(|index| plan.crashing(next + index)).collect();
            let patience = self.stop.at(deadline + budget.mul_f64(FIRST_BATCH - 1.0));
            let until = if evidence.crashing.is_empty() { &patience } else { &stop };
            next += batch as u64;
            self.run_batch(trials, until, &mut evidence.crashing)?;
            if let Some(wall) =
                Estimate::mean(&evidence.crashing.iter().map(|d| d.wall_s).collect::<Vec<_>>())
            {
                self.seconds_per_work = wall.value / plan.work().max(1.0);
            }
            // A batch that cannot be finished is not begun.
            let next_s = plan.work() * self.seconds_per_work;
            if now() + Duration::from_secs_f64(next_s) > deadline {
                break;
            }
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

    fn run_batch(
        &self,
        trials: Vec<swimring::sim::trial::TrialOptions>,
        stop: &Stop,
        into: &mut Vec<crate::sweep::Digest>,
    ) -> Result<(), String> {
        let jobs: Vec<Job> =
            trials.into_iter().enumerate().map(|(index, options)| Job { index, options }).collect();
        let mut done: Vec<(usize, crate::sweep::Digest)> = Vec::new();
        run_all(&jobs, self.effort.threads, stop, self.watch, |job, digest| {
            done.push((job.index, digest));
            Ok(())
        })?;
        done.sort_by_key(|(index, _)| *index);
        into.extend(done.into_iter().map(|(_, digest)| digest));
        Ok(())
    }
}
