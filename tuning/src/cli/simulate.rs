//! `swimring-tune simulate`: a cluster in virtual time, with many seeds, over a grid of settings.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use swimring_loadgen::cli::protocol::ProtocolSettings;
use swimring_loadgen::exit::Exit;
use swimring::settings_file::read_bounded;
use swimring_loadgen::text::counted;

use super::Faults;
use crate::store::Store;
use crate::sweep::progress::Watch;
use crate::sweep::{Digest, Job, Point, Scenario, Stop, Summary, Sweep, grid, run_all, table};

/// Shown under the flags.
pub const EXAMPLES: &str = "\
Examples:
  swimring-tune simulate --members 1000 --crashes 20 --loss 1%
  swimring-tune simulate --members 5000 --sweep gossip_interval_ms=50,100,200 --sweep gossip_fanout=2,3,4
  swimring-tune simulate --scenario lossy.toml --seeds 20 --resume lossy.runs --csv lossy.csv
  swimring-tune simulate --impaired slow:10%:5s/1s --set members_max=5000

A scenario file has the flags' names with underscores, and [sweep] with a list for each name. Ctrl-C ends
with what is there; with --resume, the same command goes on from there.";

/// Seeds at most.
const SEEDS_MAX: u32 = 100_000;
/// The longest scenario file read.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The flags of `simulate`, as typed.
#[derive(Args, Clone, Debug)]
pub struct SimulateArguments {
    /// Read the scenario from FILE (TOML, the names below with underscores); flags win
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// Members [default: 1000]
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub members: Option<String>,

    /// Members that crash in the first two thirds of the time [default: 10]
    #[arg(long, value_name = "COUNT")]
    pub crashes: Option<String>,

    /// User events in the whole cluster: 1/s, 10/m, 0 for none [default: 1/s]
    #[arg(long, value_name = "RATE")]
    pub events: Option<String>,

    /// Payload of one user event [default: 32]
    #[arg(long, value_name = "BYTES")]
    pub event_bytes: Option<String>,

    /// How long to measure, in simulated time [default: 60s]
    #[arg(long, short = 'd', value_name = "TIME")]
    pub duration: Option<String>,

    /// How long to run before measuring [default: 5s]
    #[arg(long, value_name = "TIME")]
    pub warm_up: Option<String>,

    /// Whose message sizes: native or memberlist [default: native]
    #[arg(long, value_name = "WIRE")]
    pub wire: Option<String>,

    /// When members may act: exact, or the tick of a driver like 1ms [default: exact]
    #[arg(long, value_name = "TICK")]
    pub wakes: Option<String>,

    /// Share of all datagrams lost: 1% [default: 0%]
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    pub loss: Option<String>,

    /// Median round trip in milliseconds [default: 1]
    #[arg(long, value_name = "MS", help_heading = "Network", allow_hyphen_values = true)]
    pub rtt_ms: Option<String>,

    /// Standard deviation of the round trips' logarithm [default: 0.3]
    #[arg(long, value_name = "SIGMA", help_heading = "Network", allow_hyphen_values = true)]
    pub rtt_sigma: Option<String>,

    /// Latencies from a map of regions: builtin, or a TOML file
    #[arg(long, value_name = "MAP", help_heading = "Network")]
    pub regions: Option<String>,

    /// Share of members that stop for 2 s again and again [default: 0%]
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    pub slow_share: Option<String>,

    /// Trouble of some members, KIND:MEMBERS[:ON/OFF] with the kinds slow, slow-timers-first, slow-reading,
    /// loss-in=SHARE, loss-out=SHARE, delay=TIME. Repeatable
    #[arg(long, value_name = "TROUBLE", help_heading = "Network")]
    pub impaired: Vec<String>,

    /// Protocol constants to start from: lan, wan or local [default: lan]
    #[arg(long, value_name = "PRESET", help_heading = "Protocol settings [lan / wan / local]")]
    pub preset: Option<String>,

    /// Overrides of single protocol settings.
    #[command(flatten)]
    pub protocol: ProtocolSettings,

    /// Any other protocol setting, NAME=VALUE. Repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Protocol settings [lan / wan / local]")]
    pub set: Vec<String>,

    /// Values to go through, NAME=VALUE,VALUE; several make every combination. Repeatable
    #[arg(long, value_name = "NAME=VALUES", value_parser = Sweep::parse, help_heading = "Runs")]
    pub sweep: Vec<Sweep>,

    /// Runs of each point, with consecutive seeds
    #[arg(long, value_name = "COUNT", default_value_t = 5, help_heading = "Runs")]
    pub seeds: u32,

    /// The first seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1, help_heading = "Runs")]
    pub seed: u64,

