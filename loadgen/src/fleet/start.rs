//! Starting: warm, with complete views loaded as a finished join would have left them, or cold, through
//! seeds over TCP push/pull.

use std::net::SocketAddr;
use std::time::Duration;

use swimring::net::Trains;
use swimring::protocol::Time;
use swimring::worker::{Fleet, Host, HostedMember};
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use super::name_of;
use super::tracker::Tracker;
use crate::cli::RunOptions;

/// The incarnation that members start with. Nobody restarts in a run.
const INCARNATION: Incarnation = Incarnation::new(1);

/// Joins under way at a time on each worker: enough to keep the stream thread busy, few enough that none
/// waits for its turn as long as a stream may take.
const JOINS_AT_ONCE: u64 = 64;

/// How long a cold start goes on, beyond what one join may take, without any that succeeds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cold start that has not converged by then never will.
const CONVERGENCE_MAX: Duration = Duration::from_secs(600);

/// Adds every member, knowing only itself, with its timers held until [`resume`].
///
/// # Errors
/// One line.
pub fn populate(fleet: &Fleet<Tracker>, options: &RunOptions) -> Result<(), String> {
    let (members, workers) = (options.members, fleet.len());
    let added = fleet.ask_all(|worker| {
        let (address, options) = (addresses(fleet, options), options.clone());
        Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
            host.pause();
            add_members(host, (worker as u32..members).step_by(workers), &address, &options)
        })
    });
    added.map_err(|error| error.to_string())?.into_iter().collect()
}

/// Adds the members with these numbers to a worker.
fn add_members(
    host: &mut Host<Tracker>,
    mut numbers: impl Iterator<Item = u32>,
    address: &impl Fn(u32) -> SocketAddr,
    options: &RunOptions,
) -> Result<(), String> {
    numbers.try_for_each(|number| {
        let name = name_of(number);
        let (zone, key) = (options.zone(&name), options.identity_key(number));
        let added = host.add_with_key((address(number), &zone), &name, &[], INCARNATION, key.as_ref());
        added.map(|_| ()).map_err(|error| error.to_string())
    })
}

/// Where each member receives: at an address of its own, or at its worker's.
fn addresses(fleet: &Fleet<Tracker>, options: &RunOptions) -> impl Fn(u32) -> SocketAddr + Send + use<> {
    let options = options.clone();
    let of_workers: Vec<_> = (0..fleet.len()).map(|worker| fleet.address(worker)).collect();
    move |member| {
        let of_worker = of_workers[member as usize % of_workers.len()];
        let own = options.member_address(member).map(|own| SocketAddr::new(own.into(), of_worker.port()));
        own.unwrap_or(of_worker)
    }
}

/// Lets every member begin, all at once.
///
/// # Errors
/// One line.
pub fn resume(fleet: &Fleet<Tracker>) -> Result<(), String> {
    let resumed = fleet.ask_all(|_| Box::new(|host: &mut Host<Tracker>, _: &mut Trains| host.resume()));
    resumed.map(|_| ()).map_err(|error| error.to_string())
}

/// Gives every member the complete view.
///
/// # Errors
/// One line.
pub fn warm(fleet: &Fleet<Tracker>, options: &RunOptions) -> Result<(), String> {
    let (members, workers) = (options.members, fleet.len());
    let loaded = fleet.ask_all(|worker| {
        let (address, options) = (addresses(fleet, options), options.clone());
        let elsewhere = (0..members).filter(move |number| *number as usize % workers != worker);
        Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
            load_views(host, &elsewhere, &address, &options)
        })
    });
    loaded.map_err(|error| error.to_string())?.into_iter().collect()
}

