//! A scenario: a small cluster whose size, settings and misfortunes are all drawn from one number.
//!
//! It starts, goes through a time of faults, and then has a calm phase in which it must converge, stay
//! converged, and deliver what is told in it to everyone.

use std::time::Duration;

use super::checks::{Coverage, Violation};
use super::convergence::{calm_bound, mending};
use super::faults::Faults;
use super::log::What;
use super::options::{Identities, SimulationOptions};
use super::simulation::Simulation;
use super::view_rebasing::Rebasing;
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Counters, MemberlistOptions, Preset, Settings, SuspicionMode, Time, WireOptions};

/// With this multiplier an event misses one of 50 members less than once in a million: everyone sends
/// L copies to random others, and about n * e^-L are missed. With memberlist's 4, and so 12 copies, it is
/// one event in three thousand.
const RETRANSMIT_AMPLY: u8 = 16;

/// An event store that fills up soon.
const EVENTS_FEW: u32 = 16;

/// Outcome of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Number of members.
    pub members: usize,
    /// Simulated time.
    pub simulated: Duration,
    /// Time from the end of the faults until the views agreed.
    pub converged_after: Duration,
    /// Upper bound of that time.
    pub bound: Duration,
    /// Hash of the trace.
    pub trace: u64,
    /// Sum of the members' counters.
    pub counters: Counters,
    /// What else was seen.
    pub coverage: Coverage,
}

/// The shortest time between push/pulls on memberlist's wire.
const PUSH_PULL_LEAST: Duration = Duration::from_secs(5);

/// The options of the scenario `seed`: even ones are native, half of which delegate, half of these in zones; odd ones
/// speak memberlist's format; with every third, suspicion is adaptive, else Lifeguard's; 3 to 50 members, small clusters more often than
/// large ones.
pub fn scenario(seed: u64) -> SimulationOptions {
    let mut rng = fastrand::Rng::with_seed(seed);
    let members = if rng.u8(..4) == 0 { rng.usize(3..=50) } else { rng.usize(3..=16) };
    let wire = random_wire(seed);
    let mut settings = random_settings(&mut rng);
    settings.suspicion = SuspicionMode::Lifeguard;
    if seed.is_multiple_of(3) {
        settings.suspicion = SuspicionMode::Adaptive;
        settings.suspicion_floor = settings.probe_interval * (seed % 4) as u32;
        settings.unreachable_floor = settings.probe_interval * (seed % 5) as u32;
    }
    settings.dissemination = Dissemination::Gossip;
    if seed.is_multiple_of(4) {
        settings.dissemination = Dissemination::Delegated;
        settings.delegation_bits = 1 + (seed / 4 % 4) as u8;
        settings.delegation_pacing = Duration::from_millis([0, 20, 100][(seed / 16 % 3) as usize]);
    }
    // Half of those that delegate have zones.
    let zones = if seed % 8 == 4 { 2 + (seed / 8 % 3) as usize } else { 0 };
    if !wire.is_native() {
        // Without roots to compare nothing but the periodic push/pull mends what gossip missed.
        settings.push_pull_interval = settings.push_pull_interval.max(PUSH_PULL_LEAST);
    }
    let faults = Faults::random(&mut rng);
    let shared_commons = rng.bool();
    // Members of one worker have one clock.
    let clock_every = if shared_commons { Duration::ZERO } else { faults.clock_every };
    let faults = Faults { clock_every, ..faults };
    SimulationOptions {
        seed,
        members,
        settings,
        wire,
        zones,
        // Not so far apart that probes would fail in a calm network.
        zone_delay: Duration::from_millis(seed / 24 % 4 * 2),
        faults,
        shared_commons,
        checked: true,
        rebasing: Rebasing::Restless,
        identities: Identities::None,
    }
}

/// The format of the scenario `seed`: memberlist's, of every second seed, with or without label, keys,
/// compression and checksum, in a plain pool or Serf's.
fn random_wire(seed: u64) -> WireOptions {
    if seed.is_multiple_of(2) {
        return WireOptions::Native;
    }
    let mut rng = fastrand::Rng::with_seed(!seed);
    let pool = if rng.u8(..3) == 0 { MemberlistOptions::serf() } else { MemberlistOptions::default() };
    let encrypted = rng.bool();
    let reclaim = [0, 5, 30][rng.usize(..3)];
    WireOptions::Memberlist(MemberlistOptions {
        label: if rng.bool() { "pool".to_owned() } else { String::new() },
        secret_keys: if encrypted {
            vec![vec![seed as u8; [16, 24, 32][rng.usize(..3)]].into()]
        } else {
            Vec::new()
        },
        enable_compression: rng.u8(..3) == 0,
        packet_crc: rng.bool(),
        dead_node_reclaim_time: Duration::from_secs(reclaim),
        ..pool
    })
}

