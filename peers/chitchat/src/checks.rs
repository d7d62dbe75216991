//! How many signatures Swimring's members have checked: summed from what they publish as metrics, once a second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SetRecorderError, SharedString, Unit,
};

/// The counter of signatures that were right.
const CHECKED: &str = "swimring_identities_verified_total";

/// Keeps that counter of each member, and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Checks(Arc<Mutex<HashMap<Key, Arc<AtomicU64>>>>);

impl Checks {
    /// Counts for the whole process from now on.
    pub fn begin() -> Result<Checks, SetRecorderError<Checks>> {
        let checks = Checks::default();
        metrics::set_global_recorder(checks.clone())?;
        Ok(checks)
    }

    /// As many as all members have published so far.
    pub fn sum(&self) -> u64 {
        let members = self.0.lock().expect("nobody panics with it");
        members.values().map(|checked| checked.load(Ordering::Relaxed)).sum()
    }
}

impl Recorder for Checks {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if key.name() != CHECKED {
            return Counter::noop();
        }
        // Asked for by each member each second: the same one.
        let mut members = self.0.lock().expect("nobody panics with it");
        Counter::from_arc(Arc::clone(members.entry(key.clone()).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
