//! Fleets in a network that takes short packets only, as behind a tunnel: a run loses nothing by it.
//!
//! Each run has a network of its own, whose loopback device takes as little as it is told; that needs root.

use std::process::Command;

use swimring_loadgen::report::Report;
use swimring_peers::namespace::NetworkNamespace;

use crate::support::{QUICK, text};

/// A hundred members with as much to say as an MTU of 1,500 lets them, often enough that none is missed by
/// chance.
const FLEET: [&str; 18] = [
    "--members",
    "100",
    "--events",
    "20/s",
    "--event-bytes",
    "200",
    "--duration",
    "3s",
    "--warmup",
    "1s",
    "--kill",
    "0",
    "--retransmit-multiplier",
    "8",
    "--json",
    "-",
    "--slo",
    "false_deaths==0",
];

/// What each way of telling needs to have long frames to send: members that delegate pass on at once, one event in a
/// frame, unless they wait for more.
const TELLING: [(&str, &[&str]); 3] = [
    ("native", &["--delegation-pacing-ms", "500"]),
    ("native", &["--dissemination", "gossip"]),
    ("memberlist", &[]),
];

/// Runs the fleet at `mtu`: its report, and what it said.
fn run(network: &NetworkNamespace, mtu: u32, arguments: &[&str]) -> (Report, String) {
    network.set_mtu(mtu).unwrap();
    let mut command: Command = network.command(env!("CARGO_BIN_EXE_swimring-loadgen"));
    let output = command.arg("run").args(QUICK).args(FLEET).args(arguments).output().unwrap();
    let told = text(&output.stderr);
    let report = Report::from_json(&text(&output.stdout)).unwrap_or_else(|fault| panic!("{fault}: {told}"));
    (report, told)
}

#[test]
fn a_fleet_loses_nothing_behind_a_narrow_path() {
    let network = match NetworkNamespace::create() {
        Ok(network) => network,
        Err(error) => return println!("skipped: {error}"),
    };
    for (wire, telling) in TELLING {
        for driver in ["auto", "mmsg"] {
            for mtu in [1420, 1280] {
                let way = [&["--wire", wire, "--driver", driver], telling].concat();
                let (report, told) = run(&network, mtu, &way);
                let case = format!("{wire} {telling:?} {driver} {mtu}: {told}");
                assert_eq!(report.datagrams.dropped, 0, "{case}");
                let (sent, received) = (report.datagrams.sent, report.datagrams.received);
                // What is on its way when the window opens or closes is all that may differ.
                assert!(sent.abs_diff(received) <= sent / 10, "{case}: {sent} sent, {received} received");
                assert_eq!(report.events.delivered_ratio, Some(1.0), "{case}");
                // One of each worker, if it had so much to say at once; padded trains always do.
                let warnings = told.matches(&format!("takes packets of {mtu} bytes only")).count();
                assert!(warnings <= report.cpu.worker_busy_ratio.len(), "{case}");
                assert!(warnings > 0 || wire == "memberlist", "{case}");
            }
        }
    }
}

#[test]
fn frames_that_are_short_enough_need_no_warning() {
    let network = match NetworkNamespace::create() {
        Ok(network) => network,
        Err(error) => return println!("skipped: {error}"),
    };
    for telling in [TELLING[0].1, TELLING[1].1] {
        for (mtu, arguments) in [(1280, &["--frame-bytes-max", "1252"][..]), (1500, &[]), (9000, &[])] {
            let (report, told) = run(&network, mtu, &[arguments, telling].concat());
            let seen = (report.datagrams.dropped, told.contains("takes packets of"));
            assert_eq!(seen, (0, false), "{mtu} {telling:?}: {told}");
            assert_eq!(report.events.delivered_ratio, Some(1.0), "{mtu} {telling:?}");
        }
    }
}
