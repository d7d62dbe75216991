//! `swimring-tune simulate`: a cluster in virtual time, with many seeds, over a grid of settings.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use swimring_loadgen::cli::protocol::{HEADING, ProtocolSettings, STREAM_TIMEOUT};
use swimring_simulation::experiment::WireSizes;
use swimring_tooling::columns;
use swimring_tooling::exit::Exit;
use swimring_tooling::output::{self, print, tell};
use swimring_tooling::refusal::complain;
use swimring_tooling::text::{counted, significant};
use swimring_tooling::values;

use super::said::{Place, Said, Saying, assemble, doubts, read_file, said_by};
use super::{Faults, PROGRAM, to_standard_output};
use crate::store::Store;
use crate::sweep::cost::core_s;
use crate::sweep::progress::Watch;
use crate::sweep::{Digest, Job, Point, Scenario, Stop, Summary, Sweep, grid, run_all, table};

/// Shown under the flags.
pub const EXAMPLES: &str = "\
Examples:
  swimring-tune simulate                               a thousand members, five seeds: seconds
  swimring-tune simulate --members 1000 --crashes 20 --loss 1%
  swimring-tune simulate --members 500 --sweep gossip_interval_ms=50,100,200 --sweep gossip_fanout=2,3,4
  swimring-tune simulate --scenario lossy.toml --seeds 20 --resume lossy.runs --csv lossy.csv
  swimring-tune simulate --impaired slow:10%:5s/1s --set members_max=5000

A scenario file has the flags' names with underscores, and [sweep] with a list for each name. How long it will
take on an idle machine is said before. Ctrl-C ends with what is there; with --resume, the same command goes on
from there.

Exit status: 0 done, or ended early; 1 could not run; 2 bad arguments.";

/// Seeds at most.
const SEEDS_MAX: u32 = 100_000;
/// The flags of `simulate`, as typed.
#[derive(Args, Clone, Debug)]
pub struct SimulateArguments {
    /// Read the scenario from FILE (TOML, the names below with underscores); flags win
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// Members [default: 1000]
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub members: Option<String>,

    /// Members that crash in the first two thirds of the time [default: 10, at most a tenth of the members]
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

    /// Wire format that messages are sized by [default: native]
    #[arg(long, value_name = "WIRE", value_parser = WireSizes::ALL.map(WireSizes::as_str))]
    pub wire: Option<String>,

    /// Protocol that members follow: swimring, or upstream for hashicorp/memberlist's; +ITEM and -ITEM behind it change single
    /// items, listed in docs/SIMULATION.md [default: swimring]
    #[arg(long, value_name = "WHOSE")]
    pub behaviour: Option<String>,

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

    /// Zones that the members are in, in turn, and tell each other: 1 for none [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "Network")]
    pub zones: Option<String>,

    /// What a round trip to another zone takes longer, in milliseconds [default: 0]
    #[arg(long, value_name = "MS", help_heading = "Network", allow_hyphen_values = true)]
    pub zone_rtt_ms: Option<String>,

    /// Latencies from a map of regions: builtin, or a TOML file
    #[arg(long, value_name = "MAP", help_heading = "Network")]
    pub regions: Option<String>,

    /// Share of members that stop for 2 s again and again [default: 0%]
    #[arg(long, value_name = "SHARE", help_heading = "Network")]
    pub slow_share: Option<String>,

    /// Trouble of some members, KIND:MEMBERS[:ON/OFF] with the kinds slow, slow-timers-first, slow-reading, held,
    /// loss-in=SHARE, loss-out=SHARE, delay=TIME. Repeatable
    #[arg(long, value_name = "TROUBLE", help_heading = "Network")]
    pub impaired: Vec<String>,

    /// Protocol constants to start from: lan, wan or local [default: lan]
    #[arg(long, value_name = "PRESET", help_heading = HEADING)]
    pub preset: Option<String>,

