//! memberlist streams, in and out: push/pulls of whole views, pings that no datagram got through for, and
//! messages too large for a packet.
//!
//! A stream is one request and at most one answer. There is no root to compare, so every push/pull carries
//! both views whole.

use swimring_codec::memberlist::{self, DecodeError, PushPullWriter, Source, StreamMessage, Versions};
use swimring_codec::native::Introduction;
use swimring_codec::serf::{self, Clocks};
use swimring_codec::{Incarnation, MemberId, State};
use thiserror::Error;

use super::frame::Speaker;
use super::memberlist::{Memberlist, wire_incarnation};
use super::options::MemberlistDialect;
use super::stream::{Record, RecordFault, Records, StreamHeard, StreamSaid, View};
use super::whole_views::WholeViews;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::{Entry, EntryState};

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

crate::error_text::debug_is_the_sentence!(Refusal);

/// Longest text of a refusal that is kept.
const REFUSAL_MAX: usize = 300;

impl Refusal {
    /// The other side said why.
    pub(in crate::protocol) fn said(text: &str) -> Refusal {
        Refusal::Said(text.chars().take(REFUSAL_MAX).collect())
    }

    /// A known Serf member is refused by memberlist's version check, and a plain one by Serf's; upstream then
    /// drops the joiner without telling it. So the joiner checks for itself that its versions, `ours`, go with
    /// those of the members it would join.
    pub(in crate::protocol) fn by_versions<'a>(
        ours: Versions,
        records: impl Iterator<Item = Result<Record<'a>, RecordFault>>,
    ) -> Option<Refusal> {
        let live = records.filter_map(Result::ok).filter(|record| record.introduction.state.is_live());
        let mut announced = live.filter_map(|record| Some((record.introduction.name, record.versions?)));
        announced.find_map(|(node, theirs)| check_versions(ours, node, theirs))
    }
}

fn check_versions(ours: Versions, node: &str, theirs: Versions) -> Option<Refusal> {
    let [own_min, own_max, own_speaks, own_delegate_min, own_delegate_max, own_delegate] = ours.0;
    let [min, max, speaks, delegate_min, delegate_max, delegate] = theirs.0;
    let refusal = |what: String| Some(Refusal::Versions { node: node.to_owned(), what });
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

/// Which side of a stream writes: the label is in front of what the one that dialed says first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Dialed,
    Accepted,
}

/// What a push/pull is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    Join,
    Sync,
}

impl Memberlist {
    /// Appends what `speaker` says to `destination` to `out`. `clocks` are its, of Serf's.
    pub(super) fn write_stream(
        &mut self,
        views: &mut WholeViews,
        speaker: &Speaker<'_>,
        destination: MemberId,
        said: StreamSaid,
        clocks: Clocks,
        out: &mut Vec<u8>,
    ) {
        let at = out.len();
        let side = match said {
            StreamSaid::Join => {
                self.write_view(views, speaker, Wanted::Join, clocks, out);
                Side::Dialed
            }
            StreamSaid::Sync => {
                self.write_view(views, speaker, Wanted::Sync, clocks, out);
                Side::Dialed
            }
            StreamSaid::Pull => {
                self.write_own(speaker, clocks, out);
                Side::Dialed
            }
            StreamSaid::Ping { sequence } => {
                let node = speaker.directory.find(destination).map_or("", |index| speaker.name(index));
                let address = speaker.identity(speaker.index).address();
                let source = Source { address, name: speaker.name(speaker.index) };
                memberlist::encode_stream_ping(out, sequence, node, Some(&source));
                Side::Dialed
            }
            StreamSaid::View { .. } | StreamSaid::Few { .. } | StreamSaid::ViewBegun { .. } => {
                self.write_view(views, speaker, Wanted::Sync, clocks, out);
                Side::Accepted
            }
            StreamSaid::Ack { sequence } => {
                memberlist::encode_stream_ack(out, sequence, b"");
                Side::Accepted
            }
            // There are no roots on this wire.
            StreamSaid::Agreed | StreamSaid::Differs | StreamSaid::ViewEnd => return,
        };
        self.codec.seal_stream(out, at, side == Side::Dialed);
    }

    /// Appends a user message of `payload` to `out`, as the first and only turn of a stream that we dialed.
    pub(in crate::protocol) fn write_user_message(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        memberlist::encode_stream_user(out, payload);
        self.codec.seal_stream(out, at, true);
    }

    /// Writes the whole view.
    fn write_view(
        &mut self,
        views: &mut WholeViews,
        speaker: &Speaker<'_>,
        wanted: Wanted,
        clocks: Clocks,
        out: &mut Vec<u8>,
    ) {
        let mut writer = PushPullWriter::new(out, wanted == Wanted::Join);
        let append = |index, entry, bytes: &mut Vec<u8>| self.append(speaker, index, entry, bytes);
        let is_said = |_, entry: Entry| matches!(entry.standing(), EntryState::Known(_));
        views.write(speaker, &mut writer, (false, is_said), append, |writer, index, entry| {
            if let EntryState::Known(state) = entry.standing() {
                writer.record(&self.record(speaker, index, entry, state));
            }
        });
        self.finish_view(writer, clocks);
    }

