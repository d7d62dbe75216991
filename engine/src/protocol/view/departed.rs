//! The departed: members that are dead or left, and since when.
//!
//! A dead member stays in the view for a while, is gossiped to so that it can refute, and takes part in
//! push/pull. Then it is reaped: no longer part of the view, but remembered with its address, so that a
//! partition that heals hours later still finds itself (hashicorp/memberlist#222).

use hashbrown::HashMap;

use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::linked_lists::{List, NIL, Pool};

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Departure {
    pub(in crate::protocol) subject: MemberIndex,
    pub(in crate::protocol) since: Time,
}

/// One member's departed.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Departed {
    owner: u32,
    /// Dead or left and still in the view, the longest gone first.
    recent: List,
    /// Reaped and remembered, the longest reaped first.
    remembered: List,
}

impl Departed {
    pub(in crate::protocol) const fn new(owner: u32) -> Departed {
        Departed { owner, recent: List::EMPTY, remembered: List::EMPTY }
    }

    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.remembered.is_empty()
    }
}

/// Storage for the departed of many members. Each has at most one entry per known member, so the bound
/// on the table bounds this too.
#[derive(Debug)]
pub(in crate::protocol) struct DepartedPool {
    nodes: Pool<Departure>,
    /// (owner, subject) -> node, and whether it is remembered.
    index: HashMap<(u32, MemberIndex), (u32, bool), KeyedHash>,
}

impl DepartedPool {
    pub(in crate::protocol) fn new(key: u64) -> DepartedPool {
        DepartedPool { nodes: Pool::new(), index: HashMap::with_hasher(KeyedHash::new(key)) }
    }

    pub(in crate::protocol) fn reserve(&mut self, capacity: usize) {
        self.nodes.reserve(capacity);
        self.index.reserve(capacity);
    }

    /// `subject` departs at `since`.
    pub(in crate::protocol) fn add(&mut self, of: &mut Departed, subject: MemberIndex, since: Time) {
        self.remove(of, subject);
        let node = self.nodes.push_back(&mut of.recent, Departure { subject, since });
        self.index.insert((of.owner, subject), (node, false));
    }

    /// `subject` is reaped at `now`, and remembered.
    pub(in crate::protocol) fn remember(&mut self, of: &mut Departed, subject: MemberIndex, now: Time) {
        self.remove(of, subject);
        let node = self.nodes.push_back(&mut of.remembered, Departure { subject, since: now });
        self.index.insert((of.owner, subject), (node, true));
    }

    pub(in crate::protocol) fn remove(&mut self, of: &mut Departed, subject: MemberIndex) {
        if of.is_empty() {
            return;
        }
        if let Some((node, remembered)) = self.index.remove(&(of.owner, subject)) {
            let list = if remembered { &mut of.remembered } else { &mut of.recent };
            self.nodes.remove(list, node);
        }
    }

    /// Since when `subject` is gone.
    pub(in crate::protocol) fn since(&self, of: &Departed, subject: MemberIndex) -> Option<Time> {
        let (node, _) = *self.index.get(&(of.owner, subject))?;
        Some(self.nodes.get(node).since)
    }

    /// The member that has been gone for longest and is still in the view.
    pub(in crate::protocol) fn oldest_recent(&self, of: &Departed) -> Option<Departure> {
        self.head(of.recent)
    }

    /// The member that has been remembered for longest.
    pub(in crate::protocol) fn oldest_remembered(&self, of: &Departed) -> Option<Departure> {
        self.head(of.remembered)
    }

    /// Everyone who departed, the longest gone first: those still in the view, then those remembered.
    pub(in crate::protocol) fn iter(&self, of: &Departed) -> impl Iterator<Item = Departure> + '_ {
        let walk = |list: List| {
            let next = |node: &u32| Some(self.nodes.next(*node)).filter(|next| *next != NIL);
            std::iter::successors(Some(list.head()).filter(|head| *head != NIL), next)
        };
        walk(of.recent).chain(walk(of.remembered)).map(|node| *self.nodes.get(node))
    }

    fn head(&self, list: List) -> Option<Departure> {
        (list.head() != NIL).then(|| *self.nodes.get(list.head()))
    }

    pub(in crate::protocol) fn clear(&mut self, of: &mut Departed) {
        while let Some(departure) = self.oldest_recent(of).or_else(|| self.oldest_remembered(of)) {
            self.remove(of, departure.subject);
        }
    }
}
