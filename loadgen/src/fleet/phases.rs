//! A measured fleet, phase by phase: start, warm-up, the measured window with its kills and events, settling, end.
//!
//! [`Phases`] waits for the clock, keeps the plan, takes samples and puts the measurements together: for a cluster of
//! its own (`run`) and for members in somebody else's pool (`attach`) alike. What differs between them, such as how
//! members get in, is a [`Script`].

#![allow(
    clippy::disallowed_methods,
    reason = "driving a fleet means waiting for the clock between looks at it"
)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use swimring::protocol::{Settings, Time};
use swimring::worker::Fleet;
use swimring_tooling::cpu::{self, CpuTime};

use super::outcome::{self, Window};
use super::sampling::{Done, Sampler};
use super::snapshot::WorkerSnapshot;
use super::tracker::{Tracker, Tracking};
use super::{MemberNumber, fleet_control, settings};
use crate::cli::RunOptions;
use crate::measurements::Measurements;
use crate::progress::{Phase, Sample};
use crate::run::Executed;
use crate::run_context::RunContext;
use crate::zone_round_trips::ZoneRoundTrips;

/// How often to look for Ctrl-C and at the clock while the plan has nothing: every look costs CPU time that
/// counts as the fleet's.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Said when the user ends a run before there is anything to report.
const NOTHING_MEASURED: &str = "ended before the measured time began: there is nothing to report";

/// What one kind of fleet does in each phase. What has a default is for a fleet that does nothing then.
pub trait Script {
    /// Who watches the members of a worker.
    type Observer: Tracking;

    /// The name of user events.
    const EVENT_NAME: &'static str;

    /// Brings everybody in. How long it took until every view was complete, where that was measured.
    ///
    /// # Errors
    /// One line.
    fn start(&mut self, phases: &mut Phases<'_, '_, Self::Observer>) -> Result<Option<Duration>, String>;

    /// Makes room for what the window will bring, before it is measured what the steady state takes.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    fn make_room(&mut self, _phases: &Phases<'_, '_, Self::Observer>) -> Result<(), String> {
        Ok(())
    }

    /// The payload of event `number`, `length` bytes long.
    fn payload(&self, number: usize, length: usize) -> Vec<u8>;

    /// A member is about to be killed.
    fn killed(&mut self, _victim: MemberNumber) {}

    /// Does what is due besides kills and events, `elapsed` after the window began. Called while settling too, with an
    /// elapsed time of zero: nothing new begins then.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    fn keep_plan(
        &mut self,
        _phases: &Phases<'_, '_, Self::Observer>,
        _elapsed: Duration,
    ) -> Result<(), String> {
        Ok(())
    }

    /// When something besides kills and events is due next, from the window's beginning.
    fn next_due(&self) -> Option<Duration> {
        None
    }

    /// How long to wait at most between two looks.
    fn look_every(&self) -> Duration {
        LOOK_EVERY
    }

    /// Whether everybody is where they are to be at the end.
    fn is_settled(&self) -> bool {
        true
    }

    /// A sample was taken: publishes what only this kind of fleet has.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    fn sampled(&mut self, _phases: &Phases<'_, '_, Self::Observer>) -> Result<(), String> {
        Ok(())
    }

    /// The measurement is over: from now on nothing counts any more.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    fn conclude(&mut self, _phases: &Phases<'_, '_, Self::Observer>) -> Result<(), String> {
        Ok(())
    }

    /// Takes everybody out again, whatever happened before.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    fn end(&mut self, _phases: &mut Phases<'_, '_, Self::Observer>) -> Result<(), String> {
        Ok(())
    }

    /// Takes what was tracked out of an observer.
    fn tracker(&mut self, observer: Self::Observer) -> Tracker;
}

/// A fleet that runs, and what is known of it.
pub struct Phases<'a, 'b, O: Tracking> {
    /// The fleet.
    pub fleet: Fleet<O>,
    /// What was asked for.
    pub options: &'a RunOptions,
    /// The plan, and everybody who looks.
    pub context: &'a mut RunContext<'b>,
    /// The protocol's settings in force.
    pub settings: Arc<Settings>,
    /// Members that are there all the time.
    observers: u64,
    /// How long settling may take.
    settling_bound: Duration,
    sampler: Sampler,
    done: Done,
}

/// What was read before everybody is taken out.
struct Measured {
    window: Window,
    idle: Option<f64>,
    convergence: Option<Duration>,
    known: f64,
    last: Vec<WorkerSnapshot>,
    interrupted: bool,
}

