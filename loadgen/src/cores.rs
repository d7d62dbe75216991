//! How many cores a run needs, said before it starts: a fleet that shares its cores with other programs measures
//! those as well, and half a minute is long to find that out.

use std::fs;
use std::time::Duration;

use swimring::protocol::Settings;
use swimring::protocol::settings::Dissemination;
use swimring_tooling::text::significant;

use crate::cli::{RunOptions, WireChoice};

/// Microseconds of a core that a member takes in a second with LAN settings, that delegates what it tells, and for each event or
/// kill, where a worker's trains are full: 100,000 members, docs/results/2026-11-27-memory/README.md.
const DELEGATED_US_PER_MEMBER: f64 = 4.3;
const DELEGATED_US_PER_NEWS: f64 = 4.7;

/// Cores besides that, from so many members on, since trains go out before they are full: 10,000 members take 0.078 cores.
const TRAINS_CORES: f64 = 0.036;
const TRAINS_MEMBERS: f64 = 10_000.0;

/// Cores that 10,000 members took that gossip, where news was always under way (an event each second, 20 kills), in trains and in single datagrams: docs/results/2026-11-20-ten-thousand-members/README.md and
/// 2026-11-20-real-pools.md.
const TEN_THOUSAND_NATIVE: f64 = 0.440;
const TEN_THOUSAND_MEMBERLIST: f64 = 0.654;

/// Datagrams of probes that a member sends in a second with LAN settings: a ping and an ack.
const LAN_PROBE_DATAGRAMS_PER_SECOND: f64 = 2.0;

/// Datagrams that one sends that gossips: these, and three to tell in each of five rounds.
const LAN_DATAGRAMS_PER_SECOND: f64 = 17.0;

/// A fleet that needs less gets it on a busy machine too: the scheduler favours threads that run rarely.
const NEEDED_LEAST: f64 = 0.05;

/// How long other programs are watched.
const WATCHED: Duration = Duration::from_millis(200);

/// A core's time is counted in hundredths of a second (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Cores that the fleet needs while news spreads.
pub fn needed(options: &RunOptions, settings: &Settings) -> f64 {
    let (probe, gossip) = (settings.probe_interval.as_secs_f64(), settings.gossip_interval.as_secs_f64());
    let probes = LAN_PROBE_DATAGRAMS_PER_SECOND / probe;
    let gossiped = (probes + f64::from(settings.gossip_fanout) / gossip) / LAN_DATAGRAMS_PER_SECOND;
    let measured = match (options.wire, settings.dissemination) {
        (WireChoice::Native, Dissemination::Delegated) => {
            return delegated(options, probes / LAN_PROBE_DATAGRAMS_PER_SECOND);
        }
        (WireChoice::Native, Dissemination::Gossip) => TEN_THOUSAND_NATIVE * gossiped,
        (WireChoice::Memberlist, _) => TEN_THOUSAND_MEMBERLIST * gossiped,
    };
    f64::from(options.members) / 10_000.0 * measured
}

/// The same where members delegate what they tell and send `probes` times as many as with LAN settings.
fn delegated(options: &RunOptions, probes: f64) -> f64 {
    let members = f64::from(options.members);
    let kills = f64::from(options.kills) / options.duration.as_secs_f64().max(1.0);
    let us = DELEGATED_US_PER_MEMBER * probes + DELEGATED_US_PER_NEWS * (options.events.per_second + kills);
    members * us / 1e6 + TRAINS_CORES * probes * (members / TRAINS_MEMBERS).min(1.0)
}

/// Cores that are busy now, with whatever program. `None` if the kernel does not say.
#[allow(clippy::disallowed_methods, reason = "what a machine is busy with shows only while time passes")]
pub fn busy() -> Option<f64> {
    let (before, began) = (busy_ticks()?, std::time::Instant::now());
    std::thread::sleep(WATCHED);
    let ticks = busy_ticks()?.saturating_sub(before);
    Some(ticks as f64 / TICKS_PER_SECOND / began.elapsed().as_secs_f64())
}

