//! Whether our members and the pool's own still hear each other.
//!
//! They may be cut off from each other while both go on: the pool's key or label has changed, a route is gone, a
//! filter was switched on. Each side then takes the other for dead, and what is measured is two pools. It shows in
//! what cannot be opened, in silence, in probes that are never answered, and in what ours believe; each is
//! kept here for the members of one worker, and judged in [`reasons`].

use std::time::Duration;

use swimring::protocol::{Settings, Time};
use swimring_codec::memberlist::DecodeError;
use swimring_tooling::text::{counted, significant, thousands};

use crate::report::real_members::RealMembers;

/// How many probe intervals may pass until a pool that knows our members is heard of, whichever its size: somebody
/// of it probes one of ours, or answers one, in nearly every interval.
const SILENCE_INTERVALS: u32 = 15;
/// And how long at least.
const SILENCE_LEAST: Duration = Duration::from_secs(10);
/// Packets of the pool's own members that may be impossible to open: damage on the way.
const UNOPENED_MAX: u64 = 2;
/// Probes that have to be unanswered, all of them, to say something.
const UNANSWERED_LEAST: u64 = 20;
/// Real members that a reason names.
const NAMED_MAX: usize = 3;

/// How long the pool may be silent under `settings`.
pub fn patience(settings: &Settings) -> Duration {
    SILENCE_LEAST.max(settings.probe_interval * SILENCE_INTERVALS)
}

/// Packets that could not be opened, by [`DecodeError::index`].
pub type Unopened = [u64; DecodeError::KINDS];

/// What the members of one worker hear of the pool.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// Members of the worker that are there all the time.
    pub observers: u64,
    /// Packets of the pool's own members that could not be opened.
    pub unopened: Unopened,
    /// Packets of anybody else that could not be opened.
    pub unopened_of_others: u64,
    /// The longest time without a message of the pool's own members.
    pub silence: Duration,
    heard_at: Option<Time>,
    /// Real members that are known and have not left.
    in_pool: u64,
    /// Members among these that half of the observers or more hold to be dead.
    lost: u64,
    /// When, from the start of the measured time, all of them were held to be dead.
    pub all_dead_at: Option<Duration>,
}

impl Contact {
    /// A message of a real member arrived at `now`; the measured time began at `origin`.
    #[inline]
    pub fn heard(&mut self, now: Time, origin: Time) {
        let before = self.heard_at.map_or(origin, |at| at.max(origin));
        self.silence = self.silence.max(now.since(before));
        self.heard_at = Some(now);
    }

    /// The run ends at `now`: the silence that goes on counts, and so does what is believed.
    pub fn finish(&mut self, now: Time, origin: Time) {
        let heard_at = self.heard_at;
        self.heard(now, origin);
        self.heard_at = heard_at;
        self.look(now.since(origin));
    }

    /// A real member is in the pool, or no longer.
    pub fn belongs(&mut self, belongs: bool) {
        self.in_pool = if belongs { self.in_pool + 1 } else { self.in_pool.saturating_sub(1) };
    }

    /// Whether `dead` of the observers holding a real member to be dead are half of them or more.
    pub fn is_lost(&self, dead: u64) -> bool {
        self.observers > 0 && dead * 2 >= self.observers
    }

    /// A real member is now [lost](Contact::is_lost), or no longer. `elapsed` is since the measured time began, if it
    /// has.
    pub fn loses(&mut self, lost: bool, elapsed: Option<Duration>) {
        self.lost = if lost { self.lost + 1 } else { self.lost.saturating_sub(1) };
        if let Some(elapsed) = elapsed {
            self.look(elapsed);
        }
    }

    fn look(&mut self, elapsed: Duration) {
        if self.in_pool > 0 && self.lost >= self.in_pool {
            self.all_dead_at = self.all_dead_at.or(Some(elapsed));
        }
    }

    /// Adds what another worker's members heard. The pool was silent for no longer than for any of them.
    pub fn add(&mut self, other: &Contact) {
        self.silence = match (self.observers, other.observers) {
            (_, 0) => self.silence,
            (0, _) => other.silence,
            _ => self.silence.min(other.silence),
        };
        self.observers += other.observers;
        self.unopened.iter_mut().zip(other.unopened).for_each(|(mine, theirs)| *mine += theirs);
        self.unopened_of_others += other.unopened_of_others;
        self.all_dead_at = self.all_dead_at.into_iter().chain(other.all_dead_at).min();
    }
}

/// Why what was measured is not one pool, a line each; nothing if it is.
pub fn reasons(contact: &Contact, real: &RealMembers, patience: Duration) -> Vec<String> {
    let mut reasons = Vec::new();
    reasons.extend(unopened(contact, real));
    if contact.silence > patience {
        let (silent, most) = (contact.silence.as_secs(), patience.as_secs());
        reasons
            .push(format!("nothing was heard from the pool's own members for {silent} s (at most {most} s)"));
    }
    if let Some(at) = contact.all_dead_at {
        let all = match real.count {
            1 => "the only real member".to_owned(),
            count => format!("all {} real members", thousands(count)),
        };
        let at = significant(at.as_secs_f64());
        reasons.push(format!("our members held {all} dead, {at} s into the measured time"));
    }
    let (acks, lost) = (real.total.acks, real.total.lost_acks);
    if acks == 0 && lost >= UNANSWERED_LEAST {
        let lost = thousands(lost);
        reasons.push(format!("none of {lost} probes of the pool's own members was answered directly"));
    }
    reasons
}

