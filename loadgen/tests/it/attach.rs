//! Virtual members in a pool whose one real member lives in this process and speaks memberlist's format.

#![allow(clippy::disallowed_methods, reason = "tests meet the clock and ports")]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::support::{QUICK, Running, loadgen, text};
use nix::sys::signal::Signal;
use swimring::{Cluster, ClusterEvent, Events, MemberlistOptions, Preset, State, WireOptions};
use swimring_codec::memberlist::{PushPullWriter, Record, Versions};
use swimring_loadgen::report::Report;

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The real member.
fn real(options: MemberlistOptions) -> Cluster {
    real_named("real", options)
}

/// A second one, in the pool of the first.
fn another(first: &Cluster, options: MemberlistOptions) -> Cluster {
    let second = real_named("other", options);
    let outcome = second.join([first.address().to_string()]).wait();
    assert!(outcome.is_ok(), "{outcome:?}");
    second
}

fn real_named(name: &str, options: MemberlistOptions) -> Cluster {
    let tuned = Cluster::builder(name).bind(([127, 0, 0, 1], 0)).preset(Preset::Local).tune(|protocol| {
        protocol.probe_interval = Duration::from_millis(500);
        protocol.probe_timeout = Duration::from_millis(400);
        protocol.gossip_interval = Duration::from_millis(50);
    });
    tuned.wire(WireOptions::Memberlist(options)).start().expect("loopback has a free port")
}

/// A port that is free on all addresses, below those that the kernel gives out to whoever asks for any, and apart from those of
/// tests with another `net`: nobody takes it before it is used.
fn port(net: u8) -> String {
    let first = 10_000 + 64 * u16::from(net);
    let free = |port: &u16| {
        UdpSocket::bind(("0.0.0.0", *port)).is_ok() && TcpListener::bind(("0.0.0.0", *port)).is_ok()
    };
    (first..first + 64).step_by(8).find(free).expect("one of eight ports is free").to_string()
}

/// The flags of an attachment to `target`, with addresses that begin with 127.`net`.
fn flags(target: SocketAddr, pool: &str, net: u8, further: &[&str]) -> Vec<String> {
    let (target, first) = (target.to_string(), format!("127.{net}.0.1"));
    let port = port(net);
    let own = ["attach", "--join", &target, "--pool", pool, "--first-address", &first, "--port", &port];
    let small =
        [["--members", "8"], ["--ramp", "100/s"], ["--duration", "3s"], ["--warmup", "0s"], ["--json", "-"]];
    let small = small.iter().filter(|[flag, _]| !further.contains(flag)).flatten();
    let all = own.iter().chain(&QUICK).chain(small).chain(further);
    all.map(|flag| (*flag).to_owned()).collect()
}

