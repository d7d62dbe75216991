//! The seeds that are tried again later: those of the settings, those of the application's joins, and, while the member is
//! alone, the members of its snapshot.
//!
//! A member that has joined keeps looking at its seeds, because neither a pool that split while it started nor
//! a seed that came back under another address mends itself: nobody knows the others' addresses. The names are
//! resolved anew each time.

use super::attempt::SEEDS_MAX;
use super::seed::Seed;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Remembered {
    /// Of the settings.
    settled: Vec<Seed>,
    /// Of joins that succeeded, the latest last. Until the member leaves.
    joined: Vec<Seed>,
    /// Of the snapshot: where the members of an earlier life were.
    earlier: Vec<Seed>,
}

impl Remembered {
    pub(in crate::cluster) fn new(settled: Vec<Seed>, earlier: Vec<Seed>) -> Remembered {
        Remembered { settled, joined: Vec::new(), earlier }
    }

    /// Those through which a join has succeeded. As many are remembered as one join may have; the oldest make
    /// room.
    pub(in crate::cluster) fn add(&mut self, seeds: Vec<Seed>) {
        self.joined.retain(|known| !seeds.contains(known));
        let usable = seeds.into_iter().filter(|seed| seed.fault().is_none());
        for seed in usable {
            if !self.settled.contains(&seed) && !self.joined.contains(&seed) {
                self.joined.push(seed);
            }
        }
        let room = SEEDS_MAX.saturating_sub(self.settled.len());
        self.joined.drain(..self.joined.len().saturating_sub(room));
    }

    /// The member leaves: it is not to come back to where it joined before unasked.
    pub(in crate::cluster) fn forget_joined(&mut self) {
        self.joined.clear();
        self.earlier.clear();
    }

    /// Those that are looked for as long as the member is there.
    pub(in crate::cluster) fn lasting(&self) -> Vec<Seed> {
        self.settled.iter().chain(&self.joined).cloned().collect()
    }

    /// All that a member may try that is alone.
    pub(in crate::cluster) fn all(&self) -> Vec<Seed> {
        let mut all = self.lasting();
        let room = SEEDS_MAX.saturating_sub(all.len());
        let earlier = self.earlier.iter().filter(|seed| seed.fault().is_none() && !all.contains(seed));
        all.extend(earlier.take(room).cloned().collect::<Vec<_>>());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(texts: &[&str]) -> Vec<Seed> {
        texts.iter().map(|text| Seed::from(*text)).collect()
    }

    #[test]
    fn those_of_the_settings_stay_and_others_go_with_a_leave() {
        let mut remembered = Remembered::new(seeds(&["a", "b"]), seeds(&["b", "c", "d"]));
        remembered.add(seeds(&["b", "c", "c", "no seed"]));
        assert_eq!(remembered.lasting(), seeds(&["a", "b", "c"]));
        assert_eq!(remembered.all(), seeds(&["a", "b", "c", "d"]));
        remembered.forget_joined();
        assert_eq!(remembered.all(), seeds(&["a", "b"]));
    }

    #[test]
    fn as_many_are_remembered_as_a_join_may_have() {
        let mut remembered = Remembered::new(seeds(&["a"]), seeds(&["z"]));
        for number in 0..SEEDS_MAX {
            remembered.add(seeds(&[&format!("seed-{number}")]));
        }
        let all = remembered.all();
        assert_eq!((all.len(), all[1].to_string()), (SEEDS_MAX, "seed-1:7946".to_owned()));
    }
}
