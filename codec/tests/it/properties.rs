//! Properties: whatever is valid survives the wire unchanged, and whatever is not is refused in the same
//! place by the decoder and by its twin.

use crate::arbitrary::{self, Mutation, mutate};

use proptest::collection::vec;
use proptest::prelude::*;
use swimring_codec::native::{
    DELEGATION_ACK_FRAME_LEN, FRAME_MAX, Frame, FrameHeader, FrameWriter, HEADER_LEN, STREAM_PREFIX_LEN,
    StreamKind, StreamMessage, StreamWriter, destination, is_delegation_ack, stream_message_len,
};
use swimring_testing::checks;
use swimring_testing::owned::{OwnedBody, OwnedIntroduction, OwnedMessage};

/// Writes as many of `messages` as fit; gives the frame and how many those are.
fn write_frame(header: FrameHeader, messages: &[OwnedMessage]) -> (Vec<u8>, usize) {
    let mut out = vec![0xaa; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut out).expect("room for a header");
    let fitting = messages.iter().take_while(|message| writer.push(&message.borrow())).count();
    let used = writer.finish();
    out.truncate(used);
    (out, fitting)
}

fn write_state(header: FrameHeader, records: &[OwnedIntroduction]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = StreamWriter::new(header, &mut out);
    assert!(records.iter().all(|record| writer.signed_record(&record.borrow(), record.signature.as_deref())));
    writer.finish_state();
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_survive_the_wire(header in arbitrary::header(), messages in vec(arbitrary::message(), 0..40)) {
        let (bytes, fitting) = write_frame(header, &messages);
        let frame = Frame::decode(&bytes).expect("written by the writer");
        prop_assert_eq!(frame.header, header);
        prop_assert_eq!(destination(&bytes), Some(header.destination));
        prop_assert_eq!(destination(&bytes[..HEADER_LEN - 1]), None);
        prop_assert_eq!(frame.message_count(), fitting);
        let read: Result<Vec<_>, _> = frame.messages().map(|m| m.map(OwnedMessage::from)).collect();
        prop_assert_eq!(read.as_deref(), Ok(&messages[..fitting]));
        prop_assert_eq!(checks::frame(&bytes), fitting);
    }

    /// An acknowledgement of a delegation is known before it is decoded, and nothing else is taken for one.
    #[test]
    fn an_acknowledgement_is_known_by_its_first_bytes(
        header in arbitrary::header(), number in any::<u32>(),
        messages in vec(arbitrary::message(), 0..3), acknowledges in any::<bool>(), padding in 0..40_usize,
    ) {
        let acknowledgement = OwnedMessage::DelegationAck { number };
        let messages = if acknowledges { vec![acknowledgement] } else { messages };
        let (mut bytes, fitting) = write_frame(header, &messages);
        let messages = messages[..fitting].to_vec();
        let is_one = matches!(messages[..], [OwnedMessage::DelegationAck { .. }]);
        bytes.resize(bytes.len() + padding, 0);
        prop_assert_eq!(is_delegation_ack(&bytes), is_one);
        if is_one {
            let whole = Frame::decode(&bytes[..DELEGATION_ACK_FRAME_LEN]).expect("all of it");
            let read: Result<Vec<_>, _> = whole.messages().map(|m| m.map(OwnedMessage::from)).collect();
            prop_assert_eq!(read, Ok(messages));
            prop_assert!(!is_delegation_ack(&bytes[..DELEGATION_ACK_FRAME_LEN - 1]));
        }
    }

    #[test]
    fn a_message_that_does_not_fit_leaves_the_frame_alone(
        header in arbitrary::header(), message in arbitrary::message(), missing in 1usize..8,
    ) {
        let length = message.borrow().encoded_len();
        let mut out = vec![0; 32 + length - missing.min(length)];
        let mut writer = FrameWriter::new(header, &mut out).expect("room for a header");
        prop_assert!(!writer.push(&message.borrow()));
        prop_assert!(writer.is_empty());
        prop_assert_eq!(writer.finish(), 32);
        prop_assert_eq!(checks::frame(&out), 0);
    }

    #[test]
    fn states_survive_the_wire(header in arbitrary::header(), records in vec(arbitrary::record(), 0..12)) {
        let bytes = write_state(header, &records);
        let (prefix, rest) = bytes.split_first_chunk::<STREAM_PREFIX_LEN>().expect("a prefix");
        prop_assert_eq!(stream_message_len(*prefix), Ok(rest.len()));
        let message = StreamMessage::decode(rest).expect("written by the writer");
        prop_assert_eq!(message.header, header);
        prop_assert_eq!(OwnedBody::from(message.body), OwnedBody::State { more: false, records, refused: false });
        prop_assert!(checks::stream(rest));
    }

    #[test]
    fn probes_survive_the_stream(header in arbitrary::header(), sequence: u32, ack: bool) {
        let kind = if ack { StreamKind::Ack } else { StreamKind::Ping };
        let mut out = Vec::new();
        StreamWriter::new(header, &mut out).probe(kind, sequence);
        let message = StreamMessage::decode(&out[STREAM_PREFIX_LEN..]).expect("written by the writer");
        prop_assert_eq!(message.header, header);
        prop_assert_eq!(OwnedBody::from(message.body), OwnedBody::Probe(kind as u8, sequence));
    }

    #[test]
    fn sections_survive_the_wire(
        header in arbitrary::header(), sections in vec(arbitrary::section(), 0..4),
        mutations in vec(any::<Mutation>(), 1..4),
    ) {
        let mut bytes = Vec::new();
        let written = StreamWriter::new(header, &mut bytes)
            .key_values(|writer| sections.iter().all(|section| section.write(writer)));
        prop_assert!(written);
        bytes.drain(..STREAM_PREFIX_LEN);
        let message = StreamMessage::decode(&bytes).expect("written by the writer");
        prop_assert_eq!(OwnedBody::from(message.body), OwnedBody::KeyValues { sections, refused: false });
        prop_assert!(checks::stream(&bytes));
        mutate(&mut bytes, &mutations);
        checks::stream(&bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..FRAME_MAX + 8)) {
        checks::frame(&bytes);
        checks::stream(&bytes);
    }

    #[test]
    fn any_messages_behind_a_valid_header_are_read_or_refused(
        header in arbitrary::header(), count: u8, tail in vec(any::<u8>(), 0..200), kind in 1u8..=12,
    ) {
        let (mut bytes, _) = write_frame(header, &[]);
        bytes[2] = count;
        bytes.push(kind);
        bytes.extend_from_slice(&tail);
        checks::frame(&bytes);
        checks::stream(&bytes);
    }

    #[test]
    fn mutated_frames_are_read_or_refused(
        header in arbitrary::header(), messages in vec(arbitrary::message(), 0..12),
        mutations in vec(any::<Mutation>(), 1..4),
    ) {
        let (mut bytes, _) = write_frame(header, &messages);
        mutate(&mut bytes, &mutations);
        checks::frame(&bytes);
    }

    #[test]
    fn mutated_states_are_read_or_refused(
        header in arbitrary::header(), records in vec(arbitrary::record(), 0..4),
        mutations in vec(any::<Mutation>(), 1..4),
    ) {
        let mut bytes = write_state(header, &records);
        bytes.drain(..STREAM_PREFIX_LEN);
        mutate(&mut bytes, &mutations);
        checks::stream(&bytes);
    }
}
