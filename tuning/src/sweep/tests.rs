//! Scenarios by name, grids, and summaries against what they are made of.

use super::*;
use crate::sweep::progress::Watch;

#[test]
fn every_name_can_be_set_and_is_told() {
    let mut scenario = Scenario::default();
    for (name, text) in [
        ("members", "50"),
        ("preset", "wan"),
        ("loss", "2%"),
        ("rtt_ms", "4"),
        ("rtt_sigma", "0.5"),
        ("slow_share", "10%"),
        ("impaired", "loss-in=0.5:3"),
        ("wire", "memberlist"),
        ("crashes", "2"),
        ("events", "30/m"),
        ("event_bytes", "64"),
        ("warm_up", "1s"),
        ("duration", "20s"),
        ("wakes", "1ms"),
        ("gossip_fanout", "5"),
        ("stream_fallback", "false"),
    ] {
        scenario.set(name, text).unwrap_or_else(|fault| panic!("{fault}"));
    }
    scenario.validate().unwrap();
    let value = scenario.to_value();
    assert_eq!(value["settings"]["gossip_fanout"], 5);
    assert_eq!(value["settings"]["probe_interval_ms"], 5000);
    assert_eq!(value["settings"]["dissemination"], "gossip", "on memberlist's wire");
    assert_eq!(Scenario::default().to_value()["settings"]["dissemination"], "delegated");
    assert_eq!((&value["wire"], &value["events_per_second"]), (&"memberlist".into(), &0.5.into()));
    let trial = scenario.trial(7);
    assert_eq!((trial.seed, trial.members, trial.impaired.len()), (7, 50, 2));
    scenario.set("regions", "builtin").unwrap();
    scenario.validate().unwrap();
    scenario.set("zones", "3").unwrap();
    assert!(scenario.validate().unwrap_err().starts_with("zones: memberlist's wire knows no zones"));
    scenario.set("wire", "native").unwrap();
    assert!(scenario.validate().unwrap_err().starts_with("zones: regions have places of their own"));
    scenario.network.regions = None;
    scenario.set("zone_rtt_ms", "40").unwrap();
    scenario.validate().unwrap();
    let trial = scenario.trial(7);
    assert_eq!((trial.zones, trial.zone_delay), (3, std::time::Duration::from_millis(20)));
    scenario.set("zones", "26").unwrap();
    assert!(scenario.validate().unwrap_err().starts_with("zones has to be between 1 and 25"));
}

#[test]
fn what_cannot_be_set_is_one_line_with_its_name() {
    for (name, text, fault) in [
        ("gossip_fanuot", "3", "unknown setting gossip_fanuot; did you mean gossip_fanout"),
        ("wakse", "1ms", "unknown setting wakse; did you mean wakes"),
        (
            "gossip_fanout",
            "many",
            "gossip_fanout: many: not a whole number: write it like 10000, 10,000 or 10k",
        ),
        ("gossip_fanout", "300", "gossip_fanout: 300: has to be between 1 and 16"),
        ("members", "-1", "members: -1: not a whole number: write it like 10000, 10,000 or 10k"),
        ("loss", "100%", "loss: must be less than 100 %"),
        ("stream_fallback", "maybe", "stream_fallback: maybe: has to be true or false"),
        ("preset", "moon", "preset has to be lan, wan or local"),
        ("rtt_ms", "0", "rtt_ms: has to be between 0.002 and 20000, and is 0"),
        ("wire", "morse", "wire: morse is neither native nor memberlist"),
    ] {
        let found = Scenario::default().set(name, text).unwrap_err();
        assert!(found.starts_with(fault) && !found.contains('\n'), "{found}");
    }
    let few = |members| Scenario { members, ..Scenario::default() };
    assert_eq!([2, 10, 99, 1000].map(|members| few(members).crashes()), [1, 1, 9, 10]);
    assert_eq!([2, 10, 99, 1000].map(|members| few(members).validate()), [const { Ok(()) }; 4]);
    let too_many = Scenario { crashes: Some(900), ..Scenario::default() };
    assert!(too_many.validate().unwrap_err().starts_with("crashes has to be at most half"));
}

#[test]
fn a_grid_is_every_combination_and_the_last_turns_fastest() {
    let sweeps = [Sweep::parse("a=1,2").unwrap(), Sweep::parse("b-c=x,y,z").unwrap()];
    let labels: Vec<String> = grid(&sweeps).unwrap().iter().map(Point::label).collect();
    assert_eq!(labels, ["a=1 b_c=x", "a=1 b_c=y", "a=1 b_c=z", "a=2 b_c=x", "a=2 b_c=y", "a=2 b_c=z"]);
    assert_eq!(grid(&[]).unwrap(), [Point::default()]);
    assert!(grid(&[sweeps[0].clone(), sweeps[0].clone()]).unwrap_err().contains("swept over twice"));
    let long = Sweep { name: "long".to_owned(), values: (0..200).map(|value| value.to_string()).collect() };
    let longer = Sweep { name: "longer".to_owned(), ..long.clone() };
    assert!(grid(&[long, longer]).unwrap_err().contains("more than 10000 points"));
    for text in ["a", "a=", "=1", "a=1,,2", "a=1,1"] {
        assert!(Sweep::parse(text).is_err(), "{text}");
    }
}

