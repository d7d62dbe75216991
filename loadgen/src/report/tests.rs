//! The names are a contract and the text is a picture: both are pinned, the names here and the text in `pages`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use swimring_tooling::cpu::CpuTime;
use swimring_tooling::style::Style;

use super::*;
use crate::fleet::tracker::zone_name;
use crate::measurements::{
    DelegationCounts, EventOutcome, KillOutcome, Measurements, WorkerMeasurements, record,
};
use crate::slo::Slo;
use crate::zone_round_trips::ZoneRoundTrips;

mod pages;

/// The names the design promises, nested ones with a dot.
const PROMISED: [&str; 83] = [
    "schema",
    "valid",
    "invalid_reasons",
    "seed",
    "settings",
    "environment",
    "members",
    "wire",
    "driver",
    "duration_s",
    "cpu.cores",
    "cpu.us_per_member_second",
    "cpu.worker_busy_ratio",
    "memory.rss_bytes",
    "memory.bytes_per_pair",
    "datagrams.sent",
    "datagrams.received",
    "datagrams.dropped",
    "datagrams.per_second",
    "datagrams.bytes_per_member_second",
    "datagrams.per_system_call",
    "allocations.steady_state",
    "probe_rtt_us.count",
    "probe_rtt_us.p50",
    "probe_rtt_us.p90",
    "probe_rtt_us.p99",
    "probe_rtt_us.p999",
    "probe_rtt_us.max",
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
    "events.delivered_ratio",
    "events.copies_per_member",
    "events.cpu_us_per_event_per_member",
    "events.spread_ms.p50",
    "events.spread_ms.p99",
    "events.spread_ms.max",
    "convergence_s",
    // Added since; they stay as well.
    "cpu.kernel_ratio",
    "events.refused",
    "datagrams.lost_on_purpose",
    "datagrams.packets_sent",
    "views.bases_made",
    "views.rebased",
    "views.step_us_max",
    "interrupted",
    "settings_changed",
    "real_members",
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
    "events.crossed_per_zone",
    "zone_rtt_us.within.count",
    "zone_rtt_us.within.p50",
    "zone_rtt_us.within.p99",
    "zone_rtt_us.within.max",
    "zone_rtt_us.between.count",
    "zone_rtt_us.between.p50",
    "zone_rtt_us.between.p99",
    "zone_rtt_us.between.max",
    "zone_rtt_us.pairs",
];

fn worker() -> WorkerMeasurements {
    let mut worker = WorkerMeasurements {
        busy: Duration::from_millis(12_600),
        datagrams_sent: 604_020,
        datagrams_received: 604_020,
        datagrams_lost_on_purpose: 12_080,
        bytes_sent: 35_600_000,
        system_calls: 31_600,
        allocations: Some(0),
        event_copies: 840_000,
        delegations_while_measuring: DelegationCounts {
            copies: 300_000,
            acknowledgements: 150_000,
            retransmissions: 3_000,
            ..DelegationCounts::default()
        },
        delegations: DelegationCounts {
            copies: 306_000,
            acknowledgements: 153_000,
            retransmissions: 3_060,
            given_up: 2,
            shed: 0,
            crossed: 44,
        },
        event_copies_crossed: 40,
        packets_sent: 62_040,
        false_suspicions: 3,
        ..WorkerMeasurements::default()
    };
    for us in 1..=1000 {
        record(&mut worker.probe_rtt_us, Duration::from_micros(us * 2));
        record(&mut worker.schedule_lag_us, Duration::from_micros(us));
        record(&mut worker.event_spread_us, Duration::from_millis(us));
    }
    worker
}

/// A run of 10,000 members with 20 kills and 40 events in which everything was measured.
fn measurements() -> Measurements {
    let kill = |index: u64| KillOutcome {
        observers: 9_980,
        declared: 9_980,
        first: Some(Duration::from_millis(16_000 + 100 * index)),
        last: Some(Duration::from_millis(17_000 + 100 * index)),
    };
    Measurements {
        members: 10_000,
        members_known: 10_000.0,
        driver: "io_uring".to_owned(),
        measured: Duration::from_secs(60),
        interrupted: false,
        cpu: CpuTime { user: Duration::from_secs(9), kernel: Duration::from_secs(16) },
        event_cpu: Some(Duration::from_millis(332)),
        resident_bytes: Some(512 << 20),
        workers: vec![worker(), worker()],
        kills: (0..20).map(kill).collect(),
        events: vec![EventOutcome { expected: 9_979, delivered: 9_979 }; 40],
        zones: 0,
        zone_round_trips: ZoneRoundTrips::default(),
        convergence: Some(Duration::from_millis(4210)),
    }
}

