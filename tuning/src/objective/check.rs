//! What cannot be meant: every fault of an objective in one line, with the flag and the mend.

use std::time::Duration;

use swimring_simulation::experiment::{LOSS_MAX, MEMBERS_MAX, zones_max};
use swimring_tooling::text::{percent, thousands};

use super::{FALSE_DEATHS_DEFAULT, Limit, Measure, Network, Objective, ObjectiveArguments, Target, network};

/// The longest round trip: the largest probe timeout that is tried has to leave room for it.
const RTT_MS_MAX: f64 = 5_000.0;
const RTT_MS_MIN: f64 = 0.002;
const SIGMA_MAX: f64 = 1.4;
/// Above, most of the cluster does not run half of the time, and nothing can be promised.
const SLOW_SHARE_MAX: f64 = 0.5;
const EVENTS_PER_SECOND_MAX: f64 = 10_000.0;
/// Crashes where nothing is said: so many, or one for ten members where that is less.
const FAILURES_PER_HOUR_DEFAULT: f64 = 10.0;

impl ObjectiveArguments {
    /// Checks everything.
    ///
    /// # Errors
    /// One line per fault.
    pub fn check(&self) -> Result<Objective, Vec<String>> {
        let mut faults = Vec::new();
        let members = self.checked_members(&mut faults);
        let network = self.checked_network(&mut faults);
        let limits = self.checked_limits(members, &mut faults);
        let minimise = self.minimise.unwrap_or(Measure::Bytes);
        self.check_zones(members, &network, &mut faults);
        if faults.is_empty() {
            self.check_together(&limits, minimise, &network, &mut faults);
        }
        let events_per_second = self.events.map_or(0.0, |rate| rate.per_second);
        if events_per_second > EVENTS_PER_SECOND_MAX {
            faults.push(format!("--events: at most {}/s", thousands(EVENTS_PER_SECOND_MAX as u64)));
        }
        let failures_per_hour =
            self.failures.map_or(FAILURES_PER_HOUR_DEFAULT.min(f64::from(members) / 10.0), |rate| {
                rate.per_second * 3600.0
            });
        if self.members.is_some() && members > 0 && failures_per_hour > f64::from(members) {
            faults.push("--failures: at most as many per hour as there are members".to_owned());
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Objective {
            members,
            network,
            events_per_second,
            failures_per_hour,
            limits,
            minimise,
            target: self.target.unwrap_or_default(),
        })
    }

    fn checked_members(&self, faults: &mut Vec<String>) -> u32 {
        let members = self.members.unwrap_or(0);
        if self.members.is_none() {
            faults.push("--members: say how many members the cluster has, like --members 20000".to_owned());
        } else if !(2..=MEMBERS_MAX).contains(&members) {
            let most = thousands(MEMBERS_MAX.into());
            faults.push(format!("--members: has to be between 2 and {most}, and is {members}"));
        }
        members
    }

    fn checked_network(&self, faults: &mut Vec<String>) -> Network {
        let unsaid = Network::default();
        let loss = self.loss.unwrap_or(unsaid.loss);
        if loss > LOSS_MAX {
            faults.push(format!("--loss: at most {}: with more, nothing can be detected", percent(LOSS_MAX)));
        }
        if self.regions.is_some() && (self.rtt_ms.is_some() || self.rtt_sigma.is_some()) {
            faults
                .push("--regions: has round trips of its own: leave out --rtt-ms and --rtt-sigma".to_owned());
        }
        let regions = match self.regions.as_deref().map(network::regions) {
            Some(Ok(map)) => Some(map),
            Some(Err(fault)) => {
                faults.push(format!("--regions {fault}"));
                None
            }
            None => None,
        };
        let rtt_ms = self.rtt_ms.unwrap_or(unsaid.rtt_ms);
        between(faults, "--rtt-ms", rtt_ms, RTT_MS_MIN, RTT_MS_MAX, "no probe timeout leaves room for more");
        let rtt_sigma = self.rtt_sigma.unwrap_or(unsaid.rtt_sigma);
        between(faults, "--rtt-sigma", rtt_sigma, 0.0, SIGMA_MAX, "0 is always the same");
        let slow_share = self.slow_share.unwrap_or(unsaid.slow_share);
        if slow_share > SLOW_SHARE_MAX {
            faults.push(format!("--slow-share: at most {}", percent(SLOW_SHARE_MAX)));
        }
        let zone_rtt_ms = self.zone_rtt_ms.unwrap_or(unsaid.zone_rtt_ms);
        between(
            faults,
            "--zone-rtt-ms",
            zone_rtt_ms,
            0.0,
            RTT_MS_MAX,
            "no probe timeout leaves room for more",
        );
        let zones = self.zones.unwrap_or(unsaid.zones);
        Network { loss, rtt_ms, rtt_sigma, zones, zone_rtt_ms, regions, slow_share }
    }

