//! The real members to join through, and what came of each try.
//!
//! Joins go through them in turn, but for those that do not answer: whichever has failed least often in a row
//! is taken next. So one that lives is found behind any number that do not, and those are left alone from then
//! on, until the others fail too.

use std::net::SocketAddr;

use swimring::worker::JoinFailure;
use swimring::{AddressOutcome, SeedError};

use crate::fleet::MemberNumber;

#[derive(Debug)]
struct Contact {
    address: SocketAddr,
    /// Failures since it last answered.
    failures: u32,
    /// Why it failed last.
    failure: Option<SeedError>,
    /// Whether trying again is pointless.
    for_good: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Contacts(Vec<Contact>);

impl Contacts {
    /// Those at `addresses`, of which there has to be one.
    pub fn new(addresses: &[SocketAddr]) -> Contacts {
        let contact =
            |address: &SocketAddr| Contact { address: *address, failures: 0, failure: None, for_good: false };
        Contacts(addresses.iter().map(contact).collect())
    }

    /// The contact that member `number` tries next.
    pub fn choose(&self, number: MemberNumber) -> usize {
        let count = self.0.len();
        let turn = |at: usize| (at + count - number as usize % count) % count;
        (0..count).min_by_key(|at| (self.0[*at].failures, turn(*at))).unwrap_or(0)
    }

    /// Its address.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.0[at].address
    }

    /// One that answers, as far as is known.
    pub fn best(&self) -> SocketAddr {
        self.address(self.choose(0))
    }

    /// Number of contacts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// It has answered.
    pub fn answered(&mut self, at: usize) {
        let contact = &mut self.0[at];
        (contact.failures, contact.failure, contact.for_good) = (0, None, false);
    }

    /// It has not, for `reason` if that is known. Whether another has failed less often.
    pub fn failed(&mut self, at: usize, reason: Option<&JoinFailure>) -> bool {
        let contact = &mut self.0[at];
        contact.failures += 1;
        contact.for_good = reason.is_some_and(is_for_good);
        contact.failure = Some(SeedError::Failed(reason.cloned().unwrap_or(JoinFailure::Unreadable)));
        let failures = contact.failures;
        self.0.iter().any(|other| other.failures < failures)
    }

    /// Whether none is worth another try.
    pub fn are_hopeless(&self) -> bool {
        self.0.iter().all(|contact| contact.for_good)
    }

    /// What became of each, on one line.
    pub fn told(&self) -> String {
        let outcome = |contact: &Contact| {
            AddressOutcome::new(contact.address, contact.failure.clone().map_or(Ok(()), Err))
        };
        let outcomes: Vec<_> =
            self.0.iter().filter(|contact| contact.failure.is_some()).map(outcome).collect();
        let untried = self.0.len() - outcomes.len();
        let told = AddressOutcome::list(&outcomes);
        if untried == 0 { told } else { format!("{told}; {untried} more: did not fail") }
    }
}

/// Whether trying again at the same address is pointless.
fn is_for_good(reason: &JoinFailure) -> bool {
    matches!(
        reason,
        JoinFailure::Refused(_)
            | JoinFailure::Sealed(_)
            | JoinFailure::OtherCluster
            | JoinFailure::WithIdentities
            | JoinFailure::WithoutIdentities
    )
}

#[cfg(test)]
mod tests {
    use swimring::stream::CloseReason;

    use super::*;

    fn contacts(count: u16) -> Contacts {
        let addresses: Vec<_> = (0..count).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        Contacts::new(&addresses)
    }

    #[test]
    fn members_go_through_them_in_turn() {
        let contacts = contacts(3);
        let chosen: Vec<_> = (0..6).map(|number| contacts.choose(number)).collect();
        assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn one_that_answers_is_found_behind_forty_that_do_not_and_then_kept_to() {
        let mut contacts = contacts(41);
        let timed_out = JoinFailure::Closed(CloseReason::ConnectTimeout);
        for tries in 0..40 {
            let at = contacts.choose(0);
            assert_eq!(at, tries, "nobody a second time before all have been tried");
            assert!(contacts.failed(at, Some(&timed_out)), "another is worth a try at once");
        }
        assert_eq!(contacts.choose(0), 40);
        contacts.answered(40);
        assert!((0..100).all(|number| contacts.choose(number) == 40));
        assert_eq!(contacts.best(), contacts.address(40));
        // It goes, and the others have their chance again.
        contacts.failed(40, None);
        assert_ne!(contacts.choose(1), 40);
    }

    #[test]
    fn what_became_of_each_is_told() {
        let mut contacts = contacts(3);
        contacts.failed(0, Some(&JoinFailure::OtherCluster));
        contacts.failed(1, Some(&JoinFailure::OtherCluster));
        assert!(!contacts.are_hopeless());
        assert_eq!(
            contacts.told(),
            "10.0.0.1:0, 10.0.0.1:1: belongs to another cluster; 1 more: did not fail"
        );
        contacts.failed(2, Some(&JoinFailure::TooManyStreams));
        assert!(!contacts.are_hopeless());
        contacts.failed(2, Some(&JoinFailure::OtherCluster));
        assert!(contacts.are_hopeless());
    }
}
