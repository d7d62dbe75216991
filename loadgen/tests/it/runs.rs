//! Whole runs of small fleets, as their users see them: the report, the files, the exit status.

#![allow(clippy::disallowed_methods, reason = "waits are what a stall and a poll are made of")]

use crate::support;

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::support::{Running, loadgen, report, run, text};
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use nix::sys::signal::Signal;
use swimring_loadgen::report::Report;

#[test]
fn a_run_reports_on_paper_and_in_files_and_exits_with_0() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (json, hlog) = (path("result.json"), path("result.hlog"));
    let arguments =
        ["--members", "60", "--duration", "2s", "--warmup", "1s", "--kill", "2", "--events", "3/s"];
    let outputs =
        ["--json", &json, "--hlog", &hlog, "--slo", "kills.detected==2", "--slo", "false_deaths==0"];
    let output = run(&[&arguments[..], &outputs].concat());
    let (page, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{page}{told}");
    let begins = "swimring-loadgen: seed 1, 60 members, measuring 2s; needs about 0.00";
    assert!(told.starts_with(begins) && told.ends_with(" cores\n") && told.lines().count() == 1, "{told}");
    for part in [
        "swimring-loadgen 0.",
        "  seed                1\n",
        "  fleet               60 members, warm start, preset lan, native wire format\n",
        "\nCost\n",
        "\nTimes ",
        "  probe round trip ",
        "  kill until all know ",
        "  event to delivery ",
        "\nOutcomes\n",
        "2 of 2 declared dead by every live member",
        "4 sent, 100 % delivered",
        "\nObjectives\n  met     kills.detected==2 ",
        "\nValid: the generator kept up.\n",
    ] {
        assert!(page.contains(part), "`{part}` is not in\n{page}");
    }
    assert!(!page.contains('\x1b'), "a pipe gets no colours");

    let saved = loadgen(&["report", &json]);
    assert_eq!(text(&saved.stdout), page, "the saved result is the printed one");
    numbers_are_sane(&Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap());
    log_agrees(&std::fs::read(&hlog).unwrap());
}

/// What must hold between the numbers of the run above whatever the machine.
fn numbers_are_sane(report: &Report) {
    assert!(report.valid && !report.interrupted && report.duration_s >= 2.0);
    assert_eq!((report.members, report.seed, report.wire.as_str()), (60, 1, "native"));
    assert!(["io_uring", "mmsg"].contains(&report.driver.as_str()));

    let datagrams = &report.datagrams;
    assert_eq!((datagrams.dropped, datagrams.lost_on_purpose), (0, 0));
    // What is on its way when the window opens or closes is all that may differ.
    let difference = datagrams.sent.abs_diff(datagrams.received);
    assert!(difference <= datagrams.sent / 10, "{datagrams:?}");
    assert!(datagrams.packets_sent > 0 && datagrams.packets_sent <= datagrams.sent, "{datagrams:?}");
    let per_second = datagrams.sent as f64 / report.duration_s;
    assert!((datagrams.per_second / per_second - 1.0).abs() < 0.01, "{datagrams:?}");

    // Every member probes once in 500 ms, and local health may slow it down: never more than planned.
    let probes = report.probe_rtt_us.count as f64;
    let planned = 60.0 * report.duration_s / 0.5;
    assert!(probes <= planned * 1.3 && probes >= planned * 0.3, "{probes} of {planned} probes");
    let rtt = &report.probe_rtt_us;
    assert!(rtt.p50 <= rtt.p90 && rtt.p90 <= rtt.p99 && rtt.p99 <= rtt.p999 && rtt.p999 <= rtt.max);

    assert_eq!((report.kills.count, report.kills.detected, report.false_deaths), (2, 2, 0));
    assert_eq!((report.detection_s.first.count, report.detection_s.all.count), (2, 2));
    assert!(report.detection_s.first.max <= report.detection_s.all.max);
    assert_eq!((report.events.sent, report.events.refused), (4, 0));
    assert_eq!(report.events.delivered_ratio, Some(1.0));
    assert!(report.events.copies_per_member.unwrap() >= 1.0);
    assert!(report.events.spread_ms.p50 <= report.events.spread_ms.max);

    assert!(report.cpu.cores > 0.0 && report.cpu.worker_busy_ratio.iter().all(|busy| *busy > 0.0));
    let each = report.cpu.cores * 1e6 / 60.0;
    assert!((report.cpu.us_per_member_second / each - 1.0).abs() < 0.01, "{:?}", report.cpu);
    assert!(report.memory.rss_bytes.unwrap() > 1 << 20);
    assert!(report.allocations.steady_state.is_some(), "this binary counts them");
    assert_eq!(report.convergence_s, None);
}

