//! What one datagram costs to seal and to open: the middle of 21 rounds of 20,000.
use std::hint::black_box;
use std::time::Instant;
use swimring_codec::memberlist::Keyring;
use swimring_codec::native::*;

const COUNT: usize = 20_000;

fn main() {
    let mut keyring = Keyring::default();
    keyring.install(&[7; 32]).expect("a key");
    let keys = SealKeys::derive(&keyring);
    for (name, cipher) in [("AES-256-GCM", SealCipher::AesGcm), ("ChaCha20-Poly1305", SealCipher::ChaCha20Poly1305)] {
        for length in [100, 600, FRAME_MAX] {
            let mut sealer = Sealer::new(keys.clone(), cipher, [1; 32]);
            let mut opener = Opener::new(keys.clone(), true, [2; 32]);
            let mut plain = [0; FRAME_MAX];
            let (mut sealing, mut opening) = (Vec::new(), Vec::new());
            for _ in 0..21 {
                let mut frames = vec![vec![0x5a; length]; COUNT];
                let begun = Instant::now();
                frames.iter_mut().for_each(|frame| assert!(sealer.seal_frame(black_box(frame))));
                sealing.push(begun.elapsed().as_nanos() as usize / COUNT);
                let begun = Instant::now();
                frames.iter().for_each(|frame| assert!(opener.open_frame(black_box(frame), &mut plain).is_ok()));
                opening.push(begun.elapsed().as_nanos() as usize / COUNT);
            }
            sealing.sort_unstable();
            opening.sort_unstable();
            println!("{name}, {length} bytes: seal {} ns, open {} ns", sealing[10], opening[10]);
        }
    }
}
