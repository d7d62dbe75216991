//! The rounds of search and simulation, and the judgement, within a bounded effort.

use super::choice::{Choice, MARGIN, choose, larger};
use super::trials::{Effort, JUDGED, TRIED, Trials, scales};
use super::verdict::{Judged, Verdict, judge};
use super::{Evidence, Plan};
use crate::objective::{Measure, Objective};
use crate::search::infeasible::{Obstacle, obstacles};
use crate::search::{Candidate, Corrections, Forms, SearchResult};
use crate::sweep::Stop;
use crate::sweep::progress::Watch;

/// Rounds of search and simulation at most.
const ROUNDS_MAX: usize = 4;
/// A correction within this of 1 is no news.
const AGREES: f64 = 0.03;
/// Share of the effort of a round, and of all rounds: with more spent there is no other.
const ROUND_SHARE: f64 = 0.08;
const ROUNDS_SHARE: f64 = 0.2;
/// Share of the effort of a judgement at most, and of its quiet trials.
const JUDGEMENT_SHARE: f64 = 0.6;
const QUIET_SHARE: f64 = 0.1;
/// With less than this share left there is no other judgement.
const LEFT_SHARE: f64 = 0.15;
/// Added to the seeds of the holdout: no round has used them.
const HOLDOUT: u64 = 1 << 32;
/// Judgements at most: settings that do not surely meet every limit are corrected by what the holdout showed and
/// chosen anew, and other seeds judge those.
const HOLDOUTS_MAX: u64 = 3;

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
    pub found: SearchResult,
    /// The chosen settings.
    pub chosen: Candidate,
    /// Rounds of the search that found them.
    pub rounds: Vec<Round>,
    /// The simulations with fresh seeds.
    pub holdout: Evidence,
    /// Candidates that were judged: all but this one missed a limit, or may have.
    pub holdouts: u64,
    /// The distance from every limit that the search kept, as the logarithm of a ratio.
    pub margin: f64,
    /// The first seed.
    pub seed: u64,
    /// Core seconds that were reckoned for the simulations.
    pub core_s: f64,
    /// The verdict on each limit.
    pub judged: Vec<Judged>,
    /// Obstacles, if the limits cannot be met.
    pub obstacles: Vec<Obstacle>,
    /// Whether Ctrl-C ended it early.
    pub interrupted: bool,
    /// Whether the time ended it early: only then does the answer depend on the machine.
    pub cut: bool,
}

impl Answer {
    /// Whether every limit is met, beyond doubt.
    pub fn is_met(&self) -> bool {
        self.obstacles.is_empty() && self.judged.iter().all(|judged| judged.verdict.is_met())
    }

    /// Whether a limit is missed, beyond doubt.
    pub fn is_missed(&self) -> bool {
        self.judged.iter().any(|judged| judged.verdict == Verdict::Missed)
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
    trials: Trials<'a>,
    forms: Forms,
}

impl<'a> Confirmation<'a> {
    fn new(
        objective: &'a Objective,
        effort: &'a Effort,
        stop: &'a Stop,
        watch: &'a Watch,
    ) -> Confirmation<'a> {
        let (forms, trials) = (Forms::of(objective), Trials::new(objective, effort, stop, watch));
        Confirmation { objective, effort, stop, watch, trials, forms }
    }

    fn run(mut self) -> Result<Answer, String> {
        self.watch.say("searching the closed forms");
        let mut choice = choose(self.objective, &self.forms, MARGIN);
        let mut rounds: Vec<Round> = Vec::new();
        while !self.effort.forms_only && rounds.len() < ROUNDS_MAX {
            let best = &choice.found.best;
            let tried = rounds.iter().any(|round| round.chosen.settings == best.settings);
            let spent = self.trials.spent_core_s() > self.effort.core_s * ROUNDS_SHARE;
            if tried || spent || self.trials.must_stop() {
                break;
            }
            self.watch.say(format!("round {}", rounds.len() + 1));
            let round = self.round(best.clone())?;
            let news = round
                .ratios
                .iter()
                .any(|(measure, ratio)| (ratio / self.forms.corrections().of(*measure) - 1.0).abs() > AGREES);
            self.correct(&round.ratios);
            rounds.push(round);
            choice = choose(self.objective, &self.forms, MARGIN);
            if !news {
                break;
            }
        }
        self.judge(choice, rounds)
    }

