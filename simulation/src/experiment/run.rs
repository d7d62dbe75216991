//! A trial: members, agenda and network, and the loop that makes time pass.
//!
//! Each member is driven as [`Member`] documents it: one input or timeout at a time, after which its frames go to the
//! network and its events are counted. Wakes are lazy: at most one wake of a member on the agenda counts, at its next
//! timeout or earlier, and a plain list of due times then says whether the member has to be touched at all.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swimring_codec::Incarnation;

use super::agenda::Agenda;
use super::latency::Drawn;
use super::measuring::Measuring;
use super::options::{CrashKind, TrialError, TrialOptions, Wakes};
use super::outcome::TrialOutcome;
use super::plan::Plan;
use super::sending::{Encoded, Network};
use super::slow::Impairments;
use super::streams::StreamMail;
use swimring::protocol::typed::address_of;
use swimring::protocol::{
    COMPACTION_MEMBERS_MAX, CheckedWire, Compaction, Crew, Event, Member, MemberConfig, Outbox, SharedState,
    StreamOpen, Time, View,
};

/// Cluster number of the members.
const CLUSTER: u32 = 0x781A;
/// First incarnation of every member, as in the load generator.
const INCARNATION: Incarnation = Incarnation::new(1);
/// The name of the events.
pub(super) const EVENT_NAME: &str = "event";
/// Happenings between two looks at the real clock and calls of `progress`.
const LOOK_EVERY: u64 = 1 << 14;
/// Never, on the agenda.
pub(super) const NEVER: u64 = u64::MAX;

/// Time for a round of the sweep, in microseconds. It costs a look at every member: more often would be felt.
const SWEEP_ROUND_US: u64 = 8_000_000;

/// The members, for the sweep.
struct Places<'a>(&'a mut [Member]);

impl Crew for Places<'_> {
    fn places(&self) -> usize {
        self.0.len()
    }

    fn member_at(&mut self, place: usize) -> Option<&mut Member> {
        self.0.get_mut(place)
    }
}

/// Something on the agenda.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SimEvent {
    /// A member may be due.
    Wake(u32),
    /// A frame arrives.
    Frame(u32),
    /// Part of a stream arrives.
    Stream(u32),
    /// A crash of the plan.
    Crash(u32),
    /// An event of the plan.
    Event(u32),
    /// An impairment begins or ends.
    Turn(u32),
    /// The next members' views are brought to their newest base.
    Compaction,
}

/// How far a trial has got.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Progress {
    /// Simulated seconds.
    pub simulated_s: f64,
    /// Simulated seconds there will be at most.
    pub of_s: f64,
    /// Things that happened.
    pub happenings: u64,
}

/// A trial under way.
pub(super) struct Trial {
    pub(super) now: u64,
    pub(super) members: Vec<Member>,
    /// By member: when it is due, to be looked at without touching the member.
    pub(super) due: Vec<u64>,
    /// By member: the earliest wake on the agenda.
    pub(super) wake: Vec<u64>,
    pub(super) commons: SharedState,
    sweep: Compaction,
    pub(super) agenda: Agenda<SimEvent>,
    pub(super) network: Network,
    pub(super) impairments: Impairments,
    pub(super) crash_kind: CrashKind,
    pub(super) streams: StreamMail,
    pub(super) measuring: Measuring,
    pub(super) plan: Plan,
    /// Ticks of a driver in microseconds; 1 for none.
    grain: u64,
    happenings: u64,
    pub(super) opened: Vec<StreamOpen>,
    pub(super) happened: Vec<Event>,
    event_bytes: usize,
}

/// Runs a trial to its end.
///
/// # Errors
/// An option that cannot be used, or the wall limit.
pub fn run(options: &TrialOptions) -> Result<TrialOutcome, TrialError> {
    run_with(options, &mut |_| ControlFlow::Continue(()))
}

/// The same, telling `progress` now and then how far it is; it may stop the trial.
///
/// # Errors
/// An option that cannot be used, the wall limit, or [`TrialError::Stopped`].
pub fn run_with(
    options: &TrialOptions,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<TrialOutcome, TrialError> {
    options.validate()?;
    let mut trial = Trial::new(options)?;
    #[expect(clippy::disallowed_methods, reason = "measures the simulator, which itself has no clock")]
    let started = Instant::now();
    let end = (options.warm_up + options.duration).as_micros() as u64;
    let latest = end + options.drain().as_micros() as u64;
    let look = |trial: &Trial, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>| {
        let simulated_s = trial.now as f64 / 1e6;
        if let Some(limit) = options.wall_limit.filter(|limit| started.elapsed() > *limit) {
            return Err(TrialError::TooSlow { limit, simulated_s });
        }
        let told = Progress { simulated_s, of_s: latest as f64 / 1e6, happenings: trial.happenings };
        match progress(told) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrialError::Stopped { simulated_s }),
        }
    };
    while let Some((at, happening)) = trial.agenda.pop_until(latest) {
        if at > end && trial.measuring.is_over() {
            break;
        }
        trial.now = at;
        trial.happen(happening);
        trial.happenings += 1;
        if trial.happenings % LOOK_EVERY == 0 {
            look(&trial, progress)?;
        }
    }
    trial.now = trial.now.max(end);
    let wall = started.elapsed();
    Ok(trial.outcome(options, wall))
}

