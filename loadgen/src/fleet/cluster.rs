//! A run, phase by phase: start, warm-up, the measured window with its kills and events, settling, stop.

#![allow(clippy::disallowed_methods, reason = "the run itself waits for the clock, between looks at it")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use swimring::net::NetOptions;
use swimring::protocol::{Settings, Time};
use swimring::stream::StreamOptions;
use swimring::worker::{Fleet, FleetOptions};
use swimring::{MemberlistOptions, WireOptions};
use swimring_tooling::cpu::{self, CpuTime};

use super::outcome::{self, Window};
use super::sampling::{Done, Sampler};
use super::start::{self, ColdStart};
use super::tracker::{Tracker, event_payload};
use super::{faults, fleet_control, settings};
use crate::cli::{RunOptions, Start, WireChoice};
use crate::cores;
use crate::measurements::Measurements;
use crate::progress::{Phase, Sample};
use crate::run::{Executed, RunError};
use crate::run_context::RunContext;
use crate::schedule::Plan;

/// Timers of the fleet are rounded to this, so that what many members do at once leaves together.
const TICK: Duration = Duration::from_millis(10);

/// How often to look for Ctrl-C and at the clock while the plan has nothing: every look costs CPU time that
/// counts as the fleet's.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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

/// Said when the user ends a run before there is anything to report.
const NOTHING_MEASURED: &str = "ended before the measured time began: there is nothing to report";

/// A fleet that runs, and what is known of it.
struct Run<'a, 'b> {
    fleet: Fleet<Tracker>,
    options: &'a RunOptions,
    surroundings: &'a mut RunContext<'b>,
    settings: Arc<Settings>,
    sampler: Sampler,
    done: Done,
}