fn busy_ticks() -> Option<u64> {
    ticks_of(&fs::read_to_string("/proc/stat").ok()?)
}

/// All but idle and waiting, of the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq,
/// steal; what follows is in the first two already.
fn ticks_of(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Option<Vec<u64>> = line.split_whitespace().take(8).map(|tick| tick.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 8)?;
    Some(ticks.iter().enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, tick)| tick).sum())
}

/// What the run needs, in the words of its first line.
pub fn said(needed: f64, cores: u32) -> String {
    format!("needs about {} of {cores} cores", significant(needed))
}

/// A warning where that is more than is left beside what is `busy` now.
pub fn shortage(needed: f64, cores: u32, busy: Option<f64>) -> Option<String> {
    let cores = f64::from(cores);
    if needed > cores {
        return Some(format!(
            "{} cores are needed while news spreads and there are {cores}: members will be late, and the run \
             most likely invalid; use fewer --members",
            significant(needed)
        ));
    }
    let busy = busy.filter(|busy| needed >= NEEDED_LEAST && needed + busy > cores)?;
    Some(format!(
        "other programs keep {} of {cores} cores busy and {} are needed while news spreads: members will be late, \
         and the run may be invalid",
        significant(busy.min(cores)),
        significant(needed)
    ))
}

#[cfg(test)]
mod tests {
    use swimring_tooling::values::Rate;

    use super::*;

    #[test]
    fn what_was_measured_is_what_is_said() {
        let settings = Settings::default();
        let idle =
            RunOptions { kills: 0, events: Rate { per_second: 0.0 }, ..RunOptions::defaults(10_000, 2) };
        let native = RunOptions { members: 10_000, ..idle };
        assert!((needed(&native, &settings) - 0.079).abs() < 1e-9);
        let large = RunOptions {
            members: 100_000,
            kills: 10,
            duration: Duration::from_secs(60),
            events: Rate { per_second: 0.1 },
            ..native.clone()
        };
        // 0.63 and 0.64 were measured.
        assert!((0.5..0.7).contains(&needed(&large, &settings)));
        let gossip = Settings { dissemination: Dissemination::Gossip, ..settings.clone() };
        assert!((needed(&native, &gossip) - 0.440).abs() < 1e-9);
        let memberlist = RunOptions { wire: WireChoice::Memberlist, ..native };
        assert!((needed(&memberlist, &settings) - 0.654).abs() < 1e-9);
        let slower = Settings {
            probe_interval: settings.probe_interval * 2,
            gossip_interval: settings.gossip_interval * 2,
            ..settings
        };
        assert!((needed(&memberlist, &slower) - 0.327).abs() < 1e-9);
        assert_eq!(said(0.654, 2), "needs about 0.654 of 2 cores");
    }

    #[test]
    fn only_a_shortage_is_warned_of() {
        assert_eq!(shortage(0.654, 2, Some(1.2)), None);
        assert_eq!(shortage(0.654, 2, None), None);
        assert_eq!(shortage(0.04, 2, Some(2.0)), None);
        let shared = shortage(0.654, 2, Some(1.98)).unwrap();
        assert!(
            shared.starts_with("other programs keep 1.98 of 2 cores busy and 0.654 are needed"),
            "{shared}"
        );
        let large = shortage(3.27, 2, Some(0.0)).unwrap();
        assert!(large.starts_with("3.27 cores are needed while news spreads and there are 2: "), "{large}");
    }

    #[test]
    fn the_kernels_count_is_read() {
        let stat = "cpu  10 20 30 4000 500 6 7 8 900 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(ticks_of(stat), Some(10 + 20 + 30 + 6 + 7 + 8));
        assert_eq!(ticks_of("cpu  10 20 x 40 50 60 70 80"), None);
        assert_eq!(ticks_of("cpu  10 20"), None);
        assert!(busy().is_some_and(|busy| busy >= 0.0));
    }
}
