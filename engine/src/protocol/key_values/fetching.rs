//! Fetching what is known to have come further than here: what was told by its version alone, or did not follow on what was here.
//!
//! It is asked for by an exchange that lists it alone, of whoever told of it, then of others, then of its owner.

use std::sync::Arc;
use std::time::Duration;

use swimring_codec::MemberId;

use super::store::Store;
use super::{is_live, open};
use crate::protocol::outbox::StreamPurpose;
use crate::protocol::state::{Context, Core};
use crate::protocol::time::Time;

/// Maps and keys that are known to have come further, to be fetched. More are left to the roots.
const WANTS_MAX: usize = 64;

/// Times that one is asked for before it is left to the roots.
const ASKED_MAX: u8 = 8;

/// How long an answer may take before it is asked for again; that much more each time.
const ASKED_AGAIN: Duration = Duration::from_millis(100);

/// Something that was told in another order arrives within this.
const REORDERED: Duration = Duration::from_millis(100);

/// What is known to have come further than here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// The map of a member.
    Map { owner: MemberId, epoch: u64, version: u64 },
    /// A key of the cluster.
    Key { key: Arc<str>, version: u64, writer: MemberId },
}

impl Wanted {
    /// Whether both are about the same map or key.
    fn is_of(&self, other: &Wanted) -> bool {
        match (self, other) {
            (Wanted::Map { owner: one, .. }, Wanted::Map { owner: other, .. }) => one == other,
            (Wanted::Key { key: one, .. }, Wanted::Key { key: other, .. }) => one == other,
            _ => false,
        }
    }

    /// Whoever has it for sure.
    fn owner(&self) -> MemberId {
        match self {
            Wanted::Map { owner, .. } => *owner,
            Wanted::Key { writer, .. } => *writer,
        }
    }

    /// Whether it is not here yet.
    fn is_missing(&self, store: &Store) -> bool {
        match self {
            Wanted::Map { owner, epoch, version } => {
                let have = store.maps.get(owner).map_or((0, 0), |map| (map.epoch, map.version));
                have < (*epoch, *version)
            }
            Wanted::Key { key, version, writer } => store.cluster.is_news(key, *version, *writer),
        }
    }
}

/// Something to be fetched.
#[derive(Clone, Debug)]
struct Want {
    what: Wanted,
    due: Time,
    /// Who is asked, or is to be.
    from: MemberId,
    asked: u8,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    wants: Vec<Want>,
}

impl Fetching {
    /// There is something that is not here, as `from` says.
    pub(super) fn want(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, what: Wanted, from: MemberId) {
        cx.shared.counters.state_gaps += 1;
        if let Some(want) = self.wants.iter_mut().find(|want| want.what.is_of(&what)) {
            want.what = what;
            return;
        }
        if self.wants.len() < WANTS_MAX {
            // The owner has it; others may have to fetch it themselves first, or it is on its way.
            let wait = if from == what.owner() { REORDERED / 4 } else { REORDERED };
            let due = cx.now + wait.mul_f64(0.5 + core.rng.f64() / 2.0);
            self.wants.push(Want { what, due, from, asked: 0 });
        }
    }

    /// When something is to be asked for next.
    pub(super) fn due(&self) -> Time {
        self.wants.iter().map(|want| want.due).min().unwrap_or(Time::NEVER)
    }

    /// What `member` is to be asked for.
    pub(super) fn wanted_from(&self, member: MemberId) -> impl Iterator<Item = &Wanted> {
        self.wants.iter().filter(move |want| want.from == member).map(|want| &want.what)
    }

    /// Asks for the maps that are known to have come further.
    pub(super) fn fetch(&mut self, store: &Store, core: &mut Core, cx: &mut Context<'_, '_>) {
        self.wants.retain(|want| want.asked < ASKED_MAX && want.what.is_missing(store));
        let mut asked: Vec<MemberId> = Vec::new();
        for at in 0..self.wants.len() {
            let want = &self.wants[at];
            if want.due > cx.now {
                continue;
            }
            let from = match want.asked {
                // It may not have had it yet.
                0 | 1 => Some(want.from),
                nth if nth % 2 == 0 => Some(want.what.owner()),
                _ => None,
            };
            let from = from.filter(|id| *id != core.id && is_live(core, cx.shared, *id));
            let from = from.or_else(|| core.anybody().map(|index| cx.shared.directory.id(index)));
            let wait = ASKED_AGAIN * (1 + u32::from(want.asked));
            let due = cx.now + wait.mul_f64(0.5 + core.rng.f64());
            let want = &mut self.wants[at];
            (want.from, want.due, want.asked) = (from.unwrap_or(want.from), due, want.asked + 1);
            if let Some(from) = from.filter(|from| !asked.contains(from)) {
                asked.push(from);
            }
        }
        for id in asked {
            if let Some(index) = cx.shared.directory.find(id) {
                open(core, cx, index, StreamPurpose::SharedState { all_maps: false, all_keys: false });
            }
        }
    }
}
