//! Delegated broadcast: telling everyone at one copy each.
//!
//! Whoever has something to tell divides the cluster ([`super::division`]) and asks one member of each part to tell the
//! rest of it. A member that is asked takes its part over: it divides it in turn, and acknowledges at once, so that
//! no branch is lost with a packet. What it knew before and has told on for somebody else it only acknowledges: two
//! broadcasts of one thing end where they meet. What it knew in another way, from a push/pull for instance, it
//! takes over like anything else, which the table's *untold* mark is for.
//!
//! Who begins: the member itself tells what it says of itself; an accuser its own suspicion or confirmation; a death
//! only a member whose own probe failed. Everybody's timer ends at about the same time, and n members that all
//! began would send n broadcasts. What nobody was told of, repair brings.
//!
//! While the driver is behind in reading, a death, which took seconds to find, leaves once little lies unread: what is told at the same
//! time and is new to everybody, a user event, would stand behind it in a queue at each of its steps.
//!
//! When frames leave, and what they carry, is in `delegation_frames`.

use std::time::Duration;

use swimring_codec::Incarnation;
use swimring_codec::native::PREFIX_BITS_MAX;

use crate::protocol::dissemination::delegates::{Known, SAME_AGAIN, retry, says};
use crate::protocol::dissemination::division::Division;
use crate::protocol::event::{Event, EventIndex};
use crate::protocol::settings::Dissemination;
use crate::protocol::shared_lists::delegation::{Delegation, News, Part, Range, Retry};
use crate::protocol::shared_lists::delegations::{HOLD_FROM, UPDATES_MAX};
use crate::protocol::shared_lists::events::{EventStore, PartEnd};
use crate::protocol::state::{Context, Core, SharedState, Status, ViewFirst};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::wire::{Outgoing, Sender, Update};

/// How long one member stays the delegate of a part.
const SLOT: Duration = Duration::from_secs(1);

/// How long a member remembers that it has not told on what it knows. Broadcasts are over long before.
const UNTOLD_MEMORY: Duration = Duration::from_secs(30);

impl Core {
    /// Whether this member tells by delegating.
    #[inline]
    pub(in crate::protocol) fn delegates(&self, shared: &SharedState) -> bool {
        shared.wire.rules.delegates && self.settings.dissemination == Dissemination::Delegated
    }

    /// Whom a delegation with `prefix_bits` and this zone's tag asks us to tell. Its sender may hold us to be in another
    /// zone than we are.
    #[inline]
    pub(in crate::protocol) fn asked_range(
        &self,
        cx: &Context<'_, '_>,
        zone_tag: u16,
        prefix_bits: u8,
    ) -> Range {
        let zone = cx.shared.directory.zones().tagged(zone_tag, self.zone);
        zone.map_or(Range::Nobody, |zone| Range::Zone { zone, prefix_bits })
    }

    /// Tells everyone else in `range`.
    pub(in crate::protocol) fn delegate(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: u32,
        update: Update,
        incarnation: Incarnation,
        range: Range,
    ) {
        self.delegate_all(cx, &[News { subject, update, incarnation }], range, false);
    }

    /// Tells those whom the frame that is taken in asks us to tell, once the rest of it has been read: what it brings is divided
    /// once, as all of it goes to the same members.
    pub(in crate::protocol) fn delegate_asked(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        update: Update,
        incarnation: Incarnation,
    ) {
        if cx.shared.asked_news.len() >= UPDATES_MAX {
            self.delegate_read(cx);
        }
        cx.shared.asked_news.push(News { subject, update, incarnation });
    }

    /// What we were asked to tell under the mark before this has been read.
    #[inline]
    pub(in crate::protocol) fn delegate_read(&mut self, cx: &mut Context<'_, '_>) {
        if !cx.shared.asked_news.is_empty() {
            self.delegate_all_asked(cx);
        }
    }

    /// Apart from [`Core::delegate_read`], which every frame comes through.
    #[inline(never)]
    fn delegate_all_asked(&mut self, cx: &mut Context<'_, '_>) {
        let mut news = std::mem::take(&mut cx.shared.asked_news);
        let introduced = std::mem::take(&mut cx.introduced);
        let all_of_ours = Range::Zone { zone: self.zone, prefix_bits: 0 };
        match cx.asked {
            Some(range) if introduced && range == all_of_ours && self.rushes && !self.joining => {
                self.gather(cx, &news);
            }
            Some(range) => self.delegate_asked_view(cx, &news, range),
            None => {}
        }
        news.clear();
        cx.shared.asked_news = news;
    }

