//! Streams, in every format: a view for a view, and pings that no datagram got through for.
//!
//! Formats differ in who speaks when. Natively an opening says the root, and views follow where roots differ; in
//! memberlist's format the opening is a whole view, and the side that was asked answers with its own before it
//! merges, as upstream does. What is made of a view is the same: see `repair/push_pull.rs`.

use swimring_codec::MemberId;
use swimring_codec::memberlist;
use swimring_codec::native::{StreamBody, StreamMessage};

use crate::protocol::event::Event;
use crate::protocol::member::Member;
use crate::protocol::outbox::{Outbox, StreamConnection, StreamPurpose};
use crate::protocol::repair::push_pull::Taught;
use crate::protocol::shared_lists::presence::Presence;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::wire::{Records, Refusal, StreamHeard, StreamSaid, View, native_turn, packet_turn};

/// What a driver does with a stream after a message has been handled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamNext {
    /// Wait for the next message.
    Wait,
    /// Send what was written to `reply`, then wait.
    Reply,
    /// Send what was written to `reply`, then close.
    ReplyAndClose,
    /// Close.
    Close,
}

/// What a driver does after a message of a stream has been handled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamOutcome {
    /// With the stream.
    pub next: StreamNext,
    /// Why the pool is not for us, if it says so or if it shows.
    pub refusal: Option<Refusal>,
}

impl From<StreamNext> for StreamOutcome {
    fn from(next: StreamNext) -> StreamOutcome {
        StreamOutcome { next, refusal: None }
    }
}

impl Member {
    /// Writes what a stream for `purpose` to `destination` begins with.
    pub fn open_stream(
        &self,
        purpose: StreamPurpose,
        destination: MemberId,
        shared: &mut SharedState,
        first: &mut Vec<u8>,
    ) {
        let said = match purpose {
            StreamPurpose::Join { .. } => StreamSaid::Join,
            StreamPurpose::Pull { .. } => StreamSaid::Pull,
            StreamPurpose::Sync | StreamPurpose::View => StreamSaid::Sync,
            StreamPurpose::Probe { sequence, .. } => StreamSaid::Ping { sequence },
            StreamPurpose::SharedState { all_maps, all_keys } => {
                return self.open_exchange(shared, destination, (all_maps, all_keys), first);
            }
        };
        self.core.say(shared, destination, said, first);
    }

