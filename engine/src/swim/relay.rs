//! Indirect probes on behalf of others (SWIM section 3.1, Lifeguard section IV.A).
//!
//! A relay pings the target under a sequence number of its own, passes the ack on, and sends a nack if
//! none has come in time. "In time" is what upstream gets wrong: a nack has to leave early enough to reach
//! the prober before its probe ends (apple/swift-cluster-membership#6), so it leaves at 80 % of the shorter
//! of probe timeout and what the prober has left.

use std::net::SocketAddr;

use swimring_codec::MemberId;
use swimring_codec::native::Message;

use super::member::{Context, Member, Status};
use super::time::Time;

/// Most relays under way at a member. One member is asked three times a second even if a third of a
/// large cluster fails at once; more are refused with a nack.
const RELAYS_MAX: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Relay {
    /// Of our ping.
    sequence: u32,
    /// Of the request.
    requested: u32,
    requester: MemberId,
    requester_address: SocketAddr,
    /// When to send the nack; [`Time::NEVER`] once sent.
    nack: Time,
    expires: Time,
}

/// The relays under way.
#[derive(Debug)]
pub(super) struct Relays {
    list: Vec<Relay>,
    due: Time,
    sequence: u32,
}

/// Relays use the upper half of the sequence numbers' last bit so that they never meet the member's own
/// probes.
const RELAY_BIT: u32 = 1 << 31;

impl Relays {
    pub(super) fn new() -> Relays {
        Relays { list: Vec::with_capacity(2), due: Time::NEVER, sequence: 0 }
    }

    #[inline]
    pub(super) fn due(&self) -> Time {
        self.due
    }

    fn update_due(&mut self) {
        self.due = self.list.iter().map(|relay| relay.nack.min(relay.expires)).min().unwrap_or(Time::NEVER);
    }
}

impl Member {
    pub(super) fn on_indirect_ping(
        &mut self,
        cx: &mut Context<'_, '_>,
        from: SocketAddr,
        requester: MemberId,
        requested: u32,
        target: MemberId,
    ) {
        let known = cx.commons.directory.find(target).filter(|index| !self.table.get(*index).is_unknown());
        let room = self.relays.list.len() < RELAYS_MAX;
        cx.commons.counters.relays_shed += u64::from(!room);
        let (Some(index), true, Status::Active) = (known, room, self.status) else {
            cx.commons.counters.nacks_sent += 1;
            return self.send(cx, from, requester, &[Message::Nack { sequence: requested }]);
        };
        if index == self.index {
            return self.send(cx, from, requester, &[Message::Ack { sequence: requested }]);
        }
        let settings = &self.settings;
        let left = (settings.probe_interval - settings.probe_timeout).min(settings.probe_timeout);
        self.relays.sequence = self.relays.sequence.wrapping_add(1) | RELAY_BIT;
        let relay = Relay {
            sequence: self.relays.sequence,
            requested,
            requester,
            requester_address: from,
            nack: cx.now + left.mul_f64(0.8),
            expires: cx.now + settings.probe_interval,
        };
        self.relays.list.push(relay);
        self.relays.due = self.relays.due.min(relay.nack);
        cx.commons.counters.relays_started += 1;
        let to = self.identity(index, cx.commons).address();
        self.send(cx, to, target, &[Message::Ping { sequence: relay.sequence }]);
    }

    /// Passes an ack on. False if nobody asked for it.
    pub(super) fn relay_ack(&mut self, cx: &mut Context<'_, '_>, sequence: u32) -> bool {
        let Some(at) = self.relays.list.iter().position(|relay| relay.sequence == sequence) else {
            return false;
        };
        let relay = self.relays.list.swap_remove(at);
        self.relays.update_due();
        let ack = Message::Ack { sequence: relay.requested };
        self.send(cx, relay.requester_address, relay.requester, &[ack]);
        true
    }

    pub(super) fn relay_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.relays.due > cx.now {
            return;
        }
        for at in 0..self.relays.list.len() {
            let relay = self.relays.list[at];
            if relay.nack <= cx.now {
                self.relays.list[at].nack = Time::NEVER;
                cx.commons.counters.nacks_sent += 1;
                let nack = Message::Nack { sequence: relay.requested };
                self.send(cx, relay.requester_address, relay.requester, &[nack]);
            }
        }
        self.relays.list.retain(|relay| relay.expires > cx.now);
        self.relays.update_due();
    }
}
