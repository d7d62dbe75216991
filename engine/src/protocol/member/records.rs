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
use crate::protocol::state::{Context, Core};
use crate::protocol::view::directory::{MemberIndex, UNVERSIONED};
use crate::protocol::wire::{Record, RecordFault, Records, Subject, View, is_acceptable};

/// New facts of one push/pull that are told on. A gap larger than this is not for gossip to close: the
/// others find it by their own roots.
const SPREAD_MAX: u32 = 32;

impl Member {
    /// Merges what came on a stream for `purpose`. False if a record could not be read, and those after it.
    pub(super) fn merge_view<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: StreamPurpose,
        view: View<'_, impl Records<'r>>,
    ) -> bool {
        let joining = matches!(purpose, StreamPurpose::Join { .. });
        let merged = self.merge_records(cx, joining, view.source, view.records);
        if merged || !joining {
            self.core.merge_user_state(cx, view.user_state);
        }
        merged
    }

    /// Merges records from `source`, `joining` those that our join is answered with.
    fn merge_records<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        joining: bool,
        source: MemberId,
        mut records: impl Records<'r>,
    ) -> bool {
        let learned_before = learned(&cx.shared.counters);
        // Who looks at candidates has to hear of each who vouches for it.
        let passes = !(joining && self.core.looks_apart);
        loop {
            if passes {
                let (wire, directory) = (&cx.shared.wire, &cx.shared.directory);
                let passed = records.pass_over(wire, directory, |index, incarnation| {
                    self.core.is_nothing_new(index, incarnation)
                });
                cx.shared.counters.push_pull_records += passed;
                cx.shared.counters.push_pull_records_passed += passed;
            }
            let Some(record) = records.next() else { return true };
            let Record { introduction, signature, versions } = match record {
                Ok(record) => record,
                Err(fault) => {
                    cx.shared.counters.decode_errors += 1;
                    match fault {
                        RecordFault::Unfit => continue,
                        RecordFault::Broken => return false,
                    }
                }
            };
            cx.shared.counters.push_pull_records += 1;
            if joining && self.core.looks_apart {
                self.note_told(cx, introduction.subject);
            }
            cx.signature = signature.copied();
            if let Some(versions) = versions
                && !self.core.is_worth_merging(cx, &introduction, versions)
            {
                continue;
            }
            if joining && introduction.subject == self.core.id {
                self.on_own_past(cx, &introduction);
            }
            let learned = learned(&cx.shared.counters) - learned_before;
            let versions = versions.unwrap_or(UNVERSIONED);
            // Who joins knows nothing that others do not, and what anybody says of itself it tells itself.
            let told_by_others =
                (joining || introduction.subject == source) && self.core.delegates(cx.shared);
            // Nor, where all gossip, does who joins alone: nobody is behind it who would hear of the pool from it.
            let told = told_by_others
                || joining && self.core.joined_alone && !cx.shared.behaviour.push_pulls_on_time;
            let tell_on =
                if told || learned >= u64::from(SPREAD_MAX) { TellOn::Nobody } else { TellOn::Everyone };
            self.merge_record(cx, &introduction, versions, tell_on);
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
