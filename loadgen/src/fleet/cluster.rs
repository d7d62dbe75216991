//! A run, phase by phase: start, warm-up, the measured window with its kills and events, settling, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::net::{self, NetOptions, Trains};
use swimring::stream::StreamOptions;
use swimring::swim::{Settings, Time};
use swimring::worker::{Fleet, FleetOptions, Host};

use super::tracker::{Moment, Tracker, event_payload};
use super::{settings, start};
use crate::allocations;
use crate::cli::{DriverChoice, RunOptions, Start};
use crate::cpu::{self, CpuTime};
use crate::measurements::{EventOutcome, KillOutcome, Measurements, WorkerMeasurements, histogram_us};
use crate::progress::{Phase, Sample};
use crate::run::{Executed, RunError, Surroundings};
use crate::schedule::Plan;

/// Timers of the fleet are rounded to this, so that what many members do at once leaves together.
const TICK: Duration = Duration::from_millis(10);

/// How often the line on the terminal, and the histogram log, are brought up to date.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// How often to look for Ctrl-C and at the clock while the plan has nothing: every look costs CPU time that
/// counts as the fleet's.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Thousands of members share a socket: a worker that loses its core to another process for a while should
/// find what was sent meanwhile. About half a second of a busy fleet's datagrams.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;

/// Names of user events.
const EVENT_NAME: &str = "load";

/// A fleet that runs, and what is known of it.
struct Run<'a, 'b> {
    fleet: Fleet<Tracker>,
    options: &'a RunOptions,
    surroundings: &'a mut Surroundings<'b>,
    settings: Arc<Settings>,
    sampled: Sampled,
}

/// The last sample, to tell rates from.
#[derive(Default)]
struct Sampled {
    at: Duration,
    cpu: CpuTime,
    datagrams: u64,
}

/// What happened in the measured window.
struct Window {
    length: Duration,
    cpu: CpuTime,
    resident_bytes: Option<u64>,
    before: Vec<Moment>,
    after: Vec<Moment>,
    kills: usize,
    events: usize,
    origin: Time,
}

/// Runs the fleet.
///
/// # Errors
/// One line that names the setting and the mend.
pub fn execute(options: &RunOptions, surroundings: &mut Surroundings<'_>) -> Result<Executed, RunError> {
    let settings = Arc::new(settings::in_force(options).map_err(RunError)?);
    let fleet = start_fleet(options, surroundings.plan, &settings).map_err(RunError)?;
    let mut run = Run { fleet, options, surroundings, settings, sampled: Sampled::default() };
    run.carry_out().map_err(RunError)
}

