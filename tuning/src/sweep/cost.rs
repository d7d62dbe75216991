//! How long a trial takes, before it is run: reckoned from counts alone, in seconds of an idle core.
//!
//! Two things take time: probes, and news. A member handles so many datagrams of its probes, and tells each piece of
//! news so often. Right within a factor of two or three where nothing else is the matter; loss makes doubts, which
//! are news too. An idle cluster of a thousand members lives through some two million node-seconds in a second;
//! with crashes and events it is a tenth of that.

use swimring::protocol::settings::Dissemination;
use swimring_simulation::experiment::{TrialOptions, WireSizes};

/// As often as this a piece of news is handled by every member at least.
const TOLD_MIN: u8 = 20;
/// And in delegated broadcast: one copy and its acknowledgement, each in a frame of its own.
const TOLD_DELEGATED: f64 = 3.0;
/// Datagrams of a probe: ping and ack, and what indirect probes there are on average.
const DATAGRAMS_PER_PROBE: f64 = 3.0;
/// Seconds of an idle core that a member takes to handle a datagram of a probe, or to tell a piece of news once.
const CORE_S_PER_UNIT: f64 = 0.15e-6;
/// Up to this size, members fit into the caches of a core. Beyond, each takes longer, by this power of the size.
const CACHED_MEMBERS: f64 = 2_000.0;
const UNCACHED_POWER: f64 = 0.55;
/// From this loss on doubts fill the frames, and take this many times as long as the probes.
const DOUBTS_FILL: f64 = 0.1;
const DOUBTS: f64 = 15.0;

/// Seconds of an idle core for a trial that goes on for `drain_s` after its measured time.
pub fn core_s(options: &TrialOptions, drain_s: f64) -> f64 {
    let (settings, members) = (&options.settings, f64::from(options.members));
    let whole_s = (options.warm_up + options.duration).as_secs_f64() + drain_s;
    let doubts = 1.0 + DOUBTS * (options.loss / DOUBTS_FILL).powi(2).min(1.0);
    let probes = DATAGRAMS_PER_PROBE * doubts / settings.probe_interval.as_secs_f64() * whole_s;
    let events = options.events_per_second * options.duration.as_secs_f64() * 2.0 / 3.0;
    // A crash is news twice: suspected, then dead.
    let news = 2.0 * f64::from(options.crashes) + events;
    let delegates = options.wire == WireSizes::Native && settings.dissemination == Dissemination::Delegated;
    let told = if delegates {
        TOLD_DELEGATED
    } else {
        // Who is told rarely asks for what it missed, which is no less work.
        settings.retransmit_limit(options.members as usize).max(TOLD_MIN).into()
    };
    let slower = (members / CACHED_MEMBERS).max(1.0).powf(UNCACHED_POWER);
    members * (probes + news * told) * CORE_S_PER_UNIT * slower
}

#[cfg(test)]
mod tests {
    use swimring::Settings;

    use super::*;

    #[test]
    fn more_of_anything_takes_longer() {
        let gossip = Settings { dissemination: Dissemination::Gossip, ..Settings::default() };
        let delegated = TrialOptions { crashes: 10, events_per_second: 1.0, ..TrialOptions::new(1, 1000) };
        let base = TrialOptions { settings: gossip, ..delegated.clone() };
        // One copy in place of twenty; on memberlist's wire both gossip.
        assert!(core_s(&delegated, 15.0) < core_s(&base, 15.0) / 2.0);
        let memberlist = |options: &TrialOptions| {
            core_s(&TrialOptions { wire: WireSizes::Memberlist, ..options.clone() }, 15.0)
        };
        assert_eq!(memberlist(&delegated), memberlist(&base));
        let cost = |options: &TrialOptions| core_s(options, 15.0);
        for more in [
            TrialOptions { members: 2000, ..base.clone() },
            TrialOptions { crashes: 20, ..base.clone() },
            TrialOptions { events_per_second: 2.0, ..base.clone() },
            TrialOptions { duration: base.duration * 2, ..base.clone() },
            TrialOptions { loss: 0.05, ..base.clone() },
        ] {
            assert!(cost(&more) > cost(&base) * 1.1, "{more:?}");
        }
        // Members that do not fit into the caches take longer each.
        let large = TrialOptions { members: 100_000, ..base.clone() };
        assert!(cost(&large) > cost(&base) * 100.0 * 3.0);
    }
}
