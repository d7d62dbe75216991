//! The departed: members that are dead or left, and since when.
//!
//! A dead member stays in the view for a while, is gossiped to so that it can refute, and takes part in
//! push/pull. Then it is reaped: no longer part of the view, but remembered with its address, so that a
//! partition that heals hours later still finds itself (hashicorp/memberlist#222).

use hashbrown::HashMap;

use super::directory::{KeyedHash, MemberIndex};
use super::pool::{List, NIL, Pool};
use super::time::Time;

#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    pub(super) subject: MemberIndex,
    pub(super) since: Time,
}

/// One member's departed, the longest gone first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departed {
    owner: u32,
    list: List,
    len: u32,
}

impl Departed {
    pub(super) const fn new(owner: u32) -> Departed {
        Departed { owner, list: List::EMPTY, len: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Storage for the departed of many members. Each has at most one entry per known member, so the bound
/// on the table bounds this too.
#[derive(Debug)]
pub(super) struct DepartedPool {
    nodes: Pool<Departure>,
    /// (owner, subject) -> node.
    index: HashMap<(u32, MemberIndex), u32, KeyedHash>,
}

impl DepartedPool {
    pub(super) fn new(key: u64) -> DepartedPool {
        DepartedPool { nodes: Pool::new(), index: HashMap::with_hasher(KeyedHash::new(key)) }
    }

    pub(super) fn reserve(&mut self, capacity: usize) {
        self.nodes.reserve(capacity);
        self.index.reserve(capacity);
    }

    pub(super) fn add(&mut self, of: &mut Departed, subject: MemberIndex, since: Time) {
        self.remove(of, subject);
        let node = self.nodes.push_back(&mut of.list, Departure { subject, since });
        self.index.insert((of.owner, subject), node);
        of.len += 1;
    }

    pub(super) fn remove(&mut self, of: &mut Departed, subject: MemberIndex) {
        if let Some(node) = self.index.remove(&(of.owner, subject)) {
            self.nodes.remove(&mut of.list, node);
            of.len -= 1;
        }
    }

    /// Since when `subject` is gone.
    pub(super) fn since(&self, of: &Departed, subject: MemberIndex) -> Option<Time> {
        let node = *self.index.get(&(of.owner, subject))?;
        Some(self.nodes.get(node).since)
    }

    /// The first departure that `wanted` accepts.
    pub(super) fn first(&self, of: &Departed, wanted: impl Fn(&Departure) -> bool) -> Option<Departure> {
        let mut node = of.list.head();
        while node != NIL {
            let departure = self.nodes.get(node);
            if wanted(departure) {
                return Some(*departure);
            }
            node = self.nodes.next(node);
        }
        None
    }

    /// A random one of those that `wanted` accepts, each with the same chance.
    pub(super) fn choose(
        &self,
        of: &Departed,
        rng: &mut fastrand::Rng,
        wanted: impl Fn(&Departure) -> bool,
    ) -> Option<Departure> {
        let mut node = of.list.head();
        let mut chosen = None;
        let mut seen = 0;
        while node != NIL {
            let departure = self.nodes.get(node);
            if wanted(departure) {
                seen += 1;
                if rng.u32(..seen) == 0 {
                    chosen = Some(*departure);
                }
            }
            node = self.nodes.next(node);
        }
        chosen
    }

    pub(super) fn clear(&mut self, of: &mut Departed) {
        while of.list.head() != NIL {
            let subject = self.nodes.get(of.list.head()).subject;
            self.remove(of, subject);
        }
    }
}
