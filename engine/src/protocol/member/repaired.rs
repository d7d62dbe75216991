//! What is made of what another member sends because its view differs from ours.
//!
//! It is what a record of a push/pull is, one at a time: weaker than what is told. Whoever is held dead is accused, by nobody
//! in particular, and has the time of a suspicion to refute, or is asked at once where suspicion is adaptive. If we know a member to be gone of whom the sender says that it
//! lives, we say so in turn.

use swimring_codec::native::ViewSketch;

use crate::protocol::member::Member;
use crate::protocol::member::merge::TellOn;
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::state::Context;
use crate::protocol::view::directory::UNVERSIONED;
use crate::protocol::wire::{Incoming, Sender, Subject};

impl Member {
    /// The sender's view sums to `sketch`.
    pub(super) fn on_sketch(&mut self, cx: &mut Context<'_, '_>, sender: &Sender, sketch: ViewSketch<'_>) {
        let whole = ViewRepair::on_sketch(&mut self.core, cx, sender, sketch);
        if whole && let Some(peer) = cx.shared.directory.find(sender.source) {
            self.anti_entropy.exchange_whole(cx.now, peer);
        }
    }

    /// An update repairs our view, in an exchange that its sender `began` or we did.
    #[cold]
    pub(super) fn on_repaired<S: Subject>(
        &mut self,
        cx: &mut Context<'_, '_>,
        update: Incoming<'_, S>,
        began: bool,
    ) {
        // We differ from all that we hear if we began, and then others know what we learn. So they do if we have just joined.
        // And in a rush all of our view is told.
        let rushed = self.core.awaits_rush(cx.now);
        let news = began && !rushed && !self.anti_entropy.is_fresh(cx.now, &self.core.settings);
        let tell_on =
            if news && self.view_repair.tells_on(cx.now) { TellOn::Everyone } else { TellOn::Nobody };
        let (index, incarnation) = match update {
            Incoming::Alive { subject, incarnation, tag } => {
                self.on_alive(cx, subject, incarnation, tag, tell_on);
                (subject.find(&cx.shared.directory), incarnation)
            }
            Incoming::Introduction(introduction) => {
                self.merge_record(cx, &introduction, UNVERSIONED, tell_on);
                self.core.say_greater_life(cx, &introduction);
                (cx.shared.directory.find(introduction.subject), introduction.incarnation)
            }
            Incoming::Suspect { subject, incarnation, .. } | Incoming::Dead { subject, incarnation } => {
                let own = self.core.table.get(self.core.index).incarnation();
                if incarnation >= own && subject.find(&cx.shared.directory) == Some(self.core.index) {
                    return self.refute(cx, incarnation, true);
                }
                return self.on_dead_record(cx, subject, incarnation);
            }
            Incoming::Left { subject, incarnation } => return self.on_left(cx, subject, incarnation),
            _ => return,
        };
        if let Some(index) = index {
            self.view_repair.object(&self.core, cx, index, incarnation);
        }
    }
}
