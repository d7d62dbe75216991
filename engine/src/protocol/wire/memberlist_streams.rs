//! memberlist streams: push/pulls of whole views, pings that no datagram got through for, and messages too
//! large for a packet.
//!
//! A stream is one request and at most one answer. There is no root to compare, so every push/pull carries
//! both views whole; what is made of a record is the same as in the native format. The side that was asked
//! answers before it merges, as upstream does.

use std::net::SocketAddr;

use swimring_codec::memberlist::{
    self, DecodeError, PushPullWriter, Record, Records, StreamMessage, Versions,
};
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State, serf};
use thiserror::Error;

use super::Wire;
use super::memberlist::{is_acceptable, wire_incarnation};
use super::options::MemberlistDialect;
use crate::protocol::event::Event;
use crate::protocol::member::{Context, Member, Status};
use crate::protocol::outbox::{Outbox, StreamPurpose};
use crate::protocol::repair::push_pull::{SPREAD_MAX, StreamNext};
use crate::protocol::shared_state::SharedState;
use crate::protocol::time::Time;
use crate::protocol::view::table::EntryState;

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

/// Why a pool is not for us.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The other side said so.
    #[error("it refused: {0}")]
    Said(String),
    /// Nobody there would keep us.
    #[error("{node} speaks protocol versions that do not go with ours: {what}")]
    Versions {
        /// Whose versions they are.
        node: String,
        /// How they differ.
        what: String,
    },
    /// It answered something else.
    #[error("it answered with something that is no view")]
    Unexpected,
}

crate::sentence::debug_is_the_sentence!(Refusal);

/// Longest text of a refusal that is kept.
const REFUSAL_MAX: usize = 300;

/// A known Serf member is refused by memberlist's version check, and a plain one by Serf's; upstream then
/// drops the joiner without telling it. So the joiner checks for itself.
fn check_versions(ours: Versions, record: &Record<'_>) -> Option<Refusal> {
    let theirs = record.versions;
    let [own_min, own_max, own_speaks, own_delegate_min, own_delegate_max, own_delegate] = ours.0;
    let [min, max, speaks, delegate_min, delegate_max, delegate] = theirs.0;
    let refusal = |what: String| Some(Refusal::Versions { node: record.node.to_owned(), what });
    if !(min..=max).contains(&own_speaks) || !(own_min..=own_max).contains(&speaks) {
        return refusal(format!(
            "memberlist {min} to {max}, speaking {speaks}, against our {own_min} to {own_max}, speaking {own_speaks}"
        ));
    }
    if !(delegate_min..=delegate_max).contains(&own_delegate)
        || !(own_delegate_min..=own_delegate_max).contains(&delegate)
    {
        let hint = match (ours == Versions::PLAIN, delegate_max) {
            (true, 2..) => ": it is a pool of Serf's or Consul's",
            (false, 0) => ": it is a pool of plain memberlist",
            _ => "",
        };
        return refusal(format!(
            "delegate {delegate_min} to {delegate_max}, speaking {delegate}, against our {own_delegate_min} to \
             {own_delegate_max}, speaking {own_delegate}{hint}"
        ));
    }
    None
}

fn introduction<'a>(record: &Record<'a>) -> Introduction<'a> {
    Introduction {
        subject: MemberId::of_name(record.node),
        incarnation: Incarnation::new(record.incarnation.into()),
        state: record.state,
        address: record.address,
        name: record.node,
        metadata: record.metadata,
    }
}

impl Member {
    /// Writes what a stream for `purpose` to `destination` begins with.
    pub(in crate::protocol) fn open_packet_stream(
        &self,
        purpose: StreamPurpose,
        destination: MemberId,
        commons: &mut SharedState,
        first: &mut Vec<u8>,
    ) {
        match purpose {
            StreamPurpose::Join { .. } => self.write_push_pull(true, true, commons, first),
            StreamPurpose::Sync => self.write_push_pull(false, true, commons, first),
            StreamPurpose::Probe { sequence } => {
                let at = first.len();
                let known = commons.directory.find(destination);
                let node = known.map_or("", |index| commons.directory.name(index));
                let name = commons.directory.name(self.index);
                let source = memberlist::Source { address: self.own_address(commons), name };
                memberlist::encode_stream_ping(first, sequence, node, Some(&source));
                seal(commons, first, at, true);
            }
        }
    }

