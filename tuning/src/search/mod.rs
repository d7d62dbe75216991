//! The search over the closed forms: a few ten thousand predictions, and the best settings among them.
//!
//! Settings are points on ladders of round values ([`Knob`]). The search looks at a random sample of all
//! combinations and at the presets, and climbs from the best of them: one knob, or two at once, a few steps up
//! or down, as long as that is better. *Better* is less beyond the limits first, and less of what is minimised
//! second. A knob that does nothing, gossip's where members delegate and the other way round, stays at the default.
//! Everything that was looked at is kept: the Pareto front comes from it, and so does the answer to
//! which limit is in the way.

pub mod curves;
pub mod defaults;
mod forms;
pub mod infeasible;
mod knob;
pub mod pareto;
pub mod sensitivity;

use std::collections::HashMap;

use swimring::Settings;

pub use forms::{Corrections, Forms};
pub use knob::Knob;

use crate::objective::{Measures, Objective};

/// Predictions of one search at most.
const EVALUATIONS_MAX: usize = 30_000;
/// Candidates among these that are drawn at random.
const SAMPLE: usize = 4_000;
/// Climbs, from the best of the sample.
const CLIMBS: usize = 10;
/// What one step away from the defaults has to bring at least, as a share of what is minimised: settings
/// that make no difference stay as they are.
const STEP_WORTH: f64 = 0.004;
/// Beyond a limit counts this much more than anything gained.
const BEYOND: f64 = 1e3;

/// Settings and what the forms say of them.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The settings.
    pub settings: Settings,
    /// What they give and cost, by the forms, corrected by what simulations showed.
    pub predicted: Measures,
}

impl Candidate {
    /// How far beyond its limits `objective` finds it: the sum of the logarithms of value over limit, 0 where
    /// all are met.
    pub fn beyond(&self, objective: &Objective, margin: f64) -> f64 {
        let over = |limit: &crate::objective::Limit| limit.excess(self.predicted.get(limit.measure)) + margin;
        objective.limits.iter().map(|limit| over(limit).max(0.0)).sum()
    }

    /// Whether it meets every limit by the forms.
    pub fn meets(&self, objective: &Objective) -> bool {
        self.keeps(objective, 0.0)
    }

    /// Whether it keeps `margin` from every limit by the forms.
    pub fn keeps(&self, objective: &Objective, margin: f64) -> bool {
        self.beyond(objective, margin) <= 0.0
    }
}

/// What a search looked at.
#[derive(Debug)]
pub struct SearchResult {
    /// The best of all: it meets the limits if any does.
    pub best: Candidate,
    /// Everything, in no order that means anything.
    pub all: Vec<Candidate>,
}

/// Searches. `margin` is kept from every limit, as the logarithm of a ratio: 0.03 is 3 %.
pub fn search(objective: &Objective, forms: &Forms, margin: f64) -> SearchResult {
    Search::new(objective, forms, margin).run()
}

/// Values of the knobs, in their order.
type Key = Vec<u64>;

struct Search<'a> {
    objective: &'a Objective,
    forms: &'a Forms,
    margin: f64,
    knobs: &'static [Knob],
    base: Settings,
    seen: HashMap<Key, usize>,
    all: Vec<(f64, Candidate)>,
    random: fastrand::Rng,
}

