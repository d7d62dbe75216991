//! Repair of views, at a cost that follows the difference.
//!
//! Every ping and ack says by a root whether two views are the same. A member whose root differs from those that it hears for a
//! while, while nothing is being told, sends a *sketch* of its view to whoever sent the last
//! ([`crate::protocol::view::sketch`]): one datagram, whatever the view's size. The other subtracts its own, reads which entries
//! differ, sends those that the sender lacks and asks for those that it lacks itself; these the sender answers. Where too many differ
//! for a sketch, ranges of ids are compared ([`super::ranges`]); where most of a view is missing, as it is
//! to who has hardly begun to join, whole views are exchanged over a stream ([`super::push_pull`]).
//!
//! All of this is single frames, none of them acknowledged: what is lost is found again as long as roots differ. What is sent is
//! merged like the records of a push/pull: a dead member is an accusation, and no state is believed that does not
//! outrank what is known. Whoever is told something that it knows to be dead says so in turn.
//!
//! The one who began differs from all that it hears, so what it learns the others know, and it tells nobody. What the other
//! learns of it may be news to everyone, and is told.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::{
    EntryWanted, HEADER_LEN, LISTED_MAX, SKETCH_CELL_LEN, VIEW_REPAIR_LEN, VIEW_SKETCH_HEADER_LEN, ViewSketch,
};
use swimring_codec::{Incarnation, MemberId, State};

use crate::protocol::repair::frames::{FrameBudget, fitting, peer};
use crate::protocol::repair::push_pull::AntiEntropy;
use crate::protocol::shared_lists::view_talk::{Answer, Said, ViewTalk};
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::EntryState;
use crate::protocol::view::sketch::{CELLS, ReadItem};
use crate::protocol::wire::{Outgoing, Sender, Update};

/// Roots have to differ for so long, and the own to have stayed the same.
const LASTING: Duration = Duration::from_millis(300);

/// Roots that have differed for so long are repaired even while something is being told: perhaps something always is.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one sketch to the next. Doubled each time that the view has not changed since the one before.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// So many times.
const DOUBLINGS_MAX: u8 = 4;

/// So many doublings, and answers do not reach us: somebody else has our name, or something is amiss. A stream gets through to
/// the one who opened it. Once, until the view has changed.
const IN_VAIN: u8 = 3;

/// Differences from which on whole views are exchanged if they are more than half of a view, and not before.
const WHOLE_LEAST: usize = 1_024;

/// Most frames that a member sends in a second to find and repair what differs of views.
const VIEW_FRAMES_MAX: u8 = 192;

/// Most claims of others that a member has everyone told of in a second because a comparison brought them.
const TOLD_MAX: u8 = 32;

/// So many pings and acks in a row that show our root, and our view is the same as others': members that have missed the same have the same root,
/// but hardly ever all of those that one member hears.
const AGREED: u8 = 3;

/// Most messages in one frame: more than the shortest leave room for.
const MESSAGES_MAX: usize = 200;

/// What a member remembers of comparing its view with others.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct ViewRepair {
    /// Since when every ping and ack has shown another root than ours; [`Time::NEVER`] if the last showed the same.
    differing_since: Time,
    /// So many in a row have shown ours, up to [`AGREED`].
    agreed: u8,
    /// No sketch because of a differing root before this.
    allowed: Time,
    /// Half of our root when we last sent one.
    root_then: u32,
    pub(super) budget: FrameBudget,
    told: FrameBudget,
    /// How often the time between sketches has been doubled.
    doublings: u8,
    /// As sketches were in vain, whole views have been exchanged since ours changed.
    exchanged: bool,
}

impl ViewRepair {
    pub(in crate::protocol) fn new(now: Time) -> ViewRepair {
        ViewRepair {
            differing_since: Time::NEVER,
            agreed: AGREED,
            allowed: now,
            root_then: 0,
            budget: FrameBudget::FULL,
            told: FrameBudget::FULL,
            doublings: 0,
            exchanged: false,
        }
    }

