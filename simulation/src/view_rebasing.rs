//! Rebasing in a simulation: at times that have nothing to do with what happens in it.
//!
//! The base that a member's view is stored as a difference from must not change anything that can be
//! observed. So the simulator moves members about while everything else goes on, with random numbers of its
//! own: two simulations of one seed are the same whatever is done here.

use super::node::Node;
use swimring::protocol::{Compaction, Crew, Member, SharedState};

/// How members' views are moved between shared bases.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rebasing {
    /// As they began: nobody moves.
    Never,
    /// As in a worker: where members share storage, a sweep goes round them.
    #[default]
    Swept,
    /// Anybody at any moment, and any view may become the newest base: for tests.
    Restless,
}

/// Happenings from one member's turn in the sweep to the next's: some seconds for a round, however many
/// there are.
const HAPPENINGS_PER_MEMBER: u32 = 16;

/// One happening in so many is followed by a move, if they are restless, and one move in so many by a new base.
const RESTLESS_EVERY: u8 = 4;
const BASE_EVERY: u8 = 4;

/// The nodes, as the places that are gone round.
struct Places<'a>(&'a mut [Node]);

impl Crew for Places<'_> {
    fn places(&self) -> usize {
        self.0.len()
    }

    fn member_at(&mut self, place: usize) -> Option<&mut Member> {
        self.0.get_mut(place)?.member.as_mut()
    }
}

/// Does it. See the module.
#[derive(Debug)]
pub(super) struct Rebaser {
    rebasing: Rebasing,
    sweep: Compaction,
    happenings: u32,
    rng: fastrand::Rng,
}

impl Rebaser {
    pub(super) fn new(rebasing: Rebasing, seed: u64, shared_commons: bool) -> Rebaser {
        let alone = rebasing == Rebasing::Swept && !shared_commons;
        Rebaser {
            rebasing: if alone { Rebasing::Never } else { rebasing },
            sweep: Compaction::default(),
            happenings: 0,
            rng: fastrand::Rng::with_seed(seed ^ 0x7265_6261_7365_0000),
        }
    }

    /// Something has happened.
    #[inline]
    pub(super) fn step(&mut self, nodes: &mut [Node], commons: &mut [SharedState]) {
        match self.rebasing {
            Rebasing::Never => {}
            Rebasing::Swept => {
                self.happenings += 1;
                if self.happenings >= HAPPENINGS_PER_MEMBER {
                    self.happenings = 0;
                    self.sweep.step(1, &mut Places(nodes), &mut commons[0]);
                }
            }
            Rebasing::Restless if self.rng.u8(..RESTLESS_EVERY) == 0 => self.stir(nodes, commons),
            Rebasing::Restless => {}
        }
    }

    /// Moves someone.
    fn stir(&mut self, nodes: &mut [Node], commons: &mut [SharedState]) {
        let node = &mut nodes[self.rng.usize(..nodes.len())];
        let commons = &mut commons[node.commons];
        let Some(member) = &mut node.member else { return commons.retire_base() };
        if self.rng.u8(..BASE_EVERY) == 0 {
            commons.make_base(member);
        }
        member.rebase(commons);
    }
}