impl<'a> Search<'a> {
    fn new(objective: &'a Objective, forms: &'a Forms, margin: f64) -> Search<'a> {
        Search {
            objective,
            forms,
            margin,
            knobs: objective.target.knobs(),
            base: objective.target.starts()[0].clone(),
            seen: HashMap::new(),
            all: Vec::new(),
            // Not a choice of the user's: the search is to answer the same whatever the simulations' seeds.
            random: fastrand::Rng::with_seed(0x5eed),
        }
    }

    fn run(mut self) -> SearchResult {
        for settings in self.objective.target.starts() {
            self.look_at(settings);
        }
        if !self.knobs.is_empty() {
            self.sample();
            let mut starts: Vec<usize> = (0..self.all.len()).collect();
            starts.sort_by(|a, b| self.all[*a].0.total_cmp(&self.all[*b].0));
            for start in starts.into_iter().take(CLIMBS) {
                self.climb(start);
            }
        }
        let best = (0..self.all.len()).min_by(|a, b| self.all[*a].0.total_cmp(&self.all[*b].0)).unwrap_or(0);
        SearchResult {
            best: self.all[best].1.clone(),
            all: self.all.into_iter().map(|(_, candidate)| candidate).collect(),
        }
    }

    /// A random value of every knob, again and again. A third of them keeps half of the defaults: the best
    /// settings are often near them.
    fn sample(&mut self) {
        for round in 0..SAMPLE {
            let mut settings = self.base.clone();
            for knob in self.knobs {
                if round % 3 > 0 || self.random.bool() {
                    let ladder = knob.ladder();
                    knob.set(&mut settings, ladder[self.random.usize(..ladder.len())]);
                }
            }
            self.look_at(settings);
        }
    }

    /// Goes from `at` to better neighbours until there is none.
    fn climb(&mut self, mut at: usize) {
        while self.all.len() < EVALUATIONS_MAX {
            let single = self.best_neighbour(at, &[1, 2, 4, 8], false);
            // Two knobs at once only where one alone brings nothing: there are many more pairs.
            let next =
                if self.is_better(single, at) { single } else { self.best_neighbour(at, &[1, 3], true) };
            if !self.is_better(next, at) {
                return;
            }
            at = next;
        }
    }

    fn is_better(&self, a: usize, b: usize) -> bool {
        self.all[a].0 < self.all[b].0 - 1e-9
    }

    fn best_neighbour(&mut self, at: usize, lengths: &[i64], pairs: bool) -> usize {
        let settings = self.all[at].1.settings.clone();
        let mut best = at;
        let moves: Vec<(Knob, i64)> = self
            .knobs
            .iter()
            .flat_map(|knob| lengths.iter().flat_map(move |length| [(*knob, *length), (*knob, -*length)]))
            .collect();
        for (index, one) in moves.iter().enumerate() {
            let Some(first) = moved(&settings, *one) else { continue };
            let others = if pairs { &moves[index + 1..] } else { &moves[..0] };
            if !pairs {
                best = self.better(best, first.clone());
            }
            for other in others.iter().filter(|other| other.0 != one.0) {
                if let Some(second) = moved(&first, *other) {
                    best = self.better(best, second);
                }
            }
        }
        best
    }

    fn better(&mut self, best: usize, settings: Settings) -> usize {
        match self.look_at(settings) {
            Some(index) if self.is_better(index, best) => index,
            _ => best,
        }
    }

    /// Predicts what `settings` give, unless that is known or they cannot be.
    fn look_at(&mut self, mut settings: Settings) -> Option<usize> {
        // What does nothing is as it was, so that no answer changes it.
        for knob in self.knobs {
            if !knob.works_in(&settings) {
                knob.set(&mut settings, knob.get(&self.base));
            }
        }
        let key: Key = Knob::ALL.iter().map(|knob| knob.get(&settings)).collect();
        if let Some(index) = self.seen.get(&key) {
            return Some(*index);
        }
        if self.all.len() >= EVALUATIONS_MAX || settings.validate().is_err() {
            return None;
        }
        let settings = self.forms.finished(settings);
        let predicted = self.forms.predict(&settings);
        let candidate = Candidate { settings, predicted };
        let score = self.score(&candidate);
        self.seen.insert(key, self.all.len());
        self.all.push((score, candidate));
        Some(self.all.len() - 1)
    }

    fn score(&self, candidate: &Candidate) -> f64 {
        let value = candidate.predicted.get(self.objective.minimise);
        let goal = if value.is_finite() { value.max(1e-12).ln() } else { 30.0 };
        let steps: usize = self
            .knobs
            .iter()
            .map(|knob| {
                let step = |settings: &Settings| knob.nearest_step(knob.get(settings));
                step(&candidate.settings).abs_diff(step(&self.base))
            })
            .sum();
        candidate.beyond(self.objective, self.margin) * BEYOND + goal + STEP_WORTH * steps as f64
    }
}

/// `settings` with one knob moved by so many steps; `None` beyond the ladder's end.
fn moved(settings: &Settings, (knob, steps): (Knob, i64)) -> Option<Settings> {
    let at = knob.nearest_step(knob.get(settings)) as i64 + steps;
    let value = *knob.ladder().get(usize::try_from(at).ok()?)?;
    let mut settings = settings.clone();
    knob.set(&mut settings, value);
    Some(settings)
}

#[cfg(test)]
mod tests;
