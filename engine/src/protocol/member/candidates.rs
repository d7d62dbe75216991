//! What is remembered of members that are not in the view, for a while each and within a bound: who waits for the
//! application's word, and what it has said.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::{Introduction, PublicKey, Signature};
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::member::merge::TellOn;
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::time::Time;
use crate::protocol::view::directory::Directory;

/// A member that is not in the view, and may come into it. What [`Member::candidate`](super::Member::candidate) gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CandidateRef<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it says that it is.
    pub address: SocketAddr,
    /// Its metadata.
    pub metadata: &'a [u8],
    /// The key that it signs with, which it has been checked to have, where members have identities.
    pub public_key: Option<PublicKey>,
    /// The zone that it is in, empty for none.
    pub zone: &'a str,
    /// Hash of its address, metadata and zone: what is said of one identity does not count for another.
    pub identity: u64,
}

/// What is known of a candidate, owned.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    name: Box<str>,
    address: SocketAddr,
    /// As on the wire: with the public key before it, if it has one.
    metadata: Box<[u8]>,
    public_key: Option<PublicKey>,
    zone: Box<str>,
    pub(super) identity: u64,
}

impl Candidate {
    pub(super) fn new(directory: &Directory, introduction: &Introduction<'_>, identity: u64) -> Candidate {
        Candidate {
            name: introduction.name.into(),
            address: introduction.address,
            metadata: introduction.metadata.into(),
            public_key: directory.split(introduction.metadata).0,
            zone: introduction.zone.into(),
            identity,
        }
    }

    pub(super) fn as_ref(&self) -> CandidateRef<'_> {
        CandidateRef {
            name: &self.name,
            address: self.address,
            metadata: &self.metadata[self.public_key.map_or(0, |key| key.0.len())..],
            public_key: self.public_key,
            zone: &self.zone,
            identity: self.identity,
        }
    }
}

/// A candidate about whom the application is being asked, and what to do with its introduction once it is admitted.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) candidate: Candidate,
    pub(super) incarnation: Incarnation,
    /// What vouches for the introduction, where members have identities.
    pub(super) signature: Option<Signature>,
    pub(super) versions: Versions,
    pub(super) tell_on: TellOn,
    /// Whom we were asked to tell, where that was delegated to us.
    pub(super) asked: Option<Range>,
}

impl Waiting {
    /// The introduction that waits.
    pub(super) fn introduction(&self, subject: MemberId) -> Introduction<'_> {
        let Candidate { name, address, metadata, zone, .. } = &self.candidate;
        Introduction {
            subject,
            incarnation: self.incarnation,
            state: State::Alive,
            address: *address,
            name,
            metadata,
            zone,
        }
    }
}

/// Entries by member, each until a moment of its own.
#[derive(Debug)]
pub(super) struct Expiring<T> {
    entries: BTreeMap<MemberId, (Time, T)>,
    ends: BTreeSet<(Time, MemberId)>,
}

impl<T> Expiring<T> {
    pub(super) const fn new() -> Expiring<T> {
        Expiring { entries: BTreeMap::new(), ends: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: MemberId) -> Option<&T> {
        self.entries.get(&id).map(|(_, entry)| entry)
    }

    pub(super) fn get_mut(&mut self, id: MemberId) -> Option<&mut T> {
        self.entries.get_mut(&id).map(|(_, entry)| entry)
    }

    /// Keeps `entry` until `end`, in place of one that is there. Of more than `most` the one that ends first goes.
    pub(super) fn insert(&mut self, id: MemberId, end: Time, entry: T, most: usize) {
        self.remove(id);
        self.entries.insert(id, (end, entry));
        self.ends.insert((end, id));
        if self.entries.len() > most {
            self.pop();
        }
    }

    pub(super) fn remove(&mut self, id: MemberId) -> Option<T> {
        let (end, entry) = self.entries.remove(&id)?;
        self.ends.remove(&(end, id));
        Some(entry)
    }

    /// When the first ends; [`Time::NEVER`] if there is none.
    pub(super) fn due(&self) -> Time {
        self.ends.first().map_or(Time::NEVER, |(end, _)| *end)
    }

    /// Takes the next that has ended by `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(MemberId, T)> {
        if self.due() <= now { self.pop() } else { None }
    }

    fn pop(&mut self) -> Option<(MemberId, T)> {
        let (_, id) = self.ends.pop_first()?;
        let (_, entry) = self.entries.remove(&id)?;
        Some((id, entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Like a plain list that is sorted and cut.
    fn check(steps: Vec<(u64, u64, u8)>) {
        const MOST: usize = 5;
        let mut expiring = Expiring::new();
        let mut plain: Vec<(Time, MemberId, u64)> = Vec::new();
        for (at, (id, end, kind)) in steps.into_iter().enumerate() {
            let (id, end, at) = (MemberId(id), Time::from_micros(end), at as u64);
            match kind {
                0 => {
                    let (now, mut gone) = (end, None);
                    if plain.first().is_some_and(|first| first.0 <= now) {
                        let (_, id, entry) = plain.remove(0);
                        gone = Some((id, entry));
                    }
                    assert_eq!(expiring.pop_due(now), gone);
                }
                1 => {
                    let place = plain.iter().position(|entry| entry.1 == id);
                    assert_eq!(expiring.remove(id), place.map(|place| plain.remove(place).2));
                }
                _ => {
                    expiring.insert(id, end, at, MOST);
                    plain.retain(|entry| entry.1 != id);
                    plain.push((end, id, at));
                    plain.sort_unstable();
                    if plain.len() > MOST {
                        plain.remove(0);
                    }
                }
            }
            assert_eq!(expiring.len(), plain.len());
            assert_eq!(expiring.ends.len(), plain.len());
            assert_eq!(expiring.due(), plain.first().map_or(Time::NEVER, |first| first.0));
            assert_eq!(
                expiring.get(id).copied(),
                plain.iter().find(|entry| entry.1 == id).map(|entry| entry.2)
            );
        }
    }

    proptest! {
        #[test]
        fn it_keeps_what_a_plain_one_keeps(steps in prop::collection::vec((0..9_u64, 0..9_u64, 0..4_u8), 0..60)) {
            check(steps);
        }
    }
}