    fn check_zones(&self, members: u32, network: &Network, faults: &mut Vec<String>) {
        let zones = network.zones;
        let most = zones_max(members);
        let target = self.target.unwrap_or_default();
        if self.zones.is_some() && members >= 2 && !(1..=most).contains(&zones) {
            faults.push(format!("--zones {zones}: has to be between 1 and {most}, for two members in each"));
        } else if zones > 1 && target != Target::Swimring {
            faults.push(format!(
                "--zones {zones}: memberlist's wire knows no zones: leave it out, or --for {}",
                target.as_str()
            ));
        } else if zones > 1 && network.regions.is_some() {
            faults.push("--zones: --regions has places of its own: leave one out".to_owned());
        } else if zones <= 1 && network.zone_rtt_ms > 0.0 {
            faults.push("--zone-rtt-ms: there are no zones: add --zones 2 or more".to_owned());
        }
    }

    fn checked_limits(&self, members: u32, faults: &mut Vec<String>) -> Vec<Limit> {
        if self.max_cpu_us.is_some() && self.max_cores.is_some() {
            faults.push("--max-cores: is --max-cpu-us for all members together: give one of them".to_owned());
        }
        let cores = self.max_cores.map(|cores| cores * 1e6 / f64::from(members.max(1)));
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let mut limits = Vec::new();
        for (measure, most) in [
            (Measure::DetectP50, seconds(self.detect_p50)),
            (Measure::DetectP99, seconds(self.detect_p99)),
            (Measure::DetectAllP99, seconds(self.detect_all_p99)),
            (Measure::SpreadP99, seconds(self.spread_p99).map(|seconds| seconds * 1e3)),
            (Measure::Bytes, self.max_bytes_per_second),
            (Measure::Cpu, self.max_cpu_us.or(cores)),
            (Measure::FalseDeaths, self.false_deaths_per_day),
        ] {
            let Some(most) = most else { continue };
            if !(most.is_finite() && most > 0.0) {
                let (name, typed) = match (measure, self.max_cores) {
                    (Measure::Cpu, Some(cores)) => ("max-cores", cores),
                    _ => (measure.name(), most),
                };
                faults.push(format!("--{name}: has to be more than zero, and is {typed}"));
                continue;
            }
            limits.push(Limit { measure, most, default: false });
        }
        if self.false_deaths_per_day.is_none() {
            let (measure, most) = (Measure::FalseDeaths, FALSE_DEATHS_DEFAULT);
            limits.push(Limit { measure, most, default: true });
        }
        limits
    }

    /// Limits that contradict each other, and objectives that leave everything open.
    fn check_together(
        &self,
        limits: &[Limit],
        minimise: Measure,
        network: &Network,
        faults: &mut Vec<String>,
    ) {
        let limit = |measure| limits.iter().find(|limit| limit.measure == measure).map(|limit| limit.most);
        let order = [Measure::DetectP50, Measure::DetectP99, Measure::DetectAllP99];
        for (index, later) in order.iter().enumerate() {
            for earlier in &order[..index] {
                if let (Some(small), Some(large)) = (limit(*earlier), limit(*later))
                    && large < small
                {
                    faults.push(format!(
                        "--{later}: {large} s is below --{earlier}, {small} s, and it cannot be: raise the one or lower the other"
                    ));
                }
            }
        }
        let rtt_ms = network.round_trip().0 + network.zone_rtt_ms;
        for measure in order {
            if let Some(most) = limit(measure)
                && most * 1e3 < rtt_ms
            {
                faults.push(format!(
                    "--{measure}: {} ms is shorter than one round trip, {rtt_ms:.3} ms: no probe is answered by then",
                    most * 1e3
                ));
            }
        }
        let fast = limits.iter().any(|limit| !limit.measure.is_cost());
        if minimise.is_cost() && !fast {
            faults.push(format!(
                "--minimise {}: would choose to do nothing: say how fast, like --detect-p99 5s",
                minimise.short()
            ));
        }
        let bounded = limit(Measure::Bytes).is_some() || limit(Measure::Cpu).is_some();
        if !minimise.is_cost() && !bounded {
            faults.push(format!(
                "--minimise {}: would spend everything: say how much, like --max-bytes-per-second 2000",
                minimise.short()
            ));
        }
    }
}

fn between(faults: &mut Vec<String>, flag: &str, value: f64, lowest: f64, highest: f64, why: &str) {
    if !(lowest..=highest).contains(&value) {
        faults.push(format!("{flag}: has to be between {lowest} and {highest}, and is {value}: {why}"));
    }
}
