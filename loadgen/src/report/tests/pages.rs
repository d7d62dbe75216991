//! The text of reports and comparisons, as checked-in pages and by what has to be on them.

use super::*;

/// Compares with a checked-in page. `UPDATE_EXPECTED=1 cargo test` writes the page instead; look at it.
fn assert_page(name: &str, page: &str) {
    let path = format!("{}/tests/expected/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(page == expected, "{path} differs from:\n{page}");
    let longest = page.lines().map(swimring_tooling::columns::width).max().unwrap_or(0);
    assert!(longest <= 80, "a line of {longest} columns");
}

#[test]
fn the_page_of_a_good_run() {
    let objectives = ["probe_rtt_us.p99<5000", "detection_s.all.max<=30", "false_deaths==0"];
    assert_page("report.txt", &render(&judged(run_report(), &objectives), Style::PLAIN));
}

#[test]
fn the_page_of_a_run_that_delegated() {
    assert_page("report-delegated.txt", &render(&delegated_report(), Style::PLAIN));
}

#[test]
fn delegations_are_shown_where_members_delegate() {
    let told = delegated_report().delegations;
    assert_eq!((told.copies.count, told.copies.per_second), (Some(612_000), Some(10_000.0)));
    assert_eq!((told.acknowledgements.count, told.given_up.count), (Some(306_000), Some(4)));
    assert_eq!((told.shed.count, told.shed.per_second), (Some(0), Some(0.0)));
    assert_eq!(run_report().delegations, Delegations::default(), "gossip");
    assert!(!render(&run_report(), Style::PLAIN).contains("delegations"));
    let mut subject = subject();
    subject.settings.insert("dissemination".to_owned(), json!("delegated"));
    subject.wire = "memberlist".to_owned();
    let memberlist = Report::new(subject, &measurements(), Vec::new());
    assert_eq!(memberlist.delegations, Delegations::default(), "memberlist's wire gossips");
}

#[test]
fn the_page_of_a_run_in_zones() {
    let report = zoned_report();
    let [within, between] = [&report.zone_rtt_us.within, &report.zone_rtt_us.between];
    assert_eq!((within.count, between.count), (Some(300), Some(600)));
    assert!(within.max < Some(1_010) && between.p50 > Some(40_000), "{within:?} {between:?}");
    assert_page("report-zones.txt", &render(&report, Style::PLAIN));
    assert_eq!(delegated_report().zone_rtt_us, ZoneRtt::default(), "no zones");
}

#[test]
fn what_crosses_is_shown_where_there_are_zones() {
    let report = zoned_report();
    assert_eq!((report.delegations.crossed.count, report.events.crossed_per_zone), (Some(88), Some(1.0)));
    let page = render(&report, Style::PLAIN);
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("1.00 copies of each crossed to each other zone"), "{page}");
    assert!(page.contains("88 crossed to another zone"), "{page}");
    let without = delegated_report();
    assert_eq!((without.delegations.crossed.count, without.events.crossed_per_zone), (None, None));
    assert!(!render(&without, Style::PLAIN).contains("crossed"));
}

