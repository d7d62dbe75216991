//! Probe round trips by zone: within each, and from each to each other.
//!
//! A probe counts for its sender's zone and its subject's. There is a histogram for each two of the first
//! [`ZONES_APART_MAX`] zones, made when a zone is met, so that recording allocates nothing; in more zones, round trips count
//! only as within a zone or to another.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::measurements::{histogram_us, record};

/// Zones that are told apart. Each two of them cost two histograms of 200 KiB on each worker.
pub const ZONES_APART_MAX: usize = 8;

/// A zone's place among those met; of those beyond [`ZONES_APART_MAX`] nothing but that it is another.
pub type ZonePlace = u32;

/// Round trips in microseconds, by the zones of who asks and who answers.
#[derive(Clone, Debug, Default)]
pub struct ZoneRoundTrips {
    /// In the order in which they were met.
    names: Vec<String>,
    /// Within a zone, and to another one; nothing where there are no zones.
    sides: Option<Box<[Histogram<u64>; 2]>>,
    /// Rows of as many as there are names.
    pairs: Vec<Vec<Histogram<u64>>>,
}

impl ZoneRoundTrips {
    /// Of zones with these names.
    pub fn of(names: impl IntoIterator<Item = String>) -> ZoneRoundTrips {
        let mut trips = ZoneRoundTrips::default();
        names.into_iter().for_each(|name| trips.meet(&name));
        trips
    }

    /// There is a zone called `name`.
    pub fn meet(&mut self, name: &str) {
        self.sides.get_or_insert_with(|| Box::new([histogram_us(), histogram_us()]));
        if self.names.len() >= ZONES_APART_MAX || self.place(name).is_some() {
            return;
        }
        self.names.push(name.to_owned());
        let zones = self.names.len();
        self.pairs.iter_mut().for_each(|row| row.push(histogram_us()));
        self.pairs.push(vec![histogram_us(); zones]);
    }

    /// Where the zone called `name` stands, if it is told apart.
    pub fn place(&self, name: &str) -> Option<ZonePlace> {
        self.names.iter().position(|known| known == name).map(|place| place as ZonePlace)
    }

    /// A member of zone `from` had an answer from one of zone `to`. Places may be beyond those told apart.
    #[inline]
    pub fn record(&mut self, from: ZonePlace, to: ZonePlace, time: Duration) {
        let Some(sides) = &mut self.sides else { return };
        record(&mut sides[usize::from(from != to)], time);
        if let Some(pair) = self.pairs.get_mut(from as usize).and_then(|row| row.get_mut(to as usize)) {
            record(pair, time);
        }
    }

    /// Adds another worker's, whose zones may have been met in another order.
    pub fn add(&mut self, other: &ZoneRoundTrips) {
        let Some(theirs) = &other.sides else { return };
        other.names.iter().for_each(|name| self.meet(name));
        let mine = self.sides.get_or_insert_with(|| Box::new([histogram_us(), histogram_us()]));
        let add = |mine: &mut Histogram<u64>, theirs: &Histogram<u64>| {
            mine.add(theirs).expect("all histograms have the same bounds");
        };
        mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| add(mine, theirs));
        for (from, row) in other.names.iter().zip(&other.pairs) {
            for (to, pair) in other.names.iter().zip(row) {
                if let (Some(from), Some(to)) = (self.place(from), self.place(to)) {
                    add(&mut self.pairs[from as usize][to as usize], pair);
                }
            }
        }
    }

    /// Round trips within a zone, and to another one; nothing where there are no zones.
    pub fn sides(&self) -> Option<&[Histogram<u64>; 2]> {
        self.sides.as_deref()
    }

    /// Each two zones by name, who asks and who answers, and their round trips.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str, &Histogram<u64>)> {
        self.names.iter().zip(&self.pairs).flat_map(|(from, row)| {
            self.names.iter().zip(row).map(|(to, pair)| (from.as_str(), to.as_str(), pair))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn counts(trips: &ZoneRoundTrips) -> Vec<(&str, &str, u64)> {
        let met = trips.pairs().filter(|(_, _, pair)| !pair.is_empty());
        met.map(|(from, to, pair)| (from, to, pair.len())).collect()
    }

    #[test]
    fn each_two_zones_have_round_trips_of_their_own() {
        let mut trips = ZoneRoundTrips::of(["a", "b"].map(str::to_owned));
        trips.record(0, 0, ms(1));
        trips.record(0, 1, ms(40));
        trips.record(0, 1, ms(41));
        trips.record(1, 0, ms(42));
        assert_eq!(counts(&trips), [("a", "a", 1), ("a", "b", 2), ("b", "a", 1)]);
        let [within, between] = trips.sides().unwrap();
        assert_eq!((within.len(), between.len(), between.max() / 1000), (1, 3, 42));
    }

    #[test]
    fn without_zones_there_is_nothing() {
        let mut trips = ZoneRoundTrips::default();
        trips.record(0, 1, ms(1));
        assert!(trips.sides().is_none() && trips.pairs().next().is_none());
        let mut sum = ZoneRoundTrips::default();
        sum.add(&trips);
        assert!(sum.sides().is_none());
    }

    #[test]
    fn workers_that_met_the_zones_in_another_order_are_added_by_name() {
        let mut one = ZoneRoundTrips::of(["a", "b"].map(str::to_owned));
        let mut other = ZoneRoundTrips::of(["c", "a"].map(str::to_owned));
        one.record(0, 0, ms(1));
        other.record(1, 1, ms(1));
        other.record(1, 0, ms(9));
        one.add(&other);
        assert_eq!(counts(&one), [("a", "a", 2), ("a", "c", 1)]);
        assert_eq!(one.place("c"), Some(2));
    }

    #[test]
    fn zones_beyond_those_told_apart_count_as_others() {
        let mut trips = ZoneRoundTrips::of((0..ZONES_APART_MAX + 2).map(|zone| format!("z{zone}")));
        assert_eq!(trips.place("z8"), None);
        trips.record(9, 9, ms(1));
        trips.record(0, 9, ms(2));
        assert_eq!(counts(&trips), []);
        assert_eq!(trips.sides().unwrap().each_ref().map(Histogram::len), [1, 1]);
    }
}
