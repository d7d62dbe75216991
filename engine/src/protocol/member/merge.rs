//! What a member makes of news about others: alive, suspect, dead, left.
//!
//! Each rule compares incarnation and state with the table entry and either ignores the news, which for
//! nearly all of it takes one hash lookup and one comparison, or adopts it, tells it on, and says what
//! happened. The order of precedence is SWIM's (section 4.2): a higher incarnation always knows better; at
//! the same incarnation dead outranks suspect outranks alive. What two lives say in one incarnation is for `clash`. News about
//! ourselves is answered in `refutation`.

use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State, is_same_place};

use crate::protocol::event::Event;
use crate::protocol::member::Member;
use crate::protocol::member::plausibility::Moved;
use crate::protocol::state::{Context, Core};
use crate::protocol::view::directory::{Full, MemberIndex};
use crate::protocol::view::entry::{Entry, EntryState};
use crate::protocol::wire::{Subject, Update};

/// News that a member that has just joined may have queued and still passes on who else has joined: on the LAN preset gossip
/// is done with so many in some five seconds.
const TOLD_WHILE_JOINING_MAX: u32 = 64;

/// Whom to tell what is new in an introduction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TellOn {
    /// It came in another way than by telling, so nobody else tells it.
    Everyone,
    /// It is being told: those that are ours to tell.
    Ours,
    /// It is one of too many at once.
    Nobody,
}

impl TellOn {
    /// Those that are ours to tell, if any are.
    fn if_asked(self) -> TellOn {
        if self == TellOn::Ours { TellOn::Ours } else { TellOn::Nobody }
    }
}

/// How a live member goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Departing {
    /// Dead: our own suspicion ran out.
    Declared,
    /// Dead: someone else declared it so.
    Failed,
    /// It said goodbye.
    Left,
}

impl Member {
    #[inline(always)]
    pub(super) fn on_alive(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: impl Subject,
        incarnation: Incarnation,
        tag: u8,
        tell_on: TellOn,
    ) {
        let Some((index, entry)) = self.core.lookup(cx, subject) else { return };
        // Nearly all of them are heard again, and end here.
        if incarnation > entry.incarnation() || index == self.core.index {
            self.on_new_alive(cx, (index, entry), incarnation, tag, tell_on);
        }
    }

    /// An update that may say more than we know, or is about us. Not inlined: who has heard it has nothing of it.
    #[inline(never)]
    fn on_new_alive(
        &mut self,
        cx: &mut Context<'_, '_>,
        (index, entry): (MemberIndex, Entry),
        incarnation: Incarnation,
        tag: u8,
        tell_on: TellOn,
    ) {
        if incarnation <= entry.incarnation() || self.core.implausible(cx, entry, incarnation) {
            if index == self.core.index {
                self.spread_estimate.echoed(incarnation.get(), cx.now);
            }
            return;
        }
        if index == self.core.index {
            if self.core.voucher_of_update(cx, (index, entry), incarnation, State::Alive).is_some() {
                self.refute(cx, incarnation, false);
            }
            return;
        }
        if cx.shared.directory.identity(index, entry.version()).tag() != tag {
            // An introduction passed us by. Adopting the incarnation would hide that from the root.
            cx.shared.counters.missed_introduction += 1;
            if entry.state() == Some(State::Suspect) {
                // It has refuted, and roots may take longer than its suspicion: an accusation that is past has it say
                // everything again.
                let accusation = Update::Suspect { accuser: self.core.id };
                self.core.tell_one(cx, index, index, accusation, entry.incarnation());
            }
            return;
        }
        let Some(voucher) = self.core.voucher_of_update(cx, (index, entry), incarnation, State::Alive) else {
            return;
        };
        self.core.keep_voucher(cx, (index, entry.version()), incarnation, State::Alive, voucher);
        // Members that held it dead may have reaped it since, and need it introduced again.
        let introduce = !entry.is_live();
        self.adopt_alive(cx, index, entry, entry.with_incarnation(incarnation));
        if entry.is_live() && self.apart.refutations.is_new_life(cx.now, entry.incarnation(), incarnation) {
            cx.emit(Event::Restarted { subject: index });
        }
        self.core.tell_those(cx, index, Update::Alive { introduce }, incarnation, tell_on);
    }

