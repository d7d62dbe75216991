//! What may be chosen about the wire format.

use std::time::Duration;

use swimring_codec::memberlist::{
    CheckedOptions, Codec, Keyring, Options, OptionsError, SecretKey, Versions,
};
use swimring_codec::native::{Opener, SealCipher, SealKeys, Sealer};
use thiserror::Error;

/// The wire format of a cluster: all its members speak the same.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum WireOptions {
    /// Swimring's own: several times more news in a datagram, and views compared by their roots. Default.
    #[default]
    Native,
    /// Swimring's own, encrypted and authenticated under keys that all members of the cluster have.
    Encrypted(EncryptionOptions),
    /// That of hashicorp/memberlist, and of Serf and Consul above it.
    Memberlist(MemberlistOptions),
}

impl WireOptions {
    /// Checks every option, once: what is made of the result cannot fail.
    ///
    /// # Errors
    /// The first option that cannot be used.
    pub fn check(&self) -> Result<CheckedWire, WireOptionsError> {
        let checked = match self {
            WireOptions::Native => Checked::Native,
            WireOptions::Encrypted(options) => Checked::Encrypted(options.check()?),
            WireOptions::Memberlist(options) => {
                let checked = options.codec().check().map_err(Fault::Codec)?;
                Checked::Memberlist(options.clone(), checked)
            }
        };
        Ok(CheckedWire(checked))
    }

    /// Checks every option.
    ///
    /// # Errors
    /// The first option that cannot be used.
    pub fn validate(&self) -> Result<(), WireOptionsError> {
        match self {
            WireOptions::Native => Ok(()),
            WireOptions::Encrypted(options) => options.validate(),
            WireOptions::Memberlist(options) => options.validate(),
        }
    }

    /// Whether datagrams may be padded and members share an address.
    pub fn is_native(&self) -> bool {
        match self {
            WireOptions::Native | WireOptions::Encrypted(_) => true,
            WireOptions::Memberlist(_) => false,
        }
    }
}

/// A wire format whose options can be used: see [`WireOptions::check`].
#[derive(Clone, Debug)]
pub struct CheckedWire(Checked);

#[derive(Clone, Debug)]
enum Checked {
    Native,
    Encrypted(Encryption),
    Memberlist(MemberlistOptions, CheckedOptions),
}

impl CheckedWire {
    /// Swimring's own format, of which there is nothing to choose.
    pub const NATIVE: CheckedWire = CheckedWire(Checked::Native);

    /// The options, and what packets are opened and sealed with; nothing in the native format.
    pub(super) fn memberlist(&self, seed: [u8; 32]) -> Option<(&MemberlistOptions, Codec)> {
        match &self.0 {
            Checked::Native | Checked::Encrypted(_) => None,
            Checked::Memberlist(options, checked) => Some((options, Codec::checked(checked, seed))),
        }
    }

    /// How the native format is encrypted; nothing if it is not, or another is spoken.
    pub fn encryption(&self) -> Option<&Encryption> {
        match &self.0 {
            Checked::Encrypted(encryption) => Some(encryption),
            Checked::Native | Checked::Memberlist(..) => None,
        }
    }

    /// Opens and seals packets and streams; nothing in the native format. No two that seal may share a `seed`:
    /// see [`Codec::new`].
    pub fn codec(&self, seed: [u8; 32]) -> Option<Codec> {
        self.memberlist(seed).map(|(_, codec)| codec)
    }
}

/// What encrypts the native format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum EncryptionCipher {
    /// AES-256-GCM where the processor has instructions for it, and ChaCha20-Poly1305 elsewhere. Default.
    #[default]
    Automatic,
    /// AES-256-GCM.
    AesGcm,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305,
}

/// How the native format is encrypted. The first three by memberlist's names: they mean the same.
///
/// Made with `default` or [`EncryptionOptions::with_key`] and changed field by field: later releases have more of them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub struct EncryptionOptions {
    /// Keys of 16, 24 or 32 bytes each, 16 at most: the first encrypts, all decrypt. One at least; default none.
    pub secret_keys: Vec<SecretKey>,
    /// Refuse what is not encrypted. Default true; false while a running cluster is moved to encryption.
    pub gossip_verify_incoming: bool,
    /// Encrypt what is sent. Default true; false while there are members that have no key yet.
    pub gossip_verify_outgoing: bool,
    /// What encrypts what is sent. What is received may be encrypted in either way. Default: as the processor is.
    pub cipher: EncryptionCipher,
}

impl Default for EncryptionOptions {
    fn default() -> EncryptionOptions {
        EncryptionOptions {
            secret_keys: Vec::new(),
            gossip_verify_incoming: true,
            gossip_verify_outgoing: true,
            cipher: EncryptionCipher::Automatic,
        }
    }
}

impl EncryptionOptions {
    /// Everything encrypted with `key`, of 16, 24 or 32 bytes.
    pub fn with_key(key: impl Into<SecretKey>) -> EncryptionOptions {
        EncryptionOptions { secret_keys: vec![key.into()], ..EncryptionOptions::default() }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// The first option that cannot be used.
    pub fn validate(&self) -> Result<(), WireOptionsError> {
        self.check().map(|_| ())
    }

    fn check(&self) -> Result<Encryption, WireOptionsError> {
        if self.secret_keys.is_empty() {
            return Err(Fault::NoKey.into());
        }
        let keyring = Keyring::of(&self.secret_keys).map_err(Fault::Codec)?;
        let cipher = match self.cipher {
            EncryptionCipher::Automatic => SealCipher::of_this_processor(),
            EncryptionCipher::AesGcm => SealCipher::AesGcm,
            EncryptionCipher::ChaCha20Poly1305 => SealCipher::ChaCha20Poly1305,
        };
        let keys = SealKeys::derive(&keyring);
        let (verify_incoming, verify_outgoing) = (self.gossip_verify_incoming, self.gossip_verify_outgoing);
        Ok(Encryption { keyring, keys, cipher, verify_incoming, verify_outgoing })
    }
}

/// [`EncryptionOptions`] that can be used.
#[derive(Clone, Debug)]
pub struct Encryption {
    keyring: Keyring,
    keys: SealKeys,
    cipher: SealCipher,
    verify_incoming: bool,
    verify_outgoing: bool,
}

impl Encryption {
    /// The keys, to change them.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Whether what is sent is encrypted.
    pub fn verifies_outgoing(&self) -> bool {
        self.verify_outgoing
    }