impl<'a, 'b, O: Tracking> Phases<'a, 'b, O> {
    /// A fleet whose workers run, with nobody on them yet. `observers` are never killed and never away.
    pub fn new(
        fleet: Fleet<O>,
        options: &'a RunOptions,
        context: &'a mut RunContext<'b>,
        settings: Arc<Settings>,
        observers: u64,
        settling_bound: Duration,
    ) -> Phases<'a, 'b, O> {
        let sampler = Sampler::new(fleet.len(), context.plan.kills.len());
        let done = Done::default();
        Phases { fleet, options, context, settings, observers, settling_bound, sampler, done }
    }

    /// Goes through all phases, and stops the fleet.
    ///
    /// # Errors
    /// One line.
    pub fn carry_out<S: Script<Observer = O>>(mut self, script: &mut S) -> Result<Executed, String> {
        let measured = self.measure(script);
        // Whatever happened: nobody vanishes from somebody else's pool without a word.
        let ended = script.end(&mut self);
        let measured = measured?;
        ended?;
        let kind = self.fleet.ask(0, |host, _| host.driver()).map_err(|error| error.to_string())?;
        let driver = kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default();
        let (options, settings) = (self.options, Arc::clone(&self.settings));
        Ok(Executed {
            measurements: self.collect(script, measured, driver)?,
            wire: options.wire.as_str().to_owned(),
            protocol: settings::by_name(&settings, settings::stream_timeout(options)),
            protocol_preset: preset_beside(options, &settings),
            probe_timeout: settings.probe_timeout,
        })
    }

    fn measure<S: Script<Observer = O>>(&mut self, script: &mut S) -> Result<Measured, String> {
        self.sample_now(script, Phase::Starting, Duration::ZERO, None)?;
        let convergence = script.start(self)?;
        let idle = self.warm_up(script)?;
        let window = self.window(script)?;
        self.settle(script)?;
        let (known, interrupted) = (fleet_control::members_known(&self.fleet)?, self.interrupted());
        let last = fleet_control::moments(&self.fleet, |_| ())?;
        script.conclude(self)?;
        Ok(Measured { window, idle, convergence, known, last, interrupted })
    }

    fn interrupted(&self) -> bool {
        self.context.interrupt.requested()
    }

    /// An end that the user asked for, while there is nothing to report yet.
    ///
    /// # Errors
    /// One line, if the user did.
    pub fn unless_interrupted(&self) -> Result<(), String> {
        if self.interrupted() { Err(NOTHING_MEASURED.to_owned()) } else { Ok(()) }
    }

    /// Lets the fleet run without being measured; gives the cores it took while nothing happened.
    fn warm_up<S: Script<Observer = O>>(&mut self, script: &mut S) -> Result<Option<f64>, String> {
        let length = self.options.warmup;
        let begun = self.fleet.elapsed();
        // The first second is the start's aftermath.
        let quiet_from = begun + Duration::from_secs(1).min(length);
        let mut quiet: Option<(Duration, CpuTime)> = None;
        loop {
            let now = self.fleet.elapsed();
            self.unless_interrupted()?;
            if now - begun >= length {
                break;
            }
            if quiet.is_none() && now >= quiet_from {
                quiet = Some((now, CpuTime::of_process()));
            }
            self.sample(script, Phase::WarmingUp, now - begun, None)?;
            std::thread::sleep(LOOK_EVERY.min(length.saturating_sub(now - begun)));
        }
        Ok(quiet.and_then(|(since, cpu)| {
            let wall = (self.fleet.elapsed() - since).as_secs_f64();
            (wall >= 1.0).then(|| CpuTime::of_process().since(cpu).total().as_secs_f64() / wall)
        }))
    }

