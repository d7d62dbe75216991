//! Everything a user can get wrong: one line that names it and the mend, and a status that is not 0.

#![allow(clippy::disallowed_methods, reason = "a port is held by binding it")]

use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use crate::support::{command, loadgen, text};

/// A fleet that would run for a moment if it were not refused.
const SMALL: [&str; 6] = ["--members", "10", "--duration", "100ms", "--warmup", "0s"];

/// The one line on standard error, and the exit status.
fn refused(arguments: &[&str]) -> (String, Option<i32>) {
    let output = loadgen(&[&["run"], &SMALL[..], arguments].concat());
    told(&output)
}

fn told(output: &std::process::Output) -> (String, Option<i32>) {
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    let line = text(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    (line, output.status.code())
}

/// Asserts status and line of a refusal.
fn assert_refused(arguments: &[&str], status: i32, start: &str, mend: &str) {
    let (line, code) = refused(arguments);
    assert_eq!(code, Some(status), "{line}");
    assert!(line.starts_with(&format!("swimring-loadgen: {start}")) && line.contains(mend), "{line}");
}

#[test]
fn bad_values_exit_with_2() {
    for (arguments, start, mend) in [
        (["--bind", "239.1.2.3"], "--bind 239.1.2.3: an address of many", "of this machine's own"),
        (["--event-bytes", "509"], "--event-bytes 509: ", "4 to 508"),
        (["--gossip-fanout", "300"], "--gossip-fanout 300: ", "between 1 and 16"),
        (["--probe-interval-ms", "5"], "--probe-interval-ms 5: ", "between 10 and 600000"),
        (["--probe-timeout-ms", "1000"], "--probe-timeout-ms 1000: ", "shorter than --probe-interval-ms"),
        (["--stream-timeout-ms", "0"], "--stream-timeout-ms 0: ", "between 1 and 3600000"),
        (["--workers", "11"], "--workers 11: ", "1 to 10"),
        (["--port", "65535"], "--port 65535: 2 workers need a port up to 65534", "or 0"),
        (["--metrics", "127.0.0.1:0"], "--metrics 127.0.0.1:0: ", "name one"),
        (["--encrypt-file", "/nonexistent"], "--encrypt-file /nonexistent: No such file", "directory"),
        (["--config", "/"], "--config /: is a folder, ", "and no settings file"),
    ] {
        let arguments = [&arguments[..], if start.contains("65535") { &["--workers", "2"] } else { &[] }];
        assert_refused(&arguments.concat(), 2, start, mend);
    }
    let (line, status) = told(&loadgen(&["--members", "4000001"]));
    assert_eq!((line.as_str(), status), ("swimring-loadgen: --members 4000001: at most 4000000\n", Some(2)));
}

#[test]
fn a_settings_file_that_cannot_be_used_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("settings.toml");
    let path = path.to_str().unwrap();
    let start = format!("--config {path}: ");
    for (content, fault) in [
        ("gossip_fanuot = 3\n", "unknown key gossip_fanuot; did you mean gossip_fanout"),
        ("gossip_fanout = \"three\"\n", "gossip_fanout has to be a whole number, and is text"),
        ("gossip_fanout = 3\nprobe\n", "line 2: "),
    ] {
        std::fs::write(path, content).unwrap();
        assert_refused(&["--config", path], 2, &start, fault);
    }
    // What is well written and out of bounds names the file too, where no flag says it.
    std::fs::write(path, "gossip_fanout = 17\n").unwrap();
    assert_refused(&["--config", path], 2, &start, "gossip_fanout 17: has to be between 1 and 16");
}

#[test]
fn ports_that_others_hold_exit_with_1() {
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let start = format!("--port {port}: UDP port {port} of 127.0.0.1 is in use");
    assert_refused(&["--port", &port, "--workers", "1"], 1, &start, "choose another, or 0");

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let port = held.local_addr().unwrap().port().to_string();
    let start = format!("--port {port}: TCP port {port} of 127.0.0.1 is in use");
    assert_refused(&["--port", &port, "--workers", "1"], 1, &start, "choose another, or 0");
    let start = format!("--metrics {address}: ");
    assert_refused(&["--metrics", &address], 1, &start, "choose another address or port");
}

#[test]
fn an_address_of_another_machine_exits_with_1() {
    // Reserved for documentation (RFC 5737): no machine has it.
    assert_refused(
        &["--bind", "192.0.2.1"],
        1,
        "--bind 192.0.2.1: not an address of this machine",
        "ip address",
    );
}

#[test]
fn addresses_that_members_cannot_have_are_refused_at_once() {
    let memberlist = ["--wire", "memberlist", "--first-address"];
    let with = |address| [&memberlist[..], &[address]].concat();
    let start =
        "--first-address 192.0.2.1: the members need the addresses to 192.0.2.10, and 192.0.2.1 is not";
    assert_refused(&with("192.0.2.1"), 1, start, "ip route add local");
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        let (line, status) = told(&loadgen(&[&["run", "--members", "2"], &with(address)[..]].concat()));
        assert_eq!(status, Some(2), "{line}");
        assert!(line.starts_with(&format!("swimring-loadgen: --first-address {address}: ")), "{line}");
    }
}

#[test]
fn a_machine_too_small_exits_with_1() {
    let (line, status) = told(&loadgen(&["--members", "4000000", "--start", "cold"]));
    assert_eq!(status, Some(1));
    assert!(line.starts_with("swimring-loadgen: --members 4000000: 4,000,000 members"), "{line}");
    assert!(line.contains(" of memory is available; use --members ") && line.contains(" or fewer"), "{line}");

    let binary = command(&[]).get_program().to_owned();
    let script = r#"ulimit -n 40; exec "$0" --members 10"#;
    let (line, status) = told(&Command::new("sh").arg("-c").arg(script).arg(binary).output().unwrap());
    assert_eq!(status, Some(1));
    assert!(line.starts_with("swimring-loadgen: open files: ") && line.contains("`ulimit -n "), "{line}");
}

#[test]
fn outputs_that_cannot_be_written_exit_with_1_before_the_run() {
    for flag in ["--json", "--hlog"] {
        let start = format!("{flag} /nonexistent/file: ");
        assert_refused(&[flag, "/nonexistent/file"], 1, &start, "No such file or directory");
    }
    assert_refused(&["--json", "/dev/null", "--hlog", "/dev/null"], 2, "--hlog /dev/null: ", "another file");
}
