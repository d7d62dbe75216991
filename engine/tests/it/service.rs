//! The example of a service that needs no etcd, as five encrypted processes that are cut off from each other, killed, all at once
//! too, and started again: in the end all of them say the same.

#![allow(clippy::disallowed_methods, reason = "processes are waited for in real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use swimring::{Cluster, EncryptionOptions, WireOptions};
use swimring_peers::namespace::NetworkNamespace;

use crate::cluster_snapshot::Folder;
use crate::cluster_support::TestProcess;

#[path = "../../examples/service/service.rs"]
mod example;

const NAMES: [&str; 5] = ["ada", "bea", "cyd", "dot", "eva"];
/// Whoever is cut off is given as much time to refute as Lifeguard gives: half a minute, of which a busy machine makes more.
const PATIENCE: Duration = Duration::from_secs(150);
/// Port of all members, each at an address of its own.
const PORT: u16 = 7946;
/// What a process is told: name, address, file to keep what it knows in, and a seed if it has one.
const ARGUMENTS: &str = "SWIMRING_TEST_SERVICE";

fn address(nth: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 11 + nth as u8)
}

/// Not a test of its own: one process of the service, until its standard input ends, and politely if that says so.
#[test]
#[ignore = "a part of the other one here, in a process of its own"]
fn process_of_the_service() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let [name, bind, snapshot, seeds @ ..] = &arguments.split(' ').collect::<Vec<_>>()[..] else { return };
    let cluster = Cluster::builder(*name)
        .cluster("service")
        .bind(*bind)
        .retry_join(seeds.iter().copied())
        .wire(WireOptions::Encrypted(EncryptionOptions::with_key([17; 32])))
        .snapshot(*snapshot)
        .start()
        .unwrap();
    let service = example::Service::start(cluster).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("commands at {}", listener.local_addr().unwrap());
    let answering = service.clone();
    std::thread::spawn(move || answering.serve(&listener));
    let mut said = String::new();
    let _ = std::io::stdin().read_to_string(&mut said);
    if said.contains("leave") {
        service.cluster().leave(Duration::from_secs(5)).wait().unwrap();
    }
}

/// A process of the service.
struct Process {
    process: TestProcess,
    commands: SocketAddr,
}

impl Process {
    fn start(nth: usize, folder: &Path, with_seed: bool) -> Process {
        let seed = address(if nth == 0 { 1 } else { 0 });
        let (name, snapshot) = (NAMES[nth], folder.join(NAMES[nth]));
        let mut arguments = format!("{name} {}:{PORT} {}", address(nth), snapshot.display());
        if with_seed {
            arguments += &format!(" {seed}:{PORT}");
        }
        let mut program = TestProcess::program();
        program.env(ARGUMENTS, arguments);
        let process = TestProcess::start(program, "service::process_of_the_service");
        let line = process.until("commands at ");
        let (_, commands) = line.split_once("commands at ").unwrap();
        Process { commands: commands.parse().unwrap(), process }
    }

