//! Who may come into the view: members in the networks that are allowed, and, where the application is asked, those that
//! it admits.
//!
//! The door is [`Member::admits`]. It is asked about introductions of members that are not known, and about addresses
//! that known ones move to; nothing else that arrives costs anything. The protocol does not wait for the application: an
//! introduction about which it is asked is put aside, in bounded room, and counts as if it had not come. Once there is a
//! word, or its time is over and the setting decides, it is taken in as if it had come then. A word is remembered for a
//! while, so that gossip about one who was refused asks nobody again.
//!
//! It is each member's own judgement: whoever is refused here can be in the views of others, which go on telling us about it.

use std::time::Duration;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::{Introduction, Signature};
use swimring_codec::{MemberId, identity_hash, is_same_place};

use crate::protocol::event::Event;
use crate::protocol::member::candidates::{Candidate, CandidateRef, Expiring, Waiting};
use crate::protocol::member::merge::TellOn;
use crate::protocol::member::{Apart, Member};
use crate::protocol::networks::Networks;
use crate::protocol::outbox::Outbox;
use crate::protocol::state::{Context, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::Entry;

/// Most candidates about whom the application is asked at one time: their introductions are kept meanwhile, less than a
/// kilobyte each. As many as a large cluster has, of which one who joins is told at once.
pub const CANDIDATES_MAX: usize = 4_096;

/// Most words of the application that are remembered. Whoever is forgotten early is asked about again.
pub const VERDICTS_MAX: usize = 4_096;

/// Most candidates outside of the networks that are remembered, so that each is told once in a while.
const OUTSIDERS_MAX: usize = 256;

/// Candidates whose time is over that are seen to in one step: the rest is in the next.
const UNANSWERED_AT_ONCE: usize = 256;

/// Refusals that the driver is told of within [`TOLD_WINDOW`]: a flood of strangers must not drive out other events.
const REFUSALS_TOLD_MAX: usize = 16;
const TOLD_WINDOW: Duration = Duration::from_secs(1);

/// Joins that wait until those whom they brought have been judged. More are over at once.
const JOINS_WAITING_MAX: usize = 64;

/// Who may come into the view. By default everybody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AdmissionRules {
    /// Where members may be.
    pub networks: Networks,
    /// Whether the application is asked about those who are there.
    pub asks: bool,
}

/// Why a member was not admitted.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum NotAdmittedReason {
    /// It is not in one of the networks that are allowed.
    #[error("it is not in one of allowed_networks")]
    Network,
    /// The application has refused it.
    #[error("the application refused it")]
    Refused,
    /// The application has said nothing in time.
    #[error("the application said nothing within admission_timeout_ms")]
    Unanswered,
}

crate::error_text::debug_is_the_sentence!(NotAdmittedReason);

/// What the application, or its silence, has said of a candidate.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    identity: u64,
    admitted: bool,
    /// Until when it counts: it may be kept for longer.
    end: Time,
}

/// A join that waits for words about those whom it brought.
#[derive(Clone, Copy, Debug)]
struct WaitingJoin {
    token: u32,
    /// When all of them have been judged.
    end: Time,
    /// As it was before it brought them.
    before: Judged,
}

/// What had come of introductions at some moment, by which it is told whether a join has brought anybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Judged {
    /// Those that were refused, every copy counted.
    refused: u64,
    /// Members that have come into a view.
    joined: u64,
    /// Members that joins told of and that were in the view.
    met: u64,
}

/// What a member that does not admit everybody keeps for it.
#[derive(Debug)]
pub(super) struct Admission {
    rules: AdmissionRules,
    waiting: Expiring<Waiting>,
    verdicts: Expiring<Verdict>,
    /// The identities of those in networks that are not allowed of whom the driver was told.
    outsiders: Expiring<u64>,
    joins: Vec<WaitingJoin>,
    /// See [`Judged`].
    refused: u64,
    met: u64,
    /// Those refused of whom the driver was told since `told_since`.
    told: Vec<(Candidate, NotAdmittedReason)>,
    told_since: Time,
}

