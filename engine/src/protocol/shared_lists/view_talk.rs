//! What is worked out while views are compared: room that the members of a worker share, and that keeps its memory.

use swimring_codec::native::{EntryWanted, IdRange, LISTED_MAX, SKETCH_CELLS_MAX, SketchCell};

use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::sketch::{Differing, Digest};

/// Most things that one frame is answered with about single members: more than fit the frames of a second.
pub(in crate::protocol) const SAID_MAX: usize = 4_096;

/// Room for as many is set aside.
const SAID_RESERVED: usize = 256;

/// Most codes in the lists that one frame is answered with.
pub(in crate::protocol) const CODES_MAX: usize = 64 * LISTED_MAX;

/// Something about a member whose entry differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Said {
    /// All that we know of it.
    Introduction(MemberIndex),
    /// Its incarnation, to somebody who knows the rest.
    Alive(MemberIndex),
    /// That it is dead, or left.
    Gone(MemberIndex),
    /// Tell us.
    Wanted(EntryWanted),
}

/// What is answered about a range of ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Answer {
    /// With `count` of the codes, from `first` on.
    List { range: IdRange, wanted: bool, first: u32, count: u16 },
    /// With sums of its parts.
    Sums(IdRange),
}

/// See the module.
#[derive(Debug)]
pub(in crate::protocol) struct ViewTalk {
    /// What our view sums to.
    pub(in crate::protocol) digest: Box<Digest>,
    /// What a sketch says.
    pub(in crate::protocol) differing: Differing,
    /// A sketch on its way out.
    pub(in crate::protocol) cells: Vec<SketchCell>,
    /// Sums on their way out.
    pub(in crate::protocol) sums: Vec<[u8; 8]>,
    /// We began the exchange that is answered.
    pub(in crate::protocol) began: bool,
    pub(in crate::protocol) said: Vec<Said>,
    pub(in crate::protocol) answers: Vec<Answer>,
    /// What lists have of members, little-endian.
    pub(in crate::protocol) codes: Vec<[u8; 4]>,
    /// What a list has, in order, and whether we have it too.
    pub(in crate::protocol) listed: Vec<(u32, bool)>,
    /// Our members that it does not have, and what it would have of them.
    pub(in crate::protocol) unlisted: Vec<(u32, MemberIndex)>,
}

impl ViewTalk {
    pub(in crate::protocol) fn new() -> ViewTalk {
        ViewTalk {
            digest: Box::new(Digest::EMPTY),
            differing: Differing::new(),
            cells: Vec::with_capacity(SKETCH_CELLS_MAX),
            sums: Vec::with_capacity(64),
            began: false,
            said: Vec::with_capacity(SAID_RESERVED),
            answers: Vec::with_capacity(64),
            codes: Vec::with_capacity(LISTED_MAX),
            listed: Vec::with_capacity(LISTED_MAX),
            unlisted: Vec::with_capacity(LISTED_MAX),
        }
    }

    /// Adds something about a member, if there is room.
    pub(in crate::protocol) fn add_said(&mut self, said: Said) {
        if self.said.len() < SAID_MAX {
            self.said.push(said);
        }
    }

    pub(in crate::protocol) fn clear(&mut self) {
        self.said.clear();
        self.answers.clear();
        self.codes.clear();
    }
}