impl Trial {
    fn new(options: &TrialOptions) -> Result<Trial, TrialError> {
        let wire = options.wire.options();
        let checked = wire.check().map_err(|error| TrialError::option("wire", error.to_string()))?;
        let (mut commons, encoded) = storage(options, &checked);
        if let Wakes::Every(grain) = options.wakes {
            commons.set_timer_grain(grain);
        }
        let members = start(options, &mut commons)?;
        let plan = Plan::new(options);
        let origin = options.warm_up;
        // A member has about three wakes and two arrivals in a probe interval.
        let interval = options.settings.probe_interval;
        let per_second = f64::from(options.members) * 5.0 / interval.as_secs_f64();
        let mut trial = Trial {
            now: 0,
            due: vec![NEVER; members.len()],
            wake: vec![NEVER; members.len()],
            agenda: Agenda::new(per_second, 2 * interval.as_micros() as u64),
            network: Network::new(Drawn::new(&options.latency, options.members), options, encoded),
            impairments: Impairments::new(options, &plan),
            crash_kind: options.crash_kind,
            streams: StreamMail::new(wire, &checked),
            measuring: Measuring::new(plan.clone(), options),
            members,
            commons,
            sweep: Compaction::default(),
            plan,
            grain: match options.wakes {
                Wakes::Exact => 1,
                Wakes::Every(grain) => grain.as_micros() as u64,
            },
            happenings: 0,
            opened: Vec::new(),
            happened: Vec::new(),
            event_bytes: options.event_bytes.into(),
        };
        trial.put_on_agenda(origin);
        Ok(trial)
    }

    fn put_on_agenda(&mut self, origin: Duration) {
        for node in 0..self.members.len() as u32 {
            self.schedule(node);
        }
        let at = |offset: Duration| (origin + offset).as_micros() as u64;
        for (number, crash) in self.plan.crashes.iter().enumerate() {
            self.agenda.push(at(crash.at), SimEvent::Crash(number as u32));
        }
        for (number, event) in self.plan.events.iter().enumerate() {
            self.agenda.push(at(event.at), SimEvent::Event(number as u32));
        }
        self.agenda.push(SWEEP_ROUND_US, SimEvent::Compaction);
        for number in 0..self.impairments.len() {
            self.agenda.push(at(Duration::ZERO), SimEvent::Turn(number));
        }
    }

    #[inline]
    fn happen(&mut self, happening: SimEvent) {
        match happening {
            SimEvent::Wake(node) => self.wake(node),
            SimEvent::Frame(frame) => self.frame_arrives(frame),
            SimEvent::Stream(mail) => self.stream_arrives(mail),
            SimEvent::Crash(number) => self.crash(number),
            SimEvent::Event(number) => self.say(number),
            SimEvent::Turn(number) => self.turn_impairment(number),
            SimEvent::Compaction => self.sweep(),
        }
    }

    /// Keeps views small, which nobody can tell from outside. See [`Compaction`].
    fn sweep(&mut self) {
        let members = COMPACTION_MEMBERS_MAX.min(self.members.len());
        self.sweep.step(members, &mut Places(&mut self.members), &mut self.commons);
        let wait = SWEEP_ROUND_US * members as u64 / self.members.len() as u64;
        self.agenda.push(self.now + wait, SimEvent::Compaction);
    }

    #[inline]
    fn wake(&mut self, node: u32) {
        let place = node as usize;
        if self.wake[place] != self.now {
            return;
        }
        self.wake[place] = NEVER;
        // Not due after all, or slow just now.
        if self.impairments.runs_at(node, self.due[place]) > self.now {
            return self.put_wake(node);
        }
        self.call(node, Member::handle_timeout);
    }

