//! The grid: cases, run on several threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use swimring_simulation::experiment::TrialError;

use super::case::{Case, Compared, MEASURES, compare};

/// Larger clusters are simulated with the first interval alone.
const ALL_INTERVALS_MAX: u32 = 500;
/// And still larger ones with the middle fanout alone.
const ALL_FANOUTS_MAX: u32 = 2_000;

/// The most that is lost in clusters that large: beyond, doubts of doubts fill every frame, and a simulated second
/// takes minutes.
const LOSSES_OF_LARGE_MAX: f64 = 0.05;

/// The cases' dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Members.
    pub members: Vec<u32>,
    /// Shares of datagrams lost.
    pub losses: Vec<f64>,
    /// Gossip fanouts.
    pub fanouts: Vec<u8>,
    /// Probe and gossip intervals, in milliseconds.
    pub intervals: Vec<(u64, u64)>,
    /// Bits of a step of delegated broadcast. None: members gossip.
    pub delegation_bits: Vec<u8>,
    /// Zones that the members are in; 1 for none.
    pub zones: u32,
    /// What a round trip to another zone takes longer, in milliseconds.
    pub zone_rtt_ms: u32,
}

impl Default for Grid {
    fn default() -> Grid {
        Grid {
            members: vec![20, 100, 1_000, 10_000],
            losses: vec![0.0, 0.01, 0.05, 0.2],
            fanouts: vec![1, 3, 6],
            intervals: vec![(1_000, 200), (500, 100)],
            delegation_bits: Vec::new(),
            zones: 1,
            zone_rtt_ms: 0,
        }
    }
}

/// A case and what came out.
pub type Row = (Case, [Compared; MEASURES.len()]);

impl Grid {
    /// All cases, the largest first, so that no thread is left with one at the end. Large clusters, whose
    /// simulation takes longest, go through fewer of them.
    pub fn cases(&self) -> Vec<Case> {
        let mut members = self.members.clone();
        members.sort_unstable_by(|a, b| b.cmp(a));
        let mut cases = Vec::new();
        for members in members {
            let middle = &self.fanouts[self.fanouts.len() / 2..][..1];
            let delegates = !self.delegation_bits.is_empty();
            // Of the gossip settings nothing is left to vary.
            let fanouts = if delegates || members > ALL_FANOUTS_MAX { middle } else { &self.fanouts };
            let one_interval = delegates || members > ALL_INTERVALS_MAX;
            let intervals = if one_interval { &self.intervals[..1] } else { &self.intervals };
            let bits: Vec<Option<u8>> = self.delegation_bits.iter().copied().map(Some).collect();
            let bits = if delegates { bits } else { vec![None] };
            let large = members > ALL_FANOUTS_MAX;
            for loss in self.losses.iter().copied().filter(|loss| !large || *loss <= LOSSES_OF_LARGE_MAX) {
                for fanout in fanouts.iter().copied() {
                    for (probe_interval_ms, gossip_interval_ms) in intervals.iter().copied() {
                        cases.extend(bits.iter().map(|delegation_bits| Case {
                            members,
                            loss,
                            fanout,
                            probe_interval_ms,
                            gossip_interval_ms,
                            delegation_bits: *delegation_bits,
                            zones: self.zones,
                            zone_rtt_ms: self.zone_rtt_ms,
                        }));
                    }
                }
            }
        }
        cases
    }

    /// Runs every case on `threads` threads; `done` is called after each.
    ///
    /// # Errors
    /// What the simulator refuses first.
    pub fn run(
        &self,
        seed: u64,
        threads: usize,
        done: &(dyn Fn(&Row) + Sync),
    ) -> Result<Vec<Row>, TrialError> {
        let cases = self.cases();
        let next = AtomicUsize::new(0);
        let rows = Mutex::new(Vec::new());
        let work = || -> Result<(), TrialError> {
            while let Some((index, case)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                cases.get(index).map(|case| (index, case))
            } {
                let row = (*case, compare(case, seed)?);
                done(&row);
                if let Ok(mut rows) = rows.lock() {
                    rows.push((index, row));
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let mut rows = rows.into_inner().unwrap_or_default();
        rows.sort_by_key(|(index, _)| *index);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_product_of_its_dimensions() {
        let grid = Grid::default();
        // Two small sizes in full, one with an interval, one with a fanout as well and without the highest loss.
        assert_eq!(grid.cases().len(), 2 * (4 * 3 * 2) + 4 * 3 + 3);
        assert_eq!(grid.cases()[0].members, 10_000);
        let delegated = Grid { delegation_bits: vec![1, 2, 3], ..grid };
        assert_eq!(delegated.cases().len(), 3 * (4 * 3 + 3));
        assert!(delegated.cases().iter().all(|case| case.delegation_bits.is_some() && case.fanout == 3));
    }

    #[test]
    fn threads_change_nothing() {
        let small = Grid {
            members: vec![5, 8],
            losses: vec![0.0],
            fanouts: vec![2],
            intervals: vec![(500, 100)],
            ..Grid::default()
        };
        let (one, two) = (small.run(1, 1, &|_| {}).unwrap(), small.run(1, 2, &|_| {}).unwrap());
        assert_eq!(one, two);
        assert_eq!(one.len(), 2);
    }
}
