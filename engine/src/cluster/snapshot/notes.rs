//! On the protocol's thread: what has changed since the snapshot's thread last asked, and copies of it.

use std::sync::Arc;

use hashbrown::HashSet;
use swimring_codec::MemberId;

use super::peers::{PEERS_MAX, PeerNews};
use crate::cluster::dispatcher::EventDispatcher;
use crate::cluster::shared::LOCAL;
use crate::protocol::{Member, SavedClusterKey, SavedKey, SavedMark, SharedState, StateChange};
use crate::snapshot::Peer;
use crate::worker::Host;

/// Keys and members noted between two batches. Beyond it all are looked through.
const NOTES_MAX: usize = 1_024;

/// Keys of the member's own that are copied in one turn of its loop.
pub(super) const KEYS_AT_ONCE: usize = 1_024;

/// What has changed.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Notes {
    keys: HashSet<Arc<str>>,
    members: HashSet<MemberId>,
    /// There were too many to note each.
    keys_lost: bool,
    members_lost: bool,
}

impl Notes {
    /// Keys have changed. Those of members are found by their versions.
    pub(in crate::cluster) fn keys(&mut self, changes: &[StateChange]) {
        for change in changes.iter().filter(|change| change.owner.is_none()) {
            if self.keys.len() < NOTES_MAX {
                self.keys.insert(Arc::clone(&change.key));
            } else {
                self.keys_lost |= !self.keys.contains(&change.key);
            }
        }
    }

    /// What is believed of a member has changed.
    pub(in crate::cluster) fn member(&mut self, id: MemberId) {
        if self.members.len() < NOTES_MAX {
            self.members.insert(id);
        } else {
            self.members_lost |= !self.members.contains(&id);
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The life of the member's own map, and the version of it that has been written.
    pub(super) own: (u64, u64),
    /// All keys of the cluster, not only those that have changed.
    pub(super) all_keys: bool,
    /// Some of all members, not only those that have changed.
    pub(super) all_members: bool,
    /// Seed for the choice among them.
    pub(super) seed: u64,
    /// The member is to fall silent.
    pub(super) last: bool,
}

/// Copies of what has changed.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) incarnation: u64,
    /// Members in its view that are live, itself among them.
    pub(super) live: usize,
    /// Nothing if the member has no shared state.
    pub(super) mark: Option<SavedMark>,
    /// The own keys that have changed, or as many as are copied at once.
    pub(super) own: Vec<SavedKey>,
    pub(super) keys: Vec<SavedClusterKey>,
    pub(super) peers: Vec<PeerNews>,
    /// More has changed than these show: all is to be written anew.
    pub(super) incomplete: bool,
    /// More members have changed than were noted.
    pub(super) members_lost: bool,
    /// The same, or more keys of the cluster have.
    pub(super) notes_lost: bool,
}

impl Gathered {
    /// What was copied later than this goes behind it.
    pub(super) fn add(&mut self, later: Gathered) {
        self.own.extend(later.own);
        self.keys.extend(later.keys);
        self.peers.extend(later.peers);
        (self.incarnation, self.live, self.mark) = (later.incarnation, later.live, later.mark);
        self.incomplete |= later.incomplete;
        self.members_lost |= later.members_lost;
        self.notes_lost |= later.notes_lost;
    }
}

/// Gives what `wish` asks for; nothing once the member is gone.
pub(super) fn gather(host: &mut Host<EventDispatcher>, wish: Wish) -> Option<Gathered> {
    let notes = host.observer.notes.as_mut().map(std::mem::take).unwrap_or_default();
    let member = host.member(LOCAL)?;
    let shared = host.shared();
    let mark = member.state_mark();
    let (epoch, since) = wish.own;
    // Nobody can be asked for the rest of the last copy.
    let own = member.state_saved(since, if wish.last { usize::MAX } else { KEYS_AT_ONCE });
    // Deletions that were forgotten before they were written, or another life of the map.
    let forgotten = mark.is_some_and(|mark| since != 0 && mark.floor > since);
    let another = mark.is_some_and(|mark| epoch != 0 && mark.epoch != epoch);
    let (keys, keys_gone) = cluster_keys(member, &notes, wish.all_keys);
    let peers = if wish.all_members {
        chosen(member, shared, wish.seed)
    } else {
        let others = notes.members.iter().filter(|id| **id != member.id());
        others.map(|id| news(member, shared, *id)).collect()
    };
    let gathered = Gathered {
        incarnation: member.incarnation().get(),
        live: member.live(),
        mark,
        own,
        keys,
        peers,
        incomplete: forgotten || another || keys_gone,
        members_lost: notes.members_lost,
        notes_lost: notes.members_lost || notes.keys_lost,
    };
    if wish.last {
        host.kill(LOCAL);
    }
    Some(gathered)
}

/// The keys of the cluster that are asked for, and whether one of those that have changed is not known any more.
fn cluster_keys(member: &Member, notes: &Notes, all: bool) -> (Vec<SavedClusterKey>, bool) {
    if all || notes.keys_lost {
        return (member.cluster_keys_saved(), false);
    }
    let keys: Vec<_> = notes.keys.iter().filter_map(|key| member.cluster_key_saved(key)).collect();
    let gone = keys.len() < notes.keys.len();
    (keys, gone)
}

fn news(member: &Member, shared: &SharedState, id: MemberId) -> PeerNews {
    let known = shared.directory().find(id).and_then(|index| member.member(index, shared));
    let known = known.map(|known| (known.name.into(), Peer { address: known.address, state: known.state }));
    PeerNews { id, known }
}

/// As many live members as are kept, chosen at random among all.
fn chosen(member: &Member, shared: &SharedState, seed: u64) -> Vec<PeerNews> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let own = member.index();
    let others = member.members(shared).filter(|known| known.index != own && known.state.is_live());
    let chosen = rng.choose_multiple(others.map(|known| known.index), PEERS_MAX);
    chosen.into_iter().map(|index| news(member, shared, shared.directory().id(index))).collect()
}
