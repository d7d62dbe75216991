//! Starting the workers that carry the virtual members, with nobody on them yet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use swimring::net::NetOptions;
use swimring::protocol::Settings;
use swimring::stream::StreamOptions;
use swimring::worker::{Fleet, FleetOptions};
use swimring::{MemberlistDialect, WireOptions};
use swimring_codec::Incarnation;

use super::identity::{self, Names};
use super::plan::AttachPlan;
use super::roster::Roster;
use super::watch::{Common, Watch};
use crate::cli::{AttachOptions, PoolKind};
use crate::fleet::tracker::Tracker;
use crate::fleet::{faults, settings};

/// Timers are rounded to this, as in a `run`.
const TICK: Duration = Duration::from_millis(10);
/// Thousands of members share a socket; see a `run`'s.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// Real members that room is made for at the start; more grow it.
const REAL_MEMBERS_EXPECTED: usize = 1024;
/// Real members that may be in a pool besides ours.
const REAL_MEMBERS_MAX: u32 = 100_000;
/// 2020-01-01, in seconds since 1970.
const EPOCH_S: u64 = 1_577_836_800;

/// What all watches have in common.
pub(super) fn common(options: &AttachOptions, plan: &AttachPlan) -> Result<Common, String> {
    let members = options.run.members;
    let mut churns = vec![false; members as usize];
    for churner in &plan.churners {
        churns[*churner as usize] = true;
    }
    Ok(Common {
        addresses: options.addresses(options.run.port)?,
        names: Names::new(&options.name_prefix, members),
        roster: Roster::new(members),
        churns,
        run: run_number(),
        event_bytes: options.run.event_bytes as usize,
        dialect: if options.pool == PoolKind::Memberlist {
            MemberlistDialect::Memberlist
        } else {
            MemberlistDialect::Serf
        },
    })
}

/// Tells this run's events from those of others.
// Two runs in one pool have to differ: a seed would not do.
#[allow(clippy::disallowed_methods)]
fn run_number() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    fastrand::Rng::with_seed(now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(48)).u32(..)
}

/// Seconds since 2020, which outranks earlier members of the same names.
#[allow(clippy::disallowed_methods, reason = "the first incarnation comes from the wall clock")]
pub(super) fn first_incarnation() -> Incarnation {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Incarnation::new(now.as_secs().saturating_sub(EPOCH_S).max(1))
}

/// The protocol's settings: a `run`'s, with room for the pool's own members.
pub(super) fn protocol(options: &AttachOptions) -> Result<Settings, String> {
    let mut settings = settings::in_force(&options.run)?;
    settings.members_max = settings.members_max.max(options.run.members.saturating_add(REAL_MEMBERS_MAX));
    Ok(settings)
}

/// Starts the workers.
pub(super) fn fleet(
    options: &AttachOptions,
    plan: &AttachPlan,
    common: &Arc<Common>,
    protocol: &Arc<Settings>,
) -> Result<Fleet<Watch>, String> {
    let run = &options.run;
    let fleet_options = FleetOptions {
        settings: Arc::clone(protocol),
        wire: WireOptions::Memberlist(identity::wire(options)),
        net: NetOptions {
            driver: run.driver,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            ..NetOptions::default()
        },
        stream: StreamOptions {
            driver: settings::stream_driver(run.driver),
            exchange_timeout: settings::stream_timeout(run),
            ..StreamOptions::default()
        },
        own_addresses: true,
        bind: SocketAddr::new(run.bind, run.port),
        workers: run.workers as usize,
        seed: run.seed,
        tick: TICK,
        pin: true,
        members_expected: run.members.div_ceil(run.workers) as usize,
        known_expected: run.members as usize + REAL_MEMBERS_EXPECTED,
        ..FleetOptions::default()
    };
    let watch = |worker| {
        let tracker = Tracker::new(worker as u32, run.workers, run.members, &plan.plan);
        Watch::new(Arc::clone(common), tracker)
    };
    Fleet::start(&fleet_options, watch).map_err(|error| faults::of_start(run, &error))
}
