//! The dissemination queue: what a member still has to tell.
//!
//! Every piece of news is sent a limited number of times (SWIM, section 4.1; memberlist's
//! `retransmitLimit`), the least often sent first. Queued broadcasts stand in *tiers* by how often they
//! have been sent; a bit mask names the tiers in use, so queueing, replacing, taking the least-sent and
//! shedding the most-sent are all O(1). News about a member replaces older news about the same member.
//! User events have tiers of their own and a share of every frame, so membership churn cannot starve
//! them (hashicorp/memberlist#299) nor they it.

use hashbrown::HashMap;
use swimring_codec::Incarnation;

use crate::protocol::settings::RETRANSMIT_LIMIT_MAX;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::keyed_hash::KeyedHash;
use crate::protocol::view::linked_lists::{List, NIL, Pool};
use crate::protocol::wire::Update;

/// Tiers of one queue: a broadcast in tier `t` has been sent `t` times.
const TIERS: usize = RETRANSMIT_LIMIT_MAX as usize + 1;

/// Broadcasts looked at for one frame beyond those that fit, so that a long queue of large ones does not
/// make every frame slow.
const MISFITS_MAX: usize = 16;

/// Most messages in one frame: what the header's count can say, less the probe's own.
pub(in crate::protocol) const FRAME_MESSAGES_MAX: usize = 120;

/// A queued broadcast.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Broadcast {
    pub(in crate::protocol) subject: u32,
    pub(in crate::protocol) news: Update,
    pub(in crate::protocol) incarnation: Incarnation,
    /// Bytes on the wire.
    length: u16,
    sent: u8,
}

impl Broadcast {
    /// A broadcast that takes `length` bytes on the wire, not sent yet.
    pub(in crate::protocol) fn new(
        subject: u32,
        news: Update,
        incarnation: Incarnation,
        length: usize,
    ) -> Broadcast {
        Broadcast { subject, news, incarnation, length: length as u16, sent: 0 }
    }
}

/// One member's tiers of one kind of news.
#[derive(Clone, Copy, Debug)]
struct Tiers {
    /// Bit `t`: tier `t` is not empty.
    mask: u64,
    /// Where the lists lie in the pool; [`NIL`] while empty.
    block: u32,
    len: u32,
}

impl Tiers {
    const EMPTY: Tiers = Tiers { mask: 0, block: NIL, len: 0 };
}

/// One member's queue.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Queue {
    /// The member's number in the shared pools.
    owner: u32,
    updates: Tiers,
    events: Tiers,
}

impl Queue {
    pub(in crate::protocol) const fn new(owner: u32) -> Queue {
        Queue { owner, updates: Tiers::EMPTY, events: Tiers::EMPTY }
    }

    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.updates.len == 0 && self.events.len == 0
    }

    pub(in crate::protocol) const fn len(&self) -> u32 {
        self.updates.len + self.events.len
    }

    /// Whether nothing is left to tell about members. User events do not change anyone's view.
    pub(in crate::protocol) const fn is_quiet(&self) -> bool {
        self.updates.len == 0
    }

    /// Whether another event would be refused.
    pub(in crate::protocol) const fn is_full_of_events(&self, len_max: u32) -> bool {
        self.events.len >= len_max
    }
}

/// What one frame carries: nodes of the pool, chosen but not yet counted as sent.
#[derive(Debug)]
pub(in crate::protocol) struct Selection {
    nodes: [u32; FRAME_MESSAGES_MAX],
    count: usize,
    /// Bytes they take.
    pub(in crate::protocol) bytes: usize,
}

impl Selection {
    pub(in crate::protocol) fn new() -> Selection {
        Selection { nodes: [NIL; FRAME_MESSAGES_MAX], count: 0, bytes: 0 }
    }

    pub(in crate::protocol) fn nodes(&self) -> &[u32] {
        &self.nodes[..self.count]
    }
}

/// What left a queue, for its owner to take note of.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Dequeued {
    pub(in crate::protocol) subject: u32,
    pub(in crate::protocol) news: Update,
}

/// Storage for the queues of many members.
#[derive(Debug)]
pub(in crate::protocol) struct BroadcastPool {
    nodes: Pool<Broadcast>,
    blocks: Vec<[List; TIERS]>,
    blocks_free: Vec<u32>,
    /// (owner, subject) -> node, for membership news.
    index: HashMap<(u32, MemberIndex), u32, KeyedHash>,
    /// By node, when it was queued, if the longest goes first.
    queued: Option<Vec<u64>>,
    /// Broadcasts queued so far, if so.
    queued_count: u64,
}