impl Admission {
    fn new(rules: AdmissionRules) -> Admission {
        Admission {
            rules,
            waiting: Expiring::new(),
            verdicts: Expiring::new(),
            outsiders: Expiring::new(),
            joins: Vec::new(),
            refused: 0,
            met: 0,
            told: Vec::new(),
            told_since: Time::ZERO,
        }
    }

    fn due(&self) -> Time {
        self.joins.iter().map(|join| join.end).fold(self.waiting.due(), Time::min)
    }

    /// Those who wait, and the words that are remembered.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.waiting.len(), self.verdicts.len())
    }

    fn remember(&mut self, subject: MemberId, verdict: Verdict) {
        self.verdicts.insert(subject, verdict.end, verdict, VERDICTS_MAX);
    }

    /// What was said of `identity` of `subject`, if that counts still.
    fn verdict(&self, now: Time, subject: MemberId, identity: u64) -> Option<bool> {
        let verdict = self.verdicts.get(subject)?;
        (verdict.identity == identity && now < verdict.end).then_some(verdict.admitted)
    }

    /// Tells the driver that a candidate was refused, unless that has been told too often of late.
    fn tell(&mut self, cx: &mut Context<'_, '_>, candidate: Candidate, reason: NotAdmittedReason) {
        if cx.now.since(self.told_since) >= TOLD_WINDOW {
            // The driver has taken note of them since.
            self.told.clear();
            self.told_since = cx.now;
        }
        if self.told.len() < REFUSALS_TOLD_MAX {
            cx.emit(Event::NotAdmitted { at: self.told.len() as u32 });
            self.told.push((candidate, reason));
        }
    }

    /// Refuses a candidate in a network that is not allowed.
    fn refuse_outsider(
        &mut self,
        cx: &mut Context<'_, '_>,
        introduction: &Introduction<'_>,
        memory: Duration,
    ) {
        let (subject, identity) = (introduction.subject, identity_of(introduction));
        cx.shared.counters.candidates_outside += 1;
        self.refused += 1;
        while self.outsiders.pop_due(cx.now).is_some() {}
        if self.outsiders.get(subject) != Some(&identity) {
            self.outsiders.insert(subject, cx.now + memory, identity, OUTSIDERS_MAX);
            let candidate = Candidate::new(&cx.shared.directory, introduction, identity);
            self.tell(cx, candidate, NotAdmittedReason::Network);
        }
    }

    /// Whether a candidate is in the view from now on. If nothing was said of it the application is asked, and its
    /// introduction put aside.
    fn judge(
        &mut self,
        cx: &mut Context<'_, '_>,
        (introduction, signature): (&Introduction<'_>, Option<Signature>),
        (versions, tell_on): (Versions, TellOn),
        timeout: Duration,
    ) -> bool {
        let (subject, identity) = (introduction.subject, identity_of(introduction));
        if let Some(admitted) = self.verdict(cx.now, subject, identity) {
            cx.shared.counters.candidates_repeated += u64::from(!admitted);
            self.refused += u64::from(!admitted);
            return admitted;
        }
        if let Some(waiting) = self.waiting.get_mut(subject) {
            cx.shared.counters.candidates_repeated += 1;
            if waiting.candidate.identity == identity && introduction.incarnation > waiting.incarnation {
                (waiting.incarnation, waiting.signature) = (introduction.incarnation, signature);
            }
            return false;
        }
        if self.waiting.len() >= CANDIDATES_MAX {
            cx.shared.counters.candidates_shed += 1;
            return false;
        }
        let candidate = Candidate::new(&cx.shared.directory, introduction, identity);
        let (incarnation, asked) = (introduction.incarnation, cx.asked);
        let waiting = Waiting { candidate, incarnation, signature, versions, tell_on, asked };
        self.waiting.insert(subject, cx.now + timeout, waiting, CANDIDATES_MAX);
        cx.shared.counters.candidates_asked += 1;
        cx.emit(Event::CandidateAsked { subject });
        false
    }
}

