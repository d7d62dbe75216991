//! What is sealed: its bytes are those of `docs/PROTOCOL.md`, it is opened once and by whoever has the key, and nothing that was
//! altered, cut, mixed or repeated is opened at all.

use proptest::prelude::*;
use swimring_codec::native::{
    FRAME_MAX, NOTICE_LEN, Notice, Opener, SEAL_OVERHEAD, STREAM_PREFIX_LEN, SealCipher, SealError,
    StreamSeal,
};
use swimring_testing::sealed::*;

const SPECIFICATION: &str = include_str!("../../docs/PROTOCOL.md");
const CIPHERS: [SealCipher; 2] = [SealCipher::AesGcm, SealCipher::ChaCha20Poly1305];

/// The specification without white space.
fn specification() -> String {
    SPECIFICATION.split_whitespace().collect()
}

#[test]
fn the_vectors_are_published_and_opened() {
    let specification = specification();
    let derived = DERIVED.iter().chain(&SEALED_FRAMES);
    for hex in derived.chain([&SEALED_SYNC, &SEALED_AGREED]) {
        let hex: String = hex.split_whitespace().collect();
        assert!(specification.contains(&hex), "{hex}");
    }
    assert_eq!(keys(&[&KEY]).primary_id().map(Vec::from), Some(bytes(DERIVED[0])));
    for sealed in SEALED_FRAMES {
        assert_eq!(open_frame(&mut opener(), &bytes(sealed)), Ok(bytes(FRAME)));
    }
}

