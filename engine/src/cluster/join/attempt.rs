//! One join, from its seeds to its report.

#![allow(clippy::disallowed_methods, reason = "a join has a time limit")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use swimring_codec::MemberId;

use super::outcome::{JoinError, JoinReport, SeedError, SeedOutcome};
use super::seed::{Place, Seed};
use crate::cluster::hub::AwaitedJoin;
use crate::cluster::shared::{LOCAL, Shared};

/// Most seeds of one join. A list that long is a mistake: one that answers is enough.
pub(super) const SEEDS_MAX: usize = 256;
/// Seeds tried at once. Each that answers sends its whole view.
const SEEDS_AT_ONCE: usize = 8;
/// Addresses tried of one name, one after the other.
const ADDRESSES_MAX: usize = 4;
/// How long the other seeds are waited for once one has answered.
const GRACE: Duration = Duration::from_secs(1);

/// What the join hears while it waits.
#[derive(Debug)]
pub(in crate::cluster) enum Note {
    /// A name was resolved, or not.
    Resolved {
        /// Which seed's.
        seed: usize,
        /// Its addresses.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// An address answered, or not.
    Ended {
        /// Which seed's.
        seed: usize,
        /// Whether its view came.
        result: Result<(), SeedError>,
    },
}

enum Progress {
    /// Its turn has not come.
    Waiting,
    Resolving,
    /// An address is being tried; the others come after it.
    Trying {
        address: SocketAddr,
        token: u32,
        next: VecDeque<SocketAddr>,
    },
    Ended(Result<SocketAddr, SeedError>),
}

struct Attempt<'a> {
    shared: &'a Shared,
    seeds: Vec<Seed>,
    progress: Vec<Progress>,
    notes: Sender<Note>,
    timeout: Duration,
    /// How often the member had been told to leave when the join began: joining brings a member that has
    /// left back, and one that is told to leave during a join has to stay away.
    leaves: u32,
}

/// Joins through `seeds`: until all have ended, one has answered and the others had a moment more,
/// `timeout` has passed, `cancelled` says something or loses its other end, or the cluster is shut down.
pub(in crate::cluster) fn run(
    shared: &Shared,
    seeds: Vec<Seed>,
    timeout: Duration,
    cancelled: &Receiver<()>,
) -> Result<JoinReport, JoinError> {
    if seeds.is_empty() {
        return Err(JoinError::NoSeeds);
    }
    if seeds.len() > SEEDS_MAX {
        return Err(JoinError::TooManySeeds(seeds.len()));
    }
    // A seed is resolved once, and each of its addresses ends once.
    let (notes, heard) = bounded(seeds.len() * (1 + ADDRESSES_MAX));
    let progress = seeds.iter().map(|_| Progress::Waiting).collect();
    let leaves = shared.leaves();
    let mut attempt = Attempt { shared, seeds, progress, notes, timeout, leaves };
    let stopped = attempt.wait(&heard, cancelled);
    let gave_up = match &stopped {
        Ok(()) if attempt.answered() => SeedError::NotAwaited,
        _ => SeedError::TimedOut(timeout),
    };
    let report = attempt.finish(&gave_up);
    stopped?;
    if report.answered() > 0 { Ok(report) } else { Err(JoinError::NoneAnswered(report)) }
}

