//! A member of the cluster: the whole protocol as a plain value.
//!
//! This file only orchestrates; each concern has a file of its own, as an `impl Member` beside its state.
//!
//! # How to drive it
//!
//! A [`Member`] has no clock, socket or thread. Its methods fall into four families:
//! - *inputs*, to be called when something happens: [`Member::handle_frame`],
//!   [`Member::handle_stream`], [`Member::handle_stream_closed`], and [`Member::handle_timeout`] once
//!   `now` has reached [`Member::next_timeout`];
//! - *commands*: [`Member::join`], [`Member::leave`], [`Member::update_metadata`],
//!   [`Member::broadcast`];
//! - *outputs*, written to the [`Outbox`] that every input and command is given: frames first, straight
//!   into the driver's send buffers; then `streams` to open; then `events`. After each call the driver
//!   drains both vectors, in this order, before the next call on any member of the same [`Commons`], and
//!   asks for [`Member::next_timeout`] again;
//! - *getters*, which change nothing.
//!
//! `now` must never go backwards. Calling `handle_timeout` early or late is harmless; late is what the
//! member cannot know about itself, which is what [`Commons::set_overload`] is for. The same seed and
//! the same inputs give the same bytes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::identity::{METADATA_MAX, NAME_MAX};
use swimring_codec::native::{Frame, FrameHeader, FrameWriter, HEADER_LEN, Introduction, Message};
use swimring_codec::{Incarnation, MemberId, State, identity_hash};
use thiserror::Error;

use super::anti_entropy::AntiEntropy;
use super::broadcasts::{Broadcast, Gone, News, Queue, Selection};
use super::commons::Commons;
use super::departed::Departed;
use super::directory::{Identity, MemberIndex};
use super::event::Event;
use super::gossip::Gossip;
use super::local_health::LocalHealth;
use super::outbox::Outbox;
use super::probe::Probe;
use super::reconnect::Reconnect;
use super::refutation::Refutations;
use super::relay::Relays;
use super::settings::Settings;
use super::suspicion::Suspicions;
use super::table::{Entry, Table};
use super::time::Time;

/// Who a member is.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// Its name, unique in the cluster: 1 to [`NAME_MAX`] bytes.
    pub name: String,
    /// Where others reach it, datagrams and streams alike.
    pub address: SocketAddr,
    /// Up to [`METADATA_MAX`] bytes that every member gets to see.
    pub metadata: Vec<u8>,
    /// Which cluster. Frames of others are dropped.
    pub cluster: u32,
    /// Where its incarnation starts: seconds of wall time, so that a restart outranks its own past.
    pub incarnation: Incarnation,
    /// Of its random choices.
    pub seed: u64,
    /// The protocol's constants.
    pub settings: Arc<Settings>,
}

/// Why a member or a command was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The name is empty.
    #[error("the name is empty: give the member a name")]
    NameEmpty,
    /// The name is too long.
    #[error("the name has {0} bytes: use at most {NAME_MAX}")]
    NameTooLong(usize),
    /// The metadata is too large.
    #[error("the metadata has {0} bytes: use at most {METADATA_MAX}")]
    MetadataTooLarge(usize),
    /// Another member of the same storage has this name.
    #[error("another member has the same name: names have to be unique in a cluster")]
    NameTaken,
    /// The table is full.
    #[error("the member table is full: raise members_max")]
    TableFull,
    /// The event is too large to fit a frame beside other news.
    #[error("the event has {0} bytes, name and payload together: use at most {max}", max = swimring_codec::native::EVENT_MAX)]
    EventTooLarge(usize),
    /// The event's name is too long.
    #[error("the event's name has {0} bytes: use at most 255")]
    EventNameTooLong(usize),
    /// Too many events are under way.
    #[error(
        "too many user events are under way: send them more slowly or raise events_max and broadcasts_max"
    )]
    TooManyEvents,
    /// The metadata changed faster than the changes could spread.
    #[error("too many versions of the metadata are about: change it more slowly")]
    TooManyVersions,
    /// Nobody can be sent to the address.
    #[error("{0} is no address that others can reach: give the member a specified IP address and port")]
    Address(SocketAddr),
    /// The member has left.
    #[error("the member has left the cluster")]
    Left,
}