fn subject() -> Subject {
    let settings: Map<String, Value> = json!({
        "members": 10_000, "duration_s": 60.0, "warmup_s": 5.0, "workers": 2, "start": "cold", "preset": "lan",
        "loss": 0.02, "seed": 42, "probe_interval_ms": 1000, "gossip_fanout": 4,
    })
    .as_object()
    .cloned()
    .unwrap();
    Subject {
        seed: 42,
        wire: "native".to_owned(),
        settings_changed: ["gossip_fanout", "loss", "members", "start"].map(str::to_owned).to_vec(),
        settings,
        environment: Environment {
            version: "0.1.0".to_owned(),
            commit: "9781bdd1c2f3".to_owned(),
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            kernel: "Linux 6.18.5".to_owned(),
            cpu: "AMD EPYC 7R13 Processor".to_owned(),
            cores: 2,
            memory_bytes: 24_051_816_858,
        },
    }
}

/// A report of a `run` whose members gossiped.
fn run_report() -> Report {
    Report::new(subject(), &measurements(), Vec::new())
}

/// The same run with delegated broadcast.
fn delegated_report() -> Report {
    let mut subject = subject();
    subject.settings.insert("dissemination".to_owned(), json!("delegated"));
    subject.settings_changed.push("dissemination".to_owned());
    Report::new(subject, &measurements(), Vec::new())
}

/// Three real members, of which the second was held dead for a while.
fn real_members() -> real_members::RealMembers {
    let spread = |p50: f64| real_members::Spread {
        count: 20,
        p50: Some(p50),
        p99: Some(p50 * 3.0),
        max: Some(p50 * 4.0),
    };
    let doubted = |by| real_members::Doubted { by, from_s: Some(12.3), until_s: Some(14.1) };
    let member = |name: &str, last: u8, by: u64| real_members::RealMember {
        name: name.to_owned(),
        address: format!("127.0.0.{last}:7946"),
        acks: 19_400,
        ack_rtt_us: spread(1234.0),
        lost_acks: by,
        suspect_s: spread(3.1),
        dead_s: spread(12.9),
        event_ms: spread(240.0),
        suspicions_raised: 2,
        suspected: by,
        suspected_of: doubted(by),
        failed: by,
        failed_of: doubted(by),
        ..real_members::RealMember::default()
    };
    let members = vec![member("agent-1", 1, 0), member("agent-2", 2, 20), member("agent-3", 3, 0)];
    let total = real_members::RealMember {
        acks: 58_200,
        unopened: 5,
        ..real_members::RealMember { name: String::new(), address: String::new(), ..members[1].clone() }
    };
    real_members::RealMembers {
        count: 3,
        silence_s: 1.25,
        all_dead_at_s: Some(17.5),
        total,
        members,
        ..real_members::RealMembers::default()
    }
}

/// A report in which nothing is absent.
pub(crate) fn full_report() -> Report {
    Report { real_members: Some(real_members()), ..zoned_report() }
}

/// The delegated run over three zones.
fn zoned_report() -> Report {
    let mut subject = subject();
    subject.settings.insert("dissemination".to_owned(), json!("delegated"));
    let mut zone_round_trips = ZoneRoundTrips::of((0..3).map(zone_name));
    for (from, to) in (0..9).map(|pair| (pair / 3, pair % 3)) {
        let far = u64::from(from != to) * 40_000;
        (1..=100).for_each(|us| zone_round_trips.record(from, to, Duration::from_micros(far + us * 10)));
    }
    Report::new(subject, &Measurements { zones: 3, zone_round_trips, ..measurements() }, Vec::new())
}

fn other_report() -> Report {
    let mut run = measurements();
    run.driver = "mmsg".to_owned();
    run.cpu.kernel += Duration::from_secs(5);
    run.convergence = None;
    let mut subject = subject();
    subject.settings["gossip_fanout"] = json!(3);
    Report::new(subject, &run, Vec::new())
}

fn judged(mut report: Report, objectives: &[&str]) -> Report {
    let value = report.to_value();
    report.slos = objectives.iter().map(|text| Slo::parse(text).unwrap().judge(&value)).collect();
    report
}

/// Every name of a JSON report, down to what the contract treats as one value.
fn names(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    let whole = ["settings", "environment", "real_members"].contains(&prefix);
    match value {
        Value::Object(map) if !whole => {
            for (name, value) in map {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                names(&path, value, found);
            }
        }
        _ => {
            found.insert(prefix.to_owned());
        }
    }
}

#[test]
fn the_json_has_exactly_the_promised_names() {
    let promised: BTreeSet<String> =
        PROMISED.iter().chain(&["slos"]).map(|name| (*name).to_owned()).collect();
    for report in [full_report(), Report::new(Subject::default(), &Measurements::default(), Vec::new())] {
        let mut found = BTreeSet::new();
        names("", &report.to_value(), &mut found);
        assert_eq!(found, promised);
    }
}