#[test]
fn an_encrypted_fleet_joins_and_finds_who_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (key, json) = (path("key"), path("result.json"));
    std::fs::write(&key, "AAECAwQFBgcICQoLDA0ODw==\n").unwrap();
    let arguments =
        ["--members", "60", "--duration", "2s", "--kill", "2", "--events", "3/s", "--json", &json];
    for start in [&["--start", "cold"][..], &["--warmup", "1s", "--workers", "2"]] {
        let output = run(&[&arguments[..], start, &["--encrypt-file", &key]].concat());
        let (page, told) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{page}{told}");
        assert!(page.contains("encrypt true") && !page.contains("AAECAw"), "{page}");
        let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
        assert_eq!((report.kills.detected, report.false_deaths), (2, 0));
        assert_eq!(report.events.delivered_ratio, Some(1.0));
    }
}

#[test]
fn a_run_delegates_by_default_and_reports_what_that_took() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("result.json").to_str().unwrap().to_owned();
    let arguments =
        ["--members", "60", "--duration", "2s", "--warmup", "1s", "--kill", "0", "--events", "3/s"];
    let output = run(&[&arguments[..], &["--delegation-bits", "3", "--json", &json]].concat());
    let (page, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{page}{told}");
    for part in ["delegation_bits 3", "\n  delegations         "] {
        assert!(page.contains(part), "`{part}` is not in\n{page}");
    }
    let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report.settings["dissemination"], "delegated");
    assert_eq!(report.events.delivered_ratio, Some(1.0));
    let (events, told) = (report.events, report.delegations);
    let copies = told.copies.count.unwrap();
    // Each member once, and nothing else is told here but what a late machine may make of it.
    assert!(copies >= events.sent * 59 && told.copies.per_second.unwrap() > 0.0, "{copies} copies");
    assert!(told.acknowledgements.count.unwrap() > 0 && told.retransmissions.count.unwrap() <= copies);
    assert!(told.given_up.count.is_some() && told.shed.count == Some(0));
}

#[test]
fn a_fleet_in_zones_counts_what_crosses() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("result.json").to_str().unwrap().to_owned();
    let arguments =
        ["--members", "60", "--duration", "3s", "--warmup", "2s", "--kill", "0", "--events", "5/s"];
    let zones = ["--dissemination", "delegated", "--zones", "3", "--zone-rtt-ms", "20", "--json", &json];
    let output = run(&[&arguments[..], &zones].concat());
    let (page, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{page}{told}");
    let report = Report::from_json(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report.events.delivered_ratio, Some(1.0));
    // One copy to each other zone, and more only where a late machine has it sent again.
    let crossed = report.events.crossed_per_zone.unwrap();
    assert!((1.0..10.0).contains(&crossed), "{crossed} copies of each event to each zone");
    assert!(report.delegations.crossed.count.unwrap() >= report.events.sent * 2);
    assert!(page.contains("crossed to another zone"), "{page}");
    // What comes from another zone is held back both ways, and most probes are of members there.
    assert!(report.probe_rtt_us.p90.unwrap() >= 20_000, "{:?}", report.probe_rtt_us);
    let by_zone = &report.zone_rtt_us;
    assert!(by_zone.between.p50.unwrap() >= 20_000, "{by_zone:?}");
    let counted = [&by_zone.within, &by_zone.between].map(|side| side.count.unwrap());
    assert_eq!((counted.iter().sum::<u64>(), by_zone.pairs.len()), (report.probe_rtt_us.count, 9));
    assert!(page.contains("Probes by zone") && page.contains("zone-1 to zone-2"), "{page}");
    assert!(report.events.spread_ms.p50.unwrap() >= 10.0, "{:?}", report.events.spread_ms);
}

/// The log can be read, and covers the measured window without a gap.
fn log_agrees(log: &[u8]) {
    let intervals = IntervalLogIterator::new(log).filter_map(|entry| match entry.expect("it can be read") {
        LogEntry::Interval(interval) => Some(interval),
        _ => None,
    });
    let round_trips: Vec<_> =
        intervals.filter(|interval| interval.tag().unwrap().as_str() == "probe_rtt_us").collect();
    let mut end = Duration::ZERO;
    for interval in &round_trips {
        let gap = interval.start_timestamp().abs_diff(end);
        assert!(gap < Duration::from_millis(10), "a gap of {gap:?} before {end:?}");
        end = interval.start_timestamp() + interval.duration();
    }
    assert!(end >= Duration::from_secs(2), "it ends after {end:?}");
}

