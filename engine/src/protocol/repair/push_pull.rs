//! Anti-entropy: finding and mending what gossip missed.
//!
//! Every frame carries the sender's state root, so every ack also says whether the prober and its target
//! hold the same view. When the roots differ although neither has anything left to tell, the prober asks
//! for a push/pull; apart from that one happens rarely, at a period that grows with the size of the
//! cluster. A push/pull opens with the two roots and ends there when they agree.
//!
//! What comes in a record is weaker than what is gossiped: a dead member is only suspected (it may have
//! come back since), a suspicion confirms nothing, and unknown members that are not alive are not added.

use std::time::Duration;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::Introduction;
use swimring_codec::{MemberId, State};

use crate::protocol::member::Member;
use crate::protocol::outbox::{StreamOpen, StreamPurpose};
use crate::protocol::settings::Settings;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{MemberIndex, UNVERSIONED};
use crate::protocol::view::table::{Entry, EntryState};
use crate::protocol::wire::{Record, RecordFault, Sender, View, is_acceptable};

/// New facts of one push/pull that are told on. A gap larger than this is not for gossip to close: the
/// others find it by their own roots.
pub(in crate::protocol) const SPREAD_MAX: u32 = 32;

/// For this many probe intervals after joining a member mends differences at once; later they have to
/// last.
const FRESH_PROBE_INTERVALS: u32 = 60;

#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct AntiEntropy {
    /// When the next push/pull begins.
    pub(in crate::protocol) due: Time,
    /// With whom, if it has to be someone in particular.
    with: Option<MemberIndex>,
    /// No push/pull because of a differing root before this.
    allowed: Time,
    /// When the member joined; nothing if it did not have to.
    joined: Option<Time>,
    /// A periodic push/pull is not put off beyond this.
    latest: Time,
    /// The first push/pull has been given its place in the period.
    spread_out: bool,
}

impl AntiEntropy {
    pub(in crate::protocol) fn new(
        settings: &Settings,
        rng: &mut fastrand::Rng,
        shared: &SharedState,
        now: Time,
    ) -> AntiEntropy {
        let due = if settings.push_pull_interval.is_zero() {
            Time::NEVER
        } else {
            shared.stagger(now, settings.push_pull_interval, rng)
        };
        AntiEntropy { due, with: None, allowed: now, joined: None, latest: now, spread_out: false }
    }

    /// A member came back from the dead: whatever parted us has healed, and its view is worth having.
    pub(in crate::protocol) fn member_returned(&mut self, index: MemberIndex, old: Entry) {
        if matches!(old.standing(), EntryState::Remembered) {
            self.with = Some(index);
            self.due = self.due.min(self.allowed);
        }
    }

    /// The member has joined at `now`.
    pub(in crate::protocol) fn joined(&mut self, now: Time) {
        self.joined = Some(now);
    }

    fn is_fresh(&self, now: Time, settings: &Settings) -> bool {
        self.joined.is_some_and(|at| now.since(at) < settings.probe_interval * FRESH_PROBE_INTERVALS)
    }
}

impl Member {
    /// Compares the root of an ack with ours.
    pub(in crate::protocol) fn compare_roots(&mut self, cx: &mut Context<'_, '_>, origin: &Sender) {
        let Some(root) = origin.root else { return };
        if root == self.core.table.root() || cx.now < self.anti_entropy.allowed {
            return;
        }
        let settled = self.core.settings.gossip_interval * 4;
        let fresh = self.anti_entropy.is_fresh(cx.now, &self.core.settings);
        let quiet = origin.quiet && self.core.queue.is_quiet();
        let lasting = quiet && cx.now.since(self.core.root_changed) >= settled;
        if !fresh && !lasting {
            return;
        }
        // Who has been forgotten since the ping is nobody to mend differences with.
        let Some(source) = cx.shared.directory.find(origin.source) else { return };
        self.anti_entropy.with = Some(source);
        self.anti_entropy.due = cx.now;
    }

    /// Begins a push/pull if one is due.
    pub(in crate::protocol) fn push_pull_timeout(&mut self, cx: &mut Context<'_, '_>) {
        if self.anti_entropy.due > cx.now {
            return;
        }
        let period = self.core.settings.push_pull_period(self.core.table.known());
        if self.anti_entropy.with.is_none() && !std::mem::replace(&mut self.anti_entropy.spread_out, true) {
            // The first was staggered without knowing how large the cluster is: thousands that start
            // together would all begin in the shortest period.
            self.anti_entropy.due = cx.now + period.mul_f64(self.core.rng.f64());
            self.anti_entropy.latest = self.anti_entropy.due + period / 2;
            return;
        }
        if self.put_off_push_pull(cx, period) {
            return;
        }
        self.anti_entropy.due =
            if period.is_zero() { Time::NEVER } else { cx.now + self.push_pull_wait(cx, period) };
        self.anti_entropy.latest = self.anti_entropy.due + period / 2;
        let fresh = self.anti_entropy.is_fresh(cx.now, &self.core.settings);
        // A tenth of the period: differences that gossip left are mended soon, and not in a storm.
        let spacing =
            if fresh { self.core.settings.probe_interval } else { (period / 10).max(Duration::from_secs(1)) };
        self.anti_entropy.allowed = cx.now + spacing;
        if self.core.status != Status::Active {
            return;
        }
        let own = self.core.index;
        let wanted = self.anti_entropy.with.take().filter(|index| self.core.table.get(*index).is_live());
        let partner = wanted.or_else(|| {
            self.core.table.choose(&mut self.core.rng, |index, entry| entry.is_alive() && index != own)
        });
        let Some(partner) = partner else { return };
        cx.shared.counters.push_pulls_started += 1;
        cx.out.streams.push(StreamOpen {
            to: self.core.identity(partner, cx.shared).address(),
            destination: cx.shared.directory.id(partner),
            purpose: StreamPurpose::Sync,
        });
    }