    /// The same of `news` of which our own view may have to be told first: we get the sender's before.
    fn delegate_asked_view(&mut self, cx: &mut Context<'_, '_>, news: &[News], range: Range) {
        if let (Range::Zone { prefix_bits: PREFIX_BITS_MAX, .. }, Some(view)) = (range, cx.view_first) {
            return self.take_over_view(cx, view);
        }
        match cx.view_first {
            Some(ViewFirst::Wanted) => self.fetch_view(cx),
            Some(ViewFirst::Had) => self.note_rush_told(cx.now),
            None => {}
        }
        self.delegate_all(cx, news, range, cx.view_first.is_some());
    }

    /// Tells everyone else in `range` of `news`, who are to get our view first or not.
    pub(super) fn delegate_all(
        &mut self,
        cx: &mut Context<'_, '_>,
        news: &[News],
        range: Range,
        view_first: bool,
    ) {
        let now = cx.now;
        // Events wait for nobody.
        let lacks = self.lacks_view() && news.iter().all(|news| news.update != Update::Event);
        if (self.joining || lacks)
            && let Range::Zone { zone, prefix_bits } = range
        {
            let part = Part { delegate: self.index, zone, prefix_bits, view_first };
            return self.defer(cx, news, part);
        }
        // Where it is told to one alone, that one tells us.
        if view_first && !matches!(range, Range::Only(_)) {
            self.note_rush_told(now);
        }
        let division = self.division(now);
        let behind = cx.lies_unread() >= HOLD_FROM;
        let SharedState { directory, delegations, events, counters, unheard, .. } = &mut *cx.shared;
        let directory: &Directory = directory;
        let known = Known { table: &self.table, directory, unheard, list: (self.number, &self.unheard), now };
        let (own, number, index) = (&mut self.delegations, self.number, self.index);
        let (mut goodbyes, mut held) = (0, 0);
        division.divide(
            directory.zones(),
            range,
            |zone, index| known.candidate_in(zone, index),
            |part| {
                let part = Part { view_first, ..part };
                for News { subject, update, incarnation } in news.iter().copied() {
                    let delegation =
                        Delegation { subject, update, incarnation, part, since: now, attempt: 0 };
                    let holds = behind && update == Update::Dead;
                    let added = if holds {
                        delegations.hold(own, delegation)
                    } else {
                        delegations.add(own, delegation)
                    };
                    if added {
                        held += u64::from(holds);
                        goodbyes += u32::from(update == Update::Left && subject == index);
                        if update == Update::Event {
                            events.retain(subject);
                            events.begin_part(subject, number);
                        }
                    } else {
                        counters.delegations_shed += 1;
                        if update == Update::Event {
                            events.give_up_part(subject, number);
                        }
                    }
                }
            },
        );
        self.goodbyes += goodbyes;
        cx.shared.counters.delegations_held += held;
    }

    /// Has `news` wait until we have joined. Not user events: those that are to be told by then are repaired.
    fn defer(&mut self, cx: &mut Context<'_, '_>, news: &[News], part: Part) {
        for News { subject, update, incarnation } in news.iter().copied() {
            let delegation = Delegation { subject, update, incarnation, part, since: cx.now, attempt: 0 };
            let kept =
                update != Update::Event && cx.shared.delegations.defer(&mut self.delegations, delegation);
            cx.shared.counters.delegations_shed += u64::from(!kept);
        }
    }

    /// We have joined, or others have joined through us: tells what has waited for it, as much of it at once as goes to the same
    /// members.
    pub(in crate::protocol) fn tell_deferred(&mut self, cx: &mut Context<'_, '_>) {
        self.joining = false;
        if self.delegations.defers_nothing() || self.lacks_view() {
            return;
        }
        let mut news = std::mem::take(&mut cx.shared.asked_news);
        let mut told = None;
        loop {
            let next = cx.shared.delegations.next_deferred(&mut self.delegations);
            let part = next.map(|delegation| delegation.part);
            if part != told || news.len() >= UPDATES_MAX {
                if let Some(Part { zone, prefix_bits, view_first, .. }) = told {
                    self.delegate_all(cx, &news, Range::Zone { zone, prefix_bits }, view_first);
                }
                news.clear();
                told = part;
            }
            let Some(Delegation { subject, update, incarnation, .. }) = next else { break };
            if says(self.table.get(subject), update, incarnation) {
                news.push(News { subject, update, incarnation });
            }
        }
        cx.shared.asked_news = news;
    }