fn start_fleet(
    options: &RunOptions,
    plan: &Plan,
    settings: &Arc<Settings>,
) -> Result<Fleet<Tracker>, String> {
    let driver = match options.driver {
        DriverChoice::Auto => net::DriverChoice::Auto,
        DriverChoice::IoUring => net::DriverChoice::IoUring,
        DriverChoice::Mmsg => net::DriverChoice::Mmsg,
    };
    let mut stream = StreamOptions::default();
    if let Some(timeout_ms) = options.protocol.stream_timeout_ms {
        stream.exchange_timeout = Duration::from_millis(timeout_ms);
    }
    let fleet_options = FleetOptions {
        settings: Arc::clone(settings),
        net: NetOptions {
            driver,
            segmentation: options.segmentation,
            coalescing: options.segmentation,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            ..NetOptions::default()
        },
        stream,
        bind: SocketAddr::new(options.bind, options.port),
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
    Fleet::start(&fleet_options, tracker).map_err(|error| error.to_string())
}

impl Run<'_, '_> {
    fn carry_out(&mut self) -> Result<Executed, String> {
        let convergence = self.start()?;
        let idle = self.warm_up()?;
        let window = self.measure()?;
        let interrupted = self.surroundings.interrupt.requested();
        if !interrupted {
            self.settle(&window)?;
        }
        let known = self.members_known()?;
        let kind = self.fleet.ask(0, |host, _| host.driver()).map_err(|error| error.to_string())?;
        let measurements = self.collect(&window, idle, interrupted)?;
        let measurements = Measurements {
            members_known: known,
            driver: kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
            convergence,
            ..measurements
        };
        Ok(Executed {
            measurements,
            wire: "native".to_owned(),
            protocol: settings::by_name(&self.settings),
            protocol_preset: settings::by_name(&settings::of_preset(self.options.preset)),
            probe_timeout: self.settings.probe_timeout,
        })
    }

    /// Until every member has a complete view. How long that took, in a cold start.
    fn start(&mut self) -> Result<Option<Duration>, String> {
        let members = self.options.members;
        self.show(Phase::Starting, Duration::ZERO, None)?;
        start::populate(&self.fleet, members)?;
        if self.options.start == Start::Warm {
            start::warm(&self.fleet, members)?;
            start::resume(&self.fleet)?;
            return Ok(None);
        }
        start::resume(&self.fleet)?;
        let interrupt = self.surroundings.interrupt.clone();
        let (progress, started) = (&mut *self.surroundings.progress, self.fleet.elapsed());
        let fleet = &self.fleet;
        start::cold(fleet, self.options, &interrupt, |joined| {
            progress.show(&Sample {
                phase: Phase::Starting,
                elapsed: fleet.elapsed() - started,
                total: None,
                members_alive: joined + 1,
                datagrams_per_second: 0.0,
                cpu_cores: 0.0,
                probe_p99_us: None,
                kills_detected: 0,
                kills: 0,
                events_delivered: None,
            });
        })
    }

    /// Lets the fleet run without being measured; gives the cores it took while nothing happened.
    fn warm_up(&mut self) -> Result<Option<f64>, String> {
        let length = self.options.warmup;
        let begun = self.fleet.elapsed();
        // The first second is the start's aftermath.
        let quiet_from = begun + Duration::from_secs(1).min(length);
        let mut quiet: Option<(Duration, CpuTime)> = None;
        while self.fleet.elapsed() - begun < length && !self.surroundings.interrupt.requested() {
            std::thread::sleep(LOOK_EVERY.min(length));
            let now = self.fleet.elapsed();
            if quiet.is_none() && now >= quiet_from {
                quiet = Some((now, CpuTime::of_process()));
            }
            self.sample(Phase::WarmingUp, now - begun, Some(length))?;
        }
        Ok(quiet.and_then(|(since, cpu)| {
            let wall = (self.fleet.elapsed() - since).as_secs_f64();
            (wall >= 1.0).then(|| CpuTime::of_process().since(cpu).total().as_secs_f64() / wall)
        }))
    }

    /// The measured window.
    fn measure(&mut self) -> Result<Window, String> {
        let before = self.moments(Some(true))?;
        let cpu = CpuTime::of_process();
        let begun = self.fleet.elapsed();
        let origin = Time::ZERO + begun;
        self.fleet
            .ask_all(|_| {
                Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| host.observer.begin(origin))
            })
            .map_err(|error| error.to_string())?;
        let (mut kills, mut events) = (0, 0);
        let length = self.options.duration;
        while self.fleet.elapsed() - begun < length && !self.surroundings.interrupt.requested() {
            let elapsed = self.fleet.elapsed() - begun;
            self.keep_plan(elapsed, &mut kills, &mut events)?;
            self.sample(Phase::Measuring, elapsed, Some(length))?;
            let planned = next_planned(self.surroundings.plan, kills, events).unwrap_or(length);
            let until = planned.min(length).saturating_sub(self.fleet.elapsed() - begun);
            std::thread::sleep(until.min(LOOK_EVERY));
        }
        let after = self.moments(Some(false))?;
        let length = self.fleet.elapsed() - begun;
        let cpu = CpuTime::of_process().since(cpu);
        Ok(Window {
            length,
            cpu,
            resident_bytes: cpu::resident_bytes(),
            before,
            after,
            kills,
            events,
            origin,
        })
    }

    /// Does what the plan has for the time until `elapsed`.
    fn keep_plan(&self, elapsed: Duration, kills: &mut usize, events: &mut usize) -> Result<(), String> {
        let plan = self.surroundings.plan;
        let workers = self.fleet.len() as u32;
        while let Some(kill) = plan.kills.get(*kills).filter(|kill| kill.at <= elapsed) {
            *kills += 1;
            let (worker, local) = (kill.victim % workers, kill.victim / workers);
            let done = self.fleet.call(worker as usize, move |host, _| host.kill(local));
            done.map_err(|error| error.to_string())?;
        }
        while let Some(event) = plan.events.get(*events).filter(|event| event.at <= elapsed) {
            let payload = event_payload(*events, self.options.event_bytes as usize);
            *events += 1;
            let (worker, local) = (event.sender % workers, event.sender / workers);
            let sent = self.fleet.call(worker as usize, move |host, trains| {
                host.command(local, trains, |member, now, commons, out| {
                    // An event that is refused is not delivered, and shows as that.
                    let _ = member.broadcast(now, EVENT_NAME, &payload, commons, out);
                });
            });
            sent.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Goes on until everything has been seen everywhere or no longer can be.
    fn settle(&mut self, window: &Window) -> Result<(), String> {
        let members = self.options.members as usize;
        let (_, longest) = self.settings.suspicion_timeouts(members);
        // A first probe within two rounds of intervals, the longest suspicion, and the rumour's spread.
        let bound = longest + self.settings.probe_interval * 4 + self.settings.gossip_interval * 100;
        let begun = self.fleet.elapsed();
        while self.fleet.elapsed() - begun < bound && !self.surroundings.interrupt.requested() {
            if self.everything_seen(window)? {
                return Ok(());
            }
            std::thread::sleep(LOOK_EVERY);
            let elapsed = self.fleet.elapsed() - begun;
            self.sample(Phase::Settling, elapsed, None)?;
        }
        Ok(())
    }

    fn everything_seen(&self, window: &Window) -> Result<bool, String> {
        let moments = self.moments(None)?;
        let observers = self.observers();
        let declared: u64 = moments.iter().map(|moment| moment.tally.declared).sum();
        let delivered: u64 = moments.iter().map(|moment| moment.tally.delivered).sum();
        let wanted_deaths = window.kills as u64 * observers;
        let wanted_deliveries = window.events as u64 * (observers - 1);
        Ok(declared >= wanted_deaths && delivered >= wanted_deliveries)
    }

    /// Members that are never killed.
    fn observers(&self) -> u64 {
        u64::from(self.options.members) - self.surroundings.plan.kills.len() as u64
    }

    fn members_known(&self) -> Result<f64, String> {
        let sums = self.fleet.ask_all(|_| {
            Box::new(|host: &mut Host<Tracker>, _: &mut Trains| {
                host.members().fold((0, 0), |(known, count), (_, member)| (known + member.known(), count + 1))
            })
        });
        let sums = sums.map_err(|error| error.to_string())?;
        let (known, count) = sums.into_iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
        Ok(known as f64 / f64::from(count.max(1)))
    }

    /// Every worker's totals now. `timing` starts or ends the recording of round trips with it.
    fn moments(&self, timing: Option<bool>) -> Result<Vec<Moment>, String> {
        let moments = self.fleet.ask_all(|_| {
            Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
                if timing == Some(false) {
                    host.observer.end();
                }
                Moment {
                    protocol: host.commons().counters,
                    net: host.net_counters(),
                    host: host.counters(),
                    tally: host.observer.tally,
                    allocations: allocations::of_this_thread(),
                    busy: cpu::of_this_thread(),
                    alive: host.alive() as u64,
                    probe_p99_us: 0,
                }
            })
        });
        moments.map_err(|error| error.to_string())
    }

    /// Once a second: the line on the terminal and the histogram log.
    fn sample(&mut self, phase: Phase, elapsed: Duration, total: Option<Duration>) -> Result<(), String> {
        let since = self.fleet.elapsed() - self.sampled.at;
        if since >= SAMPLE_EVERY {
            self.log_interval(phase, elapsed, since)?;
            self.show(phase, elapsed, total)?;
        }
        Ok(())
    }

    fn log_interval(&mut self, phase: Phase, elapsed: Duration, since: Duration) -> Result<(), String> {
        let Some(log) = self.surroundings.histogram_log.as_mut().filter(|_| phase == Phase::Measuring) else {
            return Ok(());
        };
        // An empty histogram goes to the worker and the full one comes back: nothing is allocated there.
        let intervals = self.fleet.ask_all(|_| {
            let mut empty = histogram_us();
            Box::new(move |host: &mut Host<Tracker>, _: &mut Trains| {
                std::mem::swap(&mut host.observer.interval_rtt_us, &mut empty);
                empty
            })
        });
        let mut merged = histogram_us();
        for interval in intervals.map_err(|error| error.to_string())? {
            merged.add(interval).map_err(|error| format!("--hlog: {error}"))?;
        }
        let start = elapsed.saturating_sub(since);
        log.write("probe_rtt_us", start, since, &merged).map_err(|error| format!("--hlog: {error}"))
    }

    fn show(&mut self, phase: Phase, elapsed: Duration, total: Option<Duration>) -> Result<(), String> {
        let now = self.fleet.elapsed();
        if !self.surroundings.progress.visible() {
            self.sampled.at = now;
            return Ok(());
        }
        let moments = self.moments(None)?;
        let p99 = self.fleet.ask_all(|_| {
            Box::new(|host: &mut Host<Tracker>, _: &mut Trains| {
                host.observer.probe_rtt_us.value_at_quantile(0.99)
            })
        });
        let p99 = p99.map_err(|error| error.to_string())?.into_iter().max().filter(|p99| *p99 > 0);
        let sum = |of: fn(&Moment) -> u64| moments.iter().map(of).sum::<u64>();
        let datagrams = sum(|moment| moment.net.datagrams_sent);
        let cpu = CpuTime::of_process();
        let wall = (now - self.sampled.at).as_secs_f64().max(1e-3);
        let observers = self.observers();
        let plan = self.surroundings.plan;
        let killed = plan.kills.iter().filter(|kill| phase > Phase::WarmingUp && kill.at <= elapsed).count();
        let sent = plan.events.iter().filter(|event| phase > Phase::WarmingUp && event.at <= elapsed).count();
        let (killed, sent) = match phase {
            Phase::Settling | Phase::Stopping => (plan.kills.len(), plan.events.len()),
            _ => (killed, sent),
        };
        let expected = sent as u64 * observers.saturating_sub(1);
        let delivered = sum(|moment| moment.tally.delivered);
        self.surroundings.progress.show(&Sample {
            phase,
            elapsed,
            total,
            members_alive: sum(|moment| moment.alive),
            datagrams_per_second: datagrams.saturating_sub(self.sampled.datagrams) as f64 / wall,
            cpu_cores: cpu.since(self.sampled.cpu).total().as_secs_f64() / wall,
            probe_p99_us: p99,
            kills_detected: sum(|moment| moment.tally.declared) / observers.max(1),
            kills: killed as u64,
            events_delivered: (expected > 0).then(|| delivered as f64 / expected as f64),
        });
        self.sampled = Sampled { at: now, cpu, datagrams };
        Ok(())
    }

    /// Stops the fleet and puts together what its workers counted.
    fn collect(
        &mut self,
        window: &Window,
        idle: Option<f64>,
        interrupted: bool,
    ) -> Result<Measurements, String> {
        let observers = self.observers();
        let trackers = self.fleet.stop().map_err(|error| error.to_string())?;
        let event_cpu = self.event_cpu(window, idle);
        let mut workers = Vec::with_capacity(trackers.len());
        for (number, tracker) in trackers.iter().enumerate() {
            let (before, after) = (&window.before[number], &window.after[number]);
            workers.push(worker_measurements(before, after, tracker, event_cpu.filter(|_| number == 0)));
        }
        let kills = (0..window.kills)
            .map(|kill| kill_outcome(&trackers, kill, observers, window, self.surroundings.plan));
        let events = (0..window.events).map(|event| EventOutcome {
            expected: observers - 1,
            delivered: trackers.iter().map(|tracker| tracker.delivered[event]).sum(),
        });
        Ok(Measurements {
            members: self.options.members.into(),
            measured: window.length,
            interrupted,
            cpu: window.cpu,
            resident_bytes: window.resident_bytes,
            kills: kills.collect(),
            events: events.collect(),
            workers,
            ..Measurements::default()
        })
    }

    /// What events cost: the window's CPU time above that of the idle fleet. Kills cost too, so only
    /// a window without them tells.
    fn event_cpu(&self, window: &Window, idle: Option<f64>) -> Option<Duration> {
        let idle = idle.filter(|_| window.kills == 0 && window.events > 0)?;
        let above = window.cpu.total().as_secs_f64() - idle * window.length.as_secs_f64();
        Some(Duration::from_secs_f64(above.max(0.0)))
    }
}

