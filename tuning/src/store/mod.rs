//! Finished runs in a file, one JSON line each, written as they finish: what was run need not be run again.
//!
//! The first line says what was simulated. A file of another scenario is refused, since its runs would be
//! mixed with ours. A last line that was cut off, when the program was killed while it wrote, is dropped; the
//! file is then whole again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::sweep::{Digest, Point};

/// The version of the lines. Runs of another version of the simulator are not comparable, so this is raised
/// when its outcomes change.
const SCHEMA: u32 = 1;
/// The longest line that is read: a run with 500,000 crashes has fewer bytes.
const LINE_MAX_BYTES: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    swimring_tune_store: u32,
    version: String,
    scenario: Value,
}

#[derive(Serialize, Deserialize)]
struct Line {
    point: Point,
    seed: u64,
    digest: Digest,
}

/// A store of finished runs.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    file: File,
    runs: BTreeMap<(Point, u64), Digest>,
}

impl Store {
    /// Opens the store at `path`, or begins one, of runs of `scenario`.
    ///
    /// # Errors
    /// One line, if it is no store, one of another scenario or version, or cannot be read or written.
    pub fn open(path: &Path, scenario: &Value) -> Result<Store, String> {
        let fault = |reason: String| format!("--resume {}: {reason}", path.display());
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| fault(error.to_string()))?;
        let mut store = Store { path: path.to_owned(), file, runs: BTreeMap::new() };
        let whole = store.read(scenario).map_err(fault)?;
        store.file.set_len(whole).map_err(|error| fault(error.to_string()))?;
        store.file.seek(SeekFrom::Start(whole)).map_err(|error| fault(error.to_string()))?;
        if whole == 0 {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let header = Header { swimring_tune_store: SCHEMA, version, scenario: scenario.clone() };
            store.append(&header)?;
        }
        Ok(store)
    }

    /// Reads what is there; returns how many bytes of it are whole lines.
    fn read(&mut self, scenario: &Value) -> Result<u64, String> {
        let mut reader = BufReader::new(&self.file);
        let (mut whole, mut number) = (0_u64, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
            if bytes > LINE_MAX_BYTES {
                return Err(format!("line {} is no run: it is too long", number + 1));
            }
            if line.last() != Some(&b'\n') {
                // Nothing more, or a line that was being written. A file without any line end is kept as it
                // is: it is not ours.
                return if number == 0 && bytes > 0 {
                    Err("is not a store of runs".to_owned())
                } else {
                    Ok(whole)
                };
            }
            number += 1;
            if number == 1 {
                check_header(&line, scenario)?;
            } else {
                let read: Result<Line, _> = serde_json::from_slice(&line);
                let run = read.map_err(|error| format!("line {number} is no run: {error}"))?;
                self.runs.insert((run.point, run.seed), run.digest);
            }
            whole += bytes as u64;
        }
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), String> {
        let fault = |reason: String| format!("--resume {}: {reason}", self.path.display());
        let mut text = serde_json::to_vec(line).map_err(|error| fault(error.to_string()))?;
        text.push(b'\n');
        // One write, so that a line is there or not.
        self.file.write_all(&text).map_err(|error| fault(error.to_string()))
    }

    /// Keeps a finished run.
    ///
    /// # Errors
    /// One line, if it cannot be written.
    pub fn put(&mut self, point: &Point, seed: u64, digest: &Digest) -> Result<(), String> {
        self.append(&Line { point: point.clone(), seed, digest: digest.clone() })?;
        self.runs.insert((point.clone(), seed), digest.clone());
        Ok(())
    }

    /// The run of `point` with `seed`, if it is there.
    pub fn get(&self, point: &Point, seed: u64) -> Option<&Digest> {
        self.runs.get(&(point.clone(), seed))
    }

    /// Runs that are there.
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

fn check_header(line: &[u8], scenario: &Value) -> Result<(), String> {
    let header: Header = serde_json::from_slice(line).map_err(|_| "is not a store of runs".to_owned())?;
    if header.swimring_tune_store != SCHEMA || header.version != env!("CARGO_PKG_VERSION") {
        return Err(format!("was written by version {}: give another file", header.version));
    }
    match first_difference(&header.scenario, scenario) {
        None => Ok(()),
        Some(difference) => Err(format!("holds runs of another scenario ({difference}): give another file")),
    }
}

/// The first thing that differs, as `name: there, here`.
fn first_difference(there: &Value, here: &Value) -> Option<String> {
    if there == here {
        return None;
    }
    if let (Value::Object(there), Value::Object(here)) = (there, here) {
        for (name, value) in here {
            let other = there.get(name).unwrap_or(&Value::Null);
            if let Some(difference) = first_difference(other, value) {
                let nested = value.is_object() && other.is_object();
                return Some(if nested { difference } else { format!("{name}: {difference}") });
            }
        }
    }
    let brief = |value: &Value| {
        let text = value.to_string();
        if text.len() > 60 { "other values".to_owned() } else { text }
    };
    Some(format!("{} there, {} here", brief(there), brief(here)))
}

#[cfg(test)]
mod tests;