    /// We have joined: nobody has shown our root.
    pub(in crate::protocol) fn note_joined(&mut self, now: Time) {
        self.differing_since = now;
        self.agreed = 0;
    }

    /// Whether pings and acks have shown our root often enough that nobody is missed.
    pub(in crate::protocol) fn agrees(&self) -> bool {
        self.agreed >= AGREED
    }

    /// Whether the last ping or ack showed another root than ours, or none has since we joined.
    pub(in crate::protocol) fn differs(&self) -> bool {
        self.differing_since != Time::NEVER
    }

    /// The driver lost time in which whole broadcasts may have passed: what was compared before it says nothing of them.
    pub(in crate::protocol) fn stalled(&mut self) {
        self.allowed = Time::ZERO;
        (self.doublings, self.exchanged) = (0, false);
    }

    /// Compares the root of a ping or an ack with ours.
    #[inline]
    pub(in crate::protocol) fn compare_roots(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        anti_entropy: &mut AntiEntropy,
    ) {
        let Some(root) = origin.root else { return };
        let same = root == core.table.root();
        self.agreed = if same { (self.agreed + 1).min(AGREED) } else { 0 };
        if !same && !origin.quiet {
            core.note_others_wait(cx.now);
        }
        // What makes the roots differ may lie unread.
        if same || cx.is_behind() {
            self.differing_since = Time::NEVER;
        } else {
            self.note_difference(core, cx, origin, anti_entropy);
        }
    }

    #[cold]
    fn note_difference(
        &mut self,
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        anti_entropy: &mut AntiEntropy,
    ) {
        if self.differing_since == Time::NEVER {
            self.differing_since = cx.now;
        }
        if cx.now < self.allowed || core.awaits_rush(cx.now) {
            return;
        }
        // Roots differ while news is under way, and a broadcast that is just passing needs no repair. Whoever has just joined
        // may have missed what others were told at that time, but learns of those that join with it.
        let unchanged = cx.now.since(self.differing_since.max(core.root_changed)) >= LASTING;
        let quiet = origin.quiet && core.is_quiet(cx.now);
        let fresh = anti_entropy.is_fresh(cx.now, &core.settings);
        let lasting = unchanged && (quiet || fresh);
        let impatient = !fresh && cx.now.since(self.differing_since) >= PATIENCE;
        if lasting || impatient {
            self.differing_since = cx.now;
            // Who has been forgotten since the ping is nobody to mend differences with.
            if let Some(peer) = peer(core, cx, origin) {
                self.ask(core, cx, peer);
                if self.doublings >= IN_VAIN && !self.exchanged {
                    self.exchanged = anti_entropy.exchange_whole(cx.now, peer);
                }
            }
        }
    }

    /// Sends a sketch to the member at `peer`. If nothing has come of the last one, we are introduced first: those whom we know
    /// may not know us, and answer nobody whom they do not.
    pub(in crate::protocol) fn ask(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, peer: MemberIndex) {
        if core.status != Status::Active {
            return;
        }
        let root = core.table.root() as u32;
        self.doublings = if root == self.root_then { (self.doublings + 1).min(DOUBLINGS_MAX) } else { 0 };
        self.exchanged &= self.doublings > 0;
        self.root_then = root;
        self.allowed = cx.now + WAIT_MIN * (1 << self.doublings);
        let Some(mut talk) = cx.shared.view_talk.take() else { return };
        if self.doublings > 0 {
            talk.began = true;
            talk.add_said(Said::Introduction(core.index));
            self.send_said(core, cx, peer, &talk);
            talk.clear();
        }
        if self.may_send(cx) {
            core.table.digest(&cx.shared.directory, &mut talk.digest);
            let room = core.room_for_list(cx, peer).saturating_sub(HEADER_LEN + VIEW_SKETCH_HEADER_LEN);
            talk.cells.clear();
            talk.digest.sketch.write((room / SKETCH_CELL_LEN).clamp(1, CELLS), &mut talk.cells);
            let sketch = Outgoing::ViewSketch(ViewSketch { cells: &talk.cells });
            let to = core.identity(peer, cx.shared).address();
            core.send_bare(cx, to, cx.shared.directory.id(peer), &[sketch]);
            cx.shared.counters.view_sketches_sent += 1;
        }
        cx.shared.view_talk = Some(talk);
    }

