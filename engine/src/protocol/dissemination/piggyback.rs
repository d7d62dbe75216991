//! Sending: what a frame carries beside what it is sent for.
//!
//! Every ping, ack and nack takes along as many waiting updates as fit (SWIM section 4.1), so what is new spreads
//! without datagrams of its own. A frame is planned, then written (`wire/frame.rs`); the format is asked for once,
//! here.

use std::net::SocketAddr;

use swimring_codec::MemberId;
use swimring_codec::native::FRAME_MAX;

use crate::protocol::behaviour::Behaviour;
use crate::protocol::counters::Counters;
use crate::protocol::outbox::FrameSink;
use crate::protocol::settings::Settings;
use crate::protocol::shared_lists::broadcasts::{Broadcast, BroadcastPool, Queue, Selection};
use crate::protocol::shared_lists::delegation::{Delegation, Ready};
use crate::protocol::shared_lists::events::EventStore;
use crate::protocol::state::{Context, Core, SharedState};
use crate::protocol::time::Time;
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::wire::{Format, Frame, Native, Outgoing, Speaker, Spoken};

/// What a frame is sent for, and to whom.
#[derive(Clone, Copy)]
struct Errand<'a> {
    speaker: &'a Speaker<'a>,
    settings: &'a Settings,
    to: SocketAddr,
    /// [`MemberId::NONE`] for whoever has the address.
    destination: MemberId,
    messages: &'a [Outgoing<'a>],
    /// What else goes along fills the frame.
    filled: bool,
}

/// What waits to go along, and where it lies.
struct Waiting<'a> {
    broadcasts: &'a BroadcastPool,
    events: &'a EventStore,
    queue: &'a Queue,
    settings: &'a Settings,
    behaviour: &'a Behaviour,
}

impl<'a> Waiting<'a> {
    /// Chooses what fits into `budget` bytes.
    fn choose(&self, budget: usize, chosen: &mut Selection) {
        let share = if self.behaviour.events_last { 0 } else { self.settings.event_share_percent };
        self.broadcasts.select(self.queue, budget, share, chosen);
    }

    /// What the broadcast `node` of the pool says.
    #[inline]
    fn said(&self, node: u32) -> Outgoing<'a> {
        let Broadcast { subject, news, incarnation, .. } = *self.broadcasts.get(node);
        self.events.said(subject, news, incarnation)
    }
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Written,
    /// The sink was full.
    Shed,
    /// There was nothing to say.
    Nothing,
}

impl Sent {
    fn count(self, counters: &mut Counters) {
        match self {
            Sent::Written => counters.frames_sent += 1,
            Sent::Shed => counters.frames_shed += 1,
            Sent::Nothing => {}
        }
    }
}

/// Puts a frame in the format that is spoken: the one place where it is asked which that is.
macro_rules! put_spoken {
    ($spoken:expr, $($argument:expr),+) => {
        match $spoken {
            Spoken::Native(native) => put(native, $($argument),+),
            Spoken::Memberlist(packets) => put(&mut **packets, $($argument),+),
            Spoken::Typed(values) => put(&mut **values, $($argument),+),
        }
    };
}

/// Nothing that would go along with a frame.
fn nothing<'a>(_: usize) -> (std::iter::Empty<Outgoing<'a>>, usize) {
    (std::iter::empty(), 0)
}

impl Core {
    /// Sends `messages`, and as many updates beside them as fit, to the member `destination`; nothing if there is
    /// neither. [`MemberId::NONE`] is whoever has the address.
    pub(in crate::protocol) fn send(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Outgoing<'_>],
    ) {
        self.drop_stale_events(cx);
        if !self.queue.is_empty() {
            return self.send_filled(cx, to, destination, messages);
        }
        let SharedState { wire, directory, events, counters, .. } = &mut *cx.shared;
        let (speaker, settings) = (&self.speaker_at(directory, events, cx.now), &*self.settings);
        let errand = Errand { speaker, settings, to, destination, messages, filled: false };
        put_spoken!(&mut wire.spoken, errand, nothing, &mut *cx.out.frames).count(counters);
    }

