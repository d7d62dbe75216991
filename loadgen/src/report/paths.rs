//! Measurements by name: the dotted paths that objectives, comparisons and spreadsheets use.

use serde_json::Value;

/// Every number a report has, in the order people read them. Arrays, settings and the environment are not
/// measurements and have no path.
pub const NUMBERS: [&str; 107] = [
    "members",
    "duration_s",
    "cpu.cores",
    "cpu.us_per_member_second",
    "cpu.kernel_ratio",
    "memory.rss_bytes",
    "memory.bytes_per_pair",
    "datagrams.sent",
    "datagrams.received",
    "datagrams.dropped",
    "datagrams.lost_on_purpose",
    "datagrams.packets_sent",
    "datagrams.per_second",
    "datagrams.bytes_per_member_second",
    "datagrams.per_system_call",
    "allocations.steady_state",
    "views.bases_made",
    "views.rebased",
    "views.step_us_max",
    "probe_rtt_us.count",
    "probe_rtt_us.p50",
    "probe_rtt_us.p90",
    "probe_rtt_us.p99",
    "probe_rtt_us.p999",
    "probe_rtt_us.max",
    "zone_rtt_us.within.count",
    "zone_rtt_us.within.p50",
    "zone_rtt_us.within.p99",
    "zone_rtt_us.within.max",
    "zone_rtt_us.between.count",
    "zone_rtt_us.between.p50",
    "zone_rtt_us.between.p99",
    "zone_rtt_us.between.max",
    "schedule_lag_us.p50",
    "schedule_lag_us.p99",
    "schedule_lag_us.max",
    "kills.count",
    "kills.detected",
    "detection_s.first.count",
    "detection_s.first.p50",
    "detection_s.first.p99",
    "detection_s.first.max",
    "detection_s.all.count",
    "detection_s.all.p50",
    "detection_s.all.p99",
    "detection_s.all.max",
    "false_suspicions",
    "false_deaths",
    "events.sent",
    "events.refused",
    "events.delivered_ratio",
    "events.copies_per_member",
    "events.crossed_per_zone",
    "events.cpu_us_per_event_per_member",
    "events.spread_ms.p50",
    "events.spread_ms.p99",
    "events.spread_ms.max",
    "delegations.copies.count",
    "delegations.copies.per_second",
    "delegations.acknowledgements.count",
    "delegations.acknowledgements.per_second",
    "delegations.retransmissions.count",
    "delegations.retransmissions.per_second",
    "delegations.given_up.count",
    "delegations.given_up.per_second",
    "delegations.shed.count",
    "delegations.shed.per_second",
    "delegations.crossed.count",
    "delegations.crossed.per_second",
    "convergence_s",
    "real_members.count",
    "real_members.untracked",
    "real_members.silence_s",
    "real_members.all_dead_at_s",
    "real_members.unopened_of_others",
    "real_members.total.acks",
    "real_members.total.ack_rtt_us.count",
    "real_members.total.ack_rtt_us.p50",
    "real_members.total.ack_rtt_us.p99",
    "real_members.total.ack_rtt_us.max",
    "real_members.total.lost_acks",
    "real_members.total.suspect_s.count",
    "real_members.total.suspect_s.p50",
    "real_members.total.suspect_s.p99",
    "real_members.total.suspect_s.max",
    "real_members.total.dead_s.count",
    "real_members.total.dead_s.p50",
    "real_members.total.dead_s.p99",
    "real_members.total.dead_s.max",
    "real_members.total.event_ms.count",
    "real_members.total.event_ms.p50",
    "real_members.total.event_ms.p99",
    "real_members.total.event_ms.max",
    "real_members.total.suspicions_raised",
    "real_members.total.deaths_declared",
    "real_members.total.suspected",
    "real_members.total.suspected_of.by",
    "real_members.total.suspected_of.from_s",
    "real_members.total.suspected_of.until_s",
    "real_members.total.failed",
    "real_members.total.failed_of.by",
    "real_members.total.failed_of.from_s",
    "real_members.total.failed_of.until_s",
    "real_members.total.held_dead",
    "real_members.total.unopened",
    "seed",
    "schema",
];

/// The number at a path of a JSON report; `None` where it was not measured.
pub fn number(report: &Value, path: &str) -> Option<f64> {
    path.split('.').try_fold(report, |value, name| value.get(name))?.as_f64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::report::tests::full_report;

    /// The numeric leaves of a JSON value, without those inside arrays.
    fn leaves(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Number(_) => {
                found.insert(prefix.to_owned());
            }
            Value::Object(map) => {
                for (name, value) in map {
                    let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    leaves(&path, value, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_list_is_every_number_of_a_report() {
        let mut report = full_report().to_value();
        for other in ["settings", "environment"] {
            report.as_object_mut().unwrap().remove(other);
        }
        let mut found = BTreeSet::new();
        leaves("", &report, &mut found);
        assert_eq!(found, NUMBERS.iter().map(|path| (*path).to_owned()).collect());
    }

    #[test]
    fn a_path_leads_to_its_number_or_to_none() {
        let report = json!({"a": {"b": 2.5, "c": null, "d": "text"}});
        assert_eq!(number(&report, "a.b"), Some(2.5));
        for path in ["a", "a.c", "a.d", "a.b.c", "x", ""] {
            assert_eq!(number(&report, path), None, "{path}");
        }
    }
}
