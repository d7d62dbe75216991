//! Questions and commands that every measured fleet takes: a cluster of its own, or members in somebody else's pool.

use std::time::Duration;

use swimring::net::Trains;
use swimring::protocol::Settings;
use swimring::worker::{Fleet, FleetError, Host, Observer};

use super::MemberNumber;
use super::sampling::Done;
use super::snapshot::WorkerSnapshot;
use super::tracker::{Tracker, Tracking};
use crate::cli::RunOptions;
use crate::progress::Phase;

/// How long to wait until a worker that has as many calls waiting as it may is asked again.
const PATIENCE: Duration = Duration::from_millis(1);

/// Asks for something until the workers take it. A plan may have more in a moment than workers do in one: then
/// they do it later, and the report counts from when it was due.
///
/// # Errors
/// One line: a worker has stopped.
#[allow(clippy::disallowed_methods, reason = "driving a fleet means waiting for it")]
pub fn patiently<T>(mut ask: impl FnMut() -> Result<T, FleetError>) -> Result<T, String> {
    loop {
        match ask() {
            Err(FleetError::Busy(_)) => std::thread::sleep(PATIENCE),
            other => return other.map_err(|error| error.to_string()),
        }
    }
}

/// Waits until the workers have done what they were asked so far: what is asked of all of them next, and must not
/// be asked of some of them twice, is taken by each.
///
/// # Errors
/// As [`patiently`].
pub fn catch_up<O: Observer>(fleet: &Fleet<O>) -> Result<(), String> {
    patiently(|| fleet.ask_all(|_| Box::new(|_: &mut Host<O>, _: &mut Trains| ()))).map(|_| ())
}

/// Every worker's totals now, after `first` was done to its tracker.
///
/// # Errors
/// One line: a worker has stopped.
pub fn moments<O: Tracking>(
    fleet: &Fleet<O>,
    first: impl Fn(&mut Tracker) + Copy + Send + 'static,
) -> Result<Vec<WorkerSnapshot>, String> {
    catch_up(fleet)?;
    let moments = fleet.ask_all(|_| {
        Box::new(move |host: &mut Host<O>, _: &mut Trains| {
            first(host.observer.tracker_mut());
            WorkerSnapshot::of(host)
        })
    });
    moments.map_err(|error| error.to_string())
}

/// How many members a member knows, on average.
///
/// # Errors
/// As [`moments`].
pub fn members_known<O: Observer>(fleet: &Fleet<O>) -> Result<f64, String> {
    let sums = fleet.ask_all(|_| {
        Box::new(|host: &mut Host<O>, _: &mut Trains| {
            host.members().fold((0, 0), |(known, count), (_, member)| (known + member.known(), count + 1))
        })
    });
    let sums = sums.map_err(|error| error.to_string())?;
    let (known, count) = sums.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    Ok(known as f64 / f64::from(count.max(1)))
}

/// Whether all `observers` know every kill, and all but its sender have every event that was not refused.
///
/// # Errors
/// As [`moments`].
pub fn everything_seen<O: Tracking>(fleet: &Fleet<O>, done: Done, observers: u64) -> Result<bool, String> {
    let tallies = moments(fleet, |_| ())?.into_iter().map(|moment| moment.tally);
    let (declared, delivered, refused) = tallies.fold((0, 0, 0), |(a, b, c), tally| {
        (a + tally.declared, b + tally.delivered, c + tally.events_refused)
    });
    let deliveries = (done.events as u64).saturating_sub(refused) * (observers - 1);
    Ok(declared >= done.kills as u64 * observers && delivered >= deliveries)
}

/// How long a kill may take to be known: a first probe within two rounds of intervals, the longest suspicion
/// or `least` if that is longer, and the rumour's spread.
pub fn settling_bound(settings: &Settings, members: u32, least: Duration) -> Duration {
    let (_, longest) = settings.suspicion_timeouts(members as usize);
    longest.max(least) + settings.probe_interval * 4 + settings.gossip_interval * 100
}

/// Makes a member vanish.
///
/// # Errors
/// As [`moments`].
pub fn kill<O: Observer>(fleet: &Fleet<O>, victim: MemberNumber) -> Result<(), String> {
    let workers = fleet.len() as u32;
    let (worker, local) = (victim % workers, victim / workers);
    patiently(|| fleet.call(worker as usize, move |host, _| host.kill(local)))
}

/// Has a member send event `number`; one that it refuses is noted.
///
/// # Errors
/// As [`moments`].
pub fn send_event<O: Tracking>(
    fleet: &Fleet<O>,
    (number, sender): (usize, MemberNumber),
    name: &'static str,
    payload: Vec<u8>,
) -> Result<(), String> {
    let workers = fleet.len() as u32;
    let (worker, local) = (sender % workers, sender / workers);
    patiently(|| {
        let payload = payload.clone();
        fleet.call(worker as usize, move |host, trains| {
            let sent = host.command(local, trains, |member, now, commons, out| {
                member.send_event(now, name, &payload, commons, out)
            });
            if !matches!(sent, Some(Ok(_))) {
                host.observer.tracker_mut().refused(number);
            }
        })
    })
}

/// How long a phase takes, or, of settling, may take, where that is known beforehand.
pub fn length_of(phase: Phase, options: &RunOptions, settling: Duration) -> Option<Duration> {
    match phase {
        Phase::WarmingUp => Some(options.warmup),
        Phase::Measuring => Some(options.duration),
        Phase::Settling => Some(settling),
        Phase::Starting | Phase::Leaving => None,
    }
}