#[test]
fn loss_on_the_other_driver_with_another_seed_and_no_word_besides_the_json() {
    let arguments = [
        "--members",
        "50",
        "--duration",
        "2s",
        "--warmup",
        "0s",
        "--kill",
        "0",
        "--loss",
        "2%",
        "--driver",
        "mmsg",
        "--seed",
        "7",
        "--quiet",
        "--json",
        "-",
    ];
    let output = run(&arguments);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let report = Report::from_json(&text(&output.stdout)).unwrap();
    assert_eq!((report.driver.as_str(), report.seed), ("mmsg", 7));
    let (lost, received) = (report.datagrams.lost_on_purpose, report.datagrams.received);
    assert!(lost > 0 && lost < received / 10, "{lost} of {received}");
    assert_eq!((report.false_deaths, report.kills.count), (0, 0));
    assert_eq!(report.events.delivered_ratio, Some(1.0));
    assert_eq!(report.settings_changed.iter().filter(|name| *name == "loss").count(), 1);
}

#[test]
fn two_hundred_members_join_through_a_seed_and_a_missed_objective_exits_with_99() {
    let arguments = [
        "--members",
        "200",
        "--start",
        "cold",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--kill",
        "0",
        "--events",
        "0",
        "--slo",
        "members>200",
        "--slo",
        "convergence_s>=0",
    ];
    let (report, status) = report(&arguments);
    assert_eq!(status, Some(99));
    assert_eq!(report.slos.iter().map(|slo| slo.met).collect::<Vec<_>>(), [false, true]);
    assert!(report.convergence_s.is_some());
    assert_eq!(report.false_deaths, 0);
}

#[test]
fn a_generator_that_stalls_says_so_and_exits_with_98() {
    let arguments = ["--members", "50", "--duration", "5s", "--warmup", "0s", "--kill", "0", "--events", "0"];
    let mut running = Running::start(&[&support::QUICK[..], &arguments].concat(), Stdio::piped());
    running.wait_for_phase("measuring");
    // As a machine that has something better to do: half of the timers of a second fire late.
    running.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(800));
    running.signal(Signal::SIGCONT);
    let (status, page, _) = running.end();
    assert_eq!(status, Some(98), "{page}");
    assert!(page.contains("INVALID: the generator or its machine was the bottleneck"), "{page}");
    assert!(page.contains("\n  timers fired late: p99 "), "{page}");
}

#[test]
fn a_report_says_when_the_run_began() {
    let asked = SystemTime::now();
    let arguments = ["--members", "10", "--duration", "3s", "--warmup", "0s", "--kill", "0", "--events", "0"];
    let running = Running::start(&[&arguments[..], &["--json", "-"]].concat(), Stdio::piped());
    let announced = SystemTime::now();
    let (_, page, told) = running.end();
    let report = Report::from_json(&page).unwrap_or_else(|fault| panic!("{fault}: {told}"));
    let started = humantime::parse_rfc3339(&report.environment.started_at).unwrap();
    // Whole seconds, rounded down; the measured time alone is three of them.
    assert!(started + Duration::from_secs(1) >= asked && started <= announced, "{started:?} {announced:?}");
}

#[test]
fn metrics_are_served_while_it_runs() {
    let arguments =
        ["--members", "50", "--duration", "60s", "--warmup", "0s", "--kill", "0", "--events", "0"];
    let mut running = Running::start(&arguments, Stdio::null());
    running.wait_for_phase("measuring");
    let value = |page: &str, name: &str| -> f64 {
        let line = page.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in\n{page}"));
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    let mut page = running.scrape();
    while !page.contains("swimring_probe_rtt_seconds{") {
        std::thread::sleep(Duration::from_millis(20));
        page = running.scrape();
    }
    assert_eq!(value(&page, "swimring_members_alive"), 50.0);
    let sent = value(&page, "swimring_datagrams_sent_total");
    assert!(sent > 0.0 && value(&page, "swimring_packets_sent_total") <= sent);
    assert!(value(&page, "swimring_protocol_probes_sent_total") > 0.0);
    assert!(value(&page, "process_resident_memory_bytes") > 1e6);
    assert!(page.contains("\n# HELP swimring_datagrams_sent_total "), "{page}");
    running.signal(Signal::SIGTERM);
    assert!(running.end().0.is_some(), "it ends by itself");
}

#[test]
fn more_events_than_a_worker_takes_at_once_end_no_run() {
    let output = run(&[
        "--members",
        "10",
        "--workers",
        "1",
        "--warmup",
        "0s",
        "--duration",
        "300ms",
        "--kill",
        "0",
        "--events",
        "100000/s",
        "--json",
        "-",
    ]);
    // A busy machine may make it invalid; what it has measured is there.
    let report =
        Report::from_json(&text(&output.stdout)).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert!(report.events.sent > 1024, "{}", report.events.sent);
}
