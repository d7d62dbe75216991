//! Decoding: any bytes are read as the twin decoder reads them, or refused as it refuses them.

use swimring_codec::MemberId;
use swimring_codec::native::{FRAME_MAX, FrameWriter, STREAM_PREFIX_LEN};

use crate::Seed;
use swimring_testing::{checks, golden};

/// Reads `bytes` as a datagram.
///
/// # Panics
/// When the decoder and its twin disagree, or what was read is written back differently.
pub fn decode_frame(bytes: &[u8]) {
    checks::frame(bytes);
}

/// Reads `bytes` as a stream message without its length prefix.
///
/// # Panics
/// When the decoder and its twin disagree, or what was read is written back differently.
pub fn decode_stream(bytes: &[u8]) {
    checks::stream(bytes);
}

/// A file name for a golden vector.
pub(crate) fn file_name(name: &str) -> String {
    let words: Vec<_> = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("_").to_lowercase()
}

/// The golden frames, each golden message in a frame of its own, and all of them in one.
pub(crate) fn frame_seeds() -> Vec<Seed> {
    let messages = golden::messages();
    let mut seeds: Vec<Seed> = golden::frames()
        .iter()
        .map(|golden| Seed { name: file_name(golden.name), bytes: golden.bytes() })
        .collect();
    let parts = (0..messages.len()).map(|at| (file_name(messages[at].name), at..at + 1));
    for (name, range) in parts.chain([("every_message".to_owned(), 0..messages.len())]) {
        let mut bytes = vec![0; FRAME_MAX];
        let header = golden::header(MemberId::NONE, true);
        let mut writer = FrameWriter::new(header, &mut bytes).expect("room for a header");
        assert!(
            messages[range].iter().all(|golden| writer.push(&golden.value.borrow())),
            "golden messages fit"
        );
        let used = writer.finish();
        bytes.truncate(used);
        seeds.push(Seed { name, bytes });
    }
    seeds
}

/// The golden stream messages.
pub(crate) fn stream_seeds() -> Vec<Seed> {
    let seed = |golden: &golden::Golden<_>| Seed {
        name: file_name(golden.name),
        bytes: golden.bytes().split_off(STREAM_PREFIX_LEN),
    };
    golden::streams().iter().map(seed).collect()
}