    /// What seals frames; nothing if they are sent in the clear. No two may share a `seed`: see [`Sealer::new`].
    pub fn sealer(&self, seed: [u8; 32]) -> Option<Sealer> {
        self.verify_outgoing.then(|| self.stream_sealer(seed))
    }

    /// What seals the messages of streams, on which a member may have to answer sealed. No two may share a `seed`, nor one with
    /// what seals frames.
    pub fn stream_sealer(&self, seed: [u8; 32]) -> Sealer {
        Sealer::new(self.keys.clone(), self.cipher, seed)
    }

    /// What opens frames and streams. `seed` has to be secret.
    pub fn opener(&self, seed: [u8; 32]) -> Opener {
        Opener::new(self.keys.clone(), self.verify_incoming, seed)
    }
}

/// Whose messages travel inside memberlist's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum MemberlistDialect {
    /// Plain memberlist: user messages are the application's own. Default.
    #[default]
    Memberlist,
    /// Serf, and Consul, which is built on it: user messages and the user state of push/pulls are Serf's.
    Serf,
}

/// Options of the memberlist format, by memberlist's names where they mean the same.
///
/// Made with `default` or [`MemberlistOptions::serf`] and changed field by field: later releases have more of them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub struct MemberlistOptions {
    /// memberlist's `Label`: packets and streams that do not begin with it are refused. At most 255 bytes.
    /// Default: none.
    pub label: String,
    /// memberlist's `Keyring`, of 16, 24 or 32 bytes each: the first encrypts, all decrypt. Default: none,
    /// which is plain text.
    pub secret_keys: Vec<SecretKey>,
    /// memberlist's `GossipVerifyIncoming`: with keys, refuse what is not encrypted. Default true.
    pub gossip_verify_incoming: bool,
    /// memberlist's `GossipVerifyOutgoing`: with keys, encrypt what is sent. Default true.
    pub gossip_verify_outgoing: bool,
    /// memberlist's `EnableCompression`, for what is sent; what is received may always be compressed. Default
    /// false, since compressing a datagram costs more than sending it.
    pub enable_compression: bool,
    /// Whether gossip carries a checksum for peers that understand it, as memberlist's does. Default true.
    pub packet_crc: bool,
    /// memberlist's `DeadNodeReclaimTime`: a member that has been dead for so long may come back at another
    /// address under its name. memberlist's own default is never, whence hosts that come back with a
    /// new address stay out (hashicorp/memberlist#157); whoever left may always. Default 30 s, Consul's, which
    /// outlasts what is still told of the old address.
    pub dead_node_reclaim_time: Duration,
    /// The protocol versions that members announce.
    pub versions: Versions,
    /// Which messages travel inside memberlist's.
    pub dialect: MemberlistDialect,
}

impl Default for MemberlistOptions {
    fn default() -> MemberlistOptions {
        MemberlistOptions {
            label: String::new(),
            secret_keys: Vec::new(),
            gossip_verify_incoming: true,
            gossip_verify_outgoing: true,
            enable_compression: false,
            packet_crc: true,
            dead_node_reclaim_time: Duration::from_secs(30),
            versions: Versions::PLAIN,
            dialect: MemberlistDialect::Memberlist,
        }
    }
}

/// An option that cannot be used, and what would do.
#[derive(Clone, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct WireOptionsError(#[from] Fault);

/// What is wrong with it.
#[derive(Clone, PartialEq, Eq, Error)]
enum Fault {
    #[error(transparent)]
    Codec(OptionsError),
    #[error("secret_keys is empty; give a key, or choose the native wire without encryption")]
    NoKey,
}

crate::error_text::debug_is_the_sentence!(WireOptionsError, Fault);

impl MemberlistOptions {
    /// A member of a Serf pool, or of Consul's.
    pub fn serf() -> MemberlistOptions {
        MemberlistOptions {
            versions: Versions::SERF,
            dialect: MemberlistDialect::Serf,
            ..MemberlistOptions::default()
        }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// The first option that cannot be used.
    pub fn validate(&self) -> Result<(), WireOptionsError> {
        Ok(self.codec().validate().map_err(Fault::Codec)?)
    }

    /// What the codec needs of it.
    pub fn codec(&self) -> Options {
        Options {
            label: self.label.clone(),
            keys: self.secret_keys.clone(),
            verify_incoming: self.gossip_verify_incoming,
            verify_outgoing: self.gossip_verify_outgoing,
            compression: self.enable_compression,
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        let options =
            MemberlistOptions { secret_keys: vec![vec![251; 16].into()], ..MemberlistOptions::default() };
        let shown = format!("{:?}", WireOptions::Memberlist(options));
        assert!(shown.contains("secret_keys: [SecretKey(16 bytes)]") && !shown.contains("251"), "{shown}");
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let options =
            MemberlistOptions { secret_keys: vec![vec![1; 15].into()], ..MemberlistOptions::default() };
        let text = WireOptions::Memberlist(options).validate().unwrap_err().to_string();
        assert!(text.contains("key") && !text.contains('\n'), "{text}");
    }
}
