//! An attachment, phase by phase: join, warm-up, the measured window with kills, churn and events, settling, and
//! leaving, which also follows when anything else has ended early.

#![allow(clippy::disallowed_methods, reason = "the session itself waits for the clock, between looks at it")]

mod arriving;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::net::Trains;
use swimring::protocol::{Settings, Time};
use swimring::worker::{Fleet, Host};
use swimring_tooling::cpu::{self, CpuTime};
use swimring_tooling::output::tell;
use swimring_tooling::text::counted;

use super::command::Attached;
use super::contact;
use super::contacts::Contacts;
use super::identity::Identities;
use super::joining::Joiner;
use super::leaving::{self, Leaver};
use super::live::Live;
use super::outcome;
use super::payload::{EVENT_NAME, event_payload};
use super::plan::{AttachPlan, PAUSE};
use super::roster::Stage;
use super::schedule;
use super::start;
use super::watch::{Common, Watch};
use crate::cli::{AttachOptions, PROGRAM};
use crate::fleet::outcome::{self as fleet_outcome, Window};
use crate::fleet::sampling::{Done, Sampler};
use crate::fleet::settings;
use crate::fleet::snapshot::WorkerSnapshot;
use crate::fleet::tracker::{Tracker, Tracking};
use crate::fleet::{MemberNumber, fleet_control};
use crate::measurements::Measurements;
use crate::progress::{Phase, Sample};
use crate::run::{Executed, RunError};
use crate::run_context::RunContext;

/// How often to look for Ctrl-C and at the clock while nothing is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same while joins or leaves are under way.
const LOOK_OFTEN: Duration = Duration::from_millis(10);
/// Said when the user ends it before there is anything to report.
const NOTHING_MEASURED: &str = "ended before the measured time began: there is nothing to report";

/// An attachment under way, and what is known of it.
struct Session<'a, 'b> {
    fleet: Fleet<Watch>,
    options: &'a AttachOptions,
    plan: &'a AttachPlan,
    surroundings: &'a mut RunContext<'b>,
    protocol: Arc<Settings>,
    common: Arc<Common>,
    joiner: Joiner,
    sampler: Sampler,
    live: Live,
    done: Done,
    /// Leaves begun.
    leaves: usize,
    /// Members that have left and come back once they are gone.
    returning: VecDeque<MemberNumber>,
    /// When joining began.
    begun: Duration,
}

/// Attaches the members to the pool, measures, and detaches them.
pub(super) fn execute(
    options: &AttachOptions,
    plan: &AttachPlan,
    targets: &[SocketAddr],
    surroundings: &mut RunContext<'_>,
) -> Result<Attached, RunError> {
    let protocol = Arc::new(start::protocol(options).map_err(RunError)?);
    let common = Arc::new(start::common(options, plan).map_err(RunError)?);
    let identities = Identities::new(options).map_err(RunError)?;
    let fleet = start::fleet(options, plan, &common, &protocol).map_err(RunError)?;
    if !options.run.quiet {
        schedule::announce(options, &schedule::Schedule::new(options, plan, &protocol));
    }
    let joiner = Joiner::new(
        Arc::clone(&common),
        identities,
        Contacts::new(targets),
        options.run.workers,
        start::first_incarnation(),
        options.ramp.per_second,
    );
    let sampler = Sampler::new(fleet.len(), plan.plan.kills.len());
    let live = Live::new(fleet.len());
    let session = Session {
        fleet,
        options,
        plan,
        surroundings,
        protocol,
        common,
        joiner,
        sampler,
        live,
        done: Done::default(),
        leaves: 0,
        returning: VecDeque::new(),
        begun: Duration::ZERO,
    };
    session.carry_out().map_err(RunError)
}

/// What was measured before everybody leaves.
struct Measured {
    window: Window,
    idle: Option<f64>,
    convergence: Option<Duration>,
    known: f64,
    last: Vec<WorkerSnapshot>,
    interrupted: bool,
}

