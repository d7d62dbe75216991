//! The binary as a script meets it: exit statuses, one line per fault, saved results rendered again.

use std::process::{Command, Output};

use swimring_loadgen::BUILD;
use swimring_loadgen::report::Report;
use swimring_tooling::layers::shielded;

fn loadgen(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swimring-loadgen"));
    let output = shielded(&mut command).args(arguments).output();
    output.expect("the binary was built with this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// The status and standard error of a command that is refused before anything runs.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let output = loadgen(arguments);
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    (output.status.code(), text(&output.stderr))
}

#[test]
fn bad_arguments_exit_with_2_and_a_line_per_fault() {
    for (arguments, start) in [
        (vec!["run", "--membres", "3"], "swimring-loadgen: unexpected argument '--membres'"),
        (vec!["--members", "0"], "swimring-loadgen: --members 0: a cluster has 2 members or more\n"),
        (vec!["run", "--loss", "100%"], "swimring-loadgen: invalid value '100%' for '--loss <SHARE>'"),
        (vec!["run", "--slo", "p99<5"], "swimring-loadgen: invalid value 'p99<5' for '--slo <EXPRESSION>'"),
        (vec!["rnu"], "swimring-loadgen: no command rnu"),
        (vec!["run", "--config", "/nonexistent.toml"], "swimring-loadgen: --config /nonexistent.toml: "),
    ] {
        let (status, message) = refused(&arguments);
        assert_eq!(status, Some(2), "{message}");
        assert!(message.starts_with(start) && message.lines().count() == 1, "{message}");
    }
    let (status, message) = refused(&["--members", "10", "--kill", "10", "--duration", "0s"]);
    assert_eq!((status, message.lines().count()), (Some(2), 2), "{message}");
}

#[test]
fn a_flag_can_stand_in_the_environment() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swimring-loadgen"));
    let variables = [("SWIMRING_MEMBERS", "0"), ("SWIMRING_LOSS", "1%")];
    let output = shielded(&mut command).arg("run").envs(variables).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "swimring-loadgen: SWIMRING_MEMBERS 0: a cluster has 2 members or more\n"
    );
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [&["--help"][..], &["run", "--help"], &["attach", "--help"], &["report", "--help"]] {
        let output = loadgen(arguments);
        assert_eq!(output.status.code(), Some(0));
        let longest = text(&output.stdout).lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{arguments:?} is {longest:?} columns wide");
        assert!(text(&output.stdout).contains("Usage: swimring-loadgen") && output.stderr.is_empty());
    }
    assert_eq!(text(&loadgen(&["--version"]).stdout), format!("swimring-loadgen {}\n", BUILD.line));
}

#[test]
fn the_commit_is_one_or_says_that_it_is_unknown() {
    let digits = BUILD.commit.trim_end_matches("-modified");
    let is_commit = digits.len() >= 12 && digits.chars().all(|c| c.is_ascii_hexdigit());
    assert!(is_commit || BUILD.commit == "unknown", "{}", BUILD.commit);
    assert_eq!(BUILD.line, format!("{} ({})", BUILD.version, BUILD.commit));
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for (arguments, word) in [
        (&["completions", "bash"][..], "--no-segmentation"),
        (&["completions", "zsh"], "io_uring"),
        (&["completions", "fish"], "attach"),
        (&["completions", "elvish"], "attach"),
        (&["completions", "powershell"], "attach"),
        (&["man"], ".TH swimring"),
        (&["man", "run"], "gossip"),
        (&["man", "attach"], "consul"),
    ] {
        let output = loadgen(arguments);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{arguments:?}");
        assert!(text(&output.stdout).contains(word), "{arguments:?}: no {word}");
    }
    let (status, message) = refused(&["man", "rnu"]);
    assert!(status == Some(2) && message.starts_with("swimring-loadgen: man: no command rnu; "), "{message}");
}

#[test]
fn saved_results_are_rendered_compared_and_listed() {
    let directory = tempfile::tempdir().unwrap();
    let saved = |name: &str, members: u64| {
        let path = directory.path().join(name);
        let report = Report { schema: 1, valid: true, members, ..Report::default() };
        std::fs::write(&path, report.to_json()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, two) = (saved("one.json", 300), saved("two.json", 2000));

    let single = text(&loadgen(&["report", &one]).stdout);
    assert!(single.starts_with("swimring-loadgen ") && single.contains("300 members"), "{single}");
    assert!(!single.contains('\x1b'), "a pipe gets no colours");

    let both = text(&loadgen(&["report", &one, &two]).stdout);
    let members = both.lines().find(|line| line.starts_with("members")).unwrap();
    assert_eq!(members.split_whitespace().collect::<Vec<_>>(), ["members", "300", "2,000"]);

    let table = text(&loadgen(&["report", &one, &two, "--format", "csv"]).stdout);
    assert!(table.starts_with("file,valid,") && table.lines().count() == 3, "{table}");
}

#[test]
fn every_file_that_is_no_result_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("other.json");
    std::fs::write(&other, "{}").unwrap();
    let other = other.to_str().unwrap();
    let (status, message) = refused(&["report", other, "/nonexistent.json"]);
    assert_eq!(status, Some(1));
    assert!(message.contains(&format!("{other}: not a report: it has no schema\n")), "{message}");
    assert!(message.contains("/nonexistent.json: ") && message.lines().count() == 2, "{message}");
}
