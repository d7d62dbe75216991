//! The grid: sizes times what is wrong.
//!
//! Crashes under loss measure how fast a contender is. Lifeguard's slow members (its section V.F: some
//! members blocked for a while and open for a while, in turn) and Rapid's loss patterns (its section 7:
//! one percent of the members lose most of what they receive or send, or are cut off in one direction
//! and back every 20 s) measure how often it is wrong.

use std::time::Duration;

use clap::ValueEnum;
use swimring_simulation::Slowness;
use swimring_simulation::experiment::{Affected, CrashKind, Cycle, Impairment, ImpairmentKind, TrialOptions};

use swimring::protocol::Settings;

/// What a cell is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Class {
    /// Members that crash, at some loss.
    Crash,
    /// Members that crash with their whole hosts, at 1 % loss.
    HostCrash,
    /// Lifeguard's slow members.
    Slow,
    /// Rapid's loss patterns, and loss everywhere.
    Loss,
}

/// How much of the grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Extent {
    /// Every value.
    Full,
    /// The corners and the middle: for large clusters.
    Coarse,
}

/// What is wrong in a cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum FaultKind {
    Crash { loss: f64 },
    HostCrash { loss: f64 },
    Slow { slowness: Slowness, percent: u32, blocked_ms: u64, open_ms: u64 },
    Loss { loss: f64 },
    LossIn,
    LossOut,
    CutIn,
    CutOut,
    CutBoth,
}

/// One cell of the grid.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cell {
    pub members: u32,
    pub trouble: FaultKind,
}

/// Share of the members that Rapid's patterns befall, what they lose, and how long a cut lasts.
const RAPID_SHARE: f64 = 0.01;
const RAPID_LOSS: f64 = 0.8;
const RAPID_PERIOD: Duration = Duration::from_secs(20);

impl Cell {
    /// The cells of `class` at `members`.
    pub fn of(class: Class, extent: Extent, members: u32) -> Vec<Cell> {
        let troubles = match class {
            Class::Crash => [0.0, 0.01, 0.05].into_iter().map(|loss| FaultKind::Crash { loss }).collect(),
            Class::HostCrash => vec![FaultKind::HostCrash { loss: 0.01 }],
            Class::Slow => slow(extent),
            Class::Loss => {
                let patterns = [
                    FaultKind::LossIn,
                    FaultKind::LossOut,
                    FaultKind::CutIn,
                    FaultKind::CutOut,
                    FaultKind::CutBoth,
                ];
                let uniform = [0.01, 0.05, 0.1, 0.2, 0.3].map(|loss| FaultKind::Loss { loss });
                patterns.into_iter().chain(uniform).collect::<Vec<_>>()
            }
        };
        troubles.into_iter().map(|trouble| Cell { members, trouble }).collect()
    }

    pub fn class(self) -> Class {
        match self.trouble {
            FaultKind::Crash { .. } => Class::Crash,
            FaultKind::HostCrash { .. } => Class::HostCrash,
            FaultKind::Slow { .. } => Class::Slow,
            _ => Class::Loss,
        }
    }

    /// A name that tells cells apart.
    pub fn name(self) -> String {
        let members = self.members;
        match self.trouble {
            FaultKind::Crash { loss } => format!("{members}/crash/loss {}", percent(loss)),
            FaultKind::HostCrash { loss } => format!("{members}/host crash/loss {}", percent(loss)),
            FaultKind::Slow { slowness, percent, blocked_ms, open_ms } => {
                let slowness = slowness_name(slowness);
                format!("{members}/slow/{slowness} {percent} % blocked {blocked_ms} ms open {open_ms} ms")
            }
            FaultKind::Loss { loss } => format!("{members}/loss/everywhere {}", percent(loss)),
            FaultKind::LossIn => format!("{members}/loss/1 % of members lose 80 % in"),
            FaultKind::LossOut => format!("{members}/loss/1 % of members lose 80 % out"),
            FaultKind::CutIn => format!("{members}/loss/1 % of members cut off in 20 s of 40"),
            FaultKind::CutOut => format!("{members}/loss/1 % of members cut off out 20 s of 40"),
            FaultKind::CutBoth => format!("{members}/loss/1 % of members cut off 20 s of 40"),
        }
    }

