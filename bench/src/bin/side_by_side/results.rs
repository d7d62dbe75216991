//! What is measured, as it is saved, and the arithmetic of medians and ratios.
#![allow(clippy::disallowed_methods, reason = "a bench reads clocks and waits")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use swimring_tooling::environment::Environment;
use swimring_tooling::quantiles;

/// Everything that one command measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// The arguments it was given.
    pub command: String,
    /// The machine and our commit.
    pub environment: Environment,
    /// Versions of the compilers and of memberlist.
    pub software: Software,
    /// Seconds that it took.
    pub took_s: f64,
    /// Handling.
    pub cases: Vec<Case>,
    /// Clusters.
    pub clusters: Vec<Cluster>,
}

impl Results {
    /// The JSON document, with a line end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("results have only string keys");
        text.push('\n');
        text
    }
}

/// Versions of the compilers and of what is compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Software {
    /// `rustc --version`.
    pub rustc: String,
    /// memberlist's version.
    pub memberlist: String,
    /// Version of the Go that built memberlist.
    pub go: String,
}

const GO_MOD: &str = include_str!("../../../../peers/memberlist/go.mod");

impl Software {
    /// The versions installed here.
    ///
    /// # Errors
    /// If the Go program is not built.
    pub fn here() -> Result<Software, String> {
        let program = swimring_peers::program("memberlist").map_err(|error| error.to_string())?;
        let said = |command: &mut Command| {
            let output = command.output().ok().filter(|output| output.status.success());
            let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
            text.unwrap_or_else(|| "unknown".to_owned())
        };
        let go = said(Command::new("go").arg("version").arg(program));
        let memberlist =
            GO_MOD.lines().find_map(|line| line.trim().strip_prefix("github.com/hashicorp/memberlist "));
        Ok(Software {
            rustc: said(Command::new("rustc").arg("--version")),
            memberlist: memberlist.unwrap_or("unknown").to_owned(),
            go: go.rsplit(' ').next().unwrap_or("unknown").to_owned(),
        })
    }
}

/// One kind of work that both did, in turns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Case {
    /// As the Go program calls it: `handle/plain/1000`.
    pub name: String,
    /// Bytes of a datagram, or of a push/pull's request.
    pub bytes: usize,
    /// memberlist's nanoseconds of processor time per datagram or exchange, by round.
    pub memberlist_ns: Vec<f64>,
    /// Ours.
    pub swimring_ns: Vec<f64>,
}

impl Case {
    /// How many times less processor time we take: the smallest of all rounds, their median, and the largest.
    pub fn ratios(&self) -> [f64; 3] {
        let pairs = self.memberlist_ns.iter().zip(&self.swimring_ns);
        spread(pairs.map(|(theirs, ours)| theirs / ours).collect())
    }
}

/// Whose cluster it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// memberlist as it comes: compression on.
    Memberlist,
    /// memberlist with compression off.
    MemberlistPlain,
    /// Swimring, on memberlist's wire.
    Swimring,
}

impl Whose {
    /// For tables.
    pub fn title(self) -> &'static str {
        match self {
            Whose::Memberlist => "memberlist",
            Whose::MemberlistPlain => "memberlist, compression off",
            Whose::Swimring => "Swimring",
        }
    }
}

/// Measurements of one cluster. What could not be measured is `null`, and the remarks say why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Whose.
    pub whose: Whose,
    /// Number of members.
    pub members: usize,
    /// Seconds from the first join until all views were complete.
    pub bootstrap_s: Option<f64>,
    /// Processor time while nothing happens, microseconds per member and second.
    pub idle_us_per_member_second: Option<f64>,
    /// Events that were sent.
    pub events: usize,
    /// Share of the expected deliveries that happened.
    pub delivered_ratio: Option<f64>,
    /// From sending to a delivery, milliseconds, median.
    pub spread_ms_p50: Option<f64>,
    /// The longest.
    pub spread_ms_max: Option<f64>,
    /// Processor time above idling, per event and member, microseconds.
    pub us_per_event_per_member: Option<f64>,
    /// Members that were killed.
    pub kills: usize,
    /// Number of these that everyone knew of in the end.
    pub kills_detected: Option<usize>,
    /// From a kill until the first member declares it, seconds, median.
    pub first_detection_s: Option<f64>,
    /// Until the last one has, the longest.
    pub last_detection_s: Option<f64>,
    /// Resident memory of the process.
    pub resident_bytes: Option<u64>,
    /// Times that a member declared a live one dead.
    pub false_deaths: Option<u64>,
    /// Remarks for the page.
    pub remarks: Vec<String>,
}

impl Cluster {
    /// Nothing measured yet.
    pub fn new(whose: Whose, members: usize) -> Cluster {
        Cluster {
            whose,
            members,
            bootstrap_s: None,
            idle_us_per_member_second: None,
            events: 0,
            delivered_ratio: None,
            spread_ms_p50: None,
            spread_ms_max: None,
            us_per_event_per_member: None,
            kills: 0,
            kills_detected: None,
            first_detection_s: None,
            last_detection_s: None,
            resident_bytes: None,
            false_deaths: None,
            remarks: Vec::new(),
        }
    }

    /// Resident bytes per member and member known.
    pub fn bytes_per_pair(&self) -> Option<f64> {
        Some(self.resident_bytes? as f64 / (self.members * self.members) as f64)
    }
}

/// The smallest, the median and the largest. Not a number for nothing.
pub fn spread(values: Vec<f64>) -> [f64; 3] {
    let values = quantiles::sorted(values);
    let all = [values.first().copied(), quantiles::median(&values), values.last().copied()];
    all.map(|value| value.unwrap_or(f64::NAN))
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    spread(values.to_vec())[1]
}

/// The time by the wall.
pub fn now() -> Instant {
    Instant::now()
}

/// Lets others run for so long.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_both_ends_and_the_median() {
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 10.0]), [1.0, 3.0, 10.0]);
        assert_eq!(spread(vec![5.0, 1.0, 2.0]), [1.0, 2.0, 5.0]);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_those_of_rounds_not_of_medians() {
        let case = Case {
            memberlist_ns: vec![100.0, 300.0, 200.0],
            swimring_ns: vec![10.0, 10.0, 10.0],
            ..Case::default()
        };
        assert_eq!(case.ratios(), [10.0, 20.0, 30.0]);
    }

    #[test]
    fn the_pinned_version_of_memberlist_is_found() {
        let line = GO_MOD.lines().find(|line| line.contains("hashicorp/memberlist v"));
        assert!(line.is_some_and(|line| line.trim().starts_with("github.com/hashicorp/memberlist v")));
    }
}
