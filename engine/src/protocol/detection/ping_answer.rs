//! Answering a ping: an ack, and beside it what its sender has to be told about itself.
//!
//! Whoever pings us although we take it for suspect, dead or gone can refute only if it hears of that. With adaptive suspicion a
//! ping that its sender chose to send is also returned later (see `return_probes`).

use swimring_codec::State;

use crate::protocol::detection::probe_sequence::is_chosen;
use crate::protocol::detection::reachability::Reachability;
use crate::protocol::detection::return_probes::ReturnProbes;
use crate::protocol::detection::suspicion::Suspicions;
use crate::protocol::state::{Context, Core};
use crate::protocol::view::entry::EntryState;
use crate::protocol::wire::{Outgoing, Sender, Update};

/// What takes note of a ping that arrives.
pub(in crate::protocol) struct PingNotes<'a> {
    pub(in crate::protocol) reachability: &'a mut Reachability,
    pub(in crate::protocol) return_probes: &'a mut ReturnProbes,
    pub(in crate::protocol) suspicions: &'a Suspicions,
}

/// Answers a ping. A member that pings us although we take it for suspect, dead or gone is told so, and can refute.
#[inline]
pub(in crate::protocol) fn answer_ping(
    core: &mut Core,
    cx: &mut Context<'_, '_>,
    notes: PingNotes<'_>,
    origin: &Sender,
    sequence: u32,
) {
    notes.reachability.pinged(cx.now);
    let (to, source, ack) = (origin.address, origin.source, Outgoing::Ack { sequence });
    if is_chosen(sequence) && core.adaptive {
        notes.return_probes.pinged_by(core, cx, source);
    }
    let told = !cx.shared.behaviour.suspects_untold;
    let accusation = if told { core.accusation(cx, origin, notes.suspicions) } else { None };
    match accusation {
        Some(accusation) => core.send(cx, to, source, &[ack, accusation]),
        None => core.send(cx, to, source, &[ack]),
    }
}

impl Core {
    /// What the sender of a frame has to be told about itself.
    #[inline]
    fn accusation(
        &self,
        cx: &Context<'_, '_>,
        origin: &Sender,
        suspicions: &Suspicions,
    ) -> Option<Outgoing<'static>> {
        // The sender is live in its own view. Where our roots agree it is live in ours, and without looking
        // it up, which in a fleet waits for memory, only a suspicion could be missed.
        let agreed = origin.root == Some(self.table.root()) && suspicions.is_empty();
        if agreed { None } else { self.find_accusation(cx, origin) }
    }

    #[cold]
    fn find_accusation(&self, cx: &Context<'_, '_>, origin: &Sender) -> Option<Outgoing<'static>> {
        let subject = cx.shared.directory.find(origin.source)?;
        let entry = self.table.get(subject);
        let update = match entry.standing() {
            EntryState::Unknown | EntryState::Known(State::Alive) => return None,
            EntryState::Known(State::Suspect) => Update::Suspect { accuser: self.id },
            EntryState::Known(State::Left) => Update::Left,
            EntryState::Known(State::Dead) | EntryState::Remembered => Update::Dead,
        };
        Some(Outgoing::Update { subject, update, incarnation: entry.incarnation() })
    }
}
