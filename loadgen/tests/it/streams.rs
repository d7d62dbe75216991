//! Output that is closed or full: no panic, no result lost, one line, and the right status.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::{Command, Stdio};

use swimring_loadgen::report::Report;

use crate::support::{QUICK, command, text};

fn full() -> Stdio {
    Stdio::from(OpenOptions::new().write(true).open("/dev/full").expect("Linux has it"))
}

/// The writing end of a pipe that nobody reads any more.
fn closed() -> Stdio {
    Stdio::from(std::io::pipe().expect("a pipe").1)
}

fn a_run() -> Command {
    let mut command =
        command(&["run", "--members", "10", "--warmup", "0s", "--duration", "500ms", "--kill", "0"]);
    command.args(["--events", "0"]).args(QUICK);
    command
}

/// 0, or 98 where this machine was too busy to be measured.
fn measured(status: Option<i32>) -> bool {
    matches!(status, Some(0 | 98))
}

#[test]
fn a_run_that_nobody_can_be_told_of_still_reports() {
    // The engine's own lines too: all of them, at the level that has most.
    for stderr in [full, closed] {
        let output = a_run().env("RUST_LOG", "debug").stderr(stderr()).output().unwrap();
        let page = text(&output.stdout);
        assert!(measured(output.status.code()), "{:?}: {page}", output.status);
        assert!(page.contains("10 members"), "{page}");
    }
}

#[test]
fn a_report_that_standard_output_refuses_is_kept_and_exits_with_1() {
    for json in [&[][..], &["--json", "-"]] {
        let directory = tempfile::tempdir().unwrap();
        let output = a_run().args(json).env("TMPDIR", directory.path()).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        let last = told.lines().last().unwrap();
        let start =
            "swimring-loadgen: standard output: No space left on device (os error 28); the report is in ";
        let path = last.strip_prefix(start).unwrap_or_else(|| panic!("{told}"));
        let mut kept = String::new();
        File::open(path).unwrap().read_to_string(&mut kept).unwrap();
        assert_eq!(Report::from_json(&kept).unwrap().members, 10);
    }
}

#[test]
fn a_report_that_is_in_its_file_is_kept_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.json");
    let output = a_run().arg("--json").arg(&file).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    let line = "swimring-loadgen: standard output: No space left on device (os error 28)\n";
    assert!(told.ends_with(line), "{told}");
    assert_eq!(Report::from_json(&std::fs::read_to_string(file).unwrap()).unwrap().members, 10);
}

#[test]
fn a_file_that_refuses_the_report_leaves_it_on_standard_output() {
    for (flag, fault) in [
        ("--json", "swimring-loadgen: --json /dev/full: No space left on device (os error 28)\n"),
        ("--hlog", "swimring-loadgen: --hlog: No space left on device (os error 28)\n"),
    ] {
        let output = a_run().args([flag, "/dev/full"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).ends_with(fault), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("10 members"));
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_fault() {
    let output = a_run().stdout(closed()).output().unwrap();
    assert!(measured(output.status.code()), "{:?}", output.status);
    assert!(!text(&output.stderr).contains("standard output"), "{}", text(&output.stderr));
}

#[test]
fn every_command_says_in_one_line_that_standard_output_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("saved.json");
    std::fs::write(&saved, Report { schema: 1, valid: true, ..Report::default() }.to_json()).unwrap();
    let saved = saved.to_str().unwrap();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["run", "--help"],
        &["report", saved],
        &["report", saved, saved],
        &["report", saved, "--format", "csv"],
    ] {
        let output = command(arguments).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let line = "swimring-loadgen: standard output: No space left on device (os error 28)\n";
        assert_eq!(text(&output.stderr), line, "{arguments:?}");
        let output = command(arguments).stdout(closed()).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{arguments:?}");
    }
}
