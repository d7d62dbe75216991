//! Which limit is in the way: what each of them would have to be if the others stay.
//!
//! A limit is dropped, its measure becomes what is minimised, and the search runs again: the best value is
//! what that limit would have to be raised to. Where even that finds nothing, the others contradict each other
//! and the measure's own best says whether it is at fault.

use serde::Serialize;

use super::{Forms, search};
use crate::objective::{Limit, Measure, Objective};

/// What a limit would have to be.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Obstacle {
    /// The limit.
    pub limit: Limit,
    /// What it would have to be, with the other limits as they are; nothing if that would not do.
    pub needed: Option<f64>,
    /// The least that any settings reach, whatever the other limits.
    pub least: f64,
}

impl Obstacle {
    /// Whether no settings reach the limit at all.
    pub fn is_out_of_reach(&self) -> bool {
        self.least > self.limit.most
    }

    /// In a line: `max-bytes-per-second would have to be 3,100 B/s: it is 2,000 B/s (1.55 times)`.
    pub fn line(&self) -> String {
        let Limit { measure, most, .. } = self.limit;
        let (name, limit) = (measure.name(), measure.show(most));
        match self.needed {
            _ if self.is_out_of_reach() => {
                format!(
                    "{name} {limit} is out of reach: the least that any settings give is {}",
                    measure.show(self.least)
                )
            }
            Some(needed) => format!(
                "{name} would have to be {}: it is {limit} ({:.2} times)",
                measure.show(needed),
                needed / most
            ),
            None => format!("{name} {limit}: no value of it alone would do"),
        }
    }
}

/// One obstacle for each limit of `objective`, which cannot be met together.
pub fn obstacles(objective: &Objective, forms: &Forms) -> Vec<Obstacle> {
    objective.limits.iter().map(|limit| obstacle(objective, forms, *limit)).collect()
}

fn obstacle(objective: &Objective, forms: &Forms, limit: Limit) -> Obstacle {
    let mut relaxed = objective.without(limit.measure);
    relaxed.minimise = limit.measure;
    let found = search(&relaxed, forms, 0.0);
    let needed = found.best.meets(&relaxed).then(|| found.best.predicted.get(limit.measure));
    Obstacle { limit, needed, least: least(&relaxed, forms, limit.measure) }
}

/// The least that any settings give of `measure`, with no limit at all.
fn least(objective: &Objective, forms: &Forms, measure: Measure) -> f64 {
    let mut free = objective.clone();
    free.limits.clear();
    free.minimise = measure;
    search(&free, forms, 0.0).best.predicted.get(measure)
}
