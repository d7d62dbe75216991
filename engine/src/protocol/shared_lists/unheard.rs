//! Who has not acknowledged a delegation lately: what a member knows of others before anybody has declared them dead.
//!
//! When many members die at once it takes seconds until views say so, and until then a third of all delegates may be gone.
//! Who was tried in vain for one update need not be tried for the next: such a member is passed over wherever somebody else
//! could be asked, and asked less often where there is nobody else. One acknowledgement takes it off the list, and
//! [`MEMORY`] does.

use std::time::Duration;

use hashbrown::HashMap;

use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::linked_lists::{List, NIL, Pool};

/// How long a member is passed over. Who is gone is declared by then, and who only lost packets is heard again.
const MEMORY: Duration = Duration::from_secs(10);

/// Most members that one member passes over at once. In ten seconds it has some two hundred delegates; beyond it the
/// longest known are forgotten, and tried again.
const UNHEARD_MAX: usize = 256;

/// A member that has not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Unheard {
    member: MemberIndex,
    /// When it did not for the first time.
    since: Time,
    /// When it did not for the last time.
    pub(in crate::protocol) asked: Time,
    /// How often it did not, since it last did.
    pub(in crate::protocol) times: u8,
}

/// Those that one member has not heard.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct UnheardList {
    len: u32,
    list: List,
}

impl UnheardList {
    /// Nobody.
    pub(in crate::protocol) const EMPTY: UnheardList = UnheardList { len: 0, list: List::EMPTY };
}

/// Storage for the lists of many members.
#[derive(Debug)]
pub(in crate::protocol) struct UnheardPool {
    /// The longest known first.
    nodes: Pool<Unheard>,
    /// (owner, member) -> node.
    index: HashMap<(u32, MemberIndex), u32, KeyedHash>,
}

impl UnheardPool {
    pub(in crate::protocol) fn new(key: u64) -> UnheardPool {
        UnheardPool { nodes: Pool::new(), index: HashMap::with_hasher(KeyedHash::new(key)) }
    }

    pub(in crate::protocol) fn reserve(&mut self, capacity: usize) {
        self.nodes.reserve(capacity);
        // Twice, so that what was removed never makes it grow.
        self.index.reserve(2 * capacity);
    }

    /// `member` has not acknowledged, at `now`.
    pub(in crate::protocol) fn add(
        &mut self,
        (owner, of): (u32, &mut UnheardList),
        member: MemberIndex,
        now: Time,
    ) {
        while let Some(first) = self.first(of)
            && (of.len as usize >= UNHEARD_MAX || now.since(first.since) >= MEMORY)
        {
            self.remove((owner, of), first.member);
        }
        if let Some(node) = self.index.get(&(owner, member)) {
            let unheard = self.nodes.get_mut(*node);
            unheard.asked = now;
            unheard.times = unheard.times.saturating_add(1);
            return;
        }
        let node = self.nodes.push_back(&mut of.list, Unheard { member, since: now, asked: now, times: 1 });
        self.index.insert((owner, member), node);
        of.len += 1;
    }

    fn first(&self, of: &UnheardList) -> Option<Unheard> {
        (of.list.head() != NIL).then(|| *self.nodes.get(of.list.head()))
    }

    /// `member` has acknowledged, or is known to be gone.
    pub(in crate::protocol) fn remove(&mut self, (owner, of): (u32, &mut UnheardList), member: MemberIndex) {
        if of.len == 0 {
            return;
        }
        if let Some(node) = self.index.remove(&(owner, member)) {
            self.nodes.remove(&mut of.list, node);
            of.len -= 1;
        }
    }

    /// What is known of the silence of `member`, at `now`; nothing if it was not asked in vain lately.
    #[inline]
    pub(in crate::protocol) fn of(
        &self,
        (owner, of): (u32, &UnheardList),
        member: MemberIndex,
        now: Time,
    ) -> Option<Unheard> {
        if of.len == 0 {
            return None;
        }
        let node = self.index.get(&(owner, member))?;
        let unheard = *self.nodes.get(*node);
        (now.since(unheard.since) < MEMORY).then_some(unheard)
    }

    /// Forgets everyone.
    pub(in crate::protocol) fn clear(&mut self, (owner, of): (u32, &mut UnheardList)) {
        while let Some(first) = self.first(of) {
            self.remove((owner, of), first.member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn who_is_heard_again_or_long_ago_is_no_longer_passed_over() {
        let (mut pool, mut of, mut other) = (UnheardPool::new(7), UnheardList::EMPTY, UnheardList::EMPTY);
        pool.add((0, &mut of), 5, at(1_000));
        pool.add((0, &mut of), 5, at(2_000));
        pool.add((0, &mut of), 6, at(3_000));
        pool.add((1, &mut other), 7, at(3_000));
        let since = |pool: &UnheardPool, of: &UnheardList, member, now| {
            pool.of((0, of), member, at(now)).map(|unheard| (unheard.since, unheard.asked, unheard.times))
        };
        assert_eq!(
            since(&pool, &of, 5, 4_000),
            Some((at(1_000), at(2_000), 2)),
            "since it was first not heard"
        );
        assert_eq!(since(&pool, &of, 5, 11_000), None, "long ago");
        assert_eq!(since(&pool, &of, 7, 4_000), None, "another member's");
        pool.remove((0, &mut of), 6);
        pool.remove((0, &mut of), 6);
        assert_eq!((since(&pool, &of, 6, 4_000), of.len), (None, 1));
        pool.add((0, &mut of), 8, at(11_000));
        assert_eq!(of.len, 1, "what is old makes room");
        pool.clear((0, &mut of));
        pool.clear((1, &mut other));
        assert_eq!((pool.nodes.used(), pool.index.len()), (0, 0));
    }

    #[test]
    fn the_longest_known_are_forgotten_where_there_are_too_many() {
        let (mut pool, mut of) = (UnheardPool::new(7), UnheardList::EMPTY);
        for member in 0..UNHEARD_MAX as u32 + 3 {
            pool.add((0, &mut of), member, at(member.into()));
        }
        assert_eq!((of.len as usize, pool.nodes.used()), (UNHEARD_MAX, UNHEARD_MAX));
        let now = at(1_000);
        assert!(pool.of((0, &of), 2, now).is_none() && pool.of((0, &of), 3, now).is_some());
    }
}
