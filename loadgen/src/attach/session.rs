//! `attach`: virtual members in somebody else's pool. They join it, are killed, leave and come back as planned, and all
//! leave at the end, which also follows when anything else has ended early.

#![allow(clippy::disallowed_methods, reason = "joining and leaving wait for the clock, between looks at it")]

mod arriving;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::net::Trains;
use swimring::worker::Host;
use swimring_tooling::output::tell;
use swimring_tooling::text::counted;

use super::command::Attached;
use super::contact;
use super::contacts::Contacts;
use super::heard::Heard;
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
use crate::fleet::MemberNumber;
use crate::fleet::phases::{LOOK_EVERY, Phases, Script};
use crate::fleet::tracker::{Tracker, Tracking};
use crate::progress::Phase;
use crate::run::RunError;
use crate::run_context::RunContext;

/// How often to look while joins or leaves are under way.
const LOOK_OFTEN: Duration = Duration::from_millis(10);
/// The phases of an attachment.
type Attachment<'a, 'b> = Phases<'a, 'b, Watch>;

/// An attachment under way, and what is known of it.
struct Session<'a> {
    options: &'a AttachOptions,
    plan: &'a AttachPlan,
    common: Arc<Common>,
    joiner: Joiner,
    live: Live,
    /// Leaves begun.
    leaves: usize,
    /// Members that have left and come back once they are gone.
    returning: VecDeque<MemberNumber>,
    /// When joining began.
    begun: Duration,
    /// What was heard of real members, by worker, once the fleet has stopped.
    heard: Vec<Heard>,
}

/// Attaches the members to the pool, measures, and detaches them.
pub(super) fn execute(
    options: &AttachOptions,
    plan: &AttachPlan,
    targets: &[SocketAddr],
    context: &mut RunContext<'_>,
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
    let mut session = Session {
        options,
        plan,
        common,
        joiner,
        live: Live::new(fleet.len()),
        leaves: 0,
        returning: VecDeque::new(),
        begun: Duration::ZERO,
        heard: Vec::new(),
    };
    let patience = contact::patience(&protocol);
    let observers = plan.observers(options.run.members);
    let bound = schedule::settling_bound(&protocol, options, plan);
    let phases = Phases::new(fleet, &options.run, context, protocol, observers, bound);
    let executed = phases.carry_out(&mut session).map_err(RunError)?;
    Ok(Attached { executed, merged: outcome::merge(session.heard.iter()), patience })
}

impl Script for Session<'_> {
    type Observer = Watch;

    const EVENT_NAME: &'static str = EVENT_NAME;

    fn start(&mut self, phases: &mut Attachment<'_, '_>) -> Result<Option<Duration>, String> {
        self.join(phases)
    }

    fn make_room(&mut self, phases: &Attachment<'_, '_>) -> Result<(), String> {
        let (kills, events) = (self.plan.plan.kills.len(), self.plan.plan.events.len());
        let made = phases.fleet.ask_all(|_| {
            Box::new(move |host: &mut Host<Watch>, _: &mut Trains| {
                let locals = host.len();
                host.observer.heard.reserve(kills, events, locals);
            })
        });
        made.map(|_| ()).map_err(|error| error.to_string())
    }

    fn payload(&self, number: usize, length: usize) -> Vec<u8> {
        event_payload(number, self.common.run, length)
    }

    fn killed(&mut self, victim: MemberNumber) {
        self.common.roster.set(victim, Stage::Killed);
    }

    /// Members leave in turn, and come back once they have been away for a while.
    fn keep_plan(&mut self, phases: &Attachment<'_, '_>, elapsed: Duration) -> Result<(), String> {
        while let Some(leave) = self.plan.leaves.get(self.leaves).filter(|leave| leave.at <= elapsed) {
            self.leaves += 1;
            // One that is still on its way back has its turn another time.
            if self.common.roster.stage(leave.member) == Stage::Present {
                leaving::begin(&phases.fleet, &self.common.roster, leave.member)?;
                self.returning.push_back(leave.member);
            }
        }
        let now = phases.fleet.elapsed();
        for _ in 0..self.returning.len() {
            let Some(member) = self.returning.pop_front() else { break };
            if self.common.roster.stage(member) == Stage::Away {
                self.joiner.add(member, now + PAUSE);
            } else {
                self.returning.push_back(member);
            }
        }
        self.joiner.advance(&phases.fleet)
    }

    fn next_due(&self) -> Option<Duration> {
        self.plan.leaves.get(self.leaves).map(|leave| leave.at)
    }

    fn look_every(&self) -> Duration {
        if self.joiner.outstanding() > 0 { LOOK_OFTEN } else { LOOK_EVERY }
    }

    fn is_settled(&self) -> bool {
        self.returning.is_empty() && self.joiner.outstanding() == 0
    }

    fn sampled(&mut self, phases: &Attachment<'_, '_>) -> Result<(), String> {
        if let Some(metrics) = &phases.context.metrics {
            metrics.publish_real(&self.live.look(&phases.fleet)?);
        }
        Ok(())
    }

    fn conclude(&mut self, phases: &Attachment<'_, '_>) -> Result<(), String> {
        let concluded = phases.fleet.ask_all(|_| {
            Box::new(|host: &mut Host<Watch>, _: &mut Trains| {
                let now = host.now();
                host.observer.finish(now);
                host.observer.tracker_mut().conclude();
            })
        });
        concluded.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Everybody who is there leaves.
    fn end(&mut self, phases: &mut Attachment<'_, '_>) -> Result<(), String> {
        self.joiner.give_up();
        let (common, begun) = (Arc::clone(&self.common), phases.fleet.elapsed());
        let roster = &common.roster;
        let mut leaver = Leaver::new(roster, self.options.ramp.per_second);
        while !leaver.is_done(roster, phases.fleet.elapsed()) {
            let now = phases.fleet.elapsed();
            leaver.advance(&phases.fleet, roster, now)?;
            phases.sample(self, Phase::Leaving, now - begun, Some(leaver.progress(roster)))?;
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

    fn tracker(&mut self, watch: Watch) -> Tracker {
        let (tracker, heard) = watch.into_parts();
        self.heard.push(heard);
        tracker
    }
}
