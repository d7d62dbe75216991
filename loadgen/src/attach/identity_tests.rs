//! Names, tags and ids of virtual members.

use std::collections::HashSet;

use super::*;
use crate::attach::tests::{check, options};

fn tags(flags: &[&str], number: MemberNumber) -> Vec<(String, String)> {
    let metadata = Identities::new(&options(flags)).unwrap().metadata(number);
    let tags = Tags::decode(&metadata).unwrap();
    let mut tags: Vec<_> = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    tags.sort();
    tags
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn names_and_numbers_correspond() {
    let names = Names::new("swimring", 200_000);
    for number in [0, 7, 12_345, 123_456] {
        assert_eq!(names.number_of(&names.of(number)), Some(number));
    }
    for other in
        ["swimring-7", "swimring-+0007", "swimring-200000", "swimring", "other-00007", "swimring-0000x"]
    {
        assert_eq!(names.number_of(other), None, "{other}");
    }
}

#[test]
fn members_of_a_serf_pool_have_a_role_and_the_tags_given() {
    assert_eq!(tags(&[], 0), pairs(&[("role", "swimring")]));
    let given = ["--tag", "role=web", "--tag", "zone=b", "--datacenter", "x"];
    assert_eq!(tags(&given, 3), pairs(&[("dc", "x"), ("role", "web"), ("zone", "b")]));
    let plain = Identities::new(&options(&["--pool", "memberlist"])).unwrap();
    assert_eq!(plain.metadata(0), Vec::<u8>::new());
}

#[test]
fn an_observer_of_consul_has_no_id() {
    assert_eq!(tags(&["--pool", "consul"], 0), pairs(&[("dc", "dc1"), ("role", "swimring")]));
}

#[test]
fn catalogue_nodes_look_like_client_agents_and_have_an_id_each() {
    let flags = ["--pool", "consul", "--catalog", "--datacenter", "paris", "--members", "500"];
    let mut found = tags(&flags, 0);
    let id = found.remove(found.iter().position(|(name, _)| name == "id").unwrap()).1;
    let expected = [
        ("build", BUILD),
        ("dc", "paris"),
        ("role", "node"),
        ("segment", ""),
        ("vsn", "2"),
        ("vsn_max", "3"),
        ("vsn_min", "2"),
    ];
    assert_eq!(found, pairs(&expected));
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!((groups, &id[14..15]), (vec![8, 4, 4, 4, 12], "4"));
    assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
    let id_of = |flags: &[&str], number| {
        tags(flags, number).into_iter().find(|(name, _)| name == "id").map(|(_, value)| value).unwrap()
    };
    let ids: HashSet<_> = (0..500).map(|number| id_of(&flags, number)).collect();
    assert_eq!(ids.len(), 500);
    assert_eq!(id_of(&flags, 0), id, "the same run again is the same node again");
    let others = [&flags[..], &["--name-prefix", "other"]].concat();
    assert!(!ids.contains(&id_of(&others, 0)), "another name is another node");
}

#[test]
fn tags_that_would_hurt_a_pool_are_refused() {
    for (flags, told) in [
        (&["--tag", "a=1", "--tag", "a=2"][..], "--tag a=2: given twice"),
        (&["--tag", "dc=dc2"], "--tag dc=dc2: give --datacenter"),
        (&["--pool", "consul", "--tag", "role=consul"], "--tag role=consul: the pool's leader"),
        (&["--pool", "consul", "--tag", "role=node"], "--tag role=node: client agents"),
        (&["--pool", "consul", "--tag", "id=1"], "--tag id=1: members with one id"),
        (&["--pool", "consul", "--tag", "segment=a"], "--tag segment=a: Consul refuses"),
    ] {
        let faults = check(flags).unwrap_err();
        assert!(faults[0].starts_with(told), "{faults:?}");
    }
    let long = format!("note={}", "x".repeat(600));
    let faults = check(&["--tag", &long]).unwrap_err();
    assert!(faults[0].starts_with("--tag: ") && faults[0].contains("512"), "{faults:?}");
}

#[test]
fn each_pool_is_spoken_to_in_its_versions() {
    let versions = |pool| wire(&options(&["--pool", pool])).versions;
    assert_eq!(versions("memberlist"), Versions::PLAIN);
    assert_eq!((versions("serf"), versions("consul")), (Versions::SERF_AGENT, Versions::SERF));
}
