//! The directory against what was said: whatever is meant by somebody reads as it was introduced, and nothing else is
//! found.

use std::net::SocketAddr;

use proptest::prelude::*;
use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State, identity_hash};

use crate::protocol::view::directory::{Directory, MemberIndex, UNVERSIONED, Version, identity_of};
use crate::protocol::view::recent_hashes::RECENT_MOST;

/// Few enough places that they are given out again.
const MEMBERS_MAX: u32 = 70;
const ADDRESSES: [&str; 5] =
    ["10.0.0.1:7946", "10.0.0.2:7946", "[fd00::1]:7946", "[::ffff:10.0.0.1]:7946", "[fe80::1%3]:1"];

/// What is said of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Said {
    name: String,
    address: SocketAddr,
    metadata: Vec<u8>,
    versions: Versions,
    zone: &'static str,
}

impl Said {
    fn introduction(&self) -> Introduction<'_> {
        Introduction {
            subject: MemberId::of_name(&self.name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address: self.address,
            name: &self.name,
            metadata: &self.metadata,
            zone: self.zone,
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let name = (0..90_u32, prop::sample::select(vec![0, 0, 0, 110])).prop_map(|(number, longer)| {
        let longer = "x".repeat(longer);
        format!("node-{number}{longer}")
    });
    let address = prop::sample::select(ADDRESSES.to_vec()).prop_map(|text| text.parse().expect("an address"));
    let metadata = prop_oneof![
        4 => Just(Vec::new()),
        4 => prop::collection::vec(any::<u8>(), 1..4),
        1 => prop::collection::vec(any::<u8>(), 200..512),
    ];
    let versions = prop::sample::select(vec![UNVERSIONED, UNVERSIONED, Versions([1, 5, 2, 0, 0, 0])]);
    let zone = prop::sample::select(vec!["", "", "east", "west"]);
    (name, address, metadata, versions, zone).prop_map(|(name, address, metadata, versions, zone)| Said {
        name,
        address,
        metadata,
        versions,
        zone,
    })
}

#[derive(Clone, Debug)]
enum Operation {
    /// So many table entries mean this from now on.
    Retain(Said, u32),
    /// One of those that mean something no longer does.
    Release(usize),
    /// One is told that others may have gone.
    Settle(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (said(), prop::sample::select(vec![1, 1, 1, 2, 300]))
            .prop_map(|(said, count)| Operation::Retain(said, count)),
        any::<usize>().prop_map(Operation::Release),
        any::<usize>().prop_map(Operation::Settle),
    ]
}

/// What somebody means, and how many do.
type Meant = (MemberIndex, Version, Said, u32);

fn check(directory: &Directory, meant: &[Meant]) {
    for (index, version, said, _) in meant {
        let identity = directory.identity(*index, *version);
        let read = Said {
            name: directory.name(*index).to_owned(),
            address: identity.address(),
            metadata: identity.metadata().to_vec(),
            versions: identity.versions(),
            zone: said.zone,
        };
        assert_eq!((&read, directory.zone_name(identity)), (said, said.zone));
        let hash = identity_of(&said.introduction(), said.versions);
        assert_eq!((identity.hash(), identity.tag()), (hash, hash as u8));
        assert_eq!(directory.hash_of(*index, *version), hash);
        let id = MemberId::of_name(&said.name);
        assert_eq!((directory.find(id), directory.id(*index)), (Some(*index), id));
    }
    for number in 0..90 {
        let id = MemberId::of_name(&format!("node-{number}"));
        let known = meant.iter().find(|(_, _, said, _)| MemberId::of_name(&said.name) == id);
        assert_eq!(directory.find(id), known.map(|(index, ..)| *index));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_as_it_was_said(operations in prop::collection::vec(operation(), 1..400)) {
        let mut directory = Directory::new(7);
        let mut meant: Vec<Meant> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Retain(said, count) => {
                    let interned = directory.intern(&said.introduction(), said.versions, MEMBERS_MAX);
                    let Ok((index, version)) = interned else { continue };
                    directory.retain_many(index, version, count);
                    match meant.iter_mut().find(|meant| (meant.0, meant.1) == (index, version)) {
                        // Natively an IPv4 address and its mapped form are the same, and stay as they were.
                        Some(meant) => meant.3 += count,
                        None => meant.push((index, version, said, count)),
                    }
                }
                Operation::Release(nth) if !meant.is_empty() => {
                    let nth = nth % meant.len();
                    directory.release(meant[nth].0, meant[nth].1);
                    meant[nth].3 -= 1;
                    if meant[nth].3 == 0 {
                        meant.swap_remove(nth);
                    }
                }
                Operation::Settle(nth) if !meant.is_empty() => {
                    let nth = nth % meant.len();
                    let (index, version, count) = (meant[nth].0, meant[nth].1, meant[nth].3);
                    let alone = count == 1 && !meant.iter().any(|other| other.0 == index && other.1 != version);
                    let settled = directory.settle(index, version);
                    prop_assert_eq!(settled, if alone { 0 } else { version });
                    meant[nth].1 = settled;
                }
                Operation::Release(_) | Operation::Settle(_) => {}
            }
            check(&directory, &meant);
        }
        for (index, version, _, count) in meant.drain(..) {
            (0..count).for_each(|_| directory.release(index, version));
        }
        let (members, identities) = directory.references();
        prop_assert!(members.iter().chain(&identities).all(|count| *count == 0));
        check(&directory, &[]);
    }
}

/// Of more members than hashes are kept of, those that share a place are never mixed up.
#[test]
fn hashes_in_one_place_are_told_apart() {
    let mut directory = Directory::new(7);
    let members = RECENT_MOST as u32 + 100;
    let metadata = |number: u32| number.to_le_bytes();
    for number in 0..members {
        let (name, metadata) = (format!("node-{number}"), metadata(number));
        let introduction = Introduction {
            subject: MemberId::of_name(&name),
            incarnation: Incarnation::new(1),
            state: State::Alive,
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            name: &name,
            metadata: &metadata,
            zone: "",
        };
        let (index, version) = directory.intern(&introduction, UNVERSIONED, members).expect("room");
        directory.retain(index, version);
        assert_eq!((index, version), (number, 0));
    }
    let hash = |number: u32| identity_hash(SocketAddr::from(([127, 0, 0, 1], 1)), &metadata(number), "");
    for index in 0..members {
        assert_eq!(directory.hash_of(index, 0), hash(index));
        assert_eq!(directory.identity_hash(index, 0), hash(index));
    }
}
