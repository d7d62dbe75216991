//! Members with a snapshot in a process of their own, which is killed: at random moments, dozens of times, while it changes its
//! keys all the time; and one whose disk is full.
//!
//! The process writes down on its standard output what it does. From that follows what its next life has to have: each key as
//! it was when it was last known to be on the disk, or as it was changed after that.

#![allow(clippy::disallowed_methods, reason = "a process is waited for in real time")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use swimring::{Cluster, ClusterError};

use crate::cluster_snapshot::Folder;
use crate::cluster_support::{TestProcess, eventually, member, start};

const ELSEWHERE: &str = "elsewhere";
/// Where the member of the other process has its snapshot, and where it joins if it is to.
const SNAPSHOT: &str = "SWIMRING_TEST_SNAPSHOT";
const SEED: &str = "SWIMRING_TEST_SNAPSHOT_SEED";
/// How often it is killed, and the seed for the moments, where they are to be others than usual.
const KILLS: &str = "SWIMRING_SNAPSHOT_KILLS";
const KILLS_SEED: &str = "SWIMRING_SNAPSHOT_KILLS_SEED";
const KILLS_USUAL: usize = 60;

/// Keys that the member changes.
const KEYS: u64 = 40;

/// The member of the other process, its settings from the environment; nothing where there are none.
fn elsewhere() -> Option<Cluster> {
    let file = std::env::var_os(SNAPSHOT)?;
    let interval = Duration::from_millis(20);
    Some(member(ELSEWHERE).snapshot(file).snapshot_interval(interval).start().unwrap())
}

/// Writes a line at once: what has been written is there whatever happens to the process.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Not a test of its own: the member that changes its keys until it is killed.
#[test]
#[ignore = "a part of the others here, in a process of its own"]
fn member_that_changes_its_keys() {
    let Some(member) = elsewhere() else { return };
    let state = member.state();
    say(&format!("incarnation {}", member.local().unwrap().incarnation.get()));
    for entry in state.iter("").unwrap().filter(|entry| entry.member.is_some()) {
        say(&format!("has {} {} {}", entry.key, entry.version, String::from_utf8_lossy(&entry.value)));
    }
    say("began");
    if let Ok(seed) = std::env::var(SEED) {
        member.join([&*seed]).wait().unwrap();
        // Whom it has met is lost with a kill before that, and the next life has no seed.
        member.flush_snapshot().unwrap();
    }
    let mut rng = fastrand::Rng::with_seed(u64::from(std::process::id()));
    let mut joined = false;
    for number in 0_u64.. {
        let key = format!("key-{}", rng.u64(..KEYS));
        if rng.u8(..8) == 0 {
            if state.delete(&key).unwrap() {
                say(&format!("deleted {key}"));
            }
        } else {
            let value = format!("{number}-{}", "x".repeat(rng.usize(..2_000)));
            let version = state.set(&key, value.clone()).unwrap();
            say(&format!("set {key} {version} {value}"));
        }
        match rng.u8(..32) {
            0 => {
                member.flush_snapshot().unwrap();
                say("flushed");
            }
            1 => {
                member.update_metadata(number.to_string()).unwrap();
                say(&format!("incarnation {}", member.local().unwrap().incarnation.get()));
            }
            _ => {}
        }
        if !joined && member.len().unwrap() > 1 {
            joined = true;
            say("joined");
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..2_000)));
    }
}

/// Runs `test`, whose member has its snapshot in `file` and joins through `seed`.
fn run(mut program: Command, test: &str, file: &Path, seed: Option<&Cluster>) -> TestProcess {
    program.env(SNAPSHOT, file);
    if let Some(seed) = seed {
        program.env(SEED, seed.address().to_string());
    }
    TestProcess::start(program, &format!("snapshot_kills::{test}"))
}

/// A key at one time: its version and value; nothing while it is deleted.
type Valued = Option<(u64, String)>;

/// What is known of the lives so far, from what they have said.
#[derive(Default)]
struct Lives {
    /// Each key as it was when that was last known to be on the disk, and as it was changed since.
    keys: HashMap<String, Vec<Valued>>,
    /// The highest version and incarnation that were said.
    version: u64,
    incarnation: u64,
    lives: usize,
    flushes: usize,
    changes: usize,
}

