//! Who hears what happens on a worker.

use std::net::SocketAddr;

use swimring_codec::{MemberId, memberlist};

use super::join_error::JoinFailure;
use super::members::HostedMember;
use super::messages::{MessageEnd, ReceivedMessage, Reception};
use crate::protocol::{Event, Member, SharedState, Time};

/// Hears what happens to the members of a worker, on the worker's thread: it must be quick and must not
/// block.
pub trait Observer: Send + 'static {
    /// Something happened at a member.
    fn event(&mut self, context: &EventContext<'_>, event: &Event);

    /// A member's timers fired `lag_us` microseconds after the tick they were due at.
    fn timer(&mut self, lag_us: u64) {
        let _ = lag_us;
    }

    /// A native frame of the cluster came from `source`, before it is handled.
    #[inline]
    fn frame(&mut self, now: Time, source: MemberId) {
        let _ = (now, source);
    }

    /// A packet of memberlist's format brought `message` to a member, before it is handled.
    #[inline]
    fn heard(
        &mut self,
        now: Time,
        member: HostedMember,
        from: SocketAddr,
        message: &memberlist::Message<'_>,
    ) {
        let _ = (now, member, from, message);
    }

    /// A packet for a member could not be opened: another key, another label, damage. Nothing in it is handled.
    fn refused(&mut self, now: Time, from: SocketAddr, reason: memberlist::DecodeError) {
        let _ = (now, from, reason);
    }

    /// A direct message has come over a stream: what becomes of it, which its sender is told.
    fn message(&mut self, context: &EventContext<'_>, message: ReceivedMessage<'_>) -> Reception {
        let _ = (context, message);
        Reception::Unheard
    }

    /// A direct message that `member` sent over a stream has ended; `ticket` is the caller's of
    /// [`Host::send_message`](super::Host::send_message).
    fn message_ended(&mut self, member: HostedMember, ticket: u64, end: MessageEnd<'_>) {
        let _ = (member, ticket, end);
    }

    /// A stream to join through ended without a view. [`Event::JoinFinished`] follows.
    fn join_failed(&mut self, member: HostedMember, token: u32, reason: &JoinFailure) {
        let _ = (member, token, reason);
    }
}

/// The surroundings of an event.
#[derive(Debug)]
pub struct EventContext<'a> {
    /// Time of the turn.
    pub now: Time,
    /// The member's number within its worker.
    pub local: HostedMember,
    /// The member.
    pub member: &'a Member,
    /// State that resolves indexes.
    pub shared: &'a SharedState,
}