fn jobs(seeds: u64) -> Vec<Job> {
    let scenario = Scenario {
        members: 30,
        crashes: Some(3),
        duration: std::time::Duration::from_secs(20),
        ..Scenario::default()
    };
    (0..seeds).map(|seed| Job { index: seed as usize, options: scenario.trial(seed) }).collect()
}

fn run_on(threads: usize, jobs: &[Job]) -> Vec<Digest> {
    let mut digests = vec![None; jobs.len()];
    run_all(jobs, threads, &Stop::default(), &Watch::hidden(), |job, digest| {
        digests[job.index] = Some(digest.timeless());
        Ok(())
    })
    .unwrap();
    digests.into_iter().flatten().collect()
}

#[test]
fn threads_change_nothing_but_the_time() {
    let jobs = jobs(6);
    let alone = run_on(1, &jobs);
    assert_eq!(alone.len(), 6);
    assert_eq!(alone, run_on(3, &jobs));
}

#[test]
fn a_stop_keeps_what_was_finished() {
    let (jobs, stop, mut finished) = (jobs(50), Stop::default(), 0);
    run_all(&jobs, 1, &stop, &Watch::hidden(), |_, _| {
        finished += 1;
        stop.ask();
        Ok(())
    })
    .unwrap();
    assert!((1..50).contains(&finished), "{finished}");
    let in_vain = run_all(&jobs, 2, &Stop::default(), &Watch::hidden(), |_, _| Err("disk full".to_owned()));
    assert_eq!(in_vain, Err("disk full".to_owned()));
}

#[test]
fn a_summary_pools_crashes_and_averages_runs() {
    let digests = run_on(2, &jobs(4));
    let summary = Summary::of(&digests);
    assert_eq!((summary.runs, summary.crashes), (4, 12));
    // The naive twin: all first detections in one sorted list.
    let mut first: Vec<f64> =
        digests.iter().flat_map(|digest| digest.first_s.iter().flatten().copied()).collect();
    first.sort_by(f64::total_cmp);
    assert_eq!(first.len(), 12, "every crash was noticed");
    assert_eq!(summary.first_p50_s.unwrap().value, first[5]);
    assert_eq!(summary.first_p99_s.unwrap().value, first[11]);
    let bytes = digests.iter().map(|digest| digest.bytes_per_member_second).sum::<f64>() / 4.0;
    assert!((summary.bytes_per_member_second.unwrap().value - bytes).abs() < 1e-9);
    let days = digests.iter().map(|digest| digest.simulated_s).sum::<f64>() / summary::DAY_S;
    assert!((summary.false_deaths_per_day.at_most * days - 2.9957).abs() < 1e-3);
    let table = table::lines(&[(Point::default(), summary.clone())], 80);
    assert!(table.iter().all(|line| !line.contains("NaN") && line.chars().count() <= 80), "{table:#?}");
    let csv = table::csv(&[(Point::default(), summary)]).unwrap();
    let widths: Vec<usize> = csv.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(widths, [60, 60]);
}

#[test]
fn a_crash_that_nobody_noticed_counts_as_never() {
    let mut digest = run_on(1, &jobs(1)).remove(0);
    digest.first_s = vec![Some(1.0), None, None];
    let summary = Summary::of(&[digest]);
    assert_eq!(summary.first_p50_s.unwrap().value, f64::INFINITY);
    assert_eq!(table::with_interval(summary.first_p99_s), "never (never..?)");
}

#[test]
fn delegation_is_swept_over_and_its_copies_are_counted() {
    let sweeps =
        ["dissemination=gossip,delegated", "delegation_bits=1,3"].map(|text| Sweep::parse(text).unwrap());
    let mut base = Scenario::default();
    for (name, text) in [("members", "60"), ("crashes", "0"), ("duration", "12s"), ("loss", "3%")] {
        base.set(name, text).unwrap();
    }
    let points = grid(&sweeps).unwrap();
    let digest = |point: &Point| {
        let trial = point.of(&base).unwrap().trial(3);
        Digest::of(&swimring_simulation::experiment::run(&trial).unwrap())
    };
    let summaries: Vec<(Point, Summary)> =
        points.iter().map(|point| (point.clone(), Summary::of(&[digest(point)]))).collect();
    let of = |at: usize| {
        let summary = &summaries[at].1;
        let copies = summary.delegated_copies_per_member_second.unwrap().value;
        (copies, summary.delegation_acks_per_member_second.unwrap().value)
    };
    assert_eq!([of(0), of(1)], [(0.0, 0.0); 2]);
    for at in [2, 3] {
        let (copies, acks) = of(at);
        assert!(copies > 0.3 && acks > 0.3 && acks <= copies, "{copies} {acks}");
    }
    let titles = |points: &[(Point, Summary)]| table::lines(points, 200).join("\n").contains("acks/s each");
    assert!(titles(&summaries) && !titles(&summaries[..2]));
    assert!(table::csv(&summaries).unwrap().contains("delegations_given_up_per_member_second_high"));
}