    /// Handles a native stream message. `purpose` is why we opened the stream, nothing if the other side did.
    /// The answer, if any, is appended to `reply`.
    pub fn handle_stream(
        &mut self,
        now: Time,
        purpose: Option<StreamPurpose>,
        message: &StreamMessage<'_>,
        reply: &mut Vec<u8>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> StreamNext {
        if message.header.cluster != self.core.cluster {
            shared.counters.frames_foreign += 1;
            if let (None, StreamBody::Join) = (purpose, message.body) {
                // Nothing but which cluster this is, so that whoever mistook it is told clearly.
                self.core.say(shared, message.header.source, StreamSaid::Differs, reply);
                return StreamNext::ReplyAndClose;
            }
            self.end_joining(&mut Context::new(now, shared, out), purpose);
            return break_off(purpose, out);
        }
        self.hear(&mut Context::new(now, shared, out), purpose, native_turn(message), reply).next
    }

    /// The same in memberlist's format.
    pub fn handle_packet_stream(
        &mut self,
        now: Time,
        purpose: Option<StreamPurpose>,
        message: &memberlist::StreamMessage<'_>,
        reply: &mut Vec<u8>,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> StreamOutcome {
        let heard = packet_turn(message, self.core.id);
        self.hear(&mut Context::new(now, shared, out), purpose, heard, reply)
    }

    /// The connection of a stream that we opened for `purpose` was accepted or refused.
    pub fn handle_stream_connection(
        &mut self,
        now: Time,
        purpose: StreamPurpose,
        connection: StreamConnection,
        shared: &mut SharedState,
        out: &mut Outbox<'_>,
    ) {
        let StreamPurpose::Probe { sequence, subject } = purpose else { return };
        if self.core.status == Status::Left {
            return;
        }
        let presence = match connection {
            StreamConnection::Accepted => Presence::Silent,
            StreamConnection::Refused => Presence::Gone,
        };
        self.on_presence(&mut Context::new(now, shared, out), (sequence, subject), presence);
    }

    /// A stream we opened for `purpose` has ended before its purpose was met.
    pub fn handle_stream_closed(&mut self, now: Time, purpose: StreamPurpose, out: &mut Outbox<'_>) {
        match purpose {
            StreamPurpose::Join { .. } => self.give_up_join(),
            StreamPurpose::View => self.core.fetch_failed(now),
            StreamPurpose::Pull { .. } => self.anti_entropy.failed(&mut self.core, now),
            StreamPurpose::Sync | StreamPurpose::Probe { .. } | StreamPurpose::SharedState { .. } => {}
        }
        break_off(Some(purpose), out);
    }

    fn hear<'r, R>(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: Option<StreamPurpose>,
        heard: StreamHeard<'_, R>,
        reply: &mut Vec<u8>,
    ) -> StreamOutcome
    where
        R: Records<'r> + Clone,
    {
        self.notice_lost(cx.shared);
        if self.core.status == Status::Left {
            return break_off(purpose, cx.out).into();
        }
        let outcome = match (purpose, heard) {
            (_, StreamHeard::Refused(text)) => {
                let refusal = Some(Refusal::said(text));
                StreamOutcome { next: break_off(purpose, cx.out), refusal }
            }
            (None, heard) => self.on_request(cx, heard, reply).into(),
            (Some(purpose), StreamHeard::View(view)) => self.on_answer(cx, purpose, view, reply),
            (Some(StreamPurpose::Sync | StreamPurpose::View), StreamHeard::Agreed) => {
                cx.shared.counters.push_pulls_agreed += 1;
                if purpose == Some(StreamPurpose::View) {
                    self.core.view_fetched(cx.now, self.core.table.root());
                }
                StreamNext::Close.into()
            }
            (Some(StreamPurpose::Sync | StreamPurpose::View), StreamHeard::Differs) => {
                StreamNext::Wait.into()
            }
            (Some(StreamPurpose::Probe { subject, .. }), StreamHeard::Ack { sequence }) => {
                self.on_stream_ack(cx, sequence, subject);
                StreamNext::Close.into()
            }
            (Some(StreamPurpose::Probe { sequence, subject }), StreamHeard::Absent) => {
                self.on_presence(cx, (sequence, subject), Presence::Gone);
                StreamNext::Close.into()
            }
            (Some(purpose), StreamHeard::KeyValues { source, sections }) => {
                self.on_key_values(cx, Some(purpose), source, sections).into()
            }
            (Some(purpose), StreamHeard::KeyDigests { source, digests }) => {
                self.on_key_digests(cx, purpose, source, &digests, reply).into()
            }
            (Some(_), _) => {
                cx.shared.counters.decode_errors += 1;
                StreamOutcome { next: break_off(purpose, cx.out), refusal: Some(Refusal::Unexpected) }
            }
        };
        if outcome.next != StreamNext::Wait {
            self.end_joining(cx, purpose);
        }
        self.begin_telling(cx);
        outcome
    }

    /// The side that opened the stream has said something.
    fn on_request<'r, R>(
        &mut self,
        cx: &mut Context<'_, '_>,
        heard: StreamHeard<'_, R>,
        reply: &mut Vec<u8>,
    ) -> StreamNext
    where
        R: Records<'r>,
    {
        match heard {
            StreamHeard::Join { joiner } => {
                self.answer_join(cx, joiner, reply);
                StreamNext::Reply
            }
            StreamHeard::Sync { source, root } if root == self.core.table.root() => {
                self.core.say(cx.shared, source, StreamSaid::Agreed, reply);
                StreamNext::ReplyAndClose
            }
            StreamHeard::Sync { .. } if self.anti_entropy.declines(&self.core, cx) => {
                cx.shared.counters.push_pulls_declined += 1;
                StreamNext::Close
            }
            StreamHeard::Sync { source, .. } => {
                self.core.say(cx.shared, source, StreamSaid::Differs, reply);
                self.core.say(cx.shared, source, StreamSaid::View { joiner: MemberId::NONE }, reply);
                StreamNext::Reply
            }
            StreamHeard::View(view) => {
                let View { more, exchanged, source, .. } = view;
                if exchanged {
                    self.core.say(cx.shared, source, StreamSaid::View { joiner: MemberId::NONE }, reply);
                }
                let merged = self.merge_view(cx, None, view).is_some();
                match (exchanged, merged && more) {
                    (true, _) => StreamNext::ReplyAndClose,
                    (false, true) => StreamNext::Wait,
                    (false, false) => StreamNext::Close,
                }
            }
            StreamHeard::Ping { source, sequence } => {
                self.core.say(cx.shared, source, StreamSaid::Ack { sequence }, reply);
                StreamNext::ReplyAndClose
            }
            StreamHeard::PingMisdirected => {
                cx.shared.counters.pings_misdirected += 1;
                StreamNext::Close
            }
            StreamHeard::UserMessage(body) => {
                self.core.on_user_message(cx, body);
                StreamNext::Close
            }
            StreamHeard::KeyDigests { source, digests } => {
                self.answer_key_digests(cx, source, &digests, reply)
            }
            StreamHeard::KeyValues { source, sections } => self.on_key_values(cx, None, source, sections),
            StreamHeard::Agreed
            | StreamHeard::Differs
            | StreamHeard::Ack { .. }
            | StreamHeard::Absent
            | StreamHeard::Foreign
            | StreamHeard::Refused(_) => {
                cx.shared.counters.decode_errors += 1;
                StreamNext::Close
            }
        }
    }

