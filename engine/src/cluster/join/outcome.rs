//! How a join ended, seed by seed.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::stream::CloseReason;
use crate::worker::JoinFailure;

/// Addresses named in one line of those that failed alike.
const SHOWN_MAX: usize = 16;

/// Why a seed did not answer.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedError {
    /// It is no address and no name.
    Syntax,
    /// Its name could not be resolved.
    Unresolved(String),
    /// It is this member itself, or another that was given the same name.
    Itself,
    /// The stream to it failed: the connection was refused, timed out, leads to another cluster.
    Failed(JoinFailure),
    /// It had not answered when the whole join had taken this long.
    TimedOut(Duration),
    /// The whole join took this long before its turn came. It comes first in the next one.
    NotTried(Duration),
    /// Another seed answered first, and this one took longer than a moment more.
    NotAwaited,
    /// It was not asked: it is in the view that another seed has given, or in the one that there was.
    InView,
    /// None of so many addresses that its name stands for has answered; [`SeedOutcome::addresses`] says why not.
    NoneOf(usize),
    /// The member was told to leave meanwhile.
    Left,
}

impl fmt::Display for SeedError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeedError::Syntax => out.write_str("is no seed: give host:port, with a port from 1 to 65535"),
            SeedError::Unresolved(reason) => write!(out, "could not be resolved: {reason}"),
            SeedError::Itself => out.write_str("is this member itself, or another with the same name"),
            SeedError::Failed(failure) => explain(failure, out),
            SeedError::TimedOut(after) => write!(out, "timed out: no answer within {after:?}"),
            SeedError::NotTried(after) => {
                write!(out, "was not tried: its turn did not come within {after:?}")
            }
            SeedError::InView => out.write_str("was not asked: it is in the view already"),
            SeedError::NoneOf(addresses) => write!(out, "none of its {addresses} addresses answered"),
            SeedError::NotAwaited => out.write_str("was not waited for: another seed answered first"),
            SeedError::Left => out.write_str("was not tried: the member was told to leave meanwhile"),
        }
    }
}

fn explain(failure: &JoinFailure, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let JoinFailure::Closed(reason) = failure else { return write!(out, "{failure}") };
    match reason {
        CloseReason::Refused(error) if error.kind == ErrorKind::ConnectionRefused => {
            out.write_str("connection refused: no member runs there")
        }
        CloseReason::ConnectTimeout => {
            out.write_str("timed out: nothing answers at that address; is a firewall between?")
        }
        CloseReason::IdleTimeout | CloseReason::ExchangeTimeout => {
            out.write_str("timed out: it accepted the connection and did not answer; is it a member?")
        }
        CloseReason::PeerClosed | CloseReason::Truncated | CloseReason::BadLength(_) => out.write_str(
            "gave no view: it is leaving, has another label or key, or is no member of such a cluster",
        ),
        other => write!(out, "{other}"),
    }
}

impl std::error::Error for SeedError {}

crate::error_text::debug_is_the_sentence!(SeedError);

/// What became of one address of a seed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AddressOutcome {
    /// Which.
    pub address: SocketAddr,
    /// Whether its view came.
    pub result: Result<(), SeedError>,
}

impl AddressOutcome {
    /// What became of `address`.
    pub fn new(address: SocketAddr, result: Result<(), SeedError>) -> AddressOutcome {
        AddressOutcome { address, result }
    }

    /// What became of each, on one line, those that ended alike together: `10.0.0.1:7946, 10.0.0.2:7946:
    /// connection refused: no member runs there; 10.0.0.3:7946: answered`. Of those alike 16 are named.
    pub fn list(outcomes: &[AddressOutcome]) -> String {
        let mut groups: Vec<(String, Vec<SocketAddr>)> = Vec::new();
        for AddressOutcome { address, result } in outcomes {
            let words = result.as_ref().map_or_else(ToString::to_string, |()| "answered".to_owned());
            match groups.iter_mut().find(|(other, _)| *other == words) {
                Some((_, addresses)) => addresses.push(*address),
                None => groups.push((words, vec![*address])),
            }
        }
        let told = groups.iter().map(|(words, addresses)| {
            let shown = addresses.iter().take(SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>();
            match addresses.len() - shown.len() {
                0 => format!("{}: {words}", shown.join(", ")),
                more => format!("{} and {more} more: {words}", shown.join(", ")),
            }
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

/// What became of one seed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SeedOutcome {
    /// As it was given, with its port.
    pub seed: String,
    /// The address that answered first, or why none did.
    pub result: Result<SocketAddr, SeedError>,
    /// What became of each address that it stands for, in the order in which they ended. One for a seed that is
    /// an address; for a name as many as it was resolved to.
    pub addresses: Vec<AddressOutcome>,
    /// Addresses of it beyond the 4,096 that one join tries of all its seeds. Others are left out next time.
    pub left_out: usize,
}

impl SeedOutcome {
    /// Of `addresses`, or, without any, of the fault that left it without.
    pub(super) fn new(
        seed: String,
        addresses: Vec<AddressOutcome>,
        left_out: usize,
        fault: Option<SeedError>,
    ) -> SeedOutcome {
        let answered = addresses.iter().find(|address| address.result.is_ok());
        let result = match (answered, &addresses[..], fault) {
            (Some(answered), _, _) => Ok(answered.address),
            (None, _, Some(fault)) => Err(fault),
            (None, [AddressOutcome { result: Err(error), .. }], None) => Err(error.clone()),
            (None, several, None) => Err(SeedOutcome::of_several(several)),
        };
        SeedOutcome { seed, result, addresses, left_out }
    }

    fn of_several(addresses: &[AddressOutcome]) -> SeedError {
        let is = |outcome: &AddressOutcome, error: &SeedError| outcome.result.as_ref() == Err(error);
        let known = |outcome| is(outcome, &SeedError::InView) || is(outcome, &SeedError::Itself);
        if !addresses.is_empty() && addresses.iter().all(known) {
            return SeedError::InView;
        }
        SeedError::NoneOf(addresses.len())
    }
}

impl fmt::Display for SeedOutcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.result.as_ref().map_or_else(ToString::to_string, |_| "answered".to_owned());
        match &self.addresses[..] {
            [] => write!(out, "{}: {told}", self.seed),
            [one] if one.address.to_string() == self.seed => write!(out, "{}: {told}", self.seed),
            [one] if self.left_out == 0 => write!(out, "{} ({}): {told}", self.seed, one.address),
            several => {
                write!(out, "{}: {told} ({}", self.seed, AddressOutcome::list(several))?;
                if self.left_out > 0 {
                    write!(out, "; {} more: left out", self.left_out)?;
                }
                out.write_str(")")
            }
        }
    }
}

/// What became of every seed of a join, in the order given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct JoinReport {
    /// One for each seed.
    pub seeds: Vec<SeedOutcome>,
}

impl JoinReport {
    /// How many seeds answered.
    pub fn answered(&self) -> usize {
        self.seeds.iter().filter(|seed| seed.result.is_ok()).count()
    }

