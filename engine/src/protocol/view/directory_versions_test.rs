//! Tests of versions and zones in the directory: how long they live, and their bounds.

use swimring_codec::{Incarnation, State};

use super::*;

fn introduction<'a>(name: &'a str, metadata: &'a [u8]) -> Introduction<'a> {
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: Incarnation::new(1),
        state: State::Alive,
        address: "127.0.0.1:1".parse().unwrap(),
        name,
        metadata,
        zone: "",
    }
}

/// Who is in the zone called `name`.
fn members_of(directory: &mut Directory, name: &str) -> Vec<MemberIndex> {
    let zone = directory.zones.intern(name).unwrap();
    directory.zones.order(zone).range(0..=u64::MAX).map(|(_, index)| index).collect()
}

#[test]
fn a_member_is_in_each_zone_that_somebody_has_it_in() {
    let mut directory = Directory::new(7);
    let enter = |directory: &mut Directory, zone, metadata| {
        let claim = Introduction { zone, ..introduction("a", metadata) };
        let (index, version) = directory.intern(&claim, UNVERSIONED, 10).unwrap();
        directory.retain(index, version);
        assert_eq!(directory.zone_name(directory.identity(index, version)), zone);
        version
    };
    let east = enter(&mut directory, "east", b"");
    assert_eq!(members_of(&mut directory, "east"), [0]);
    assert!(members_of(&mut directory, "").is_empty() && !directory.zones.disagree());
    let same = enter(&mut directory, "east", b"1");
    assert!(!directory.zones.disagree());
    let west = enter(&mut directory, "west", b"1");
    assert!(directory.zones.disagree());
    assert_eq!([members_of(&mut directory, "east"), members_of(&mut directory, "west")], [[0], [0]]);
    directory.release(0, east);
    assert_eq!(members_of(&mut directory, "east"), [0], "by the other identity");
    assert!(directory.zones.disagree());
    directory.release(0, same);
    assert!(members_of(&mut directory, "east").is_empty() && !directory.zones.disagree());
    directory.release(0, west);
    assert!(members_of(&mut directory, "west").is_empty() && !directory.zones.disagree());
    assert_eq!(directory.find(MemberId::of_name("a")), None);
}

#[test]
fn versions_live_as_long_as_someone_means_them() {
    let mut directory = Directory::new(7);
    let (index, old) = directory.intern(&introduction("a", b"1"), UNVERSIONED, 10).unwrap();
    directory.retain(index, old);
    directory.retain(index, old);
    let (same, new) = directory.intern(&introduction("a", b"2"), UNVERSIONED, 10).unwrap();
    assert_eq!((same, old, new), (index, 0, 1));
    directory.retain(index, new);
    directory.release(index, old);
    assert_eq!(directory.identity(index, old).metadata(), b"1");
    assert_eq!(directory.identity(index, new).metadata(), b"2");
    directory.release(index, old);
    // Version 0 is vacant and the next identity takes it.
    assert_eq!(directory.intern(&introduction("a", b"3"), UNVERSIONED, 10).unwrap(), (index, 0));
    directory.retain(index, 0);
    directory.release(index, new);
    directory.release(index, 0);
    assert_eq!(directory.find(MemberId::of_name("a")), None);
    let (reused, _) = directory.intern(&introduction("b", b""), UNVERSIONED, 10).unwrap();
    assert_eq!(reused, index);
}

/// What is kept of a view may stand for one.
#[test]
fn a_version_that_has_gone_is_meant_by_nobody() {
    let mut directory = Directory::new(7);
    for metadata in [b"1", b"2"] {
        let (index, version) = directory.intern(&introduction("a", metadata), UNVERSIONED, 10).unwrap();
        directory.retain(index, version);
    }
    assert!(directory.is_meant(0, 0) && directory.is_meant(0, 1));
    directory.release(0, 1);
    assert!(directory.is_meant(0, 0) && !directory.is_meant(0, 1));
}

#[test]
fn bounds_are_refused() {
    let mut directory = Directory::new(7);
    let (index, _) = directory.intern(&introduction("a", b""), UNVERSIONED, 1).unwrap();
    directory.retain(index, 0);
    assert_eq!(directory.intern(&introduction("b", b""), UNVERSIONED, 1), Err(Full::Members));
    for metadata in 1..VERSIONS_MAX as u8 {
        let (_, version) = directory.intern(&introduction("a", &[metadata]), UNVERSIONED, 1).unwrap();
        directory.retain(index, version);
    }
    assert_eq!(directory.intern(&introduction("a", &[99]), UNVERSIONED, 1), Err(Full::Versions));
}