    /// The view, or a part of it, that a stream was opened for.
    fn on_answer<'r, R>(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: StreamPurpose,
        view: View<'_, R>,
        reply: &mut Vec<u8>,
    ) -> StreamOutcome
    where
        R: Records<'r> + Clone,
    {
        let joining = matches!(purpose, StreamPurpose::Join { .. });
        let rules = cx.shared.wire.rules;
        if joining
            && rules.versions_have_to_match
            && let Some(refusal) = Refusal::by_versions(rules.versions, view.records.clone())
        {
            let next = break_off(Some(purpose), cx.out);
            return StreamOutcome { next, refusal: Some(refusal) };
        }
        let View { more, source, root, quiet, .. } = view;
        let judged = self.judged(cx);
        let joined = cx.shared.counters.members_joined;
        let Some(same) = self.merge_view(cx, Some(purpose), view) else {
            return break_off(Some(purpose), cx.out).into();
        };
        if more {
            return StreamNext::Wait.into();
        }
        if let StreamPurpose::Pull { from } = purpose {
            let taught = Taught { joined: cx.shared.counters.members_joined - joined, same };
            self.anti_entropy.answered(&mut self.core, cx, from, taught);
        }
        if let (StreamPurpose::View, Some(root)) = (purpose, root) {
            self.core.view_fetched(cx.now, root);
        }
        match (purpose, root) {
            (StreamPurpose::Join { token }, _) => {
                self.join_answered(cx, token, source, quiet, judged);
                StreamNext::Close.into()
            }
            // What we know more is news to the other side, unless there is nothing more.
            (StreamPurpose::Sync | StreamPurpose::View, Some(root)) if root != self.core.table.root() => {
                self.core.say(cx.shared, source, StreamSaid::View { joiner: MemberId::NONE }, reply);
                StreamNext::ReplyAndClose.into()
            }
            _ => StreamNext::Close.into(),
        }
    }
}

/// Ends an exchange that does not serve its purpose.
fn break_off(purpose: Option<StreamPurpose>, out: &mut Outbox<'_>) -> StreamNext {
    if let Some(StreamPurpose::Join { token }) = purpose {
        out.events.push(Event::JoinFinished { token, joined: false });
    }
    StreamNext::Close
}

impl Core {
    /// Appends what is `said` to `destination` to `out`.
    pub(super) fn say(
        &self,
        shared: &mut SharedState,
        destination: MemberId,
        said: StreamSaid,
        out: &mut Vec<u8>,
    ) {
        let SharedState { wire, directory, events, .. } = shared;
        let told = !self.is_rushed() && !self.lacks_view();
        // Who joins learns by it whether all that we know is told at the end of a rush.
        let quiet = told && (said.answers_join() || self.queue.is_quiet() && self.delegations.is_empty());
        let speaker = &self.speaker(directory, events, quiet);
        wire.write_stream(speaker, destination, said, self.seldom.serf.clocks(), out);
    }
}