    /// How long until the next push/pull. Where acks carry no root, what a member missed while many joined at
    /// once shows in push/pulls alone, and the period is minutes in a large cluster: so the first come soon
    /// after joining, and each after twice the time of the one before.
    fn push_pull_wait(&self, cx: &Context<'_, '_>, period: Duration) -> Duration {
        match self.anti_entropy.joined {
            Some(joined) if !cx.shared.wire.rules.carries_roots => {
                let age = cx.now.since(joined).max(self.core.settings.probe_interval * 2);
                period.min(age)
            }
            _ => period,
        }
    }

    /// Notes that we have joined. Where acks carry no root the first push/pull comes soon.
    pub(in crate::protocol) fn note_joined(&mut self, cx: &Context<'_, '_>) {
        self.anti_entropy.joined(cx.now);
        if cx.shared.wire.rules.carries_roots || self.core.settings.push_pull_interval.is_zero() {
            return;
        }
        // Not all of those that join together at the same time.
        let wait = self.core.settings.probe_interval.mul_f64(2.0 + 2.0 * self.core.rng.f64());
        self.anti_entropy.due = self.anti_entropy.due.min(cx.now + wait);
        self.anti_entropy.spread_out = true;
    }

    /// Puts a periodic push/pull off while news about members is under way: roots differ then, and two whole
    /// views would be sent for what gossip brings in a moment. Not for longer than half a period.
    fn put_off_push_pull(&mut self, cx: &mut Context<'_, '_>, period: Duration) -> bool {
        if cx.shared.behaviour.push_pulls_on_time {
            return false;
        }
        let settled = self.core.settings.gossip_interval * 4;
        let under_way = !self.core.queue.is_quiet() || cx.now.since(self.core.root_changed) < settled;
        let fresh = self.anti_entropy.is_fresh(cx.now, &self.core.settings);
        if !under_way || fresh || self.anti_entropy.with.is_some() || cx.now >= self.anti_entropy.latest {
            return false;
        }
        let wait = settled + settled.mul_f64(self.core.rng.f64());
        self.anti_entropy.due = cx.now + wait.min(period);
        true
    }

    /// Merges what came on a stream for `purpose`. False if a record could not be read, and those after it.
    pub(in crate::protocol) fn merge_view<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: StreamPurpose,
        view: View<'_, impl Iterator<Item = Result<Record<'r>, RecordFault>>>,
    ) -> bool {
        let joining = matches!(purpose, StreamPurpose::Join { .. });
        let merged = self.merge_records(cx, joining, view.records);
        if merged || !joining {
            self.core.merge_user_state(cx, view.user_state);
        }
        merged
    }

    /// Merges records, `joining` those that our join is answered with.
    fn merge_records<'r>(
        &mut self,
        cx: &mut Context<'_, '_>,
        joining: bool,
        records: impl Iterator<Item = Result<Record<'r>, RecordFault>>,
    ) -> bool {
        let joined_before = cx.shared.counters.members_joined;
        for record in records {
            let Record { introduction, versions } = match record {
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
            if let Some(versions) = versions
                && !self.core.is_worth_merging(cx, &introduction, versions)
            {
                continue;
            }
            if joining && introduction.subject == self.core.id {
                self.on_own_past(cx, &introduction);
            }
            let learned = cx.shared.counters.members_joined - joined_before;
            let versions = versions.unwrap_or(UNVERSIONED);
            self.merge_record(cx, &introduction, versions, learned < u64::from(SPREAD_MAX));
        }
        true
    }

    /// What is made of one record of a view, in either format.
    pub(in crate::protocol) fn merge_record(
        &mut self,
        cx: &mut Context<'_, '_>,
        record: &Introduction<'_>,
        versions: Versions,
        spread: bool,
    ) {
        match record.state {
            State::Alive => self.on_introduction(cx, record, versions, spread),
            State::Suspect | State::Dead if record.subject == self.core.id => {
                if record.incarnation >= self.core.table.get(self.core.index).incarnation() {
                    self.refute(cx, record.incarnation, true);
                }
            }
            State::Suspect => {
                // It lives as far as that member knows: learn of it, then doubt it.
                if !cx.shared.behaviour.suspect_records_say_no_more {
                    self.on_introduction(cx, record, versions, spread);
                }
                self.on_suspect(cx, record.subject, record.incarnation, self.core.record_accuser(cx));
            }
            State::Dead => {
                self.on_suspect(cx, record.subject, record.incarnation, self.core.record_accuser(cx));
            }
            State::Left => self.on_left(cx, record.subject, record.incarnation),
        }
    }
}

impl Core {
    /// Whether an unchecked record may say something new, and may be kept if it does. Nearly all of what arrives
    /// says no more than is known, which is told by one lookup, without a look at the rest.
    #[inline]
    pub(in crate::protocol) fn is_worth_merging(
        &self,
        cx: &mut Context<'_, '_>,
        record: &Introduction<'_>,
        versions: Versions,
    ) -> bool {
        let known = record.state == State::Alive
            && cx.shared.directory.find(record.subject).is_some_and(|index| {
                let entry = self.table.get(index);
                index != self.index && entry.is_live() && record.incarnation <= entry.incarnation()
            });
        if known {
            return false;
        }
        let acceptable = is_acceptable(record, versions);
        cx.shared.counters.decode_errors += u64::from(!acceptable);
        acceptable
    }

    /// Who accuses whomever a record says is suspect or dead.
    fn record_accuser(&self, cx: &Context<'_, '_>) -> MemberId {
        if cx.shared.behaviour.records_accuse { self.id } else { MemberId::NONE }
    }
}
