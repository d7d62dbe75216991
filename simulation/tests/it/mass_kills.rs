//! A large part of a cluster dies at one moment, as with a rack: everyone declares all of it, nobody declares anybody
//! else, and what a member sends is bounded by the pace of delegated broadcast.

use std::time::Duration;

use swimring::Settings;
use swimring::protocol::SuspicionMode;
use swimring_simulation::experiment::{TrialOptions, TrialOutcome, run};

const MEMBERS: u32 = 200;

fn killed(suspicion: SuspicionMode, crashes: u32, loss: f64) -> TrialOutcome {
    let settings = Settings { suspicion, ..Settings::default() };
    let outcome = run(&TrialOptions {
        members: MEMBERS,
        crashes,
        crashes_within: Some(Duration::ZERO),
        loss,
        settings,
        ..TrialOptions::default()
    });
    outcome.unwrap()
}

/// Most that a member sends in a second: at each of the moments that pacing leaves, a frame to each of `parts` delegates
/// and what probing takes, and an acknowledgement for each frame that it receives, of which there are as many.
fn datagrams_max(settings: &Settings, parts: u32) -> u32 {
    let moments = (Duration::from_secs(1).as_micros() / settings.delegation_pacing.as_micros()) as u32;
    2 * moments * parts
}

#[test]
fn a_third_of_a_cluster_that_dies_at_once_is_declared_everywhere() {
    for (suspicion, loss) in [
        (SuspicionMode::Lifeguard, 0.0),
        (SuspicionMode::Lifeguard, 0.01),
        (SuspicionMode::Adaptive, 0.0),
        (SuspicionMode::Adaptive, 0.01),
    ] {
        let outcome = killed(suspicion, MEMBERS * 3 / 10, loss);
        let case = format!("{suspicion:?}, loss {loss}");
        for crash in &outcome.crashes {
            assert_eq!(crash.declared, crash.of, "{case}: member {}", crash.member);
        }
        assert_eq!(outcome.false_deaths, 0, "{case}");
        let last = outcome.crashes.iter().filter_map(|crash| crash.all_s).fold(0.0, f64::max);
        // 200 members divide into four steps of three parts.
        let most = datagrams_max(&Settings::default(), 12);
        println!(
            "{case}: last {last:.2} s, {} in a second, {} pp, {} B/s of streams",
            outcome.datagrams_of_a_second_max,
            outcome.counters.push_pulls_started,
            outcome.stream_bytes_per_member_second()
        );
        // With Lifeguard's suspicion all are confirmed: no window lasts as long as one accuser alone would wait.
        let bound = match suspicion {
            SuspicionMode::Adaptive => 15.0,
            SuspicionMode::Lifeguard => {
                Settings::default().suspicion_timeouts(MEMBERS as usize).1.as_secs_f64()
            }
        };
        assert!(last < bound, "{case}: the last one knew after {last} s");
        assert!(outcome.datagrams_of_a_second_max < most, "{case}: {}", outcome.datagrams_of_a_second_max);
    }
}