#[test]
fn the_page_of_a_comparison_of_gossip_and_delegation() {
    let reports = [("gossip".to_owned(), run_report()), ("delegated".to_owned(), delegated_report())];
    let page = comparison(&reports, Style::PLAIN);
    let cells = |label: &str| {
        let line = page.lines().find(|line| line.starts_with(&format!("{label}  ")));
        let line = line.unwrap_or_else(|| panic!("no {label} in\n{page}"));
        line[label.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells("dissemination"), ["-", "delegated"]);
    assert_eq!(cells("delegated copies"), ["-", "612,000", "-"]);
    assert_eq!(cells("copies per second"), ["-", "10,000", "-"]);
    assert_eq!(cells("delegations given up"), ["-", "4", "-"]);
    assert_eq!(cells("event copies per member"), ["4.21", "4.21", "="]);
}

#[test]
fn the_page_of_a_run_that_went_wrong() {
    let mut run = measurements();
    run.convergence = None;
    run.interrupted = true;
    run.workers = vec![worker(); 12];
    run.workers[3].false_deaths = 2;
    run.workers[4].allocations = Some(1234);
    run.kills[0].declared = 0;
    run.events[0].delivered = 9_000;
    let reasons = vec!["worker 0 was busy 95 % of the time (at most 90 %)".to_owned()];
    let report = Report::new(subject(), &run, reasons);
    let report = judged(report, &["false_deaths==0", "convergence_s<10"]);
    assert_page("report-bad.txt", &render(&report, Style::PLAIN));
}

#[test]
fn the_page_of_a_run_without_kills_and_events() {
    let run = Measurements {
        kills: Vec::new(),
        events: Vec::new(),
        workers: vec![WorkerMeasurements::default()],
        resident_bytes: None,
        convergence: None,
        ..measurements()
    };
    let mut subject = subject();
    subject.settings["start"] = json!("warm");
    subject.settings_changed.clear();
    assert_page("report-idle.txt", &render(&Report::new(subject, &run, Vec::new()), Style::PLAIN));
}

#[test]
fn colours_change_nothing_but_emphasis() {
    let report = judged(full_report(), &["false_deaths==0", "false_suspicions==0"]);
    let coloured = render(&report, Style::COLOURS);
    assert!(coloured.contains("\x1b[1m"));
    let mut plain = coloured;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[32m", "\x1b[1;31m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, render(&report, Style::PLAIN));
}

#[test]
fn the_page_of_a_comparison() {
    let reports = [("io_uring".to_owned(), run_report()), ("mmsg".to_owned(), other_report())];
    assert_page("comparison.txt", &comparison(&reports, Style::PLAIN));
}

/// An attachment's report, cut off from the pool or not.
fn attached(cut_off: &[&str]) -> Report {
    let mut report = Report { real_members: Some(real_members()), ..run_report() };
    let real = report.real_members.as_mut().unwrap();
    real.cut_off = cut_off.iter().map(|reason| (*reason).to_owned()).collect();
    report.invalid_reasons = real.cut_off.clone();
    report.valid = cut_off.is_empty();
    let mut set = |name: &str, value: Value| report.settings.insert(name.to_owned(), value);
    set("pool", json!("serf"));
    set("join", json!(["127.0.0.1:7946"]));
    set("first_address", json!("127.10.0.1"));
    report
}

const CUT_OFF: [&str; 2] = [
    "1,204 packets of agent-1, agent-2, agent-3 cannot be decrypted with the key given: the pool's key has changed",
    "our members held all 3 real members dead, 17.5 s into the measured time",
];

#[test]
fn the_page_of_an_attachment() {
    assert_page("attach.txt", &render(&attached(&[]), Style::PLAIN));
}

#[test]
fn the_page_of_an_attachment_that_was_cut_off() {
    assert_page("attach-cut-off.txt", &render(&attached(&CUT_OFF), Style::PLAIN));
}

#[test]
fn every_page_fits_and_uses_what_there_is() {
    let long = |name: &str| {
        let mut report =
            judged(attached(&CUT_OFF), &["detection_s.all.max<=30", "events.delivered_ratio==1"]);
        report.environment.cpu =
            "Intel(R) Xeon(R) Platinum 8488C with a name that goes on and on CPU @ 2.4GHz".to_owned();
        let real = report.real_members.as_mut().unwrap();
        real.members[1].name = format!("consul-server-{name}.a-region-far-away.internal.example.org");
        (name.to_owned(), report)
    };
    let reports = ["before-the-change", "after-the-change", "a-week-later", "much-later", "today"].map(long);
    for columns in [80, 100, 200] {
        for style in [Style::PLAIN, Style::COLOURS].map(|style| style.within(columns)) {
            let pages = [
                render(&reports[0].1, style),
                comparison(&reports[..1], style),
                comparison(&reports[..2], style),
                comparison(&reports, style),
            ];
            for line in pages.iter().flat_map(|page| page.lines()) {
                assert!(swimring_tooling::columns::width(line) <= columns, "{columns}: {line}");
            }
        }
    }
    let wide = render(&reports[0].1, Style::PLAIN.within(200));
    assert!(wide.contains("   127.0.0.2:7946   "), "{wide}");
    assert!(wide.lines().count() < render(&reports[0].1, Style::PLAIN).lines().count());
}

#[test]
fn a_comparison_of_attachments_has_the_real_members() {
    let mut after = attached(&[]);
    let real = after.real_members.as_mut().unwrap();
    real.members[1].failed_of.by = 5;
    let page = comparison(&[("a".to_owned(), attached(&[])), ("b".to_owned(), after)], Style::PLAIN);
    let lines: Vec<&str> = page.lines().collect();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start));
    let culprit = at("agent-2").unwrap_or_else(|| panic!("{page}"));
    let row = lines[culprit..].iter().find(|line| line.starts_with("  taken for dead by")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[4..], ["20", "5", "-75.0", "%"], "{page}");
    assert!(at("Real members") < at("agent-2") && at("agent-2") < at("agent-1"), "the worst first: {page}");
}

#[test]
fn three_results_have_no_change_column() {
    let reports = ["a", "b", "c"].map(|name| (name.to_owned(), full_report()));
    let page = comparison(&reports, Style::PLAIN);
    assert!(!page.contains("change"));
    assert!(page.lines().any(|line| line.starts_with("CPU cores") && line.matches("0.417").count() == 3));
}
