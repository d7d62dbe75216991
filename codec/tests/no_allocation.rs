//! Reading and writing frames, and walking a stream message's records, allocate nothing.
//!
//! `allocation_counter` replaces the global allocator of this test binary by one that counts.

mod support;

use std::hint::black_box;

use support::golden;
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameWriter, Message, STREAM_PREFIX_LEN, StreamBody, StreamMessage,
};
use swimring_codec::{MemberId, identity_hash, root_term};

fn allocations(run: impl FnOnce()) -> u64 {
    allocation_counter::measure(run).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![0_u8; 64]))), 1);
}

#[test]
fn writing_and_reading_a_frame_of_every_message_allocates_nothing() {
    let messages = golden::messages();
    let messages: Vec<Message<'_>> = messages.iter().map(|golden| golden.value.borrow()).collect();
    let header = golden::header(MemberId::NONE, false);
    let mut out = [0; FRAME_MAX];
    let mut read = 0;
    let count = allocations(|| {
        let mut writer = FrameWriter::new(header, &mut out).expect("room for a header");
        assert!(messages.iter().all(|message| writer.push(message)));
        let used = writer.finish();
        let frame = Frame::decode(black_box(&out[..used])).expect("a frame");
        read = frame.messages().filter(|message| black_box(message).is_ok()).count();
    });
    assert_eq!((count, read), (0, messages.len()));
}

#[test]
fn refusing_a_frame_allocates_nothing() {
    let bytes = golden::frames().remove(1).bytes();
    let count = allocations(|| {
        for length in 0..bytes.len() {
            if let Ok(frame) = Frame::decode(black_box(&bytes[..length])) {
                black_box(frame.messages().count());
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn reading_stream_messages_allocates_nothing() {
    let streams: Vec<Vec<u8>> = golden::streams().iter().map(|golden| golden.bytes()).collect();
    let mut records = 0;
    let count = allocations(|| {
        for bytes in &streams {
            let message = StreamMessage::decode(black_box(&bytes[STREAM_PREFIX_LEN..])).expect("a message");
            if let StreamBody::State(state) = message.body {
                records += state.filter(|record| black_box(record).is_ok()).count();
            }
        }
    });
    assert_eq!((count, records), (0, 2));
}

#[test]
fn hashing_allocates_nothing() {
    let address = std::net::SocketAddr::from(([10, 0, 0, 7], 7946));
    let count = allocations(|| {
        let identity = identity_hash(black_box(address), black_box(&[7; 512]));
        black_box(root_term(golden::NODE_7, swimring_codec::Incarnation::MAX, identity));
    });
    assert_eq!(count, 0);
}
