//! How a join ended, seed by seed.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::stream::CloseReason;
use crate::worker::JoinFailure;

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
    /// Another seed answered first, and this one took longer than a moment more.
    NotAwaited,
    /// The member could not be asked to try it.
    Busy,
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
            SeedError::NotAwaited => out.write_str("was not waited for: another seed answered first"),
            SeedError::Left => out.write_str("was not tried: the member was told to leave meanwhile"),
            SeedError::Busy => out.write_str("was not tried: the member has too much to do"),
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

crate::sentence::debug_is_the_sentence!(SeedError);

/// What became of one seed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeedOutcome {
    /// As it was given, with its port.
    pub seed: String,
    /// The address that answered, or why none did.
    pub result: Result<SocketAddr, SeedError>,
}

impl fmt::Display for SeedOutcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(_) => write!(out, "{}: answered", self.seed),
            Err(error) => write!(out, "{}: {error}", self.seed),
        }
    }
}

/// What became of every seed of a join, in the order given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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

/// Why a join came to nothing.
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
    /// The system refused a thread for it.
    #[error("no thread for the join: {0}; raise the limit on processes")]
    NoThread(String),
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

crate::sentence::debug_is_the_sentence!(JoinError);
