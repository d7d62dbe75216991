//! What is sealed: whatever arrives is opened if it is what was sealed, and refused if a bit of it is another.

use std::cell::RefCell;

use swimring_codec::native::{
    FRAME_MAX, HEADER_LEN, Opener, SEAL_OVERHEAD, SealCipher, SealError, Sealer, VERSION,
};
use swimring_testing::sealed;

use crate::decode::file_name;
use crate::{Input, Seed};

thread_local! {
    static OPENER: RefCell<Opener> = RefCell::new(sealed::opener());
    static SEALER: RefCell<Sealer> = RefCell::new(sealed::sealer(SealCipher::AesGcm, 1));
}

/// Opens `bytes` as a datagram and as a message of a stream that either side has opened; then seals a frame made of them, changes
/// it as they say, and opens that; then opens what is sealed in another order than it was sealed in. An input is ten frames and
/// messages that have to be refused, and three that have to be opened.
///
/// # Panics
/// When anything is opened that was not sealed, or what was sealed is not opened, or twice.
pub fn open_sealed(bytes: &[u8]) {
    OPENER.with_borrow_mut(|opener| {
        SEALER.with_borrow_mut(|sealer| {
            hostile(opener, sealer, bytes);
            altered(opener, sealer, bytes);
            reordered(opener, sealer, bytes);
        });
    });
}

/// Whether what became of bytes that begin with `first` is that they were opened. What is of another version the opener leaves to the
/// decoder, which refuses it.
pub(crate) fn was_opened<T>(opened: &Result<T, SealError>, first: Option<u8>) -> bool {
    opened.is_ok() && first == Some(VERSION)
}

/// Whoever made `bytes` did not have the key, unless they are a vector's.
fn hostile(opener: &mut Opener, sealer: &mut Sealer, bytes: &[u8]) {
    let published = || {
        let vectors = sealed::SEALED_FRAMES.iter().chain([&sealed::SEALED_SYNC, &sealed::SEALED_AGREED]);
        vectors.map(|hex| sealed::bytes(hex)).any(|vector| bytes.starts_with(&vector))
    };
    let first = bytes.first().copied();
    let opened = sealed::open_frame(opener, bytes);
    assert!(!was_opened(&opened, first) || published(), "opened without the key");
    for mut stream in [sealer.accept_stream(), sealer.open_stream(true)] {
        let mut message = bytes.to_vec();
        let opened = opener.open_message(&mut stream, &mut message);
        assert!(!was_opened(&opened, first) || published(), "opened without the key");
    }
}

fn altered(opener: &mut Opener, sealer: &mut Sealer, bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (at, mask, cut) = (usize::from(input.u16()), input.u8().max(1), usize::from(input.u16()));
    let mut plain = vec![0; HEADER_LEN];
    plain.extend_from_slice(input.slice(FRAME_MAX - SEAL_OVERHEAD - HEADER_LEN));
    let sealed = sealed::seal_frame(sealer, &plain);
    let mut changed = sealed.clone();
    let at = at % changed.len();
    changed[at] ^= mask;
    let opened = sealed::open_frame(opener, &changed);
    assert!(!was_opened(&opened, changed.first().copied()), "opened what was altered");
    assert!(
        sealed::open_frame(opener, &sealed[..1 + cut % (sealed.len() - 1)]).is_err(),
        "opened what was cut"
    );
    assert_eq!(sealed::open_frame(opener, &sealed), Ok(plain), "what was sealed comes back");
    assert!(sealed::open_frame(opener, &sealed).is_err(), "once");
}

/// Frames are opened in any order, each once; messages of a stream in theirs alone.
fn reordered(opener: &mut Opener, sealer: &mut Sealer, bytes: &[u8]) {
    let mut plain = vec![0; HEADER_LEN];
    plain.extend_from_slice(&bytes[..bytes.len().min(FRAME_MAX - SEAL_OVERHEAD - HEADER_LEN)]);
    let frames = [(); 2].map(|()| sealed::seal_frame(sealer, &plain));
    for frame in frames.iter().rev() {
        assert_eq!(sealed::open_frame(opener, frame).as_ref(), Ok(&plain), "a late frame is opened");
    }
    for frame in &frames {
        assert!(sealed::open_frame(opener, frame).is_err(), "a late frame is opened once");
    }
    let (mut ours, mut theirs) = (sealer.open_stream(true), sealer.accept_stream());
    let messages = [(); 2].map(|()| sealed::seal_message(sealer, &mut ours, &plain));
    // The first is not opened either: an opener remembers streams that have begun, and refuses more than it has room for.
    let later = opener.open_message(&mut theirs, &mut messages[1].clone()).is_ok();
    assert!(!later, "the second message of a stream was opened as its first");
    let elsewhere = opener.open_message(&mut ours, &mut messages[0].clone()).is_ok();
    assert!(!elsewhere, "a message was opened by the side that sealed it");
}

/// The vectors, and frames to alter.
pub(crate) fn seeds() -> Vec<Seed> {
    let vectors = [
        ("frame AES", sealed::SEALED_FRAMES[0]),
        ("frame ChaCha20", sealed::SEALED_FRAMES[1]),
        ("sync", sealed::SEALED_SYNC),
        ("agreed", sealed::SEALED_AGREED),
        ("plain frame", sealed::FRAME),
    ];
    let mut seeds: Vec<Seed> = vectors
        .into_iter()
        .map(|(name, hex)| Seed { name: file_name(name), bytes: sealed::bytes(hex) })
        .collect();
    for at in [0_u16, 3, 4, 8, 12, 20, 24, 28, 70, 1_399] {
        let choices = [&at.to_le_bytes()[..], &[1], &at.to_le_bytes(), &[0xab; 64]].concat();
        seeds.push(Seed { name: format!("altered_at_{at}"), bytes: choices });
    }
    seeds
}