impl Session<'_, '_> {
    fn carry_out(mut self) -> Result<Attached, String> {
        let measured = self.measure();
        // Whatever happened: nobody vanishes without a word.
        let left = self.leave();
        let measured = measured?;
        left?;
        let kind = self.fleet.ask(0, |host, _| host.driver()).map_err(|error| error.to_string())?;
        let (run, preset) = (&self.options.run, self.options.run.preset);
        let protocol = settings::by_name(&self.protocol, settings::stream_timeout(run));
        let mut protocol_preset =
            settings::by_name(&Settings::preset(preset), settings::stream_timeout_of_preset(preset));
        // Made large enough for everybody, and nobody's wish.
        protocol_preset.insert("members_max".to_owned(), self.protocol.members_max.into());
        let (probe_timeout, patience) = (self.protocol.probe_timeout, contact::patience(&self.protocol));
        let driver = kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default();
        let (measurements, merged) = self.collect(measured, driver)?;
        let executed = Executed {
            measurements,
            wire: "memberlist".to_owned(),
            protocol,
            protocol_preset,
            probe_timeout,
        };
        Ok(Attached { executed, merged, patience })
    }

    fn measure(&mut self) -> Result<Measured, String> {
        let convergence = self.join()?;
        let idle = self.warm_up()?;
        let window = self.window()?;
        self.settle()?;
        let (known, interrupted) = (fleet_control::members_known(&self.fleet)?, self.interrupted());
        let last = fleet_control::moments(&self.fleet, |_| ())?;
        self.conclude()?;
        Ok(Measured { window, idle, convergence, known, last, interrupted })
    }

    /// From now on nothing counts any more.
    fn conclude(&self) -> Result<(), String> {
        let concluded = self.fleet.ask_all(|_| {
            Box::new(|host: &mut Host<Watch>, _: &mut Trains| {
                let now = host.now();
                host.observer.finish(now);
                host.observer.tracker_mut().conclude();
            })
        });
        concluded.map(|_| ()).map_err(|error| error.to_string())
    }

    fn interrupted(&self) -> bool {
        self.surroundings.interrupt.requested()
    }

    /// An end that the user asked for, while there is nothing to report yet.
    fn unless_interrupted(&self) -> Result<(), String> {
        if self.interrupted() { Err(NOTHING_MEASURED.to_owned()) } else { Ok(()) }
    }