fn attach(target: SocketAddr, pool: &str, net: u8, further: &[&str]) -> Output {
    let flags = flags(target, pool, net, further);
    loadgen(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The one line of a refusal.
fn refusal(output: &Output) -> String {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let said = ["seed 1", "the pool has", " as left for a day", "--encrypt: everybody on this machine"];
    let lines = told.lines().filter(|line| !said.iter().any(|said| line.contains(said)));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{told}");
    lines[0].to_owned()
}

/// Names of those that left, and of those that failed, until `left` and `failed` have.
fn departures(events: &mut Events, left: usize, failed: usize) -> (HashSet<String>, HashSet<String>) {
    let deadline = Instant::now() + PATIENCE;
    let (mut gone, mut dead) = (HashSet::new(), HashSet::new());
    while gone.len() < left || dead.len() < failed {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(ClusterEvent::Left(member)) => gone.insert(member.name.to_string()),
            Ok(ClusterEvent::Failed { member, .. }) => dead.insert(member.name.to_string()),
            Ok(_) => continue,
            Err(error) => panic!("{error}: {gone:?} left, {dead:?} failed"),
        };
    }
    (gone, dead)
}

/// Members that join a pool with `options`, are killed, send events, and leave.
fn lives_in(options: MemberlistOptions, pool: &str, net: u8, flags: &[&str]) {
    let real = real(options);
    let mut events = real.subscribe().unwrap();
    let further = [&["--kill", "1", "--events", "2/s"], flags].concat();
    let output = attach(real.address(), pool, net, &further);
    let report = Report::from_json(&text(&output.stdout))
        .unwrap_or_else(|fault| panic!("{fault}: {}", text(&output.stderr)));
    assert!(matches!(output.status.code(), Some(0 | 98)), "{}", text(&output.stderr));
    let (left, failed) = departures(&mut events, 7, 1);
    assert_eq!((left.len(), failed.len()), (7, 1));
    assert!(left.is_disjoint(&failed) && left.iter().all(|name| name.starts_with("swimring-0000")));
    assert_eq!((report.members, report.wire.as_str()), (8, "memberlist"));
    assert_eq!((report.kills.count, report.events.sent), (1, 4));
    // A rumour may die out among so few before all have heard it.
    assert!(report.events.delivered_ratio.is_some_and(|ratio| ratio > 0.5), "{:?}", report.events);
    let real_members = report.real_members.expect("attach reports them");
    assert_eq!(real_members.count, 1);
    let [member] = &real_members.members[..] else { panic!("{real_members:?}") };
    assert_eq!(
        (member.name.as_str(), member.address.as_str()),
        ("real", real.address().to_string().as_str())
    );
    assert!(member.acks > 0 && member.ack_rtt_us.p50.is_some(), "{member:?}");
    assert!(member.event_ms.count > 0, "{member:?}");
    assert!(member.suspect_s.count + member.dead_s.count > 0, "{member:?}");
}

#[test]
fn members_live_and_leave_in_a_plain_pool() {
    lives_in(MemberlistOptions::default(), "memberlist", 31, &[]);
}

#[test]
fn and_in_a_serf_pool_with_label_and_key() {
    let options = MemberlistOptions {
        label: "shop".to_owned(),
        secret_keys: vec![vec![7; 16].into()],
        ..MemberlistOptions::serf()
    };
    lives_in(options, "serf", 32, &["--label", "shop", "--encrypt", "BwcHBwcHBwcHBwcHBwcHBw=="]);
}

#[test]
fn those_that_churn_come_back_and_leave_for_good() {
    let real = real(MemberlistOptions::default());
    let mut events = real.subscribe().unwrap();
    let output = attach(real.address(), "memberlist", 33, &["--churn", "15/m", "--duration", "9s"]);
    let report = Report::from_json(&text(&output.stdout)).unwrap();
    assert_eq!(report.false_deaths, 0, "{report:?}");
    assert_eq!(departures(&mut events, 8, 0).1.len(), 0);
    // One left in the first second, and was back before all left.
    let deadline = Instant::now() + PATIENCE;
    while real.members().unwrap().iter().any(|member| &*member.name != "real" && member.state.is_live()) {
        assert!(Instant::now() < deadline, "somebody stayed");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts an attachment and waits until it measures.
fn measuring(target: SocketAddr, net: u8, further: &[&str]) -> Running {
    let flags = flags(target, "memberlist", net, further);
    let mut running = Running::begin(&flags.iter().map(String::as_str).collect::<Vec<_>>(), Stdio::piped());
    running.wait_for_phase("measuring");
    running
}

#[test]
fn one_virtual_member_is_enough() {
    let real = real(MemberlistOptions::default());
    let output = attach(real.address(), "memberlist", 43, &["--members", "1"]);
    assert!(matches!(output.status.code(), Some(0 | 98)), "{}", text(&output.stderr));
    let report = Report::from_json(&text(&output.stdout)).unwrap();
    assert_eq!((report.members, report.real_members.map(|real| real.count)), (1, Some(1)));
    let told = text(&output.stderr);
    assert!(told.contains(" in all: joining 1s (at 100/s)") && told.contains("settling at most "), "{told}");
}

#[test]
fn a_real_member_that_stops_is_named_with_how_many_noticed_and_when() {
    let real = real(MemberlistOptions::default());
    let stopping = another(&real, MemberlistOptions::default());
    let running = measuring(real.address(), 44, &["--duration", "120s"]);
    let begun_by = SystemTime::now();
    stopping.shutdown();
    let deadline = Instant::now() + PATIENCE;
    let address = stopping.address();
    let line = format!("swimring_real_member_held_dead{{member=\"other\",address=\"{address}\"}} 8");
    while !running.scrape().lines().any(|shown| shown == line) {
        assert!(Instant::now() < deadline, "{}", running.scrape());
        std::thread::sleep(Duration::from_millis(100));
    }
    running.signal(Signal::SIGINT);
    let (_, page, told) = running.end();
    let report = Report::from_json(&page).unwrap_or_else(|fault| panic!("{fault}: {told}"));
    let real_members = report.real_members.as_ref().unwrap();
    assert_eq!((real_members.count, real_members.cut_off.len()), (2, 0), "{real_members:?}");
    let started = humantime::parse_rfc3339(&report.environment.started_at).unwrap();
    assert!(started <= begun_by, "{started:?} is not the beginning");
    let [other, alive] = &real_members.members[..] else { panic!("{real_members:?}") };
    assert_eq!((other.name.as_str(), other.failed_of.by, other.held_dead), ("other", 8, 8));
    assert!(other.failed_of.from_s.is_some_and(|from| from > 0.0 && Some(from) <= other.failed_of.until_s));
    assert_eq!((alive.name.as_str(), alive.failed), ("real", 0));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stopped.json");
    std::fs::write(&path, page).unwrap();
    let path = path.to_str().unwrap();
    let single = text(&loadgen(&["report", path]).stdout);
    assert!(single.contains(&format!("\n  other at {address}: ")), "{single}");
    assert!(single.replace("\n    ", " ").contains("taken for dead by 8 members of ours"), "{single}");
    let both = text(&loadgen(&["report", path, path]).stdout);
    let of_other = both.split("\nother\n").nth(1).unwrap_or_else(|| panic!("{both}"));
    let mut rows = of_other.lines().take_while(|line| line.starts_with("  "));
    assert!(rows.any(|line| line.starts_with("  taken for dead by ")), "{both}");
}

#[test]
fn a_key_that_is_rotated_meanwhile_makes_the_run_invalid() {
    let (old, new) = ([7; 16], [8; 16]);
    let options =
        MemberlistOptions { secret_keys: vec![old.to_vec().into()], ..MemberlistOptions::default() };
    let real = real(options.clone());
    let other = another(&real, options);
    let key = ["--encrypt", "BwcHBwcHBwcHBwcHBwcHBw==", "--duration", "120s"];
    let running = measuring(real.address(), 45, &key);
    for member in [&real, &other] {
        member.install_key(&new).unwrap();
    }
    for member in [&real, &other] {
        member.use_key(&new).unwrap();
    }
    for member in [&real, &other] {
        member.remove_key(&old).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    let held_dead = |page: &str| {
        let lines = page.lines().filter(|line| line.starts_with("swimring_real_member_held_dead{"));
        lines.filter(|line| line.ends_with(" 8")).count()
    };
    while held_dead(&running.scrape()) < 2 {
        assert!(Instant::now() < deadline, "{}", running.scrape());
        std::thread::sleep(Duration::from_millis(100));
    }
    running.signal(Signal::SIGINT);
    let (status, page, told) = running.end();
    let report = Report::from_json(&page).unwrap_or_else(|fault| panic!("{fault}: {told}"));
    assert_eq!((status, report.valid), (Some(98), false), "{told}");
    let real_members = report.real_members.as_ref().unwrap();
    assert!(real_members.total.unopened > 2, "{real_members:?}");
    assert!(real_members.all_dead_at_s.is_some(), "{real_members:?}");
    for part in ["the pool's key has changed", "our members held all 2 real members dead"] {
        assert!(report.invalid_reasons.iter().any(|reason| reason.contains(part)), "{part}: {report:?}");
    }
}

#[test]
fn ctrl_c_lets_everybody_leave() {
    let real = real(MemberlistOptions::default());
    let mut events = real.subscribe().unwrap();
    let flags = flags(real.address(), "memberlist", 34, &["--duration", "60s"]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut running = Running::begin(&flags, Stdio::piped());
    running.wait_for_phase("measuring");
    running.signal(Signal::SIGINT);
    let (status, page, told) = running.end();
    assert!(matches!(status, Some(0 | 98)), "{told}");
    assert!(Report::from_json(&page).unwrap().interrupted);
    assert_eq!(departures(&mut events, 8, 0).1.len(), 0);
}

#[test]
fn a_pool_that_refuses_us_is_explained_in_one_line() {
    let labelled = MemberlistOptions { label: "shop".to_owned(), ..MemberlistOptions::default() };
    let encrypted =
        MemberlistOptions { secret_keys: vec![vec![7; 16].into()], ..MemberlistOptions::default() };
    let key = ["--encrypt", "AQEBAQEBAQEBAQEBAQEBAQ=="];
    for (net, options, pool, flags, told) in [
        (35, labelled, "memberlist", &[][..], "--label"),
        (36, encrypted.clone(), "memberlist", &[], "--encrypt"),
        (37, encrypted, "memberlist", &key, "--encrypt"),
        (38, MemberlistOptions::serf(), "memberlist", &[], "it is a pool of Serf's or Consul's (--pool)"),
        (39, MemberlistOptions::default(), "serf", &[], "it is a pool of plain memberlist (--pool)"),
        (
            40,
            MemberlistOptions::serf(),
            "consul",
            &[],
            "nobody in the pool is a Consul agent; use --pool serf",
        ),
    ] {
        let real = real(options);
        let line = refusal(&attach(real.address(), pool, net, flags));
        assert!(line.contains("--join") || line.contains("--pool"), "{line}");
        assert!(line.contains(told), "{line}");
    }
}

#[test]
fn a_member_that_lives_is_found_behind_ten_addresses_where_nobody_is() {
    let real = real(MemberlistOptions::default());
    let mut events = real.subscribe().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stale: Vec<_> = (1..10).map(|last| format!("127.43.9.{last}:{}", free.port())).collect();
    let join = format!("{},{}", stale.join(","), real.address());
    let output = attach(free, "memberlist", 43, &["--join", &join]);
    let report = Report::from_json(&text(&output.stdout));
    let report = report.unwrap_or_else(|fault| panic!("{fault}: {}", text(&output.stderr)));
    assert_eq!(report.real_members.map(|real| real.count), Some(1));
    departures(&mut events, 8, 0);
    // Without it, each is named.
    let line = refusal(&attach(free, "memberlist", 43, &["--join", &stale.join(",")]));
    assert!(line.contains(&stale.join(", ")) && line.contains("connection refused"), "{line}");
}

/// Answers every join with a view of one member, and never says anything more.
#[test]
fn a_pool_that_drops_us_in_silence_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let mut view = Vec::new();
            let mut writer = PushPullWriter::new(&mut view, false);
            writer.record(&Record {
                node: "silent",
                address: target,
                metadata: b"",
                incarnation: 1,
                state: State::Alive,
                versions: Versions::PLAIN,
            });
            assert!(writer.finish(b""));
            let _ = stream.write_all(&view);
        }
    });
    let line = refusal(&attach(target, "memberlist", 41, &[]));
    assert!(line.contains("answered the join") && line.contains("merge delegate"), "{line}");
}

#[test]
fn what_cannot_be_attached_is_told_before_anything_starts() {
    let elsewhere: SocketAddr = "192.0.2.1:7946".parse().unwrap();
    let output = attach(elsewhere, "serf", 42, &["--kill", "3"]);
    let line = text(&output.stderr);
    assert_eq!((output.status.code(), line.lines().count()), (Some(2), 1), "{line}");
    for part in ["not on this machine's loopback", "8 members", "100 a second", "3 of them vanish", "--yes"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let line = refusal(&attach(elsewhere, "serf", 42, &["--yes"]));
    assert!(
        line.contains("--first-address 127.42.0.1: 192.0.2.1:7946 cannot reach members on loopback"),
        "{line}"
    );

    for nobody in ["0.0.0.0:7946", "224.0.0.1:7946", "255.255.255.255:7946"] {
        let line = refusal(&attach(nobody.parse().unwrap(), "serf", 42, &[]));
        assert!(line.contains(&format!("--join {}: ", nobody.trim_end_matches(":7946"))), "{line}");
    }

    let real = real(MemberlistOptions::default());
    let held = UdpSocket::bind("127.0.0.1:0").unwrap();
    let busy = held.local_addr().unwrap().port().to_string();
    let join = real.address().to_string();
    let attach = |flags: &[&str]| {
        let own = ["attach", "--pool", "memberlist", "--members", "8", "--join", &join];
        refusal(&loadgen(&[&own[..], flags].concat()))
    };
    let line = attach(&["--port", &busy]);
    assert!(line.contains(&format!("--port {busy}: in use on this machine")), "{line}");
    let line = attach(&["--first-address", "192.0.2.1"]);
    assert!(line.contains("--first-address 192.0.2.1: ") && line.contains("ip route add local"), "{line}");
}
