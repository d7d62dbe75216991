//! Who still hears what is told while the network fails, and how soon: delegated broadcast beside gossip.
//!
//! `cargo run --release -p swimring-simulation --example faults -- 0 10000 faults.csv` plays ten thousand seeds, each with both ways
//! of telling, over clusters of 24 to 64 members with LAN settings. A seed stands for one of four faults in turn:
//!
//! | seed modulo 4 | fault |
//! |---|---|
//! | 0 | a third is cut off for 60 s, then the partition heals |
//! | 1 | 30 % of all datagrams are lost, for 20 s |
//! | 2 | 30 % of all datagrams arrive twice, 30 % late by up to 0.5 s, so that others overtake them, for 20 s |
//! | 3 | one member answers and acknowledges, and tells nobody anything, for good |
//!
//! Meanwhile random members send user events, one a second, and change their metadata. At the end the faults stop,
//! but for the liar, and the cluster must agree within the simulator's bound, everyone know all metadata, and nothing
//! be told any more. What does not hold is printed with its seed, and the exit status is 1.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use hashbrown::HashMap;
use hdrhistogram::Histogram;
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Settings, Time};
use swimring_codec::native::{Frame, Message};
use swimring_simulation::{Direction, Faults, Simulation, SimulationOptions, What, calm_bound};

const FAULTS: [&str; 4] = ["partition", "loss", "disorder", "liar"];
const SECOND: Duration = Duration::from_secs(1);
/// How long a third is cut off.
const CUT_S: usize = 60;
/// Longer than all attempts to delegate something take, also of a liar, which has measured no round trip.
const ATTEMPTS: Duration = Duration::from_secs(30);
/// For how long things are told in the other faults, and after a partition.
const TOLD_S: usize = 20;

/// The members among which it is counted who heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Among {
    /// All, while the fault lasts.
    Everyone,
    /// Those on the teller's side of the partition.
    TellersSide,
    /// Those on the other side, who can hear only after it has healed.
    OtherSide,
    /// All, in the first seconds after it has healed.
    Healed,
}

impl Among {
    fn name(self) -> &'static str {
        match self {
            Among::Everyone => "everyone",
            Among::TellersSide => "the teller's side",
            Among::OtherSide => "the other side",
            Among::Healed => "everyone, after healing",
        }
    }
}

/// Something that was told.
struct Told {
    teller: usize,
    at: Time,
    /// An event's sequence number; nothing for metadata.
    sequence: Option<u32>,
    /// After a partition.
    healed: bool,
}

/// What is counted together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    fault: usize,
    among: Among,
    metadata: bool,
    delegated: bool,
    /// Smallest and largest cluster.
    sizes: (usize, usize),
}

struct Row {
    told: u64,
    /// Of those, told to everyone who is counted.
    complete: u64,
    expected: u64,
    heard: u64,
    copies: u64,
    /// Times until heard, in microseconds.
    times: Histogram<u64>,
}

impl Row {
    fn new() -> Row {
        // Three digits of up to an hour: within what it can be made for.
        let times = Histogram::new_with_max(3_600_000_000, 3).unwrap_or_else(|error| panic!("{error}"));
        Row { told: 0, complete: 0, expected: 0, heard: 0, copies: 0, times }
    }

    fn add(&mut self, other: &Row) {
        self.told += other.told;
        self.complete += other.complete;
        self.expected += other.expected;
        self.heard += other.heard;
        self.copies += other.copies;
        // Of the same shape.
        self.times.add(&other.times).unwrap_or_else(|error| panic!("{error}"));
    }
}

type Rows = BTreeMap<Key, Row>;

/// One seed with one way of telling.
struct Play {
    simulation: Simulation,
    dice: fastrand::Rng,
    fault: usize,
    delegated: bool,
    /// The members that are cut off.
    third: Vec<bool>,
    liar: Option<usize>,
    told: Vec<Told>,
    /// Those that have not changed their metadata yet, in random order.
    changers: Vec<usize>,
    violations: Vec<String>,
}

impl Play {
    fn new(seed: u64, delegated: bool) -> Play {
        let mut dice = fastrand::Rng::with_seed(seed);
        let members = dice.usize(24..=64);
        let dissemination = if delegated { Dissemination::Delegated } else { Dissemination::Gossip };
        let mut simulation = Simulation::new(SimulationOptions {
            settings: Settings { dissemination, ..Settings::default() },
            checked: false,
            ..SimulationOptions::new(seed, members)
        });
        simulation.start_warm();
        let mut order: Vec<usize> = (0..members).collect();
        dice.shuffle(&mut order);
        let fault = (seed % 4) as usize;
        let mut third = vec![false; members];
        order[..members / 3].iter().for_each(|node| third[*node] = true);
        let liar = (fault == 3).then(|| order[0]);
        dice.shuffle(&mut order);
        order.retain(|node| Some(*node) != liar);
        Play {
            simulation,
            dice,
            fault,
            delegated,
            third,
            liar,
            told: Vec::new(),
            changers: order,
            violations: Vec::new(),
        }
    }

