//! Members with a snapshot: what they come back with, whom they come back to, and what the file is refused for.

#![allow(clippy::disallowed_methods, reason = "that nothing happens takes its time")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use swimring::snapshot::Contents;
use swimring::{Cluster, ClusterBuilder, ClusterError};

use crate::cluster_support::{eventually, member, start};

/// A folder that goes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("swimring-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("member.snapshot")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn kept(name: &str, file: &Path) -> ClusterBuilder {
    member(name).snapshot(file).snapshot_interval(Duration::from_millis(20))
}

#[test]
fn a_member_comes_back_without_seeds_and_with_what_it_had() {
    let folder = Folder::new("comes-back");
    let other = start("other");
    let first = kept("kept", &folder.file()).start().unwrap();
    first.join([other.address()]).wait().unwrap();
    let state = first.state();
    state.set("a", "1").unwrap();
    state.set("b", "2").unwrap();
    state.delete("a").unwrap();
    let version = state.set("c", "3").unwrap();
    let of_cluster = state.set_for_cluster("k", "v").unwrap();
    let incarnation = first.local().unwrap().incarnation;
    first.shutdown();

    let second = kept("kept", &folder.file()).start().unwrap();
    let state = second.state();
    let keys: Vec<_> = state.iter("").unwrap().map(|entry| (entry.key.to_string(), entry.value)).collect();
    let expected = [("k", "v"), ("b", "2"), ("c", "3")];
    assert_eq!(keys, expected.map(|(key, value)| (key.to_owned(), value.into())));
    assert!(second.local().unwrap().incarnation > incarnation);
    assert_eq!(state.get("kept", "c").unwrap().unwrap().version, version);
    assert_eq!(state.compare_and_set("c", Some(version), "4").unwrap(), version + 1);
    // The last 16 bits are those of the life that wrote it.
    assert_eq!(state.set_for_cluster("k", "w").unwrap() >> 16, (of_cluster >> 16) + 1);
    eventually("it is among others", || second.len().unwrap() == 2);
    let value = |key: &str| other.state().get("kept", key).unwrap().map(|entry| entry.value);
    eventually("the other has its keys", || value("c") == Some("4".into()));
    assert_eq!((value("a"), value("b")), (None, Some("2".into())));
}

#[test]
fn a_member_that_left_stays_away_until_it_is_asked() {
    let folder = Folder::new("left");
    let other = start("other");
    let first = kept("kept", &folder.file()).start().unwrap();
    first.join([other.address()]).wait().unwrap();
    first.leave(Duration::from_secs(10)).wait().unwrap();
    // As if it were killed now: what a shutdown would write is not there.
    std::fs::copy(folder.file(), folder.0.join("copy")).unwrap();
    first.shutdown();
    std::fs::rename(folder.0.join("copy"), folder.file()).unwrap();

    let second = kept("kept", &folder.file()).start().unwrap();
    // It would have joined by the first look at what may be joined, which the second one shows to be over.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(second.len().unwrap(), 1);
    second.shutdown();

    let third = kept("kept", &folder.file()).rejoin_after_leave(true).start().unwrap();
    eventually("it is back", || third.len().unwrap() == 2);
    third.flush_snapshot().unwrap();
    third.shutdown();

    let fourth = kept("kept", &folder.file()).start().unwrap();
    eventually("it did not leave again", || fourth.len().unwrap() == 2);
}

#[test]
fn a_member_that_left_and_joined_again_comes_back() {
    let folder = Folder::new("joined-again");
    let other = start("other");
    let first = kept("kept", &folder.file()).start().unwrap();
    first.join([other.address()]).wait().unwrap();
    first.leave(Duration::from_secs(10)).wait().unwrap();
    first.join([other.address()]).wait().unwrap();
    first.shutdown();
    let second = kept("kept", &folder.file()).start().unwrap();
    eventually("it is back", || second.len().unwrap() == 2);
}

