//! Everything about an answer as one JSON document.

use serde_json::{Value, json};

use super::settings::{blocks, changed};
use super::view::View;
use crate::objective::Measure;
use crate::search::{Candidate, Knob};
use crate::validation::Evidence;

/// The version of the names.
pub const SCHEMA: u32 = 1;

/// The document.
pub fn document(view: &View<'_>) -> Value {
    let (objective, answer) = (view.objective, view.answer);
    let network = &objective.network;
    json!({
        "schema": SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "met": answer.is_met(),
        "refused": answer.is_refused(),
        "missed": answer.is_missed(),
        "interrupted": answer.interrupted,
        "cut_by_time": answer.cut,
        "seed": answer.seed,
        "core_s": answer.core_s,
        "margin": answer.margin,
        "objective": {
            "members": objective.members,
            "loss": network.loss,
            "rtt_ms": network.round_trip().0,
            "rtt_sigma": network.round_trip().1,
            "zones": network.zones,
            "zone_rtt_ms": network.zone_rtt_ms,
            "regions": network.regions.as_ref().map(|map| map.names.clone()),
            "slow_share": network.slow_share,
            "events_per_second": objective.events_per_second,
            "failures_per_hour": objective.failures_per_hour,
            "limits": objective.limits,
            "minimise": objective.minimise,
            "for": objective.target.as_str(),
        },
        "settings": answer.chosen.settings,
        "settings_changed": changed(&answer.chosen.settings).into_iter().map(|(setting, _)| setting.name).collect::<Vec<_>>(),
        "blocks": blocks(&answer.chosen.settings)
            .into_iter()
            .map(|block| (block.name.to_owned(), Value::from(block.text)))
            .collect::<serde_json::Map<_, _>>(),
        "predicted": answer.chosen.predicted,
        "predicted_uncorrected": view.own,
        "corrections": answer.forms.corrections(),
        "limits": answer.judged,
        "obstacles": answer.obstacles,
        "holdout": evidence(&answer.holdout),
        "holdouts": answer.holdouts,
        "rounds": answer.rounds.iter().map(|round| json!({
            "settings": knobs(&round.chosen),
            "predicted": round.chosen.predicted,
            "simulated": evidence(&round.evidence),
            "simulated_over_predicted": round.ratios,
        })).collect::<Vec<_>>(),
        "looked_at": answer.found.all.len(),
        "pareto": view.front.iter().map(|candidate| json!({
            "settings": knobs(candidate),
            "predicted": candidate.predicted,
        })).collect::<Vec<_>>(),
        "compared": view.compared.iter().map(|default| json!({
            "name": default.name,
            "settings": knobs(&default.candidate),
            "predicted": default.candidate.predicted,
        })).collect::<Vec<_>>(),
    })
}

fn knobs(candidate: &Candidate) -> Value {
    let values =
        Knob::ALL.iter().map(|knob| (knob.name().to_owned(), json!(candidate.settings.get(knob.name()))));
    Value::Object(values.collect())
}

fn evidence(evidence: &Evidence) -> Value {
    let estimates =
        Measure::ALL.iter().map(|measure| (measure.name().to_owned(), json!(evidence.estimate(*measure))));
    json!({
        "members": evidence.members,
        "crashing_members": evidence.crashing_members,
        "scales": evidence.scales,
        "crashes": evidence.crashes(),
        "trials": evidence.crashing.len(),
        "quiet_trials": evidence.quiet.len(),
        "estimates": estimates.collect::<serde_json::Map<_, _>>(),
        "false_deaths": evidence.false_deaths(),
        "detection_s": evidence.detection_curve(100),
        "spread_ms": evidence.spread_curve(),
    })
}
