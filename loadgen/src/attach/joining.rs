//! Joins at a rate: through the contacts in turn, again through another where one fails, and no more at a time
//! than a real pool takes lightly.
//!
//! The same joiner brings members back that have left. It looks at the roster, never at a worker, unless a
//! join has failed for good and somebody must be told why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::SeedError;
use swimring::net::Trains;
use swimring::worker::{Fleet, Host, JoinFailure};
use swimring_codec::{Incarnation, MemberId};
use swimring_tooling::text::counted;

use super::contacts::Contacts;
use super::identity::Identities;
use super::roster::Stage;
use super::watch::{Common, Watch};
use crate::fleet::MemberNumber;

/// Joins under way at a time: peers refuse more than 128 push/pulls at once, and others join too.
const JOINS_AT_ONCE: usize = 32;
/// How often one member tries, or once for each contact if there are more of them.
const TRIES_MAX: u32 = 8;
/// How long it goes on after these tries while there are contacts left.
const PATIENCE: Duration = Duration::from_secs(180);
/// Until it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A member that is to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    number: MemberNumber,
    /// Tries so far.
    tries: u32,
    /// Not before this, on the fleet's clock.
    due: Duration,
    /// Time at which it was first due.
    since: Duration,
    /// Through whom it joins.
    contact: usize,
}

/// Brings members into the pool.
#[derive(Debug)]
pub struct Joiner {
    common: Arc<Common>,
    identities: Identities,
    contacts: Contacts,
    workers: u32,
    incarnation: Incarnation,
    /// From one join to the next.
    pace: Duration,
    /// When the next may begin.
    next_at: Duration,
    waiting: Vec<Waiting>,
    under_way: Vec<Waiting>,
}

impl Joiner {
    /// Joins through `contacts`, `per_second` at most.
    pub fn new(
        common: Arc<Common>,
        identities: Identities,
        contacts: Contacts,
        workers: u32,
        incarnation: Incarnation,
        per_second: f64,
    ) -> Joiner {
        Joiner {
            common,
            identities,
            contacts,
            workers,
            incarnation,
            pace: Duration::from_secs_f64(1.0 / per_second),
            next_at: Duration::ZERO,
            waiting: Vec::new(),
            under_way: Vec::new(),
        }
    }

    /// Has `number` join, not before `due`. New members have to be given in order.
    pub fn add(&mut self, number: MemberNumber, due: Duration) {
        let later = |waiting: &Waiting| waiting.due > due;
        let at = self.waiting.iter().rposition(|waiting| !later(waiting)).map_or(0, |at| at + 1);
        self.waiting.insert(at, Waiting { number, tries: 0, due, since: due, contact: 0 });
    }

    /// A contact that answers, as far as is known.
    pub fn contact(&self) -> SocketAddr {
        self.contacts.best()
    }