    /// The sender's view sums to `sketch`. True if whole views have to be exchanged with it.
    #[must_use]
    pub(in crate::protocol) fn on_sketch(
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        sketch: ViewSketch<'_>,
    ) -> bool {
        let same = origin.root == Some(core.table.root());
        if same || core.lacks_view() || peer(core, cx, origin).is_none() {
            return false;
        }
        let Some(mut talk) = cx.shared.view_talk.take() else { return false };
        core.table.digest(&cx.shared.directory, &mut talk.digest);
        let difference = &mut talk.digest.sketch;
        let used = difference.subtract(sketch.cells);
        let count = difference.estimate(used);
        let read = difference.read(used, &mut talk.differing);
        cx.views_compared = true;
        talk.began = false;
        let nothing = talk.differing.ours.is_empty() && talk.differing.theirs.is_empty();
        let whole = !read && count >= WHOLE_LEAST && count > core.table.live() / 2;
        if read && !nothing {
            tell_differences(core, cx, &mut talk);
        } else if !whole {
            // Too many for a sketch, or one that it cannot show.
            cx.shared.counters.view_sketches_unread += 1;
            // While much is on its way, lists of it would take more than telling it does. We are asked again.
            let settled = cx.now.since(core.root_changed) >= LASTING && !cx.is_behind();
            if settled || core.table.live() <= LISTED_MAX {
                core.compare_everything(cx, &mut talk);
            }
        }
        cx.shared.view_talk = Some(talk);
        whole
    }

    /// The sender wants to know what we know of a member.
    pub(in crate::protocol) fn on_wanted(core: &Core, cx: &mut Context<'_, '_>, wanted: EntryWanted) {
        let EntryWanted { subject, incarnation: known, .. } = wanted;
        let found = cx.shared.directory.find(subject).map(|index| (index, core.table.get(index)));
        let said = match found {
            Some((index, entry)) if entry.is_live() => match known.cmp(&entry.incarnation()) {
                _ if known == Incarnation::ZERO => Said::Introduction(index),
                // A tag has eight bits: an identity that only seems to be the same would be missed for good.
                Ordering::Less | Ordering::Equal => Said::Introduction(index),
                // The sender knows more.
                Ordering::Greater => {
                    let tag = core.identity(index, cx.shared).tag();
                    Said::Wanted(EntryWanted { subject, incarnation: entry.incarnation(), tag })
                }
            },
            _ if known == Incarnation::ZERO => return,
            Some((index, entry)) if !entry.is_unknown() && known <= entry.incarnation() => Said::Gone(index),
            _ => Said::Wanted(EntryWanted { subject, incarnation: Incarnation::ZERO, tag: 0 }),
        };
        answer_with(cx, said);
    }

    /// What was told to repair our view about the member at `index`, alive at `incarnation`, has been merged. If we know
    /// that it is gone, the sender is told.
    pub(in crate::protocol) fn object(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        index: MemberIndex,
        incarnation: Incarnation,
    ) {
        let entry = core.table.get(index);
        if entry.is_live() || entry.is_unknown() || entry.incarnation() < incarnation {
            return;
        }
        if says_itself(cx, index).is_some() {
            // Nobody whom we hold to be gone is answered otherwise.
            self.accuse(core, cx, index);
        } else {
            answer_with(cx, Said::Gone(index));
        }
    }

