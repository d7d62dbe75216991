//! Ctrl-C in every phase of a run: a report of what was measured, or one line where nothing was.

#![allow(clippy::disallowed_methods, reason = "tests wait")]

use std::io::Write;
use std::os::fd::AsFd;
use std::process::Stdio;

use crate::support::Running;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use swimring_loadgen::report::Report;

const FLEET: [&str; 6] = ["--members", "50", "--events", "0", "--json", "-"];
const NOTHING: &str = "swimring-loadgen: ended before the measured time began: there is nothing to report\n";

/// Ends a run of [`FLEET`] in `phase`.
fn ended_in(phase: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut running = Running::start(&[&FLEET, arguments].concat(), Stdio::piped());
    running.wait_for_phase(phase);
    running.signal(Signal::SIGINT);
    running.end()
}

#[test]
fn before_anything_is_measured_there_is_one_line_and_status_1() {
    let (status, page, told) = ended_in("warming up", &["--warmup", "60s"]);
    assert_eq!((status, page.as_str()), (Some(1), ""));
    assert!(told.ends_with(NOTHING), "{told}");
}

#[test]
fn while_members_join_likewise() {
    let arguments = ["--members", "400", "--start", "cold", "--warmup", "60s", "--kill", "0"];
    let running = Running::start(&arguments, Stdio::piped());
    running.signal(Signal::SIGINT);
    let (status, page, told) = running.end();
    assert_eq!((status, page.as_str()), (Some(1), ""));
    assert!(told.ends_with(NOTHING), "{told}");
}

#[test]
fn while_measuring_it_reports_what_was_measured() {
    let (status, page, _) = ended_in("measuring", &["--warmup", "0s", "--duration", "60s"]);
    let report = Report::from_json(&page).unwrap();
    assert!(report.interrupted && report.duration_s > 0.0 && report.duration_s < 60.0);
    // A busy machine may make the run invalid; ending early does not.
    assert_eq!(status, Some(if report.valid { 0 } else { 98 }));
}

#[test]
fn while_settling_it_reports_the_kills_that_were_not_noticed_in_time() {
    // 4 s of suspicion at least: a kill in a window of half a second cannot be known at its end.
    let (status, page, _) = ended_in("settling", &["--warmup", "0s", "--duration", "500ms", "--kill", "2"]);
    let report = Report::from_json(&page).unwrap();
    assert!(report.interrupted && report.duration_s < 4.0);
    assert_eq!((report.kills.count, report.kills.detected), (2, 0));
    assert_eq!(status, Some(if report.valid { 0 } else { 98 }));
}

#[test]
fn the_second_time_aborts_with_130() {
    // A reader that does not read holds the report up, so the run is still there for the second signal.
    let (_reader, mut writer) = std::io::pipe().unwrap();
    let flags = OFlag::from_bits_retain(fcntl(writer.as_fd(), FcntlArg::F_GETFL).unwrap());
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags)).unwrap();
    let arguments = [&FLEET[..], &["--warmup", "0s", "--duration", "60s"]].concat();
    let mut running = Running::start(&arguments, Stdio::from(writer));
    running.wait_for_phase("measuring");
    running.signal(Signal::SIGINT);
    running.wait_for_line("ending early; Ctrl-C once more aborts");
    // Whoever insists: not within the first second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().0, Some(130));
}

#[test]
fn signals_that_come_together_end_it_in_order() {
    // As a closed terminal sends them, a process group, or a supervisor that is in a hurry.
    for signals in [
        [Signal::SIGINT, Signal::SIGINT, Signal::SIGINT],
        [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT],
        [Signal::SIGTERM, Signal::SIGTERM, Signal::SIGHUP],
    ] {
        let arguments = [&FLEET[..], &["--warmup", "0s", "--duration", "60s"]].concat();
        let mut running = Running::start(&arguments, Stdio::piped());
        running.wait_for_phase("measuring");
        for signal in signals {
            running.signal(signal);
        }
        let (status, page, told) = running.end();
        let report = Report::from_json(&page).unwrap_or_else(|fault| panic!("{signals:?}: {fault}: {told}"));
        assert!(report.interrupted);
        assert_eq!(status, Some(if report.valid { 0 } else { 98 }), "{signals:?}");
    }
}
