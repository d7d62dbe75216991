//! What is made of the records of a view that came on a stream.
//!
//! What comes in a record is weaker than what is gossiped: a dead member is only suspected (it may have
//! come back since), a suspicion confirms nothing, and unknown members that are not alive are not added.

use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::counters::Counters;
use crate::protocol::member::Member;
use crate::protocol::member::merge::TellOn;
use crate::protocol::outbox::StreamPurpose;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::view::directory::{MemberIndex, UNVERSIONED};
use crate::protocol::view::entry::{Entry, EntryState};
use crate::protocol::wire::{
    ReadingPlace, Record, RecordFault, Records, Says, Subject, Update, View, is_acceptable,
};

/// New facts of one push/pull that are told on. A gap larger than this is not for gossip to close: the
/// others find it by their own roots.
const SPREAD_MAX: u32 = 32;

impl Member {
    /// Merges what came on a stream for `purpose`, nothing if the other side opened it. Of a view that we asked for by a pull, how many of its records
    /// say what we say now; nothing if one could not be read, and those after it.
    pub(super) fn merge_view<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: Option<StreamPurpose>,
        view: View<'_, impl Records<'r>>,
    ) -> Option<usize> {
        let joining = matches!(purpose, Some(StreamPurpose::Join { .. }));
        let told = purpose == Some(StreamPurpose::View);
        let pulled = matches!(purpose, Some(StreamPurpose::Pull { .. }));
        let merged = self.merge_records(cx, (joining, told, pulled), view.source, view.records);
        if merged.is_some() || !joining {
            self.core.merge_user_state(cx, view.user_state);
        }
        merged
    }

    /// Merges records from `source`, `joining` those that our join is answered with, `told` those that everyone gets, and
    /// `pulled` those that we asked for by a pull. How many say what we say now, as for [`Member::merge_view`].
    fn merge_records<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        (joining, told, pulled): (bool, bool, bool),
        source: MemberId,
        mut records: impl Records<'r>,
    ) -> Option<usize> {
        let learned_before = learned(&cx.shared.counters);
        // Who looks at candidates has to hear of each who vouches for it.
        let passes = !(joining && self.core.looks_apart);
        // Who joins knows nothing that others do not, nor has who has just joined by delegating anything to tell: what it learns was
        // told while it joined.
        let fresh = self.core.delegates(cx.shared) && self.anti_entropy.is_fresh(cx.now, &self.core.settings);
        // What somebody learns who catches up others have been told, or learn in the same way.
        let told_anyway = told
            || fresh
            || pulled && self.anti_entropy.catches_up()
            || joining
                && (self.core.delegates(cx.shared)
                    || self.core.seldom.joined_alone && !cx.shared.behaviour.push_pulls_on_time);
        let (mut reading, mut place, mut same) = (Reading::default(), ReadingPlace::default(), 0);
        loop {
            if passes {
                let known = learned(&cx.shared.counters) - learned_before;
                same += self.pass_over(
                    cx,
                    (&mut place, &mut records),
                    (told_anyway || known >= u64::from(SPREAD_MAX), told),
                );
            }
            let Some(record) = records.next() else {
                self.note_read(cx, &reading);
                return Some(same);
            };
            let Record { introduction, signature, versions } = match record {
                Ok(record) => record,
                Err(fault) => {
                    cx.shared.counters.decode_errors += 1;
                    match fault {
                        RecordFault::Unfit => continue,
                        RecordFault::Broken => return None,
                    }
                }
            };
            cx.shared.counters.push_pull_records += 1;
            reading.note(introduction.subject);
            place.read(introduction.subject);
            if joining && self.core.looks_apart {
                self.note_told(cx, introduction.subject);
            }
            cx.signature = signature.copied();
            if versions.is_none_or(|versions| self.core.is_worth_merging(cx, &introduction, versions)) {
                if joining && introduction.subject == self.core.id {
                    self.on_own_past(cx, &introduction);
                }
                let learned = learned(&cx.shared.counters) - learned_before;
                let versions = versions.unwrap_or(UNVERSIONED);
                // What anybody says of itself it tells itself.
                let told = told_anyway || introduction.subject == source && self.core.delegates(cx.shared);
                let tell_on =
                    if told || learned >= u64::from(SPREAD_MAX) { TellOn::Nobody } else { TellOn::Everyone };
                self.merge_record(cx, &introduction, versions, tell_on);
            }
            // One lookup more for each record that is read, so only where it is asked for.
            same += usize::from(pulled && self.core.says_the_same(cx, &introduction));
        }
    }

    /// Passes over those of `records` that are known by their bytes. Whoever is new among them is taken in if that is told to `nobody`, be it
    /// as everyone is `told` of them. How many of them say what we say now.
    fn pass_over<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        (place, records): (&mut ReadingPlace, &mut impl Records<'r>),
        (nobody, told): (bool, bool),
    ) -> usize {
        let mut new = std::mem::take(&mut cx.shared.new_members);
        let (views, directory) = (&cx.shared.wire.views, &cx.shared.directory);
        let takes = nobody && !self.core.looks_apart && !directory.signs();
        let by_incarnation = cx.shared.wire.rules.address_kept.is_some();
        let mut same = 0;
        let says = |index, kept: Entry| {
            let entry = self.core.table.get(index);
            let describes = by_incarnation || entry.version() == kept.version();
            let (ours, theirs) = (entry.incarnation(), kept.incarnation());
            match entry.is_unknown() {
                true if takes && directory.is_meant(index, kept.version()) => {
                    same += 1;
                    Says::Somebody
                }
                false
                    if index != self.core.index
                        && entry.is_live()
                        && (theirs < ours || theirs == ours && describes) =>
                {
                    same += usize::from(entry.unmarked() == kept);
                    Says::Nothing
                }
                _ => Says::Else,
            }
        };
        let passed = place.pass_over(views, directory, records, says, &mut new);
        cx.shared.counters.push_pull_records += passed;
        cx.shared.counters.push_pull_records_passed += passed;
        for (index, entry) in new.drain(..) {
            // A record may have come twice.
            if self.core.table.get(index).is_unknown() {
                self.adopt_alive(cx, index, Entry::UNKNOWN, entry);
                if !told {
                    self.core.leave_untold(cx, index, Update::Alive { introduce: true });
                }
            }
        }
        cx.shared.new_members = new;
        same
    }

    /// A view has been read: keeps what we know now if others are likely to read and write the same.
    fn note_read(&self, cx: &mut Context<'_, '_>, reading: &Reading) {
        if reading.in_order {
            let SharedState { wire, directory, events, .. } = &mut *cx.shared;
            wire.note_read(&self.core.speaker(directory, events, false), reading.many);
        }
    }

    /// What is made of one record of a view, in either format.
    pub(super) fn merge_record(
        &mut self,
        cx: &mut Context<'_, '_>,
        record: &Introduction<'_>,
        versions: Versions,
        tell_on: TellOn,
    ) {
        match record.state {
            State::Alive => self.on_introduction(cx, record, versions, tell_on),
            State::Suspect | State::Dead if record.subject == self.core.id => {
                if record.incarnation >= self.core.table.get(self.core.index).incarnation() {
                    self.refute(cx, record.incarnation, true);
                }
            }
            State::Suspect => {
                // It lives as far as that member knows: learn of it, then doubt it.
                if !cx.shared.behaviour.suspect_records_say_no_more {
                    self.on_introduction(cx, record, versions, tell_on);
                }
                self.on_suspect(cx, record.subject, record.incarnation, self.core.record_accuser(cx));
            }
            State::Dead => self.on_dead_record(cx, record.subject, record.incarnation),
            State::Left => self.on_left(cx, record.subject, record.incarnation),
        }
    }

    /// In another view `subject`, who is not us, is dead: it may have come back since, so we suspect it.
    pub(super) fn on_dead_record(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: impl Subject,
        incarnation: Incarnation,
    ) {
        self.on_suspect(cx, subject, incarnation, self.core.record_accuser(cx));
        if let Some(index) = subject.find(&cx.shared.directory) {
            self.suspicions.on_dead_record(&mut self.core, cx, &self.spread_estimate, index);
        }
    }
}

