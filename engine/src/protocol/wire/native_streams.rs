//! Native streams, in and out: roots first, and views only where they differ.

use swimring_codec::native::{StateRecords, StreamBody, StreamKind, StreamMessage, StreamWriter};
use swimring_codec::{MemberId, State};

use super::frame::Speaker;
use super::native::{header, introduction, signature};
use super::stream::{Record, RecordFault, Records, StreamHeard, StreamSaid, View};
use super::whole_views::WholeViews;
use crate::protocol::view::directory::MemberIndex;
use crate::protocol::view::entry::{Entry, EntryState};

/// Members in a view of few: a view that is as quick to read as to ask for, and more than a member may lose.
const FEW: usize = 64;

/// Appends what `speaker` says to `destination` to `out`.
pub(super) fn write(
    views: &mut WholeViews,
    speaker: &Speaker<'_>,
    destination: MemberId,
    said: StreamSaid,
    out: &mut Vec<u8>,
) {
    let mut writer = StreamWriter::new(header(speaker, destination), out);
    match said {
        StreamSaid::Join => {
            writer.plain(StreamKind::Join);
            write_view(views, speaker, &mut writer, MemberId::NONE);
            writer.finish_state();
        }
        StreamSaid::Sync | StreamSaid::Pull => writer.plain(StreamKind::Sync),
        StreamSaid::Ping { sequence } => writer.probe(StreamKind::Ping, sequence),
        StreamSaid::View { joiner } => {
            write_view(views, speaker, &mut writer, joiner);
            writer.finish_state();
        }
        StreamSaid::Few { joiner } => {
            write_few(speaker, &mut writer, joiner);
            writer.finish_state();
        }
        StreamSaid::ViewBegun { joiner } => write_view(views, speaker, &mut writer, joiner),
        StreamSaid::ViewEnd => writer.finish_state(),
        StreamSaid::Agreed => writer.plain(StreamKind::Agreed),
        StreamSaid::Differs => writer.plain(StreamKind::Differs),
        StreamSaid::Ack { sequence } => writer.probe(StreamKind::Ack, sequence),
    }
}

fn write_view(
    views: &mut WholeViews,
    speaker: &Speaker<'_>,
    writer: &mut StreamWriter<'_>,
    joiner: MemberId,
) {
    let append = |index, entry, bytes: &mut Vec<u8>| append(speaker, index, entry, bytes);
    let remembered = speaker.directory.find(joiner).map(|index| speaker.table.get(index).standing());
    let more = remembered == Some(EntryState::Remembered);
    let is_said = |index, entry| said_state(speaker, (index, entry), joiner).is_some();
    views.write(speaker, writer, (more, is_said), append, |writer, index, entry| {
        write_record(speaker, writer, (index, entry), joiner);
    });
}

/// Writes few of those whom `speaker` knows: itself, `joiner` if it is remembered, and some that came one after the other. Those of
/// the next joiner are others, so that all are known to some.
fn write_few(speaker: &Speaker<'_>, writer: &mut StreamWriter<'_>, joiner: MemberId) {
    let table = speaker.table;
    let first = (joiner.0 % u64::from(table.len().max(1))) as u32;
    let named = [Some(speaker.index), speaker.directory.find(joiner)];
    let others = (first..table.len()).chain(0..first).filter(|index| !named.contains(&Some(*index)));
    let others = others.filter(|index| table.get(*index).is_live()).take(FEW - named.len());
    for index in named.into_iter().flatten().chain(others) {
        write_record(speaker, writer, (index, table.get(index)), joiner);
    }
}

/// What a view for `joiner` says of a member, if anything.
fn said_state(
    speaker: &Speaker<'_>,
    (index, entry): (MemberIndex, Entry),
    joiner: MemberId,
) -> Option<State> {
    match entry.standing() {
        EntryState::Known(state) => Some(state),
        EntryState::Remembered if speaker.directory.id(index) == joiner => Some(State::Dead),
        EntryState::Remembered | EntryState::Unknown => None,
    }
}

fn write_record(
    speaker: &Speaker<'_>,
    writer: &mut StreamWriter<'_>,
    (index, entry): (MemberIndex, Entry),
    joiner: MemberId,
) {
    let Some(state) = said_state(speaker, (index, entry), joiner) else { return };
    let record = introduction(speaker, index, state, entry.incarnation());
    let signature = signature(speaker, index, state, entry.incarnation());
    // Nobody would believe what others are not known to have said any more.
    if signature.is_some() || state == State::Dead || !speaker.directory.signs() {
        writer.signed_record(&record, signature);
    }
}

/// Appends what a view says of the member at `index`, which is alive, to `bytes`.
pub(super) fn append(speaker: &Speaker<'_>, index: MemberIndex, entry: Entry, bytes: &mut Vec<u8>) -> bool {
    let version = entry.version();
    speaker.directory.introduction((index, version), entry.incarnation(), State::Alive).append(bytes)
}

/// What writes what `speaker` says of shared state to `destination` to the end of `out`.
pub(in crate::protocol) fn native_stream_writer<'o>(
    speaker: &Speaker<'_>,
    destination: MemberId,
    out: &'o mut Vec<u8>,
) -> StreamWriter<'o> {
    StreamWriter::new(header(speaker, destination), out)
}

/// What `message` says.
pub(in crate::protocol) fn native_turn<'a>(
    message: &StreamMessage<'a>,
) -> StreamHeard<'a, impl Records<'a> + Clone + use<'a>> {
    let source = message.header.source;
    match message.body {
        StreamBody::Join => StreamHeard::Join { joiner: source },
        StreamBody::Sync => StreamHeard::Sync { source, root: message.header.root },
        StreamBody::Agreed => StreamHeard::Agreed,
        StreamBody::Differs => StreamHeard::Differs,
        StreamBody::State(records) => StreamHeard::View(View {
            more: records.more,
            records: NativeRecords(records),
            source,
            root: Some(message.header.root),
            quiet: message.header.quiet,
            exchanged: false,
            user_state: b"",
        }),
        StreamBody::Ping { sequence } => StreamHeard::Ping { source, sequence },
        StreamBody::Ack { sequence } => StreamHeard::Ack { sequence },
        StreamBody::Absent => StreamHeard::Absent,
        StreamBody::KeyDigests(digests) => StreamHeard::KeyDigests { source, digests },
        StreamBody::KeyValues(sections) => StreamHeard::KeyValues { source, sections },
        // The driver's, which takes them before.
        StreamBody::Direct(_) | StreamBody::DirectAck { .. } => StreamHeard::Foreign,
    }
}

/// The records of a state message.
#[derive(Clone, Debug)]
struct NativeRecords<'a>(StateRecords<'a>);

impl<'a> Iterator for NativeRecords<'a> {
    type Item = Result<Record<'a>, RecordFault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(match self.0.next_signed()? {
            Ok((introduction, signature)) => Ok(Record { introduction, signature, versions: None }),
            Err(_) => Err(RecordFault::Broken),
        })
    }
}

impl<'a> Records<'a> for NativeRecords<'a> {
    #[inline]
    fn left(&self) -> (&[u8], usize) {
        (self.0.rest(), self.0.left())
    }

    #[inline]
    fn pass_over(&mut self, count: usize, bytes: usize) {
        self.0.pass_over(count, bytes);
    }
}
