//! The same for the memberlist format.

pub mod checks;
pub mod dialect;
pub mod parts;
pub mod twin;
pub mod vectors;

use swimring_codec::memberlist::{Codec, CompoundWriter, Message, Options, compound_overhead};

/// The key of the vectors.
pub const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// A codec with this label and these keys.
pub fn codec(label: &str, keys: &[&[u8]]) -> Codec {
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let options = Options { label: label.to_owned(), keys, compression: true, ..Options::default() };
    Codec::new(&options, [7; 32]).expect("valid options")
}

/// A packet of `messages` in plain text, one compound of all.
pub fn packet(messages: &[Message<'_>]) -> Vec<u8> {
    let parts: usize = messages.iter().map(Message::encoded_len).sum();
    let mut bytes = vec![0; parts + compound_overhead(messages.len())];
    let mut writer = CompoundWriter::new(&mut bytes, messages.len()).expect("room");
    messages.iter().for_each(|message| assert!(writer.push(message), "{message:?}"));
    writer.finish();
    bytes
}

/// The bytes of `hex`, in which spaces do not count.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
