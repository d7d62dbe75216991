//! How long an attachment will take, said before it begins: joining and leaving take as long as `--ramp` says, which
//! for a large fleet is longer than what is measured.

use std::time::Duration;

use swimring::protocol::Settings;
use swimring_tooling::output::tell;
use swimring_tooling::text::counted;

use super::plan::{AttachPlan, PAUSE};
use crate::cli::{AttachOptions, PROGRAM, PoolKind};
use crate::fleet::fleet_control;

/// How long settling may take: as in a `run`, and long enough for members that left to come back.
pub fn settling_bound(settings: &Settings, options: &AttachOptions, plan: &AttachPlan) -> Duration {
    let back = if plan.leaves.is_empty() { Duration::ZERO } else { PAUSE * 2 };
    fleet_control::settling_bound(settings, options.run.members, back)
}

/// How long each part takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    ramp: Duration,
    warmup: Duration,
    measured: Duration,
    settling: Duration,
}

impl Schedule {
    /// The schedule of what was planned, under `settings`.
    pub fn new(options: &AttachOptions, plan: &AttachPlan, settings: &Settings) -> Schedule {
        Schedule {
            ramp: ramp(options),
            warmup: options.run.warmup,
            measured: options.run.duration,
            settling: settling_bound(settings, options, plan),
        }
    }

    /// In all, if everything is seen at once, and if settling takes as long as it may.
    fn in_all(&self) -> [Duration; 2] {
        let least = self.ramp * 2 + self.warmup + self.measured;
        [least, least + self.settling]
    }
}

/// How long it takes until all have begun to join, or to leave.
pub fn ramp(options: &AttachOptions) -> Duration {
    Duration::from_secs_f64(f64::from(options.run.members) / options.ramp.per_second)
}

/// Whole seconds, as people say them: `1m 40s`.
pub fn told(time: Duration) -> String {
    let seconds = if time.is_zero() { 0 } else { time.as_secs_f64().round().max(1.0) as u64 };
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// What is said of names that stay behind; nothing where they do not.
pub fn left_behind(options: &AttachOptions) -> Option<String> {
    let program = match options.pool {
        // memberlist forgets members that are gone once gossip to the dead ends.
        PoolKind::Memberlist => return None,
        PoolKind::Serf => "serf",
        PoolKind::Consul => "consul",
    };
    let prefix = &options.name_prefix;
    let killed = if options.run.kills > 0 { ", those killed as failed" } else { "" };
    Some(format!(
        "the members stay in `{program} members` as left for a day after they leave{killed}; to prune them: {program} \
         members -status='(left|failed)' | awk '/^{prefix}-/ {{print $1}}' | xargs -n1 {program} force-leave -prune"
    ))
}

/// The lines that open an attachment.
fn lines(options: &AttachOptions, schedule: &Schedule) -> Vec<String> {
    let [least, most] = schedule.in_all().map(told);
    let members = counted(u64::from(options.run.members), "member");
    let Schedule { ramp, warmup, measured, settling } = schedule;
    let [ramp, warmup, measured, settling] = [ramp, warmup, measured, settling].map(|time| told(*time));
    let seed = options.run.seed;
    let rate = options.ramp;
    let mut lines = vec![format!(
        "seed {seed}, {members}, {least} to {most} in all: joining {ramp} (at {rate}) and until all views agree, \
         warm-up {warmup}, measuring {measured}, settling at most {settling}, leaving {ramp}"
    )];
    lines.extend(left_behind(options));
    lines
}

/// Says on standard error what has started, with which seed, how long it will take, and what it leaves behind.
pub fn announce(options: &AttachOptions, schedule: &Schedule) {
    for line in lines(options, schedule) {
        tell(PROGRAM, &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::start;
    use crate::attach::tests::options;

    fn opened(flags: &[&str]) -> Vec<String> {
        let options = options(flags);
        let run = &options.run;
        let plan = AttachPlan::new(run.members, run.duration, run.kills, run.events, options.churn, run.seed);
        let settings = start::protocol(&options).unwrap();
        lines(&options, &Schedule::new(&options, &plan, &settings))
    }

    #[test]
    fn a_large_fleet_is_told_that_joining_and_leaving_take_longest() {
        let lines = opened(&["--members", "2000"]);
        assert!(lines[0].starts_with("seed 1, 2,000 members, 4m 25s to "), "{}", lines[0]);
        for part in
            ["joining 1m 40s (at 20/s)", "warm-up 5s", "measuring 1m,", "settling at most ", "leaving 1m 40s"]
        {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
    }

    #[test]
    fn what_stays_behind_is_told_with_the_way_to_be_rid_of_it() {
        let lines = opened(&["--name-prefix", "probe"]);
        assert!(lines[1].contains("`serf members` as left for a day"), "{}", lines[1]);
        assert!(
            lines[1].ends_with("awk '/^probe-/ {print $1}' | xargs -n1 serf force-leave -prune"),
            "{}",
            lines[1]
        );
        assert!(opened(&["--kill", "1"])[1].contains("those killed as failed; to prune them: serf members "));
        assert!(opened(&["--pool", "consul"])[1].contains("consul force-leave -prune"));
        assert_eq!(opened(&["--pool", "memberlist"]).len(), 1);
    }

    #[test]
    fn churn_makes_settling_longer() {
        let bound = |flags: &[&str]| {
            let options = options(flags);
            let run = &options.run;
            let plan =
                AttachPlan::new(run.members, run.duration, run.kills, run.events, options.churn, run.seed);
            settling_bound(&start::protocol(&options).unwrap(), &options, &plan)
        };
        let quick = ["--members", "50", "--suspicion-multiplier", "1"];
        assert!(bound(&[&quick[..], &["--churn", "1/s"]].concat()) >= bound(&quick));
        assert!(bound(&quick) < Duration::from_secs(120));
    }
}