    fn own_address(&self, commons: &SharedState) -> SocketAddr {
        self.identity(self.index, commons).address()
    }

    /// Writes the whole view.
    fn write_push_pull(&self, join: bool, dialed_by_us: bool, commons: &mut SharedState, out: &mut Vec<u8>) {
        let at = out.len();
        let versions = commons.wire.versions();
        let mut writer = PushPullWriter::new(out, join);
        for (index, entry) in self.table.iter() {
            let EntryState::MemberRef(state) = entry.standing() else { continue };
            let identity = commons.directory.identity(index, entry.version());
            writer.record(&Record {
                node: commons.directory.name(index),
                address: identity.address(),
                metadata: identity.metadata(),
                incarnation: wire_incarnation(entry.incarnation()),
                state,
                versions: if index == self.index { versions } else { identity.versions() },
            });
        }
        if let Wire::Memberlist(wire) = &mut commons.wire {
            wire.body.clear();
            if wire.options.dialect == MemberlistDialect::Serf {
                serf::encode_push_pull(&mut wire.body, self.serf.clocks(), [], []);
            }
            // It is a hundred bytes, of which peers take millions.
            let _ = writer.finish(&wire.body);
        }
        seal(commons, out, at, dialed_by_us);
    }

    /// Handles what arrived on a stream. `purpose` is why we opened it, nothing if the other side did. The
    /// answer, if any, is appended to `reply`.
    pub fn handle_packet_stream(
        &mut self,
        now: Time,
        purpose: Option<StreamPurpose>,
        message: &StreamMessage<'_>,
        reply: &mut Vec<u8>,
        commons: &mut SharedState,
        out: &mut Outbox<'_>,
    ) -> StreamOutcome {
        if self.status == Status::Left {
            return Self::break_off(purpose, out).into();
        }
        let cx = &mut Context { now, commons, out };
        let outcome = match (purpose, message) {
            (None, StreamMessage::PushPull { records, user_state, .. }) => {
                self.write_push_pull(false, false, cx.commons, reply);
                self.merge_packet_records(cx, records, false);
                self.merge_user_state(cx, user_state);
                StreamNext::ReplyAndClose.into()
            }
            (None, StreamMessage::Ping { sequence, node, .. }) => {
                if !node.is_empty() && MemberId::of_name(node) != self.id {
                    cx.commons.counters.pings_misdirected += 1;
                    StreamNext::Close.into()
                } else {
                    let at = reply.len();
                    memberlist::encode_stream_ack(reply, *sequence, b"");
                    seal(cx.commons, reply, at, false);
                    StreamNext::ReplyAndClose.into()
                }
            }
            (None, StreamMessage::User(body)) => {
                self.on_user_message(cx, body);
                StreamNext::Close.into()
            }
            (Some(StreamPurpose::Probe { .. }), StreamMessage::Ack { sequence, .. }) => {
                self.on_stream_ack(cx, *sequence);
                StreamNext::Close.into()
            }
            (Some(purpose), StreamMessage::PushPull { records, user_state, .. }) => {
                self.on_push_pull_answer(cx, purpose, records, user_state)
            }
            (purpose, StreamMessage::Error(text)) => {
                let text: String = text.chars().take(REFUSAL_MAX).collect();
                let next = Self::break_off(purpose, cx.out);
                StreamOutcome { next, refusal: Some(Refusal::Said(text)) }
            }
            _ => {
                cx.commons.counters.decode_errors += 1;
                let next = Self::break_off(purpose, cx.out);
                StreamOutcome { next, refusal: purpose.map(|_| Refusal::Unexpected) }
            }
        };
        self.gossip.arm(now, &self.settings, !self.queue.is_empty());
        outcome
    }