impl Lives {
    /// What a life says at its beginning: which keys it has.
    fn begin(&mut self, elsewhere: &TestProcess) {
        let mut has = HashMap::new();
        loop {
            let line = elsewhere.next();
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["began"] => break,
                ["has", key, version, value] => {
                    has.insert(key.to_owned(), (version.parse().unwrap(), value.to_owned()));
                }
                ["incarnation", incarnation] => {
                    let incarnation = incarnation.parse().unwrap();
                    assert!(incarnation > self.incarnation, "{incarnation} after {}", self.incarnation);
                    self.incarnation = incarnation;
                }
                // What the test program says itself.
                _ => {}
            }
        }
        self.lives += 1;
        for number in 0..KEYS {
            let key = format!("key-{number}");
            let (found, may_be) =
                (has.remove(&key), self.keys.entry(key.clone()).or_insert_with(|| vec![None]));
            // The last change may have been written before it was said.
            let unsaid = found.as_ref().is_none_or(|(version, _)| *version > self.version);
            let last = self.changes > 0 && unsaid;
            assert!(
                may_be.contains(&found) || last,
                "{key} in life {}: {found:?} is none of {may_be:?}",
                self.lives
            );
            *may_be = vec![found];
        }
        assert!(has.is_empty(), "{has:?}");
    }

    /// Something that a life says.
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["set", key, version, value] => {
                let version = version.parse().unwrap();
                assert!(version > self.version, "{version} after {}", self.version);
                self.version = version;
                self.change(key, Some((version, value.to_owned())));
            }
            ["deleted", key] => self.change(key, None),
            ["flushed"] => {
                self.flushes += 1;
                self.keys.values_mut().for_each(|values| drop(values.drain(..values.len() - 1)));
            }
            ["incarnation", incarnation] => self.incarnation = incarnation.parse().unwrap(),
            _ => {}
        }
    }

    fn change(&mut self, key: &str, value: Valued) {
        self.changes += 1;
        self.keys.get_mut(key).unwrap().push(value);
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_member_that_is_killed_at_any_moment_comes_back_with_what_it_had() {
    let folder = Folder::new("kills");
    let seed = from_environment(KILLS_SEED).unwrap_or_else(|| u64::from(std::process::id()));
    let kills = from_environment(KILLS).unwrap_or(KILLS_USUAL);
    println!("{KILLS_SEED}={seed} {KILLS}={kills}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let here = [start("here-0"), start("here-1")];
    here[1].join([here[0].address()]).wait().unwrap();
    let mut lives = Lives::default();
    let (mut torn, mut early) = (0, 0);
    for life in 0..=kills {
        let first = (life == 0).then_some(&here[0]);
        let elsewhere = run(TestProcess::program(), "member_that_changes_its_keys", &folder.file(), first);
        lives.begin(&elsewhere);
        if life > 0 && rng.u8(..4) == 0 {
            // Whether it is among others yet or not.
            early += 1;
        } else {
            while let line = elsewhere.next()
                && line != "joined"
            {
                lives.hear(&line);
            }
            let own = lives.incarnation;
            eventually("the others know its life", || {
                let seen = here[0].member(ELSEWHERE).unwrap();
                seen.is_some_and(|seen| seen.state.is_live() && seen.incarnation.get() >= own)
            });
        }
        std::thread::sleep(Duration::from_micros(rng.u64(..300_000)));
        elsewhere.kill().iter().for_each(|line| lives.hear(line));
        if rng.u8(..4) == 0 {
            // As a write would leave it that was under way.
            torn += 1;
            let mut file = std::fs::OpenOptions::new().append(true).open(folder.file()).unwrap();
            let mut rest = vec![0; rng.usize(1..200)];
            rng.fill(&mut rest);
            file.write_all(&rest).unwrap();
        }
    }
    let Lives { changes, flushes, .. } = lives;
    println!("{kills} kills, {early} of them early, {torn} torn; {changes} changes, {flushes} flushes");
    assert!(changes > kills && flushes > 0);
}

/// Not a test of its own: the member that fills its disk, and goes on.
#[test]
#[ignore = "a part of the others here, in a process of its own"]
fn member_that_fills_its_disk() {
    let Some(member) = elsewhere() else { return };
    let state = member.state();
    let mut number = 0;
    let error = loop {
        state.set(&format!("key-{number}"), vec![b'x'; 10_000]).unwrap();
        number += 1;
        if let Err(error) = member.flush_snapshot() {
            break error;
        }
        assert!(number < 1_000, "the disk is not full");
    };
    assert!(matches!(error, ClusterError::NotWritten(_)), "{error}");
    say(&format!("full {error}"));
    // It goes on, and hears of the end of it.
    state.set("late", "1").unwrap();
    while member.flush_snapshot().is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    say(&format!("written {number}"));
    let _ = std::io::stdin().read(&mut [0]);
}

/// Files of the process may not be longer than a limit, which is the same to it as a disk that is full; then the limit is
/// lifted.
#[test]
fn a_full_disk_is_survived_and_caught_up_with() {
    let folder = Folder::new("full");
    let mut limited = Command::new("sh");
    // Blocks of 512 bytes. Past the limit the kernel sends a signal, which is to be ignored for an error to be seen.
    limited
        .args(["-c", "trap '' XFSZ; ulimit -S -f 600; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    let elsewhere = run(limited, "member_that_fills_its_disk", &folder.file(), None);
    let full = elsewhere.until("full ");
    assert!(full.contains("make room or mend the disk"), "{full}");
    let pid = elsewhere.id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status().unwrap();
    assert!(lifted.success());
    let written = elsewhere.until("written ");
    elsewhere.kill();
    let keys: usize = written.split(' ').next_back().unwrap().parse().unwrap();
    let next = member(ELSEWHERE).snapshot(folder.file()).start().unwrap();
    assert_eq!(next.state().iter("key-").unwrap().count(), keys);
    assert!(next.state().get(ELSEWHERE, "late").unwrap().is_some());
}
