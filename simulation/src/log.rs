//! What happened, in a form that tests can ask about.

use hashbrown::HashMap;
use swimring_codec::MemberId;

use swimring::protocol::{Event, SharedState, Time};

/// Something that a member told its application.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Someone is new, or back.
    Joined,
    /// Someone changed address or metadata.
    Updated,
    /// Someone started anew.
    Restarted,
    /// Someone is suspected.
    Suspected,
    /// Someone who was suspected lives.
    Refuted,
    /// Someone was declared dead.
    Failed,
    /// Someone left.
    Left,
    /// Someone was reaped.
    Reaped,
    /// The event with this sequence number from that member arrived.
    UserEvent(u32),
    /// A direct message arrived.
    Direct,
    /// The observer's own event with this sequence number has been told.
    EventTold(u32),
    /// A probe was acked after so many microseconds.
    ProbeAcked(u64),
    /// A member did not answer a probe directly in time.
    ProbeUnanswered,
    /// The observer was accused and refuted.
    Accused,
    /// The observer found that others cannot reach it.
    Unreachable,
    /// Someone else claims the observer's name.
    NameConflict,
    /// A join ended, well or not.
    JoinFinished(bool),
    /// The observer asks whether a member that it does not know is admitted.
    CandidateAsked,
    /// The observer has refused a member.
    NotAdmitted,
    /// The observer has refused all whom a join brought.
    NobodyAdmitted,
    /// The observer has left.
    LeaveFinished,
    /// Shared state has changed.
    StateChanged,
}

/// An entry of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// True time.
    pub at: Time,
    /// At which member.
    pub observer: usize,
    /// About which member; the observer itself where it is about nobody else. Nothing for strangers.
    pub subject: Option<usize>,
    /// What.
    pub what: What,
}

/// Everything that members told, except of single probes, and what they sent.
#[derive(Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    /// Datagrams and bytes per member.
    sent: Vec<(u64, u64)>,
}

impl Log {
    pub(super) fn sent(&mut self, node: usize, bytes: usize) {
        if self.sent.len() <= node {
            self.sent.resize(node + 1, (0, 0));
        }
        self.sent[node].0 += 1;
        self.sent[node].1 += bytes as u64;
    }

    /// Datagrams and bytes that `node` has sent.
    pub fn traffic(&self, node: usize) -> (u64, u64) {
        self.sent.get(node).copied().unwrap_or_default()
    }

    pub(super) fn record(
        &mut self,
        at: Time,
        observer: usize,
        event: Event,
        commons: &SharedState,
        by_id: &HashMap<MemberId, usize>,
    ) -> Entry {
        let node = |id: MemberId| by_id.get(&id).copied();
        let of = |index| node(commons.directory().id(index));
        let (subject, what) = match event {
            Event::Joined { subject } => (of(subject), What::Joined),
            Event::Updated { subject } => (of(subject), What::Updated),
            Event::Restarted { subject } => (of(subject), What::Restarted),
            Event::Suspected { subject, .. } => (of(subject), What::Suspected),
            Event::Refuted { subject, .. } => (of(subject), What::Refuted),
            Event::Failed { subject, .. } => (of(subject), What::Failed),
            Event::Left { subject } => (of(subject), What::Left),
            Event::Reaped { subject } => (of(subject), What::Reaped),
            Event::UserEvent { event } => {
                let event = commons.user_event(event);
                (node(event.origin), What::UserEvent(event.sequence))
            }
            Event::Direct { .. } => (Some(observer), What::Direct),
            Event::EventTold { sequence, .. } => (Some(observer), What::EventTold(sequence)),
            Event::ProbeAcked { rtt, .. } => (Some(observer), What::ProbeAcked(rtt.as_micros() as u64)),
            Event::ProbeUnanswered { subject } => (of(subject), What::ProbeUnanswered),
            Event::Accused => (Some(observer), What::Accused),
            Event::Unreachable { .. } => (Some(observer), What::Unreachable),
            Event::NameConflict { .. } => (Some(observer), What::NameConflict),
            Event::JoinFinished { joined, .. } => (Some(observer), What::JoinFinished(joined)),
            Event::CandidateAsked { subject } => (node(subject), What::CandidateAsked),
            Event::NotAdmitted { .. } => (Some(observer), What::NotAdmitted),
            Event::NobodyAdmitted { .. } => (Some(observer), What::NobodyAdmitted),
            Event::StateChanged => (Some(observer), What::StateChanged),
            Event::LeaveFinished => (Some(observer), What::LeaveFinished),
        };
        let entry = Entry { at, observer, subject, what };
        if !matches!(what, What::ProbeAcked(_) | What::ProbeUnanswered) {
            self.entries.push(entry);
        }
        entry
    }

    /// Everything since the start, or since the log was last cleared.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of times that `what` happened.
    pub fn count(&self, what: What) -> usize {
        self.entries.iter().filter(|entry| entry.what == what).count()
    }

    /// First time at or after `since` that `what` happened at `observer` about `subject`.
    pub fn first(&self, observer: usize, subject: usize, what: What, since: Time) -> Option<Time> {
        let wanted = |entry: &&Entry| {
            entry.at >= since
                && entry.observer == observer
                && entry.subject == Some(subject)
                && entry.what == what
        };
        self.entries.iter().find(wanted).map(|entry| entry.at)
    }

    /// Forgets what happened and what was sent.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.sent.clear();
    }
}
