//! Which other members a snapshot keeps: enough to come back through, however large the cluster is.
//!
//! Those that the file had are kept until this life has met others for a while: if joining fails, the next one is to try them,
//! too.

use std::collections::BTreeMap;
use std::sync::Arc;

use swimring_codec::MemberId;

use crate::snapshot::{Peer, Record};

/// Members that are kept.
pub(super) const PEERS_MAX: usize = 256;

/// What is known of another member now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PeerNews {
    pub(super) id: MemberId,
    /// Nothing if it is not in the view any more.
    pub(super) known: Option<(Arc<str>, Peer)>,
}

/// What is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PeerChange {
    name: Arc<str>,
    /// Nothing if it is kept no longer.
    peer: Option<Peer>,
}

impl PeerChange {
    pub(super) fn record(&self) -> Record<'_> {
        match self.peer {
            Some(Peer { address, state }) => Record::Peer { name: &self.name, address, state },
            None => Record::PeerGone { name: &self.name },
        }
    }
}

#[derive(Clone, Debug)]
struct Kept {
    name: Arc<str>,
    peer: Peer,
    /// This life has seen it, since all were last looked through.
    seen: bool,
}

impl Kept {
    fn change(&self) -> PeerChange {
        PeerChange { name: Arc::clone(&self.name), peer: Some(self.peer) }
    }
}

/// Those that the file has.
#[derive(Debug)]
pub(super) struct Peers(BTreeMap<MemberId, Kept>);

impl Peers {
    /// Those that the last life has kept.
    pub(super) fn new(before: Vec<(Arc<str>, Peer)>) -> Peers {
        let kept =
            |(name, peer): (Arc<str>, Peer)| (MemberId::of_name(&name), Kept { name, peer, seen: false });
        Peers(before.into_iter().map(kept).collect())
    }

    /// Takes `news` in, and gives what is to be written of it: who is gone, who is kept or has changed.
    pub(super) fn take(&mut self, news: Vec<PeerNews>) -> Vec<PeerChange> {
        let mut written = Vec::new();
        for PeerNews { id, known } in news {
            let Some((name, peer)) = known else {
                written.extend(self.drop_one(id));
                continue;
            };
            let before = self.0.get(&id).map(|kept| kept.peer);
            let is_wanted = before.is_some() || peer.state.is_live() && self.make_room(&mut written);
            if is_wanted {
                let kept = Kept { name, peer, seen: true };
                if before != Some(peer) {
                    written.push(kept.change());
                }
                self.0.insert(id, kept);
            }
        }
        written
    }

    /// Room for one more, if need be that of one that is of less use. False if there is none.
    fn make_room(&mut self, written: &mut Vec<PeerChange>) -> bool {
        if self.0.len() < PEERS_MAX {
            return true;
        }
        let useless = |kept: &Kept| !kept.seen || !kept.peer.state.is_live();
        let Some(id) = self.0.iter().find(|(_, kept)| useless(kept)).map(|(id, _)| *id) else { return false };
        written.extend(self.drop_one(id));
        true
    }

    fn drop_one(&mut self, id: MemberId) -> Option<PeerChange> {
        self.0.remove(&id).map(|kept| PeerChange { name: kept.name, peer: None })
    }

    /// All members are looked through next, since what became of some has not been noted: whoever is not among those found
    /// may be of no use any more.
    pub(super) fn doubt(&mut self) {
        self.0.values_mut().for_each(|kept| kept.seen = false);
    }

    /// Forgets those that this life has not seen. Gives them.
    pub(super) fn forget_unseen(&mut self) -> Vec<PeerChange> {
        let unseen = self.0.iter().filter(|(_, kept)| !kept.seen);
        let ids: Vec<MemberId> = unseen.map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.drop_one(id)).collect()
    }

    /// All as they are written.
    pub(super) fn all(&self) -> impl Iterator<Item = PeerChange> + '_ {
        self.0.values().map(Kept::change)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use swimring_codec::State;

    use super::*;

    fn peer(number: usize, state: State) -> (Arc<str>, Peer) {
        let address = SocketAddr::from(([10, 0, 0, 1], number as u16 + 1));
        (format!("{number:04}").into(), Peer { address, state })
    }

    fn id(number: usize) -> MemberId {
        MemberId::of_name(&format!("{number:04}"))
    }

    fn news(number: usize, state: State) -> PeerNews {
        PeerNews { id: id(number), known: Some(peer(number, state)) }
    }

    fn written(number: usize, state: State) -> PeerChange {
        let (name, peer) = peer(number, state);
        PeerChange { name, peer: Some(peer) }
    }

    fn gone(number: usize) -> PeerChange {
        PeerChange { name: format!("{number:04}").into(), peer: None }
    }

    #[test]
    fn what_is_known_is_not_written_again() {
        let mut peers = Peers::new(Vec::new());
        assert_eq!(peers.take(vec![news(1, State::Alive)]), [written(1, State::Alive)]);
        assert_eq!(peers.take(vec![news(1, State::Alive)]), []);
        let stranger = PeerNews { id: id(3), known: None };
        let changes = peers.take(vec![news(1, State::Dead), news(2, State::Dead), stranger]);
        assert_eq!(changes, [written(1, State::Dead)]);
        assert_eq!(peers.take(vec![PeerNews { id: id(1), known: None }]), [gone(1)]);
        assert_eq!(peers.all().count(), 0);
    }

    #[test]
    fn no_more_are_kept_than_there_may_be_and_the_useless_make_room() {
        let mut peers = Peers::new((0..PEERS_MAX).map(|number| peer(number, State::Alive)).collect());
        // All but two are met again; one of them dies.
        peers.take((2..PEERS_MAX).map(|number| news(number, State::Alive)).collect());
        peers.take(vec![news(9, State::Dead)]);
        let changes = peers.take((1000..1004).map(|number| news(number, State::Alive)).collect());
        let dropped = changes.iter().filter(|change| change.peer.is_none());
        let mut dropped: Vec<_> = dropped.cloned().collect();
        dropped.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(dropped, [gone(0), gone(1), gone(9)]);
        assert_eq!((changes.len(), peers.all().count()), (6, PEERS_MAX));
    }

    #[test]
    fn those_whose_end_was_not_noted_make_room_when_all_are_looked_through() {
        let live =
            |numbers: std::ops::Range<usize>| numbers.map(|number| news(number, State::Alive)).collect();
        let mut peers = Peers::new(Vec::new());
        peers.take(live(0..PEERS_MAX));
        assert_eq!(peers.take(live(1000..1001)), []);
        peers.doubt();
        peers.take(live(1000..1000 + PEERS_MAX));
        let all: Vec<_> = peers.all().collect();
        let found = (1000..1000 + PEERS_MAX).map(|number| written(number, State::Alive));
        assert!(all.len() == PEERS_MAX && found.into_iter().all(|found| all.contains(&found)));
        peers.doubt();
        peers.take(live(1000..1000 + PEERS_MAX - 1));
        assert_eq!(peers.forget_unseen(), [gone(1000 + PEERS_MAX - 1)]);
    }

    #[test]
    fn those_of_the_last_life_go_after_a_while() {
        let mut peers = Peers::new(vec![peer(1, State::Alive)]);
        peers.take(vec![news(2, State::Alive)]);
        assert_eq!(peers.forget_unseen(), [gone(1)]);
        assert_eq!(peers.forget_unseen(), []);
    }
}