fn identity_of(introduction: &Introduction<'_>) -> u64 {
    identity_hash(introduction.address, introduction.metadata, introduction.zone)
}

impl Member {
    /// Sets who may come into the view from now on. Whoever is in it stays.
    pub fn set_admission(&mut self, rules: AdmissionRules) {
        let judges = rules != AdmissionRules::default();
        self.apart.admission = judges.then(|| Box::new(Admission::new(rules)));
        self.note_apart();
    }

    /// Notes whether there is anything apart that others have to look at.
    pub(super) fn note_apart(&mut self) {
        let Apart { key_values, admission, past, .. } = &*self.apart;
        self.core.looks_apart = key_values.is_some() || admission.is_some() || past.is_some();
    }

    /// The candidate about whom the application is asked; nothing once it has been judged.
    pub fn candidate(&self, subject: MemberId) -> Option<CandidateRef<'_>> {
        let waiting = self.apart.admission.as_ref()?.waiting.get(subject)?;
        Some(waiting.candidate.as_ref())
    }

    /// Who was refused, and why, as [`Event::NotAdmitted`] says.
    pub fn not_admitted(&self, at: u32) -> Option<(CandidateRef<'_>, NotAdmittedReason)> {
        let (candidate, reason) = self.apart.admission.as_ref()?.told.get(at as usize)?;
        Some((candidate.as_ref(), *reason))
    }

    /// The application's word about `identity` of `subject`, as it was asked. One that comes too late counts for the next
    /// time that somebody introduces the candidate.
    pub fn judge_candidate(
        &mut self,
        now: Time,
        (subject, identity): (MemberId, u64),
        admitted: bool,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        let memory = self.core.settings.admission_memory;
        let Some(admission) = self.apart.admission.as_mut().filter(|_| self.core.status != Status::Left)
        else {
            return;
        };
        let cx = &mut Context::new(now, shared, out);
        let verdict = Verdict { identity, admitted, end: now + memory };
        let asked = admission.waiting.get(subject).is_some_and(|asked| asked.candidate.identity == identity);
        match asked.then(|| admission.waiting.remove(subject)).flatten() {
            Some(waiting) => {
                let counters = &mut cx.shared.counters;
                counters.candidates_admitted += u64::from(admitted);
                counters.candidates_refused += u64::from(!admitted);
                self.decide(cx, subject, waiting, verdict, NotAdmittedReason::Refused);
            }
            None => {
                cx.shared.counters.candidates_answered_late += 1;
                admission.remember(subject, verdict);
            }
        }
        self.end_joins(cx);
        self.begin_telling(cx);
    }

    /// When there is something to do about candidates.
    #[inline]
    pub(super) fn admission_due(&self) -> Time {
        // Who admits everybody need not look there.
        let admission = if self.core.looks_apart { self.apart.admission.as_ref() } else { None };
        admission.map_or(Time::NEVER, |admission| admission.due())
    }

    /// Does what is due about candidates: the time of some is over.
    #[inline]
    pub(super) fn admission_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.admission_due() <= cx.now {
            self.decide_unanswered(cx);
        }
    }

    #[cold]
    fn decide_unanswered(&mut self, cx: &mut Context<'_, '_>) {
        let (admitted, timeout) = (self.core.settings.admit_on_timeout, self.core.settings.admission_timeout);
        for _ in 0..UNANSWERED_AT_ONCE {
            let Some(admission) = &mut self.apart.admission else { return };
            let Some((subject, waiting)) = admission.waiting.pop_due(cx.now) else { break };
            cx.shared.counters.candidates_unanswered += 1;
            let identity = waiting.candidate.identity;
            let verdict = Verdict { identity, admitted, end: cx.now + timeout };
            self.decide(cx, subject, waiting, verdict, NotAdmittedReason::Unanswered);
        }
        self.end_joins(cx);
    }

    /// Does with a candidate's introduction what the verdict says.
    fn decide(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberId,
        waiting: Waiting,
        verdict: Verdict,
        reason: NotAdmittedReason,
    ) {
        let Some(admission) = &mut self.apart.admission else { return };
        // By this it gets through the door, if it is admitted.
        admission.remember(subject, verdict);
        if !verdict.admitted {
            admission.refused += 1;
            return admission.tell(cx, waiting.candidate, reason);
        }
        (cx.asked, cx.signature) = (waiting.asked, waiting.signature);
        self.on_introduction(cx, &waiting.introduction(subject), waiting.versions, waiting.tell_on);
        self.core.delegate_read(cx);
        cx.asked = None;
    }

    /// The door: whether `introduction` may be taken in, of a member that is known by `entry` or not at all.
    #[cold]
    pub(super) fn admits(
        &mut self,
        cx: &mut Context<'_, '_>,
        (known, entry): (Option<MemberIndex>, Entry),
        (introduction, signature): (&Introduction<'_>, Option<Signature>),
        how: (Versions, TellOn),
    ) -> bool {
        let Some(admission) = &mut self.apart.admission else { return true };
        let known = known.filter(|_| !entry.is_unknown());
        let stays = known.is_some_and(|index| {
            let identity = cx.shared.directory.identity(index, entry.version());
            is_same_place(identity.address(), introduction.address)
        });
        if !stays && !admission.rules.networks.allow(introduction.address.ip()) {
            admission.refuse_outsider(cx, introduction, self.core.settings.admission_memory);
            return false;
        }
        if known.is_some() || !admission.rules.asks {
            return true;
        }
        admission.judge(cx, (introduction, signature), how, self.core.settings.admission_timeout)
    }

    /// What has come of introductions so far.
    pub(super) fn judged(&self, cx: &Context<'_, '_>) -> Judged {
        let Some(admission) = &self.apart.admission else { return Judged::default() };
        let joined = cx.shared.counters.members_joined;
        Judged { refused: admission.refused, joined, met: admission.met }
    }

    /// A join has told of `subject`.
    pub(super) fn note_told(&mut self, cx: &Context<'_, '_>, subject: MemberId) {
        let found = cx.shared.directory.find(subject).filter(|index| *index != self.core.index);
        if let Some(admission) = &mut self.apart.admission
            && found.is_some_and(|index| self.core.table.get(index).is_live())
        {
            admission.met += 1;
        }
    }

    /// A join has brought a view: it is over now, or when the application has judged all who are in it. `before` is how it
    /// was until then.
    pub(super) fn join_brought(
        &mut self,
        cx: &mut Context<'_, '_>,
        (token, through): (u32, Option<MemberIndex>),
        before: Judged,
    ) {
        if let Some(admission) = &mut self.apart.admission
            && admission.waiting.len() > 0
            && admission.joins.len() < JOINS_WAITING_MAX
        {
            let end = cx.now + self.core.settings.admission_timeout;
            return admission.joins.push(WaitingJoin { token, end, before });
        }
        self.end_join(cx, (token, through), before);
    }

    /// Ends joins whose members have all been judged.
    fn end_joins(&mut self, cx: &mut Context<'_, '_>) {
        while let Some(admission) = &mut self.apart.admission {
            let judged = admission.waiting.len() == 0;
            let over = admission.joins.iter().position(|join| judged || join.end <= cx.now);
            let Some(place) = over else { return };
            let WaitingJoin { token, before, .. } = admission.joins.swap_remove(place);
            // Whom it joined through may be gone: it tells everyone itself.
            self.end_join(cx, (token, None), before);
        }
    }

    /// Ends a join. It has failed if all whom it told of are refused.
    fn end_join(&mut self, cx: &mut Context<'_, '_>, join: (u32, Option<MemberIndex>), before: Judged) {
        let now = self.judged(cx);
        let nobody = now.refused > before.refused && (now.joined, now.met) == (before.joined, before.met);
        self.join_over(cx, join, nobody);
    }
}