    /// Lets the pool run without being measured; gives the cores taken while nothing happened.
    fn warm_up(&mut self) -> Result<Option<f64>, String> {
        let length = self.options.run.warmup;
        let begun = self.fleet.elapsed();
        // The first second is the joins' aftermath.
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
            self.sample(Phase::WarmingUp, now - begun, None)?;
            std::thread::sleep(LOOK_EVERY.min(length.saturating_sub(now - begun)));
        }
        Ok(quiet.and_then(|(since, cpu)| {
            let wall = (self.fleet.elapsed() - since).as_secs_f64();
            (wall >= 1.0).then(|| CpuTime::of_process().since(cpu).total().as_secs_f64() / wall)
        }))
    }

    /// The measured window.
    fn window(&mut self) -> Result<Window, String> {
        self.make_room()?;
        let before = fleet_control::moments(&self.fleet, |_| ())?;
        self.surroundings.begin_log()?;
        let cpu = CpuTime::of_process();
        let begun = self.fleet.elapsed();
        let origin = Time::ZERO + begun;
        fleet_control::moments(&self.fleet, move |tracker| tracker.begin(origin))?;
        self.sampler.begin(begun);
        let length = self.options.run.duration;
        loop {
            let elapsed = self.fleet.elapsed() - begun;
            if elapsed >= length || self.interrupted() {
                break;
            }
            self.keep_plan(elapsed)?;
            self.sample(Phase::Measuring, elapsed, None)?;
            let planned = self.next_planned().unwrap_or(length);
            let until = planned.min(length).saturating_sub(self.fleet.elapsed() - begun);
            let look = if self.joiner.outstanding() > 0 { LOOK_OFTEN } else { LOOK_EVERY };
            std::thread::sleep(until.min(look));
        }
        let after = fleet_control::moments(&self.fleet, Tracker::end)?;
        let length = self.fleet.elapsed() - begun;
        let cpu = CpuTime::of_process().since(cpu);
        let window = Window { length, cpu, resident_bytes: cpu::resident_bytes(), before, after, origin };
        self.sample_now(Phase::Measuring, length, None)?;
        Ok(window)
    }

    /// Memory for what will be heard, before it is measured what the steady state takes.
    fn make_room(&self) -> Result<(), String> {
        let (kills, events) = (self.plan.plan.kills.len(), self.plan.plan.events.len());
        let made = self.fleet.ask_all(|_| {
            Box::new(move |host: &mut Host<Watch>, _: &mut Trains| {
                let locals = host.len();
                host.observer.heard.reserve(kills, events, locals);
            })
        });
        made.map(|_| ()).map_err(|error| error.to_string())
    }

    /// When the plan has something next.
    fn next_planned(&self) -> Option<Duration> {
        let plan = &self.plan.plan;
        let kill = plan.kills.get(self.done.kills).map(|kill| kill.at);
        let event = plan.events.get(self.done.events).map(|event| event.at);
        let leave = self.plan.leaves.get(self.leaves).map(|leave| leave.at);
        kill.into_iter().chain(event).chain(leave).min()
    }

    /// Does what the plan has for the time until `elapsed`.
    fn keep_plan(&mut self, elapsed: Duration) -> Result<(), String> {
        let plan = &self.plan.plan;
        while let Some(kill) = plan.kills.get(self.done.kills).filter(|kill| kill.at <= elapsed) {
            self.done.kills += 1;
            self.common.roster.set(kill.victim, Stage::Killed);
            fleet_control::kill(&self.fleet, kill.victim)?;
        }
        while let Some(event) = plan.events.get(self.done.events).filter(|event| event.at <= elapsed) {
            let length = self.options.run.event_bytes as usize;
            let payload = event_payload(self.done.events, self.common.run, length);
            self.done.events += 1;
            fleet_control::send_event(&self.fleet, event.sender, EVENT_NAME, payload)?;
        }
        self.churn(elapsed)
    }

    /// Members leave in turn, and come back once they have been away for a while.
    fn churn(&mut self, elapsed: Duration) -> Result<(), String> {
        while let Some(leave) = self.plan.leaves.get(self.leaves).filter(|leave| leave.at <= elapsed) {
            self.leaves += 1;
            // One that is still on its way back has its turn another time.
            if self.common.roster.stage(leave.member) == Stage::Present {
                leaving::begin(&self.fleet, &self.common.roster, leave.member)?;
                self.returning.push_back(leave.member);
            }
        }
        let now = self.fleet.elapsed();
        for _ in 0..self.returning.len() {
            let Some(member) = self.returning.pop_front() else { break };
            if self.common.roster.stage(member) == Stage::Away {
                self.joiner.add(member, now + PAUSE);
            } else {
                self.returning.push_back(member);
            }
        }
        self.joiner.advance(&self.fleet)
    }

    /// Goes on until everything has been seen everywhere or no longer can be.
    fn settle(&mut self) -> Result<(), String> {
        let bound = self.settling_bound();
        let begun = self.fleet.elapsed();
        loop {
            let elapsed = self.fleet.elapsed() - begun;
            if elapsed >= bound
                || self.interrupted()
                || (self.all_are_back()
                    && fleet_control::everything_seen(&self.fleet, self.done, self.observers())?)
            {
                return self.sample_now(Phase::Settling, elapsed, None);
            }
            self.churn(Duration::ZERO)?;
            self.sample(Phase::Settling, elapsed, None)?;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn all_are_back(&self) -> bool {
        self.returning.is_empty() && self.joiner.outstanding() == 0
    }

    /// How long settling may take.
    fn settling_bound(&self) -> Duration {
        schedule::settling_bound(&self.protocol, self.options, self.plan)
    }

    /// Members that are there all the time.
    fn observers(&self) -> u64 {
        self.plan.observers(self.options.run.members)
    }

    /// Everybody who is there leaves.
    fn leave(&mut self) -> Result<(), String> {
        self.joiner.give_up();
        let (common, begun) = (Arc::clone(&self.common), self.fleet.elapsed());
        let roster = &common.roster;
        let mut leaver = Leaver::new(roster, self.options.ramp.per_second);
        while !leaver.is_done(roster, self.fleet.elapsed()) {
            let now = self.fleet.elapsed();
            leaver.advance(&self.fleet, roster, now)?;
            self.sample(Phase::Leaving, now - begun, Some(leaver.progress(roster)))?;
            let due = leaver.next_due().map_or(LOOK_EVERY, |due| due.saturating_sub(now));
            std::thread::sleep(due.clamp(Duration::from_millis(1), LOOK_EVERY));
        }
        let stuck = roster.at(Stage::Leaving).count() as u64;
        if stuck > 0 {
            let (stuck, seconds) = (counted(stuck, "member"), leaving::PATIENCE.as_secs());
            let line =
                format!("{stuck} had not told everybody that they leave {seconds} s after the last began to");
            tell(PROGRAM, &line);
        }
        Ok(())
    }

    /// A sample, if one is due. `steps` counts joins or leaves.
    fn sample(&mut self, phase: Phase, elapsed: Duration, steps: Option<(u64, u64)>) -> Result<(), String> {
        if self.sampler.is_due(self.fleet.elapsed()) {
            self.sample_now(phase, elapsed, steps)?;
        }
        Ok(())
    }

    fn sample_now(
        &mut self,
        phase: Phase,
        elapsed: Duration,
        steps: Option<(u64, u64)>,
    ) -> Result<(), String> {
        if !self.surroundings.wants_samples() {
            self.sampler.begin(self.fleet.elapsed());
            return Ok(());
        }
        let taken = self.sampler.take(&self.fleet, phase, self.done, self.observers())?;
        let total = fleet_control::length_of(phase, &self.options.run, self.settling_bound());
        let sample = Sample { joins: steps, ..taken.sample(elapsed, total) };
        self.surroundings.show(&taken, &sample)?;
        if let Some(metrics) = &self.surroundings.metrics {
            metrics.publish_real(&self.live.look(&self.fleet)?);
        }
        Ok(())
    }

    /// Stops the workers and puts together what they counted.
    fn collect(
        mut self,
        measured: Measured,
        driver: String,
    ) -> Result<(Measurements, outcome::Merged), String> {
        let Measured { window, idle, convergence, known, last, interrupted } = measured;
        let (observers, done) = (self.observers(), self.done);
        let watches = self.fleet.stop().map_err(|error| error.to_string())?;
        let (trackers, heard): (Vec<Tracker>, Vec<_>) = watches.into_iter().map(Watch::into_parts).unzip();
        let timed = self.sampler.finish(&trackers).into_iter().enumerate();
        let workers = timed.map(|(number, timed)| window.worker(number, &last[number], timed)).collect();
        let measurements = Measurements {
            members: self.options.run.members.into(),
            members_known: known,
            driver,
            interrupted,
            convergence,
            measured: window.length,
            cpu: window.cpu,
            event_cpu: window.event_cpu(idle, done),
            resident_bytes: window.resident_bytes,
            kills: window.kills(&trackers, done, &self.plan.plan, observers),
            events: fleet_outcome::events(&trackers, done, observers),
            workers,
        };
        Ok((measurements, outcome::merge(heard.iter())))
    }
}
