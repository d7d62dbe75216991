//! Queueing: what a member has to tell goes into its queue here, and what happens when it leaves the queue.
//!
//! The queue itself is in [`crate::protocol::shared_lists::broadcasts`]. An update leaves it when it has been sent often enough, when a newer one
//! about the same member takes its place, or when the queue is full.

use swimring_codec::Incarnation;

use crate::protocol::shared_lists::broadcasts::{Broadcast, Dequeued};
use crate::protocol::shared_lists::delegation::Range;
use crate::protocol::shared_lists::events::{EventStore, PartEnd};
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::wire::{Outgoing, Update};

impl Core {
    /// Has everyone told of `update` about `subject`, which nobody has told before: it is ours, or of our own
    /// observation.
    pub(in crate::protocol) fn tell_update(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        update: Update,
        incarnation: Incarnation,
    ) {
        if self.delegates(cx.shared) {
            self.delegate(cx, subject, update, incarnation, Range::Everyone);
        } else {
            self.queue_update(cx, subject, update, incarnation);
        }
    }

    /// Has those told of `update` about `subject` who are ours to tell: we have heard it from others, who tell it too.
    pub(in crate::protocol) fn retell_update(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        update: Update,
        incarnation: Incarnation,
    ) {
        if !self.delegates(cx.shared) {
            return self.queue_update(cx, subject, update, incarnation);
        }
        match cx.asked {
            Some(_) => self.delegate_asked(cx, subject, update, incarnation),
            None => self.leave_untold(cx, subject, update),
        }
    }

    /// Queues news about `subject` and takes note of what had to go for it.
    fn queue_update(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        news: Update,
        incarnation: Incarnation,
    ) {
        let said = Outgoing::Update { subject, update: news, incarnation };
        let length = self.part_len(cx.shared, &said);
        let (broadcasts, queue) = (&mut cx.shared.broadcasts, &mut self.queue);
        if self.table.get(subject).is_queued() {
            broadcasts.remove_update(queue, subject);
        }
        let broadcast = Broadcast::new(subject, news, incarnation, length);
        let shed = broadcasts.queue_update(queue, broadcast, self.settings.broadcasts_max);
        self.table.set_queued(subject, true);
        cx.shared.counters.broadcasts_queued += 1;
        if let Some(gone) = shed {
            cx.shared.counters.broadcasts_shed += 1;
            self.broadcast_gone(cx, gone);
        }
    }

    /// Drops what is queued about `subject`, of whom something newer has been learned that is not told: it would be said with
    /// what is new, at an incarnation of before.
    pub(super) fn drop_update(&mut self, cx: &mut Context<'_, '_>, subject: MemberIndex) {
        if self.table.get(subject).is_queued() {
            cx.shared.broadcasts.remove_update(&mut self.queue, subject);
            self.table.set_queued(subject, false);
        }
    }

    /// Takes note of what left the queue.
    pub(super) fn broadcast_gone(&mut self, cx: &mut Context<'_, '_>, gone: Dequeued) {
        if gone.news == Update::Event {
            let told = cx.shared.events.release_part(gone.subject, self.number, PartEnd::Told);
            cx.out.events.extend(told);
            return self.event_gone(cx, gone.subject);
        }
        self.table.set_queued(gone.subject, false);
        // Other news about us, of a metadata change for instance, may end before the goodbye has even begun.
        if gone.subject == self.index && gone.news == Update::Left && self.status == Status::Leaving {
            self.finish_leaving(cx);
        }
    }

    /// Drops what is queued: there is nobody to tell.
    pub(in crate::protocol) fn drop_queue(&mut self, cx: &mut Context<'_, '_>) {
        // Whoever leaves no longer tells what else there was to tell.
        let others = self.table.live() > usize::from(self.status == Status::Active);
        let end = if others { PartEnd::GivenUp } else { PartEnd::Told };
        let (number, happened) = (self.number, &mut *cx.out.events);
        let mut over = |events: &mut EventStore, at| happened.extend(events.release_part(at, number, end));
        let shared = &mut *cx.shared;
        let (table, events) = (&mut self.table, &mut shared.events);
        shared.broadcasts.clear(&mut self.queue, |gone| match gone.news {
            Update::Event => over(events, gone.subject),
            _ => table.set_queued(gone.subject, false),
        });
        self.drop_delegations(shared, over);
        if self.status == Status::Leaving {
            self.finish_leaving(cx);
        }
    }
}
