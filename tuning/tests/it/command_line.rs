//! The program as it is called: exit statuses, what goes where, and the files it writes.

use std::process::{Command, Output};
use swimring_tooling::layers::shielded;

fn tune(arguments: &[&str]) -> Output {
    shielded(&mut Command::new(env!("CARGO_BIN_EXE_swimring-tune")))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_is_no_fault_and_has_examples() {
    for arguments in
        [&["--help"][..], &["model", "--help"], &["recommend", "--help"], &["simulate", "--help"]]
    {
        let output = tune(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("Examples:"));
    }
    let said = tune(&["--help"]).stdout;
    let said = String::from_utf8_lossy(&said);
    for part in ["swimring-tune recommend --", "swimring-tune simulate --", "99 of recommend"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_version_has_the_commit_that_was_built() {
    let said = tune(&["--version"]).stdout;
    assert_eq!(String::from_utf8_lossy(&said), format!("swimring-tune {}\n", swimring_tuning::BUILD.line));
}

#[test]
fn completions_and_manual_pages_are_printed() {
    for (arguments, word) in [
        (&["completions", "bash"][..], "false-deaths"),
        (&["completions", "zsh"], "memberlist"),
        (&["completions", "fish"], "recommend"),
        (&["completions", "elvish"], "recommend"),
        (&["completions", "powershell"], "recommend"),
        (&["man"], ".TH swimring"),
        (&["man", "simulate"], "sweep"),
    ] {
        let output = tune(arguments);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(word), "{arguments:?}: no {word}");
    }
    let refused = tune(&["man", "rnu"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).starts_with("swimring-tune: man: no command rnu; "), "{}", stderr(&refused));
}

/// What goes to a pipe fits 80 columns, but for what is to be copied.
#[test]
fn every_table_fits_eighty_columns() {
    for arguments in [
        &["recommend", "-n", "20000", "--loss", "1%", "--detect-p99", "5s", "--max-bytes-per-second", "2000"]
            [..],
        &["recommend", "-n", "300", "--for", "serf", "--detect-p99", "3s"],
        &["simulate", "-n", "20", "-d", "9s", "--crashes", "1", "--sweep", "gossip_interval_ms=50,100"],
        &["model", "--runs", "3", "-n", "1000"],
        &["compare", "--members", "20", "--fanout", "3", "--loss", "0,1%"],
    ] {
        let cheap = if arguments[0] == "recommend" { &["--forms-only"][..] } else { &[] };
        let output = tune(&[arguments, cheap].concat());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.lines().count() > 5, "{arguments:?}: {}", stderr(&output));
        for line in said.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
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

/// What each command does in a second or two.
const QUICK: [&[&str]; 4] = [
    &["model", "--runs", "2"],
    &["compare", "--members", "20", "--loss", "0", "--fanout", "3", "--quiet"],
    &["simulate", "--members", "10", "--seeds", "1", "--duration", "10s", "--quiet"],
    &["recommend", "--members", "100", "--detect-p99", "20s", "--forms-only"],
];

/// Runs with standard output going to `to`.
fn into(arguments: &[&str], to: std::process::Stdio) -> (Option<i32>, String) {
    let output = shielded(&mut Command::new(env!("CARGO_BIN_EXE_swimring-tune")))
        .args(arguments)
        .stdout(to)
        .output()
        .unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn a_reader_that_has_gone_is_no_fault_and_a_full_disk_is_one_line() {
    let help: &[&str] = &["recommend", "--help"];
    for arguments in QUICK.into_iter().chain([help]) {
        let closed = std::io::pipe().unwrap().1;
        assert_eq!(into(arguments, closed.into()), (Some(0), String::new()), "{arguments:?}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let told = "swimring-tune: standard output: No space left on device (os error 28)\n".to_owned();
        assert_eq!(into(arguments, full.into()), (Some(1), told), "{arguments:?}");
    }
}

#[test]
fn a_dash_is_standard_output() {
    for (arguments, flag) in [
        (QUICK[0], "--json"),
        (QUICK[2], "--json"),
        (QUICK[3], "--json"),
        (QUICK[0], "--csv"),
        (QUICK[1], "--csv"),
    ] {
        let output = tune(&[arguments, &[flag, "-"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        if flag == "--json" {
            serde_json::from_str::<serde_json::Value>(&text)
                .unwrap_or_else(|error| panic!("{error}: {text}"));
        } else {
            assert!(text.lines().count() > 3 && text.lines().all(|line| line.contains(',')), "{text}");
        }
    }
    assert!(!std::path::Path::new("-").exists(), "no file is called so");
    let both = tune(&["model", "--runs", "2", "--json", "-", "--csv", "-"]);
    let told = "swimring-tune: --csv -: --json goes to standard output too; name a file for one of them\n";
    assert_eq!((both.status.code(), stderr(&both).as_str()), (Some(2), told));
}

/// What a person typed or wrote, and the exact sentence that answers it.
#[test]
fn every_fault_is_a_sentence_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.toml");
    let path = path.to_str().unwrap();
    let scenario = &["simulate", "--scenario", path][..];
    let objective = &["recommend", "--config", path][..];
    let simulate = |more: &'static [&'static str]| [&["simulate"][..], more].concat();
    for (arguments, file, told) in [
        (
            simulate(&["-n", "many"]),
            "",
            "--members: many: not a whole number: write it like 10000, 10,000 or 10k",
        ),
        (simulate(&["-n", "1"]), "", "--members has to be between 2 and 1000000, and is 1"),
        (simulate(&["--set", "gossip_fanout=99"]), "", "--set gossip_fanout: 99: has to be between 1 and 16"),
        (
            scenario.to_vec(),
            "gossip_fanuot = 3",
            "--scenario FILE: unknown setting gossip_fanuot; did you mean gossip_fanout, gossip_interval_ms or \
             gossip_to_the_dead_ms?",
        ),
        (scenario.to_vec(), "members = [\"x\", []]", "--scenario FILE: members: cannot be a list"),
        (
            scenario.to_vec(),
            "members = 1",
            "--scenario FILE: members has to be between 2 and 1000000, and is 1",
        ),
        (
            scenario.to_vec(),
            "loss = \"100%\"",
            "--scenario FILE: loss: must be less than 100 %: write it like 2% or 0.02",
        ),
        (
            scenario.to_vec(),
            "gossip_fanout = 99",
            "--scenario FILE: gossip_fanout: 99: has to be between 1 and 16",
        ),
        (
            scenario.to_vec(),
            "probe_interval_ms = \"1s\"",
            "--scenario FILE: probe_interval_ms: 1s: not a whole number of milliseconds: write 1000",
        ),
        (
            scenario.to_vec(),
            "bind = \"0.0.0.0\"\npreset = \"lan\"",
            "--scenario FILE: a member's settings file, it seems: of a member a scenario takes preset and the protocol's \
             settings only; leave out bind",
        ),
        (
            objective.to_vec(),
            "seeds = \"a\"",
            "--config FILE: a member's settings file, it seems (it has seeds): an objective has members and limits, like \
             detect_p99 = \"5s\"",
        ),
        (objective.to_vec(), "members = true", "--config FILE: members: cannot be true or false"),
    ] {
        std::fs::write(path, file).unwrap();
        let output = tune(&arguments);
        let said = stderr(&output).replace(path, "FILE");
        assert_eq!((output.status.code(), said), (Some(2), format!("swimring-tune: {told}\n")), "{file}");
    }
    let endless = tune(&["simulate", "--scenario", "/dev/zero"]);
    let told = "swimring-tune: --scenario /dev/zero: more than 1048576 bytes: no scenario is so long\n";
    assert_eq!((endless.status.code(), stderr(&endless).as_str()), (Some(2), told));
}

#[test]
fn ten_members_are_simulated_without_further_flags_and_idle_ones_are_doubted() {
    let output = tune(&[
        "simulate",
        "-n",
        "10",
        "--seeds",
        "1",
        "--duration",
        "5s",
        "--false-death-bound",
        "0.1",
        "--suspicion",
        "lifeguard",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = "swimring-tune: --false-death-bound: has no effect with suspicion lifeguard\n";
    assert!(stderr(&output).starts_with(told), "{}", stderr(&output));
    let useless = tune(&["recommend", "--members", "9", "--detect-p99", "9s", "--forms-only", "--seed", "2"]);
    assert_eq!(useless.status.code(), Some(2));
    assert!(
        stderr(&useless).contains("'--forms-only[=<BOOL>]' cannot be used with '--seed"),
        "{}",
        stderr(&useless)
    );
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the test waits for the first finished run")]
fn signals_that_come_together_end_a_sweep_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("runs");
    let child = shielded(&mut Command::new(env!("CARGO_BIN_EXE_swimring-tune")))
        .args(["simulate", "-n", "50", "--seeds", "10k", "--quiet", "--resume"])
        .arg(&store)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of the file says what its runs are of.
    while std::fs::read_to_string(&store).unwrap_or_default().lines().count() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = child.id();
    let script = format!("kill -HUP {pid}; kill -TERM {pid}; kill -INT {pid}; kill -INT {pid}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.contains("Ended early: ") && text.contains(" of 10,000 runs are finished."), "{text}");
    assert_eq!(stderr(&output).matches("ending early; Ctrl-C").count(), 1, "{}", stderr(&output));
}