/// When the plan has something next.
fn next_planned(plan: &Plan, kills: usize, events: usize) -> Option<Duration> {
    let kill = plan.kills.get(kills).map(|kill| kill.at);
    let event = plan.events.get(events).map(|event| event.at);
    kill.into_iter().chain(event).min()
}

fn worker_measurements(
    before: &Moment,
    after: &Moment,
    tracker: &Tracker,
    event_cpu: Option<Duration>,
) -> WorkerMeasurements {
    let (net, net_before) = (&after.net, &before.net);
    let protocol = after.protocol.since(&before.protocol);
    let shed = |moment: &Moment| {
        moment.net.receive_overflow
            + moment.net.shed_frames
            + moment.net.send_errors
            + moment.net.receive_truncated
    };
    WorkerMeasurements {
        busy: after.busy - before.busy,
        datagrams_sent: net.datagrams_sent - net_before.datagrams_sent,
        datagrams_received: net.datagrams_received - net_before.datagrams_received,
        datagrams_dropped: shed(after) - shed(before),
        datagrams_lost_on_purpose: after.host.lost - before.host.lost,
        bytes_sent: net.bytes_sent - net_before.bytes_sent,
        system_calls: net.system_calls - net_before.system_calls,
        allocations: allocations::counted().then(|| after.allocations - before.allocations),
        probe_rtt_us: tracker.probe_rtt_us.clone(),
        schedule_lag_us: tracker.schedule_lag_us.clone(),
        event_spread_us: tracker.event_spread_us.clone(),
        event_copies: protocol.events_delivered + protocol.events_repeated,
        event_cpu,
        false_suspicions: tracker.tally.false_suspicions,
        false_deaths: tracker.tally.false_deaths,
    }
}

fn kill_outcome(
    trackers: &[Tracker],
    kill: usize,
    observers: u64,
    window: &Window,
    plan: &Plan,
) -> KillOutcome {
    let tallies = || trackers.iter().map(|tracker| tracker.kills[kill]);
    let intended = window.origin + plan.kills[kill].at;
    KillOutcome {
        observers,
        declared: tallies().map(|tally| tally.declared).sum(),
        first: tallies().filter_map(|tally| tally.first).min().map(|first| first.since(intended)),
        last: tallies().filter_map(|tally| tally.last).max().map(|last| last.since(intended)),
    }
}