impl Attempt<'_> {
    fn wait(&mut self, heard: &Receiver<Note>, cancelled: &Receiver<()>) -> Result<(), JoinError> {
        let started = Instant::now();
        let mut limit = self.timeout;
        loop {
            self.begin_more();
            if self.progress.iter().all(|progress| matches!(progress, Progress::Ended(_))) {
                return Ok(());
            }
            if self.answered() && limit == self.timeout {
                limit = limit.min(started.elapsed() + GRACE);
            }
            crossbeam::select! {
                recv(heard) -> note => if let Ok(note) = note { self.hear(note) },
                recv(cancelled) -> _ => return Err(JoinError::Cancelled),
                recv(self.shared.closing) -> _ => return Err(JoinError::Stopped),
                default(limit.saturating_sub(started.elapsed())) => return Ok(()),
            }
        }
    }

    fn answered(&self) -> bool {
        self.progress.iter().any(|progress| matches!(progress, Progress::Ended(Ok(_))))
    }

    fn begin_more(&mut self) {
        let under_way =
            |progress: &&Progress| matches!(progress, Progress::Resolving | Progress::Trying { .. });
        for seed in 0..self.seeds.len() {
            if self.progress.iter().filter(under_way).count() >= SEEDS_AT_ONCE {
                return;
            }
            if matches!(self.progress[seed], Progress::Waiting) {
                self.progress[seed] = self.begin(seed);
            }
        }
    }

    fn begin(&self, seed: usize) -> Progress {
        if let Some(fault) = self.seeds[seed].fault() {
            return Progress::Ended(Err(fault));
        }
        match &self.seeds[seed].0 {
            Place::Address(address) => self.attempt(seed, VecDeque::from([*address]), SeedError::Syntax),
            Place::Name { host, port } => {
                let resolving = self.shared.resolvers.resolve(host, *port, seed, self.notes.clone());
                if resolving { Progress::Resolving } else { Progress::Ended(Err(SeedError::Busy)) }
            }
            Place::Unusable(_) => Progress::Ended(Err(SeedError::Syntax)),
        }
    }

    /// Tries the first of `addresses`; without any, `otherwise` is how the seed ended.
    fn attempt(&self, seed: usize, mut addresses: VecDeque<SocketAddr>, otherwise: SeedError) -> Progress {
        let mut otherwise = otherwise;
        while let Some(address) = addresses.pop_front() {
            if self.shared.is_own(address) {
                otherwise = SeedError::Itself;
                continue;
            }
            let token = self.shared.next_token();
            let notes = self.notes.clone();
            let leaves = self.leaves;
            let asked = self.shared.call(move |host, trains| {
                if host.observer.leaves > leaves {
                    let _ = notes.try_send(Note::Ended { seed, result: Err(SeedError::Left) });
                    return;
                }
                host.observer.joins.insert(token, AwaitedJoin { seed, notes });
                host.command(LOCAL, trains, |member, now, commons, out| {
                    member.join(now, address, MemberId::NONE, token, commons, out);
                });
            });
            match asked {
                Ok(()) => return Progress::Trying { address, token, next: addresses },
                Err(_) => otherwise = SeedError::Busy,
            }
        }
        Progress::Ended(Err(otherwise))
    }

    fn hear(&mut self, note: Note) {
        match note {
            Note::Resolved { seed, result } => {
                self.progress[seed] = match result {
                    Ok(mut addresses) => {
                        addresses.truncate(ADDRESSES_MAX);
                        let none = SeedError::Unresolved("the name has no address".to_owned());
                        self.attempt(seed, addresses.into(), none)
                    }
                    Err(reason) => Progress::Ended(Err(SeedError::Unresolved(reason))),
                };
            }
            Note::Ended { seed, result } => {
                let Progress::Trying { address, next, .. } = &mut self.progress[seed] else { return };
                let (address, next) = (*address, std::mem::take(next));
                self.progress[seed] = match result {
                    Ok(()) => Progress::Ended(Ok(address)),
                    Err(error) => self.attempt(seed, next, error),
                };
            }
        }
    }

    /// Gives up what is under way, for the reason `gave_up`.
    fn finish(self, gave_up: &SeedError) -> JoinReport {
        let mut seeds = Vec::with_capacity(self.seeds.len());
        let mut tokens = Vec::new();
        for (seed, progress) in self.seeds.iter().zip(self.progress) {
            let result = match progress {
                Progress::Ended(result) => result,
                Progress::Trying { token, .. } => {
                    tokens.push(token);
                    Err(gave_up.clone())
                }
                Progress::Waiting | Progress::Resolving => Err(gave_up.clone()),
            };
            seeds.push(SeedOutcome { seed: seed.to_string(), result });
        }
        if !tokens.is_empty() {
            // A member that has stopped has nothing to give up.
            let _ = self.shared.call(move |host, _| {
                for token in tokens {
                    host.observer.joins.remove(&token);
                    host.cancel_join(LOCAL, token);
                }
            });
        }
        JoinReport { seeds }
    }
}