    pub(super) fn division(&self, now: Time) -> Division {
        let slot = now.as_micros() / SLOT.as_micros() as u64;
        Division { own: self.id, zone: self.zone, step_bits: self.settings.delegation_bits, slot }
    }

    /// Notes that `update` about `subject` was learned without having been asked to tell it. Of accusations the
    /// suspicion takes note.
    pub(in crate::protocol) fn leave_untold(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        update: Update,
    ) {
        if !self.delegates(cx.shared) {
            return self.drop_update(cx, subject);
        }
        if matches!(update, Update::Suspect { .. }) {
            return;
        }
        self.table.set_untold(subject, true);
        if self.untold_since == Time::NEVER {
            self.untold_since = cx.now;
        }
    }

    /// Says again that we live, to the member whose frame showed that it has missed it. Told to everyone it would
    /// reach nobody: who knows it does not tell it on again.
    pub(in crate::protocol) fn repeat_own(&mut self, cx: &mut Context<'_, '_>, incarnation: Incarnation) {
        let update = Update::Alive { introduce: true };
        match cx.sender {
            Some((to, destination)) if self.delegates(cx.shared) => {
                let said = Outgoing::Update { subject: self.index, update, incarnation };
                self.send_bare(cx, to, destination, &[said]);
            }
            _ => self.tell_update(cx, self.index, update, incarnation),
        }
    }

    /// Tells whoever accuses us that we live, if it is nobody to us, and so is in no part of the cluster that we tell: two
    /// halves of a cluster that hold each other dead meet in such a frame. With gossip the refutation goes along with
    /// the ack.
    pub(in crate::protocol) fn tell_unlisted_accuser(
        &mut self,
        cx: &mut Context<'_, '_>,
        incarnation: Incarnation,
    ) {
        let Some((_, source)) = cx.sender else { return };
        let known = cx.shared.directory.find(source).map(|index| self.table.get(index));
        let told = known.is_some_and(|entry| entry.is_alive() || entry.is_suspect());
        if self.delegates(cx.shared) && !told {
            self.repeat_own(cx, incarnation);
        }
    }

    /// Tells one member about another, in a frame of its own.
    pub(in crate::protocol) fn tell_one(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: MemberIndex,
        subject: MemberIndex,
        update: Update,
        incarnation: Incarnation,
    ) {
        let address = self.identity(to, cx.shared).address();
        let destination = cx.shared.directory.id(to);
        self.send_bare(cx, address, destination, &[Outgoing::Update { subject, update, incarnation }]);
    }

    /// Tells `subject` itself that we have declared it dead, so that it can refute if it lives. With gossip the dead
    /// are told like everybody else for a while.
    pub(in crate::protocol) fn tell_the_dead(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        incarnation: Incarnation,
    ) {
        if self.delegates(cx.shared) {
            self.tell_one(cx, subject, subject, Update::Dead, incarnation);
        }
    }

    /// Forgets what is untold once nobody asks for it any more.
    fn forget_untold(&mut self, now: Time) {
        if self.untold_since != Time::NEVER && now.since(self.untold_since) >= UNTOLD_MEMORY {
            self.untold_since = Time::NEVER;
            self.table.clear_untold();
        }
    }

    /// Answers whoever delegated something to us under `number`.
    pub(in crate::protocol) fn acknowledge(
        &mut self,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        number: u32,
    ) {
        cx.shared.counters.delegation_acks_sent += 1;
        self.send_bare(cx, origin.address, origin.source, &[Outgoing::DelegationAck { number }]);
    }

    /// Our delegation `number` was acknowledged.
    pub(in crate::protocol) fn on_delegation_ack(
        &mut self,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        number: u32,
    ) {
        let Some(from) = cx.shared.directory.find(origin.source) else { return };
        let SharedState { delegations, events, unheard, .. } = &mut *cx.shared;
        unheard.remove((self.number, &mut self.unheard), from);
        let mut ending = Ending::of(self.index, self.number, events, cx.out.events);
        let gone = |gone: Delegation| ending.note(&gone, PartEnd::Told);
        let expected = delegations.acknowledge(&mut self.delegations, number, from, cx.now, gone);
        let goodbyes = ending.goodbyes;
        let counters = &mut cx.shared.counters;
        counters.delegations_acknowledged += u64::from(expected);
        counters.delegation_acks_unexpected += u64::from(!expected);
        self.said_goodbye(cx, goodbyes);
    }