#[test]
fn the_specification_names_every_refusal_and_notice() {
    for name in SealError::NAMES {
        assert!(SPECIFICATION.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn every_bit_and_every_length_counts() {
    for cipher in CIPHERS {
        let plain = bytes(FRAME);
        let mut sealed = seal_frame(&mut sealer(cipher, 1), &plain);
        // Padding belongs to it, as far as it is not zero.
        sealed.extend([0; 5]);
        let mut opener = opener();
        for at in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[at / 8] ^= 1 << (at % 8);
            let opened = open_frame(&mut opener, &altered);
            // Of another version, which the decoder refuses.
            let unread = at < 8 && opened.as_ref() == Ok(&altered);
            assert!(unread || opened.is_err(), "bit {at}");
        }
        for length in 1..plain.len() + SEAL_OVERHEAD {
            assert!(open_frame(&mut opener, &sealed[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(open_frame(&mut opener, &sealed), Ok(plain));
        assert_eq!(open_frame(&mut opener, &sealed), Err(SealError::Replayed));
        let counters = opener.counters();
        assert_eq!((counters.opened_primary, counters.opened_other, counters.senders), (1, 0, 1));
    }
}

#[test]
fn keys_are_rotated_without_a_gap() {
    let (old, new, none) = ([1; 16], [2; 32], [3; 24]);
    let mut sealer = sealer(SealCipher::AesGcm, 1);
    let mut opener = opener_with(keys(&[&old]), true);
    let plain = bytes(FRAME);
    sealer.set_keys(keys(&[&old]));
    assert_eq!(open_frame(&mut opener, &seal_frame(&mut sealer, &plain)), Ok(plain.clone()));
    opener.set_keys(keys(&[&old, &new]));
    sealer.set_keys(keys(&[&new, &old]));
    assert_eq!(open_frame(&mut opener, &seal_frame(&mut sealer, &plain)), Ok(plain.clone()));
    let under_way = seal_frame(&mut sealer, &plain);
    opener.set_keys(keys(&[&new]));
    assert_eq!(open_frame(&mut opener, &under_way), Ok(plain.clone()));
    sealer.set_keys(keys(&[&old]));
    assert_eq!(open_frame(&mut opener, &seal_frame(&mut sealer, &plain)), Err(SealError::UnknownKey));
    // What was opened under one key is not opened under another: life and number are the sealer's.
    sealer.set_keys(keys(&[&none]));
    assert_eq!(open_frame(&mut opener, &seal_frame(&mut sealer, &plain)), Err(SealError::UnknownKey));
    let counters = opener.counters();
    assert_eq!((counters.opened_primary, counters.opened_other), (2, 1));
}

#[test]
fn what_is_plain_is_taken_only_if_that_is_permitted() {
    let plain = bytes(FRAME);
    assert_eq!(open_frame(&mut opener(), &plain), Err(SealError::NotSealed));
    let mut lenient = opener_with(keys(&[&KEY]), false);
    assert_eq!(open_frame(&mut lenient, &plain), Ok(plain.clone()));
    assert_eq!(open_frame(&mut lenient, &bytes(SEALED_FRAMES[0])), Ok(plain.clone()));
    assert_eq!(lenient.counters().opened_plain, 1);
    // On a stream that has begun sealed nothing plain follows.
    let mut stream = sealer(SealCipher::AesGcm, 2).accept_stream();
    assert!(lenient.open_message(&mut stream, &mut bytes(SEALED_SYNC)).is_ok());
    assert_eq!(lenient.open_message(&mut stream, &mut bytes(SYNC)), Err(SealError::NotSealed));
}

/// Both ends of a stream.
struct Ends {
    openers: [Opener; 2],
    seals: [StreamSeal; 2],
}

fn ends() -> Ends {
    let mut sealer = sealer(SealCipher::AesGcm, 3);
    Ends { openers: [opener(), opener()], seals: [sealer.open_stream(true), sealer.accept_stream()] }
}

#[test]
fn a_stream_is_opened_in_its_order_alone() {
    let Ends { openers: [mut at_opener, mut at_acceptor], seals: [mut ours, mut theirs] } = ends();
    let mut sealer = sealer(SealCipher::ChaCha20Poly1305, 4);
    let plain: Vec<Vec<u8>> = (0..4_u8).map(|number| [bytes(SYNC), vec![number; 1 << 16]].concat()).collect();
    let there: Vec<Vec<u8>> = plain.iter().map(|plain| seal_message(&mut sealer, &mut ours, plain)).collect();
    let open = |opener: &mut Opener, seal: &mut StreamSeal, sealed: &[u8]| {
        opener.open_message(seal, &mut sealed.to_vec()).map(<[u8]>::to_vec)
    };
    // Not its middle first.
    assert_eq!(open(&mut at_acceptor, &mut theirs, &there[1]), Err(SealError::Replayed));
    assert_eq!(open(&mut at_acceptor, &mut theirs, &there[0]), Ok(plain[0].clone()));
    for wrong in [&there[0], &there[2]] {
        assert_eq!(open(&mut at_acceptor, &mut theirs, wrong), Err(SealError::Replayed));
    }
    assert_eq!(open(&mut at_acceptor, &mut theirs, &there[1]), Ok(plain[1].clone()));
    // The whole again, on another stream.
    let mut again = sealer.accept_stream();
    assert_eq!(open(&mut at_acceptor, &mut again, &there[0]), Err(SealError::Replayed));
    // Answers belong to the stream that they answer.
    let back = seal_message(&mut sealer, &mut theirs, &plain[2]);
    let mut other = sealer.open_stream(true);
    assert_eq!(open(&mut at_opener, &mut other, &back), Err(SealError::Forged));
    assert_eq!(open(&mut at_opener, &mut ours, &back), Ok(plain[2].clone()));
    assert_eq!(open(&mut at_opener, &mut ours, &back), Err(SealError::Replayed));
    // What we said ourselves is no answer, and no frame is a message.
    assert_eq!(open(&mut at_opener, &mut ours, &there[2]), Err(SealError::Malformed));
    assert_eq!(open(&mut at_opener, &mut ours, &bytes(SEALED_FRAMES[0])), Err(SealError::Malformed));
    assert_eq!(open_frame(&mut at_opener, &there[2][..FRAME_MAX]), Err(SealError::Malformed));
    // Nothing may follow the tag on a stream.
    let next = [&there[2][..], &[0]].concat();
    assert_eq!(open(&mut at_acceptor, &mut theirs, &next), Err(SealError::Malformed));
    assert_eq!(open(&mut at_acceptor, &mut theirs, &there[2]), Ok(plain[2].clone()));
}

#[test]
fn the_vectors_of_a_stream_are_opened() {
    let mut stream = sealer(SealCipher::AesGcm, 1).accept_stream();
    let mut sync = bytes(SEALED_SYNC);
    assert_eq!(opener().open_message(&mut stream, &mut sync).map(<[u8]>::to_vec), Ok(bytes(SYNC)));
}

#[test]
fn a_stream_of_long_ago_is_refused() {
    let mut stream = sealer(SealCipher::AesGcm, 1).accept_stream();
    for time_s in [TIME_S - 61, TIME_S + 61] {
        let mut opener = opener();
        opener.set_time_s(time_s);
        let mut sync = bytes(SEALED_SYNC);
        assert_eq!(opener.open_message(&mut stream, &mut sync), Err(SealError::Stale));
        assert_eq!(open_frame(&mut opener, &bytes(SEALED_FRAMES[0])), Err(SealError::Stale));
    }
}

#[test]
fn notices_are_nothing_else() {
    for notice in [Notice::KeyNeeded, Notice::KeyUnknown, Notice::ClockDiffers, Notice::NoKeyHere] {
        let mut message = Vec::new();
        notice.write(&mut message);
        let (prefix, message) = message.split_at(STREAM_PREFIX_LEN);
        assert_eq!((prefix, message.len()), (&[NOTICE_LEN as u8, 0, 0, 0][..], NOTICE_LEN));
        assert_eq!(Notice::read(message), Some(notice));
        assert!(SPECIFICATION.contains(&format!("| {} |", notice as u8)), "{notice:?}");
        let mut altered = message.to_vec();
        altered[7] = 1;
        assert_eq!(Notice::read(&altered), None);
        assert_eq!(open_frame(&mut opener(), message), Err(SealError::Truncated));
    }
}

proptest! {
    /// Whatever is sealed comes back, in any order, as long as it is not far apart.
    #[test]
    fn sealed_frames_come_back_once(
        lengths in prop::collection::vec(32..FRAME_MAX - SEAL_OVERHEAD, 1..60),
        order in any::<prop::sample::Index>(),
        chacha in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut sealer = sealer(CIPHERS[usize::from(chacha)], 1);
        let mut frames: Vec<(Vec<u8>, Vec<u8>)> = lengths.iter().map(|length| {
            let plain: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(*length).collect();
            let mut sealed = seal_frame(&mut sealer, &plain);
            sealed.resize(rng.usize(sealed.len()..=FRAME_MAX), 0);
            (plain, sealed)
        }).collect();
        rng.shuffle(&mut frames);
        let again = order.index(frames.len());
        let mut opener = opener();
        for (plain, sealed) in &frames {
            prop_assert_eq!(&open_frame(&mut opener, sealed), &Ok(plain.clone()));
        }
        prop_assert_eq!(open_frame(&mut opener, &frames[again].1), Err(SealError::Replayed));
    }

    #[test]
    fn no_bytes_are_opened_by_chance(
        mut bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        marked in any::<bool>(),
    ) {
        if marked && bytes.len() > 8 {
            let start: [u8; 8] = [2, 2, 1, bytes[3] % 3, 0x8b, 0x4d, 0x00, 0xb0];
            bytes[..8].copy_from_slice(&start);
        }
        let mut opener = opener();
        let frame = open_frame(&mut opener, &bytes);
        prop_assert!(frame.is_err() || bytes.first() != Some(&2));
        let mut seals = ends().seals;
        for seal in &mut seals {
            let message = opener.open_message(seal, &mut bytes.clone()).map(<[u8]>::to_vec);
            prop_assert!(message.is_err() || bytes.first() != Some(&2));
        }
    }
}