    /// Has the member at `index`, which says or is said to be something else than we hold it to be, state what it is: it is
    /// accused, by nobody in particular, where it has just spoken from, or else where we hold it to be.
    pub(in crate::protocol) fn accuse(&mut self, core: &Core, cx: &mut Context<'_, '_>, index: MemberIndex) {
        if core.status != Status::Active || !self.may_send(cx) {
            return;
        }
        let held = core.identity(index, cx.shared).address();
        let to = says_itself(cx, index).unwrap_or(held);
        let accusation = [Outgoing::ViewRepair { began: true }, outgoing(core, Said::Gone(index))];
        core.send_bare(cx, to, cx.shared.directory.id(index), &accusation);
    }

    /// Has the sender of the frame that is taken in introduced to the member at `index`.
    pub(in crate::protocol) fn introduce(cx: &mut Context<'_, '_>, index: MemberIndex) {
        answer_with(cx, Said::Introduction(index));
    }

    /// Whether everyone is to be told of one more claim that a comparison brought; counts it.
    pub(in crate::protocol) fn tells_on(&mut self, now: Time) -> bool {
        self.told.admits(TOLD_MAX, now)
    }

    /// Answers what the messages of a frame from `origin` said of its view.
    #[inline]
    pub(in crate::protocol) fn answer(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, origin: &Sender) {
        if cx.views_compared {
            self.answer_all(core, cx, origin);
        }
    }

    #[cold]
    fn answer_all(&mut self, core: &mut Core, cx: &mut Context<'_, '_>, origin: &Sender) {
        cx.views_compared = false;
        let Some(mut talk) = cx.shared.view_talk.take() else { return };
        if let Some(peer) = peer(core, cx, origin)
            && core.status == Status::Active
        {
            self.send_said(core, cx, peer, &talk);
            self.send_answers(core, cx, peer, &mut talk);
        }
        talk.clear();
        cx.shared.view_talk = Some(talk);
    }

    /// Sends what is said of single members, as much in a frame as it holds.
    fn send_said(&mut self, core: &Core, cx: &mut Context<'_, '_>, peer: MemberIndex, talk: &ViewTalk) {
        let room = core.room_for_list(cx, peer).saturating_sub(HEADER_LEN + VIEW_REPAIR_LEN);
        let began = talk.began;
        let mut rest = &talk.said[..];
        while !rest.is_empty() {
            let speaker = core.speaker(&cx.shared.directory, &cx.shared.events, false);
            let lengths = rest.iter().take(MESSAGES_MAX);
            let lengths = lengths.map(|said| cx.shared.wire.part_len(&speaker, &outgoing(core, *said)));
            let (count, bytes) = fitting(lengths, room);
            if !self.may_send(cx) {
                return;
            }
            let (carried, after) = rest.split_at(count);
            core.send_list(cx, peer, VIEW_REPAIR_LEN + bytes, 1 + count, |_, nth| match nth.checked_sub(1) {
                Some(nth) => outgoing(core, carried[nth]),
                None => Outgoing::ViewRepair { began },
            });
            let wanted = carried.iter().filter(|said| matches!(said, Said::Wanted(_))).count();
            cx.shared.counters.view_entries_wanted += wanted as u64;
            cx.shared.counters.view_entries_sent += (count - wanted) as u64;
            rest = after;
        }
    }

    /// Whether one more frame may leave in this second; counts it.
    pub(super) fn may_send(&mut self, cx: &mut Context<'_, '_>) -> bool {
        let may = self.budget.admits(VIEW_FRAMES_MAX, cx.now);
        cx.shared.counters.view_repairs_shed += u64::from(!may);
        may
    }
}

/// Has the sender of the frame that is taken in answered with `said`.
fn answer_with(cx: &mut Context<'_, '_>, said: Said) {
    let began = !cx.repairing.unwrap_or(true);
    if let Some(talk) = &mut cx.shared.view_talk {
        talk.began = began;
        talk.add_said(said);
        cx.views_compared = true;
    }
}