    fn judge(mut self, choice: Choice, rounds: Vec<Round>) -> Result<Answer, String> {
        let mut answer = Answer {
            forms: self.forms.clone(),
            chosen: choice.found.best.clone(),
            found: choice.found,
            margin: choice.margin,
            rounds,
            holdout: Evidence::default(),
            holdouts: 0,
            seed: self.effort.seed,
            core_s: 0.0,
            judged: Vec::new(),
            obstacles: Vec::new(),
            interrupted: false,
            cut: false,
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
        answer.core_s = self.trials.spent_core_s();
        answer.interrupted = self.stop.asked();
        answer.cut = self.trials.is_cut();
        Ok(answer)
    }

    /// Simulates `chosen` and compares with what the forms, uncorrected, say at the simulated size.
    fn round(&mut self, chosen: Candidate) -> Result<Round, String> {
        let budget = self.effort.core_s * ROUND_SHARE;
        let plan = self.trials.crashing_plan(&chosen, *TRIED.start(), budget);
        let evidence = self.trials.simulate([&plan, &plan], Vec::new(), self.effort.seed, TRIED, budget)?;
        let ratios = self.ratios(&chosen, &evidence);
        Ok(Round { chosen, evidence, ratios })
    }

    /// What was seen over what the forms, uncorrected, say at the simulated sizes.
    fn ratios(&self, chosen: &Candidate, evidence: &Evidence) -> Vec<(Measure, f64)> {
        let raw = self.forms.corrected(Corrections::none());
        let said = |members: u32| raw.at_size(members).predict(&chosen.settings);
        let (quiet, crashing) = (said(evidence.members), said(evidence.crashing_members));
        let ratio = |measure: Measure| {
            let said = if measure.is_cost() { &quiet } else { &crashing };
            Some((measure, evidence.estimate(measure)?.value / said.get(measure)))
        };
        Measure::ALL.into_iter().filter_map(ratio).filter(|(_, ratio)| ratio.is_finite()).collect()
    }

    fn correct(&mut self, ratios: &[(Measure, f64)]) {
        let mut corrections = self.forms.corrections().clone();
        for (measure, ratio) in ratios {
            corrections.note(*measure, *ratio);
        }
        self.forms = self.forms.corrected(corrections);
    }

    /// Judges the choice on fresh seeds; where it does not surely meet every limit, another choice on others. The
    /// one that came out best is the answer.
    fn hold_out(&mut self, answer: &mut Answer) -> Result<(), String> {
        answer.holdout = self.holdout(&answer.chosen, 0)?;
        answer.holdouts = 1;
        while answer.holdouts < HOLDOUTS_MAX
            && self.doubts(&answer.chosen, &answer.holdout) > (0, 0)
            && self.trials.left_core_s() > self.effort.core_s * LEFT_SHARE
            && !self.trials.must_stop()
        {
            let ratios = self.ratios(&answer.chosen, &answer.holdout);
            self.correct(&ratios);
            let Choice { found, margin } = choose(self.objective, &self.forms, larger(answer.margin));
            if !found.best.meets(self.objective) || found.best.settings == answer.chosen.settings {
                return Ok(());
            }
            let holdout = self.holdout(&found.best, answer.holdouts)?;
            answer.holdouts += 1;
            let was = self.doubts(&answer.chosen, &answer.holdout);
            let unfinished = self.trials.is_cut() || self.stop.asked();
            if unfinished || self.doubts(&found.best, &holdout) > was {
                let ratios = self.ratios(&found.best, &holdout);
                answer.rounds.push(Round { chosen: found.best, evidence: holdout, ratios });
                return Ok(());
            }
            let chosen = std::mem::replace(&mut answer.chosen, found.best.clone());
            let evidence = std::mem::replace(&mut answer.holdout, holdout);
            answer.rounds.push(Round { chosen, evidence, ratios });
            (answer.found, answer.margin, answer.forms) = (found, margin, self.forms.clone());
        }
        Ok(())
    }

    /// Limits that are missed, and limits of which that is not known.
    fn doubts(&self, chosen: &Candidate, holdout: &Evidence) -> (usize, usize) {
        let judged = judge(self.objective, &chosen.predicted, holdout);
        let count = |of: &dyn Fn(Verdict) -> bool| judged.iter().filter(|judged| of(judged.verdict)).count();
        let missed = count(&|verdict| verdict == Verdict::Missed);
        (missed, count(&|verdict| !verdict.is_met()) - missed)
    }

    /// Judges at the real size or, where that takes more than the effort there is, at the largest that does not.
    fn holdout(&mut self, chosen: &Candidate, number: u64) -> Result<Evidence, String> {
        self.watch.say("judging with fresh seeds");
        let budget = (self.effort.core_s * JUDGEMENT_SHARE).min(self.trials.left_core_s());
        let quiet = self.trials.quiet_plan(chosen, self.effort.core_s * QUIET_SHARE);
        let plan: Plan = self.trials.crashing_plan(chosen, *JUDGED.start(), budget);
        let plans = [&quiet, &plan];
        let scales = scales(self.objective, &self.forms, chosen, plans);
        let seed = self.effort.seed + HOLDOUT * (number + 1);
        // What no other judgement will need may be spent on this one.
        let budget = self.trials.left_core_s().max(budget);
        self.trials.simulate(plans, scales, seed, JUDGED, budget)
    }
}