    /// What is due of our delegations: acknowledgements that did not come, and frames that may leave.
    #[inline]
    pub(in crate::protocol) fn delegation_timeout(&mut self, cx: &mut Context<'_, '_>) {
        self.forget_untold(cx.now);
        self.newcomers_timeout(cx);
        if !self.delegations.is_empty() {
            self.retry_and_pass_on(cx);
        }
    }

    fn retry_and_pass_on(&mut self, cx: &mut Context<'_, '_>) {
        if !self.joining {
            self.tell_deferred(cx);
        }
        while self.retry_one_frame(cx) {}
        self.pass_on(cx);
    }

    /// Finds somebody else for what one frame carried that was not acknowledged in time. False if there is none.
    fn retry_one_frame(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let (division, now) = (self.division(cx.now), cx.now);
        let SharedState { directory, delegations, events, counters, unheard, .. } = &mut *cx.shared;
        let directory: &Directory = directory;
        let distrusts = self.delegations.distrusts();
        if let Some((delegate, attempts)) = delegations.unanswered(&self.delegations, cx.judged)
            && (distrusts || attempts >= SAME_AGAIN)
        {
            unheard.add((self.number, &mut self.unheard), delegate, now);
        }
        let known = Known { table: &self.table, directory, unheard, list: (self.number, &self.unheard), now };
        let mut ending = Ending::of(self.index, self.number, events, cx.out.events);
        let any = delegations.expire(&mut self.delegations, cx.judged, |unheard| {
            let next = retry(unheard, &division, &known, distrusts);
            match next {
                Retry::Send(_) => counters.delegations_retried += 1,
                Retry::GiveUp => {
                    counters.delegations_given_up += 1;
                    ending.note(unheard, PartEnd::GivenUp);
                }
                Retry::Drop => {
                    counters.delegations_dropped += 1;
                    ending.note(unheard, PartEnd::Told);
                }
            }
            next
        });
        let goodbyes = ending.goodbyes;
        self.said_goodbye(cx, goodbyes);
        any
    }

    /// So many parts have been told of our goodbye, or cannot be. After the last we are gone.
    pub(super) fn said_goodbye(&mut self, cx: &mut Context<'_, '_>, parts: u32) {
        if parts == 0 {
            return;
        }
        self.goodbyes = self.goodbyes.saturating_sub(parts);
        if self.goodbyes == 0 && self.status == Status::Leaving {
            self.drop_queue(cx);
        }
    }

    /// Drops what is delegated: nobody is to be told any more. Tells `over` of each event.
    pub(in crate::protocol) fn drop_delegations(
        &mut self,
        shared: &mut SharedState,
        mut over: impl FnMut(&mut EventStore, EventIndex),
    ) {
        let SharedState { delegations, events, unheard, .. } = shared;
        unheard.clear((self.number, &mut self.unheard));
        delegations.clear(&mut self.delegations, |gone| {
            if gone.update == Update::Event {
                over(events, gone.subject);
            }
        });
        self.goodbyes = 0;
    }
}

/// Takes note of delegations that are over: acknowledged, given up, or not worth telling any more.
pub(super) struct Ending<'a> {
    own: MemberIndex,
    /// Our number in the store of events.
    number: u32,
    events: &'a mut EventStore,
    /// Where the application is told.
    happened: &'a mut Vec<Event>,
    /// Parts of our own goodbye that are over.
    pub(super) goodbyes: u32,
}

impl<'a> Ending<'a> {
    pub(super) fn of(
        own: MemberIndex,
        number: u32,
        events: &'a mut EventStore,
        happened: &'a mut Vec<Event>,
    ) -> Ending<'a> {
        Ending { own, number, events, happened, goodbyes: 0 }
    }

    pub(super) fn note(&mut self, gone: &Delegation, end: PartEnd) {
        if gone.update == Update::Event {
            self.happened.extend(self.events.release_part(gone.subject, self.number, end));
        }
        self.goodbyes += u32::from(gone.update == Update::Left && gone.subject == self.own);
    }
}
