//! Native streams, in and out: roots first, and views only where they differ.

use swimring_codec::native::{StreamBody, StreamKind, StreamMessage, StreamWriter};
use swimring_codec::{MemberId, State};

use super::frame::Speaker;
use super::native::{header, introduction, signature};
use super::stream::{EachRead, Record, RecordFault, Records, StreamHeard, StreamSaid, View};
use crate::protocol::view::entry::EntryState;

/// Appends what `speaker` says to `destination` to `out`.
pub(super) fn write(speaker: &Speaker<'_>, destination: MemberId, said: StreamSaid, out: &mut Vec<u8>) {
    let mut writer = StreamWriter::new(header(speaker, destination), out);
    match said {
        StreamSaid::Join => {
            writer.plain(StreamKind::Join);
            write_view(speaker, &mut writer, MemberId::NONE);
            writer.finish_state();
        }
        StreamSaid::Sync => writer.plain(StreamKind::Sync),
        StreamSaid::Ping { sequence } => writer.probe(StreamKind::Ping, sequence),
        StreamSaid::View { joiner } => {
            write_view(speaker, &mut writer, joiner);
            writer.finish_state();
        }
        StreamSaid::ViewBegun { joiner } => write_view(speaker, &mut writer, joiner),
        StreamSaid::ViewEnd => writer.finish_state(),
        StreamSaid::Agreed => writer.plain(StreamKind::Agreed),
        StreamSaid::Differs => writer.plain(StreamKind::Differs),
        StreamSaid::Ack { sequence } => writer.probe(StreamKind::Ack, sequence),
    }
}

fn write_view(speaker: &Speaker<'_>, writer: &mut StreamWriter<'_>, joiner: MemberId) {
    for (index, entry) in speaker.table.iter() {
        let state = match entry.standing() {
            EntryState::Known(state) => state,
            EntryState::Remembered if speaker.directory.id(index) == joiner => State::Dead,
            _ => continue,
        };
        let record = introduction(speaker, index, state, entry.incarnation());
        let signature = signature(speaker, index, state, entry.incarnation());
        // Nobody would believe what others are not known to have said any more.
        if signature.is_some() || state == State::Dead || !speaker.directory.signs() {
            writer.signed_record(&record, signature);
        }
    }
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
            records: EachRead(records.signed().map(|record| match record {
                Ok((introduction, signature)) => Ok(Record { introduction, signature, versions: None }),
                Err(_) => Err(RecordFault::Broken),
            })),
            source,
            root: Some(message.header.root),
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
