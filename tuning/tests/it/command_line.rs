//! The program as it is called: exit statuses, what goes where, and the files it writes.

use std::process::{Command, Output};

fn tune(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_swimring-tune")).args(arguments).output().expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_is_no_fault_and_has_examples() {
    for arguments in [&["--help"][..], &["model", "--help"]] {
        let output = tune(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("Examples:"));
    }
}

#[test]
fn bad_arguments_are_a_line_and_status_two() {
    for arguments in [&[][..], &["mdel"], &["model", "--members", "0"], &["model", "--loss", "100%"]] {
        let output = tune(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = stderr(&output);
        assert!(said.starts_with("swimring-tune: ") && said.lines().count() == 1, "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_written_is_status_one() {
    let output = tune(&["model", "--runs", "2", "--json", "/nonexistent/x.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("swimring-tune: --json /nonexistent/x.json: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn files_hold_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, csv, plot) = (path("a.json"), path("a.csv"), path("a.svg"));
    let output = tune(&["model", "--runs", "5", "--json", &json, "--csv", &csv, "--plot", &plot]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(value["schema"], "swimring-tune-model/1");
    assert_eq!(value["fanout"].as_array().unwrap().len(), 12);
    let lines = std::fs::read_to_string(&csv).unwrap();
    assert!(lines.starts_with("strategy,round,informed_formula,informed_simulated,"), "{lines}");
    assert!(lines.contains("\npush-pull,1,"));
    let picture = std::fs::read_to_string(&plot).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("members that know"));
}