/// Makes the members with these numbers, who are on other workers, known to all members of a worker.
fn load_views(
    host: &mut Host<Tracker>,
    elsewhere: &(impl Iterator<Item = u32> + Clone),
    address: &impl Fn(u32) -> SocketAddr,
    options: &RunOptions,
) -> Result<(), String> {
    let loaded = host.load_views(|view, settings, commons| {
        elsewhere.clone().try_for_each(|number| {
            let name = name_of(number);
            let zone = options.zone(&name);
            let introduction = Introduction {
                subject: MemberId::of_name(&name),
                incarnation: INCARNATION,
                state: State::Alive,
                address: address(number),
                name: &name,
                metadata: &[],
                zone: &zone,
            };
            match options.identity_key(number) {
                Some(key) => view.add_signed(&introduction, &key, settings, commons),
                None => view.add(&introduction, settings, commons),
            }
        })
    });
    loaded.map_err(|error| error.to_string())
}

/// Where a cold start is.
pub struct ColdStart {
    /// Addresses of the seeds.
    addresses: Vec<SocketAddr>,
    /// By worker: the next local member to join, and the joins begun.
    next: Vec<(HostedMember, u64)>,
    members: u32,
    seeds: u32,
    /// How long to go on without any join that succeeds.
    patience: Duration,
    joined: u64,
    /// When a join last succeeded, from the start.
    joined_at: Duration,
}

impl ColdStart {
    /// A start in which one join may take `stream_timeout`.
    pub fn new(fleet: &Fleet<Tracker>, options: &RunOptions, stream_timeout: Duration) -> ColdStart {
        ColdStart {
            addresses: (0..options.seeds).map(addresses(fleet, options)).collect(),
            next: vec![(0, 0); fleet.len()],
            members: options.members,
            seeds: options.seeds,
            patience: stream_timeout + PATIENCE,
            joined: 0,
            joined_at: Duration::ZERO,
        }
    }

    /// Begins as many joins as may be under way, `elapsed` after the start. Whether all have succeeded.
    ///
    /// # Errors
    /// One line: a worker has stopped, or the seeds do not answer.
    pub fn advance(&mut self, fleet: &Fleet<Tracker>, elapsed: Duration) -> Result<bool, String> {
        let workers = fleet.len();
        let mut joined = 0;
        for worker in 0..workers {
            let (from, begun) = self.next[worker];
            let (members, seeds, addresses) = (self.members, self.seeds, self.addresses.clone());
            let advanced = fleet.ask(worker, move |host, trains| {
                let place = Place { worker, workers, members, seeds, addresses };
                begin_joins(host, trains, &place, from, begun)
            });
            let (next, begun, succeeded) = advanced.map_err(|error| error.to_string())?;
            self.next[worker] = (next, begun);
            joined += succeeded;
        }
        if joined > self.joined {
            (self.joined, self.joined_at) = (joined, elapsed);
        }
        self.give_up(fleet, elapsed)?;
        let (joined, joins) = self.progress();
        Ok(joined == joins)
    }

    /// Joins that have succeeded, and how many it takes.
    pub fn progress(&self) -> (u64, u64) {
        (self.joined, u64::from(self.members - 1))
    }

    /// An error once waiting any longer is pointless.
    fn give_up(&self, fleet: &Fleet<Tracker>, elapsed: Duration) -> Result<(), String> {
        let (joined, joins) = self.progress();
        let stalled = joined < joins && elapsed.saturating_sub(self.joined_at) > self.patience;
        if !stalled && elapsed <= CONVERGENCE_MAX {
            return Ok(());
        }
        let failure = last_failure(fleet)?;
        let seconds = elapsed.as_secs();
        let progress = format!("{joined} of {joins} joins succeeded in {seconds} s{failure}");
        Err(if stalled {
            format!(
                "--start cold: the seeds do not answer: {progress}; raise --stream-timeout-ms or --seeds, or \
                 use fewer --members"
            )
        } else {
            format!("--start cold: the views are still not complete: {progress}; use fewer --members")
        })
    }
}

struct Place {
    worker: usize,
    workers: usize,
    members: u32,
    seeds: u32,
    addresses: Vec<SocketAddr>,
}

impl Place {
    /// Through whom member `number` joins: the seeds in turn, and a seed through the first.
    fn seed_of(&self, number: u32) -> u32 {
        if number < self.seeds { 0 } else { number % self.seeds }
    }
}

