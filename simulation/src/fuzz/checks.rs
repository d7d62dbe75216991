//! What holds whatever is forged, where members have identities.

use std::collections::HashSet;
use std::net::SocketAddr;

use swimring::protocol::Member;
use swimring_codec::{MemberId, State};

use super::MEMBERS;
use crate::simulation::Simulation;

/// Everybody is where it has said, with what it has said and at no incarnation that it never had. `said` is what that was.
pub(super) fn check_beliefs(simulation: &Simulation, said: &mut [HashSet<(SocketAddr, Vec<u8>)>]) {
    let number_of = |name: &str| (0..MEMBERS).find(|node| name == format!("member-{node:04}"));
    for (node, said) in said.iter_mut().enumerate() {
        let own = simulation.member(node).map(Member::index);
        let own = own.and_then(|own| simulation.view(node).find(|known| known.index == own));
        said.extend(own.map(|own| (own.address, own.metadata.to_vec())));
    }
    for observer in 0..MEMBERS {
        for known in simulation.view(observer) {
            let node = number_of(known.name).expect("a stranger is in a view");
            let key = simulation.identity_key(node).public();
            assert_eq!(known.public_key, Some(key), "somebody else's key is believed");
            let highest = simulation.highest_incarnation(node);
            assert!(known.incarnation <= highest, "{known:?}, and the highest was {highest:?}");
            let place = (known.address, known.metadata.to_vec());
            assert!(said[node].contains(&place), "{known:?} has never been said");
            let left = simulation.coverage().leaves > 0;
            assert!(known.state != State::Left || left, "{known:?}, and nobody has left");
        }
    }
}

/// What a member's map has, and which version of it each key.
pub(super) type Listing = Vec<(String, Vec<u8>, u64)>;

/// A key of the cluster with its value, version and writer.
pub(super) type WrittenKey = (String, Vec<u8>, u64, MemberId);

/// Of each map everybody has what it has been. `said` is what that was.
pub(super) fn check_maps(simulation: &Simulation, said: &mut [HashSet<Listing>]) {
    let listing = |observer: usize, owner: usize| -> Listing {
        let entries =
            simulation.member(observer).map(|member| member.state_entries(simulation.id(owner), ""));
        let entries = entries.into_iter().flatten();
        entries.map(|(key, value)| (key.to_string(), value.value.to_vec(), value.version)).collect()
    };
    said.iter_mut().enumerate().for_each(|(node, said)| _ = said.insert(listing(node, node)));
    for observer in 0..MEMBERS {
        for (owner, said) in said.iter().enumerate() {
            let copy = listing(observer, owner);
            assert!(copy.is_empty() || said.contains(&copy), "{observer} has of {owner} {copy:?}");
        }
    }
}

/// Of the keys of the cluster everybody has what the member that is said to have written it has. `said` is what that was: key, value, version and
/// writer.
pub(super) fn check_keys(simulation: &Simulation, said: &mut HashSet<WrittenKey>) {
    let listing = |observer: usize| -> Vec<WrittenKey> {
        let entries = simulation.member(observer).map(|member| member.state_entries(MemberId::NONE, ""));
        let entries = entries.into_iter().flatten();
        let owned =
            entries.map(|(key, value)| (key.to_string(), value.value.to_vec(), value.version, value.writer));
        owned.collect()
    };
    for node in 0..MEMBERS {
        let id = simulation.id(node);
        said.extend(listing(node).into_iter().filter(|(.., writer)| *writer == id));
    }
    for observer in 0..MEMBERS {
        for key in listing(observer) {
            assert!(said.contains(&key), "{observer} has what nobody wrote: {key:?}");
        }
    }
}