/// Runs the fleet.
///
/// # Errors
/// One line that names the setting and the mend.
pub fn execute(options: &RunOptions, surroundings: &mut RunContext<'_>) -> Result<Executed, RunError> {
    let settings = Arc::new(settings::in_force(options).map_err(RunError)?);
    let needed = cores::needed(options, &settings);
    let busy = if options.quiet { None } else { cores::busy() };
    let fleet = start_fleet(options, surroundings.plan, &settings).map_err(RunError)?;
    surroundings.announce(options, needed, busy);
    let sampler = Sampler::new(fleet.len(), surroundings.plan.kills.len());
    let run = Run { fleet, options, surroundings, settings, sampler, done: Done::default() };
    run.carry_out().map_err(RunError)
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
            coalescing: options.segmentation,
            receive_buffer_bytes: receive_buffer_bytes(options),
            ..NetOptions::default()
        },
        stream: StreamOptions {
            driver: settings::stream_driver(options.driver),
            exchange_timeout: settings::stream_timeout(options),
            ..StreamOptions::default()
        },
        wire: wire(options),
        own_addresses: options.wire == WireChoice::Memberlist,
        bind: bind(options),
        gossip_frames_per_second: match options.wire {
            WireChoice::Native => FleetOptions::default().gossip_frames_per_second,
            WireChoice::Memberlist => SINGLE_GOSSIP_FRAMES_PER_SECOND,
        },
        workers: options.workers as usize,
        seed: options.seed,
        tick: TICK,
        receive_loss: options.loss,
        pin: true,
        members_expected: options.members.div_ceil(options.workers) as usize,
        known_expected: options.members as usize,
        ..FleetOptions::default()
    };
    let tracker = |worker| Tracker::new(worker as u32, options.workers, options.members, plan);
    Fleet::start(&fleet_options, tracker).map_err(|error| faults::of_start(options, &error))
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
    match options.wire {
        WireChoice::Native => WireOptions::Native,
        WireChoice::Memberlist => WireOptions::Memberlist(MemberlistOptions::default()),
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

impl Run<'_, '_> {
    fn carry_out(mut self) -> Result<Executed, String> {
        let convergence = self.start()?;
        let idle = self.warm_up()?;
        let window = self.measure()?;
        self.settle()?;
        let interrupted = self.interrupted();
        let known = fleet_control::members_known(&self.fleet)?;
        let kind = self.fleet.ask(0, |host, _| host.driver()).map_err(|error| error.to_string())?;
        let protocol = settings::by_name(&self.settings, settings::stream_timeout(self.options));
        let (preset, wire) = (self.options.preset, self.options.wire);
        let probe_timeout = self.settings.probe_timeout;
        let measurements = Measurements {
            interrupted,
            members_known: known,
            driver: kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
            convergence,
            ..self.collect(&window, idle)?
        };
        Ok(Executed {
            measurements,
            wire: wire.as_str().to_owned(),
            protocol,
            protocol_preset: settings::by_name(
                &Settings::preset(preset),
                settings::stream_timeout_of_preset(preset),
            ),
            probe_timeout,
        })
    }

    fn interrupted(&self) -> bool {
        self.surroundings.interrupt.requested()
    }

    /// Until every member has a complete view. How long that took, in a cold start.
    fn start(&mut self) -> Result<Option<Duration>, String> {
        self.sample_now(Phase::Starting, Duration::ZERO, None)?;
        start::populate(&self.fleet, self.options)?;
        if self.options.start == Start::Warm {
            start::warm(&self.fleet, self.options)?;
        }
        start::resume(&self.fleet)?;
        match self.options.start {
            Start::Warm => Ok(None),
            Start::Cold => self.start_cold().map(Some),
        }
    }

    /// Joins everyone through the seeds and waits until all views are complete.
    fn start_cold(&mut self) -> Result<Duration, String> {
        let begun = self.fleet.elapsed();
        let timeout = settings::stream_timeout(self.options);
        let mut joins = ColdStart::new(&self.fleet, self.options, timeout);
        loop {
            let elapsed = self.fleet.elapsed() - begun;
            if joins.advance(&self.fleet, elapsed)? && start::is_complete(&self.fleet, self.options.members)?
            {
                return Ok(self.fleet.elapsed() - begun);
            }
            if self.interrupted() {
                return Err(NOTHING_MEASURED.to_owned());
            }
            self.sample(Phase::Starting, elapsed, Some(joins.progress()))?;
            std::thread::sleep(LOOK_AT_JOINS_EVERY);
        }
    }

    /// Lets the fleet run without being measured; gives the cores it took while nothing happened.
    fn warm_up(&mut self) -> Result<Option<f64>, String> {
        let length = self.options.warmup;
        let begun = self.fleet.elapsed();
        // The first second is the start's aftermath.
        let quiet_from = begun + Duration::from_secs(1).min(length);
        let mut quiet: Option<(Duration, CpuTime)> = None;
        loop {
            let now = self.fleet.elapsed();
            if self.interrupted() {
                return Err(NOTHING_MEASURED.to_owned());
            }
            if now - begun >= length {
                break;
            }
            if quiet.is_none() && now >= quiet_from {
                quiet = Some((now, CpuTime::of_process()));
            }
            self.sample(Phase::WarmingUp, now - begun, None)?;
            std::thread::sleep(LOOK_EVERY.min(length.saturating_sub(now - begun)));
        }
        Ok(quiet.and_then(|(since, cpu)| {
            let wall = (self.fleet.elapsed() - since).as_secs_f64();
            (wall >= 1.0).then(|| CpuTime::of_process().since(cpu).total().as_secs_f64() / wall)
        }))
    }

    /// The measured window.
    fn measure(&mut self) -> Result<Window, String> {
        let before = fleet_control::moments(&self.fleet, |_| ())?;
        self.surroundings.begin_log()?;
        let cpu = CpuTime::of_process();
        let begun = self.fleet.elapsed();
        let origin = Time::ZERO + begun;
        fleet_control::moments(&self.fleet, move |tracker| tracker.begin(origin))?;
        self.sampler.begin(begun);
        let length = self.options.duration;
        loop {
            let elapsed = self.fleet.elapsed() - begun;
            if elapsed >= length || self.interrupted() {
                break;
            }
            self.keep_plan(elapsed)?;
            self.sample(Phase::Measuring, elapsed, None)?;
            let planned = next_planned(self.surroundings.plan, self.done).unwrap_or(length);
            let until = planned.min(length).saturating_sub(self.fleet.elapsed() - begun);
            std::thread::sleep(until.min(LOOK_EVERY));
        }
        let after = fleet_control::moments(&self.fleet, Tracker::end)?;
        let length = self.fleet.elapsed() - begun;
        let cpu = CpuTime::of_process().since(cpu);
        let window = Window { length, cpu, resident_bytes: cpu::resident_bytes(), before, after, origin };
        // The last interval of the log, which the window's end has cut short.
        self.sample_now(Phase::Measuring, length, None)?;
        Ok(window)
    }

    /// Does what the plan has for the time until `elapsed`.
    fn keep_plan(&mut self, elapsed: Duration) -> Result<(), String> {
        let plan = self.surroundings.plan;
        while let Some(kill) = plan.kills.get(self.done.kills).filter(|kill| kill.at <= elapsed) {
            self.done.kills += 1;
            fleet_control::kill(&self.fleet, kill.victim)?;
        }
        while let Some(event) = plan.events.get(self.done.events).filter(|event| event.at <= elapsed) {
            if self.interrupted() {
                break;
            }
            let payload = event_payload(self.done.events, self.options.event_bytes as usize);
            self.done.events += 1;
            fleet_control::send_event(&self.fleet, event.sender, EVENT_NAME, payload)?;
        }
        Ok(())
    }

    /// Goes on until everything has been seen everywhere or no longer can be.
    fn settle(&mut self) -> Result<(), String> {
        let bound = self.settling_bound();
        let begun = self.fleet.elapsed();
        loop {
            let elapsed = self.fleet.elapsed() - begun;
            if elapsed >= bound
                || self.interrupted()
                || fleet_control::everything_seen(&self.fleet, self.done, self.observers())?
            {
                return self.sample_now(Phase::Settling, elapsed, None);
            }
            self.sample(Phase::Settling, elapsed, None)?;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// How long settling may take.
    fn settling_bound(&self) -> Duration {
        fleet_control::settling_bound(&self.settings, self.options.members, Duration::ZERO)
    }

    /// Members that are never killed.
    fn observers(&self) -> u64 {
        u64::from(self.options.members) - self.surroundings.plan.kills.len() as u64
    }

    /// A sample, if one is due. `joins` counts those of a cold start.
    fn sample(&mut self, phase: Phase, elapsed: Duration, joins: Option<(u64, u64)>) -> Result<(), String> {
        if self.sampler.is_due(self.fleet.elapsed()) {
            self.sample_now(phase, elapsed, joins)?;
        }
        Ok(())
    }

    /// Takes a sample for the terminal, Prometheus and the histogram log, if there is any of them.
    fn sample_now(
        &mut self,
        phase: Phase,
        elapsed: Duration,
        joins: Option<(u64, u64)>,
    ) -> Result<(), String> {
        let observers = self.observers();
        if !self.surroundings.wants_samples() {
            self.sampler.begin(self.fleet.elapsed());
            return Ok(());
        }
        let taken = self.sampler.take(&self.fleet, phase, self.done, observers)?;
        let total = fleet_control::length_of(phase, self.options, self.settling_bound());
        let sample = Sample { joins, ..taken.sample(elapsed, total) };
        self.surroundings.show(&taken, &sample)
    }

    /// Stops the fleet and puts together what its workers counted.
    fn collect(mut self, window: &Window, idle: Option<f64>) -> Result<Measurements, String> {
        let (observers, done) = (self.observers(), self.done);
        let last = fleet_control::moments(&self.fleet, |_| ())?;
        let trackers = self.fleet.stop().map_err(|error| error.to_string())?;
        let timed = self.sampler.finish(&trackers);
        let workers = timed.into_iter().enumerate();
        let workers = workers.map(|(number, timed)| window.worker(number, &last[number], timed)).collect();
        Ok(Measurements {
            members: self.options.members.into(),
            measured: window.length,
            cpu: window.cpu,
            event_cpu: window.event_cpu(idle, done),
            resident_bytes: window.resident_bytes,
            kills: window.kills(&trackers, done, self.surroundings.plan, observers),
            events: outcome::events(&trackers, done, observers),
            workers,
            ..Measurements::default()
        })
    }
}

/// When the plan has something next.
fn next_planned(plan: &Plan, done: Done) -> Option<Duration> {
    let kill = plan.kills.get(done.kills).map(|kill| kill.at);
    let event = plan.events.get(done.events).map(|event| event.at);
    kill.into_iter().chain(event).min()
}
