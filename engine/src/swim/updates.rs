//! What a member makes of news about others: alive, suspect, dead, left.
//!
//! Each rule compares incarnation and state with the table entry and either ignores the news, which for
//! nearly all of it takes one hash lookup and one comparison, or adopts it, tells it on, and says what
//! happened. The order of precedence is SWIM's (section 4.2): a higher incarnation always knows better; at
//! the same incarnation dead outranks suspect outranks alive. News about ourselves is answered in
//! `refutation`.

use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State, identity_hash};

use super::broadcasts::News;
use super::directory::{Full, MemberIndex};
use super::event::{Event, SuspicionSummary};
use super::member::{Context, Member};
use super::suspicion::{Suspicion, confirmations_needed};
use super::table::{Entry, Standing};

/// How far above the known incarnation news may lie. A member raises its own by one at a time and starts
/// from seconds of wall time, so 2^27 covers four years between two starts, while someone who forges
/// incarnations needs two million accepted steps to exhaust the 48 bits, each of which the subject outranks
/// (memberlist needs one message: hashicorp/memberlist#358).
pub(super) const INCARNATION_STEP_MAX: u64 = 1 << 27;

impl Member {
    /// The index and entry of a member that is not unknown.
    #[inline]
    fn lookup(&self, cx: &mut Context<'_, '_>, subject: MemberId) -> Option<(MemberIndex, Entry)> {
        let found = cx.commons.directory.find(subject).map(|index| (index, self.table.get(index)));
        match found {
            Some((index, entry)) if !entry.is_unknown() => Some((index, entry)),
            _ => {
                cx.commons.counters.unknown_subject += 1;
                None
            }
        }
    }

    /// Whether `incarnation` lies further above `entry` than a member could have raised it.
    fn implausible(cx: &mut Context<'_, '_>, entry: Entry, incarnation: Incarnation) -> bool {
        let implausible = incarnation.get() > entry.incarnation().get() + INCARNATION_STEP_MAX;
        cx.commons.counters.implausible_incarnation += u64::from(implausible);
        implausible
    }

    #[inline]
    pub(super) fn on_alive(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberId,
        incarnation: Incarnation,
        tag: u8,
    ) {
        let Some((index, entry)) = self.lookup(cx, subject) else { return };
        if incarnation <= entry.incarnation() || Self::implausible(cx, entry, incarnation) {
            return;
        }
        if index == self.index {
            return self.refute(cx, incarnation, false);
        }
        if cx.commons.directory.identity(index, entry.version()).tag() != tag {
            // An introduction passed us by. Adopting the incarnation would hide that from the root.
            cx.commons.counters.missed_introduction += 1;
            return;
        }
        // Whoever held it dead may have reaped it since: those need to be introduced again.
        let introduce = !entry.is_live();
        self.adopt_alive(cx, index, entry, entry.with_incarnation(incarnation));
        self.tell(cx, index, News::Alive { introduce }, incarnation);
    }

    /// An introduction; `spread` says whether to tell it on.
    pub(super) fn on_introduction(
        &mut self,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
        spread: bool,
    ) {
        let incarnation = introduction.incarnation;
        let known = cx.commons.directory.find(introduction.subject);
        let known = known.map(|index| (index, self.table.get(index)));
        let entry = match known {
            Some((_, entry)) if !entry.is_unknown() => {
                if known.is_some_and(|(index, _)| index == self.index) {
                    return self.on_own_introduction(cx, introduction);
                }
                if incarnation <= entry.incarnation() || Self::implausible(cx, entry, incarnation) {
                    return;
                }
                entry
            }
            // Incarnation zero is nobody's: a member starts above it.
            _ if incarnation == Incarnation::ZERO => return,
            _ => Entry::UNKNOWN,
        };
        let Some((index, version)) = self.intern(cx, introduction) else { return };
        let moved = !entry.is_unknown() && entry.version() != version;
        self.adopt_alive(cx, index, entry, Entry::new(State::Alive, incarnation, version));
        if moved && entry.is_live() {
            cx.emit(Event::Updated { subject: index });
        }
        if spread {
            self.tell(cx, index, News::Alive { introduce: true }, incarnation);
        }
    }

    fn intern(
        &mut self,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
    ) -> Option<(MemberIndex, u8)> {
        let hash = identity_hash(introduction.address, introduction.metadata);
        let members_max = self.settings.members_max;
        let mut interned = cx.commons.directory.intern(introduction, hash, members_max);
        if interned == Err(Full::Members) && self.forget_longest_gone(cx) {
            interned = cx.commons.directory.intern(introduction, hash, members_max);
        }
        match interned {
            Ok(place) => Some(place),
            Err(Full::Members) => {
                cx.commons.counters.members_shed += 1;
                None
            }
            Err(Full::Versions) => {
                cx.commons.counters.versions_shed += 1;
                None
            }
        }
    }

    /// Makes `index` alive with the entry `new`, whatever it was.
    fn adopt_alive(&mut self, cx: &mut Context<'_, '_>, index: MemberIndex, old: Entry, new: Entry) {
        self.set_entry(cx, index, new.with_state(State::Alive));
        match old.standing() {
            Standing::Known(State::Alive) => {}
            Standing::Known(State::Suspect) => {
                let suspicion = self.end_suspicion(cx, index);
                cx.commons.counters.suspicions_refuted += 1;
                debug_assert!(suspicion.is_some(), "whoever is suspect has a suspicion");
                if let Some(suspicion) = suspicion {
                    cx.emit(Event::Refuted { subject: index, suspicion });
                }
            }
            Standing::Unknown | Standing::Known(_) | Standing::Remembered => {
                cx.commons.departed.remove(&mut self.departed, index);
                cx.commons.counters.members_joined += 1;
                self.anti_entropy.member_returned(index, old);
                cx.emit(Event::Joined { subject: index });
            }
        }
    }