impl BroadcastPool {
    pub(in crate::protocol) fn new(key: u64) -> BroadcastPool {
        BroadcastPool {
            nodes: Pool::new(),
            blocks: Vec::new(),
            blocks_free: Vec::new(),
            index: HashMap::with_hasher(KeyedHash::new(key)),
            queued: None,
            queued_count: 0,
        }
    }

    /// Of what was sent equally often the longest goes first, as upstream has it.
    pub(in crate::protocol) fn set_longest_first(&mut self, longest_first: bool) {
        self.queued = longest_first.then(Vec::new);
    }

    /// Makes room for `members` queues with `each` broadcasts on average.
    pub(in crate::protocol) fn reserve(&mut self, members: usize, each: usize) {
        self.nodes.reserve(members * each);
        self.blocks.reserve(2 * members);
        self.blocks_free.reserve(2 * members);
        self.index.reserve(members * each);
    }

    /// Broadcasts queued, of all members.
    pub(in crate::protocol) fn used(&self) -> usize {
        self.nodes.used()
    }

    pub(in crate::protocol) fn get(&self, node: u32) -> &Broadcast {
        self.nodes.get(node)
    }

    /// Queues an update about a member of whom none is queued. Gives what had to go to keep the queue at `len_max`.
    pub(in crate::protocol) fn queue_update(
        &mut self,
        queue: &mut Queue,
        update: Broadcast,
        len_max: u32,
    ) -> Option<Dequeued> {
        let full = queue.updates.len >= len_max;
        let shed = if full { self.shed_most_sent(queue) } else { None };
        let node = self.push(&mut queue.updates, update);
        self.index.insert((queue.owner, update.subject), node);
        shed
    }

    /// Queues the user event at `event` in the store. False, and nothing queued, if the queue is full.
    pub(in crate::protocol) fn queue_event(
        &mut self,
        queue: &mut Queue,
        event: u32,
        length: usize,
        len_max: u32,
    ) -> bool {
        if queue.events.len >= len_max {
            return false;
        }
        let event = Broadcast::new(event, Update::Event, Incarnation::ZERO, length);
        self.push(&mut queue.events, event);
        true
    }

    /// Drops the news about `subject`, if there is some.
    pub(in crate::protocol) fn remove_update(&mut self, queue: &mut Queue, subject: MemberIndex) {
        if let Some(node) = self.index.remove(&(queue.owner, subject)) {
            self.unlink(&mut queue.updates, node);
        }
    }

    /// Chooses what the next frame carries: the least-sent that fit into `budget` bytes, waiting events
    /// getting at least `event_share_percent` of it.
    pub(in crate::protocol) fn select(
        &self,
        queue: &Queue,
        budget: usize,
        event_share_percent: u8,
        chosen: &mut Selection,
    ) {
        let share = if queue.events.len == 0 { 0 } else { budget * usize::from(event_share_percent) / 100 };
        self.select_from(&queue.updates, chosen.bytes + budget - share, chosen);
        let left = budget - (chosen.bytes.min(budget));
        self.select_from(&queue.events, chosen.bytes + left, chosen);
    }

    fn select_from(&self, tiers: &Tiers, bytes_max: usize, chosen: &mut Selection) {
        if let Some(queued) = &self.queued {
            return self.select_longest(tiers, queued, bytes_max, chosen);
        }
        let mut mask = tiers.mask;
        let mut misfits = 0;
        while mask != 0 {
            let tier = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let mut node = self.blocks[tiers.block as usize][tier].head();
            while node != NIL {
                let (broadcast, next) = self.nodes.get_and_next(node);
                let bytes = chosen.bytes + usize::from(broadcast.length);
                if bytes <= bytes_max {
                    let Some(place) = chosen.nodes.get_mut(chosen.count) else { return };
                    *place = node;
                    chosen.count += 1;
                    chosen.bytes = bytes;
                } else {
                    misfits += 1;
                    if misfits == MISFITS_MAX {
                        return;
                    }
                }
                node = next;
            }
        }
    }

    /// The same, tier by tier the longest that fits, and of those the newest.
    fn select_longest(&self, tiers: &Tiers, queued: &[u64], bytes_max: usize, chosen: &mut Selection) {
        let mut mask = tiers.mask;
        let mut tier_nodes = Vec::new();
        while mask != 0 {
            let tier = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            tier_nodes.clear();
            let mut node = self.blocks[tiers.block as usize][tier].head();
            while node != NIL {
                let (broadcast, next) = self.nodes.get_and_next(node);
                tier_nodes.push((broadcast.length, queued[node as usize], node));
                node = next;
            }
            tier_nodes.sort_unstable_by(|a, b| b.cmp(a));
            for (length, _, node) in &tier_nodes {
                let bytes = chosen.bytes + usize::from(*length);
                if bytes <= bytes_max {
                    let Some(place) = chosen.nodes.get_mut(chosen.count) else { return };
                    *place = *node;
                    chosen.count += 1;
                    chosen.bytes = bytes;
                }
            }
        }
    }