    /// Row of the summary that it is part of.
    pub fn row(self) -> String {
        match self.trouble {
            FaultKind::Slow { slowness, .. } => format!("slow: {}", slowness_name(slowness)),
            FaultKind::Crash { loss } => format!("crash, loss {}", percent(loss)),
            FaultKind::HostCrash { loss } => format!("host crash, loss {}", percent(loss)),
            FaultKind::Loss { loss } => format!("loss {}", percent(loss)),
            FaultKind::LossIn => "1 %: 80 % loss in".to_owned(),
            FaultKind::LossOut => "1 %: 80 % loss out".to_owned(),
            FaultKind::CutIn => "1 %: cut in, 20 s".to_owned(),
            FaultKind::CutOut => "1 %: cut out, 20 s".to_owned(),
            FaultKind::CutBoth => "1 %: cut both, 20 s".to_owned(),
        }
    }

    /// The trial of this cell; the same `seed` deals every contender the same hand.
    pub fn options(self, settings: Settings, seed: u64, duration: Duration) -> TrialOptions {
        let mut options = TrialOptions { settings, duration, ..TrialOptions::new(seed, self.members) };
        let rapid =
            |kind, cycle| Impairment { members: Affected::Count(self.share(RAPID_SHARE)), kind, cycle };
        let flips = Some(Cycle { on_for: RAPID_PERIOD, off_for: RAPID_PERIOD });
        match self.trouble {
            FaultKind::Crash { loss } | FaultKind::HostCrash { loss } => {
                if matches!(self.trouble, FaultKind::HostCrash { .. }) {
                    options.crash_kind = CrashKind::Host;
                }
                options.loss = loss;
                options.crashes = (self.members / 50).clamp(1, 10);
            }
            FaultKind::Slow { slowness, percent, blocked_ms, open_ms } => {
                let cycle = Cycle {
                    on_for: Duration::from_millis(blocked_ms),
                    off_for: Duration::from_millis(open_ms),
                };
                let members = Affected::Count(self.share(f64::from(percent) / 100.0));
                let kind = ImpairmentKind::Slow(slowness);
                options.impaired = vec![Impairment { members, kind, cycle: Some(cycle) }];
            }
            FaultKind::Loss { loss } => options.loss = loss,
            FaultKind::LossIn => options.impaired = vec![rapid(ImpairmentKind::LossIn(RAPID_LOSS), None)],
            FaultKind::LossOut => options.impaired = vec![rapid(ImpairmentKind::LossOut(RAPID_LOSS), None)],
            FaultKind::CutIn => options.impaired = vec![rapid(ImpairmentKind::LossIn(1.0), flips)],
            FaultKind::CutOut => options.impaired = vec![rapid(ImpairmentKind::LossOut(1.0), flips)],
            FaultKind::CutBoth => {
                let cut = [ImpairmentKind::LossIn(1.0), ImpairmentKind::LossOut(1.0)];
                options.impaired = cut.map(|kind| rapid(kind, flips)).to_vec();
            }
        }
        options
    }

    /// At least one member.
    fn share(self, share: f64) -> u32 {
        ((f64::from(self.members) * share).round() as u32).max(1)
    }
}

fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}

fn slowness_name(slowness: Slowness) -> &'static str {
    match slowness {
        Slowness::Everything => "everything",
        Slowness::TimersFirst => "timers first",
        Slowness::Reading => "reading",
    }
}

/// Lifeguard's table of blocked and open durations, thinned to factors of four, and its numbers of members.
fn slow(extent: Extent) -> Vec<FaultKind> {
    let (percents, blocked, open): (&[u32], &[u64], &[u64]) = match extent {
        Extent::Full => {
            (&[1, 4, 8, 16, 32], &[128, 512, 2048, 8192, 32_768], &[1, 16, 64, 256, 1024, 4096, 16_384])
        }
        Extent::Coarse => (&[4, 32], &[512, 2048, 8192, 32_768], &[1, 256, 4096]),
    };
    let mut troubles = Vec::new();
    for slowness in [Slowness::Everything, Slowness::TimersFirst, Slowness::Reading] {
        for &percent in percents {
            for &blocked_ms in blocked {
                for &open_ms in open {
                    troubles.push(FaultKind::Slow { slowness, percent, blocked_ms, open_ms });
                }
            }
        }
    }
    troubles
}
