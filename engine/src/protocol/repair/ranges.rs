//! Ranges of ids: where two views differ that differ by more than a sketch can tell.
//!
//! Ids are codes, so a range of them, all that begin with the same bits, holds as many members as any other of that length.
//! *Sums* of root terms over the 64 parts of a range say which of them differ. A part with few members is then
//! *listed*, by four bytes for each, whatever a member is called: half of them say who it is, half what is known of it. Whoever is
//! given a list sends what is not in it, asks for whom it does not know, and for whom the other knows differently
//! says what it knows itself. A part with many is divided again. So what is sent follows the parts that differ, and a list needs
//! no luck to be read. Where two members have the same two bytes, or two beliefs, something is left for the next sketch.

use swimring_codec::native::{
    EntryWanted, HEADER_LEN, IdRange, LISTED_LEN, SUMS_STEP_MAX, VIEW_LIST_HEADER_LEN, ViewList, ViewSums,
    listed_code,
};

use crate::protocol::repair::frames::peer;
use crate::protocol::repair::views::ViewRepair;
use crate::protocol::shared_lists::view_talk::{Answer, CODES_MAX, SAID_MAX, Said, ViewTalk};
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::shared_view::Named;
use crate::protocol::view::sketch::{Digest, Item};
use crate::protocol::wire::{Outgoing, Sender};

/// Most lists in one frame: more than the shortest leave room for.
const LISTS_MAX: usize = 32;

impl ViewRepair {
    /// Parts of the sender's view sum to `sums`.
    pub(in crate::protocol) fn on_sums(
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        sums: ViewSums<'_>,
    ) {
        let same = origin.root == Some(core.table.root());
        if same || core.lacks_view() || peer(core, cx, origin).is_none() {
            return;
        }
        let Some(mut talk) = cx.shared.view_talk.take() else { return };
        cx.views_compared = true;
        talk.began = !sums.began;
        core.table.digest(&cx.shared.directory, &mut talk.digest);
        let own = core.sums(cx.shared, sums.range, sums.step, &talk.digest);
        for (nth, (own, theirs)) in own.iter().zip(sums.sums).enumerate() {
            if *own != u64::from_le_bytes(*theirs)
                && let Some(part) = sums.range.part(sums.step, nth)
            {
                core.list_or_divide(cx, part, &mut talk);
            }
        }
        cx.shared.view_talk = Some(talk);
    }

    /// The sender has, or wants, what is in `list`.
    pub(in crate::protocol) fn on_list(
        core: &mut Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        list: ViewList<'_>,
    ) {
        if peer(core, cx, origin).is_none() {
            return;
        }
        let Some(mut talk) = cx.shared.view_talk.take() else { return };
        cx.views_compared = true;
        talk.began = !list.began;
        talk.listed.clear();
        talk.listed.extend(list.codes.iter().map(|code| (u32::from_le_bytes(*code), false)));
        talk.listed.sort_unstable();
        if list.wanted {
            core.give_listed(cx, list.range, &mut talk);
        } else {
            core.compare_listed(cx, list.range, &mut talk);
        }
        cx.shared.view_talk = Some(talk);
    }
}

impl Core {
    /// Sends those of our members in `range` that are listed.
    fn give_listed(&self, cx: &Context<'_, '_>, range: IdRange, talk: &mut ViewTalk) {
        let ViewTalk { said, listed, .. } = talk;
        self.for_each_live(cx.shared, range, |index, item| {
            let wanted = listed.binary_search_by_key(&code_of(&item), |(code, _)| *code).is_ok();
            if wanted && said.len() < SAID_MAX {
                said.push(Said::Introduction(index));
            }
        });
    }

    /// Compares what is listed with our members in `range`.
    fn compare_listed(&self, cx: &mut Context<'_, '_>, range: IdRange, talk: &mut ViewTalk) {
        let ViewTalk { listed, unlisted, .. } = talk;
        unlisted.clear();
        self.for_each_live(cx.shared, range, |index, item| {
            let code = code_of(&item);
            match listed.binary_search_by_key(&code, |(code, _)| *code) {
                Ok(at) => listed[at].1 = true,
                Err(_) => unlisted.push((code, index)),
            }
        });
        for nth in 0..talk.unlisted.len() {
            let (code, index) = talk.unlisted[nth];
            let first = talk.listed.partition_point(|(listed, _)| listed >> 16 < code >> 16);
            let same = talk.listed[first..].iter_mut().take_while(|(listed, _)| listed >> 16 == code >> 16);
            let changed = same.into_iter().find(|(_, found)| !found);
            let said = match changed {
                // Both know it: who knows more tells the other.
                Some((_, found)) => {
                    *found = true;
                    let incarnation = self.table.get(index).incarnation();
                    let tag = self.identity(index, cx.shared).tag();
                    let subject = cx.shared.directory.id(index);
                    Said::Wanted(EntryWanted { subject, incarnation, tag })
                }
                None => Said::Introduction(index),
            };
            talk.add_said(said);
        }
        let first = talk.codes.len();
        let unknown = talk.listed.iter().filter(|(_, found)| !found).map(|(code, _)| code.to_le_bytes());
        talk.codes.extend(unknown.take(CODES_MAX - first));
        let count = (talk.codes.len() - first) as u16;
        if count > 0 {
            cx.shared.counters.view_entries_wanted += u64::from(count);
            talk.answers.push(Answer::List { range, wanted: true, first: first as u32, count });
        }
    }