/// What could not be opened of the pool's own members, and what that says.
fn unopened(contact: &Contact, real: &RealMembers) -> Option<String> {
    let count: u64 = contact.unopened.iter().sum();
    if count <= UNOPENED_MAX {
        return None;
    }
    let of = |error: DecodeError| contact.unopened[error.index()];
    let (key, plain, label) =
        (of(DecodeError::Decrypt), of(DecodeError::Unencrypted), of(DecodeError::Label));
    let meaning = match key.max(plain).max(label) {
        0 => "cannot be read: they may be encrypted now, or compressed as no peer does",
        most if most == key => "cannot be decrypted with the key given: the pool's key has changed",
        most if most == plain => "are not encrypted: the pool no longer uses a key",
        _ => "have another label: the pool's label has changed",
    };
    let mut senders: Vec<_> = real.members.iter().filter(|member| member.unopened > 0).collect();
    senders.sort_by_key(|member| std::cmp::Reverse(member.unopened));
    let names: Vec<&str> = senders.iter().take(NAMED_MAX).map(|member| member.name.as_str()).collect();
    let more = senders.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{} of {}{more} {meaning}", counted(count, "packet"), names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::real_members::RealMember;

    const ORIGIN: Time = Time::from_micros(50_000_000);
    const PATIENCE: Duration = Duration::from_secs(15);

    fn after(seconds: u64) -> Time {
        ORIGIN + Duration::from_secs(seconds)
    }

    fn watched(observers: u64, in_pool: u64) -> Contact {
        let mut contact = Contact { observers, ..Contact::default() };
        (0..in_pool).for_each(|_| contact.belongs(true));
        contact
    }

    fn real(count: u64, acks: u64, lost_acks: u64) -> RealMembers {
        let total = RealMember { acks, lost_acks, ..RealMember::default() };
        RealMembers { count, total, ..RealMembers::default() }
    }

    #[test]
    fn silence_counts_within_the_measured_time_and_to_its_end() {
        let mut contact = watched(8, 3);
        contact.heard(Time::from_micros(1), ORIGIN);
        contact.heard(after(2), ORIGIN);
        contact.heard(after(9), ORIGIN);
        assert_eq!(contact.silence, Duration::from_secs(7));
        contact.finish(after(40), ORIGIN);
        assert_eq!(
            reasons(&contact, &real(3, 9, 0), PATIENCE),
            ["nothing was heard from the pool's own members for 31 s (at most 15 s)"]
        );
        // Another worker's members heard of it meanwhile.
        let mut other = watched(8, 3);
        (0..40).for_each(|second| other.heard(after(second), ORIGIN));
        other.finish(after(40), ORIGIN);
        contact.add(&other);
        assert_eq!(reasons(&contact, &real(3, 9, 0), PATIENCE), Vec::<String>::new());
    }

    #[test]
    fn one_of_three_that_is_dead_is_a_finding_and_three_of_three_are_a_cut() {
        let mut contact = watched(8, 3);
        contact.loses(true, Some(Duration::from_secs(20)));
        contact.loses(true, Some(Duration::from_secs(21)));
        contact.loses(false, Some(Duration::from_secs(22)));
        contact.loses(true, Some(Duration::from_secs(23)));
        contact.heard(after(24), ORIGIN);
        assert_eq!(contact.all_dead_at, None);
        // The third says goodbye: nobody is left who lives.
        contact.belongs(false);
        contact.finish(after(30), ORIGIN);
        let told = reasons(&Contact { silence: Duration::ZERO, ..contact.clone() }, &real(3, 9, 0), PATIENCE);
        assert_eq!(told, ["our members held all 3 real members dead, 30.0 s into the measured time"]);
        assert!(contact.is_lost(4) && !contact.is_lost(3) && !watched(0, 3).is_lost(0));
    }

    #[test]
    fn what_cannot_be_opened_names_who_sends_it_and_why() {
        let mut contact = watched(8, 2);
        let member =
            |name: &str, unopened| RealMember { name: name.to_owned(), unopened, ..RealMember::default() };
        let all =
            RealMembers { members: vec![member("a", 0), member("b", 2), member("c", 7)], ..real(3, 9, 0) };
        let mut told = |error: DecodeError, count| {
            contact.unopened = Unopened::default();
            contact.unopened[error.index()] = count;
            reasons(&contact, &all, PATIENCE)
        };
        assert_eq!(told(DecodeError::Decrypt, 2), Vec::<String>::new(), "damage");
        assert_eq!(
            told(DecodeError::Decrypt, 9),
            ["9 packets of c, b cannot be decrypted with the key given: the pool's key has changed"]
        );
        assert!(told(DecodeError::Label, 9)[0].ends_with("the pool's label has changed"));
        assert!(told(DecodeError::Unencrypted, 9)[0].ends_with("the pool no longer uses a key"));
        assert!(told(DecodeError::Truncated, 9)[0].contains("cannot be read"));
    }

    #[test]
    fn probes_of_which_none_is_answered_are_a_cut() {
        let contact = watched(8, 3);
        assert_eq!(
            reasons(&contact, &real(3, 0, 40), PATIENCE),
            ["none of 40 probes of the pool's own members was answered directly"]
        );
        for (acks, lost) in [(1, 4000), (0, 19)] {
            assert_eq!(reasons(&contact, &real(3, acks, lost), PATIENCE), Vec::<String>::new());
        }
    }
}