    /// Members that have not joined yet.
    pub fn outstanding(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// Members that wait are left out.
    pub fn give_up(&mut self) {
        self.waiting.clear();
    }

    /// When there is something to begin; nothing while only answers are awaited.
    pub fn next_due(&self) -> Option<Duration> {
        let first = self.waiting.first().filter(|_| self.under_way.len() < JOINS_AT_ONCE)?;
        Some(first.due.max(self.next_at))
    }

    /// Sees what became of joins and begins those that are due.
    ///
    /// # Errors
    /// One line, if a member has tried as often as it may or cannot even start.
    pub fn advance(&mut self, fleet: &Fleet<Watch>) -> Result<(), String> {
        let now = fleet.elapsed();
        self.look(fleet, now)?;
        while let Some(first) = self.waiting.first().copied() {
            if self.under_way.len() >= JOINS_AT_ONCE || first.due > now || self.next_at > now {
                break;
            }
            self.waiting.remove(0);
            // A look that comes late does not make up for it with a burst.
            self.next_at = (self.next_at + self.pace).max(now.saturating_sub(self.pace));
            self.begin(fleet, first)?;
        }
        Ok(())
    }

    /// Drops joins that have ended, and puts those off that failed.
    fn look(&mut self, fleet: &Fleet<Watch>, now: Duration) -> Result<(), String> {
        let mut at = 0;
        while let Some(join) = self.under_way.get(at).copied() {
            match self.common.roster.stage(join.number) {
                Stage::Joining => at += 1,
                Stage::Refused => {
                    self.under_way.swap_remove(at);
                    self.try_again(fleet, join, now)?;
                }
                Stage::Present => {
                    self.under_way.swap_remove(at);
                    self.contacts.answered(join.contact);
                }
                _ => {
                    self.under_way.swap_remove(at);
                }
            }
        }
        Ok(())
    }

    fn try_again(&mut self, fleet: &Fleet<Watch>, join: Waiting, now: Duration) -> Result<(), String> {
        let failure = last_failure(fleet, (join.number % self.workers) as usize)?;
        let reason =
            failure.filter(|(_, token, _)| *token as usize == join.contact).map(|(_, _, reason)| reason);
        let another = self.contacts.failed(join.contact, reason.as_ref());
        let tries = join.tries + 1;
        let enough = tries >= TRIES_MAX
            && (tries as usize >= self.contacts.len() || now.saturating_sub(join.since) > PATIENCE);
        if enough || self.contacts.are_hopeless() {
            return Err(self.given_up(join.number, tries, reason.as_ref()));
        }
        let due = if another { now } else { now + RETRY_AFTER };
        self.waiting.insert(0, Waiting { tries, due, ..join });
        self.waiting.sort_by_key(|waiting| waiting.due);
        Ok(())
    }

    /// What to say when member `number` has tried for the last time.
    fn given_up(&self, number: MemberNumber, tries: u32, reason: Option<&JoinFailure>) -> String {
        format!(
            "--join: {}{}; {} could not join, tried {}",
            self.contacts.told(),
            reason.map_or("", mend),
            self.common.names.of(number),
            counted(tries.into(), "time")
        )
    }

    fn begin(&mut self, fleet: &Fleet<Watch>, join: Waiting) -> Result<(), String> {
        let number = join.number;
        let (worker, local) = (number % self.workers, number / self.workers);
        let contact = self.contacts.choose(number);
        let (token, target) = (contact as u32, self.contacts.address(contact));
        let is_new = self.common.roster.stage(number) == Stage::Absent;
        let name = self.common.names.of(number);
        let (address, metadata) = (self.common.addresses.of(number), self.identities.metadata(number));
        let incarnation = self.incarnation;
        self.common.roster.set(number, Stage::Joining);
        let call = move |host: &mut Host<Watch>, trains: &mut Trains| {
            if is_new && let Err(error) = host.add_at(address, &name, &metadata, "", incarnation) {
                host.observer.fault = Some(format!("{name}: {error}"));
                return;
            }
            host.command(local, trains, |member, now, commons, out| {
                if member.has_left() {
                    // Its timers are those of before it left: fired now they would all be late.
                    member.restart_timers(now, commons);
                }
                member.join(now, target, MemberId::NONE, token, commons, out);
            });
        };
        fleet.call(worker as usize, call).map_err(|error| error.to_string())?;
        self.under_way.push(Waiting { contact, ..join });
        Ok(())
    }
}

/// Why a join failed last on `worker`.
fn last_failure(
    fleet: &Fleet<Watch>,
    worker: usize,
) -> Result<Option<(MemberNumber, u32, JoinFailure)>, String> {
    let asked = fleet.ask(worker, |host, _| (host.observer.failure.clone(), host.observer.fault.take()));
    match asked.map_err(|error| error.to_string())? {
        (_, Some(fault)) => Err(fault),
        (failure, None) => Ok(failure),
    }
}

/// The flag that may mend it.
fn mend(reason: &JoinFailure) -> &'static str {
    let words = SeedError::Failed(reason.clone()).to_string();
    match reason {
        JoinFailure::Sealed(words) if words.contains("not encrypted") => " (leave out --encrypt)",
        JoinFailure::Sealed(_) => " (--encrypt)",
        JoinFailure::Refused(_) if words.contains("versions") => " (--pool)",
        JoinFailure::Closed(_) if words.contains("label") => " (--label, --encrypt)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use swimring::stream::CloseReason;

    use super::*;
    use crate::attach::addresses::OwnAddresses;
    use crate::attach::tests::options;

    fn joiner() -> Joiner {
        let options = options(&["--members", "10"]);
        let identities = Identities::new(&options).unwrap();
        let addresses = OwnAddresses::new(options.first_address, 10, 7946, 1).unwrap();
        let common = crate::attach::tests::common(&options, addresses);
        let contacts = Contacts::new(&[SocketAddr::from(([127, 0, 0, 1], 7946))]);
        Joiner::new(Arc::new(common), identities, contacts, 1, Incarnation::new(1), 20.0)
    }

    #[test]
    fn whoever_is_due_first_joins_first_and_equals_in_the_order_they_came() {
        let mut joiner = joiner();
        let second = Duration::from_secs(1);
        for (number, due) in
            [(0, Duration::ZERO), (1, Duration::ZERO), (7, second * 3), (5, second), (6, second)]
        {
            joiner.add(number, due);
        }
        let order: Vec<_> = joiner.waiting.iter().map(|waiting| waiting.number).collect();
        assert_eq!(order, [0, 1, 5, 6, 7]);
        assert_eq!((joiner.outstanding(), joiner.next_due()), (5, Some(Duration::ZERO)));
        joiner.give_up();
        assert_eq!(joiner.next_due(), None);
    }

    #[test]
    fn reasons_name_the_flag_that_mends_them() {
        let mut joiner = joiner();
        let mut told = |reason: JoinFailure| {
            joiner.contacts.failed(0, Some(&reason));
            joiner.given_up(3, 8, Some(&reason))
        };
        assert_eq!(
            told(JoinFailure::Sealed("the pool is encrypted: give one of its keys")),
            "--join: 127.0.0.1:7946: the pool is encrypted: give one of its keys (--encrypt); swimring-00003 could not \
             join, tried 8 times"
        );
        let closed = told(JoinFailure::Closed(CloseReason::PeerClosed));
        assert!(closed.contains("another label or key"), "{closed}");
        assert!(closed.contains(" (--label, --encrypt); "), "{closed}");
    }
}