/// The records of a view that were read one by one.
#[derive(Clone, Copy, Debug)]
struct Reading {
    many: usize,
    last: MemberId,
    /// They came in the order of ids, as members of ours send them.
    in_order: bool,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading { many: 0, last: MemberId::NONE, in_order: true }
    }
}

impl Reading {
    fn note(&mut self, subject: MemberId) {
        self.in_order &= subject > self.last;
        (self.many, self.last) = (self.many + 1, subject);
    }
}

/// Members that are new, and those that may be once the application has said so.
fn learned(counters: &Counters) -> u64 {
    counters.members_joined + counters.candidates_asked
}

impl Core {
    /// Whether an unchecked record may say something new, and may be kept if it does. Nearly all of what arrives
    /// says no more than is known, which is told by one lookup, without a look at the rest.
    #[inline]
    pub(super) fn is_worth_merging(
        &self,
        cx: &mut Context<'_, '_>,
        record: &Introduction<'_>,
        versions: Versions,
    ) -> bool {
        let known = record.state == State::Alive
            && cx.shared.directory.find(record.subject).is_some_and(|index| {
                self.is_nothing_new(index, record.incarnation)
                    && self.clash(cx, (index, self.table.get(index)), record).is_none()
            });
        if known {
            return false;
        }
        let acceptable = is_acceptable(record, versions);
        cx.shared.counters.decode_errors += u64::from(!acceptable);
        acceptable
    }

    /// Whether `record` says what we say of its member.
    fn says_the_same(&self, cx: &Context<'_, '_>, record: &Introduction<'_>) -> bool {
        cx.shared.directory.find(record.subject).is_some_and(|index| {
            let entry = self.table.get(index);
            entry.standing() == EntryState::Known(record.state) && entry.incarnation() == record.incarnation
        })
    }

    /// Whether that the member at `index` is alive at `incarnation` is nothing new.
    #[inline]
    fn is_nothing_new(&self, index: MemberIndex, incarnation: Incarnation) -> bool {
        let entry = self.table.get(index);
        index != self.index && entry.is_live() && incarnation <= entry.incarnation()
    }

    /// Who accuses whomever a record says is suspect or dead.
    fn record_accuser(&self, cx: &Context<'_, '_>) -> MemberId {
        if cx.shared.behaviour.records_accuse { self.id } else { MemberId::NONE }
    }
}
