//! What sealing does not keep from anybody: the envelope is read by all, and whoever has the key, be it much later, reads everything and can
//! seal as any other.

use super::envelope::{self, ENVELOPE_LEN, EnvelopeKind, Fields};
use super::keys::TAG_LEN;
use super::sealer::Additional;
use super::*;
use crate::memberlist::Keyring;
use crate::native::FRAME_MAX;

const NOW_S: u32 = 1_700_000_000;

fn keys(number: u8) -> SealKeys {
    let mut keyring = Keyring::default();
    keyring.install(&[number; 32]).unwrap();
    SealKeys::derive(&keyring)
}

fn sealer(seed: u8) -> Sealer {
    let mut sealer = Sealer::new(keys(1), SealCipher::AesGcm, [seed; 32]);
    sealer.set_time_s(NOW_S);
    sealer
}

/// What opens with key `number` when its clock shows `time_s`.
fn opener(number: u8, time_s: u32) -> Opener {
    let mut opener = Opener::new(keys(number), true, [7; 32]);
    opener.set_time_s(time_s);
    opener
}

fn roomy(plain: &[u8]) -> Vec<u8> {
    [&[0; ENVELOPE_LEN][..], plain, &[0; TAG_LEN]].concat()
}

fn seal(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut sealed = roomy(plain);
    assert!(sealer.seal_frame(&mut sealed));
    sealed
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    opener.open_frame(sealed, &mut [0; FRAME_MAX]).map(<[u8]>::to_vec)
}

fn fields(sealed: &[u8]) -> Fields {
    envelope::read(sealed, EnvelopeKind::Frame).unwrap().0
}

/// What somebody with key 1 makes who seals with whichever life and number it likes.
fn seal_as(life: u64, sequence: u32, plain: &[u8]) -> Vec<u8> {
    let key = keys(1).primary_id().unwrap();
    let (cipher, length) = (SealCipher::AesGcm, plain.len());
    let mut sealed = roomy(plain);
    let (head, rest) = sealed.split_first_chunk_mut::<ENVELOPE_LEN>().unwrap();
    envelope::write(
        &Fields { cipher, key, time_s: NOW_S, life, sequence, length },
        EnvelopeKind::Frame,
        head,
    );
    let (plain, tag) = rest.split_last_chunk_mut::<TAG_LEN>().unwrap();
    let additional = Additional::new(head, None);
    *tag = keys(1).seal(cipher, envelope::nonce(head), additional.bytes(), plain).unwrap();
    sealed
}

/// When, how much, how many, and which are of one process: without a key.
#[test]
fn everybody_reads_times_lengths_and_who_was_restarted() {
    let (mut alice, mut restarted) = (sealer(1), sealer(2));
    let recorded: Vec<Vec<u8>> = [100, 900, 41].map(|length| seal(&mut alice, &vec![b'x'; length])).into();
    restarted.set_time_s(NOW_S + 9);
    let after = seal(&mut restarted, &[b'x'; 100]);
    let read: Vec<_> = recorded.iter().chain([&after]).map(|sealed| fields(sealed)).collect();
    assert_eq!(read.iter().map(|fields| fields.length).collect::<Vec<_>>(), [100, 900, 41, 100]);
    assert_eq!(read.iter().map(|fields| fields.sequence).collect::<Vec<_>>(), [0, 1, 2, 0]);
    assert_eq!(read.iter().map(|fields| fields.time_s - NOW_S).collect::<Vec<_>>(), [0, 0, 0, 9]);
    assert!(read[..3].iter().all(|fields| fields.life == read[0].life));
    assert_ne!(read[3].life, read[0].life, "another process");
    // And no more than that: nothing of what is sealed stays as it was.
    assert!(!recorded.iter().any(|sealed| sealed.windows(3).any(|bytes| bytes == b"xxx")));
}