#[test]
fn quotients_and_percentiles_are_taken_of_the_whole_fleet() {
    let report = full_report();
    assert_eq!((report.schema, report.valid, report.members), (1, true, 10_000));
    assert_eq!((report.cpu.cores, report.cpu.kernel_ratio), (0.416_667, Some(0.64)));
    assert_eq!(report.cpu.us_per_member_second, 41.6667);
    assert_eq!(report.cpu.worker_busy_ratio, [0.21, 0.21]);
    assert_eq!(report.memory.bytes_per_pair, Some(5.36871));
    assert_eq!((report.datagrams.sent, report.datagrams.per_second), (1_208_040, 20_134.0));
    assert_eq!(report.datagrams.per_system_call, Some(38.2291));
    assert_eq!(report.datagrams.bytes_per_member_second, 118.667);
    assert_eq!((report.probe_rtt_us.count, report.probe_rtt_us.p50), (2000, Some(1000)));
    assert_eq!((report.probe_rtt_us.p99, report.probe_rtt_us.max), (Some(1980), Some(2000)));
    assert_eq!((report.kills.count, report.kills.detected), (20, 20));
    assert_eq!((report.detection_s.first.count, report.detection_s.all.count), (20, 20));
    assert!((report.detection_s.all.max.unwrap() - 18.9).abs() < 0.02);
    assert_eq!((report.events.sent, report.events.delivered_ratio), (40, Some(1.0)));
    assert_eq!(report.events.copies_per_member, Some(4.20884));
    assert_eq!((report.false_suspicions, report.false_deaths), (6, 0));
    assert_eq!(report.convergence_s, Some(4.21));
}

#[test]
fn what_was_not_measured_is_null() {
    let json = Report::new(Subject::default(), &Measurements::default(), Vec::new()).to_value();
    for path in ["convergence_s", "probe_rtt_us/p99", "detection_s/all/max", "events/delivered_ratio"] {
        assert_eq!(json.pointer(&format!("/{path}")), Some(&Value::Null), "{path}");
    }
    assert_eq!(json.pointer("/allocations/steady_state"), Some(&Value::Null));
    assert_eq!(json.pointer("/memory/bytes_per_pair"), Some(&Value::Null));
    assert_eq!(json.pointer("/probe_rtt_us/count"), Some(&json!(0)));
}

#[test]
fn a_kill_that_one_member_missed_is_not_detected() {
    let mut run = measurements();
    run.kills[0].declared -= 1;
    run.kills[1] = KillOutcome { observers: 9_980, ..KillOutcome::default() };
    let report = Report::new(subject(), &run, Vec::new());
    assert_eq!((report.kills.count, report.kills.detected), (20, 18));
    assert_eq!((report.detection_s.first.count, report.detection_s.all.count), (19, 18));
}

#[test]
fn one_missing_delivery_in_ten_million_shows() {
    let mut run = measurements();
    run.events = vec![EventOutcome { expected: 10_000_000, delivered: 9_999_999 }];
    let report = Report::new(subject(), &run, Vec::new());
    assert!(report.events.delivered_ratio.unwrap() < 1.0);
    assert!(render(&report, Style::PLAIN).contains("99.9999 % delivered"));
}

#[test]
fn json_is_read_back_as_it_was_written() {
    let report = judged(full_report(), &["false_deaths==0"]);
    assert_eq!(Report::from_json(&report.to_json()), Ok(report));
}

#[test]
fn other_files_are_refused_with_the_reason() {
    assert!(Report::from_json("{").unwrap_err().starts_with("not JSON"));
    assert_eq!(Report::from_json("{}").unwrap_err(), "not a report: it has no schema");
    assert_eq!(Report::from_json("{\"schema\": 2}").unwrap_err(), "schema 2: this program reads schema 1");
    assert!(Report::from_json("{\"schema\": 1}").unwrap_err().starts_with("not a complete report"));
}

#[test]
fn changed_settings_are_those_that_differ() {
    let settings = subject().settings;
    let mut defaults = settings.clone();
    defaults["gossip_fanout"] = json!(3);
    defaults.remove("loss");
    assert_eq!(changed_settings(&settings, &defaults), ["gossip_fanout", "loss"]);
}

/// Results that were saved before this was measured are read and compared.
#[test]
fn a_report_without_delegations_is_read() {
    let mut saved = run_report().to_value();
    saved.as_object_mut().unwrap().remove("delegations");
    assert_eq!(Report::from_json(&saved.to_string()), Ok(run_report()));
}

#[test]
fn csv_has_a_column_per_number_and_blanks_where_nothing_was_measured() {
    let text = csv(&[("a,b".to_owned(), full_report()), ("mmsg".to_owned(), other_report())]).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let column = |name: &str| headings.iter().position(|heading| heading == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!((&rows[0][column("file")], &rows[0][column("cpu.cores")]), ("a,b", "0.416667"));
    assert_eq!(&rows[0][column("convergence_s")], "4.21");
    assert_eq!((&rows[1][column("convergence_s")], &rows[1][column("driver")]), ("", "mmsg"));
    assert_eq!((rows.len(), headings.len()), (2, 10 + paths::NUMBERS.len()));
}
