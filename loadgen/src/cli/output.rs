//! Where the results of a measuring command go: the flags that `run` and `attach` share.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use swimring_tooling::values;

use crate::slo::Slo;

/// The flags for results and progress.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// Write the report to FILE as JSON; - writes it to standard output instead of the text
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write one HdrHistogram per second and measurement to FILE (a V2 interval log)
    #[arg(long, value_name = "FILE")]
    pub hlog: Option<PathBuf>,

    /// Require a measurement, like 'probe_rtt_us.p99<5000'; a miss exits with 99. Repeatable
    #[arg(long, value_name = "EXPRESSION", value_parser = Slo::parse)]
    pub slo: Vec<Slo>,

    /// No progress line
    #[arg(long, short)]
    pub quiet: bool,

    /// Serve Prometheus metrics here while running, like 127.0.0.1:9100
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = values::socket)]
    pub metrics: Option<SocketAddr>,
}
