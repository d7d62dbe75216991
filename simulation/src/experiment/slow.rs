//! What impairments do to members, and who has crashed.
//!
//! A slow member does nothing until its spell is over, while what arrives waits in a bounded inbox; then it
//! catches up as the kind of its slowness says. The fast path asks one byte per member, and nothing at all in an
//! experiment without impairments.

use std::collections::VecDeque;
use std::time::Duration;

use super::options::TrialOptions;
use super::plan::Plan;
use super::run::{NEVER, SimEvent, Trial};
use crate::Slowness;
use crate::faults::{INBOX_MAX, Impairment, ImpairmentKind, Part};
use swimring::protocol::Member;

/// Something that waits for a slow member.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Frame(u32),
    Stream(u32),
}

/// One member's impairments as they are now.
#[derive(Debug, Default)]
struct Impaired {
    loss_in: f64,
    loss_out: f64,
    late_us: u64,
    slowness: Slowness,
    /// Time until which what it sends and receives waits; zero while it runs.
    held_until: u64,
    /// Nothing is done before this; zero while it runs.
    stalled_until: u64,
    stalled_since: u64,
    inbox: VecDeque<Waiting>,
}

/// An impairment as it comes and goes.
#[derive(Debug)]
struct Spell {
    impairment: Impairment,
    /// The first so many of the impaired.
    members: u32,
    on: bool,
}

/// Everything that is wrong with members of an experiment. See the module.
#[derive(Debug)]
pub(super) struct Impairments {
    gone: Vec<bool>,
    /// By member: its position in `impaired`.
    position: Vec<u32>,
    impaired: Vec<Impaired>,
    spells: Vec<Spell>,
}

const SPARED: u32 = u32::MAX;

impl Impairments {
    pub(super) fn new(options: &TrialOptions, plan: &Plan) -> Impairments {
        let members = options.members as usize;
        let any = !plan.impaired.is_empty();
        let mut position = vec![SPARED; if any { members } else { 0 }];
        for (number, member) in plan.impaired.iter().enumerate() {
            position[*member as usize] = number as u32;
        }
        let spell = |impairment: &Impairment| Spell {
            impairment: *impairment,
            members: impairment.members.of(options.members),
            on: false,
        };
        Impairments {
            gone: vec![false; members],
            position,
            impaired: plan.impaired.iter().map(|_| Impaired::default()).collect(),
            spells: options.impaired.iter().map(spell).collect(),
        }
    }

    /// Number of impairments.
    pub(super) fn len(&self) -> u32 {
        self.spells.len() as u32
    }

    /// Whether anybody has an impairment.
    #[inline]
    pub(super) fn any(&self) -> bool {
        !self.position.is_empty()
    }

    #[inline]
    pub(super) fn is_gone(&self, node: u32) -> bool {
        self.gone[node as usize]
    }

    pub(super) fn vanish(&mut self, node: u32) {
        self.gone[node as usize] = true;
    }

    fn of(&self, node: u32) -> Option<&Impaired> {
        self.impaired.get(*self.position.get(node as usize)? as usize)
    }

    fn of_mut(&mut self, node: u32) -> Option<&mut Impaired> {
        self.impaired.get_mut(*self.position.get(node as usize)? as usize)
    }

    /// Additional loss of what `node` sends, and its additional delay without the time for which it is held
    /// (`held_for`).
    pub(super) fn sending(&self, node: u32) -> (f64, u64) {
        self.of(node).map_or((0.0, 0), |impaired| (impaired.loss_out, impaired.late_us))
    }

    /// Time for which what `node` sends now is held.
    pub(super) fn held_for(&self, node: u32, now: u64) -> u64 {
        self.of(node).map_or(0, |impaired| impaired.held_until.saturating_sub(now))
    }

    /// Additional loss of what is sent to `node`.
    pub(super) fn receiving(&self, node: u32) -> f64 {
        self.of(node).map_or(0.0, |impaired| impaired.loss_in)
    }

    /// Whether what arrives now has to wait.
    pub(super) fn reads_later(&self, node: u32, now: u64) -> bool {
        self.of(node).is_some_and(|impaired| {
            now < impaired.stalled_until.max(impaired.held_until) || !impaired.inbox.is_empty()
        })
    }