    /// Threads [default: one per core]
    #[arg(long, value_name = "COUNT", help_heading = "Runs")]
    pub threads: Option<usize>,

    /// Keep finished runs in FILE, and take from it what it has
    #[arg(long, value_name = "FILE", help_heading = "Runs")]
    pub resume: Option<PathBuf>,

    /// Write a line per point to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// Write everything to FILE as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// No progress bar
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
}

/// What is to be simulated, checked.
#[derive(Debug)]
pub struct SimulateOptions {
    scenario: Scenario,
    sweeps: Vec<Sweep>,
    points: Vec<(Point, Scenario)>,
    seeds: Vec<u64>,
    threads: usize,
}

impl SimulateArguments {
    /// Checks everything.
    ///
    /// # Errors
    /// One line per fault.
    pub fn check(&self) -> Result<SimulateOptions, Vec<String>> {
        if !(1..=SEEDS_MAX).contains(&self.seeds) {
            return Err(vec![format!("--seeds: has to be between 1 and {SEEDS_MAX}, and is {}", self.seeds)]);
        }
        let threads = threads(self.threads).map_err(|fault| vec![fault])?;
        let (scenario, sweeps) = self.assemble().map_err(|fault| vec![fault])?;
        let points = grid(&sweeps).map_err(|fault| vec![fault])?;
        let points: Vec<(Point, Scenario)> = points
            .into_iter()
            .map(|point| point.of(&scenario).map(|scenario| (point, scenario)))
            .collect::<Result<_, _>>()
            .map_err(|fault| vec![fault])?;
        let seeds = (0..u64::from(self.seeds)).map(|index| self.seed.wrapping_add(index)).collect();
        Ok(SimulateOptions { scenario, sweeps, points, seeds, threads })
    }

    /// The scenario and the sweeps of file and flags together.
    fn assemble(&self) -> Result<(Scenario, Vec<Sweep>), String> {
        let (mut said, mut sweeps) = match &self.scenario {
            Some(path) => read_file(path)?,
            None => Default::default(),
        };
        said.extend(self.said()?);
        for sweep in &self.sweep {
            sweeps.retain(|other| other.name != sweep.name);
            sweeps.push(sweep.clone());
        }
        let mut scenario = Scenario::default();
        // A preset replaces all settings, so it goes first wherever it was said; of several the last wins.
        let preset = said.iter().rev().find(|(name, _)| name == "preset").cloned();
        for (name, value) in preset.iter().chain(said.iter().filter(|(name, _)| name != "preset")) {
            scenario.set(name, value)?;
        }
        Ok((scenario, sweeps))
    }

    /// What the flags say, by name.
    fn said(&self) -> Result<Vec<(String, String)>, String> {
        let named = [
            ("preset", &self.preset),
            ("members", &self.members),
            ("crashes", &self.crashes),
            ("events", &self.events),
            ("event_bytes", &self.event_bytes),
            ("duration", &self.duration),
            ("warm_up", &self.warm_up),
            ("wire", &self.wire),
            ("wakes", &self.wakes),
            ("loss", &self.loss),
            ("rtt_ms", &self.rtt_ms),
            ("rtt_sigma", &self.rtt_sigma),
            ("regions", &self.regions),
            ("slow_share", &self.slow_share),
        ];
        let mut said: Vec<(String, String)> =
            named.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value).clone()?))).collect();
        said.extend(self.impaired.iter().map(|text| ("impaired".to_owned(), text.clone())));
        for (name, value) in self.protocol.given() {
            if name == "stream_timeout_ms" {
                return Err(
                    "--stream-timeout-ms: streams are instant in a simulation: leave it out".to_owned()
                );
            }
            // Without the quotes that JSON has around names.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            said.push((name, text));
        }
        for text in &self.set {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| format!("--set {text}: write it like members_max=5000"))?;
            said.push((name.trim().replace('-', "_"), value.trim().to_owned()));
        }
        Ok(said)
    }
}

/// The threads to use.
pub(super) fn threads(wanted: Option<usize>) -> Result<usize, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match wanted {
        None => Ok(cores),
        Some(threads) if (1..=1024).contains(&threads) => Ok(threads),
        Some(threads) => Err(format!("--threads: has to be between 1 and 1024, and is {threads}")),
    }
}

type Said = Vec<(String, String)>;

/// Reads a scenario file: what it says, and its sweeps.
fn read_file(path: &Path) -> Result<(Said, Vec<Sweep>), String> {
    let named = |fault: String| format!("--scenario {}: {fault}", path.display());
    let text = read_bounded(path, FILE_MAX_BYTES, "scenario").map_err(named)?;
    parse_file(&text).map_err(named)
}