/// Where a member is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Active,
    /// Told to leave, and still telling others.
    Leaving,
    /// Gone: takes no part.
    Left,
}

/// A member. See the module.
#[derive(Debug)]
pub struct Member {
    pub(super) id: MemberId,
    /// Its own place in the directory.
    pub(super) index: MemberIndex,
    /// Its number among the members that share a [`Commons`].
    pub(super) number: u32,
    pub(super) cluster: u32,
    pub(super) status: Status,
    pub(super) settings: Arc<Settings>,
    pub(super) rng: fastrand::Rng,
    pub(super) table: Table,
    pub(super) probe: Probe,
    pub(super) relays: Relays,
    pub(super) health: LocalHealth,
    pub(super) suspicions: Suspicions,
    /// When the first suspicion ends.
    pub(super) suspicion_due: Time,
    pub(super) departed: Departed,
    pub(super) queue: Queue,
    pub(super) gossip: Gossip,
    pub(super) anti_entropy: AntiEntropy,
    pub(super) reconnect: Reconnect,
    pub(super) refutations: Refutations,
    pub(super) event_sequence: u32,
    /// No user event in the queue is older than this; [`Time::NEVER`] while there is none.
    pub(super) events_since: Time,
}

/// What every step of the protocol is given.
pub(super) struct Context<'a, 'b> {
    pub(super) now: Time,
    pub(super) commons: &'a mut Commons,
    pub(super) out: &'a mut Outbox<'b>,
}

impl Context<'_, '_> {
    pub(super) fn emit(&mut self, event: Event) {
        self.out.events.push(event);
    }
}

impl Member {
    /// A member that knows only itself.
    ///
    /// # Errors
    /// A name or metadata that the format cannot carry, or a name that is taken in `commons`.
    pub fn new(config: MemberConfig, commons: &mut Commons, now: Time) -> Result<Member, MemberError> {
        check_name(&config.name)?;
        check_metadata(&config.metadata)?;
        check_address(config.address)?;
        let introduction = Introduction {
            subject: MemberId::of_name(&config.name),
            incarnation: config.incarnation,
            state: State::Alive,
            address: config.address,
            name: &config.name,
            metadata: &config.metadata,
        };
        let hash = identity_hash(config.address, &config.metadata);
        let (index, version) = commons
            .directory
            .intern(&introduction, hash, config.settings.members_max)
            .map_err(|_| MemberError::TableFull)?;
        let mut table = Table::new();
        table.set(index, Entry::new(State::Alive, config.incarnation, version), &mut commons.directory);
        let number = commons.register();
        let mut rng = fastrand::Rng::with_seed(config.seed ^ introduction.subject.0);
        let settings = config.settings;
        Ok(Member {
            id: introduction.subject,
            index,
            number,
            cluster: config.cluster,
            status: Status::Active,
            table,
            probe: Probe::new(&settings, &mut rng, commons, now),
            relays: Relays::new(),
            health: LocalHealth::default(),
            suspicions: Suspicions::new(number),
            suspicion_due: Time::NEVER,
            departed: Departed::new(number),
            queue: Queue::new(number),
            gossip: Gossip::new(&settings, &mut rng, commons),
            anti_entropy: AntiEntropy::new(&settings, &mut rng, commons, now),
            reconnect: Reconnect::new(&settings, &mut rng, commons, now),
            refutations: Refutations::default(),
            event_sequence: rng.u32(..),
            events_since: Time::NEVER,
            rng,
            settings,
        })
    }

