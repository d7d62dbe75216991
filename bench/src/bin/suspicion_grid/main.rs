//! SWIM, Lifeguard at memberlist's constants and adaptive suspicion over a grid of troubles, with paired seeds.
//!
//! ```text
//! cargo run --release -p swimring-bench --bin suspicion-grid -- --members 50,100 --seeds 5 --out grid
//! ```
//!
//! writes `grid.csv` with a line per trial as soon as that has run, and at the end `grid.json` and `grid.md`.
//! Called again with the same `--out` it runs what is missing: more seeds, sizes, classes.
#![forbid(unsafe_code)]

mod cells;
mod contender;
mod results;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use cells::{Cell, Class, Extent};
use contender::Contender;
use results::Line;
use swimring::protocol::settings::Dissemination;

/// SWIM, Lifeguard and adaptive suspicion over a grid of troubles.
#[derive(Parser)]
#[command(name = "suspicion-grid", max_term_width = 100)]
struct Cli {
    /// Sizes of the clusters
    #[arg(long, value_delimiter = ',', default_value = "100", value_parser = clap::value_parser!(u32).range(4..=1_000_000))]
    members: Vec<u32>,

    /// Trials of each contender in each cell
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,

    /// The first trial's seed; the others have the next ones
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=1 << 48))]
    first_seed: u64,

    /// Parts of the grid to run
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Class::Crash, Class::Slow, Class::Loss])]
    classes: Vec<Class>,

    /// Extent of the grid of slow members
    #[arg(long, value_enum, default_value_t = Extent::Full)]
    extent: Extent,

    /// Measured seconds of a trial
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Contenders that take part
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Contender::ALL)]
    contenders: Vec<Contender>,

    /// How the members tell each other: delegated or gossip
    #[arg(long, default_value = "delegated")]
    dissemination: Dissemination,

    /// Settings that differ from the contenders', of every contender: NAME=VALUE, as in files
    #[arg(long = "set", value_name = "NAME=VALUE", value_delimiter = ',')]
    set: Vec<String>,

    /// Trials at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=256))]
    threads: u64,

    /// The files: this with .csv, .json and .md
    #[arg(long, value_name = "PREFIX", default_value = "suspicion-grid")]
    out: PathBuf,
}

/// One trial that is to run.
#[derive(Clone, Copy)]
struct Task {
    cell: Cell,
    contender: Contender,
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("suspicion-grid: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let mut cells = Vec::new();
    for &members in &cli.members {
        for &class in &cli.classes {
            cells.extend(Cell::of(class, cli.extent, members));
        }
    }
    let csv = cli.out.with_extension("csv");
    let done = results::done(&results::read(&csv)?);
    let mut tasks = Vec::new();
    for seed in cli.first_seed..cli.first_seed + cli.seeds {
        for &cell in &cells {
            for &contender in &cli.contenders {
                if !done.contains(&(cell.name(), contender.name().to_owned(), seed)) {
                    tasks.push(Task { cell, contender, seed });
                }
            }
        }
    }
    run_all(cli, &tasks, &csv)?;
    let lines = results::read(&csv)?;
    let results = summary::by_cell(&cells, &lines);
    let page = summary::page(&results);
    let cells: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
    let json = serde_json::to_string_pretty(&cells).map_err(|error| error.to_string())?;
    write(&cli.out.with_extension("json"), &json)?;
    write(&cli.out.with_extension("md"), &page)?;
    println!("{page}");
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Runs `tasks` on so many threads as asked, and appends what each measured to the file at `csv`.
#[expect(clippy::disallowed_methods, reason = "real time only tells whoever watches how far it is")]
fn run_all(cli: &Cli, tasks: &[Task], csv: &Path) -> Result<(), String> {
    let writer = Mutex::new(results::appender(csv)?);
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let began = Instant::now();
    let work = || {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = run_task(cli, *task, &writer);
            if let Err(error) = outcome {
                next.store(tasks.len(), Ordering::Relaxed);
                *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..cli.threads {
            scope.spawn(work);
        }
        while next.load(Ordering::Relaxed) < tasks.len() {
            std::thread::sleep(Duration::from_millis(500));
            let begun = next.load(Ordering::Relaxed).min(tasks.len());
            eprint!("\r{begun} of {} trials, {:.0} s ", tasks.len(), began.elapsed().as_secs_f64());
        }
    });
    eprintln!();
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn run_task(cli: &Cli, task: Task, writer: &Mutex<csv::Writer<std::fs::File>>) -> Result<(), String> {
    let Task { cell, contender, seed } = task;
    let mut settings = contender.settings(cli.dissemination);
    for set in &cli.set {
        let (name, value) = set.split_once('=').ok_or_else(|| format!("--set {set}: give NAME=VALUE"))?;
        settings.set(name, value).map_err(|error| error.to_string())?;
    }
    let options = cell.options(settings, seed, Duration::from_secs(cli.seconds));
    let outcome = swimring_simulation::experiment::run(&options)
        .map_err(|error| format!("{}: {error}", cell.name()))?;
    let mut writer = writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    writer.serialize(Line::new(cell, contender, &outcome)).map_err(|error| error.to_string())?;
    writer.flush().map_err(|error| error.to_string())
}
