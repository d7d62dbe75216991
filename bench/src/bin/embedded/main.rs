//! What one embedded member costs that knows many others, beside foca and memberlist: memory for each member known, and
//! processor time for what it is told.
//!
//! ```text
//! embedded                                   all sides, 10,000 and 100,000 known, three rounds; a table, medians
//! embedded --rounds 5 --json costs.json      the same, and every run as JSON
//! embedded one swimring 100000               a single run, as JSON
//! embedded live 100000                       a real member beside a fleet of so many, over loopback, as JSON
//! ```
//!
//! Every run is a process of its own, and the sides take turns. Names are like `node-0123456`, addresses IPv4, and there
//! is no metadata. memberlist is measured if `peers/build memberlist` has built it.
#![forbid(unsafe_code)]

mod case;
mod foca_peer;
mod live;
mod ours;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use case::{Cost, Side};
use clap::{Parser, Subcommand};
use swimring_loadgen::allocations::CountingAllocator;
use swimring_tooling::quantiles;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What one embedded member costs that knows many others, beside foca and memberlist.
#[derive(Parser)]
#[command(name = "embedded", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Single>,

    /// Runs of each case
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,

    /// How many others are known
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_values_t = [10_000, 100_000])]
    known: Vec<usize>,

    /// Who is measured
    #[arg(long, value_name = "SIDES", value_delimiter = ',', default_values_t = Side::ALL, value_enum)]
    sides: Vec<Side>,

    /// Writes every run here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Single {
    /// A single run, as JSON
    One {
        /// Who is measured
        side: Side,
        /// How many others are known
        known: usize,
    },
    /// A real member beside a fleet of real members in this process, over loopback, as JSON
    Live {
        /// How many members the fleet has
        known: usize,
        /// For how long it is measured
        #[arg(default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        seconds: u64,
    },
    /// The member that `live` measures
    #[command(hide = true)]
    LiveMember { seed: SocketAddr, known: usize, seconds: u64 },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Single::One { side, known }) => one(side, known),
        Some(Single::Live { known, seconds }) => live::measure(known, seconds).and_then(|cost| print(&cost)),
        Some(Single::LiveMember { seed, known, seconds }) => {
            live::member(seed, known, seconds).and_then(|cost| print(&cost))
        }
        None => all(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embedded: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one(side: Side, known: usize) -> Result<(), Box<dyn Error>> {
    let cost = match side {
        Side::Swimring => ours::measure(known)?,
        Side::Foca => foca_peer::measure(known)?,
        Side::Memberlist => memberlist(known)?,
    };
    print(&cost)
}

fn print(cost: &impl serde::Serialize) -> Result<(), Box<dyn Error>> {
    println!("{}", serde_json::to_string(cost)?);
    Ok(())
}

/// Where `peers/build` puts the program that measures memberlist.
fn memberlist_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/bin/memberlist-peer")
}

fn memberlist(known: usize) -> Result<Cost, Box<dyn Error>> {
    let mut command = Command::new(memberlist_program());
    run(command.args(["bench", "-known"]).arg(known.to_string()))
}

fn run(command: &mut Command) -> Result<Cost, Box<dyn Error>> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn all(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let mut sides = cli.sides.clone();
    if !memberlist_program().exists() && sides.contains(&Side::Memberlist) {
        eprintln!("embedded: memberlist is left out: peers/build memberlist builds it");
        sides.retain(|side| *side != Side::Memberlist);
    }
    let cases: Vec<(usize, Side)> =
        cli.known.iter().flat_map(|known| sides.iter().map(|side| (*known, *side))).collect();
    let mut costs: Vec<(Side, Cost)> = Vec::new();
    for round in 1..=cli.rounds {
        for (known, side) in &cases {
            eprintln!("round {round} of {}: {}, {known} known", cli.rounds, side.name());
            let mut command = Command::new(std::env::current_exe()?);
            let side_name = serde_json::to_value(side)?;
            command.arg("one").arg(side_name.as_str().unwrap_or_default()).arg(known.to_string());
            costs.push((*side, run(&mut command)?));
        }
    }
    if let Some(path) = &cli.json {
        std::fs::write(path, serde_json::to_string_pretty(&costs)? + "\n")?;
    }
    print!("{}", table(&cases, &costs));
    Ok(())
}

/// A column of the table: what it is called, and where its values come from.
type Column = (&'static str, fn(&Cost) -> Option<f64>);

const COLUMNS: [Column; 9] = [
    ("heap bytes each", |cost| Some(cost.heap_bytes_each())),
    ("while learning", |cost| Some(cost.heap_bytes_learning? as f64 / cost.known as f64)),
    ("resident bytes each", |cost| Some(cost.resident_bytes as f64 / cost.known as f64)),
    ("learned in, ms", |cost| Some(cost.learned_ms)),
    ("idle, us/s", |cost| cost.idle_us),
    ("alive, ns", |cost| Some(cost.alive_ns)),
    ("suspected or refuted, ns", |cost| cost.suspected_ns),
    ("died or back, ns", |cost| cost.died_ns),
    ("user event, ns", |cost| cost.event_ns),
];

/// The medians, as a table in Markdown.
fn table(cases: &[(usize, Side)], costs: &[(Side, Cost)]) -> String {
    let heads: Vec<&str> = COLUMNS.iter().map(|(head, _)| *head).collect();
    let mut text =
        format!("| known | side | {} |\n|---|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for (known, side) in cases {
        let of_case = costs.iter().filter(|(who, cost)| who == side && cost.known == *known);
        let of_case: Vec<&Cost> = of_case.map(|(_, cost)| cost).collect();
        let cell = |(_, value): &Column| {
            let values = quantiles::sorted(of_case.iter().filter_map(|cost| value(cost)));
            quantiles::median(&values).map_or("-".to_owned(), |median| format!("{median:.1}"))
        };
        let cells: Vec<String> = COLUMNS.iter().map(cell).collect();
        text += &format!("| {known} | {} | {} |\n", side.name(), cells.join(" | "));
    }
    text
}
