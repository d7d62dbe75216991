//! When members are killed and user events are sent: decided before the run, by the seed alone.
//!
//! The load is open-loop: the plan never waits for the cluster, and what is measured counts from the
//! planned instant, so that a slow run cannot hide its own delay (coordinated omission). Kills and events
//! fill the first two thirds of the measured time, one per equal slot at a random place in it; the last
//! third is left for them to be seen.

use std::collections::HashSet;
use std::time::Duration;

use swimring_tooling::values::Rate;

/// Events planned at most: the plan is held in memory (16 bytes each) and each event's deliveries are
/// tracked; a million is far beyond what any cluster takes in one run.
pub const EVENTS_MAX: u64 = 1_000_000;

/// One member vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// When, counted from the start of the measured time.
    pub at: Duration,
    /// Which member, 0 to members - 1.
    pub victim: u32,
}

/// One member sends a user event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, counted from the start of the measured time.
    pub at: Duration,
    /// Which member, 0 to members - 1; never one that is killed in this run, because an event whose
    /// sender dies before its first gossip tick is lost by right and would count as a failure.
    pub sender: u32,
}

/// What happens to the fleet while it is measured; both lists in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Kills; no member twice.
    pub kills: Vec<Kill>,
    /// User events.
    pub events: Vec<Event>,
}

/// Events that a rate means for a measured duration: those of its first two thirds, and at least one if
/// any were asked for.
pub fn event_count(duration: Duration, rate: Rate) -> u64 {
    if rate.per_second <= 0.0 {
        return 0;
    }
    // `as` saturates. The small addition keeps 2/3 * 30 s * 1/s from becoming 19 by rounding.
    ((window(duration).as_secs_f64() * rate.per_second + 1e-6) as u64).max(1)
}

/// The part of the measured time that kills and events are spread over.
pub fn window(duration: Duration) -> Duration {
    duration / 3 * 2
}

impl Plan {
    /// Plans a run. `kills` is capped below `members`, events at [`EVENTS_MAX`]: somebody stays alive.
    pub fn new(members: u32, duration: Duration, kills: u32, events: Rate, seed: u64) -> Plan {
        if members == 0 {
            return Plan::default();
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let window = window(duration);
        let victims = victims(members, kills.min(members - 1), &mut random);
        let dying: HashSet<u32> = victims.iter().copied().collect();
        let survivors: Vec<u32> = (0..members).filter(|member| !dying.contains(member)).collect();
        let kill_times = spread(window, victims.len() as u64, &mut random);
        let kills = kill_times.into_iter().zip(victims).map(|(at, victim)| Kill { at, victim }).collect();
        let event_times = spread(window, event_count(duration, events).min(EVENTS_MAX), &mut random);
        let sender = |random: &mut fastrand::Rng| survivors[random.usize(..survivors.len())];
        let events = event_times.into_iter().map(|at| Event { at, sender: sender(&mut random) }).collect();
        Plan { kills, events }
    }

    /// The same plan with all kills in the first part, so long, of a measured `duration`; zero has them at one instant.
    pub fn killing_within(mut self, within: Duration, duration: Duration) -> Plan {
        let share = within.as_secs_f64() / window(duration).as_secs_f64().max(f64::MIN_POSITIVE);
        for kill in &mut self.kills {
            kill.at = kill.at.mul_f64(share.min(1.0));
        }
        self
    }
}

/// `count` distinct members in random order.
fn victims(members: u32, count: u32, random: &mut fastrand::Rng) -> Vec<u32> {
    let mut chosen = random.choose_multiple(0..members, count as usize);
    random.shuffle(&mut chosen);
    chosen
}

/// `count` instants in order: one in each of `count` equal slots of the window, anywhere in its slot.
fn spread(window: Duration, count: u64, random: &mut fastrand::Rng) -> Vec<Duration> {
    let slot = window.as_secs_f64() / count.max(1) as f64;
    (0..count)
        .map(|index| Duration::from_secs_f64((index as f64 + random.f64()) * slot).min(window))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_second: f64) -> Rate {
        Rate { per_second }
    }

    #[test]
    fn one_event_a_second_for_thirty_seconds_is_twenty_events() {
        assert_eq!(event_count(Duration::from_secs(30), rate(1.0)), 20);
        assert_eq!(event_count(Duration::from_secs(60), rate(1.0)), 40);
        assert_eq!(event_count(Duration::from_secs(30), rate(10.0 / 60.0)), 3);
        assert_eq!(event_count(Duration::from_secs(1), rate(0.001)), 1);
        assert_eq!(event_count(Duration::from_secs(30), rate(0.0)), 0);
    }

    #[test]
    fn seeds_make_plans() {
        let plan = |seed| Plan::new(1000, Duration::from_secs(60), 20, rate(1.0), seed);
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn kills_can_lie_in_a_first_part_or_at_one_instant() {
        let duration = Duration::from_secs(60);
        let plan = |within| Plan::new(1000, duration, 300, rate(1.0), 7).killing_within(within, duration);
        let whole = Plan::new(1000, duration, 300, rate(1.0), 7);
        assert_eq!(plan(Duration::from_secs(40)), whole);
        let tenth = plan(Duration::from_secs(4));
        assert!(tenth.kills.is_sorted_by_key(|kill| kill.at) && tenth.events == whole.events);
        let last = tenth.kills.last().expect("kills").at;
        assert!((Duration::from_secs(3)..=Duration::from_secs(4)).contains(&last), "{last:?}");
        assert!(plan(Duration::ZERO).kills.iter().all(|kill| kill.at.is_zero()));
    }

    #[test]
    fn an_empty_fleet_has_an_empty_plan() {
        assert_eq!(Plan::new(0, Duration::from_secs(60), 3, rate(1.0), 1), Plan::default());
    }

    proptest! {
        #[test]
        fn plans_keep_their_promises(
            members in 1_u32..3000,
            kills in 0_u32..4000,
            millis in 1_u64..600_000,
            per_second in 0.0_f64..50.0,
            seed: u64,
        ) {
            let duration = Duration::from_millis(millis);
            let plan = Plan::new(members, duration, kills, rate(per_second), seed);
            prop_assert_eq!(plan.kills.len(), kills.min(members - 1) as usize);
            prop_assert_eq!(plan.events.len() as u64, event_count(duration, rate(per_second)));

            let victims: HashSet<u32> = plan.kills.iter().map(|kill| kill.victim).collect();
            prop_assert_eq!(victims.len(), plan.kills.len(), "a member was killed twice");
            prop_assert!(plan.kills.iter().all(|kill| kill.victim < members));
            prop_assert!(plan.events.iter().all(|event| event.sender < members));
            prop_assert!(plan.events.iter().all(|event| !victims.contains(&event.sender)));

            let end = duration / 3 * 2;
            let times = || plan.kills.iter().map(|kill| kill.at);
            prop_assert!(times().is_sorted() && times().all(|at| at <= end));
            let times = || plan.events.iter().map(|event| event.at);
            prop_assert!(times().is_sorted() && times().all(|at| at <= end));
        }

        #[test]
        fn each_slot_of_the_window_has_its_kill(seed: u64, kills in 1_u32..50) {
            let duration = Duration::from_secs(60);
            let plan = Plan::new(1000, duration, kills, rate(0.0), seed);
            let slot = 40.0 / f64::from(kills);
            for (index, kill) in plan.kills.iter().enumerate() {
                let start = index as f64 * slot;
                let at = kill.at.as_secs_f64();
                prop_assert!(at >= start - 1e-6 && at <= start + slot + 1e-6, "kill {index} at {at} s");
            }
        }
    }
}