    fn run(&mut self, duration: Duration) {
        if let Err(violation) = self.simulation.run_for(duration) {
            self.violations.push(violation.to_string());
        }
    }

    /// Has a random member send an event each second, and one in five change its metadata.
    fn tell(&mut self, seconds: usize, healed: bool) {
        for second in 0..seconds {
            let mut teller = self.dice.usize(..self.simulation.len());
            while Some(teller) == self.liar {
                teller = self.dice.usize(..self.simulation.len());
            }
            let at = self.simulation.now();
            match self.simulation.send_event(teller, "news", &second.to_le_bytes()) {
                Ok(sequence) => self.told.push(Told { teller, at, sequence: Some(sequence), healed }),
                Err(error) => self.violations.push(format!("an event is refused: {error}")),
            }
            let changer = second.is_multiple_of(5).then(|| self.changers.pop()).flatten();
            if let Some(teller) = changer {
                match self.simulation.update_metadata(teller, b"changed") {
                    Ok(()) => self.told.push(Told { teller, at, sequence: None, healed }),
                    Err(error) => self.violations.push(format!("metadata is refused: {error}")),
                }
            }
            self.run(SECOND);
        }
    }

    /// The fault, and its end.
    fn play(&mut self) {
        self.run(SECOND * 3);
        self.simulation.tap();
        match self.fault {
            0 => {
                let cut: Vec<usize> = (0..self.simulation.len()).filter(|node| self.third[*node]).collect();
                self.simulation.partition(&cut, Direction::Both, SECOND * CUT_S as u32, Duration::ZERO);
                self.tell(CUT_S, false);
                self.tell(TOLD_S, true);
            }
            1 => {
                self.simulation.set_faults(Faults { loss: 0.3, ..Faults::NONE });
                self.tell(TOLD_S, false);
            }
            2 => {
                let late_max = Duration::from_millis(500);
                let faults = Faults { duplication: 0.3, late: 0.3, late_max, ..Faults::NONE };
                self.simulation.set_faults(faults);
                self.tell(TOLD_S, false);
            }
            _ => {
                self.liar.into_iter().for_each(|liar| self.simulation.silence(liar));
                self.tell(TOLD_S, false);
            }
        }
        self.simulation.calm();
        self.settle();
    }

    /// The views come to agree, and then nothing is told any more.
    fn settle(&mut self) {
        let simulation = &mut self.simulation;
        let bound =
            calm_bound(simulation.settings(), &swimring::protocol::WireOptions::Native, simulation.len());
        if let Err(violation) = simulation.run_until_converged(bound) {
            self.violations.push(violation.to_string());
        }
        self.run(ATTEMPTS);
        let before = self.simulation.counters();
        self.run(SECOND * 10);
        let since = self.simulation.counters().since(&before);
        let waiting: usize =
            (0..self.simulation.len()).map(|node| self.simulation.commons(node).broadcasts_queued()).sum();
        if since.delegations_sent + since.broadcast_copies_sent > 0 || waiting > 0 {
            self.violations.push(format!(
                "told without end: {} delegations and {} copies of broadcasts in 10 quiet seconds, {waiting} wait",
                since.delegations_sent, since.broadcast_copies_sent
            ));
        }
        for told in self.told.iter().filter(|told| told.sequence.is_none()) {
            let name = self.simulation.id(told.teller);
            for node in 0..self.simulation.len() {
                let knows = self.simulation.view(node).any(|known| {
                    self.simulation.commons(node).directory().id(known.index) == name
                        && known.metadata == b"changed"
                });
                if !knows {
                    self.violations
                        .push(format!("member {node} never learns the metadata of {}", told.teller));
                }
            }
        }
    }

    /// Copies of each event that were sent.
    fn copies(&self) -> HashMap<(u64, u32), u64> {
        let mut copies = HashMap::new();
        for frame in self.simulation.tapped() {
            let Ok(frame) = Frame::decode(&frame.bytes) else { continue };
            for message in frame.messages().flatten() {
                if let Message::UserEvent(event) = message {
                    *copies.entry((event.origin.0, event.sequence)).or_insert(0) += 1;
                }
            }
        }
        copies
    }

    /// When each member first heard what each teller said.
    fn heard(&self) -> HashMap<(usize, Option<u32>, usize), Time> {
        let began: HashMap<usize, Time> = self
            .told
            .iter()
            .filter(|told| told.sequence.is_none())
            .map(|told| (told.teller, told.at))
            .collect();
        let mut heard = HashMap::new();
        for entry in self.simulation.log().entries() {
            let Some(teller) = entry.subject else { continue };
            let sequence = match entry.what {
                What::UserEvent(sequence) => Some(sequence),
                What::Updated | What::Restarted | What::Joined
                    if began.get(&teller).is_some_and(|at| *at <= entry.at) =>
                {
                    None
                }
                _ => continue,
            };
            heard.entry((teller, sequence, entry.observer)).or_insert(entry.at);
        }
        heard
    }