    /// Answers a sketch that could not be read: with a list of everyone if that fits a frame, otherwise with sums.
    pub(super) fn compare_everything(&self, cx: &mut Context<'_, '_>, talk: &mut ViewTalk) {
        self.list_or_divide(cx, IdRange::ALL, talk);
    }

    /// Lists our members in `range`, or has it divided if there are too many.
    fn list_or_divide(&self, cx: &mut Context<'_, '_>, range: IdRange, talk: &mut ViewTalk) {
        let around = HEADER_LEN + VIEW_LIST_HEADER_LEN + cx.shared.wire.seal_overhead();
        let most = (self.settings.frame_bytes_max - around) / LISTED_LEN;
        let first = talk.codes.len();
        let room = most.min(CODES_MAX - first);
        let mut fits = true;
        // Whoever has more than a frame holds in all need not be counted.
        if range != IdRange::ALL || self.table.live() <= most {
            let codes = &mut talk.codes;
            self.for_each_live(cx.shared, range, |_, item| {
                fits &= codes.len() - first < room;
                if fits {
                    codes.push(code_of(&item).to_le_bytes());
                }
            });
        } else {
            fits = false;
        }
        cx.shared.counters.view_ranges_sent += 1;
        if fits {
            let count = (talk.codes.len() - first) as u16;
            talk.answers.push(Answer::List { range, wanted: false, first: first as u32, count });
            return;
        }
        talk.codes.truncate(first);
        if range.part(SUMS_STEP_MAX, 0).is_some() {
            talk.answers.push(Answer::Sums(range));
        }
    }

    /// What our members sum to in the parts of `range` with `step` more bits. The sums of `digest` are our view's.
    fn sums(
        &self,
        shared: &SharedState,
        range: IdRange,
        step: u8,
        digest: &Digest,
    ) -> [u64; 1 << SUMS_STEP_MAX] {
        if range == IdRange::ALL && step == SUMS_STEP_MAX {
            return digest.sums;
        }
        let mut sums = [0; 1 << SUMS_STEP_MAX];
        self.for_each_live(shared, range, |_, item| {
            let sum: &mut u64 = &mut sums[range.part_of(step, item.id.0)];
            *sum = sum.wrapping_add(item.term());
        });
        sums
    }

    /// Calls `each` with every live member in `range`.
    fn for_each_live(&self, shared: &SharedState, range: IdRange, mut each: impl FnMut(MemberIndex, Item)) {
        let directory = &shared.directory;
        let zones = directory.zones();
        let (lowest, highest) = range.ends();
        for zone in zones.occupied() {
            for (_, index) in zones.order(zone).range(lowest..=highest) {
                let entry = self.table.get(index);
                // Somebody may be in another zone in the view of another member of this worker.
                let here = !zones.disagree()
                    || entry.is_live() && directory.identity(index, entry.version()).zone() == zone;
                if here && let Some(item) = Named::of(index, entry, directory).item(entry) {
                    each(index, item);
                }
            }
        }
    }

    /// Sends what our members in the parts of `range` sum to.
    pub(super) fn send_sums(
        &self,
        cx: &mut Context<'_, '_>,
        peer: MemberIndex,
        range: IdRange,
        talk: &mut ViewTalk,
    ) {
        let sums = self.sums(cx.shared, range, SUMS_STEP_MAX, &talk.digest);
        talk.sums.clear();
        talk.sums.extend(sums.iter().map(|sum| sum.to_le_bytes()));
        let sums = ViewSums { range, began: talk.began, step: SUMS_STEP_MAX, sums: &talk.sums };
        let to = self.identity(peer, cx.shared).address();
        self.send_bare(cx, to, cx.shared.directory.id(peer), &[Outgoing::ViewSums(sums)]);
    }

    /// Sends lists from the answer `nth` on, as many as one frame holds. Gives how many.
    pub(super) fn send_lists(
        &self,
        cx: &mut Context<'_, '_>,
        peer: MemberIndex,
        nth: usize,
        talk: &ViewTalk,
    ) -> usize {
        let room = self.room_for_list(cx, peer).saturating_sub(HEADER_LEN);
        let said = |answer: &Answer| match *answer {
            Answer::List { range, wanted, first, count } => {
                let codes = &talk.codes[first as usize..][..usize::from(count)];
                Some(ViewList { range, began: talk.began, wanted, codes })
            }
            Answer::Sums(_) => None,
        };
        let lists = talk.answers[nth..].iter().map_while(said).take(LISTS_MAX);
        let (mut sent, mut bytes) = (0, 0);
        for list in lists.clone() {
            if sent > 0 && bytes + list.encoded_len() > room {
                break;
            }
            (sent, bytes) = (sent + 1, bytes + list.encoded_len());
        }
        let mut messages = [Outgoing::ViewRepair { began: talk.began }; LISTS_MAX];
        for (message, list) in messages.iter_mut().zip(lists.take(sent)) {
            *message = Outgoing::ViewList(list);
        }
        let to = self.identity(peer, cx.shared).address();
        self.send_bare(cx, to, cx.shared.directory.id(peer), &messages[..sent]);
        sent
    }
}

/// What a list has of a member.
fn code_of(item: &Item) -> u32 {
    listed_code(item.id, item.term())
}
