//! The Pareto front: settings that nothing beats in both of two measures.

use super::Candidate;
use crate::objective::{Measure, Objective};

/// Points of a front that are told at most; more look like a line and read like noise.
pub const FRONT_MAX: usize = 40;

/// The candidates that meet all limits but those on `x` and `y` and that nothing beats in both, by rising `x`.
pub fn front<'a>(all: &'a [Candidate], objective: &Objective, x: Measure, y: Measure) -> Vec<&'a Candidate> {
    let relaxed = objective.without(x).without(y);
    let finite = |candidate: &&Candidate| {
        candidate.predicted.get(x).is_finite() && candidate.predicted.get(y).is_finite()
    };
    let mut fit: Vec<&Candidate> =
        all.iter().filter(|candidate| candidate.meets(&relaxed)).filter(finite).collect();
    fit.sort_by(|a, b| {
        let by = |measure: Measure| a.predicted.get(measure).total_cmp(&b.predicted.get(measure));
        by(x).then(by(y))
    });
    let mut front: Vec<&Candidate> = Vec::new();
    for candidate in fit {
        if front.last().is_none_or(|last| candidate.predicted.get(y) < last.predicted.get(y)) {
            front.push(candidate);
        }
    }
    thinned(front)
}

/// Evenly spaced points, both ends included.
fn thinned(front: Vec<&Candidate>) -> Vec<&Candidate> {
    let count = front.len();
    if count <= FRONT_MAX {
        return front;
    }
    (0..FRONT_MAX).map(|index| front[index * (count - 1) / (FRONT_MAX - 1)]).collect()
}