    fn count(&self, rows: &mut Rows) {
        let (copies, heard) = (self.copies(), self.heard());
        let members = self.simulation.len();
        let sizes =
            *[(24, 37), (38, 50), (51, 64)].iter().find(|sizes| members <= sizes.1).unwrap_or(&(0, 0));
        for told in &self.told {
            let among: &[Among] = match (self.fault, told.healed) {
                (0, false) => &[Among::TellersSide, Among::OtherSide],
                (0, true) => &[Among::Healed],
                _ => &[Among::Everyone],
            };
            for among in among {
                let (fault, metadata, delegated) = (self.fault, told.sequence.is_none(), self.delegated);
                let key = Key { fault, among: *among, metadata, delegated, sizes };
                let row = rows.entry(key).or_insert_with(Row::new);
                let same_side = |node: &usize| self.third[*node] == self.third[told.teller];
                let audience = (0..members).filter(|node| *node != told.teller).filter(|node| match among {
                    Among::TellersSide => same_side(node),
                    Among::OtherSide => !same_side(node),
                    Among::Everyone | Among::Healed => true,
                });
                let (expected, before) = (audience.clone().count() as u64, row.heard);
                for node in audience {
                    if let Some(at) = heard.get(&(told.teller, told.sequence, node)) {
                        row.heard += 1;
                        row.times.saturating_record(at.since(told.at).as_micros() as u64);
                    }
                }
                row.told += 1;
                row.expected += expected;
                row.complete += u64::from(row.heard - before == expected);
                if let Some(sequence) = told.sequence.filter(|_| *among != Among::OtherSide) {
                    let origin = self.simulation.id(told.teller).0;
                    row.copies += copies.get(&(origin, sequence)).copied().unwrap_or(0);
                }
            }
        }
    }
}

/// The rows of all sizes together, as a table for a page.
fn table(rows: &Rows) -> String {
    let mut together = Rows::new();
    for (key, row) in rows {
        let key = Key { sizes: (24, 64), ..key.clone() };
        together.entry(key).or_insert_with(Row::new).add(row);
    }
    let mut text = String::from(
        "| fault | told | among | by | missed | told to all | p50 ms | p99 ms | max ms | copies |\n|---|---|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (key, row) in &together {
        let missed = 100.0 * (row.expected - row.heard) as f64 / row.expected.max(1) as f64;
        let complete = 100.0 * row.complete as f64 / row.told.max(1) as f64;
        let copies = if key.metadata || key.among == Among::OtherSide {
            "-".to_owned()
        } else {
            format!("{:.2}", row.copies as f64 / row.expected as f64)
        };
        let [p50, p99, max] = times_ms(row);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {missed:.3} % | {complete:.2} % | {p50:.1} | {p99:.1} | {max:.1} | {copies} |",
            FAULTS[key.fault],
            if key.metadata { "metadata" } else { "event" },
            key.among.name(),
            if key.delegated { "delegated" } else { "gossip" },
        );
    }
    text
}

fn csv(rows: &Rows) -> String {
    let mut text = String::from(
        "fault,told,among,by,members_least,members_most,tellings,told_to_all,expected,heard,copies,p50_ms,p99_ms,p999_ms,max_ms\n",
    );
    for (key, row) in rows {
        let [p50, p99, max] = times_ms(row);
        let p999 = row.times.value_at_quantile(0.999) as f64 / 1e3;
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{p50:.1},{p99:.1},{p999:.1},{max:.1}",
            FAULTS[key.fault],
            if key.metadata { "metadata" } else { "event" },
            key.among.name().replace(", ", " "),
            if key.delegated { "delegated" } else { "gossip" },
            key.sizes.0,
            key.sizes.1,
            row.told,
            row.complete,
            row.expected,
            row.heard,
            row.copies,
        );
    }
    text
}

fn times_ms(row: &Row) -> [f64; 3] {
    let ms = |quantile: f64| row.times.value_at_quantile(quantile) as f64 / 1e3;
    [ms(0.5), ms(0.99), ms(1.0)]
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, seeds, path] = arguments.as_slice() else {
        return Err("usage: faults FIRST-SEED SEEDS FILE.csv".into());
    };
    let first: u64 = first.parse()?;
    let (mut rows, mut violations) = (Rows::new(), 0);
    for seed in first..first + seeds.parse::<u64>()? {
        for delegated in [true, false] {
            let mut play = Play::new(seed, delegated);
            play.play();
            play.count(&mut rows);
            for violation in &play.violations {
                println!("seed {seed}, {}: {violation}", if delegated { "delegated" } else { "gossip" });
            }
            violations += play.violations.len();
        }
    }
    std::fs::write(path, csv(&rows))?;
    println!("{}\n{violations} violations", table(&rows));
    Ok(if violations > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
