//! Indirect probes on behalf of others (SWIM section 3.1, Lifeguard section IV.A).
//!
//! A relay pings the target under a sequence number of its own, passes the ack on, and sends a nack if
//! none has come in time. "In time" is what upstream gets wrong: a nack has to leave early enough to reach
//! the prober before its probe ends (apple/swift-cluster-membership#6), so it leaves at 80 % of the shorter
//! of probe timeout and what the prober has left.

use std::time::Duration;

use crate::protocol::shared_lists::relays::{Relay, RelayPool};
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::time::Time;
use crate::protocol::view::linked_lists::{List, NIL};
use crate::protocol::wire::{IndirectRequest, Outgoing, Sender};

/// Most relays under way at a member. One member is asked three times a second even if a third of a
/// large cluster fails at once; more are refused with a nack.
const RELAYS_MAX: usize = 16;

/// One member's relays under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Relays {
    list: List,
    len: usize,
    due: Time,
    sequence: u32,
}

/// Set in the sequence numbers of relays and clear in those of a member's own probes, so that they never
/// meet.
pub(in crate::protocol) const RELAY_BIT: u32 = 1 << 31;

impl Relays {
    pub(in crate::protocol) fn new() -> Relays {
        Relays { list: List::EMPTY, len: 0, due: Time::NEVER, sequence: 0 }
    }

    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    fn add(&mut self, relay: Relay, pool: &mut RelayPool) {
        pool.push_back(&mut self.list, relay);
        self.len += 1;
        self.due = self.due.min(relay.nack).min(relay.expires);
    }

    /// Takes out a relay that `wanted` accepts.
    fn take(&mut self, pool: &mut RelayPool, wanted: impl Fn(&Relay) -> bool) -> Option<Relay> {
        let node = self.find(pool, wanted)?;
        self.len -= 1;
        Some(pool.remove(&mut self.list, node))
    }

    fn find(&self, pool: &RelayPool, wanted: impl Fn(&Relay) -> bool) -> Option<u32> {
        let mut node = self.list.head();
        while node != NIL {
            if wanted(pool.get(node)) {
                return Some(node);
            }
            node = pool.next(node);
        }
        None
    }

    fn update_due(&mut self, pool: &RelayPool) {
        self.due = Time::NEVER;
        let mut node = self.list.head();
        while node != NIL {
            let relay = pool.get(node);
            self.due = self.due.min(relay.nack).min(relay.expires);
            node = pool.next(node);
        }
    }

    /// Waits `by` longer for the targets.
    pub(in crate::protocol) fn extend(&mut self, by: Duration, pool: &mut RelayPool) {
        let mut node = self.list.head();
        while node != NIL {
            let relay = pool.get_mut(node);
            relay.nack = relay.nack + by;
            relay.expires = relay.expires + by;
            node = pool.next(node);
        }
        self.update_due(pool);
    }

    /// Gives every relay back.
    pub(in crate::protocol) fn clear(&mut self, pool: &mut RelayPool) {
        while self.take(pool, |_| true).is_some() {}
        self.due = Time::NEVER;
    }

    /// Another member asks us to probe `wanted` for it.
    pub(in crate::protocol) fn on_indirect_ping(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        requested: u32,
        wanted: IndirectRequest,
    ) {
        let (from, requester, target) = (origin.address, origin.source, wanted.target);
        let known = cx.shared.directory.find(target).filter(|index| !core.table.get(*index).is_unknown());
        let room = self.len < RELAYS_MAX || cx.shared.behaviour.relays_everything;
        cx.shared.counters.relays_shed += u64::from(!room);
        if known == Some(core.index) {
            return core.send(cx, from, requester, &[Outgoing::Ack { sequence: requested }]);
        }
        // Where the requester takes it to be. At the address that we know of it may have answered for long,
        // and the requester would never doubt an old one.
        let to = wanted.address.or_else(|| known.map(|index| core.identity(index, cx.shared).address()));
        let (Some(to), true, Status::Active) = (to, room, core.status) else {
            if wanted.nack {
                cx.shared.counters.nacks_sent += 1;
                core.send(cx, from, requester, &[Outgoing::Nack { sequence: requested }]);
            }
            return;
        };
        let settings = &core.settings;
        let left = (settings.probe_interval - settings.probe_timeout).min(settings.probe_timeout);
        let (nack_after, expires_after) = if cx.shared.behaviour.late_nacks {
            (settings.probe_timeout, settings.probe_timeout)
        } else {
            (left.mul_f64(0.8), settings.probe_interval)
        };
        self.sequence = self.sequence.wrapping_add(1) | RELAY_BIT;
        let relay = Relay {
            sequence: self.sequence,
            requested,
            requester,
            requester_address: from,
            nack: if wanted.nack { cx.now + nack_after } else { Time::NEVER },
            expires: cx.now + expires_after,
        };
        self.add(relay, &mut cx.shared.relays);
        cx.shared.counters.relays_started += 1;
        core.send(cx, to, target, &[Outgoing::Ping { sequence: relay.sequence }]);
    }

    /// Passes an ack on. False if nobody asked for it.
    pub(in crate::protocol) fn on_ack(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        sequence: u32,
    ) -> bool {
        if self.len == 0 {
            return false;
        }
        let taken = self.take(&mut cx.shared.relays, |relay| relay.sequence == sequence);
        let Some(relay) = taken else { return false };
        self.update_due(&cx.shared.relays);
        let ack = Outgoing::Ack { sequence: relay.requested };
        core.send(cx, relay.requester_address, relay.requester, &[ack]);
        true
    }

    /// Sends the nacks that are due, and forgets what nobody waits for any more.
    #[inline]
    pub(in crate::protocol) fn timeout(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.due <= cx.judged {
            self.on_due(core, cx);
        }
    }

    fn on_due(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        let now = cx.judged;
        while let Some(node) = self.find(&cx.shared.relays, |relay| relay.nack <= now) {
            let relay = cx.shared.relays.get_mut(node);
            relay.nack = Time::NEVER;
            let Relay { requested, requester, requester_address, .. } = *relay;
            cx.shared.counters.nacks_sent += 1;
            core.send(cx, requester_address, requester, &[Outgoing::Nack { sequence: requested }]);
        }
        while self.take(&mut cx.shared.relays, |relay| relay.expires <= now).is_some() {}
        self.update_due(&cx.shared.relays);
    }
}
