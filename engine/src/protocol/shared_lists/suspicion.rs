//! One suspicion: who accuses whom, who agrees, and until when it goes on.
//!
//! The timeout goes from a long one to a short one with each independent accuser, along a logarithm (Lifeguard IV.B). A
//! *witness*, a member whose own probe of the suspect failed, may end its suspicion earlier, after its window.

use std::time::Duration;

use swimring_codec::{Incarnation, MemberId};

use crate::protocol::event::{StandingSuspicion, SuspicionSummary};
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::time::{Time, millis};
use crate::protocol::view::directory::MemberIndex;

/// Most confirmations that shorten a suspicion: the suspicion multiplier is at most 9, and K is two less.
const CONFIRMATIONS_MAX: usize = 7;

/// One suspicion.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Suspicion {
    pub(in crate::protocol) subject: MemberIndex,
    pub(in crate::protocol) incarnation: Incarnation,
    /// First accuser.
    pub(super) accuser: MemberId,
    pub(super) started: Time,
    pub(super) shortest_ms: u32,
    pub(super) longest_ms: u32,
    /// Confirmations that bring the timeout to the shortest (Lifeguard's K). Zero starts it there.
    pub(super) needed: u8,
    /// Accusers beside the first.
    pub(super) named: u8,
    /// Bit `n`: accuser `n` has not accused, but told us as a relay that the subject does not answer it.
    /// That counts for a witness' own window, and for nothing else.
    pub(super) by_nack: u8,
    /// Bit `n`: nobody has been told on that accuser `n` accuses. See [`SuspicionPool::tell_on`].
    pub(super) untold: u8,
    /// Low halves of the accusers' ids, the first accuser's first. Two accusers with the same
    /// low half, one pair in four billion, count as one.
    pub(super) accusers: [u32; CONFIRMATIONS_MAX + 1],
    /// Our own failed probe of the subject, if there was one.
    pub(super) witness: Option<Witness>,
    /// Time added to the timeout because we heard nobody, or not long enough since.
    pub(super) unheard_ms: u32,
    /// What of it was added since the datagram that was the last for some time, and when that came, in milliseconds.
    pub(super) deaf_ms: u32,
    pub(super) deaf_since_ms: u32,
    /// Time added because the accusers before us are to declare it first.
    pub(super) turn_ms: u32,
    /// When we probe the subject ourselves, having only heard of it; [`Time::NEVER`] if not.
    pub(super) check: Time,
    /// Another member's view says that the subject is dead. That counts for a witness' own window, as a nack does.
    pub(super) recorded: bool,
    /// When our accusation is told after all, which we keep to ourselves; [`Time::NEVER`] if we do not.
    pub(super) tell: Time,
}

/// A witness' own part in a suspicion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Witness {
    /// When its probe had failed.
    pub(super) since: Time,
    /// What streams have shown of the subject.
    pub(super) presence: Presence,
    /// Time from then to the declaration of a subject that is gone, and of one of which nothing was found out.
    pub(super) window_ms: u32,
    pub(super) unknown_window_ms: u32,
    /// Time that a subject has longer than with Lifeguard while its process is there.
    pub(super) patience_ms: u32,
    /// When the subject is next told; [`Time::NEVER`] once it was told often enough.
    pub(super) appeal: Time,
    pub(super) appeals: u8,
    pub(super) appeals_needed: u8,
    /// The last could not be sent.
    pub(super) cut_off: bool,
    /// Time between two of them.
    pub(super) appeal_every_ms: u32,
}

/// What a witness may do: how long it waits, and how often it tells the subject meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct Window {
    /// From the failed probe to the declaration of a subject that is gone, with enough confirmations.
    pub(in crate::protocol) length: Duration,
    /// The same of a subject whose host has neither accepted nor refused a connection. At least as long.
    pub(in crate::protocol) unknown_length: Duration,
    /// How much longer than Lifeguard's timeout a subject has whose process is there: the witnesses are not to be the
    /// first to declare it.
    pub(in crate::protocol) patience: Duration,
    /// How often the subject has to have been told by then.
    pub(in crate::protocol) appeals: u8,
    /// Time between two appeals, so that they cover the window.
    pub(in crate::protocol) appeal_every: Duration,
}