    /// Handles a frame that arrived from `from`.
    pub fn handle_frame(
        &mut self,
        now: Time,
        from: SocketAddr,
        frame: &Frame<'_>,
        commons: &mut Commons,
        out: &mut Outbox<'_>,
    ) {
        commons.counters.frames_received += 1;
        if frame.header.cluster != self.cluster {
            commons.counters.frames_foreign += 1;
            return;
        }
        if self.status == Status::Left {
            return;
        }
        let cx = &mut Context { now, commons, out };
        for message in frame.messages() {
            match message {
                Ok(message) => self.handle_message(cx, from, &frame.header, &message),
                Err(error) => cx.commons.counters.refused(error),
            }
            if self.status == Status::Left {
                return self.drop_queue(cx);
            }
        }
        self.gossip.arm(now, &self.settings, !self.queue.is_empty());
    }

    #[inline]
    fn handle_message(
        &mut self,
        cx: &mut Context<'_, '_>,
        from: SocketAddr,
        header: &FrameHeader,
        message: &Message<'_>,
    ) {
        match *message {
            Message::Ping { sequence } => self.on_ping(cx, from, header, sequence),
            Message::IndirectPing { sequence, target } => {
                self.on_indirect_ping(cx, from, header.source, sequence, target);
            }
            Message::Ack { sequence } => self.on_ack(cx, header, sequence),
            Message::Nack { sequence } => self.on_nack(header.source, sequence, cx),
            Message::Alive { subject, incarnation, tag } => {
                self.on_alive(cx, subject, incarnation, tag);
            }
            Message::Suspect { subject, incarnation, accuser } => {
                self.on_suspect(cx, subject, incarnation, accuser);
            }
            Message::Dead { subject, incarnation } => self.on_dead(cx, subject, incarnation),
            Message::Left { subject, incarnation } => self.on_left(cx, subject, incarnation),
            Message::Introduction(ref introduction) => {
                // Gossip introduces the living only; other states are for push/pull.
                if introduction.state == State::Alive {
                    self.on_introduction(cx, introduction, true);
                }
            }
            Message::UserEvent(ref event) => self.on_user_event(cx, event),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Time, commons: &mut Commons, out: &mut Outbox<'_>) {
        if self.status == Status::Left {
            return;
        }
        let cx = &mut Context { now, commons, out };
        self.probe_timeout(cx);
        self.relay_timeout(cx);
        if self.suspicion_due <= now {
            self.suspicion_timeout(cx);
        }
        self.gossip.arm(now, &self.settings, !self.queue.is_empty());
        self.gossip_timeout(cx);
        if self.status == Status::Left {
            // What else it had to tell must not keep shared storage busy.
            return self.drop_queue(cx);
        }
        self.push_pull_timeout(cx);
        self.reconnect_timeout(cx);
        self.gossip.arm(now, &self.settings, !self.queue.is_empty());
    }

    /// Starts the timers anew, staggered from `now`: for a member that was set up ahead of time.
    pub fn restart_timers(&mut self, now: Time, commons: &Commons) {
        let settings = &self.settings;
        self.probe = Probe::new(settings, &mut self.rng, commons, now);
        self.anti_entropy = AntiEntropy::new(settings, &mut self.rng, commons, now);
        self.reconnect = Reconnect::new(settings, &mut self.rng, commons, now);
    }

    /// The driver lost `by`: for so long it took in nothing that others had sent. Probes and suspicions
    /// under way wait that much longer, since acks and refutations may lie unread; it is Lifeguard's
    /// insight, that the slow one is the detector, applied to time that is known to be lost. To be called
    /// before [`Member::handle_timeout`].
    pub fn handle_stall(&mut self, by: Duration, commons: &mut Commons) {
        commons.counters.stalls += 1;
        self.probe.extend(by);
        self.relays.extend(by, &mut commons.relays);
        self.suspicions.extend(by);
        self.suspicion_due = commons.suspicions.due(&self.suspicions);
    }

    /// When [`Member::handle_timeout`] next has something to do; [`Time::NEVER`] after leaving.
    #[inline]
    pub fn next_timeout(&self) -> Time {
        if self.status == Status::Left {
            return Time::NEVER;
        }
        let probe = self.probe.due().min(self.relays.due());
        let slow = self.anti_entropy.due.min(self.reconnect.due());
        probe.min(self.suspicion_due).min(self.gossip.due).min(slow)
    }

    /// Writes a frame with `messages`, and as much news beside them as fits, to the member `destination`.
    pub(super) fn send(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
    ) {
        let own: usize = messages.iter().map(Message::encoded_len).sum();
        self.drop_stale_events(cx);
        if self.queue.is_empty() {
            self.send_chosen(cx, to, destination, messages, HEADER_LEN + own, &[]);
            return;
        }
        let budget = self.settings.frame_bytes_max - HEADER_LEN - own;
        let share = self.settings.event_share_percent;
        let mut chosen = Selection::new();
        cx.commons.broadcasts.select(&self.queue, budget, share, &mut chosen);
        let length = HEADER_LEN + own + chosen.bytes;
        self.send_chosen(cx, to, destination, messages, length, chosen.nodes());
    }

    /// Writes a frame of `length` bytes with `messages` and the `chosen` news, and counts these as sent.
    pub(super) fn send_chosen(
        &mut self,
        cx: &mut Context<'_, '_>,
        to: SocketAddr,
        destination: MemberId,
        messages: &[Message<'_>],
        length: usize,
        chosen: &[u32],
    ) {
        let header = self.header(destination);
        let commons = &mut *cx.commons;
        let buffer = cx.out.frames.reserve(to, length);
        let Some(mut writer) = buffer.and_then(|buffer| FrameWriter::new(header, buffer)) else {
            commons.counters.frames_shed += 1;
            return;
        };
        for message in messages {
            writer.push(message);
        }
        for node in chosen {
            let message = self.message(commons.broadcasts.get(*node), commons);
            writer.push(&message);
        }
        writer.finish();
        commons.counters.frames_sent += 1;
        if chosen.is_empty() {
            return;
        }
        commons.counters.broadcast_copies_sent += chosen.len() as u64;
        let limit = self.settings.retransmit_limit(self.table.known());
        for node in chosen {
            if let Some(gone) = cx.commons.broadcasts.mark_sent(&mut self.queue, *node, limit) {
                self.broadcast_gone(cx, gone);
            }
        }
    }

    pub(super) fn header(&self, destination: MemberId) -> FrameHeader {
        FrameHeader {
            cluster: self.cluster,
            source: self.id,
            destination,
            root: self.table.root(),
            quiet: self.queue.is_quiet(),
        }
    }

    /// The message a broadcast is sent as.
    fn message<'a>(&self, broadcast: &Broadcast, commons: &'a Commons) -> Message<'a> {
        let Broadcast { subject, incarnation, .. } = *broadcast;
        if broadcast.news == News::Event {
            return Message::UserEvent(commons.events.get(subject));
        }
        let id = commons.directory.id(subject);
        match broadcast.news {
            News::Alive { introduce: true } => {
                Message::Introduction(self.introduction(subject, State::Alive, incarnation, commons))
            }
            News::Suspect { accuser } => Message::Suspect { subject: id, incarnation, accuser },
            News::Dead => Message::Dead { subject: id, incarnation },
            News::Left => Message::Left { subject: id, incarnation },
            News::Alive { introduce: false } | News::Event => {
                let version = self.table.get(subject).version();
                let tag = commons.directory.identity(subject, version).tag();
                Message::Alive { subject: id, incarnation, tag }
            }
        }
    }