    /// Counts `node` as sent once more. Gives it if that was the last time.
    pub(in crate::protocol) fn mark_sent(
        &mut self,
        queue: &mut Queue,
        node: u32,
        limit: u8,
    ) -> Option<Dequeued> {
        let broadcast = self.nodes.get_mut(node);
        let tier = usize::from(broadcast.sent);
        if broadcast.sent + 1 >= limit {
            return Some(self.sent_enough(queue, node));
        }
        broadcast.sent += 1;
        let event = matches!(broadcast.news, Update::Event);
        let tiers = if event { &mut queue.events } else { &mut queue.updates };
        let (from, to) = self.blocks[tiers.block as usize].split_at_mut(tier + 1);
        let (from, to) = (&mut from[tier], &mut to[0]);
        self.nodes.relink(from, to, node);
        if from.is_empty() {
            tiers.mask &= !(1 << tier);
        }
        tiers.mask |= 2 << tier;
        None
    }

    /// Drops `node`, which everyone has been told of by now.
    fn sent_enough(&mut self, queue: &mut Queue, node: u32) -> Dequeued {
        let Broadcast { subject, news, .. } = *self.nodes.get(node);
        if news == Update::Event {
            self.unlink(&mut queue.events, node);
        } else {
            self.unlink(&mut queue.updates, node);
            self.index.remove(&(queue.owner, subject));
        }
        Dequeued { subject, news }
    }

    /// Drops everything queued, telling `gone` of each.
    pub(in crate::protocol) fn clear(&mut self, queue: &mut Queue, mut gone: impl FnMut(Dequeued)) {
        while queue.updates.len > 0 {
            if let Some(shed) = self.shed_most_sent(queue) {
                gone(shed);
            }
        }
        while queue.events.len > 0 {
            let tier = queue.events.mask.trailing_zeros() as usize;
            let node = self.blocks[queue.events.block as usize][tier].head();
            let subject = self.nodes.get(node).subject;
            self.unlink(&mut queue.events, node);
            gone(Dequeued { subject, news: Update::Event });
        }
    }

    /// Takes the user events out of the queue that `keep` does not keep.
    pub(in crate::protocol) fn retain_events(
        &mut self,
        queue: &mut Queue,
        mut keep: impl FnMut(u32) -> bool,
    ) {
        let mut mask = queue.events.mask;
        while mask != 0 {
            let tier = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let mut node = self.blocks[queue.events.block as usize][tier].head();
            while node != NIL {
                let next = self.nodes.next(node);
                if !keep(self.nodes.get(node).subject) {
                    self.unlink(&mut queue.events, node);
                }
                node = next;
            }
        }
    }

    fn shed_most_sent(&mut self, queue: &mut Queue) -> Option<Dequeued> {
        let tier = queue.updates.mask.checked_ilog2()? as usize;
        let node = self.blocks[queue.updates.block as usize][tier].head();
        let Broadcast { subject, news, .. } = *self.nodes.get(node);
        self.unlink(&mut queue.updates, node);
        self.index.remove(&(queue.owner, subject));
        Some(Dequeued { subject, news })
    }

    fn push(&mut self, tiers: &mut Tiers, broadcast: Broadcast) -> u32 {
        if tiers.block == NIL {
            tiers.block = self.blocks_free.pop().unwrap_or_else(|| {
                self.blocks.push([List::EMPTY; TIERS]);
                (self.blocks.len() - 1) as u32
            });
        }
        tiers.len += 1;
        tiers.mask |= 1;
        let node = self.nodes.push_back(&mut self.blocks[tiers.block as usize][0], broadcast);
        if let Some(queued) = &mut self.queued {
            queued.resize(queued.len().max(node as usize + 1), 0);
            self.queued_count += 1;
            queued[node as usize] = self.queued_count;
        }
        node
    }

    fn unlink(&mut self, tiers: &mut Tiers, node: u32) {
        let tier = usize::from(self.nodes.get(node).sent);
        let list = &mut self.blocks[tiers.block as usize][tier];
        self.nodes.remove(list, node);
        if list.is_empty() {
            tiers.mask &= !(1 << tier);
        }
        tiers.len -= 1;
        if tiers.len == 0 {
            self.blocks_free.push(tiers.block);
            tiers.block = NIL;
        }
    }
}

#[cfg(test)]
#[path = "broadcasts_test.rs"]
mod tests;