    /// What it answers to `line`.
    fn say(&self, line: &str) -> String {
        let mut connection = TcpStream::connect(self.commands).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        writeln!(connection, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(connection).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Lets it say goodbye.
    fn leave(self) {
        assert!(self.process.finish("leave").success(), "it has left");
    }
}

/// Waits until all of `processes` answer `line` alike, and as `right` has it.
fn agree<'a>(
    what: &str,
    processes: impl IntoIterator<Item = &'a Process>,
    line: &str,
    right: impl Fn(&str) -> bool,
) {
    let processes: Vec<&Process> = processes.into_iter().collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answers: Vec<String> = processes.iter().map(|process| process.say(line)).collect();
        if answers.iter().all(|answer| *answer == answers[0]) && right(&answers[0]) {
            println!("{what}: {:.1} s", (PATIENCE - (deadline - Instant::now())).as_secs_f64());
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {answers:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn members_are(expected: &str) -> impl Fn(&str) -> bool {
    move |answer| answer == expected
}

/// What of the state is the cluster's.
fn configuration(state: &str) -> Vec<&str> {
    state.split(' ').filter(|entry| entry.starts_with('*')).collect()
}

/// The first key of which `owner` is responsible.
fn key_of(process: &Process, owner: &str) -> String {
    (0..).map(|nth| format!("user-{nth}")).find(|key| process.say(&format!("owner {key}")) == owner).unwrap()
}

#[test]
fn killed_cut_off_and_started_again_all_processes_say_the_same() {
    match NetworkNamespace::create() {
        Ok(network) => network.run(|| kill_cut_off_and_start_again(&network)).unwrap(),
        Err(error) => println!("skipped: {error}"),
    }
}

fn kill_cut_off_and_start_again(network: &NetworkNamespace) {
    let folder = Folder::new("service");
    let start = |nth, with_seed| Process::start(nth, &folder.0, with_seed);
    let mut processes: Vec<Process> = (0..NAMES.len()).map(|nth| start(nth, true)).collect();
    agree("all are there", &processes, "members", members_are("ada bea cyd dot eva"));

    // The configuration is everyone's, whoever changes it.
    processes[0].say("config greeting hello");
    processes[3].say("config limit 17");
    agree("all are configured", &processes, "config", |config| config == "greeting=hello limit=17");

    // An entry is its owner's, whoever is asked.
    let of_cyd = key_of(&processes[0], "cyd");
    assert_eq!(processes[4].say(&format!("put {of_cyd} blue")), "kept by cyd");
    agree("all find it", &processes, &format!("get {of_cyd}"), |value| value == "blue");

    // One is killed; what is decided meanwhile it knows when it is back, and its keys are another's until then.
    drop(processes.remove(2));
    agree("it is missed", &processes, "members", members_are("ada bea dot eva"));
    processes[1].say("config greeting goodbye");
    assert_ne!(processes[0].say(&format!("owner {of_cyd}")), "cyd");
    assert!(processes[0].say(&format!("put {of_cyd} red")).starts_with("kept by "));
    processes.insert(2, start(2, true));
    agree("it is back", &processes, "members", members_are("ada bea cyd dot eva"));
    agree("and is configured", &processes, "config", |config| config == "greeting=goodbye limit=17");

    // Two are cut off from three, and each part goes on by itself.
    let (two, three) = ([address(3), address(4)], [address(0), address(1), address(2)]);
    network.cut(&two, &three).unwrap();
    agree("three are left", &processes[..3], "members", members_are("ada bea cyd"));
    agree("two are left", &processes[3..], "members", members_are("dot eva"));
    processes[0].say("config limit 18");
    processes[4].say("config region north");
    agree("the three agree", &processes[..3], "config", |config| config == "greeting=goodbye limit=18");
    agree("the two agree", &processes[3..], "config", |config| {
        config == "greeting=goodbye limit=17 region=north"
    });
    network.cut(&[], &[]).unwrap();
    agree("they find each other", &processes, "members", members_are("ada bea cyd dot eva"));
    agree("nothing of either is lost", &processes, "config", |config| {
        config == "greeting=goodbye limit=18 region=north"
    });
    agree("all have the same state", &processes, "state", |state| state.contains("eva/entries="));

    // All are killed at once, and nobody tells them where the others are.
    std::thread::sleep(Duration::from_secs(2));
    let state = processes[0].say("state");
    processes.clear();
    // The kernel gives the ports of a killed process' rings back a moment later.
    std::thread::sleep(Duration::from_secs(1));
    processes.extend((0..NAMES.len()).map(|nth| start(nth, false)));
    agree("all are back", &processes, "members", members_are("ada bea cyd dot eva"));
    agree("with the configuration", &processes, "config", |config| {
        config == "greeting=goodbye limit=18 region=north"
    });
    // Entries were in memory alone, and are counted anew.
    agree("and the state", &processes, "state", |now| configuration(now) == configuration(&state));

    // Who leaves is gone at once, and not counted as failed.
    processes.pop().unwrap().leave();
    agree("it has left", &processes, "members", members_are("ada bea cyd dot"));
}