fn random_settings(rng: &mut fastrand::Rng) -> Settings {
    let base = Settings::preset([Preset::Lan, Preset::Wan, Preset::Local][rng.usize(..3)]);
    let mut one_of = |choices: &[u64]| Duration::from_millis(choices[rng.usize(..choices.len())]);
    let probe_interval = one_of(&[200, 500, 1000, 1000, 2000]);
    let settings = Settings {
        probe_interval,
        gossip_interval: one_of(&[50, 100, 200, 500]),
        gossip_to_the_dead: one_of(&[0, 2_000, 10_000, 30_000]),
        push_pull_interval: one_of(&[0, 5_000, 15_000, 30_000]),
        reconnect_interval: one_of(&[2_000, 10_000, 30_000]),
        event_memory: one_of(&[15_000, 60_000, 600_000]),
        ..base
    };
    Settings {
        probe_timeout: probe_interval.mul_f64(0.1 + 0.6 * rng.f64()),
        indirect_checks: rng.u8(..=4),
        stream_fallback: rng.u8(..4) != 0,
        local_health_max: if rng.u8(..4) == 0 { rng.u8(..=15) } else { 8 },
        suspicion_multiplier: rng.u8(1..=6),
        suspicion_max_timeout_multiplier: rng.u8(1..=6),
        gossip_fanout: rng.u8(1..=4),
        retransmit_multiplier: if rng.bool() { rng.u8(2..=4) } else { RETRANSMIT_AMPLY },
        frame_bytes_max: if rng.bool() { settings.frame_bytes_max } else { rng.usize(800..=1400) },
        event_share_percent: [0, 25, 90][rng.usize(..3)],
        broadcasts_max: if rng.u8(..4) == 0 { 16 } else { settings.broadcasts_max },
        events_max: if rng.u8(..4) == 0 { EVENTS_FEW } else { settings.events_max },
        ..settings
    }
}

/// Runs the scenario `seed`.
///
/// # Errors
/// The first check that failed.
pub fn run_scenario(seed: u64) -> Result<Outcome, Violation> {
    play(&mut Simulation::new(scenario(seed)))
}

/// Runs a scenario in `simulation`, which has just been made and can be looked at afterwards.
///
/// # Errors
/// The first check that failed.
pub fn play(simulation: &mut Simulation) -> Result<Outcome, Violation> {
    let mut plan = fastrand::Rng::with_seed(!simulation.seed);
    if plan.bool() {
        simulation.start_warm();
    } else {
        simulation.start_cold();
    }
    simulation.run_for(Duration::from_secs(plan.u64(20..150)))?;
    simulation.calm();
    let bound = calm_bound(simulation.settings(), simulation.wire(), simulation.len());
    let mut converged_after = simulation.run_until_converged(bound)?;
    // A probe that was under way when the faults ended may still fail.
    simulation.run_for(simulation.settings().probe_interval * 2)?;
    converged_after += simulation.run_until_converged(bound)?;
    stays_converged(simulation)?;
    news_reaches_everyone(simulation, &mut plan)?;
    Ok(Outcome {
        members: simulation.len(),
        simulated: simulation.now.since(Time::ZERO),
        converged_after,
        bound,
        trace: simulation.trace().hash(),
        counters: simulation.counters(),
        coverage: simulation.coverage(),
    })
}

/// Without faults nobody is suspected and nobody moves.
fn stays_converged(simulation: &mut Simulation) -> Result<(), Violation> {
    let calm_since = simulation.now;
    simulation.run_for(simulation.settings().probe_interval * 10)?;
    let mut recent = simulation.log().entries().iter().filter(|entry| entry.at > calm_since);
    // An event that a small store had no room for is repaired when an older one has been forgotten.
    let few = simulation.settings().events_max == EVENTS_FEW;
    let unrest = recent.find(|entry| match entry.what {
        What::Reaped | What::LeaveFinished | What::EventTold(_) | What::StateChanged => false,
        What::UserEvent(_) => !few,
        _ => true,
    });
    if let Some(entry) = unrest {
        return Err(simulation.failed("unrest in a calm cluster", format!("{entry:?}")));
    }
    simulation.converged().map_err(|amiss| simulation.failed("a calm cluster comes apart", amiss))
}

/// An event and a change of metadata of the calm phase reach every member.
fn news_reaches_everyone(simulation: &mut Simulation, plan: &mut fastrand::Rng) -> Result<(), Violation> {
    let members: Vec<usize> = (0..simulation.len()).filter(|node| simulation.is_member(*node)).collect();
    let teller = members[plan.usize(..members.len())];
    let told = simulation.send_event(teller, "calm", b"news");
    let updated = simulation.update_metadata(teller, b"after the storm");
    updated.map_err(|error| simulation.failed("an update is refused", error.to_string()))?;
    let settings = simulation.settings();
    let rounds = u32::from(settings.retransmit_limit(members.len())) * 4 + 20;
    let mend = mending(settings, simulation.wire(), members.len());
    let told_at = simulation.now;
    simulation.run_for(settings.gossip_interval * rounds + (mend + settings.probe_interval * 4) * 2)?;
    for node in members.iter().filter(|node| **node != teller) {
        let view = simulation.view(*node).find(|known| known.name == simulation.nodes[teller].name);
        if view.is_none_or(|known| known.metadata != b"after the storm") {
            let detail = format!("member {node} has missed that of {teller}");
            return Err(simulation.failed("an update gets lost", detail));
        }
    }
    let settings = simulation.settings();
    // A small store may be full of events that have to be remembered, here or elsewhere.
    if settings.events_max == EVENTS_FEW || settings.retransmit_multiplier < RETRANSMIT_AMPLY {
        return Ok(());
    }
    told.map_err(|error| simulation.failed("an event is refused", error.to_string()))?;
    // It is the only one under way: a converged cluster has nothing queued.
    let recent = simulation.log().entries().iter().filter(|entry| entry.at > told_at);
    let heard = recent.filter(|entry| matches!(entry.what, What::UserEvent(_))).count();
    if heard + 1 != members.len() {
        return Err(simulation.failed("an event gets lost", format!("{heard} of {}", members.len() - 1)));
    }
    Ok(())
}

impl Simulation {
    fn failed(&self, check: &'static str, detail: String) -> Violation {
        Violation { at: self.now, node: 0, check, detail }
    }
}
