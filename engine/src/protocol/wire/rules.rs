//! What a format asks of the protocol beside its bytes.
//!
//! Formats carry different things, and peers of ours expect different things. The protocol asks for the
//! difference itself and not for the format's name: so a new format states here what it needs.

use std::time::Duration;

use swimring_codec::Incarnation;
use swimring_codec::memberlist::Versions;

use super::options::{MemberlistDialect, MemberlistOptions};
use crate::protocol::settings::SuspicionMode;
use crate::protocol::view::directory::UNVERSIONED;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Rules {
    /// The protocol versions that members announce.
    pub(in crate::protocol) versions: Versions,
    /// Whoever joins a pool whose versions do not go with its own is refused without a word.
    pub(in crate::protocol) versions_have_to_match: bool,
    /// How far incarnations may rise.
    pub(in crate::protocol) incarnations: IncarnationSteps,
    /// Peers count incarnations from one, or from wall time: one that counts from wall time may follow one
    /// that did not, and a jump is plausible as far as our own incarnation is.
    pub(in crate::protocol) counted_from_one: bool,
    /// What is told can be delegated, and is acknowledged.
    pub(in crate::protocol) delegates: bool,
    /// Frames carry the sender's state root, which shows what a member has missed.
    pub(in crate::protocol) carries_roots: bool,
    /// Members can share state.
    pub(in crate::protocol) shares_state: bool,
    /// Set where a name belongs to the address that had it first, whatever the incarnation, until it has
    /// been dead for so long.
    pub(in crate::protocol) address_kept: Option<Duration>,
    /// The owner of a name may be told who else claims it.
    pub(in crate::protocol) owners_told: bool,
    /// Members keep Serf's clocks, and say by them when they join and leave.
    pub(in crate::protocol) serf: bool,
}

/// How far above a known incarnation an accusation may lie, and how far a member rises to answer one. What is
/// accused has to be within what can be answered, and both so small that forged accusations do not drive an
/// incarnation to its end.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct IncarnationSteps {
    pub(in crate::protocol) accused: u64,
    pub(in crate::protocol) own: u64,
    /// The largest that can be written.
    pub(in crate::protocol) highest: u64,
}

impl IncarnationSteps {
    /// The highest incarnation that a member starts at, whatever the clock says: half way to the end, 2088 on
    /// memberlist's wire where incarnations count seconds from 2020. What is left is for refutations, of which
    /// each rises by one, or by `accused` if somebody forges accusations.
    pub(in crate::protocol) fn first_max(&self) -> Incarnation {
        Incarnation::new(self.highest / 2)
    }
}

impl Rules {
    /// Of Swimring's own format, which only its own members speak.
    fn is_native(&self) -> bool {
        self.delegates
    }

    /// Whether suspicion is adaptive with this setting.
    pub(in crate::protocol) fn adapts(&self, suspicion: SuspicionMode) -> bool {
        suspicion.on(self.is_native()) == SuspicionMode::Adaptive
    }

    /// Of Swimring's own format: 48 bits of incarnation.
    pub(super) const NATIVE: Rules = Rules {
        versions: UNVERSIONED,
        versions_have_to_match: false,
        incarnations: IncarnationSteps { accused: 1 << 16, own: 1 << 20, highest: (1 << 48) - 1 },
        counted_from_one: false,
        delegates: true,
        carries_roots: true,
        shares_state: true,
        address_kept: None,
        owners_told: false,
        serf: false,
    };

    /// Of memberlist's: 32 bits of incarnation. A member of Serf's that hears of a claim to its name has the
    /// pool vote, and ends unless a majority of the answers is for it: where most members are ours, which do
    /// not answer, none may come. So it is not told.
    pub(super) fn memberlist(options: &MemberlistOptions) -> Rules {
        Rules {
            versions: options.versions,
            versions_have_to_match: true,
            incarnations: IncarnationSteps { accused: 1 << 6, own: 1 << 10, highest: u32::MAX as u64 },
            counted_from_one: true,
            delegates: false,
            carries_roots: false,
            shares_state: false,
            address_kept: Some(options.dead_node_reclaim_time),
            owners_told: options.dialect == MemberlistDialect::Memberlist,
            serf: options.dialect == MemberlistDialect::Serf,
        }
    }
}
