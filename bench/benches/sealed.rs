//! Encryption of the native format: what it costs to seal and to open one datagram, beside reading and writing it.
//!
//! 40 bytes are a ping or an ack, 200 a frame with ten updates, 1,356 the longest that can be sealed.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use swimring_codec::memberlist::Keyring;
use swimring_codec::native::{
    FRAME_MAX, Opener, SEAL_ENVELOPE_LEN, SEAL_OVERHEAD, SEAL_TAG_LEN, SealCipher, SealKeys, Sealer,
};

use crate::quick::quick;

const LENGTHS: [usize; 3] = [40, 200, FRAME_MAX - SEAL_OVERHEAD];

fn keys() -> SealKeys {
    let mut keyring = Keyring::default();
    keyring.install(&[7; 32]).expect("a key of 32 bytes");
    SealKeys::derive(&keyring)
}

/// The datagram that a frame of `length` bytes becomes, not sealed yet.
fn datagram(length: usize) -> Vec<u8> {
    [vec![0; SEAL_ENVELOPE_LEN], vec![0x5a; length], vec![0; SEAL_TAG_LEN]].concat()
}

fn sealed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sealed");
    for (name, cipher) in [("AES", SealCipher::AesGcm), ("ChaCha20", SealCipher::ChaCha20Poly1305)] {
        for length in LENGTHS {
            group.throughput(Throughput::Bytes(length as u64));
            let mut sealer = Sealer::new(keys(), cipher, [1; 32]);
            let mut frame = datagram(length);
            group.bench_function(format!("seal {length}, {name}"), |bencher| {
                bencher.iter(|| sealer.seal_frame(black_box(&mut frame)));
            });
            let (mut opener, mut plain) = (Opener::new(keys(), true, [2; 32]), [0; FRAME_MAX]);
            let mut next = || {
                let mut frame = datagram(length);
                assert!(sealer.seal_frame(&mut frame));
                frame
            };
            group.bench_function(format!("open {length}, {name}"), |bencher| {
                bencher.iter_batched_ref(
                    &mut next,
                    |frame| assert!(opener.open_frame(black_box(frame), &mut plain).is_ok()),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = sealed }