    /// An introduction of a member that announced `versions`; `tell_on` says whom to tell what is new.
    pub(super) fn on_introduction(
        &mut self,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
        versions: Versions,
        mut tell_on: TellOn,
    ) {
        let mut restated = None;
        let incarnation = introduction.incarnation;
        let known = cx.shared.directory.find(introduction.subject);
        let known = known.map(|index| (index, self.core.table.get(index)));
        let entry = match known {
            Some((index, entry)) if !entry.is_unknown() => {
                if index == self.core.index {
                    return self.on_own_introduction(cx, introduction);
                }
                match self.core.moved(cx, index, entry, introduction) {
                    Moved::Refused => {
                        let (core, refutations) = (&mut self.core, &mut self.apart.refutations);
                        return refutations.tell_owner(core, cx, index, introduction);
                    }
                    Moved::Reclaimed => {}
                    Moved::No { .. } if incarnation <= entry.incarnation() => {
                        if !self.is_greater_life(cx, (index, entry), introduction, tell_on) {
                            return;
                        }
                        // What is right, of which everyone is to hear, its subject says.
                        tell_on = tell_on.if_asked();
                    }
                    Moved::No { .. } if self.core.implausible(cx, entry, incarnation) => return,
                    Moved::No { known } => {
                        restated = known.map(|address| Introduction { address, ..*introduction });
                    }
                }
                entry
            }
            // Incarnation zero is nobody's: a member starts above it.
            _ if incarnation == Incarnation::ZERO => return,
            _ => Entry::UNKNOWN,
        };
        let introduction = restated.as_ref().unwrap_or(introduction);
        let held = known.filter(|(_, entry)| !entry.is_unknown());
        let Some(voucher) = self.core.voucher_of_introduction(cx, held, introduction) else { return };
        if self.core.looks_apart {
            let known = (known.map(|(index, _)| index), entry);
            if !self.admits(cx, known, (introduction, voucher.signature()), (versions, tell_on)) {
                return;
            }
        }
        let Some((index, version)) = self.intern(cx, introduction, versions) else { return };
        self.core.keep_voucher(cx, (index, version), incarnation, State::Alive, voucher);
        let change = self.change_of(cx, index, entry, (incarnation, version));
        let clashes = entry.is_live() && incarnation == entry.incarnation();
        if clashes && entry.is_suspect() {
            // Of whichever life it is.
            self.core.set_entry(cx, index, entry.with_version(version));
        } else {
            self.adopt_alive(cx, index, entry, Entry::new(State::Alive, incarnation, version));
        }
        if let Some(change) = change {
            cx.emit(change);
        }
        if clashes {
            // Where it is held to be from now on.
            self.accuse_of_clash(cx, index, tell_on);
        }
        let tell_on = if entry.is_unknown() { self.meet(cx, index, tell_on) } else { tell_on };
        self.core.tell_those(cx, index, Update::Alive { introduce: true }, incarnation, tell_on);
    }

    /// Whom to tell of the member at `index`, who has joined, if otherwise it were those of `tell_on`.
    ///
    /// Where thousands join at once and acks carry no root, everyone would pass everybody on for minutes. Who has just
    /// joined itself, and has more to tell than gossip gets rid of in a while, leaves that to push/pulls: the next is with
    /// whoever joined last, who knows most.
    fn meet(&mut self, cx: &Context<'_, '_>, index: MemberIndex, tell_on: TellOn) -> TellOn {
        let compares = !cx.shared.wire.rules.carries_roots && !cx.shared.behaviour.push_pulls_on_time;
        if !compares || !self.anti_entropy.is_fresh(cx.now, &self.core.settings) {
            return tell_on;
        }
        if tell_on == TellOn::Ours {
            self.anti_entropy.met(index);
        }
        if self.core.queue.len() >= TOLD_WHILE_JOINING_MAX { TellOn::Nobody } else { tell_on }
    }