/// What is due of a suspicion.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) enum Due {
    /// Nothing more was heard for long: we are to see for ourselves.
    Check(Suspicion),
    /// The subject's window is over, and it is not declared: others are to be told of our accusation.
    Tell(Suspicion),
    /// The subject is to be told by a witness since `since`, who told it so often before.
    Appeal { suspicion: Suspicion, before: u8, since: Time },
    /// A witness' window is over; `appealed` says whether the subject was told often enough, and `since`
    /// when the witness' probe had failed.
    Window { suspicion: Suspicion, appealed: bool, since: Time },
    /// The time that everyone waits is over.
    End(Suspicion),
}

impl Suspicion {
    /// A suspicion that `accuser` begins at `now`, with the shortest and longest `timeouts`.
    pub(in crate::protocol) fn new(
        now: Time,
        subject: MemberIndex,
        incarnation: Incarnation,
        accuser: MemberId,
        timeouts: (Duration, Duration),
        needed: u8,
    ) -> Suspicion {
        let mut accusers = [0; CONFIRMATIONS_MAX + 1];
        accusers[0] = accuser.0 as u32;
        Suspicion {
            subject,
            incarnation,
            accuser,
            started: now,
            shortest_ms: millis(timeouts.0),
            longest_ms: millis(timeouts.1),
            needed: needed.min(CONFIRMATIONS_MAX as u8),
            named: 0,
            by_nack: 0,
            untold: 1,
            accusers,
            witness: None,
            unheard_ms: 0,
            deaf_ms: 0,
            deaf_since_ms: 0,
            turn_ms: 0,
            check: Time::NEVER,
            recorded: false,
            tell: Time::NEVER,
        }
    }

    /// The same suspicion; at `check` we see for ourselves.
    pub(in crate::protocol) fn checked_at(self, check: Time) -> Suspicion {
        Suspicion { check, ..self }
    }

    /// The same suspicion; its accusers have so much longer to declare it before we do.
    pub(in crate::protocol) fn left_to_accusers(self, longer: Duration) -> Suspicion {
        Suspicion { turn_ms: millis(longer), ..self }
    }

    /// The same suspicion, begun at `now`.
    pub(super) fn begun_anew(self, now: Time) -> Suspicion {
        Suspicion {
            started: now,
            named: 0,
            by_nack: 0,
            witness: None,
            unheard_ms: 0,
            deaf_ms: 0,
            turn_ms: 0,
            check: Time::NEVER,
            tell: Time::NEVER,
            ..self
        }
    }

    /// Whether we are a witness, and no stream has shown what the subject is.
    pub(in crate::protocol) fn is_in_the_dark(&self) -> bool {
        self.witness.is_some_and(|witness| witness.presence == Presence::Unknown)
    }

    /// Whether others have not been told of our accusation.
    pub(in crate::protocol) fn is_quiet(&self) -> bool {
        self.tell != Time::NEVER
    }

    /// What can be told of it while it goes on; `lost` is the time that its holder has lost.
    pub(super) fn standing(&self, lost: Duration) -> StandingSuspicion {
        let named = (0..=self.named).filter(|place| self.by_nack & 1 << place == 0);
        StandingSuspicion {
            accuser: self.accuser,
            confirmed_by: named.skip(1).map(|place| self.accusers[usize::from(place)]).collect(),
            since: self.started + lost,
            ends: self.deadline() + lost,
        }
    }

    /// Others who have accused.
    pub(super) fn confirmed(&self) -> u8 {
        self.named - self.by_nack.count_ones() as u8
    }

    /// The place of `accuser` among those that are named.
    pub(super) fn place_of(&self, accuser: MemberId) -> Option<usize> {
        self.accusers[..=usize::from(self.named)].iter().position(|known| *known == accuser.0 as u32)
    }

    /// Takes a confirmation. True if it came from someone new and shortened the timeout; the message is
    /// then worth passing on.
    pub(super) fn confirm(&mut self, accuser: MemberId) -> bool {
        if accuser.is_none() || self.confirmed() >= self.needed {
            return false;
        }
        if let Some(place) = self.place_of(accuser) {
            // Now it says so itself.
            let new = self.by_nack & 1 << place != 0;
            self.by_nack &= !(1 << place);
            self.untold |= u8::from(new) << place;
            return new;
        }
        let mut place = usize::from(self.named) + 1;
        if place == self.accusers.len() {
            // There is at least one: there were fewer confirmations than are needed.
            place = self.by_nack.trailing_zeros() as usize;
            self.by_nack &= !(1 << place);
        } else {
            self.named += 1;
        }
        self.accusers[place] = accuser.0 as u32;
        self.untold |= 1 << place;
        true
    }

