//! Sweeps: the values of some names, and the grid of all their combinations.

use serde::{Deserialize, Serialize};

use super::Scenario;

/// Points of a grid at most: each is a simulated cluster.
pub const POINTS_MAX: usize = 10_000;

/// The values that one thing takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sweep {
    /// Its name.
    pub name: String,
    /// The values, as typed.
    pub values: Vec<String>,
}

/// One combination of the swept values; empty where nothing is swept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point(pub Vec<(String, String)>);

impl Sweep {
    /// Parses `NAME=VALUE,VALUE,...`; dashes in the name are underscores.
    ///
    /// # Errors
    /// One line with how to write it.
    pub fn parse(text: &str) -> Result<Sweep, String> {
        let refusal = || format!("{text}: write it like gossip_interval_ms=50,100,200");
        let (name, values) = text.split_once('=').ok_or_else(refusal)?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if name.is_empty() || values.iter().any(String::is_empty) {
            return Err(refusal());
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].contains(value) {
                return Err(format!("{name}: {value} is there twice"));
            }
        }
        Ok(Sweep { name: name.trim().replace('-', "_"), values })
    }
}

impl Point {
    /// The scenario at this point.
    ///
    /// # Errors
    /// One line with the name and the mend.
    pub fn of(&self, base: &Scenario) -> Result<Scenario, String> {
        let mut scenario = base.clone();
        for (name, value) in &self.0 {
            scenario.set(name, value)?;
        }
        scenario.validate().map_err(|fault| match self.label().as_str() {
            "" => fault,
            label => format!("at {label}: {fault}"),
        })?;
        Ok(scenario)
    }

    /// `gossip_interval_ms=50 gossip_fanout=3`.
    pub fn label(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        parts.join(" ")
    }
}

/// Every combination, the last sweep turning fastest.
///
/// # Errors
/// One line, if a name is swept twice or there are more than [`POINTS_MAX`].
pub fn grid(sweeps: &[Sweep]) -> Result<Vec<Point>, String> {
    let mut points = vec![Point::default()];
    for (index, sweep) in sweeps.iter().enumerate() {
        if sweeps[..index].iter().any(|other| other.name == sweep.name) {
            return Err(format!("--sweep {}: is swept over twice: give all its values at once", sweep.name));
        }
        if points.len().saturating_mul(sweep.values.len()) > POINTS_MAX {
            return Err(format!("--sweep: makes more than {POINTS_MAX} points: sweep over fewer values"));
        }
        let with = |point: &Point, value: &String| {
            let mut point = point.clone();
            point.0.push((sweep.name.clone(), value.clone()));
            point
        };
        points = points
            .iter()
            .flat_map(|point| sweep.values.iter().map(move |value| with(point, value)))
            .collect();
    }
    Ok(points)
}
