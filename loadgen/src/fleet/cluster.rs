//! `run`: a cluster of its own on this machine, with everybody in it from the start or joining through seeds.

#![allow(clippy::disallowed_methods, reason = "a cold start waits for the clock, between looks at its joins")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use swimring::identity::IdentityOptions;
use swimring::net::NetOptions;
use swimring::protocol::Settings;
use swimring::stream::StreamOptions;
use swimring::worker::{Fleet, FleetOptions};
use swimring::{EncryptionOptions, MemberlistOptions, WireOptions};

use super::phases::{Phases, Script};
use super::start::{self, ColdStart};
use super::tracker::{Tracker, event_payload};
use super::{faults, fleet_control, settings};
use crate::cli::{RunOptions, Start, WireChoice};
use crate::cores;
use crate::progress::Phase;
use crate::run::{Executed, RunError};
use crate::run_context::RunContext;
use crate::schedule::Plan;

/// Timers of the fleet are rounded to this, so that what many members do at once leaves together.
const TICK: Duration = Duration::from_millis(10);

/// Probes that a worker should begin in a bunch, so that trains are full: with half of them in a train each costs nearly twice as
/// much in the kernel. Every second probe returns one that was received and is begun at other moments: 192 are left, a
/// train to each of two workers.
const PROBES_AT_ONCE: u32 = 384;

/// The same where each member has an address of its own, and there are no trains to fill: a bunch is sent, received and answered
/// in a few calls of the kernel, while what it takes is in the caches. Twice as many gain nothing more.
const SINGLE_PROBES_AT_ONCE: u32 = 200;

/// Members begin to probe in at least so many bunches in an interval, however few they are.
const BUNCHES_LEAST: u32 = 12;

/// Thousands of members share a socket: a worker that loses its core to another process for a while should
/// find what was sent meanwhile. About half a second of a busy fleet's datagrams.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;

/// The same for each member of a worker where every frame is a datagram of its own: half a second of 17 a
/// second, which is what a member is sent while news spreads. The kernel counts 1,280 bytes for one of 300, and
/// grants twice what is asked for.
const SINGLE_RECEIVE_BYTES_EACH: usize = 17 * 1280 / 4;

/// Small fleets get what an embedded member has; for large ones more would only be seconds of waiting.
const SINGLE_RECEIVE_BYTES: std::ops::RangeInclusive<usize> = 4 << 20..=64 << 20;

/// Gossip frames of each worker in a second where every frame is a datagram of its own: a third of what a
/// core can send, which leaves the rest to receiving and to probes.
const SINGLE_GOSSIP_FRAMES_PER_SECOND: u32 = 100_000;

/// How often to look whether joins have finished.
const LOOK_AT_JOINS_EVERY: Duration = Duration::from_millis(5);

/// Names of user events.
pub const EVENT_NAME: &str = "load";

/// A cluster of its own: everybody is started here, and nobody leaves.
struct Cluster<'a> {
    options: &'a RunOptions,
}

/// Runs the fleet.
///
/// # Errors
/// One line that names the setting and the mend.
pub fn execute(options: &RunOptions, context: &mut RunContext<'_>) -> Result<Executed, RunError> {
    let settings = Arc::new(settings::in_force(options).map_err(RunError)?);
    let needed = cores::needed(options, &settings);
    let busy = if options.quiet { None } else { cores::busy() };
    let fleet = start_fleet(options, context.plan, &settings).map_err(RunError)?;
    context.announce(options, needed, busy);
    let observers = u64::from(options.members) - context.plan.kills.len() as u64;
    let bound = fleet_control::settling_bound(&settings, options.members, Duration::ZERO);
    let phases = Phases::new(fleet, options, context, settings, observers, bound);
    phases.carry_out(&mut Cluster { options }).map_err(RunError)
}

fn start_fleet(
    options: &RunOptions,
    plan: &Plan,
    settings: &Arc<Settings>,
) -> Result<Fleet<Tracker>, String> {
    let fleet_options = FleetOptions {
        settings: Arc::clone(settings),
        net: NetOptions {
            driver: options.driver,
            segmentation: options.segmentation,
            // What one address sends to another is hardly ever more than one datagram, which would take the room of a train.
            coalescing: options.segmentation && options.wire == WireChoice::Native,
            receive_buffer_bytes: receive_buffer_bytes(options),
            ..NetOptions::default()
        },
        stream: StreamOptions {
            driver: settings::stream_driver(options.driver),
            exchange_timeout: settings::stream_timeout(options),
            ..StreamOptions::default()
        },
        wire: wire(options),
        identities: options.identities.then(IdentityOptions::default),
        own_addresses: options.wire == WireChoice::Memberlist,
        bind: bind(options),
        gossip_frames_per_second: match options.wire {
            WireChoice::Native => FleetOptions::default().gossip_frames_per_second,
            WireChoice::Memberlist => SINGLE_GOSSIP_FRAMES_PER_SECOND,
        },
        workers: options.workers as usize,
        seed: options.seed,
        tick: TICK,
        stagger: stagger(options, settings),
        receive_loss: options.loss,
        zone_latency: options.zone_latency(),
        pin: true,
        members_expected: options.members.div_ceil(options.workers) as usize,
        known_expected: options.members as usize,
        departed_expected: options.kills as usize,
        ..FleetOptions::default()
    };
    let tracker = |worker| {
        Tracker::new(worker as u32, options.workers, options.members, plan).in_zones(options.zone_latency())
    };
    Fleet::start(&fleet_options, tracker).map_err(|error| faults::of_start(options, &error))
}

