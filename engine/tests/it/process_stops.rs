//! What becomes of a member whose process stands still or is killed, with the default settings and real sockets: its
//! kernel goes on answering for the one and refuses for the other.

#![allow(clippy::disallowed_methods, reason = "a process is waited for in real time")]

use std::io::Read;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use swimring::protocol::Settings;
use swimring::{Cluster, ClusterEvent, Events};

use crate::cluster_support::{PATIENCE, TestProcess, is_failed, is_joined, until};

/// Members in this process: enough that two can confirm what a third one suspects.
const HERE: usize = 5;
const ELSEWHERE: &str = "elsewhere";
/// Where the member of another process joins.
const SEED: &str = "SWIMRING_TEST_SEED";

fn start(name: &str) -> Cluster {
    Cluster::builder(name).bind(([127, 0, 0, 1], 0)).start().unwrap()
}

/// Not a test of its own: the member of the other process, until its standard input ends.
#[test]
#[ignore = "a part of the others here, in a process of its own"]
fn member_of_another_process() {
    let Some(seed) = std::env::var(SEED).ok().and_then(|seed| seed.parse::<SocketAddr>().ok()) else {
        return;
    };
    let member = start(ELSEWHERE);
    member.join([seed]).wait().unwrap();
    println!("joined");
    let _ = std::io::stdin().read(&mut [0]);
}

/// The process of a member that has joined.
fn joining(seed: SocketAddr) -> TestProcess {
    let mut program = TestProcess::program();
    program.env(SEED, seed.to_string());
    let elsewhere = TestProcess::start(program, "process_stops::member_of_another_process");
    elsewhere.until("joined");
    elsewhere
}

fn signal(process: &TestProcess, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap();
    assert!(sent.success(), "{signal}");
}

/// The members of this process, what happens at each, and the one of another process, which all of them know.
fn cluster() -> (Vec<Cluster>, Vec<Events>, TestProcess) {
    let here: Vec<Cluster> = (0..HERE).map(|nth| start(&format!("here-{nth}"))).collect();
    here[1..].iter().for_each(|member| {
        member.join([here[0].address()]).wait().unwrap();
    });
    let mut events: Vec<Events> = here.iter().map(|member| member.subscribe().unwrap()).collect();
    let elsewhere = joining(here[0].address());
    for events in &mut events {
        until(events, "it is known to all", |event| is_joined(event, ELSEWHERE));
    }
    // Its pings are what it is watched by.
    std::thread::sleep(Duration::from_secs(3));
    (here, events, elsewhere)
}

#[test]
fn whoever_stands_still_for_five_seconds_is_not_declared_dead() {
    let (here, mut events, elsewhere) = cluster();
    signal(&elsewhere, "-STOP");
    std::thread::sleep(Duration::from_secs(5));
    signal(&elsewhere, "-CONT");
    // Longer than a suspicion that began before would last.
    let end = Instant::now() + Duration::from_secs(10);
    let (mut suspected, mut failed) = (0, Vec::new());
    for events in &mut events {
        while let Ok(event) = events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            suspected += usize::from(matches!(event, ClusterEvent::Suspected { .. }));
            if matches!(event, ClusterEvent::Failed { .. }) {
                failed.push(event);
            }
        }
    }
    assert!(suspected > 0, "it did stand still");
    assert!(failed.is_empty(), "{failed:?}");
    for member in &here {
        assert_eq!(member.len().unwrap(), HERE + 1);
    }
}

#[test]
fn whoever_is_killed_is_declared_by_the_short_window() {
    let (here, mut events, elsewhere) = cluster();
    signal(&elsewhere, "-KILL");
    let mut shortest = PATIENCE;
    for events in &mut events {
        let (failed, _) = until(events, "it is declared", |event| is_failed(event, ELSEWHERE));
        if let ClusterEvent::Failed { suspicion: Some(suspicion), declared_here: true, .. } = failed {
            shortest = shortest.min(suspicion.lasted);
        }
    }
    let (lifeguards, _) = Settings::default().suspicion_timeouts(here.len() + 1);
    assert!(shortest < lifeguards, "{shortest:?}, and Lifeguard's shortest is {lifeguards:?}");
}