    /// Overrides of single protocol settings.
    #[command(flatten)]
    pub protocol: ProtocolSettings,

    /// Any other protocol setting, NAME=VALUE. Repeatable
    #[arg(long, value_name = "NAME=VALUE", help_heading = HEADING)]
    pub set: Vec<String>,

    /// Values to go through, NAME=VALUE,VALUE; several make every combination. Repeatable
    #[arg(long, value_name = "NAME=VALUES", value_parser = Sweep::parse, help_heading = "Runs")]
    pub sweep: Vec<Sweep>,

    /// Runs of each point, with consecutive seeds
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = values::count::<u32>, help_heading = "Runs")]
    pub seeds: u32,

    /// The first seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = values::count::<u64>, help_heading = "Runs")]
    pub seed: u64,

    /// Threads [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<usize>, help_heading = "Runs")]
    pub threads: Option<usize>,

    /// Keep finished runs in FILE, and take from it what it has
    #[arg(long, value_name = "FILE", help_heading = "Runs")]
    pub resume: Option<PathBuf>,

    /// Write a line per point to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub csv: Option<PathBuf>,

    /// Write everything to FILE as JSON; - writes it to standard output instead of the text
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
    /// What was said and changes nothing.
    doubts: Vec<String>,
    /// One of the files is `-`: there is no text besides.
    standard_output_is_taken: bool,
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
        let files = [("--csv", &self.csv), ("--json", &self.json)];
        let standard_output_is_taken = to_standard_output(&files)?;
        let (said, sweeps) = self.said_and_swept().map_err(|fault| vec![fault])?;
        let scenario = assemble(&said).map_err(|fault| vec![fault])?;
        let points = grid(&sweeps).map_err(|fault| vec![fault])?;
        let points: Vec<(Point, Scenario)> = points
            .into_iter()
            .map(|point| point.of(&scenario).map(|scenario| (point, scenario)))
            .collect::<Result<_, _>>()
            .map_err(|fault| vec![said_by(&said, fault)])?;
        let seeds = (0..u64::from(self.seeds)).map(|index| self.seed.wrapping_add(index)).collect();
        let doubts = doubts(&said, &sweeps, &scenario);
        Ok(SimulateOptions { scenario, sweeps, points, seeds, threads, doubts, standard_output_is_taken })
    }

    /// What file and flags say together, and the sweeps.
    fn said_and_swept(&self) -> Result<(Said, Vec<Sweep>), String> {
        let (mut said, mut sweeps) = match &self.scenario {
            Some(path) => read_file(path)?,
            None => Default::default(),
        };
        // A list is taken whole from the highest level that has it.
        said.retain(|saying| saying.name != "impaired" || self.impaired.is_empty());
        said.extend(self.said()?);
        for sweep in &self.sweep {
            sweeps.retain(|other| other.name != sweep.name);
            sweeps.push(sweep.clone());
        }
        Ok((said, sweeps))
    }

    /// What the flags say, by name.
    fn said(&self) -> Result<Said, String> {
        let by_flag = |name: &str, value: String| Saying { name: name.to_owned(), value, place: Place::Flag };
        let named = [
            ("preset", &self.preset),
            ("members", &self.members),
            ("crashes", &self.crashes),
            ("events", &self.events),
            ("event_bytes", &self.event_bytes),
            ("duration", &self.duration),
            ("warm_up", &self.warm_up),
            ("wire", &self.wire),
            ("behaviour", &self.behaviour),
            ("wakes", &self.wakes),
            ("loss", &self.loss),
            ("rtt_ms", &self.rtt_ms),
            ("rtt_sigma", &self.rtt_sigma),
            ("zones", &self.zones),
            ("zone_rtt_ms", &self.zone_rtt_ms),
            ("regions", &self.regions),
            ("slow_share", &self.slow_share),
        ];
        let mut said: Said =
            named.iter().filter_map(|(name, value)| Some(by_flag(name, (*value).clone()?))).collect();
        said.extend(self.impaired.iter().map(|text| by_flag("impaired", text.clone())));
        for (setting, value) in self.protocol.values() {
            if setting.name == STREAM_TIMEOUT.name {
                return Err(
                    "--stream-timeout-ms: streams are instant in a simulation: leave it out".to_owned()
                );
            }
            said.push(by_flag(setting.name, value.to_string()));
        }
        for text in &self.set {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| format!("--set {text}: write it like members_max=5000"))?;
            let name = name.trim().replace('-', "_");
            said.push(Saying { name, value: value.trim().to_owned(), place: Place::Set });
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

impl SimulateOptions {
    /// The scenario, before anything is swept over.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

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
    if !arguments.quiet {
        complain(PROGRAM, &options.doubts);
    }
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
    // Files first: whatever becomes of standard output, they are there.
    write(arguments, &options, complete, &summaries).map_err(Faults::CouldNotRun)?;
    if !options.standard_output_is_taken {
        let lines = table::lines(&summaries, columns::of_standard_output());
        let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        text.push_str("\nIn brackets: 95 % confidence intervals; ? where data is too little for an end.\n");
        if !complete {
            let runs = counted((options.points.len() * options.seeds.len()) as u64, "run");
            text.push_str(&format!("Ended early: {finished} of {runs} are finished.\n"));
        }
        print(&text).map_err(Faults::CouldNotRun)?;
    }
    Ok(Exit::Done)
}

/// Writes every file that was asked for.
fn write(
    arguments: &SimulateArguments,
    options: &SimulateOptions,
    complete: bool,
    summaries: &[(Point, Summary)],
) -> Result<(), String> {
    if let Some(path) = &arguments.csv {
        output::write("--csv", path, &table::csv(summaries)?)?;
    }
    if let Some(path) = &arguments.json {
        let value = table::json(&options.identity(), &options.seeds, complete, summaries);
        output::write_json("--json", path, &value)?;
    }
    Ok(())
}

/// Simulated seconds until the last crash is known, about: what is simulated after the measured time.
const DRAIN_S: f64 = 15.0;
/// A minute is nothing to be warned of.
const LONG_S: f64 = 60.0;

/// How many runs there are, how long they take, and where that is long, what would make it shorter.
fn forecast(jobs: &[Job], threads: usize) -> String {
    let core_s: f64 = jobs.iter().map(|job| core_s(&job.options, DRAIN_S)).sum();
    let seconds = core_s / threads.min(jobs.len()).max(1) as f64;
    let time = match seconds {
        seconds if seconds < 10.0 => "seconds".to_owned(),
        seconds if seconds < 100.0 => format!("about {} s", significant(seconds)),
        seconds if seconds < 7200.0 => format!("about {} min", significant(seconds / 60.0)),
        seconds => format!("about {} h", significant(seconds / 3600.0)),
    };
    let runs = counted(jobs.len() as u64, "run");
    let cores = counted(threads as u64, "idle core");
    let mut line = format!("{runs}: {time} on {cores}");
    if seconds > LONG_S {
        line.push_str(
            "; fewer --seeds, --crashes or --events take less, and --resume keeps what is finished",
        );
    }
    line
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
    if !quiet && !jobs.is_empty() {
        tell(PROGRAM, &forecast(&jobs, options.threads));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(members: u32, runs: usize) -> String {
        let options = Scenario { members, ..Scenario::default() }.trial(1);
        let jobs: Vec<Job> = (0..runs).map(|index| Job { index, options: options.clone() }).collect();
        forecast(&jobs, 2)
    }

    #[test]
    fn how_long_it_takes_is_said_before() {
        // What nobody changes anything of: five seeds of a thousand members.
        assert_eq!(said(1000, 5), "5 runs: seconds on 2 idle cores");
        let long = said(20_000, 90);
        assert!(
            long.contains("90 runs: about ") && long.contains(" min on 2 idle cores; fewer --seeds"),
            "{long}"
        );
    }
}