fn parse_file(text: &str) -> Result<(Said, Vec<Sweep>), String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| swimring::toml_fault(text, &error))?;
    let (mut said, mut sweeps) = (Vec::new(), Vec::new());
    for (name, value) in table {
        match value {
            toml::Value::Table(swept) if name == "sweep" => {
                for (name, values) in swept {
                    let values = plain_list(&name, &values)?;
                    sweeps.push(Sweep::parse(&format!("{name}={}", values.join(",")))?);
                }
            }
            toml::Value::Array(_) => {
                said.extend(plain_list(&name, &value)?.into_iter().map(|value| (name.clone(), value)));
            }
            value => said.push((name.clone(), plain(&name, &value)?)),
        }
    }
    Ok((said, sweeps))
}

fn plain_list(name: &str, value: &toml::Value) -> Result<Vec<String>, String> {
    let list = value.as_array().ok_or_else(|| format!("{name}: write a list, like [50, 100, 200]"))?;
    list.iter().map(|value| plain(name, value)).collect()
}

fn plain(name: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        other => Err(format!("{name}: {} is no value for it", other.type_str())),
    }
}

impl SimulateOptions {
    /// What makes runs comparable: the scenario and what is swept over. Seeds may be added later.
    fn identity(&self) -> Value {
        let sweeps: Vec<Value> =
            self.sweeps.iter().map(|sweep| json!({ "name": sweep.name, "values": sweep.values })).collect();
        json!({ "base": self.scenario.to_value(), "sweeps": sweeps })
    }
}

/// Does what was asked.
///
/// # Errors
/// Arguments that cannot be used, and files that cannot be written.
pub fn command(arguments: &SimulateArguments) -> Result<Exit, Faults> {
    let options = arguments.check().map_err(Faults::BadArguments)?;
    let stop = Stop::on_signals().map_err(Faults::CouldNotRun)?;
    let identity = options.identity();
    let mut store = match &arguments.resume {
        Some(path) => Some(Store::open(path, &identity).map_err(|fault| Faults::BadArguments(vec![fault]))?),
        None => None,
    };
    let results = simulate(&options, store.as_mut(), &stop, arguments.quiet).map_err(Faults::CouldNotRun)?;
    let finished: usize = results.iter().map(Vec::len).sum();
    let complete = finished == options.points.len() * options.seeds.len();
    let summaries: Vec<(Point, Summary)> = options
        .points
        .iter()
        .zip(&results)
        .filter(|(_, runs)| !runs.is_empty())
        .map(|((point, _), runs)| (point.clone(), Summary::of(runs)))
        .collect();
    for line in table::lines(&summaries) {
        println!("{line}");
    }
    println!("\nIn brackets: 95 % confidence intervals; ? where there is too little data for an end.");
    if !complete {
        println!(
            "Ended early: {} of {} are finished.",
            finished,
            counted((options.points.len() * options.seeds.len()) as u64, "run")
        );
    }
    if let Some(path) = &arguments.csv {
        let text = table::csv(&summaries).map_err(Faults::CouldNotRun)?;
        table::write("--csv", path, &text).map_err(Faults::CouldNotRun)?;
    }
    if let Some(path) = &arguments.json {
        let value = table::json(&identity, &options.seeds, complete, &summaries);
        table::write("--json", path, &format!("{value:#}\n")).map_err(Faults::CouldNotRun)?;
    }
    Ok(Exit::Done)
}

/// The finished runs of each point, in order of seed.
fn simulate(
    options: &SimulateOptions,
    mut store: Option<&mut Store>,
    stop: &Stop,
    quiet: bool,
) -> Result<Vec<Vec<Digest>>, String> {
    let seeds = options.seeds.len();
    let mut found: Vec<Option<Digest>> = vec![None; options.points.len() * seeds];
    let mut jobs = Vec::new();
    for (index, slot) in found.iter_mut().enumerate() {
        let ((point, scenario), seed) = (&options.points[index / seeds], options.seeds[index % seeds]);
        *slot = store.as_ref().and_then(|store| store.get(point, seed).cloned());
        if slot.is_none() {
            jobs.push(Job { index, options: scenario.trial(seed) });
        }
    }
    let watch = Watch::new(jobs.iter().map(|job| &job.options), "simulating", quiet);
    let outcome = run_all(&jobs, options.threads, stop, &watch, |job, digest| {
        let (point, _) = &options.points[job.index / seeds];
        if let Some(store) = store.as_mut() {
            store.put(point, options.seeds[job.index % seeds], &digest)?;
        }
        found[job.index] = Some(digest);
        Ok(())
    });
    watch.finish();
    outcome?;
    let mut found = found.into_iter();
    Ok((0..options.points.len()).map(|_| found.by_ref().take(seeds).flatten().collect()).collect())
}