    /// Sends updates alone to the member at `target`, if there are some that fit.
    pub(in crate::protocol) fn send_news(&mut self, cx: &mut Context<'_, '_>, target: MemberIndex) {
        let to = self.identity(target, cx.shared).address();
        self.send_filled(cx, to, cx.shared.directory.id(target), &[]);
    }

    /// Sends `messages` and no updates.
    pub(in crate::protocol) fn send_bare(
        &self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Outgoing<'_>],
    ) {
        let SharedState { wire, directory, events, counters, .. } = &mut *cx.shared;
        let (speaker, settings) = (&self.speaker_at(directory, events, cx.now), &*self.settings);
        let errand = Errand { speaker, settings, to, destination, messages, filled: false };
        put_spoken!(&mut wire.spoken, errand, nothing, &mut *cx.out.frames).count(counters);
    }

    /// Sends `messages` and what of the queue fits beside them, and counts that as sent.
    fn send_filled(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Outgoing<'_>],
    ) {
        let mut chosen = Selection::new();
        let SharedState { wire, directory, broadcasts, events, behaviour, counters, .. } = &mut *cx.shared;
        let (queue, settings) = (&self.queue, &*self.settings);
        let waiting = &Waiting { broadcasts, events, queue, settings, behaviour };
        let speaker = &self.speaker_at(directory, events, cx.now);
        let errand = Errand { speaker, settings, to, destination, messages, filled: true };
        let into = &mut chosen;
        let sent = put_spoken!(
            &mut wire.spoken,
            errand,
            |budget| {
                waiting.choose(budget, into);
                (into.nodes().iter().map(|node| waiting.said(*node)), into.bytes)
            },
            &mut *cx.out.frames
        );
        sent.count(counters);
        if sent == Sent::Written {
            self.count_copies(cx, chosen.nodes());
        }
    }

    /// Sends the delegations `carried` to the member at `delegate` under `number`, each group with the part of the
    /// cluster that it is for, `parts_len` bytes in all. False if the sink is full.
    pub(super) fn send_delegated(
        &mut self,
        cx: &mut Context<'_, '_>,
        delegate: MemberIndex,
        number: u32,
        carried: &[Ready],
        parts_len: usize,
    ) -> bool {
        let to = self.identity(delegate, cx.shared).address();
        let SharedState { wire, directory, delegations, events, counters, .. } = &mut *cx.shared;
        let (directory, delegations, events) = (&*directory, &*delegations, &*events);
        let updates = (0..carried.len()).flat_map(|nth| {
            let part = carried[nth].part;
            let same = nth > 0 && carried[nth - 1].part == part;
            let (prefix_bits, zone) = (part.prefix_bits, directory.zones().tag(part.zone));
            let view_first = part.view_first;
            let mark = (!same).then_some(Outgoing::Delegation { number, prefix_bits, zone, view_first });
            let Delegation { subject, update, incarnation, .. } = *delegations.get(carried[nth]);
            mark.into_iter().chain(std::iter::once(events.said(subject, update, incarnation)))
        });
        let (speaker, settings) = (&self.speaker_at(directory, events, cx.now), &*self.settings);
        let destination = directory.id(delegate);
        let errand = Errand { speaker, settings, to, destination, messages: &[], filled: false };
        let sent = put_spoken!(&mut wire.spoken, errand, |_| (updates, parts_len), &mut *cx.out.frames);
        sent.count(counters);
        sent == Sent::Written
    }

