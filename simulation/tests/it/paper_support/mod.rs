//! What the tests of the papers' claims share.

use std::time::Duration;

use swimring::protocol::settings::{Dissemination, SuspicionMode};
use swimring::protocol::{Settings, Time};
use swimring_codec::native::{Frame, FrameHeader, FrameWriter, Message};
use swimring_codec::{Incarnation, MemberId, State};
use swimring_simulation::{CapturedFrame, Simulation, SimulationOptions, What, calm_bound};

pub const NEVER: Duration = Duration::ZERO;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// LAN settings in which only what a test is about happens: no push/pull, no stream probes, and gossip, which is what
/// the papers are about.
pub fn plain() -> Settings {
    let dissemination = Dissemination::Gossip;
    Settings {
        dissemination,
        suspicion: SuspicionMode::Lifeguard,
        push_pull_interval: Duration::ZERO,
        stream_fallback: false,
        ..Settings::default()
    }
}

/// `members` that know each other, after a few probe intervals of quiet.
pub fn warm(seed: u64, members: usize, settings: &Settings) -> Simulation {
    let settings = settings.clone();
    let mut simulation = Simulation::new(SimulationOptions {
        settings,
        checked: members <= 16,
        ..SimulationOptions::new(seed, members)
    });
    simulation.start_warm();
    run(&mut simulation, seconds(3));
    simulation
}

#[track_caller]
pub fn run(simulation: &mut Simulation, duration: Duration) {
    if let Err(violation) = simulation.run_for(duration) {
        panic!("{violation}");
    }
}

/// Runs until all views agree, which they have to within the bound of a calm cluster.
#[track_caller]
pub fn converges(simulation: &mut Simulation) {
    let bound = calm_bound(simulation.settings(), simulation.wire(), simulation.len());
    if let Err(violation) = simulation.run_until_converged(bound) {
        panic!("{violation}");
    }
}

/// How often `what` is in the log about members that `subject` accepts.
pub fn count(simulation: &Simulation, what: What, subject: impl Fn(usize) -> bool) -> usize {
    let entries = simulation.log().entries().iter();
    entries.filter(|entry| entry.what == what && entry.subject.is_some_and(&subject)).count()
}

/// When anyone first logged `what` about `subject` at `since` or later.
pub fn first(simulation: &Simulation, what: What, subject: usize, since: Time) -> Option<Time> {
    let entries = simulation.log().entries().iter();
    let mut wanted =
        entries.filter(|entry| entry.what == what && entry.subject == Some(subject) && entry.at >= since);
    wanted.next().map(|entry| entry.at)
}

/// Runs step by step until `done`; gives how long it took.
#[track_caller]
pub fn run_until(
    simulation: &mut Simulation,
    step: Duration,
    most: Duration,
    done: impl Fn(&Simulation) -> bool,
) -> Duration {
    let start = simulation.now();
    while !done(simulation) {
        assert!(simulation.now().since(start) < most, "not done after {most:?}");
        run(simulation, step);
    }
    simulation.now().since(start)
}

/// The messages of a tapped frame, as text: kind and fields.
pub fn messages(frame: &CapturedFrame) -> Vec<Message<'_>> {
    let frame = Frame::decode(&frame.bytes).expect("a frame");
    frame.messages().map(|message| message.expect("a message")).collect()
}

/// A frame from `source` to `node`, delivered at once.
pub fn forge(simulation: &mut Simulation, source: MemberId, node: usize, messages: &[Message<'_>]) {
    let header =
        FrameHeader { cluster: 0x51A1, source, destination: simulation.id(node), root: 0, quiet: false };
    let mut bytes = [0; 1400];
    let mut writer = FrameWriter::new(header, &mut bytes).expect("room");
    for message in messages {
        assert!(writer.push(message), "{message:?}");
    }
    let length = writer.finish();
    let from = simulation.address(node);
    simulation.deliver(node, from, &bytes[..length]);
}

pub fn incarnation(simulation: &Simulation, observer: usize, subject: usize) -> Incarnation {
    let index = simulation.commons(observer).directory().find(simulation.id(subject)).expect("known");
    let member = simulation.member(observer).expect("up");
    member.state_of(index).map(|(_, incarnation)| incarnation).expect("part of the view")
}

pub fn state(simulation: &Simulation, observer: usize, subject: usize) -> Option<State> {
    simulation.belief(observer, subject)
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
