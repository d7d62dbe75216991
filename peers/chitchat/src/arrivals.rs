//! When each change was where: filled in by the members' watchers, read when all is over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One change of a key.
#[derive(Debug, Default)]
struct Change {
    /// When it was made.
    made: Mutex<Option<Instant>>,
    /// How many others have it.
    arrived: AtomicUsize,
    /// When the last of them got it.
    complete: Mutex<Option<Instant>>,
}

/// All changes of a run, by number. The value of a change is its number, so that a watcher knows which one it sees.
#[derive(Debug)]
pub struct Arrivals {
    changes: Vec<Change>,
    /// Members that have to get each.
    others: usize,
}

impl Arrivals {
    /// For `changes` of one member each, which `others` have to get.
    pub fn new(changes: usize, others: usize) -> Arrivals {
        Arrivals { changes: std::iter::repeat_with(Change::default).take(changes).collect(), others }
    }

    /// The value of change `number`: 16 bytes.
    pub fn value(number: usize) -> String {
        format!("{number:016}")
    }

    /// Change `number` is made now.
    pub fn made(&self, number: usize) {
        *self.changes[number].made.lock().expect("no watcher panics") = Some(Instant::now());
    }

    /// Another member than the one that made it has `value` now, and had not before.
    pub fn arrived(&self, value: &[u8]) {
        let now = Instant::now();
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
        let change = &self.changes[number.expect("values are numbers")];
        if change.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.others {
            *change.complete.lock().expect("no watcher panics") = Some(now);
        }
    }

    /// How many of the changes `numbers` are everywhere.
    pub fn complete(&self, numbers: std::ops::Range<usize>) -> usize {
        let everywhere = |change: &&Change| change.complete.lock().expect("no watcher panics").is_some();
        self.changes[numbers].iter().filter(everywhere).count()
    }

    /// Time from each of the changes `numbers` to its last arrival, the shortest first. Those that are not everywhere are left out.
    pub fn spread(&self, numbers: std::ops::Range<usize>) -> Vec<Duration> {
        let mut spread: Vec<Duration> = self.changes[numbers]
            .iter()
            .filter_map(|change| {
                let made = (*change.made.lock().expect("no watcher panics"))?;
                let complete = (*change.complete.lock().expect("no watcher panics"))?;
                Some(complete.saturating_duration_since(made))
            })
            .collect();
        spread.sort_unstable();
        spread
    }
}

/// The value below which `share` of the sorted `durations` lie, by nearest rank.
pub fn quantile(durations: &[Duration], share: f64) -> Duration {
    let rank = (durations.len() as f64 * share).ceil() as usize;
    durations.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_complete_with_the_last() {
        let arrivals = Arrivals::new(2, 3);
        arrivals.made(1);
        for _ in 0..3 {
            assert_eq!((arrivals.complete(0..2), arrivals.spread(0..2).len()), (0, 0));
            arrivals.arrived(Arrivals::value(1).as_bytes());
        }
        assert_eq!((arrivals.complete(0..2), arrivals.spread(0..2).len()), (1, 1));
        assert_eq!(arrivals.complete(0..1), 0);
    }

    #[test]
    fn quantiles_are_of_nearest_rank() {
        let hundred: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let of = |share| quantile(&hundred, share).as_millis();
        assert_eq!((of(0.5), of(0.99), of(1.0)), (50, 99, 100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
