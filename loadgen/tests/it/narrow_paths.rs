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

/// What telling by delegation needs to have long frames to send: who is told passes it on at once, one event in a frame, unless it
/// waits for more.
const DELEGATED: [&str; 2] = ["--delegation-pacing-ms", "500"];

const GOSSIP: [&str; 2] = ["--dissemination", "gossip"];

/// Runs the fleet at `mtu`: its report, and what it said.
fn run(network: &NetworkNamespace, mtu: u32, arguments: &[&str]) -> (Report, String) {
    network.set_mtu(mtu).unwrap();
    let mut command: Command = network.command(env!("CARGO_BIN_EXE_swimring-loadgen"));
    let output = command.arg("run").args(QUICK).args(FLEET).args(arguments).output().unwrap();
    let told = text(&output.stderr);
    let report = Report::from_json(&text(&output.stdout)).unwrap_or_else(|fault| panic!("{fault}: {told}"));
    (report, told)
}

/// Whether fleets on `wire` that tell in the way of `telling` lose nothing behind paths of every width.
fn loses_nothing(wire: &str, telling: &[&str]) {
    let network = match NetworkNamespace::create() {
        Ok(network) => network,
        Err(error) => return println!("skipped: {error}"),
    };
    for driver in ["auto", "mmsg"] {
        for mtu in [1420, 1280] {
            let way = [&["--wire", wire, "--driver", driver], telling].concat();
            let (report, told) = run(&network, mtu, &way);
            let case = format!("{driver} {mtu}: {told}");
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

#[test]
fn a_fleet_that_delegates_loses_nothing_behind_a_narrow_path() {
    loses_nothing("native", &DELEGATED);
}

#[test]
fn a_fleet_that_gossips_loses_nothing_behind_a_narrow_path() {
    loses_nothing("native", &GOSSIP);
}

#[test]
fn a_fleet_on_memberlists_wire_loses_nothing_behind_a_narrow_path() {
    loses_nothing("memberlist", &[]);
}

#[test]
fn frames_that_are_short_enough_need_no_warning() {
    let network = match NetworkNamespace::create() {
        Ok(network) => network,
        Err(error) => return println!("skipped: {error}"),
    };
    for telling in [DELEGATED, GOSSIP] {
        for (mtu, arguments) in [(1280, &["--frame-bytes-max", "1252"][..]), (1500, &[]), (9000, &[])] {
            let (report, told) = run(&network, mtu, &[arguments, &telling].concat());
            let seen = (report.datagrams.dropped, told.contains("takes packets of"));
            assert_eq!(seen, (0, false), "{mtu} {telling:?}: {told}");
            assert_eq!(report.events.delivered_ratio, Some(1.0), "{mtu} {telling:?}");
        }
    }
}