    /// Calls a member and takes everything it has to say.
    #[inline]
    pub(super) fn call<R>(
        &mut self,
        node: u32,
        call: impl FnOnce(&mut Member, Time, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> R {
        // Only a driver that is late sets a budget.
        let mut gossip_budget = u32::MAX;
        let mut out = Outbox {
            frames: &mut self.network.written,
            streams: &mut self.opened,
            events: &mut self.happened,
            gossip_budget: &mut gossip_budget,
        };
        let now = Time::from_micros(self.now);
        let result = call(&mut self.members[node as usize], now, &mut self.commons, &mut out);
        self.send_written(node);
        if !self.opened.is_empty() {
            self.open_streams(node);
        }
        if !self.happened.is_empty() {
            self.take_events(node);
        }
        self.schedule(node);
        result
    }

    /// Takes note of when a member is due, and sees to it that it is woken then or earlier.
    #[inline]
    pub(super) fn schedule(&mut self, node: u32) {
        let next = self.members[node as usize].next_timeout();
        self.due[node as usize] = match next {
            Time::NEVER => NEVER,
            next if self.grain == 1 => next.as_micros().max(self.now),
            next => next.as_micros().max(self.now).div_ceil(self.grain) * self.grain,
        };
        self.put_wake(node);
    }

    #[inline]
    pub(super) fn put_wake(&mut self, node: u32) {
        let place = node as usize;
        let at = self.impairments.runs_at(node, self.due[place]);
        if at < self.wake[place] {
            self.wake[place] = at;
            self.agenda.push(at, SimEvent::Wake(node));
        }
    }

    #[inline]
    fn take_events(&mut self, node: u32) {
        let mut happened = std::mem::take(&mut self.happened);
        let commons = &self.commons;
        for event in &happened {
            let member = &self.members[node as usize];
            self.measuring.event(self.now, node, event, member, |at| {
                let (number, _) = commons.user_event(at).payload.split_first_chunk::<4>()?;
                Some(u32::from_le_bytes(*number) as usize)
            });
        }
        happened.clear();
        self.happened = happened;
    }

    /// A member crashes.
    fn crash(&mut self, number: u32) {
        let node = self.plan.crashes[number as usize].member;
        self.impairments.vanish(node);
        self.members[node as usize].release(&mut self.commons);
        self.due[node as usize] = NEVER;
        self.wake[node as usize] = NEVER;
    }

    fn say(&mut self, number: u32) {
        let node = self.plan.events[number as usize].sender;
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(self.event_bytes, b'.');
        // Refused if too many are under way: then it is delivered to nobody, which the outcome says.
        let _ = self.call(node, |member, now, commons, out| {
            member.send_event(now, EVENT_NAME, &payload, commons, out)
        });
    }

    fn outcome(mut self, options: &TrialOptions, wall: Duration) -> TrialOutcome {
        let events = self.measuring.events();
        let (subjects, subjects_healthy) = self.measuring.wrong_subjects();
        let frames = self.commons.typed_frames().map_or(0, |frames| frames.memory_bytes());
        let measuring = self.measuring;
        TrialOutcome {
            options: options.clone(),
            members: options.members,
            measured_s: options.duration.as_secs_f64(),
            simulated_s: self.now as f64 / 1e6,
            crashes: measuring.crashes(),
            events,
            false_death_subjects: subjects,
            false_death_subjects_healthy: subjects_healthy,
            false_suspicions: measuring.false_suspicions,
            false_deaths: measuring.false_deaths,
            false_deaths_healthy_subjects: measuring.false_deaths_healthy_subjects,
            false_deaths_at_healthy: measuring.false_deaths_at_healthy,
            datagrams_sent: measuring.datagrams_sent,
            datagrams_of_a_second_max: measuring.datagrams_of_a_second_max,
            bytes_sent: measuring.bytes_sent,
            padded_bytes_sent: measuring.padded_bytes_sent,
            stream_bytes_sent: measuring.stream_bytes_sent,
            happenings: self.happenings,
            wall,
            counters: self.commons.counters,
            memory_bytes: (self.agenda.memory_bytes() + frames) as u64,
            fingerprint: measuring.fingerprint,
            spread_us: measuring.spread_us,
            probe_rtt_us: measuring.probe_rtt_us,
        }
    }
}

/// The members' `SharedState`, and the codec of their frames if these are bytes.
fn storage(options: &TrialOptions, wire: &CheckedWire) -> (SharedState, Option<Encoded>) {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&options.seed.to_le_bytes());
    let mut commons = SharedState::speaking(wire, options.seed, secret);
    commons.set_behaviour(options.behaviour);
    if options.encoded {
        return (commons, Some(Encoded::new(wire.codec(secret).map(Box::new))));
    }
    commons.use_typed_frames();
    (commons, None)
}

/// The zone of member `number`, of so many; empty where there is one.
fn zone_of(number: u32, zones: u32) -> String {
    if zones > 1 { format!("zone-{}", number % zones + 1) } else { String::new() }
}

/// The members, who all know each other.
fn start(options: &TrialOptions, commons: &mut SharedState) -> Result<Vec<Member>, TrialError> {
    let settings = options.member_settings();
    let refused = |error: swimring::protocol::MemberError| TrialError::option("members:", error.to_string());
    let mut seeds = fastrand::Rng::with_seed(options.seed ^ 0x6D65_6D62);
    let mut members = Vec::with_capacity(options.members as usize);
    for number in 0..options.members {
        let config = MemberConfig {
            name: format!("m{number}"),
            address: address_of(number),
            metadata: Vec::new(),
            zone: zone_of(number, options.zones),
            cluster: CLUSTER,
            incarnation: INCARNATION,
            seed: seeds.u64(..),
            settings: Arc::clone(&settings),
        };
        let member = Member::new(config, commons, Time::ZERO).map_err(refused)?;
        debug_assert_eq!(member.index(), number, "members are numbered as the directory does");
        members.push(member);
    }
    let view = View::of(&members, commons);
    view.load(&mut members, commons);
    view.release(commons);
    Ok(members)
}
