//! What the closed forms say of settings, in the terms of an objective, corrected by what was seen.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swimring::Settings;
use swimring_simulation::experiment::{WireSizes, zones_max};

use crate::model::delegation::Known;
use crate::model::{Environment, predict_known};
use crate::objective::{Measure, Measures, Objective};

/// What simulations showed over what the forms said, for each measure: 1 where nothing was seen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Corrections(Vec<(Measure, f64)>);

/// Corrections are believed up to this factor, up and down: more is no correction of the forms but luck.
const CORRECTION_MAX: f64 = 4.0;

impl Corrections {
    /// Nothing was seen yet.
    pub fn none() -> Corrections {
        Corrections(Vec::new())
    }

    /// Notes that `measure` was seen to be `ratio` times what was said.
    pub fn note(&mut self, measure: Measure, ratio: f64) {
        if ratio.is_finite() && ratio > 0.0 {
            self.0.retain(|(other, _)| *other != measure);
            self.0.push((measure, ratio.clamp(1.0 / CORRECTION_MAX, CORRECTION_MAX)));
        }
    }

    /// The factor of `measure`.
    pub fn of(&self, measure: Measure) -> f64 {
        self.0.iter().find(|(other, _)| *other == measure).map_or(1.0, |(_, ratio)| *ratio)
    }

    /// All of them.
    pub fn all(&self) -> &[(Measure, f64)] {
        &self.0
    }
}

/// The closed forms in the network of an objective.
#[derive(Clone, Debug)]
pub struct Forms {
    environment: Environment,
    corrections: Corrections,
    /// Broadcasts that were solved before, by these forms or those that they were made of.
    known: Arc<Known>,
}

impl Forms {
    /// Those of `objective`, uncorrected.
    pub fn of(objective: &Objective) -> Forms {
        let (rtt_median_ms, rtt_sigma) = objective.network.round_trip();
        let environment = Environment {
            members: objective.members,
            loss: objective.network.loss,
            // A stream over a lossy network comes too late as often as a datagram does not come.
            rtt_median_ms,
            rtt_sigma,
            zones: objective.network.zones,
            zone_rtt_ms: objective.network.zone_rtt_ms,
            wire: objective.target.wire(),
            events_per_second: objective.events_per_second,
            failures_per_hour: objective.failures_per_hour,
            ..Environment::default()
        };
        Forms { environment, corrections: Corrections::none(), known: Arc::default() }
    }

    /// The same forms, corrected.
    #[must_use]
    pub fn corrected(&self, corrections: Corrections) -> Forms {
        Forms { corrections, ..self.clone() }
    }

    /// The same forms in a cluster of another size.
    #[must_use]
    pub fn at_size(&self, members: u32) -> Forms {
        let zones = self.environment.zones.min(zones_max(members));
        Forms { environment: Environment { members, zones, ..self.environment.clone() }, ..self.clone() }
    }

    /// The same forms with the message sizes of another format.
    #[must_use]
    pub fn with_wire(&self, wire: WireSizes) -> Forms {
        Forms { environment: Environment { wire, ..self.environment.clone() }, ..self.clone() }
    }

    /// What was corrected.
    pub fn corrections(&self) -> &Corrections {
        &self.corrections
    }

    /// What they are computed for.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// `settings` with what follows from the rest: events are remembered for longer than they are told.
    #[must_use]
    pub fn finished(&self, mut settings: Settings) -> Settings {
        let told = settings.gossip_interval
            * u32::from(settings.retransmit_limit(self.environment.members as usize))
            * 2;
        settings.event_memory = settings.event_memory.max(Duration::from_secs(told.as_secs() + 1));
        settings.event_memory = settings.event_memory.min(Duration::from_secs(3600));
        settings.members_max = settings.members_max.max(self.environment.members.saturating_mul(2));
        settings
    }

    /// What `settings` give and cost.
    pub fn predict(&self, settings: &Settings) -> Measures {
        let said = predict_known(settings, &self.environment, &self.known);
        let mut measures = Measures {
            detect_p50_s: said.first_declared_p50_s,
            detect_p99_s: said.first_declared_p99_s,
            detect_all_p99_s: said.all_declared_p99_s,
            spread_p50_ms: said.spread_p50_ms,
            spread_p99_ms: said.spread_p99_ms,
            bytes_per_member_second: said.bytes_per_member_second,
            datagrams_per_member_second: said.datagrams_per_member_second,
            cpu_us_per_member_second: said.cpu_us_per_member_second,
            false_deaths_per_day: said.false_deaths_per_day,
        };
        for (measure, ratio) in self.corrections.all() {
            *measures.get_mut(*measure) *= ratio;
        }
        // The median of the spread is not limited by itself: it moves with the 99th percentile.
        measures.spread_p50_ms *= self.corrections.of(Measure::SpreadP99);
        measures
    }
}
