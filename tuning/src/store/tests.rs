//! A store against a plain map, cut off at every byte, and files that are no stores.

use serde_json::json;

use super::*;

fn digest(seed: u64) -> Digest {
    Digest {
        measured_s: 60.0,
        simulated_s: 75.5,
        suspected_s: vec![Some(1.25), None],
        first_s: vec![Some(9.5), None],
        all_s: vec![Some(10.125), None],
        delivered: (99, 100),
        spread_ms: vec![1.0; 26],
        probe_rtt_p50_us: None,
        false_suspicions: seed,
        false_deaths: 0,
        false_death_subjects: 0,
        false_death_subjects_healthy: 0,
        bytes_per_member_second: 0.1 + seed as f64,
        stream_bytes_per_member_second: 0.0,
        padded_bytes_per_member_second: 0.0,
        datagrams_per_member_second: 3.0,
        delegated_copies_per_member_second: 0.0,
        delegation_acks_per_member_second: 0.0,
        delegations_retried_per_member_second: 0.0,
        delegations_given_up_per_member_second: 0.0,
        delegations_crossed_per_member_second: 0.0,
        fingerprint: u64::MAX - seed,
        wall_s: 0.5,
    }
}

fn point(value: u64) -> Point {
    Point(vec![("gossip_fanout".to_owned(), value.to_string())])
}

#[test]
fn what_was_put_is_found_again_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs");
    let scenario = json!({ "members": 100 });
    let mut store = Store::open(&path, &scenario).unwrap();
    assert!(store.is_empty());
    for seed in 0..5 {
        store.put(&point(seed % 2), seed, &digest(seed)).unwrap();
    }
    drop(store);
    let store = Store::open(&path, &scenario).unwrap();
    assert_eq!(store.len(), 5);
    for seed in 0..5 {
        assert_eq!(store.get(&point(seed % 2), seed), Some(&digest(seed)));
    }
    assert_eq!(store.get(&point(0), 1), None);
}

#[test]
fn a_file_cut_off_anywhere_keeps_its_whole_lines_and_can_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, cut) = (folder.path().join("runs"), folder.path().join("cut"));
    let scenario = json!({ "members": 100 });
    let mut store = Store::open(&path, &scenario).unwrap();
    for seed in 0..3 {
        store.put(&point(1), seed, &digest(seed)).unwrap();
    }
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in (header..whole.len()).step_by(7) {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        let mut store = Store::open(&cut, &scenario).unwrap();
        assert_eq!(store.len(), lines - 1, "cut at {length}");
        for seed in 0..3 {
            if store.get(&point(1), seed).is_none() {
                store.put(&point(1), seed, &digest(seed)).unwrap();
            }
        }
        drop(store);
        assert_eq!(std::fs::read(&cut).unwrap(), whole, "cut at {length}");
    }
}

#[test]
fn another_scenario_is_refused_in_one_line_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs");
    let scenario = json!({ "base": { "members": 100, "settings": { "gossip_fanout": 3 } } });
    Store::open(&path, &scenario).unwrap().put(&point(1), 1, &digest(1)).unwrap();
    let before = std::fs::read(&path).unwrap();
    let other = json!({ "base": { "members": 100, "settings": { "gossip_fanout": 4 } } });
    let fault = Store::open(&path, &other).unwrap_err();
    assert!(
        fault.ends_with("holds runs of another scenario (gossip_fanout: 3 there, 4 here): give another file"),
        "{fault}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for text in ["shopping list", "shopping list\n", "{}\n", "[1]\n{}\n"] {
        std::fs::write(&path, text).unwrap();
        let fault = Store::open(&path, &json!({})).unwrap_err();
        assert!(fault.ends_with("is not a store of runs"), "{fault}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
