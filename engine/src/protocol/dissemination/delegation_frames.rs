//! The frames that delegations leave in.
//!
//! Frames leave in the turn in which something arrived, unless some left within the pacing interval. So a lone update
//! is passed on at once, and in a storm the frames that one member sends in a second are bounded, whatever happens. What
//! goes to one member shares frames; each has one number, and is acknowledged as a whole ([`super::delegated`]).

use std::time::Duration;

use swimring_codec::native::{DELEGATION_LEN, FRAME_MAX, HEADER_LEN};

use crate::protocol::dissemination::delegated::Ending;
use crate::protocol::dissemination::delegates::{Known, is_told_by_somebody, says};
use crate::protocol::shared_lists::delegation::{Delegation, Leaving, Ready};
use crate::protocol::shared_lists::delegations::UPDATES_MAX;
use crate::protocol::shared_lists::events::PartEnd;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::wire::Update;

/// Most frames in which one member passes things on at one moment. The rest waits for the next.
const FRAMES_MAX: usize = 64;

/// Least time for an acknowledgement at each level of the driver's being late: where it is behind, acknowledgements
/// lie unread, here or at the members it drives, and sending again would put it further behind.
const BEHIND_TIMEOUT: Duration = Duration::from_millis(500);

// The marks of the parts take their share too.
const _: () = assert!((FRAME_MAX - HEADER_LEN) / (DELEGATION_LEN + 16) < UPDATES_MAX);

impl Core {
    /// Sends what waits to be passed on, if it may leave now: what goes to one member in as few frames as it fits
    /// into.
    #[inline]
    pub(in crate::protocol) fn pass_on(&mut self, cx: &mut Context<'_, '_>) {
        if self.delegations.holds() {
            let unread = cx.lies_unread();
            cx.shared.delegations.release(&mut self.delegations, cx.now, unread);
        }
        // Never, while there is nothing.
        if self.delegations.due() <= cx.now {
            self.pass_on_waiting(cx);
        }
    }

    fn pass_on_waiting(&mut self, cx: &mut Context<'_, '_>) {
        let division = self.division(cx.now);
        let event_age_max = self.settings.event_memory / 2;
        let SharedState { directory, delegations, events, counters, unheard, .. } = &mut *cx.shared;
        let directory: &Directory = directory;
        let (now, pacing) = (cx.now, self.delegations.interval(self.settings.delegation_pacing));
        let known = Known { table: &self.table, directory, unheard, list: (self.number, &self.unheard), now };
        let mut ending = Ending::of(self.index, self.number, events, cx.out.events);
        let ready = delegations.ready(&mut self.delegations, now, pacing, directory, |waiting| {
            let keep = match waiting.update {
                // Older, and others may have forgotten it, and would take it for new.
                Update::Event => now.since(waiting.since) < event_age_max,
                update => says(known.table.get(waiting.subject), update, waiting.incarnation),
            };
            // A delegate that has been declared dead since is skipped at once, and so is one that others of our frames
            // were sent to in vain.
            let stays = keep && is_told_by_somebody(waiting, &division, &known);
            if !stays {
                counters.delegations_dropped += 1;
                ending.note(waiting, if keep { PartEnd::Told } else { PartEnd::GivenUp });
            }
            stays
        });
        let goodbyes = ending.goodbyes;
        if let Some(ready) = ready {
            let mut rest = &ready[..];
            for _ in 0..FRAMES_MAX {
                let Some((length, bytes)) = self.fill_frame(cx, rest) else { break };
                let (carried, after) = rest.split_at(length);
                let full = after.first().is_some_and(|next| Some(next.part.delegate) == delegate_of(carried));
                self.send_delegations(cx, carried, bytes, full);
                rest = after;
            }
            cx.shared.delegations.done(ready);
            cx.shared.counters.delegations_spaced += u64::from(self.delegations.is_spaced());
        }
        self.said_goodbye(cx, goodbyes);
    }

    /// How many of `ready` go into one frame, and the bytes that they take there with the marks of their parts. Nothing
    /// if there are none.
    fn fill_frame(&self, cx: &Context<'_, '_>, ready: &[Ready]) -> Option<(usize, usize)> {
        let first = ready.first()?;
        let delegate = first.part.delegate;
        let to = self.identity(delegate, cx.shared).address();
        let room = self.native_bytes_max(cx, to) - HEADER_LEN;
        let shared = &*cx.shared;
        let (mut bytes, mut part, mut length) = (0, None, 0);
        for next in ready.iter().take(UPDATES_MAX).take_while(|next| next.part.delegate == delegate) {
            let mark = if part == Some(next.part) { 0 } else { DELEGATION_LEN };
            let Delegation { subject, update, incarnation, .. } = *shared.delegations.get(*next);
            let said = shared.events.said(subject, update, incarnation);
            let more = bytes + mark + self.part_len(shared, &said);
            if more > room && length > 0 {
                break;
            }
            (bytes, part, length) = (more, Some(next.part), length + 1);
        }
        Some((length, bytes))
    }

    /// Sends what stands in `carried`, all of it for one delegate, in one frame, `bytes` without its header. `full`: more
    /// waits for the same delegate.
    fn send_delegations(&mut self, cx: &mut Context<'_, '_>, carried: &[Ready], bytes: usize, full: bool) {
        let Some(first) = carried.first() else { return };
        let behind = BEHIND_TIMEOUT * cx.shared.overload.into();
        // What we send lies unread, and then the answer does.
        let unread = cx.shared.unread * 2;
        let floor = self.settings.delegation_timeout_min.max(behind) + unread;
        let away = first.part.zone != self.zone;
        let fresh = cx.shared.unheard.of((self.number, &self.unheard), first.part.delegate, cx.now).is_none();
        let leaving = Leaving { away, fresh, full };
        let number = cx.shared.delegations.send(&mut self.delegations, carried, leaving, cx.now, floor);
        if self.send_delegated(cx, first.part.delegate, number, carried, bytes) {
            let copies = carried.len() as u64;
            cx.shared.counters.delegations_sent += copies;
            cx.shared.counters.delegation_frames_sent += 1;
            cx.shared.counters.delegations_crossed += if away { copies } else { 0 };
        } else {
            cx.shared.delegations.unsend(&mut self.delegations, number);
        }
    }
}

/// Whom the frame with `carried` goes to.
fn delegate_of(carried: &[Ready]) -> Option<MemberIndex> {
    carried.first().map(|first| first.part.delegate)
}
