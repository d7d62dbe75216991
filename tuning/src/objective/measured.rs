//! `--from`: size, loss and round trips of a cluster that a load generator has measured.
//!
//! A run that was attached to a real pool knows how the real members answered probes: how long direct acks took,
//! and how many never came. A probe's ping and its ack are lost alike, so the share of probes without an ack is
//! `1 - (1 - loss)^2`. The round trips become the log-normal with the same median and 99th percentile.

use std::path::Path;

use swimring::settings_file::read_bounded;
use swimring_loadgen::report::Report;

use super::ObjectiveArguments;

/// The longest report read.
const FILE_MAX_BYTES: u64 = 64 << 20;
/// The 99 % quantile of the standard normal distribution.
const NORMAL_P99: f64 = 2.326_348;

/// What the report at `path` says. The error is one line that starts with the flag.
///
/// # Errors
/// If it cannot be read, is no report, or has no round trips.
pub fn measured(path: &Path) -> Result<ObjectiveArguments, String> {
    let named = |fault: String| format!("--from {}: {fault}", path.display());
    let text = read_bounded(path, FILE_MAX_BYTES, "report").map_err(named)?;
    let report = Report::from_json(&text).map_err(named)?;
    of_report(&report).map_err(named)
}

fn of_report(report: &Report) -> Result<ObjectiveArguments, String> {
    if !report.valid {
        return Err("the run is not valid: its numbers say nothing about the cluster".to_owned());
    }
    let real = report.real_members.as_ref();
    let members = report.members + real.map_or(0, |real| real.count);
    let members = u32::try_from(members).map_err(|_| "too many members".to_owned())?;
    let zones = zones(report);
    let (median_us, high_us, loss) = match real.filter(|real| real.total.acks > 0) {
        Some(real) => {
            let total = &real.total;
            let without = total.lost_acks as f64 / (total.acks + total.lost_acks) as f64;
            (total.ack_rtt_us.p50, total.ack_rtt_us.p99, 1.0 - (1.0 - without).sqrt())
        }
        None => {
            let as_f64 = |us: Option<u64>| us.map(|us| us as f64);
            let loss = report.settings.get("loss").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
            let (all, within) = (&report.probe_rtt_us, &report.zone_rtt_us.within);
            let (p50, p99) = if zones.is_some() { (within.p50, within.p99) } else { (all.p50, all.p99) };
            (as_f64(p50), as_f64(p99), loss)
        }
    };
    let median_us = median_us.filter(|us| *us > 0.0).ok_or("it has no round trips of probes")?;
    let high_us = high_us.unwrap_or(median_us).max(median_us);
    let sigma = (high_us / median_us).ln() / NORMAL_P99;
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    Ok(ObjectiveArguments {
        members: Some(members),
        loss: Some((loss * 1e5).round() / 1e5),
        rtt_ms: Some((median_us / 1e3 * 1e3).round() / 1e3),
        rtt_sigma: Some(hundredths(sigma.min(1.4))),
        zones: zones.map(|(zones, _)| zones),
        zone_rtt_ms: zones.map(|(_, further_ms)| (further_ms * 1e3).round() / 1e3),
        ..ObjectiveArguments::default()
    })
}

/// The zones of a fleet that told them, and what a round trip from one to another took longer, in milliseconds.
fn zones(report: &Report) -> Option<(u32, f64)> {
    let setting = |name: &str| report.settings.get(name);
    let zones =
        setting("zones")?.as_u64().and_then(|zones| u32::try_from(zones).ok()).filter(|zones| *zones > 1)?;
    setting("zones_told")?.as_bool().filter(|told| *told)?;
    let [within_us, between_us] = [report.zone_rtt_us.within.p50?, report.zone_rtt_us.between.p50?];
    Some((zones, between_us.saturating_sub(within_us) as f64 / 1e3))
}

#[cfg(test)]
mod tests {
    use swimring_loadgen::report::RoundTrips;
    use swimring_loadgen::report::real_members::{RealMember, RealMembers, Spread};

    use super::*;

    fn report() -> Report {
        let mut report = Report { schema: 1, valid: true, members: 2000, ..Report::default() };
        report.probe_rtt_us.p50 = Some(800);
        report.probe_rtt_us.p99 = Some(8190);
        report.settings.insert("loss".to_owned(), 0.02.into());
        report
    }

    #[test]
    fn a_fleets_report_gives_its_round_trips_and_its_loss() {
        let from = of_report(&report()).unwrap();
        assert_eq!((from.members, from.loss, from.rtt_ms), (Some(2000), Some(0.02), Some(0.8)));
        assert_eq!(from.rtt_sigma, Some(1.0));
    }

    #[test]
    fn a_fleet_in_zones_gives_what_lies_between_them() {
        let mut report = report();
        report.settings.insert("zones".to_owned(), 3.into());
        report.settings.insert("zones_told".to_owned(), true.into());
        let round_trips = |p50, p99| RoundTrips { count: Some(9), p50: Some(p50), p99: Some(p99), max: None };
        report.zone_rtt_us.within = round_trips(600, 600);
        report.zone_rtt_us.between = round_trips(41_100, 42_000);
        let from = of_report(&report).unwrap();
        assert_eq!((from.rtt_ms, from.rtt_sigma), (Some(0.6), Some(0.0)));
        assert_eq!((from.zones, from.zone_rtt_ms), (Some(3), Some(40.5)));
        report.settings.insert("zones_told".to_owned(), false.into());
        let untold = of_report(&report).unwrap();
        assert_eq!((untold.zones, untold.rtt_ms), (None, Some(0.8)));
    }

    #[test]
    fn a_pools_report_gives_those_of_its_real_members() {
        let total = RealMember {
            acks: 9801,
            lost_acks: 199,
            ack_rtt_us: Spread { count: 9801, p50: Some(40_000.0), p99: Some(40_000.0), max: None },
            ..RealMember::default()
        };
        let real = RealMembers { count: 3, total, ..RealMembers::default() };
        let from = of_report(&Report { real_members: Some(real), ..report() }).unwrap();
        assert_eq!((from.members, from.loss, from.rtt_ms), (Some(2003), Some(0.01), Some(40.0)));
        assert_eq!(from.rtt_sigma, Some(0.0));
    }

    #[test]
    fn a_report_that_says_nothing_is_refused() {
        let invalid = Report { valid: false, ..report() };
        assert!(of_report(&invalid).unwrap_err().starts_with("the run is not valid"));
        let mut idle = report();
        idle.probe_rtt_us.p50 = None;
        assert_eq!(of_report(&idle).unwrap_err(), "it has no round trips of probes");
        let fault = measured(Path::new("/nonexistent/report.json")).unwrap_err();
        assert!(fault.starts_with("--from /nonexistent/report.json: "), "{fault}");
    }
}