fn begin_joins(
    host: &mut Host<Tracker>,
    trains: &mut Trains,
    place: &Place,
    from: HostedMember,
    begun: u64,
) -> (HostedMember, u64, u64) {
    let finished = host.observer.tally.joined + host.observer.tally.joins_failed;
    let (mut next, mut begun) = (from, begun);
    while begun - finished < JOINS_AT_ONCE {
        let local = match host.observer.retry.pop() {
            Some(local) => local,
            None if (next as usize) < host.len() => {
                next += 1;
                next - 1
            }
            None => break,
        };
        let number = local * place.workers as u32 + place.worker as u32;
        if number == 0 || number >= place.members {
            continue;
        }
        let seed = place.seed_of(number);
        let address = place.addresses[seed as usize % place.addresses.len()];
        let id = MemberId::of_name(&name_of(seed));
        host.command(local, trains, |member, now: Time, commons, out| {
            member.join(now, address, id, local, commons, out);
        });
        begun += 1;
    }
    (next, begun, host.observer.tally.joined)
}

/// Whether every member's view is complete.
///
/// # Errors
/// One line.
pub fn is_complete(fleet: &Fleet<Tracker>, members: u32) -> Result<bool, String> {
    let complete = fleet.ask_all(|_| {
        Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
            host.members().all(|(_, member)| member.live() == members as usize)
        })
    });
    Ok(complete.map_err(|error| error.to_string())?.into_iter().all(|complete| complete))
}

fn last_failure(fleet: &Fleet<Tracker>) -> Result<String, String> {
    let failures =
        fleet.ask_all(|_| Box::new(|host: &mut Host<Tracker>, _: &mut Trains| host.observer.failure.clone()));
    let failures = failures.map_err(|error| error.to_string())?;
    let last = failures.into_iter().find(|failure| !failure.is_empty());
    Ok(last.map(|failure| format!(" (the last failure: {failure})")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use swimring::worker::FleetOptions;

    use super::*;
    use crate::schedule::Plan;

    /// A port of this machine that nobody listens on: it was free a moment ago.
    #[allow(clippy::disallowed_methods)]
    fn nobody() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap()
    }

    #[test]
    fn seeds_that_do_not_answer_end_the_start_with_one_line() {
        let options = RunOptions { members: 6, seeds: 2, ..RunOptions::defaults(6, 1) };
        let tracker = |worker| Tracker::new(worker as u32, 1, 6, &Plan::default());
        let mut fleet = Fleet::start(&FleetOptions::default(), tracker).unwrap();
        populate(&fleet, &options).unwrap();
        let mut joins = ColdStart::new(&fleet, &options, Duration::from_secs(10));
        joins.addresses = vec![nobody()];
        // A minute's worth of looks, without waiting for it: patience is 15 s.
        let mut seconds = (0..60).map(Duration::from_secs);
        let fault = loop {
            let elapsed = seconds.next().expect("patience ends within the minute");
            if let Err(fault) = joins.advance(&fleet, elapsed) {
                break fault;
            }
            while failures(&fleet) < 5 {
                std::thread::yield_now();
            }
        };
        assert!(
            fault.starts_with(
                "--start cold: the seeds do not answer: 0 of 5 joins succeeded in 16 s (the last"
            ),
            "{fault}"
        );
        assert!(fault.ends_with("raise --stream-timeout-ms or --seeds, or use fewer --members"), "{fault}");
        assert!(!fault.contains('\n'));
        fleet.stop().unwrap();
    }

    fn failures(fleet: &Fleet<Tracker>) -> u64 {
        fleet.ask(0, |host, _| host.observer.tally.joins_failed).unwrap()
    }

    #[test]
    fn members_join_through_the_seeds_in_turn_and_seeds_through_the_first() {
        let place = Place { worker: 0, workers: 2, members: 100, seeds: 3, addresses: Vec::new() };
        assert_eq!([1, 2, 3, 4, 5, 99].map(|number| place.seed_of(number)), [0, 0, 0, 1, 2, 0]);
    }
}
