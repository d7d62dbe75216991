//! What is simulated, the same for both sides, and what came of it.

use serde::{Deserialize, Serialize};

/// A simulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// foca 2.0 in an equal loop.
    Foca,
    /// A trial of ours.
    Swimring,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Foca => "foca 2.0",
            Side::Swimring => "swimring",
        }
    }
}

/// Simulated seconds.
pub const DURATION_S: u64 = 60;
/// When a member of foca's vanishes; ours plans its own crash at a random time of the first 40 s.
pub const CRASH_S: u64 = 20;
/// One way, in microseconds.
pub const LATENCY_US: u64 = 1_000;

/// One run of one side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub side: Side,
    pub members: u32,
    pub seed: u64,
    pub simulated_s: f64,
    /// Real time of the loop, without setting up.
    pub wall_s: f64,
    /// Processor time of the loop, on our side with setting up.
    pub cpu_s: f64,
    pub happenings: u64,
    pub datagrams: u64,
    pub bytes: u64,
    /// From the crash to the first member that holds it dead.
    pub first_s: Option<f64>,
    /// To the last.
    pub all_s: Option<f64>,
    /// Growth of the process from before setting up to the end, in bytes.
    pub memory_bytes: Option<u64>,
}

impl Run {
    pub fn node_seconds_per_second(&self) -> f64 {
        self.simulated_s * f64::from(self.members) / self.wall_s.max(1e-9)
    }

    /// The same per second of processor time, which other programs on the machine disturb less.
    pub fn node_seconds_per_cpu_second(&self) -> f64 {
        self.simulated_s * f64::from(self.members) / self.cpu_s.max(1e-9)
    }

    pub fn happenings_per_second(&self) -> f64 {
        self.happenings as f64 / self.wall_s.max(1e-9)
    }
}
