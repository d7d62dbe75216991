//! memberlist and Swimring doing the same work on one machine, in one command.
//!
//! ```text
//! side-by-side handle     what a datagram or a push/pull costs its receiver
//! side-by-side cluster    whole clusters: start, idling, events, deaths, memory
//! side-by-side all        both; with --record DIRECTORY the page, the data and the plot for docs/results
//! side-by-side page FILE  the page again, from saved data
//! side-by-side plot FILE  the plot again
//! ```
//!
//! memberlist runs in the Go program of `peers/memberlist`, which `peers/build memberlist` makes. Both sides take
//! turns, so that what disturbs the machine disturbs both; the ratios hold where the times do not.
#![forbid(unsafe_code)]

mod cluster;
mod fleet;
mod handle;
mod page;
mod plot;
mod pool;
mod results;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use results::{Results, Software};
use swimring_tooling::environment::Environment;

/// The first argument with which this program is the load generator: each Swimring cluster is a process of its
/// own, as each of memberlist's is.
const AS_LOADGEN: &str = "as-loadgen";

/// memberlist and Swimring doing the same work, alternating.
#[derive(Parser)]
#[command(name = "side-by-side", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Handling datagrams and push/pulls
    Handle(RunArguments),
    /// Whole clusters on loopback
    Cluster(RunArguments),
    /// Both
    All(RunArguments),
    /// Prints the page of saved results
    Page {
        /// Written by --json or --record
        file: PathBuf,
    },
    /// Draws the clusters of saved results
    Plot {
        /// Written by --json or --record
        file: PathBuf,
        /// Output file, instead of FILE with .svg
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
}

#[derive(Args, Clone)]
struct RunArguments {
    /// How often each side takes its turn at each case of `handle`
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    rounds: usize,

    /// Only cases of `handle` whose names contain this, such as plain/100 or pushpull
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,

    /// Clusters of 50 and 100 members only
    #[arg(long)]
    quick: bool,

    /// Clusters of these sizes only, like 50,200,1000
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    members: Vec<usize>,

    /// Write the results to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the page (README.md), the results and the plot into DIRECTORY
    #[arg(long, value_name = "DIRECTORY")]
    record: Option<PathBuf>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == AS_LOADGEN) {
        return fleet::as_loadgen(arguments);
    }
    let done = match Cli::parse().command {
        Command::Handle(arguments) => measure(&arguments, true, false),
        Command::Cluster(arguments) => measure(&arguments, false, true),
        Command::All(arguments) => measure(&arguments, true, true),
        Command::Page { file } => read(&file).map(|results| print!("{}", page::page(&results, None))),
        Command::Plot { file, svg } => {
            let svg = svg.unwrap_or_else(|| file.with_extension("svg"));
            read(&file).and_then(|results| plot::draw(&results.clusters, &svg))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("side-by-side: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the measurements that are asked for and writes them down.
fn measure(arguments: &RunArguments, handling: bool, clusters: bool) -> Result<(), String> {
    if arguments.rounds == 0 {
        return Err("--rounds 0: nothing would be measured; give 1 or more".to_owned());
    }
    let mut results = Results {
        command: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
        environment: Environment::here(swimring_tooling::build!()),
        software: Software::here()?,
        ..Results::default()
    };
    let began = results::now();
    if handling {
        results.cases = handle::measure(arguments.rounds, &arguments.case)?;
    }
    if clusters {
        results.clusters = cluster::measure(arguments.quick, &arguments.members)?;
    }
    results.took_s = began.elapsed().as_secs_f64();
    if let Some(file) = &arguments.json {
        write(file, &results.to_json())?;
    }
    match &arguments.record {
        Some(directory) => record(directory, &results),
        None => {
            print!("{}", page::page(&results, None));
            Ok(())
        }
    }
}

/// Name of the plot in the folder of a page.
const PLOT: &str = "clusters.svg";

/// Writes the page, the data and the plot into one folder.
fn record(directory: &Path, results: &Results) -> Result<(), String> {
    std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    write(&directory.join("results.json"), &results.to_json())?;
    let plot = (!results.clusters.is_empty()).then_some(PLOT);
    if let Some(plot) = plot {
        plot::draw(&results.clusters, &directory.join(plot))?;
    }
    let page = page::page(results, plot);
    write(&directory.join("README.md"), &page)?;
    print!("{page}");
    Ok(())
}

fn read(file: &Path) -> Result<Results, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: not of this program: {error}", file.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}
