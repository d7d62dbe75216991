//! What it takes to open and seal: label, keys, randomness and memory that is used again.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::keyring::NONCE_LEN;
use super::lzw::{Deflater, Inflater};
use super::{
    CheckedOptions, INFLATED_PACKET_MAX, Keyring, Options, OptionsError, PACKET_MAX, compress, kind,
};

/// Opens and seals packets and stream messages. One per worker; opening and sealing packets does not
/// allocate.
pub struct Codec {
    pub(super) security: Security,
    compression: bool,
    nonces: StdRng,
    pub(super) inflater: Inflater,
    pub(super) deflater: Deflater,
    /// A packet that has been decrypted.
    pub(super) opened: Box<[u8]>,
    /// A packet that has been inflated, or one that is being compressed.
    pub(super) inflated: Vec<u8>,
    /// The same for stream messages.
    pub(super) stream_opened: Vec<u8>,
    pub(super) stream_inflated: Vec<u8>,
}

/// Without the keys and the memory.
impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Codec { security, compression, .. } = self;
        f.debug_struct("Codec").field("security", security).field("compression", compression).finish()
    }
}

/// What tells this pool from others and keeps outsiders out.
#[derive(Debug)]
pub(super) struct Security {
    pub(super) label: Label,
    pub(super) keyring: Keyring,
    pub(super) verify_incoming: bool,
    verify_outgoing: bool,
    pub(super) encryption_version: u8,
}

/// The label as it goes in front: its type byte, its length, itself. Empty if there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Label(Box<[u8]>);

impl Label {
    fn new(label: &str) -> Label {
        if label.is_empty() {
            return Label(Box::default());
        }
        Label([&[kind::LABEL, label.len() as u8], label.as_bytes()].concat().into())
    }

    /// What goes in front of packets and of a dialer's stream.
    pub(super) fn header(&self) -> &[u8] {
        &self.0
    }

    /// What encryption binds to: the label without its header.
    pub(super) fn text(&self) -> &[u8] {
        self.0.get(2..).unwrap_or_default()
    }
}

impl Codec {
    /// A codec set up by `options`, whose nonces come from a cryptographic generator seeded with `seed`.
    /// Two codecs that share a key must not share a seed: a nonce that is used twice under one key gives
    /// away the plain text of both.
    ///
    /// # Errors
    /// The setting that is wrong.
    pub fn new(options: &Options, seed: [u8; 32]) -> Result<Codec, OptionsError> {
        Ok(Codec::checked(&options.check()?, seed))
    }

    /// The same with options that have been checked.
    pub fn checked(checked: &CheckedOptions, seed: [u8; 32]) -> Codec {
        let CheckedOptions { options, keyring } = checked;
        Codec {
            security: Security {
                label: Label::new(&options.label),
                keyring: keyring.clone(),
                verify_incoming: options.verify_incoming,
                verify_outgoing: options.verify_outgoing,
                encryption_version: options.encryption_version,
            },
            compression: options.compression,
            nonces: StdRng::from_seed(seed),
            inflater: Inflater::new(),
            deflater: Deflater::new(),
            opened: vec![0; PACKET_MAX].into(),
            inflated: vec![0; INFLATED_PACKET_MAX],
            stream_opened: Vec::new(),
            stream_inflated: Vec::new(),
        }
    }

    /// The installed keys.
    pub fn keyring(&self) -> &Keyring {
        &self.security.keyring
    }

    /// The installed keys, to change them. What is sent next is encrypted with the primary of then.
    pub fn keyring_mut(&mut self) -> &mut Keyring {
        &mut self.security.keyring
    }

    /// Whether what is sent is encrypted.
    pub fn encrypts(&self) -> bool {
        self.security.verify_outgoing && !self.security.keyring.is_empty()
    }

    /// Whether compression is on.
    pub fn compresses(&self) -> bool {
        self.compression
    }

    pub(super) fn nonce(&mut self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        self.nonces.fill_bytes(&mut nonce);
        nonce
    }

    /// Compresses a packet's message or compound, type byte included: the `compress` message to send in
    /// its place, if compression is on and it is strictly smaller. Packets above 64 KiB are left as they are.
    pub fn compress<'a>(&'a mut self, plain: &[u8]) -> Option<&'a [u8]> {
        if !self.compression {
            return None;
        }
        compress::deflate(&mut self.deflater, plain, &mut self.inflated)
    }
}
