//! The pool's own members while it runs, for Prometheus: numbers are copied from the workers once a second, names only
//! when there are new ones, so that a worker allocates nothing for being looked at.

use std::collections::BTreeMap;

use swimring::net::Trains;
use swimring::worker::{Fleet, Host};

use super::heard::RealMember;
use super::watch::Watch;

/// Real members that are published; each is a time series per number for the server that scrapes.
pub const PUBLISHED_MAX: usize = 1000;

/// What is published of a real member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Probes of ours that it answered directly.
    pub acks: u64,
    /// Their round trips' sum, microseconds.
    pub rtt_sum_us: u64,
    /// Probes of ours that it did not answer directly in time.
    pub lost_acks: u64,
    /// Times that one of ours suspected it.
    pub suspected: u64,
    /// Times that one of ours took it for dead.
    pub failed: u64,
    /// Observers that hold it to be dead now.
    pub held_dead: u64,
    /// Packets of it that could not be opened.
    pub unopened: u64,
}

impl Numbers {
    fn of(member: &RealMember) -> Numbers {
        Numbers {
            acks: member.ack_rtt_us.len(),
            rtt_sum_us: member.rtt_sum_us,
            lost_acks: member.lost_acks,
            suspected: member.suspected.times,
            failed: member.failed.times,
            held_dead: member.dead_count,
            unopened: member.unopened,
        }
    }

    fn add(&mut self, other: &Numbers) {
        self.acks += other.acks;
        self.rtt_sum_us += other.rtt_sum_us;
        self.lost_acks += other.lost_acks;
        self.suspected += other.suspected;
        self.failed += other.failed;
        self.held_dead += other.held_dead;
        self.unopened += other.unopened;
    }
}

/// A real member's name and address.
pub type Identity = (String, String);

/// What one worker answered last.
#[derive(Debug, Default)]
struct Answer {
    generation: u64,
    identities: Vec<Identity>,
    numbers: Vec<Numbers>,
}

/// Looks at the real members of all workers.
#[derive(Debug, Default)]
pub struct Live {
    workers: Vec<Answer>,
}

impl Live {
    /// For a fleet of `workers`.
    pub fn new(workers: usize) -> Live {
        Live { workers: (0..workers).map(|_| Answer::default()).collect() }
    }

    /// The numbers of the real members by now, at most [`PUBLISHED_MAX`] of each worker's.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    pub fn look(&mut self, fleet: &Fleet<Watch>) -> Result<BTreeMap<Identity, Numbers>, String> {
        let mut last = std::mem::take(&mut self.workers).into_iter();
        let answers = fleet.ask_all(|_| {
            let mut answer = last.next().unwrap_or_default();
            answer.numbers.clear();
            answer.numbers.reserve(PUBLISHED_MAX);
            Box::new(move |host: &mut Host<Watch>, _: &mut Trains| {
                let heard = &host.observer.heard;
                let members = || heard.members.iter().take(PUBLISHED_MAX);
                if heard.generation != answer.generation {
                    answer.generation = heard.generation;
                    answer.identities =
                        members().map(|member| (member.name.clone(), member.address.to_string())).collect();
                }
                answer.numbers.extend(members().map(Numbers::of));
                answer
            })
        });
        self.workers = answers.map_err(|error| error.to_string())?;
        let mut all: BTreeMap<Identity, Numbers> = BTreeMap::new();
        for answer in &self.workers {
            for (identity, numbers) in answer.identities.iter().zip(&answer.numbers) {
                all.entry(identity.clone()).or_default().add(numbers);
            }
        }
        Ok(all)
    }
}
