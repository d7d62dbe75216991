//! Golden vectors of what is sealed, as `docs/PROTOCOL.md` prints them. They were computed from the specification by another
//! program, over OpenSSL.

use swimring_codec::memberlist::Keyring;
use swimring_codec::native::{
    FRAME_MAX, Opener, SEAL_ENVELOPE_LEN, SEAL_TAG_LEN, SealCipher, SealKeys, Sealer, StreamSeal,
};

pub use crate::memberlist::bytes;

/// The key of the vectors: 00 to 0f.
pub const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// What is derived from it: its id, its key for AES-256-GCM and that for ChaCha20-Poly1305.
pub const DERIVED: [&str; 3] = [
    "8b4d00b0",
    "41c2d307a67487e5e5d87aa3491cd1e0de9960c0960516f690a952fc497e3f7a",
    "53378c2340d3ac1397bed7b6d65c36b9437f115e788daed3ac4c15fbeaed2a0f",
];
/// The time in their envelopes.
pub const TIME_S: u32 = 1_700_000_000;

/// The plain frame in the first two, and the plain messages in those of a stream.
pub const FRAME: &str = "0201000001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211";
pub const SYNC: &str = "0201020001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211";
pub const AGREED: &str = "0201030001eeffc02e74366b0cc5c61c858345d9df9eb00d8877665544332211";

/// The frame sealed by AES-256-GCM, and by ChaCha20-Poly1305.
pub const SEALED_FRAMES: [&str; 2] = [
    "020201008b4d00b000f153658877665544332211070000002000000016c0e1f6bdcac6ce5a6b0a0be4292cb1\
     e02071b256b5b2edb52a667c12cb2ead723d589784ddcf517b59900cb9126867",
    "020202008b4d00b000f1536588776655443322110700000020000000c0661a165ecb31f08ac1380027c919fd\
     34122f9b4b1cecf32439444d9a894c5fe42499f09d1dbbfbce1ddf512dacd617",
];
/// What opens a stream, and what answers that.
pub const SEALED_SYNC: &str = "020201018b4d00b000f15365887766554433221100000000200000002688f977fa51f1765d7d7d6b00b9c9fe\
     261a6f7b9c9506594b9f4c3b5908e2ae1fb1081b20705f03de5710d86fa9d144";
pub const SEALED_AGREED: &str = "020201028b4d00b000f1536500ffeeddccbbaa990000000020000000a8a2eb90873e07c0e2d82ad94f3ed3ef\
     72ed0ec195b89183529015b3468397037c555e71e023b56927f4b826cd376d92";

/// What is derived from `keys`, the first of which seals.
pub fn keys(keys: &[&[u8]]) -> SealKeys {
    let mut keyring = Keyring::default();
    for key in keys {
        keyring.install(key).expect("a key of 16, 24 or 32 bytes");
    }
    SealKeys::derive(&keyring)
}

/// What opens with the key of the vectors, at their time, and nothing plain.
pub fn opener() -> Opener {
    opener_with(keys(&[&KEY]), true)
}

/// What opens with `keys` at the time of the vectors.
pub fn opener_with(keys: SealKeys, verify_incoming: bool) -> Opener {
    let mut opener = Opener::new(keys, verify_incoming, [7; 32]);
    opener.set_time_s(TIME_S);
    opener
}

/// What seals with the key of the vectors at their time. Lives follow from `seed`.
pub fn sealer(cipher: SealCipher, seed: u8) -> Sealer {
    let mut sealer = Sealer::new(keys(&[&KEY]), cipher, [seed; 32]);
    sealer.set_time_s(TIME_S);
    sealer
}

/// `plain` with room for envelope and tag.
fn roomy(plain: &[u8]) -> Vec<u8> {
    [&[0; SEAL_ENVELOPE_LEN][..], plain, &[0; SEAL_TAG_LEN]].concat()
}

/// The frame `plain`, sealed.
pub fn seal_frame(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut sealed = roomy(plain);
    assert!(sealer.seal_frame(&mut sealed));
    sealed
}

/// The stream message `plain`, sealed.
pub fn seal_message(sealer: &mut Sealer, stream: &mut StreamSeal, plain: &[u8]) -> Vec<u8> {
    let mut sealed = roomy(plain);
    assert!(sealer.seal_message(stream, &mut sealed));
    sealed
}

/// The frame in `bytes`.
pub fn open_frame(opener: &mut Opener, bytes: &[u8]) -> Result<Vec<u8>, swimring_codec::native::SealError> {
    opener.open_frame(bytes, &mut [0; FRAME_MAX]).map(<[u8]>::to_vec)
}