    #[inline]
    pub(super) fn on_suspect(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberId,
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        let Some((index, entry)) = self.lookup(cx, subject) else { return };
        if incarnation < entry.incarnation() {
            if index == self.index {
                self.restate(cx);
            }
            return;
        }
        if index == self.index {
            return self.refute(cx, incarnation, false);
        }
        if Self::implausible(cx, entry, incarnation) {
            return;
        }
        match entry.state() {
            Some(State::Alive) => self.suspect(cx, index, entry, incarnation, accuser),
            // A higher incarnation is a new accusation: the old timer does not count for it.
            Some(State::Suspect) if incarnation > entry.incarnation() => {
                self.end_suspicion(cx, index);
                self.suspect(cx, index, entry, incarnation, accuser);
            }
            Some(State::Suspect) => self.confirm(cx, index, incarnation, accuser),
            _ => {}
        }
    }

    fn confirm(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        if cx.commons.suspicions.confirm(&mut self.suspicions, index, accuser) {
            self.suspicion_due = cx.commons.suspicions.due(&self.suspicions);
            cx.commons.counters.suspicions_confirmed += 1;
            self.tell(cx, index, News::Suspect { accuser }, incarnation);
        }
    }

    /// Ends the suspicion of `index`, if there is one, and says how it went.
    pub(super) fn end_suspicion(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
    ) -> Option<SuspicionSummary> {
        let summary = cx.commons.suspicions.end(&mut self.suspicions, index, cx.now);
        self.suspicion_due = cx.commons.suspicions.due(&self.suspicions);
        summary
    }

    /// Begins to suspect `index`, and tells.
    pub(super) fn suspect(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        entry: Entry,
        incarnation: Incarnation,
        accuser: MemberId,
    ) {
        let members = self.table.known();
        let timeouts = self.settings.suspicion_timeouts(members);
        let needed = confirmations_needed(self.settings.suspicion_multiplier, members);
        let suspicion = Suspicion::new(cx.now, index, incarnation, accuser, timeouts, needed);
        if !cx.commons.suspicions.start(&mut self.suspicions, suspicion) {
            cx.commons.counters.suspicions_shed += 1;
            self.set_entry(cx, index, entry.with_state(State::Alive));
            return;
        }
        self.suspicion_due = cx.commons.suspicions.due(&self.suspicions);
        self.set_entry(cx, index, entry.with_state(State::Suspect).with_incarnation(incarnation));
        cx.commons.counters.suspicions_started += 1;
        if entry.is_alive() {
            cx.emit(Event::Suspected { subject: index, accuser });
        }
        self.tell(cx, index, News::Suspect { accuser }, incarnation);
    }

    /// Declares dead whoever did not refute in time.
    pub(super) fn suspicion_timeout(&mut self, cx: &mut Context<'_, '_>) {
        while let Some(suspicion) = cx.commons.suspicions.expired(&self.suspicions, cx.now) {
            let entry = self.table.get(suspicion.subject);
            debug_assert_eq!(entry.state(), Some(State::Suspect));
            self.depart(cx, suspicion.subject, entry, suspicion.incarnation, State::Dead, true);
        }
    }

    #[inline]
    pub(super) fn on_dead(&mut self, cx: &mut Context<'_, '_>, subject: MemberId, incarnation: Incarnation) {
        self.on_departure(cx, subject, incarnation, State::Dead);
    }

    #[inline]
    pub(super) fn on_left(&mut self, cx: &mut Context<'_, '_>, subject: MemberId, incarnation: Incarnation) {
        self.on_departure(cx, subject, incarnation, State::Left);
    }

    fn on_departure(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberId,
        incarnation: Incarnation,
        state: State,
    ) {
        let Some((index, entry)) = self.lookup(cx, subject) else { return };
        if index == self.index {
            let past = incarnation < entry.incarnation();
            return if past { self.restate(cx) } else { self.refute(cx, incarnation, true) };
        }
        if incarnation < entry.incarnation() || !entry.is_live() {
            return;
        }
        if !Self::implausible(cx, entry, incarnation) {
            self.depart(cx, index, entry, incarnation, state, false);
        }
    }

    /// Takes a live member for dead or left, and tells. `declared` says that our own suspicion ran out.
    fn depart(
        &mut self,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        entry: Entry,
        incarnation: Incarnation,
        state: State,
        declared: bool,
    ) {
        let suspicion = self.end_suspicion(cx, index);
        self.set_entry(cx, index, entry.with_state(state).with_incarnation(incarnation));
        cx.commons.departed.add(&mut self.departed, index, cx.now);
        self.reconnect.departed(cx.now, &self.settings);
        if state == State::Dead {
            cx.commons.counters.members_failed += 1;
            cx.emit(Event::Failed { subject: index, suspicion, declared });
            self.tell(cx, index, News::Dead, incarnation);
        } else {
            cx.emit(Event::Left { subject: index });
            self.tell(cx, index, News::Left, incarnation);
        }
    }
}