    /// Sends a list of `count` messages, `parts_len` bytes in all, to the member at `to`. `said` gives each by its place.
    pub(in crate::protocol) fn send_list<F>(
        &self,
        cx: &mut Context<'_, '_>,
        to: MemberIndex,
        parts_len: usize,
        count: usize,
        said: F,
    ) where
        F: for<'e> Fn(&'e EventStore, usize) -> Outgoing<'e>,
    {
        let address = self.identity(to, cx.shared).address();
        let SharedState { wire, directory, events, counters, .. } = &mut *cx.shared;
        let events = &*events;
        let (speaker, settings) = (&self.speaker_at(directory, events, cx.now), &*self.settings);
        let destination = directory.id(to);
        let errand = Errand { speaker, settings, to: address, destination, messages: &[], filled: false };
        let said = &said;
        let list = (0..count).map(move |nth| said(events, nth));
        put_spoken!(&mut wire.spoken, errand, |_| (list, parts_len), &mut *cx.out.frames).count(counters);
    }

    /// Bytes of the longest native frame to the member at `to`, without what sealing adds.
    pub(in crate::protocol) fn room_for_list(&self, cx: &Context<'_, '_>, to: MemberIndex) -> usize {
        self.native_bytes_max(cx, self.identity(to, cx.shared).address())
    }

    /// The longest native frame to `to`, without what sealing adds.
    pub(super) fn native_bytes_max(&self, cx: &Context<'_, '_>, to: SocketAddr) -> usize {
        let bytes_max = frame_bytes_max(&Native::PLAIN, &self.settings, cx.out.frames.frame_bytes_max(to));
        bytes_max - cx.shared.wire.seal_overhead()
    }

    /// Notes that the broadcasts `sent` were sent once more.
    fn count_copies(&mut self, cx: &mut Context<'_, '_>, sent: &[u32]) {
        cx.shared.counters.broadcast_copies_sent += sent.len() as u64;
        let known = self.table.known();
        let limit = if cx.shared.behaviour.fewer_copies_in_small_pools {
            self.settings.upstream_retransmit_limit(known)
        } else {
            self.settings.retransmit_limit(known)
        };
        for node in sent {
            if let Some(gone) = cx.shared.broadcasts.mark_sent(&mut self.queue, *node, limit) {
                self.broadcast_gone(cx, gone);
            }
        }
    }

    /// Bytes that `said` takes in a frame.
    pub(super) fn part_len(&self, shared: &SharedState, said: &Outgoing<'_>) -> usize {
        // How long something is does not depend on whether we are quiet.
        shared.wire.part_len(&self.speaker(&shared.directory, &shared.events, false), said)
    }

    /// This member as it speaks in a frame at `now`.
    #[inline]
    fn speaker_at<'a>(&'a self, directory: &'a Directory, events: &EventStore, now: Time) -> Speaker<'a> {
        self.speaker(directory, events, self.is_quiet(now))
    }

    /// This member, as formats look up what they write.
    #[inline]
    pub(in crate::protocol) fn speaker<'a>(
        &'a self,
        directory: &'a Directory,
        events: &EventStore,
        quiet: bool,
    ) -> Speaker<'a> {
        Speaker {
            id: self.id,
            index: self.index,
            number: self.number,
            cluster: self.cluster,
            quiet,
            event_root: events.root(self.number),
            table: &self.table,
            directory,
        }
    }
}

/// Plans a frame in `format` and writes it. `choose` is told how many bytes are left beside the messages, and gives the
/// updates that go along, and their bytes.
#[inline(always)]
fn put<'a, F: Format, U>(
    format: &mut F,
    Errand { speaker, settings, to, destination, messages, filled }: Errand<'a>,
    choose: impl FnOnce(usize) -> (U, usize),
    frames: &mut dyn FrameSink,
) -> Sent
where
    U: Iterator<Item = Outgoing<'a>> + Clone,
{
    let mut own = 0;
    for said in messages {
        own += format.part_len(speaker, destination, said);
    }
    let bytes_max = if filled || format.bounds_messages() {
        frame_bytes_max(format, settings, frames.frame_bytes_max(to))
    } else {
        FRAME_MAX
    };
    let (updates, updates_len) = choose(bytes_max.saturating_sub(format.overhead() + own));
    let parts_len = own + updates_len;
    if parts_len == 0 {
        return Sent::Nothing;
    }
    let frame = Frame { speaker, to, destination, bytes_max, messages, updates, parts_len };
    let (plan, bytes) = format.plan(&frame);
    let buffer = if F::IN_MEMORY { Some(&mut [][..]) } else { frames.reserve(to, bytes) };
    let Some(buffer) = buffer else { return Sent::Shed };
    format.write(&frame, plan, buffer);
    Sent::Written
}

/// The longest frame where the path takes `path_takes`: as the settings have it, or as the path takes it. Never too
/// short for the largest update, which would otherwise wait for ever.
fn frame_bytes_max<F: Format>(format: &F, settings: &Settings, path_takes: usize) -> usize {
    if path_takes >= settings.frame_bytes_max {
        return settings.frame_bytes_max;
    }
    settings.frame_bytes_max.min(path_takes.max(format.frame_bytes_least()))
}