/// More own keys are deleted between two batches than deletions are remembered, so that all is written anew.
#[test]
fn whoever_is_met_is_kept_where_more_has_changed_than_is_remembered() {
    const KEYS: usize = 1_200;
    let folder = Folder::new("all-anew");
    let other = start("other");
    // Nothing is written but what is flushed.
    let first = member("kept").snapshot(folder.file()).snapshot_interval(Duration::from_secs(3_600));
    let first = first.start().unwrap();
    let state = first.state();
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key-{number}")).collect();
    keys.iter().for_each(|key| assert!(state.set(key, "1").unwrap() > 0));
    first.flush_snapshot().unwrap();
    first.join([other.address()]).wait().unwrap();
    keys.iter().for_each(|key| assert!(state.delete(key).unwrap()));
    first.flush_snapshot().unwrap();
    let (contents, _) = Contents::read(&std::fs::read(folder.file()).unwrap()).unwrap();
    assert_eq!(contents.peers.keys().map(|name| &**name).collect::<Vec<_>>(), ["other"]);
    assert!(contents.own.values().all(|key| key.value.is_none()));
}

#[test]
fn a_snapshot_serves_one_member_at_a_time_and_no_other() {
    let folder = Folder::new("whose");
    let refused = |builder: ClusterBuilder| builder.start().unwrap_err().to_string();
    let at = |end: &str| format!("snapshot_path is {}, which {end}", folder.file().display());
    let first = kept("kept", &folder.file()).start().unwrap();
    let in_use = at("is in use by another member: give each a file of its own");
    assert_eq!(refused(kept("kept", &folder.file())), in_use);
    first.shutdown();
    let others = at(
        "is the snapshot of the member \"kept\" of the cluster \"default\": give each member a file of its own",
    );
    assert_eq!(refused(kept("other", &folder.file())), others);
    assert!(
        refused(kept("kept", &folder.file()).cluster("shop")).ends_with("give each member a file of its own")
    );
    std::fs::write(folder.file(), "name = \"kept\"").unwrap();
    let foreign = refused(kept("kept", &folder.file()));
    assert!(foreign.starts_with(&at("is no snapshot: it begins otherwise: check the path")), "{foreign}");
    let nowhere = refused(kept("kept", Path::new("/nonexistent/kept")));
    assert!(nowhere.contains("No such file or directory") && nowhere.contains("give a path"), "{nowhere}");
}

#[test]
fn a_snapshot_that_does_not_fit_the_settings_is_refused_and_stays() {
    let folder = Folder::new("fits");
    let first = kept("kept", &folder.file()).start().unwrap();
    first.state().set("a", vec![0; 4_000]).unwrap();
    first.shutdown();
    let small = |protocol: &mut swimring::Settings| protocol.state_member_bytes_max = 1_024;
    let refused = kept("kept", &folder.file()).tune(small).start().unwrap_err().to_string();
    assert!(refused.contains("raise state_member_bytes_max"), "{refused}");
    let second = kept("kept", &folder.file()).start().unwrap();
    assert!(second.state().get("kept", "a").unwrap().is_some());
}

#[test]
fn without_a_snapshot_there_is_nothing_to_be_flushed() {
    let cluster: Cluster = start("alone");
    let error = cluster.flush_snapshot().unwrap_err();
    assert!(matches!(error, ClusterError::Setting { .. }), "{error}");
}

#[test]
fn a_member_of_a_memberlist_pool_comes_back_too() {
    let folder = Folder::new("memberlist");
    let memberlist = || swimring::WireOptions::Memberlist(swimring::MemberlistOptions::default());
    let other = member("other").wire(memberlist()).start().unwrap();
    let first = kept("kept", &folder.file()).wire(memberlist()).start().unwrap();
    first.join([other.address()]).wait().unwrap();
    first.shutdown();
    let second = kept("kept", &folder.file()).wire(memberlist()).start().unwrap();
    eventually("it is back", || second.len().unwrap() == 2);
}
