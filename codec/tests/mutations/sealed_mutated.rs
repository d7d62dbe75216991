//! Spoiled sealed frames and stream messages by the hundred thousand: none is opened, but for what is what was sealed.
//!
//! `SWIMRING_MUTATIONS=10000000 cargo test --release -p swimring-codec --test mutations sealed -- --nocapture` runs ten million
//! instead. `SWIMRING_SEED` chooses others; the seed is printed first.

use fastrand::Rng;
use swimring_codec::native::{FRAME_MAX, SEAL_OVERHEAD, SealCipher, SealError};
use swimring_testing::process::setting;
use swimring_testing::sealed::{open_frame, opener, seal_frame, seal_message, sealer};
use swimring_testing::spoil::spoil;

use crate::random;

const MUTATIONS: u64 = 100_000;

#[test]
fn nothing_spoiled_is_opened() {
    let (count, seed) = (setting("SWIMRING_MUTATIONS", MUTATIONS), setting("SWIMRING_SEED", 1));
    println!("seed {seed}, {count} inputs");
    let mut rng = Rng::with_seed(seed);
    let (mut plain, mut refused, mut unspoiled) = (Vec::new(), [0_u64; SealError::KINDS], 0);
    let mut sealers = [SealCipher::AesGcm, SealCipher::ChaCha20Poly1305].map(|cipher| sealer(cipher, 1));
    let mut opener = opener();
    for _ in 0..count {
        let sealer = rng.choice(&mut sealers).expect("two");
        random::frame(&mut rng, &mut plain);
        plain.truncate(FRAME_MAX - SEAL_OVERHEAD);
        let in_stream = rng.bool();
        let mut stream = sealer.open_stream(true);
        let sealed =
            if in_stream { seal_message(sealer, &mut stream, &plain) } else { seal_frame(sealer, &plain) };
        let mut spoiled = sealed.clone();
        spoil(&mut rng, &mut spoiled);
        let opened = if in_stream {
            let mut accepted = sealer.accept_stream();
            opener.open_message(&mut accepted, &mut spoiled.clone()).map(<[u8]>::to_vec)
        } else {
            open_frame(&mut opener, &spoiled)
        };
        match opened {
            Err(error) => refused[error.index()] += 1,
            // Zeros behind a frame are padding.
            Ok(opened) if opened == plain && spoiled.starts_with(&sealed) => unspoiled += 1,
            Ok(opened) => assert!(opened == spoiled && spoiled.first() != Some(&2), "{spoiled:02x?}"),
        }
    }
    println!("{refused:?} refused, {unspoiled} were what they had been");
    let often = [SealError::NotSealed, SealError::Truncated, SealError::Malformed, SealError::UnknownKey];
    for kind in often.into_iter().chain([SealError::Forged, SealError::Stale]) {
        assert!(refused[kind.index()] > count / 1_000, "{kind}: {refused:?}");
    }
}
