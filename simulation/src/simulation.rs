//! The simulation: members, agenda and network, and the loop that makes time pass.
//!
//! Each member is driven as [`Member`] documents it: an input or timeout at a time, then its frames,
//! streams and events are taken, checked and passed on, then its next timeout is put on the agenda.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use swimring_codec::native::FRAME_MAX;
use swimring_codec::{MemberId, State};

use super::checks::{Checks, Step, Violation};
use super::faults::{FaultKind, Faults, Links, Part, Slowness};
use super::log::Log;
use super::network::{self, Buffers, Written};
use super::node::{Input, Node, Starvation};
use super::options::{SimulationOptions, admitted, identity_key, zone_name};
use super::queue::Queue;
use super::silence::without_tellings;
use super::streams::{StreamId, StreamInput, Streams};
use super::trace::Trace;
use super::view_rebasing::Rebaser;
use super::wire::Wire;
use swimring::protocol::{
    AdmissionRules, Counters, Event, Member, MemberConfig, Outbox, Settings, SharedState, StreamOpen, Time,
};

/// Cluster number of the simulated members.
pub const CLUSTER: u32 = 0x51A1;

/// A frame that was sent while the simulation was tapped.
#[derive(Clone, Debug)]
pub struct CapturedFrame {
    /// When.
    pub at: Time,
    /// By which member.
    pub from: usize,
    /// To which member, if it is anyone's address.
    pub to: Option<usize>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Most frames kept while tapped.
const TAPPED_MAX: usize = 1 << 20;

/// Something on the agenda.
#[derive(Debug)]
pub(super) enum SimEvent {
    /// A member's timeout, or the end of a stall.
    Wake {
        node: usize,
    },
    Frame {
        node: usize,
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Stream {
        stream: StreamId,
        end: usize,
        input: StreamInput,
    },
    /// A stream has taken too long.
    StreamExpires {
        stream: StreamId,
    },
    /// A member tries to join.
    Join {
        node: usize,
        boot: u32,
    },
    /// A crashed or departed member comes back.
    Return {
        node: usize,
        boot: u32,
    },
    /// A fault strikes.
    Fault {
        kind: FaultKind,
        generation: u32,
    },
}

/// A cluster on a virtual network and clock. See the module.
#[derive(Debug)]
pub struct Simulation {
    pub(super) now: Time,
    pub(super) settings: Arc<Settings>,
    pub(super) seed: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) by_id: HashMap<MemberId, usize>,
    pub(super) commons: Vec<SharedState>,
    pub(super) agenda: Queue<SimEvent>,
    /// How many zones there are.
    pub(super) zones: usize,
    zone_delay: Duration,
    pub(super) faults: Faults,
    /// Counts changes of `faults`, so that what an earlier model had in store no longer strikes.
    pub(super) faults_generation: u32,
    pub(super) links: Links,
    pub(super) streams: Streams,
    pub(super) wire: Wire,
    /// Random choices of the network.
    pub(super) rng: fastrand::Rng,
    /// Random choices of the adversary and the operators.
    pub(super) dice: fastrand::Rng,
    pub(super) buffers: Buffers,
    pub(super) trace: Trace,
    pub(super) log: Log,
    pub(super) checks: Checks,
    pub(super) tapped: Option<Vec<CapturedFrame>>,
    rebaser: Rebaser,
    /// Counters of stopped members that had a `SharedState` of their own.
    pub(super) counted: Counters,
    written: Written,
    opened: Vec<StreamOpen>,
    happened: Vec<Event>,
}

impl Simulation {
    /// A cluster whose members have not started.
    ///
    /// # Panics
    /// If the wire's options cannot be used.
    pub fn new(options: SimulationOptions) -> Simulation {
        let mut wire = Wire::new(&options.wire).unwrap_or_else(|error| panic!("{error}"));
        let count = options.members.min(1 << 16);
        let nodes: Vec<Node> = (0..count)
            .map(|number| {
                let zone = zone_name(number % options.zones.max(1));
                Node::new(number, zone, if options.shared_commons { 0 } else { number })
            })
            .collect();
        if options.wire.is_native() {
            wire.identities = admitted(options.identities, options.seed, &nodes);
        }
        let commons = if options.shared_commons { 1 } else { count };
        let settings = Arc::new(options.settings);
        let mut simulation = Simulation {
            now: Time::ZERO,
            settings: settings.clone(),
            seed: options.seed,
            by_id: nodes.iter().enumerate().map(|(number, node)| (node.id, number)).collect(),
            nodes,
            commons: (0..commons as u64).map(|number| wire.commons(options.seed ^ number)).collect(),
            agenda: Queue::new(),
            zones: options.zones,
            zone_delay: options.zone_delay,
            faults: Faults::NONE,
            faults_generation: 0,
            links: Links::default(),
            streams: Streams::default(),
            wire,
            rng: fastrand::Rng::with_seed(options.seed ^ 0x6E65_7477_6F72_6B00),
            dice: fastrand::Rng::with_seed(options.seed ^ 0x6469_6365_0000_0000),
            buffers: Buffers::default(),
            trace: Trace::default(),
            log: Log::default(),
            checks: Checks::new(count, options.checked, settings, &options.wire),
            tapped: None,
            rebaser: Rebaser::new(options.rebasing, options.seed, options.shared_commons),
            counted: Counters::default(),
            written: Written::default(),
            opened: Vec::new(),
            happened: Vec::new(),
        };
        simulation.checks.identities = simulation.wire.identities.is_some();
        simulation.set_faults(options.faults);
        simulation
    }