    /// Writes a view that says nothing but that `speaker` lives.
    fn write_own(&mut self, speaker: &Speaker<'_>, clocks: Clocks, out: &mut Vec<u8>) {
        let mut writer = PushPullWriter::new(out, false);
        let (index, entry) = (speaker.index, speaker.table.get(speaker.index));
        writer.record(&self.record(speaker, index, entry, State::Alive));
        self.finish_view(writer, clocks);
    }

    /// Ends a view with what Serf says beside it.
    fn finish_view(&mut self, writer: PushPullWriter<'_>, clocks: Clocks) {
        self.body.clear();
        if self.dialect == MemberlistDialect::Serf {
            serf::encode_push_pull(&mut self.body, clocks, [], []);
        }
        // It is a hundred bytes, of which peers take millions.
        let _ = writer.finish(&self.body);
    }

    /// Appends what a view says of the member at `index`, which is alive, to `bytes`.
    pub(super) fn append(
        &self,
        speaker: &Speaker<'_>,
        index: MemberIndex,
        entry: Entry,
        bytes: &mut Vec<u8>,
    ) -> bool {
        self.record(speaker, index, entry, State::Alive).append(bytes)
    }

    /// What a view says of the member at `index`.
    fn record<'a>(
        &self,
        speaker: &Speaker<'a>,
        index: MemberIndex,
        entry: Entry,
        state: State,
    ) -> memberlist::Record<'a> {
        let identity = speaker.directory.identity(index, entry.version());
        memberlist::Record {
            node: speaker.name(index),
            address: identity.address(),
            metadata: identity.metadata(),
            incarnation: wire_incarnation(entry.incarnation()),
            state,
            versions: self.versions_of(speaker, index, identity),
        }
    }
}

/// What `message` says to the member `own`.
pub(in crate::protocol) fn packet_turn<'a>(
    message: &StreamMessage<'a>,
    own: MemberId,
) -> StreamHeard<'a, impl Records<'a> + Clone + use<'a>> {
    match message {
        StreamMessage::PushPull { records, user_state, .. } => StreamHeard::View(View {
            records: PacketRecords(records.clone()),
            source: MemberId::NONE,
            root: None,
            quiet: true,
            more: false,
            exchanged: true,
            user_state,
        }),
        StreamMessage::Ping { node, .. } if !node.is_empty() && MemberId::of_name(node) != own => {
            StreamHeard::PingMisdirected
        }
        StreamMessage::Ping { sequence, .. } => {
            StreamHeard::Ping { source: MemberId::NONE, sequence: *sequence }
        }
        StreamMessage::Ack { sequence, .. } => StreamHeard::Ack { sequence: *sequence },
        StreamMessage::User(body) => StreamHeard::UserMessage(body),
        StreamMessage::Error(text) => StreamHeard::Refused(text),
    }
}

/// The records of a push/pull.
#[derive(Clone, Debug)]
struct PacketRecords<'a>(memberlist::Records<'a>);

impl<'a> Iterator for PacketRecords<'a> {
    type Item = Result<Record<'a>, RecordFault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.0.next()? {
            Ok(record) => Ok(of_memberlist(&record)),
            Err(DecodeError::Versions | DecodeError::Field(_)) => Err(RecordFault::Unfit),
            Err(_) => Err(RecordFault::Broken),
        })
    }
}

impl<'a> Records<'a> for PacketRecords<'a> {
    #[inline]
    fn left(&self) -> (&[u8], usize) {
        (self.0.rest(), self.0.len())
    }

    #[inline]
    fn pass_over(&mut self, count: usize, bytes: usize) {
        self.0.pass_over(count, bytes);
    }
}

fn of_memberlist<'a>(record: &memberlist::Record<'a>) -> Record<'a> {
    let introduction = Introduction {
        subject: MemberId::of_name(record.node),
        incarnation: Incarnation::new(record.incarnation.into()),
        state: record.state,
        address: record.address,
        name: record.node,
        metadata: record.metadata,
        zone: "",
    };
    Record { introduction, signature: None, versions: Some(record.versions) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_member_does_not_fit_a_serf_pool_and_is_told_so() {
        let refusal = check_versions(Versions::PLAIN, "n", Versions::SERF_AGENT).unwrap();
        assert!(refusal.to_string().ends_with("a pool of Serf's or Consul's"), "{refusal}");
        let refusal = check_versions(Versions::SERF, "n", Versions::PLAIN).unwrap();
        assert!(refusal.to_string().ends_with("a pool of plain memberlist"), "{refusal}");
        assert_eq!(check_versions(Versions::SERF, "n", Versions::SERF_AGENT), None);
    }
}
