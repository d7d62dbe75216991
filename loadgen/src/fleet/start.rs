//! Starting: warm, with complete views loaded as a finished join would have left them, or cold, through
//! seeds over TCP push/pull.

use std::time::Duration;

use swimring::net::Trains;
use swimring::swim::Time;
use swimring::worker::{Fleet, Host, LocalMember};
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

use super::name_of;
use super::tracker::Tracker;
use crate::cli::RunOptions;
use crate::interrupt::Interrupt;

/// The incarnation that members start with. Nobody restarts in a run.
const INCARNATION: Incarnation = Incarnation::new(1);

/// Joins under way at a time on each worker: enough to keep the stream thread busy, few enough that none
/// waits for its turn as long as a stream may take.
const JOINS_AT_ONCE: u64 = 64;

/// How often to look whether joins have finished.
const POLL: Duration = Duration::from_millis(5);

/// Adds every member, knowing only itself, with its timers held until [`resume`].
///
/// # Errors
/// One line.
pub fn populate(fleet: &Fleet<Tracker>, members: u32) -> Result<(), String> {
    let workers = fleet.len();
    let added = fleet.ask_all(|worker| {
        Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
            host.pause();
            for number in (worker as u32..members).step_by(workers) {
                host.add(&name_of(number), &[], INCARNATION).map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    });
    added.map_err(|error| error.to_string())?.into_iter().collect()
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
pub fn warm(fleet: &Fleet<Tracker>, members: u32) -> Result<(), String> {
    let workers = fleet.len();
    let addresses: Vec<_> = (0..workers).map(|worker| fleet.address(worker)).collect();
    let loaded = fleet.ask_all(|worker| {
        let addresses = addresses.clone();
        Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
            let loaded = host.load_views(|view, settings, commons| {
                for number in (0..members).filter(|number| *number as usize % workers != worker) {
                    let name = name_of(number);
                    let introduction = Introduction {
                        subject: MemberId::of_name(&name),
                        incarnation: INCARNATION,
                        state: State::Alive,
                        address: addresses[number as usize % workers],
                        name: &name,
                        metadata: &[],
                    };
                    view.add(&introduction, settings, commons)?;
                }
                Ok(())
            });
            loaded.map_err(|error| error.to_string())
        })
    });
    loaded.map_err(|error| error.to_string())?.into_iter().collect()
}

/// Where a cold start is.
pub struct ColdStart {
    /// By worker: the next local member to join, and the joins begun.
    next: Vec<(LocalMember, u64)>,
    members: u32,
    seeds: u32,
}

impl ColdStart {
    /// A start through the first `seeds` members.
    pub fn new(workers: usize, members: u32, seeds: u32) -> ColdStart {
        ColdStart { next: vec![(0, 0); workers], members, seeds }
    }

    /// Begins as many joins as may be under way. Gives how many have succeeded.
    ///
    /// # Errors
    /// One line.
    pub fn advance(&mut self, fleet: &Fleet<Tracker>) -> Result<u64, String> {
        let workers = fleet.len();
        let addresses: Vec<_> = (0..workers).map(|worker| fleet.address(worker)).collect();
        let mut joined = 0;
        for worker in 0..workers {
            let (from, begun) = self.next[worker];
            let (members, seeds, addresses) = (self.members, self.seeds, addresses.clone());
            let advanced = fleet.ask(worker, move |host, trains| {
                let place = Place { worker, workers, members, seeds, addresses };
                begin_joins(host, trains, &place, from, begun)
            });
            let (next, begun, succeeded) = advanced.map_err(|error| error.to_string())?;
            self.next[worker] = (next, begun);
            joined += succeeded;
        }
        Ok(joined)
    }

    /// How many joins it takes.
    pub fn joins(&self) -> u64 {
        u64::from(self.members - 1)
    }
}

struct Place {
    worker: usize,
    workers: usize,
    members: u32,
    seeds: u32,
    addresses: Vec<std::net::SocketAddr>,
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
    from: LocalMember,
    begun: u64,
) -> (LocalMember, u64, u64) {
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
        let address = place.addresses[seed as usize % place.workers];
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

/// Waits a little between two looks.
pub fn pause(interrupt: &Interrupt) -> bool {
    std::thread::sleep(POLL);
    !interrupt.requested()
}

/// Joins everyone through the seeds and waits until all views are complete. Gives how long that took;
/// nothing if it was interrupted.
///
/// # Errors
/// One line.
pub fn cold(
    fleet: &Fleet<Tracker>,
    options: &RunOptions,
    interrupt: &Interrupt,
    mut look: impl FnMut(u64),
) -> Result<Option<Duration>, String> {
    let started = fleet.elapsed();
    let mut joins = ColdStart::new(fleet.len(), options.members, options.seeds);
    loop {
        let joined = joins.advance(fleet)?;
        look(joined);
        if joined == joins.joins() && is_complete(fleet, options.members)? {
            return Ok(Some(fleet.elapsed() - started));
        }
        if fleet.elapsed() - started > CONVERGENCE_MAX {
            let reason = last_failure(fleet)?;
            return Err(format!(
                "--start cold: the views were not complete after {} s ({joined} of {} joins succeeded{reason}); \
                 use fewer --members",
                CONVERGENCE_MAX.as_secs(),
                joins.joins()
            ));
        }
        if !pause(interrupt) {
            return Ok(None);
        }
    }
}

/// A cold start that has not converged by then never will.
const CONVERGENCE_MAX: Duration = Duration::from_secs(600);

fn last_failure(fleet: &Fleet<Tracker>) -> Result<String, String> {
    let failures =
        fleet.ask_all(|_| Box::new(|host: &mut Host<Tracker>, _: &mut Trains| host.observer.failure.clone()));
    let failures = failures.map_err(|error| error.to_string())?;
    let last = failures.into_iter().find(|failure| !failure.is_empty());
    Ok(last.map(|failure| format!("; the last failure: {failure}")).unwrap_or_default())
}
