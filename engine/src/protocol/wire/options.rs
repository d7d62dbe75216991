//! What may be chosen about the wire format.

use std::time::Duration;

use swimring_codec::memberlist::{CheckedOptions, Codec, Options, OptionsError, SecretKey, Versions};
use thiserror::Error;

/// The wire format of a cluster: all its members speak the same.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum WireOptions {
    /// Swimring's own: several times more news in a datagram, and views compared by their roots. Default.
    #[default]
    Native,
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
            WireOptions::Memberlist(options) => {
                Checked::Memberlist(options.clone(), options.codec().check()?)
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
            WireOptions::Memberlist(options) => options.validate(),
        }
    }

    /// Whether datagrams may be padded and members share an address.
    pub fn is_native(&self) -> bool {
        *self == WireOptions::Native
    }
}

/// A wire format whose options can be used: see [`WireOptions::check`].
#[derive(Clone, Debug)]
pub struct CheckedWire(Checked);

#[derive(Clone, Debug)]
enum Checked {
    Native,
    Memberlist(MemberlistOptions, CheckedOptions),
}

impl CheckedWire {
    /// Swimring's own format, of which there is nothing to choose.
    pub const NATIVE: CheckedWire = CheckedWire(Checked::Native);

    /// The options, and what packets are opened and sealed with; nothing in the native format.
    pub(super) fn memberlist(&self, seed: [u8; 32]) -> Option<(&MemberlistOptions, Codec)> {
        match &self.0 {
            Checked::Native => None,
            Checked::Memberlist(options, checked) => Some((options, Codec::checked(checked, seed))),
        }
    }

    /// Opens and seals packets and streams; nothing in the native format. No two that seal may share a `seed`:
    /// see [`Codec::new`].
    pub fn codec(&self, seed: [u8; 32]) -> Option<Codec> {
        self.memberlist(seed).map(|(_, codec)| codec)
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
pub struct WireOptionsError(#[from] OptionsError);

crate::sentence::debug_is_the_sentence!(WireOptionsError);

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
        Ok(self.codec().validate()?)
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