    /// The measured window.
    fn window<S: Script<Observer = O>>(&mut self, script: &mut S) -> Result<Window, String> {
        script.make_room(self)?;
        let before = fleet_control::moments(&self.fleet, |_| ())?;
        self.context.begin_log()?;
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
            self.keep_plan(script, elapsed)?;
            // The log's intervals follow each other: what the plan took is in this one.
            self.sample(script, Phase::Measuring, self.fleet.elapsed() - begun, None)?;
            let planned = self.next_planned().into_iter().chain(script.next_due()).min().unwrap_or(length);
            let until = planned.min(length).saturating_sub(self.fleet.elapsed() - begun);
            std::thread::sleep(until.min(script.look_every()));
        }
        let after = fleet_control::moments(&self.fleet, Tracker::end)?;
        let length = self.fleet.elapsed() - begun;
        let cpu = CpuTime::of_process().since(cpu);
        let window = Window { length, cpu, resident_bytes: cpu::resident_bytes(), before, after, origin };
        // The last interval of the log, which the window's end has cut short.
        self.sample_now(script, Phase::Measuring, length, None)?;
        Ok(window)
    }

    /// When the plan has a kill or an event next.
    fn next_planned(&self) -> Option<Duration> {
        let kill = self.context.plan.kills.get(self.done.kills).map(|kill| kill.at);
        let event = self.context.plan.events.get(self.done.events).map(|event| event.at);
        kill.into_iter().chain(event).min()
    }

    /// Does what the plan has for the time until `elapsed`.
    fn keep_plan<S: Script<Observer = O>>(
        &mut self,
        script: &mut S,
        elapsed: Duration,
    ) -> Result<(), String> {
        let plan = self.context.plan;
        while let Some(kill) = plan.kills.get(self.done.kills).filter(|kill| kill.at <= elapsed) {
            self.done.kills += 1;
            script.killed(kill.victim);
            fleet_control::kill(&self.fleet, kill.victim)?;
        }
        while let Some(event) = plan.events.get(self.done.events).filter(|event| event.at <= elapsed) {
            if self.interrupted() {
                break;
            }
            let number = self.done.events;
            let payload = script.payload(number, self.options.event_bytes as usize);
            self.done.events += 1;
            fleet_control::send_event(&self.fleet, (number, event.sender), S::EVENT_NAME, payload)?;
        }
        script.keep_plan(self, elapsed)
    }

    /// Goes on until everything has been seen everywhere or no longer can be.
    fn settle<S: Script<Observer = O>>(&mut self, script: &mut S) -> Result<(), String> {
        let begun = self.fleet.elapsed();
        loop {
            let elapsed = self.fleet.elapsed() - begun;
            if elapsed >= self.settling_bound
                || self.interrupted()
                || (script.is_settled()
                    && fleet_control::everything_seen(&self.fleet, self.done, self.observers)?)
            {
                return self.sample_now(script, Phase::Settling, elapsed, None);
            }
            script.keep_plan(self, Duration::ZERO)?;
            self.sample(script, Phase::Settling, elapsed, None)?;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// A sample, if one is due. `steps` counts joins or leaves: done, and wanted.
    ///
    /// # Errors
    /// One line: a worker has stopped.
    pub fn sample<S: Script<Observer = O>>(
        &mut self,
        script: &mut S,
        phase: Phase,
        elapsed: Duration,
        steps: Option<(u64, u64)>,
    ) -> Result<(), String> {
        if self.sampler.is_due(self.fleet.elapsed()) {
            self.sample_now(script, phase, elapsed, steps)?;
        }
        Ok(())
    }

    /// Takes a sample for the terminal, Prometheus and the histogram log, if there is any of them.
    fn sample_now<S: Script<Observer = O>>(
        &mut self,
        script: &mut S,
        phase: Phase,
        elapsed: Duration,
        steps: Option<(u64, u64)>,
    ) -> Result<(), String> {
        if !self.context.wants_samples() {
            self.sampler.begin(self.fleet.elapsed());
            return Ok(());
        }
        let asked = self.fleet.elapsed();
        let taken = self.sampler.take(&self.fleet, phase, self.done, self.observers)?;
        // Workers that are busy let it wait: a sample is of when it was taken, so that the log has no gap.
        let elapsed = elapsed + self.fleet.elapsed().saturating_sub(asked);
        let total = fleet_control::length_of(phase, self.options, self.settling_bound);
        let sample = Sample { joins: steps, ..taken.sample(elapsed, total) };
        self.context.show(&taken, &sample)?;
        script.sampled(self)
    }

    /// Stops the fleet and puts together what its workers counted.
    fn collect<S: Script<Observer = O>>(
        mut self,
        script: &mut S,
        measured: Measured,
        driver: String,
    ) -> Result<Measurements, String> {
        let Measured { window, idle, convergence, known, last, interrupted } = measured;
        let (observers, done) = (self.observers, self.done);
        let watching = self.fleet.stop().map_err(|error| error.to_string())?;
        let trackers: Vec<Tracker> = watching.into_iter().map(|observer| script.tracker(observer)).collect();
        let timed = self.sampler.finish(&trackers).into_iter().enumerate();
        let workers = timed.map(|(number, timed)| window.worker(number, &last[number], timed)).collect();
        let mut zone_round_trips = ZoneRoundTrips::default();
        trackers.iter().for_each(|tracker| zone_round_trips.add(&tracker.zone_round_trips));
        Ok(Measurements {
            members: self.options.members.into(),
            members_known: known,
            driver,
            interrupted,
            convergence,
            measured: window.length,
            cpu: window.cpu,
            event_cpu: window.event_cpu(idle, done),
            resident_bytes: window.resident_bytes,
            kills: window.kills(&trackers, done, self.context.plan, observers),
            events: outcome::events(&trackers, done, observers),
            zones: self.options.zones.into(),
            zone_round_trips,
            workers,
        })
    }
}

/// The preset's values of all settings. The table's size follows from the members: it is no choice.
fn preset_beside(options: &RunOptions, in_force: &Settings) -> Map<String, Value> {
    let preset = Settings { members_max: in_force.members_max, ..settings::preset(options) };
    settings::by_name(&preset, settings::stream_timeout_of_preset(options.preset))
}
