//! Both computations of both ciphers: the same bytes, each opens what the other has sealed, and neither what was changed.

use aes_gcm::aead::inout::InOutBuf;
use proptest::prelude::*;

use super::keys::{NONCE_LEN, TAG_LEN};
use super::{SealCipher, ring, rustcrypto};

/// What opens, by either: what is opened, in place or into another buffer.
trait Opens {
    fn opens(
        &self,
        cipher: SealCipher,
        nonce: [u8; NONCE_LEN],
        additional: &[u8],
        buffer: InOutBuf<'_, '_, u8>,
        tag: [u8; TAG_LEN],
    ) -> bool;
}

macro_rules! opens {
    ($($ciphers:ty),*) => {$(
        impl Opens for $ciphers {
            fn opens(
                &self,
                cipher: SealCipher,
                nonce: [u8; NONCE_LEN],
                additional: &[u8],
                buffer: InOutBuf<'_, '_, u8>,
                tag: [u8; TAG_LEN],
            ) -> bool {
                self.open(cipher, nonce, additional, buffer, tag)
            }
        }
    )*};
}

opens!(ring::Ciphers, rustcrypto::Ciphers);

/// One sealed thing.
struct Sealed {
    cipher: SealCipher,
    nonce: [u8; NONCE_LEN],
    additional: Vec<u8>,
    bytes: Vec<u8>,
    tag: [u8; TAG_LEN],
}

impl Sealed {
    /// What `ciphers` opens it as, in place and not, which is the same.
    fn opened_by(&self, ciphers: &dyn Opens) -> Option<Vec<u8>> {
        let (mut there, mut in_place) = (vec![0; self.bytes.len()], self.bytes.clone());
        let buffer = InOutBuf::new(&self.bytes, &mut there).expect("as long");
        let opened = ciphers.opens(self.cipher, self.nonce, &self.additional, buffer, self.tag);
        let buffer = InOutBuf::from(&mut in_place[..]);
        assert_eq!(ciphers.opens(self.cipher, self.nonce, &self.additional, buffer, self.tag), opened);
        assert!(!opened || there == in_place);
        opened.then_some(there)
    }
}

proptest! {
    #[test]
    fn both_seal_alike_and_open_what_the_other_sealed(
        (aes, chacha, nonce) in any::<([u8; 32], [u8; 32], [u8; NONCE_LEN])>(),
        additional in prop::collection::vec(any::<u8>(), 0..48),
        plain in prop::collection::vec(any::<u8>(), 0..3_000),
        is_chacha in any::<bool>(),
        (spoiled, bit) in (any::<prop::sample::Index>(), 0..8_u8),
    ) {
        let (ring, rust) = (ring::Ciphers::new(aes, chacha), rustcrypto::Ciphers::new(aes, chacha));
        let cipher = if is_chacha { SealCipher::ChaCha20Poly1305 } else { SealCipher::AesGcm };
        let (mut bytes, mut twin) = (plain.clone(), plain.clone());
        let tag = ring.seal(cipher, nonce, &additional, &mut bytes).expect("short enough");
        prop_assert_eq!(rust.seal(cipher, nonce, &additional, &mut twin), Some(tag));
        prop_assert_eq!(&bytes, &twin);
        let mut sealed = Sealed { cipher, nonce, additional, bytes, tag };
        for ciphers in [&ring as &dyn Opens, &rust] {
            prop_assert_eq!(sealed.opened_by(ciphers), Some(plain.clone()));
        }
        // Any bit of what is authenticated.
        let Sealed { nonce, additional, bytes, tag, .. } = &mut sealed;
        let mut all: Vec<&mut u8> = nonce.iter_mut().chain(additional).chain(bytes).chain(tag).collect();
        let at = spoiled.index(all.len());
        *all[at] ^= 1 << bit;
        for ciphers in [&ring as &dyn Opens, &rust] {
            prop_assert_eq!(sealed.opened_by(ciphers), None, "byte {}", at);
        }
        let (mut other, mut chacha) = (chacha, aes);
        other[0] ^= 1;
        chacha[0] ^= 1;
        let others = ring::Ciphers::new(other, chacha);
        prop_assert_eq!(sealed.opened_by(&others), None);
    }
}