    /// What it means that a live member states this incarnation, and the address and metadata of this version: nothing
    /// that the driver is told if it has only refuted.
    fn change_of(
        &self,
        cx: &Context<'_, '_>,
        index: MemberIndex,
        entry: Entry,
        (incarnation, version): (Incarnation, u8),
    ) -> Option<Event> {
        if !entry.is_live() {
            return None;
        }
        let address = |version| cx.shared.directory.identity(index, version).address();
        // A member keeps its address for life.
        let moved = version != entry.version() && !is_same_place(address(entry.version()), address(version));
        if moved || self.apart.refutations.is_new_life(cx.now, entry.incarnation(), incarnation) {
            return Some(Event::Restarted { subject: index });
        }
        (version != entry.version()).then_some(Event::Updated { subject: index })
    }

    fn intern(
        &mut self,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
        versions: Versions,
    ) -> Option<(MemberIndex, u8)> {
        let members_max = self.core.settings.members_max;
        let mut interned = cx.shared.directory.intern(introduction, versions, members_max);
        if interned == Err(Full::Members) && self.core.forget_longest_gone(cx) {
            interned = cx.shared.directory.intern(introduction, versions, members_max);
        }
        match interned {
            Ok(place) => Some(place),
            Err(Full::Members) => {
                cx.shared.counters.members_shed += 1;
                None
            }
            Err(Full::Versions) => {
                cx.shared.counters.versions_shed += 1;
                None
            }
            Err(Full::Zones) => {
                cx.shared.counters.zones_shed += 1;
                None
            }
        }
    }

    /// Makes `index` alive with the entry `new`, whatever it was.
    pub(super) fn adopt_alive(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        old: Entry,
        new: Entry,
    ) {
        self.core.set_entry(cx, index, new.with_state(State::Alive));
        match old.standing() {
            EntryState::Known(State::Alive) => {}
            EntryState::Known(State::Suspect) => {
                let suspicion = self.suspicions.end(cx, index);
                cx.shared.counters.suspicions_refuted += 1;
                debug_assert!(suspicion.is_some(), "a suspect has a suspicion");
                if let Some(suspicion) = suspicion {
                    self.spread_estimate.took(suspicion.lasted);
                    cx.emit(Event::Refuted { subject: index, suspicion });
                }
            }
            EntryState::Unknown | EntryState::Known(_) | EntryState::Remembered => {
                cx.shared.departed.remove(&mut self.core.departed, index);
                cx.shared.counters.members_joined += 1;
                if !cx.shared.behaviour.push_pulls_on_time {
                    self.anti_entropy.member_returned(index, old);
                }
                cx.emit(Event::Joined { subject: index });
            }
        }
    }

    #[inline]
    pub(super) fn on_suspect(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: impl Subject,
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        let Some((index, entry)) = self.core.lookup(cx, subject) else { return };
        if incarnation < entry.incarnation() {
            if index == self.core.index {
                self.reannounce(cx);
            }
            return;
        }
        if index == self.core.index {
            return self.refute(cx, incarnation, false);
        }
        if Core::implausible_accusation(cx, entry, incarnation) {
            return;
        }
        let incarnation = self.core.accused(cx, entry, incarnation);
        match entry.state() {
            Some(State::Alive) => self.suspect(cx, (index, entry), incarnation, accuser),
            // A higher incarnation is a new accusation: the old timer does not count for it.
            Some(State::Suspect)
                if incarnation > entry.incarnation() && !cx.shared.behaviour.one_suspicion_at_a_time =>
            {
                self.suspicions.end(cx, index);
                self.suspect(cx, (index, entry), incarnation, accuser);
            }
            Some(State::Suspect) => {
                self.suspicions.confirm(&mut self.core, cx, index, incarnation, accuser);
            }
            _ => {}
        }
    }

    #[inline]
    pub(super) fn on_dead(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: impl Subject,
        incarnation: Incarnation,
    ) {
        self.on_departure(cx, subject, incarnation, Departing::Failed);
    }

    #[inline]
    pub(super) fn on_left(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: impl Subject,
        incarnation: Incarnation,
    ) {
        self.on_departure(cx, subject, incarnation, Departing::Left);
    }