    fn on_push_pull_answer(
        &mut self,
        cx: &mut Context<'_, '_>,
        purpose: StreamPurpose,
        records: &Records<'_>,
        user_state: &[u8],
    ) -> StreamOutcome {
        let StreamPurpose::Join { token } = purpose else {
            self.merge_packet_records(cx, records, false);
            self.merge_user_state(cx, user_state);
            return StreamNext::Close.into();
        };
        let ours = cx.commons.wire.versions();
        let live = records.clone().filter_map(Result::ok).filter(|record| record.state.is_live());
        if let Some(refusal) = live.filter_map(|record| check_versions(ours, &record)).next() {
            let next = Self::break_off(Some(purpose), cx.out);
            return StreamOutcome { next, refusal: Some(refusal) };
        }
        if !self.merge_packet_records(cx, records, true) {
            return Self::break_off(Some(purpose), cx.out).into();
        }
        self.merge_user_state(cx, user_state);
        self.joined_without_roots(cx);
        self.tell_joined(cx);
        cx.emit(Event::JoinFinished { token, joined: true });
        StreamNext::Close.into()
    }

    /// A Serf member that has joined says when.
    fn tell_joined(&mut self, cx: &mut Context<'_, '_>) {
        if matches!(&cx.commons.wire, Wire::Memberlist(wire) if wire.options.dialect == MemberlistDialect::Serf)
        {
            self.tell_join_intent(cx);
        }
    }

    /// Merges records, `joining` those that our join is answered with. False if one could not be read.
    fn merge_packet_records(
        &mut self,
        cx: &mut Context<'_, '_>,
        records: &Records<'_>,
        joining: bool,
    ) -> bool {
        let joined_before = cx.commons.counters.members_joined;
        for record in records.clone() {
            let record = match record {
                Ok(record) => record,
                // One that we cannot keep says nothing about the others.
                Err(DecodeError::Versions | DecodeError::Field(_)) => {
                    cx.commons.counters.decode_errors += 1;
                    continue;
                }
                Err(_) => {
                    cx.commons.counters.decode_errors += 1;
                    return false;
                }
            };
            cx.commons.counters.push_pull_records += 1;
            let known = introduction(&record);
            if known.state == State::Alive && self.is_old_news(cx, known.subject, known.incarnation) {
                continue;
            }
            if !is_acceptable(&known, record.versions) {
                cx.commons.counters.decode_errors += 1;
                continue;
            }
            if joining && known.subject == self.id {
                self.on_own_past(cx, &known);
            }
            let learned = cx.commons.counters.members_joined - joined_before;
            self.merge_record(cx, &known, record.versions, learned < u64::from(SPREAD_MAX));
        }
        true
    }

    /// Serf's part of a push/pull: its clocks, and whom it holds to have left.
    fn merge_user_state(&mut self, cx: &mut Context<'_, '_>, user_state: &[u8]) {
        let Wire::Memberlist(wire) = &cx.commons.wire else { return };
        if wire.options.dialect != MemberlistDialect::Serf || user_state.is_empty() {
            return;
        }
        let Ok(serf::Message::PushPull(state)) = serf::Message::decode(user_state) else {
            cx.commons.counters.decode_errors += 1;
            return;
        };
        self.serf.witness_clocks(state.clocks);
        let name = cx.commons.directory.name(self.index);
        let held_left = state.left_members().any(|left| left == name);
        if held_left && self.is_active() {
            self.tell_join_intent(cx);
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.status == Status::Active
    }
}

/// Compresses, encrypts and labels the message at the end of `out`, as the options say.
fn seal(commons: &mut SharedState, out: &mut Vec<u8>, at: usize, dialed_by_us: bool) {
    if let Wire::Memberlist(wire) = &mut commons.wire {
        wire.codec.seal_stream(out, at, dialed_by_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(versions: Versions) -> Record<'static> {
        Record {
            node: "n",
            address: SocketAddr::from(([127, 0, 0, 1], 7946)),
            metadata: b"",
            incarnation: 1,
            state: State::Alive,
            versions,
        }
    }

    #[test]
    fn a_plain_member_does_not_fit_a_serf_pool_and_is_told_so() {
        let refusal = check_versions(Versions::PLAIN, &record(Versions::SERF_AGENT)).unwrap();
        assert!(refusal.to_string().ends_with("a pool of Serf's or Consul's"), "{refusal}");
        let refusal = check_versions(Versions::SERF, &record(Versions::PLAIN)).unwrap();
        assert!(refusal.to_string().ends_with("a pool of plain memberlist"), "{refusal}");
        assert_eq!(check_versions(Versions::SERF, &record(Versions::SERF_AGENT)), None);
    }
}