    /// Lets `duration` pass.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        self.run_until(self.now + duration)
    }

    /// Lets time pass until `until`.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn run_until(&mut self, until: Time) -> Result<(), Violation> {
        while let Some((at, happening)) = self.agenda.pop_until(until) {
            self.now = at;
            self.happen(happening);
            self.rebaser.step(&mut self.nodes, &mut self.commons);
            if let Some(violation) = self.checks.violation() {
                return Err(violation);
            }
        }
        self.now = until;
        Ok(())
    }

    fn happen(&mut self, happening: SimEvent) {
        match happening {
            SimEvent::Wake { node } => self.wake(node),
            SimEvent::Frame { node, from, to, bytes } => {
                if self.nodes[node].address != to {
                    // It moved while this was under way: nobody is reached there any more.
                    self.checks.coverage.frames_misdirected += 1;
                    self.buffers.give_back(bytes);
                } else if self.nodes[node].member.is_some() {
                    self.input(node, Input::Frame { from, bytes });
                } else {
                    self.buffers.give_back(bytes);
                }
            }
            SimEvent::Stream { stream, end, input } => self.stream_arrives(stream, end, input),
            SimEvent::StreamExpires { stream } => self.stream_expires(stream),
            SimEvent::Join { node, boot } => self.try_join(node, boot),
            SimEvent::Return { node, boot } => self.come_back(node, boot),
            SimEvent::Fault { kind, generation } if generation == self.faults_generation => {
                self.strike(kind);
            }
            SimEvent::Fault { .. } => {}
        }
    }

    /// Hands an input to a member, or keeps it while the member is stalled.
    pub(super) fn input(&mut self, node: usize, input: Input) {
        let place = &mut self.nodes[node];
        if self.now >= place.starvation.stalled_until && place.inbox.is_empty() {
            return self.process(node, input);
        }
        let frame = matches!(input, Input::Frame { .. });
        if !frame || place.inbox.len() < self.faults.starve_inbox {
            place.inbox.push_back(input);
        } else {
            place.overflowed = true;
        }
    }

    fn process(&mut self, node: usize, input: Input) {
        match input {
            Input::Frame { from, bytes } => {
                self.deliver(node, from, &bytes);
                self.buffers.give_back(bytes);
            }
            Input::Stream { stream, end, input } => self.stream_input(node, stream, end, input),
        }
    }

    /// A timeout, or the end of a stall: inputs that waited come first, as they do in a driver.
    fn wake(&mut self, node: usize) {
        if self.nodes[node].wake > self.now {
            return;
        }
        self.nodes[node].wake = Time::NEVER;
        if self.nodes[node].member.is_none() {
            return;
        }
        let starvation = self.nodes[node].starvation;
        let stalled = starvation.stalled_until > self.now;
        match starvation.slowness {
            Slowness::Reading if stalled => self.handle_timeout(node),
            _ if stalled => {}
            _ => self.catch_up(node, starvation),
        }
        if !stalled {
            self.nodes[node].starvation.stalled_until = Time::ZERO;
            self.stall_again(node);
        }
        self.schedule(node);
    }

    /// A member that is not stalled runs: its spell has ended, or one of its timers is due.
    fn catch_up(&mut self, node: usize, starvation: Starvation) {
        for part in starvation.slowness.catching_up() {
            match part {
                Part::Stall if starvation.stalled_until > Time::ZERO => {
                    let lost = self.now.since(starvation.stalled_since);
                    let overflowed = std::mem::take(&mut self.nodes[node].overflowed);
                    self.call(node, |member, now, commons, _| {
                        member.handle_stall(lost, commons);
                        if overflowed {
                            commons.set_doubt(now);
                        }
                    });
                }
                Part::Stall => {}
                Part::Read => self.read_inbox(node),
                Part::Timers => self.handle_timeout(node),
            }
        }
        if starvation.slowness == Slowness::Reading {
            // The wake may have been for a timer and not for the end of the spell.
            self.handle_timeout(node);
        }
    }

    fn read_inbox(&mut self, node: usize) {
        while let Some(input) = self.nodes[node].inbox.pop_front() {
            self.process(node, input);
        }
    }

    fn handle_timeout(&mut self, node: usize) {
        let place = &self.nodes[node];
        let shown = place.clock.read(self.now);
        if place.member.as_ref().is_some_and(|member| member.next_timeout() <= shown) {
            self.call(node, Member::handle_timeout);
            self.checks.timeout_handled(self.step_of(node), shown, self.nodes[node].member.as_ref());
        }
    }

    /// Calls the member of `node`, if it has one, and takes everything it has to say.
    pub(super) fn call<R>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Member, Time, &mut SharedState, &mut Outbox<'_>) -> R,
    ) -> Option<R> {
        let place = &mut self.nodes[node];
        let member = place.member.as_mut()?;
        let shown = place.clock.read(self.now);
        let refused = network::happens(self.faults.gossip_refused, &mut self.rng);
        let mut gossip_budget = if refused { 0 } else { u32::MAX };
        let had_left = member.has_left();
        let mut out = Outbox {
            frames: &mut self.written,
            streams: &mut self.opened,
            events: &mut self.happened,
            gossip_budget: &mut gossip_budget,
        };
        let result = call(member, shown, &mut self.commons[place.commons], &mut out);
        // Unless it has just been told to join again.
        let had_left = had_left && member.has_left();
        place.incarnation = place.incarnation.max(member.incarnation());
        let silent = self.written.len() == 0 && self.opened.is_empty();
        let step = self.step_of(node);
        self.checks.after_leaving(step, had_left, silent);
        self.send_written(node);
        for open in std::mem::take(&mut self.opened) {
            self.open_stream(node, &open);
        }
        self.take_events(node);
        if let Some(member) = &self.nodes[node].member {
            self.checks.view(step, member, &self.commons[self.nodes[node].commons]);
        }
        self.schedule(node);
        Some(result)
    }

    /// The present step at `node`, for the checks.
    pub(super) fn step_of(&self, node: usize) -> Step {
        Step { at: self.now, node }
    }

    fn send_written(&mut self, node: usize) {
        let written = std::mem::take(&mut self.written);
        for nth in 0..written.len() {
            let (to, bytes) = written.get(nth);
            self.checks.datagram(self.step_of(node), bytes, self.wire.inspector.as_deref_mut());
            self.trace.add(self.now, node, bytes);
            self.log.sent(node, bytes.len());
            self.send(node, to, bytes);
        }
        self.written = written;
        self.written.clear();
    }

    /// Puts a datagram on the network.
    fn send(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        let mut kept = [0; FRAME_MAX];
        let bytes = if self.nodes[from].tells_nothing {
            let Some(bytes) = without_tellings(bytes, &mut kept) else { return };
            bytes
        } else {
            bytes
        };
        let node = network::node_at(to).filter(|node| *node < self.nodes.len());
        if let Some(tapped) = self.tapped.as_mut().filter(|tapped| tapped.len() < TAPPED_MAX) {
            tapped.push(CapturedFrame { at: self.now, from, to: node, bytes: bytes.to_vec() });
        }
        let Some(node) = node.filter(|node| self.nodes[*node].address == to) else { return };
        let copies = 1 + usize::from(network::happens(self.faults.duplication, &mut self.rng));
        for _ in 0..copies {
            let lost = network::happens(self.faults.loss, &mut self.rng);
            if lost || self.links.stops(self.now, from, node) {
                continue;
            }
            let mut bytes = self.buffers.take(bytes);
            let damage = network::happens(self.faults.corruption, &mut self.rng);
            if damage && !self.survives_damage(from, &mut bytes) {
                self.buffers.give_back(bytes);
                continue;
            }

            let crosses = self.nodes[from].zone != self.nodes[node].zone;
            let further = if crosses { self.zone_delay } else { Duration::ZERO };
            let at = self.now + network::delay(&self.faults, &mut self.rng) + further;
            let from = self.nodes[from].address;
            self.agenda.push(at, SimEvent::Frame { node, from, to, bytes });
        }
    }

    fn take_events(&mut self, node: usize) {
        let mut happened = std::mem::take(&mut self.happened);
        for event in happened.drain(..) {
            self.take_event(node, event);
        }
        self.happened = happened;
    }

    fn take_event(&mut self, node: usize, event: Event) {
        let commons = &self.commons[self.nodes[node].commons];
        let what = self.log.record(self.now, node, event, commons, &self.by_id);
        self.trace.add(self.now, node, format!("{what:?}").as_bytes());
        self.checks.event(self.step_of(node), &self.nodes[node], event, commons);
        match event {
            Event::JoinFinished { joined, .. } => self.join_finished(node, joined),
            Event::LeaveFinished => self.left(node),
            _ => {}
        }
    }

    /// Puts a member's next timeout, or the end of its stall, on the agenda.
    pub(super) fn schedule(&mut self, node: usize) {
        let place = &mut self.nodes[node];
        let Some(member) = &place.member else { return };
        let Starvation { slowness, stalled_until, .. } = place.starvation;
        let due = match member.next_timeout() {
            Time::NEVER => Time::NEVER,
            timeout => place.clock.when(timeout, self.now),
        };
        let wake = match slowness {
            _ if stalled_until <= self.now => due.max(self.now),
            Slowness::Reading => due.min(stalled_until),
            Slowness::Everything | Slowness::TimersFirst => stalled_until,
        };
        if wake < place.wake {
            place.wake = wake;
            self.agenda.push(wake, SimEvent::Wake { node });
        }
    }

    /// Starts the member of `node` at `incarnation`, knowing only itself.
    pub(super) fn start_at(&mut self, node: usize, incarnation: swimring_codec::Incarnation) {
        let place = &mut self.nodes[node];
        place.boots += 1;
        let config = MemberConfig {
            name: place.name.clone(),
            address: place.address,
            metadata: place.metadata.clone(),
            zone: place.zone.clone(),
            cluster: CLUSTER,
            incarnation,
            seed: self.seed ^ u64::from(place.boots) << 32,
            settings: self.settings.clone(),
        };
        let shown = place.clock.read(self.now);
        // A name that fits and a table that has room for its owner: it cannot be refused.
        let commons = &mut self.commons[place.commons];
        place.member = if commons.has_identities() {
            Member::with_key(config, &identity_key(self.seed, node), commons, shown).ok()
        } else {
            Member::new(config, commons, shown).ok()
        };
        if let Some(member) = &mut place.member
            && place.admission != AdmissionRules::default()
        {
            member.set_admission(place.admission.clone());
        }
        place.incarnation = place.incarnation.max(incarnation);
        (place.joined, place.leaving, place.host_down) = (false, false, false);
        self.checks.started(node);
        self.schedule(node);
    }

    /// Takes the member of `node` away without a word.
    pub(super) fn stop(&mut self, node: usize) {
        let place = &mut self.nodes[node];
        let Some(mut member) = place.member.take() else { return };
        member.release(&mut self.commons[place.commons]);
        place.inbox.clear();
        place.wake = Time::NEVER;
        place.joined = false;
        if self.commons.len() > 1 {
            let seed = self.seed ^ node as u64;
            let gone = std::mem::replace(&mut self.commons[place.commons], self.wire.commons(seed));
            self.counted.add(&gone.counters);
        }
    }

    /// State of the member `subject` in the view of `observer`.
    pub fn belief(&self, observer: usize, subject: usize) -> Option<State> {
        let place = &self.nodes[observer];
        let index = self.commons[place.commons].directory().find(self.nodes[subject].id)?;
        place.member.as_ref()?.state_of(index).map(|(state, _)| state)
    }
}
