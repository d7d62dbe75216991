//! What must hold for any bytes at all: the decoder and its twin read the same, and what was read can be
//! written back to the same bytes.

use swimring_codec::native::{
    DecodeError, FRAME_MAX, Frame, FrameHeader, FrameWriter, HEADER_LEN, KeyDigestList, STREAM_MESSAGE_MAX,
    STREAM_PREFIX_LEN, StreamBody, StreamKind, StreamMessage, StreamWriter,
};

use super::owned::{OwnedBody, OwnedMessage};
use super::twin::{self, TwinHeader};

fn twin_header(header: &FrameHeader) -> TwinHeader {
    TwinHeader {
        quiet: header.quiet,
        cluster: header.cluster,
        source: header.source.0,
        destination: header.destination.0,
        root: header.root,
    }
}

/// Checks `bytes` as a datagram. Gives the number of messages that were read.
///
/// # Panics
/// Panics when a check fails.
pub fn frame(bytes: &[u8]) -> usize {
    let expected = twin::frame(bytes);
    let frame = match Frame::decode(bytes) {
        Ok(frame) => frame,
        Err(error) => {
            assert!(error.index() < DecodeError::KINDS);
            assert_eq!(expected, None, "refused ({error}) what the twin reads");
            return 0;
        }
    };
    let expected = expected.expect("the twin refuses what was read");
    assert!(bytes.len() <= FRAME_MAX);
    assert_eq!(twin_header(&frame.header), expected.header);

    let mut out = [0xaa; FRAME_MAX];
    let mut writer = FrameWriter::new(frame.header, &mut out).expect("room for a header");
    let mut walk = frame.messages();
    let (mut read, mut refused) = (0, false);
    while let Some(message) = walk.next() {
        match message {
            Ok(message) => {
                assert!(!refused, "messages after an error");
                assert_eq!(expected.messages.get(read), Some(&OwnedMessage::from(message)));
                assert!(writer.push(&message), "cannot be written back: {message:?}");
                assert_eq!(writer.len() + walk.rest().len(), bytes.len());
                read += 1;
            }
            Err(_) => refused = true,
        }
    }
    assert_eq!((read, refused), (expected.messages.len(), expected.refused));
    assert!(walk.next().is_none(), "messages after the end");
    let used = writer.finish();
    assert_eq!(out[HEADER_LEN..used], bytes[HEADER_LEN..used], "written back differently");
    if !refused {
        assert_eq!(read, frame.message_count());
        assert_eq!(out[..used], bytes[..used], "written back with a different header");
    }
    read
}

/// Checks `bytes` as a stream message without its length prefix. Gives whether it was read to its end.
///
/// # Panics
/// Panics when a check fails.
pub fn stream(bytes: &[u8]) -> bool {
    let expected = twin::stream(bytes);
    let message = match StreamMessage::decode(bytes) {
        Ok(message) => message,
        Err(error) => {
            assert!(error.index() < DecodeError::KINDS);
            assert_eq!(expected, None, "refused ({error}) what the twin reads");
            return false;
        }
    };
    let (header, body) = expected.expect("the twin refuses what was read");
    assert!(bytes.len() <= STREAM_MESSAGE_MAX);
    assert_eq!(twin_header(&message.header), header);
    assert_eq!(OwnedBody::from(message.body), body);
    if matches!(body, OwnedBody::State { refused: true, .. } | OwnedBody::KeyValues { refused: true, .. }) {
        return false;
    }
    let mut out = Vec::new();
    if write_stream(&message, &mut out) {
        assert_eq!(out[STREAM_PREFIX_LEN..], *bytes, "written back differently");
    }
    true
}

/// Writes `message` back. False for the one message the writer does not make: a `State` without records
/// that has more to follow.
fn write_stream(message: &StreamMessage<'_>, out: &mut Vec<u8>) -> bool {
    let mut writer = StreamWriter::new(message.header, out);
    match message.body {
        StreamBody::Join => writer.plain(StreamKind::Join),
        StreamBody::Sync => writer.plain(StreamKind::Sync),
        StreamBody::Agreed => writer.plain(StreamKind::Agreed),
        StreamBody::Differs => writer.plain(StreamKind::Differs),
        StreamBody::Absent => writer.plain(StreamKind::Absent),
        StreamBody::Direct(turn) => assert!(writer.direct(&turn), "one that was read before"),
        StreamBody::DirectAck { sequence, outcome } => writer.direct_ack(sequence, outcome),
        StreamBody::Ping { sequence } => writer.probe(StreamKind::Ping, sequence),
        StreamBody::Ack { sequence } => writer.probe(StreamKind::Ack, sequence),
        StreamBody::KeyDigests(digests) => writer.key_digests(&KeyDigestList {
            all_maps: digests.all_maps,
            all_keys: digests.all_keys,
            more: digests.more,
            maps: digests.maps().collect(),
            keys: digests.keys().collect(),
        }),
        StreamBody::KeyValues(sections) => {
            let OwnedBody::KeyValues { sections, .. } = sections.into() else { unreachable!("it is one") };
            let written = writer.key_values(|writer| sections.iter().all(|section| section.write(writer)));
            assert!(written, "sections that were read before");
        }
        StreamBody::State(records) => {
            let mut written = 0;
            for record in records.signed() {
                let (record, signature) = record.expect("a record that was read before");
                assert!(writer.signed_record(&record, signature));
                written += 1;
            }
            if !records.more {
                writer.finish_state();
            } else if written == 0 {
                return false;
            }
        }
    }
    true
}