/// Where the frame that is taken in comes from, if it is from the member at `index`.
fn says_itself(cx: &Context<'_, '_>, index: MemberIndex) -> Option<SocketAddr> {
    let (address, source) = cx.sender?;
    (source == cx.shared.directory.id(index)).then_some(address)
}

/// Says what the other view lacks, and asks for what ours lacks.
fn tell_differences(core: &Core, cx: &Context<'_, '_>, talk: &mut ViewTalk) {
    talk.differing.ours.sort_unstable();
    for nth in 0..talk.differing.theirs.len() {
        let item = talk.differing.theirs[nth];
        let own = talk.differing.ours.binary_search_by_key(&item.id, |own| own.id);
        let index = cx.shared.directory.find(item.id);
        talk.add_said(match (own, index) {
            (Ok(_), Some(index)) => about_both(core, cx, index, item),
            (_, Some(index)) => about_theirs(core, index, item),
            (_, None) => wanted(item.id, Incarnation::ZERO, 0),
        });
    }
    talk.differing.theirs.sort_unstable();
    for nth in 0..talk.differing.ours.len() {
        let id = talk.differing.ours[nth].id;
        let theirs = talk.differing.theirs.binary_search_by_key(&id, |their| their.id);
        if theirs.is_err()
            && let Some(index) = cx.shared.directory.find(id)
        {
            talk.add_said(Said::Introduction(index));
        }
    }
}

fn wanted(subject: MemberId, incarnation: Incarnation, tag: u8) -> Said {
    Said::Wanted(EntryWanted { subject, incarnation, tag })
}

/// What is said of a member that is live in both views.
fn about_both(core: &Core, cx: &Context<'_, '_>, index: MemberIndex, theirs: ReadItem) -> Said {
    let (own, identity) = (core.table.get(index).incarnation(), core.identity(index, cx.shared));
    if theirs.incarnation() > own {
        wanted(theirs.id, own, identity.tag())
    } else if theirs.incarnation() < own && theirs.may_be(identity.hash()) {
        Said::Alive(index)
    } else {
        Said::Introduction(index)
    }
}

/// What is said of a member that is live in the other view, and not in ours.
fn about_theirs(core: &Core, index: MemberIndex, theirs: ReadItem) -> Said {
    let entry = core.table.get(index);
    if entry.is_unknown() || entry.is_live() || theirs.incarnation() > entry.incarnation() {
        wanted(theirs.id, Incarnation::ZERO, 0)
    } else {
        Said::Gone(index)
    }
}

/// `said` as it is sent.
fn outgoing(core: &Core, said: Said) -> Outgoing<'static> {
    let (subject, update) = match said {
        Said::Introduction(index) => (index, Update::Alive { introduce: true }),
        Said::Alive(index) => (index, Update::Alive { introduce: false }),
        Said::Gone(index) => match core.table.get(index).standing() {
            EntryState::Known(State::Left) => (index, Update::Left),
            // It may have come back, which is for it to say: an accusation of nobody's.
            _ => (index, Update::Suspect { accuser: MemberId::NONE }),
        },
        Said::Wanted(wanted) => return Outgoing::EntryWanted(wanted),
    };
    Outgoing::Update { subject, update, incarnation: core.table.get(subject).incarnation() }
}

/// Comparing more than a sketch can tell.
impl ViewRepair {
    fn send_answers(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        peer: MemberIndex,
        talk: &mut ViewTalk,
    ) {
        let mut nth = 0;
        while let Some(answer) = talk.answers.get(nth) {
            if !self.may_send(cx) {
                return;
            }
            nth += match *answer {
                Answer::Sums(range) => {
                    core.send_sums(cx, peer, range, talk);
                    1
                }
                Answer::List { .. } => core.send_lists(cx, peer, nth, talk),
            };
        }
    }
}