    fn on_departure(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: impl Subject,
        incarnation: Incarnation,
        departing: Departing,
    ) {
        let Some((index, entry)) = self.core.lookup(cx, subject) else { return };
        if index == self.core.index {
            let past = incarnation < entry.incarnation();
            return if past { self.reannounce(cx) } else { self.refute(cx, incarnation, true) };
        }
        if incarnation < entry.incarnation() || !entry.is_live() {
            return;
        }
        if Core::implausible_accusation(cx, entry, incarnation) {
            return;
        }
        let incarnation = if departing == Departing::Left {
            let left = (incarnation, State::Left);
            let Some(voucher) = self.core.voucher_of_update(cx, (index, entry), left.0, left.1) else {
                return;
            };
            self.core.keep_voucher(cx, (index, entry.version()), left.0, left.1, voucher);
            incarnation
        } else {
            self.core.accused(cx, entry, incarnation)
        };
        self.depart(cx, (index, entry), incarnation, departing);
    }

    /// Takes a live member for dead or left, and tells.
    pub(super) fn depart(
        &mut self,
        cx: &mut Context<'_, '_>,
        (index, entry): (MemberIndex, Entry),
        incarnation: Incarnation,
        departing: Departing,
    ) {
        let accuser = departing == Departing::Declared && self.suspicions.are_ours(&self.core, cx, index);
        let suspicion = self.suspicions.end(cx, index);
        let (state, update) = match departing {
            Departing::Left => (State::Left, Update::Left),
            Departing::Declared | Departing::Failed => (State::Dead, Update::Dead),
        };
        self.core.set_entry(cx, index, entry.with_state(state).with_incarnation(incarnation));
        cx.shared.departed.add(&mut self.core.departed, index, cx.now);
        self.reconnect.departed(cx.now, &self.core);
        if departing == Departing::Left {
            cx.emit(Event::Left { subject: index });
        } else {
            cx.shared.counters.members_failed += 1;
            self.neighbours.died(&mut self.core, cx.now);
            let declared = departing == Departing::Declared;
            if !declared {
                self.probe.died(&mut self.core, index);
            }
            cx.emit(Event::Failed { subject: index, suspicion, declared });
        }
        if accuser || departing == Departing::Declared && !self.core.delegates(cx.shared) {
            self.core.tell_update(cx, index, update, incarnation);
            self.core.tell_the_dead(cx, index, incarnation);
        } else {
            // Everyone's timer ends at about the same time: accusers tell it.
            self.core.retell_update(cx, index, update, incarnation);
        }
    }
}

impl Core {
    /// Has those told of `update` whom `tell_on` says.
    #[inline]
    fn tell_those(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        update: Update,
        incarnation: Incarnation,
        tell_on: TellOn,
    ) {
        match tell_on {
            TellOn::Everyone => self.tell_update(cx, index, update, incarnation),
            TellOn::Ours => self.retell_update(cx, index, update, incarnation),
            TellOn::Nobody => self.leave_untold(cx, index, update),
        }
    }

    /// Whether an introduction of another member can be told to be nothing new, which nearly all are, by its incarnation
    /// or, in the one that is held, by a glance at the rest.
    #[inline]
    pub(super) fn is_old(&self, cx: &Context<'_, '_>, introduction: &Introduction<'_>) -> bool {
        let Some(index) = cx.shared.directory.find(introduction.subject) else { return false };
        let entry = self.table.get(index);
        let tells_by_incarnation = cx.shared.wire.rules.address_kept.is_none() && index != self.index;
        tells_by_incarnation
            && !entry.is_unknown()
            && introduction.incarnation <= entry.incarnation()
            && self.clash(cx, (index, entry), introduction).is_none()
    }

    /// The index and entry of a member that is not unknown.
    #[inline]
    fn lookup(&self, cx: &mut Context<'_, '_>, subject: impl Subject) -> Option<(MemberIndex, Entry)> {
        let found = subject.find(&cx.shared.directory).map(|index| (index, self.table.get(index)));
        match found {
            Some((index, entry)) if !entry.is_unknown() => Some((index, entry)),
            _ => {
                cx.shared.counters.unknown_subject += 1;
                None
            }
        }
    }
}