    /// Time at which a member that is due at `due` runs.
    #[inline]
    pub(super) fn runs_at(&self, node: u32, due: u64) -> u64 {
        if !self.any() {
            return due;
        }
        match self.of(node) {
            Some(impaired) if impaired.slowness != Slowness::Reading => due.max(impaired.stalled_until),
            _ => due,
        }
    }
}

impl Trial {
    /// Keeps a frame for a member that is slow.
    pub(super) fn keep_frame(&mut self, node: u32, frame: u32) {
        match self.impairments.of_mut(node) {
            Some(impaired) if impaired.inbox.len() < INBOX_MAX => {
                impaired.inbox.push_back(Waiting::Frame(frame));
            }
            _ => self.drop_frame(frame),
        }
    }

    /// Keeps part of a stream for a member that is slow. True if it has to wait.
    pub(super) fn keeps_stream(&mut self, node: u32, mail: u32) -> bool {
        if !self.impairments.reads_later(node, self.now) {
            return false;
        }
        if let Some(impaired) = self.impairments.of_mut(node) {
            impaired.inbox.push_back(Waiting::Stream(mail));
        }
        true
    }

    /// An impairment begins, or ends.
    pub(super) fn turn_impairment(&mut self, number: u32) {
        let spell = &mut self.impairments.spells[number as usize];
        spell.on = !spell.on;
        let (on, members) = (spell.on, spell.members);
        let Impairment { kind, cycle, .. } = spell.impairment;
        let lasts = cycle.map(|cycle| if on { cycle.on_for } else { cycle.off_for });
        let until = lasts.map_or(NEVER, |lasts| self.now + lasts.as_micros() as u64);
        if until != NEVER {
            self.agenda.push(until, SimEvent::Turn(number));
        }
        for nth in 0..members {
            let impaired = &mut self.impairments.impaired[nth as usize];
            match kind {
                ImpairmentKind::LossIn(loss) => impaired.loss_in = if on { loss } else { 0.0 },
                ImpairmentKind::LossOut(loss) => impaired.loss_out = if on { loss } else { 0.0 },
                ImpairmentKind::Delay(delay) => {
                    impaired.late_us = if on { delay.as_micros() as u64 } else { 0 };
                }
                ImpairmentKind::Held => {
                    impaired.held_until = if on { until } else { 0 };
                    if !on {
                        self.read_inbox(self.plan.impaired[nth as usize]);
                    }
                }
                ImpairmentKind::Slow(slowness) if on => {
                    (impaired.slowness, impaired.stalled_since) = (slowness, self.now);
                    impaired.stalled_until = until;
                }
                ImpairmentKind::Slow(_) => self.run_again(nth),
            }
        }
    }

    /// A slow member gets to run: what it does first depends on what it is slow at.
    fn run_again(&mut self, nth: u32) {
        let node = self.plan.impaired[nth as usize];
        let impaired = &mut self.impairments.impaired[nth as usize];
        impaired.stalled_until = 0;
        let lost = Duration::from_micros(self.now - impaired.stalled_since);
        let slowness = match impaired.slowness {
            Slowness::Everything if self.commons.behaviour().stalls_unnoticed => Slowness::TimersFirst,
            slowness => slowness,
        };
        for part in slowness.catching_up() {
            match part {
                Part::Stall => self.call(node, |member, _, commons, _| member.handle_stall(lost, commons)),
                Part::Read => self.read_inbox(node),
                Part::Timers => self.run_timers(node),
            }
        }
        self.schedule(node);
    }

    fn run_timers(&mut self, node: u32) {
        if self.due[node as usize] <= self.now {
            self.call(node, Member::handle_timeout);
        }
    }

    fn read_inbox(&mut self, node: u32) {
        while let Some(waiting) =
            self.impairments.of_mut(node).and_then(|impaired| impaired.inbox.pop_front())
        {
            match waiting {
                Waiting::Frame(frame) => self.take_in(node, frame),
                Waiting::Stream(mail) => self.take_in_stream(mail),
            }
        }
    }
}
