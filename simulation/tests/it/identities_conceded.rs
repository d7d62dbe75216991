//! What identities do not prevent (`SECURITY.md`): what members have signed is repeated once they are forgotten, and somebody who is asked
//! to probe a member says that it has answered.

use swimring::protocol::Settings;
use swimring_codec::State;
use swimring_codec::native::{Frame, FrameHeader, FrameWriter, Message};
use swimring_simulation::{CLUSTER, CapturedFrame, Identities, Simulation, SimulationOptions};

use crate::paper_support::{millis, run, run_until, seconds, state};

fn cluster(seed: u64, members: usize, settings: Settings) -> Simulation {
    Simulation::new(SimulationOptions {
        identities: Identities::FirstHeard,
        settings,
        ..SimulationOptions::new(seed, members)
    })
}

/// Whether `observer` has the member `subject` in its view, in whichever state.
fn is_held(simulation: &Simulation, observer: usize, subject: usize) -> bool {
    state(simulation, observer, subject).is_some()
}

/// Gives `observer` all that others have sent it.
fn repeat(simulation: &mut Simulation, observer: usize, sent: &[CapturedFrame]) {
    for frame in sent.iter().filter(|frame| frame.to == Some(observer)) {
        simulation.deliver(observer, simulation.address(frame.from), &frame.bytes);
    }
}

/// One that left, half a minute ago, and one that died, as long ago as the dead are remembered.
#[test]
fn who_is_forgotten_is_held_again_until_it_is_found_to_be_gone() {
    let settings = Settings { reconnect_timeout: seconds(120), ..Settings::default() };
    let forget = settings.gossip_to_the_dead;
    let mut simulation = cluster(7, 6, settings);
    simulation.tap();
    simulation.start_cold();
    run(&mut simulation, seconds(5));
    let sent: Vec<CapturedFrame> = simulation.tapped().to_vec();
    simulation.leave(3);
    simulation.crash(4);
    run(&mut simulation, seconds(15));
    repeat(&mut simulation, 0, &sent);
    let held = [3, 4].map(|subject| state(&simulation, 0, subject));
    assert_eq!(held, [Some(State::Left), Some(State::Dead)], "as long as they are held");
    // Out of the view, and the dead one remembered: its past does not bring it back.
    run(&mut simulation, forget + seconds(10));
    assert!(!is_held(&simulation, 0, 3) && !is_held(&simulation, 0, 4));
    repeat(&mut simulation, 0, &sent);
    assert!(!is_held(&simulation, 0, 4), "it is remembered");
    let held = state(&simulation, 0, 3);
    assert_eq!(held, Some(State::Alive), "it left, and is forgotten");
    run_until(&mut simulation, seconds(1), seconds(60), |simulation| {
        state(simulation, 0, 3).is_none_or(|state| state == State::Dead)
    });
    run(&mut simulation, seconds(240));
    assert!(!is_held(&simulation, 0, 3) && !is_held(&simulation, 0, 4));
    repeat(&mut simulation, 0, &sent);
    assert_eq!(state(&simulation, 0, 4), Some(State::Alive), "it died, and is forgotten");
    run_until(&mut simulation, seconds(1), seconds(60), |simulation| {
        state(simulation, 0, 4).is_none_or(|state| state == State::Dead)
    });
    assert_eq!(simulation.counters().identities_forged, 0);
}

/// Plays member 1 to member 0 for `length`: answers its pings, and with `lies` those that it asks it to pass on to another.
fn play_the_second(simulation: &mut Simulation, length: std::time::Duration, lies: bool) {
    let (until, mut lied) = (simulation.now() + length, 0);
    while simulation.now() < until {
        simulation.tap();
        run(simulation, millis(5));
        let asked: Vec<CapturedFrame> = simulation
            .tapped()
            .iter()
            .filter(|frame| (frame.from, frame.to) == (0, Some(1)))
            .cloned()
            .collect();
        for frame in asked {
            let frame = Frame::decode(&frame.bytes).expect("a frame");
            for message in frame.messages().flatten() {
                let (sequence, event_root) = match message {
                    Message::Ping { sequence, event_root } => (sequence, event_root),
                    Message::IndirectPing { sequence, .. } if lies => (sequence, 0),
                    _ => continue,
                };
                lied += usize::from(matches!(message, Message::IndirectPing { .. }));
                let (source, destination) = (simulation.id(1), simulation.id(0));
                let FrameHeader { root, quiet, .. } = frame.header;
                let header = FrameHeader { cluster: CLUSTER, source, destination, root, quiet };
                let mut bytes = [0; 200];
                let mut writer = FrameWriter::new(header, &mut bytes).expect("room");
                assert!(writer.push(&Message::Ack { sequence, event_root }));
                let length = writer.finish();
                simulation.deliver(0, simulation.address(1), &bytes[..length]);
            }
        }
    }
    assert_eq!(lied > 20, lies, "{lied} lies");
}

#[test]
fn a_member_that_is_gone_is_kept_up_by_who_is_asked_to_probe_it() {
    let mut simulation = cluster(3, 3, Settings::default());
    simulation.start_warm();
    run(&mut simulation, seconds(5));
    // The third is gone. The second is somebody with the cluster's key, who has none of its own and signs nothing.
    simulation.crash_host(1);
    simulation.crash_host(2);
    play_the_second(&mut simulation, seconds(90), true);
    assert_eq!(state(&simulation, 0, 2), Some(State::Alive), "a minute and a half after its end");
    play_the_second(&mut simulation, seconds(60), false);
    assert_eq!(state(&simulation, 0, 1), Some(State::Alive), "who answers for itself");
    assert!(state(&simulation, 0, 2).is_none_or(|state| state == State::Dead), "it is found to be gone");
    assert_eq!(simulation.counters().identities_forged, 0);
}