/// There is no forward secrecy: datagrams, what a stream was opened with, and what answered it.
#[test]
fn a_key_that_leaks_later_opens_what_was_recorded() {
    let (mut alice, mut bob) = (sealer(1), sealer(2));
    let frames: Vec<Vec<u8>> = (0..5_u8).map(|number| vec![number; 100]).collect();
    let recorded: Vec<Vec<u8>> = frames.iter().map(|frame| seal(&mut alice, frame)).collect();
    let (mut there, mut back) = (roomy(&[b'?'; 50]), roomy(&[b'!'; 5_000]));
    let (mut of_opener, mut of_acceptor) = (alice.open_stream(true), bob.accept_stream());
    assert!(alice.seal_message(&mut of_opener, &mut there));
    opener(1, NOW_S).open_message(&mut of_acceptor, &mut there.clone()).unwrap();
    assert!(bob.seal_message(&mut of_acceptor, &mut back));

    // A year later. Whoever reads sets its clock as it likes: each envelope says what it has to be.
    let mut spy = opener(1, fields(&recorded[0]).time_s);
    for (frame, sealed) in frames.iter().zip(&recorded) {
        assert_eq!(open(&mut spy, sealed), Ok(frame.clone()));
    }
    let (head, ..) = envelope::read(&there, EnvelopeKind::OfOpener).unwrap();
    let mut accepted = StreamSeal::accepted(1);
    assert_eq!(spy.open_message(&mut accepted, &mut there), Ok(&[b'?'; 50][..]));
    // An answer is bound to the life of whoever asked, which that has said in the clear.
    assert_eq!(spy.open_message(&mut StreamSeal::opened(head.life), &mut back), Ok(&[b'!'; 5_000][..]));

    // Only what was sealed under that key.
    alice.set_keys(keys(2));
    let next = seal(&mut alice, &frames[0]);
    assert_eq!(open(&mut spy, &next), Err(SealError::UnknownKey));
}

/// A life is in the clear, and whoever has the key can count on in it: what two plain texts differ in under one nonce is in the open.
#[test]
fn with_the_key_a_nonce_of_another_is_used_twice() {
    let (mut alice, mut bob) = (sealer(1), opener(1, NOW_S));
    let first = seal(&mut alice, &[b'a'; 64]);
    assert_eq!(open(&mut bob, &first), Ok(vec![b'a'; 64]));
    let life = fields(&first).life;
    // What was heard is not heard again, whoever seals it. What was not is heard of whoever is first.
    assert_eq!(open(&mut bob, &seal_as(life, 0, &[b'm'; 64])), Err(SealError::Replayed));
    let (told, forged) = ([b't'; 64], [b'f'; 64]);
    let forged_sealed = seal_as(life, 1, &forged);
    assert_eq!(open(&mut bob, &forged_sealed), Ok(forged.to_vec()));
    let told_sealed = seal(&mut alice, &told);
    assert_eq!(open(&mut bob, &told_sealed), Err(SealError::Replayed), "alice's own is lost");

    // Without any key: one cipher text and the other are as far from each other as the plain ones.
    let nonce = |sealed: &[u8]| envelope::nonce(sealed.first_chunk().unwrap());
    assert_eq!(nonce(&told_sealed), nonce(&forged_sealed));
    let hidden = |sealed: &[u8]| sealed[ENVELOPE_LEN..ENVELOPE_LEN + 64].to_vec();
    let differs: Vec<u8> =
        hidden(&told_sealed).iter().zip(hidden(&forged_sealed)).map(|(one, other)| one ^ other).collect();
    assert_eq!(differs, [b't' ^ b'f'; 64]);
}

/// Somebody with the key pretends to be so many that nobody new is heard. Who was known is, and after two minutes others are again.
#[test]
fn with_the_key_new_senders_are_crowded_out_and_known_ones_go_on() {
    let (mut alice, mut late, mut bob) = (sealer(1), sealer(2), opener(1, NOW_S));
    assert_eq!(open(&mut bob, &seal(&mut alice, &[b'a'; 40])), Ok(vec![b'a'; 40]));
    for life in 1..SEALED_SENDERS_MAX as u64 {
        assert_eq!(open(&mut bob, &seal_as(life, 0, &[b'm'; 40])), Ok(vec![b'm'; 40]));
    }
    assert_eq!(open(&mut bob, &seal(&mut late, &[b'l'; 40])), Err(SealError::Crowded));
    assert_eq!(bob.counters().senders, SEALED_SENDERS_MAX as u64);
    for _ in 0..1_000 {
        assert_eq!(open(&mut bob, &seal(&mut alice, &[b'a'; 40])), Ok(vec![b'a'; 40]), "she is known");
    }
    // As long as it takes until what the silent ones have sealed could not be repeated.
    let later_s = NOW_S + 2 * CLOCK_DIFFERENCE_MAX_S + 1;
    bob.set_time_s(later_s);
    late.set_time_s(later_s);
    assert_eq!(open(&mut bob, &seal(&mut late, &[b'l'; 40])), Ok(vec![b'l'; 40]));
    assert_eq!(bob.counters().refused[SealError::Crowded.index()], 1);
}