/// How far apart the bunches are in which members begin to probe.
fn stagger(options: &RunOptions, settings: &Settings) -> Duration {
    let at_once = match options.wire {
        WireChoice::Native => PROBES_AT_ONCE,
        WireChoice::Memberlist => SINGLE_PROBES_AT_ONCE,
    };
    let interval = settings.probe_interval;
    let each = options.members.div_ceil(options.workers).max(1);
    (interval * at_once / each).min(interval / BUNCHES_LEAST).max(TICK)
}

/// What each worker's socket may hold. Where the kernel grants less, the engine says so and how to raise it.
fn receive_buffer_bytes(options: &RunOptions) -> usize {
    match options.wire {
        WireChoice::Native => RECEIVE_BUFFER_BYTES,
        WireChoice::Memberlist => {
            let members = options.members.div_ceil(options.workers) as usize;
            let bytes = members.saturating_mul(SINGLE_RECEIVE_BYTES_EACH);
            bytes.clamp(*SINGLE_RECEIVE_BYTES.start(), *SINGLE_RECEIVE_BYTES.end())
        }
    }
}

fn wire(options: &RunOptions) -> WireOptions {
    match (options.wire, &options.key) {
        (WireChoice::Native, None) => WireOptions::Native,
        (WireChoice::Native, Some(key)) => WireOptions::Encrypted(EncryptionOptions::with_key(key.clone())),
        (WireChoice::Memberlist, key) => {
            let secret_keys = key.iter().cloned().collect();
            WireOptions::Memberlist(MemberlistOptions { secret_keys, ..MemberlistOptions::default() })
        }
    }
}

/// Members with addresses of their own are served through a wildcard socket.
fn bind(options: &RunOptions) -> SocketAddr {
    let ip = match options.wire {
        WireChoice::Native => options.bind,
        WireChoice::Memberlist => Ipv4Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, options.port)
}

impl Script for Cluster<'_> {
    type Observer = Tracker;

    const EVENT_NAME: &'static str = EVENT_NAME;

    /// Creates every member, all with complete views or all joining through the seeds.
    fn start(&mut self, phases: &mut Phases<'_, '_, Tracker>) -> Result<Option<Duration>, String> {
        start::populate(&phases.fleet, self.options)?;
        if self.options.start == Start::Warm {
            start::warm(&phases.fleet, self.options)?;
        }
        start::resume(&phases.fleet)?;
        match self.options.start {
            Start::Warm => Ok(None),
            Start::Cold => self.start_cold(phases).map(Some),
        }
    }

    fn payload(&self, number: usize, length: usize) -> Vec<u8> {
        event_payload(number, length)
    }

    fn tracker(&mut self, tracker: Tracker) -> Tracker {
        tracker
    }
}

impl Cluster<'_> {
    /// Joins everyone through the seeds and waits until all views are complete.
    fn start_cold(&mut self, phases: &mut Phases<'_, '_, Tracker>) -> Result<Duration, String> {
        let begun = phases.fleet.elapsed();
        let timeout = settings::stream_timeout(self.options);
        let mut joins = ColdStart::new(&phases.fleet, self.options, timeout);
        loop {
            let elapsed = phases.fleet.elapsed() - begun;
            let joined = joins.advance(&phases.fleet, elapsed)?;
            if joined && start::is_complete(&phases.fleet, self.options.members)? {
                return Ok(phases.fleet.elapsed() - begun);
            }
            phases.unless_interrupted()?;
            phases.sample(self, Phase::Starting, elapsed, Some(joins.progress()))?;
            std::thread::sleep(LOOK_AT_JOINS_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where bunches are full anyway, members are as much out of step as ticks allow.
    #[test]
    fn members_begin_to_probe_in_bunches_that_fill_trains() {
        let settings = Settings::default();
        let ms = |members, wire| {
            let options = RunOptions { members, wire, ..RunOptions::defaults(members, 2) };
            stagger(&options, &settings).as_millis()
        };
        let native = [300, 10_000, 12_000, 20_000, 100_000].map(|members| ms(members, WireChoice::Native));
        assert_eq!(native, [83, 76, 64, 38, 10]);
        let single = [300, 2_000, 10_000, 20_000].map(|members| ms(members, WireChoice::Memberlist));
        assert_eq!(single, [83, 83, 40, 20]);
    }
}