    pub(super) fn introduction<'a>(
        &self,
        subject: MemberIndex,
        state: State,
        incarnation: Incarnation,
        commons: &'a Commons,
    ) -> Introduction<'a> {
        let identity = commons.directory.identity(subject, self.table.get(subject).version());
        Introduction {
            subject: commons.directory.id(subject),
            incarnation,
            state,
            address: identity.address(),
            name: commons.directory.name(subject),
            metadata: identity.metadata(),
        }
    }

    pub(super) fn identity<'a>(&self, subject: MemberIndex, commons: &'a Commons) -> &'a Identity {
        commons.directory.identity(subject, self.table.get(subject).version())
    }

    /// Queues news about `subject` and takes note of what had to go for it.
    pub(super) fn tell(
        &mut self,
        cx: &mut Context<'_, '_>,
        subject: MemberIndex,
        news: News,
        incarnation: Incarnation,
    ) {
        let length = match news {
            News::Alive { introduce: true } => {
                let metadata = self.identity(subject, cx.commons).metadata().len();
                Introduction::encoded_len(cx.commons.directory.name(subject).len(), metadata)
            }
            _ => super::broadcasts::news_len(news),
        };
        let queued = self.table.get(subject).is_queued();
        let len_max = self.settings.broadcasts_max;
        let shed = cx.commons.broadcasts.queue_update(
            &mut self.queue,
            subject,
            news,
            incarnation,
            length,
            queued,
            len_max,
        );
        self.table.set_queued(subject, true);
        cx.commons.counters.broadcasts_queued += 1;
        if let Some(gone) = shed {
            cx.commons.counters.broadcasts_shed += 1;
            self.broadcast_gone(cx, gone);
        }
    }

    fn broadcast_gone(&mut self, cx: &mut Context<'_, '_>, gone: Gone) {
        if gone.news == News::Event {
            cx.commons.events.release(gone.subject);
            return;
        }
        self.table.set_queued(gone.subject, false);
        if gone.subject == self.index && self.status == Status::Leaving {
            self.finish_leaving(cx);
        }
    }

    /// Replaces the entry of `subject`, and notes when the root changed.
    pub(super) fn set_entry(&mut self, cx: &mut Context<'_, '_>, subject: MemberIndex, entry: Entry) {
        let before = self.table.root();
        self.table.set(subject, entry, &mut cx.commons.directory);
        if self.table.root() != before {
            self.anti_entropy.root_changed(cx.now);
        }
    }

    /// Drops every reference to `subject` and its entry.
    pub(super) fn forget(&mut self, cx: &mut Context<'_, '_>, subject: MemberIndex) {
        if self.table.get(subject).is_queued() {
            cx.commons.broadcasts.remove_update(&mut self.queue, subject);
            self.table.set_queued(subject, false);
        }
        self.end_suspicion(cx, subject);
        cx.commons.departed.remove(&mut self.departed, subject);
        self.set_entry(cx, subject, Entry::UNKNOWN);
    }

    /// Gives back all shared storage: the member vanishes without a word.
    pub fn release(&mut self, commons: &mut Commons) {
        self.status = Status::Left;
        let (broadcasts, events) = (&mut commons.broadcasts, &mut commons.events);
        broadcasts.clear(&mut self.queue, |gone| {
            if gone.news == News::Event {
                events.release(gone.subject);
            }
        });
        commons.suspicions.clear(&mut self.suspicions);
        self.relays.clear(&mut commons.relays);
        commons.departed.clear(&mut self.departed);
        self.table.clear(&mut commons.directory);
    }
}

pub(super) fn check_name(name: &str) -> Result<(), MemberError> {
    if name.is_empty() {
        return Err(MemberError::NameEmpty);
    }
    if name.len() > NAME_MAX { Err(MemberError::NameTooLong(name.len())) } else { Ok(()) }
}

/// The format refuses what nobody could be sent to.
fn check_address(address: SocketAddr) -> Result<(), MemberError> {
    let reachable = address.port() != 0 && !address.ip().to_canonical().is_unspecified();
    if reachable { Ok(()) } else { Err(MemberError::Address(address)) }
}

pub(super) fn check_metadata(metadata: &[u8]) -> Result<(), MemberError> {
    if metadata.len() > METADATA_MAX { Err(MemberError::MetadataTooLarge(metadata.len())) } else { Ok(()) }
}