    /// A relay has told us that the subject does not answer it.
    pub(super) fn nacked(&mut self, relay: MemberId) {
        let place = usize::from(self.named) + 1;
        if place < self.accusers.len() && self.place_of(relay).is_none() {
            self.named += 1;
            self.accusers[place] = relay.0 as u32;
            self.by_nack |= 1 << place;
        }
    }

    /// When it ends for all who hold it.
    pub(super) fn deadline(&self) -> Time {
        let patience_ms = self.witness.filter(|witness| witness.presence == Presence::Silent);
        let patience_ms = patience_ms.map_or(0, |witness| witness.patience_ms);
        let added = [self.unheard_ms, self.turn_ms, patience_ms].map(u64::from).iter().sum();
        let added = Duration::from_millis(added);
        self.started + self.timeout(self.shortest_ms, self.confirmed()) + added
    }

    /// When it ends for a witness. Nothing if it has no window: the subject's process is there and may answer yet.
    pub(super) fn window_ends(&self) -> Option<Time> {
        let witness = self.witness.filter(|_| self.needed > 0)?;
        // That the subject is gone its host says, which is one more that says so.
        let named = self.named + u8::from(self.recorded);
        let (window_ms, agreed) = match witness.presence {
            Presence::Gone => (witness.window_ms, named + 1),
            Presence::Unknown => (witness.unknown_window_ms, named),
            Presence::Silent => return None,
        };
        let confirmed = self.started + self.timeout(window_ms, agreed);
        Some(confirmed.max(witness.since + Duration::from_millis(window_ms.into())))
    }

    /// When something is due.
    pub(super) fn next(&self) -> Time {
        let appeal = self.witness.map_or(Time::NEVER, |witness| witness.appeal);
        self.deadline()
            .min(self.window_ends().unwrap_or(Time::NEVER))
            .min(appeal)
            .min(self.check)
            .min(self.tell)
    }

    pub(super) fn due(self, now: Time) -> Due {
        let end = self.deadline();
        if end > now && self.check <= now {
            return Due::Check(self);
        }
        if end > now && self.tell <= now {
            return Due::Tell(self);
        }
        match self.witness {
            Some(witness) if end > now => {
                if witness.appeal <= now {
                    return Due::Appeal { suspicion: self, before: witness.appeals, since: witness.since };
                }
                // Nothing else is due of a witness without a window.
                debug_assert!(self.window_ends().is_some());
                let appealed = witness.appeals >= witness.appeals_needed && !witness.cut_off;
                Due::Window { suspicion: self, appealed, since: witness.since }
            }
            _ => Due::End(self),
        }
    }

    /// How it went, as of `now`, `lost` being what its member's driver has lost.
    pub(super) fn summary(&self, now: Time, lost: Duration) -> SuspicionSummary {
        SuspicionSummary {
            accuser: self.accuser,
            lasted: now.since(self.started + lost),
            confirmations: self.confirmed(),
        }
    }

    /// Lifeguard: max(Min, Max - (Max - Min) * log(C + 1) / log(K + 1)).
    pub(super) fn timeout(&self, shortest_ms: u32, confirmed: u8) -> Duration {
        if self.needed == 0 {
            return Duration::from_millis(shortest_ms.into());
        }
        let confirmed = confirmed.min(self.needed);
        let fraction = (f64::from(confirmed) + 1.0).ln() / (f64::from(self.needed) + 1.0).ln();
        let span = f64::from(self.longest_ms.saturating_sub(shortest_ms));
        // memberlist cuts to whole milliseconds; so is this, to be the same on both.
        let timeout_ms = (f64::from(self.longest_ms) - span * fraction).floor() as u32;
        Duration::from_millis(timeout_ms.max(shortest_ms).into())
    }
}

/// K for a cluster of `members` (memberlist: two less than the multiplier, and none if there are too few
/// others to confirm).
pub(in crate::protocol) fn confirmations_needed(multiplier: u8, members: usize) -> u8 {
    let needed = multiplier.saturating_sub(2);
    if members < usize::from(needed) + 2 { 0 } else { needed }
}
