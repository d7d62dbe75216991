//! Direct messages that have come: which of them have come before.
//!
//! A sender that did not hear what became of a message sends it again. Its session and sequence tell that from a new one.

use hashbrown::HashMap;
use swimring_codec::MemberId;
use swimring_codec::native::DirectOutcome;

use super::outgoing::WINDOW_MAX;

/// Most senders that are remembered. Of one that is forgotten a message may be delivered twice, if a stream of its breaks
/// just then.
pub(super) const SENDERS_MAX: usize = 4_096;

#[derive(Debug)]
struct Seen {
    session: u64,
    /// The highest sequence that was judged.
    last: u64,
    /// Sequences up to there that were not taken, and how they were answered; the last few.
    refused: Vec<(u64, DirectOutcome)>,
    /// When it was last heard, in messages.
    heard: u64,
}

/// What has come from whom. See the module.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    senders: HashMap<MemberId, Seen>,
    messages: u64,
}

impl Incoming {
    /// What became of a message that has come before; nothing if it is new.
    pub(super) fn before(&self, from: MemberId, session: u64, sequence: u64) -> Option<DirectOutcome> {
        let seen = self.senders.get(&from).filter(|seen| seen.session == session && sequence <= seen.last)?;
        let refused = seen.refused.iter().find(|(refused, _)| *refused == sequence);
        Some(refused.map_or(DirectOutcome::Taken, |(_, outcome)| *outcome))
    }

    /// A new message has been answered with `outcome`.
    pub(super) fn judged(&mut self, from: MemberId, session: u64, sequence: u64, outcome: DirectOutcome) {
        self.messages += 1;
        let heard = self.messages;
        if self.senders.len() >= SENDERS_MAX && !self.senders.contains_key(&from) {
            let longest = self.senders.iter().min_by_key(|(_, seen)| seen.heard).map(|(id, _)| *id);
            longest.map(|id| self.senders.remove(&id));
        }
        let fresh = || Seen { session, last: 0, refused: Vec::new(), heard };
        let seen = self.senders.entry(from).or_insert_with(fresh);
        if seen.session != session {
            *seen = fresh();
        }
        (seen.last, seen.heard) = (sequence, heard);
        if outcome != DirectOutcome::Taken {
            if seen.refused.len() == WINDOW_MAX {
                seen.refused.remove(0);
            }
            seen.refused.push((sequence, outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_before_is_answered_as_it_was() {
        let (one, other) = (MemberId(1), MemberId(2));
        let mut incoming = Incoming::default();
        assert_eq!(incoming.before(one, 7, 3), None);
        incoming.judged(one, 7, 3, DirectOutcome::Taken);
        incoming.judged(one, 7, 4, DirectOutcome::Full);
        incoming.judged(one, 7, 9, DirectOutcome::Taken);
        let before = |sequence| incoming.before(one, 7, sequence);
        assert_eq!([before(3), before(9)], [Some(DirectOutcome::Taken); 2]);
        assert_eq!((before(4), before(10)), (Some(DirectOutcome::Full), None));
        assert_eq!((incoming.before(one, 8, 3), incoming.before(other, 7, 3)), (None, None));
        // A new life begins anew.
        incoming.judged(one, 8, 1, DirectOutcome::Unheard);
        assert_eq!(incoming.before(one, 8, 1), Some(DirectOutcome::Unheard));
        assert_eq!((incoming.before(one, 8, 2), incoming.before(one, 7, 3)), (None, None));
    }

    #[test]
    fn senders_and_what_was_refused_are_bounded() {
        let mut incoming = Incoming::default();
        for id in 0..SENDERS_MAX as u64 + 3 {
            incoming.judged(MemberId(id), 1, 1, DirectOutcome::Taken);
        }
        assert_eq!(incoming.senders.len(), SENDERS_MAX);
        assert_eq!(incoming.before(MemberId(2), 1, 1), None, "the longest silent goes");
        assert!(incoming.before(MemberId(3), 1, 1).is_some());
        for sequence in 2..100 {
            incoming.judged(MemberId(3), 1, sequence, DirectOutcome::Full);
        }
        assert_eq!(incoming.senders[&MemberId(3)].refused.len(), WINDOW_MAX);
        assert_eq!(incoming.before(MemberId(3), 1, 99), Some(DirectOutcome::Full));
    }
}