    /// The seeds that did not answer, and why.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &SeedError)> {
        self.seeds.iter().filter_map(|seed| Some((seed.seed.as_str(), seed.result.as_ref().err()?)))
    }
}

impl fmt::Display for JoinReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, seed) in self.seeds.iter().enumerate() {
            write!(out, "{}{seed}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

/// Why a join failed.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There was no seed to try.
    #[error("no seed was given: name at least one member of the cluster")]
    NoSeeds,
    /// More seeds than one join takes.
    #[error("{0} seeds are too many: give at most {max}", max = super::attempt::SEEDS_MAX)]
    TooManySeeds(usize),
    /// More joins under way than there may be.
    #[error("too many joins are under way: wait for one to end")]
    TooManyJoins,
    /// No seed answered.
    #[error("no seed answered: {0}")]
    NoneAnswered(JoinReport),
    /// It was cancelled.
    #[error("the join was cancelled")]
    Cancelled,
    /// The cluster was shut down.
    #[error("the cluster has been shut down: start a new one")]
    Stopped,
}

crate::error_text::debug_is_the_sentence!(JoinError);

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(last: u8, result: Result<(), SeedError>) -> AddressOutcome {
        AddressOutcome { address: SocketAddr::from(([10, 0, 0, last], 7946)), result }
    }

    fn of_name(addresses: Vec<AddressOutcome>, left_out: usize) -> SeedOutcome {
        SeedOutcome::new("pool:7946".to_owned(), addresses, left_out, None)
    }

    #[test]
    fn what_was_tried_is_listed_with_how_it_failed() {
        let second = Duration::from_secs(1);
        let late = Err(SeedError::TimedOut(second));
        let addresses =
            vec![outcome(1, late.clone()), outcome(2, Err(SeedError::NotTried(second))), outcome(3, late)];
        assert_eq!(
            of_name(addresses, 7).to_string(),
            "pool:7946: none of its 3 addresses answered (10.0.0.1:7946, 10.0.0.3:7946: timed out: no answer within \
             1s; 10.0.0.2:7946: was not tried: its turn did not come within 1s; 7 more: left out)"
        );
        let refused = outcome(1, Err(SeedError::Failed(JoinFailure::OtherCluster)));
        assert_eq!(
            of_name(vec![refused.clone()], 0).to_string(),
            "pool:7946 (10.0.0.1:7946): belongs to another cluster"
        );
        let alone = SeedOutcome::new("10.0.0.1:7946".to_owned(), vec![refused], 0, None);
        assert_eq!(alone.to_string(), "10.0.0.1:7946: belongs to another cluster");
    }

    #[test]
    fn many_that_failed_alike_are_counted() {
        let addresses: Vec<_> = (0..20).map(|last| outcome(last, Err(SeedError::NotAwaited))).collect();
        let told = AddressOutcome::list(&addresses);
        assert!(told.contains("10.0.0.15:7946 and 4 more: was not waited for"), "{told}");
    }

    #[test]
    fn the_first_that_answered_is_the_seeds_and_who_is_known_is_no_failure() {
        let answered =
            of_name(vec![outcome(1, Err(SeedError::Itself)), outcome(2, Ok(())), outcome(3, Ok(()))], 0);
        assert_eq!(answered.result, Ok(SocketAddr::from(([10, 0, 0, 2], 7946))));
        let known = of_name(vec![outcome(1, Err(SeedError::Itself)), outcome(2, Err(SeedError::InView))], 0);
        assert_eq!(known.result, Err(SeedError::InView));
    }
}
