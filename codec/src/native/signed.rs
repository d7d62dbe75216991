//! Signatures: what a member says of itself, so that whoever passes it on cannot have made it up.
//!
//! A member that has an identity has an Ed25519 key. Its public half is the beginning of its metadata, and so part of all that
//! stands for its metadata; a signature travels in front of the claim that it is about. What is signed are the bytes
//! of the claim in its one encoding, behind what it is and the cluster that it is said in.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::layout::{self, kind};
use super::parts::{self, reserved, update};
use super::{DecodeError, INTRODUCTION_HEADER_LEN, Introduction};
use crate::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX};
use crate::{Incarnation, MemberId, State};

/// Bytes of a public key.
pub const PUBLIC_KEY_LEN: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;
/// Bytes of a signature as a message.
pub const SIGNATURE_MESSAGE_LEN: usize = size_of::<layout::Signature>();
/// Most bytes of an application's metadata where members have identities: with the key and a signature, an introduction is no
/// longer than the longest without.
pub const IDENTITY_METADATA_MAX: usize = METADATA_MAX - PUBLIC_KEY_LEN - SIGNATURE_MESSAGE_LEN;

/// An Ed25519 signature.
pub type Signature = [u8; SIGNATURE_LEN];

/// What a claim to be alive begins with when it is signed, and what a goodbye does.
const ALIVE: &[u8] = b"swimring native 2 alive";
const LEFT: &[u8] = b"swimring native 2 left";

const CLUSTER_LEN: usize = size_of::<u32>();
const ALIVE_MAX: usize =
    ALIVE.len() + CLUSTER_LEN + INTRODUCTION_HEADER_LEN + NAME_MAX + METADATA_MAX + ZONE_MAX;
const LEFT_LEN: usize = LEFT.len() + CLUSTER_LEN + size_of::<layout::Update>() + PUBLIC_KEY_LEN;

/// The number in the headers of a cluster whose members have identities, `cluster` being that of one of the same name whose members
/// have none. The same again undoes it.
pub const fn cluster_with_identities(cluster: u32) -> u32 {
    cluster ^ u32::from_le_bytes(*b"IDNT")
}

/// Takes the metadata of an introduction apart where members have identities: the public key, and what is the application's. Nothing if
/// it is not as long as both may be.
#[inline]
pub fn split_metadata(metadata: &[u8]) -> Option<(PublicKey, &[u8])> {
    let (key, rest) = metadata.split_first_chunk::<PUBLIC_KEY_LEN>()?;
    (rest.len() <= IDENTITY_METADATA_MAX).then_some((PublicKey(*key), rest))
}

/// The public half of a member's key: it tells whether something was signed with the other half.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct PublicKey(pub [u8; PUBLIC_KEY_LEN]);

impl PublicKey {
    /// Whether the member of `introduction`, which is to have this key at the beginning of its metadata, has signed that it is alive as
    /// that says. Whatever state it states otherwise is not signed.
    pub fn verifies_alive(
        &self,
        cluster: u32,
        introduction: &Introduction<'_>,
        signature: &Signature,
    ) -> bool {
        let mut room = [0; ALIVE_MAX];
        let Some(signed) = alive(cluster, introduction, &mut room) else { return false };
        introduction.metadata.starts_with(&self.0) && self.verifies(signed, signature)
    }

    /// Whether the member `subject`, whose key this is, has signed that it has left at `incarnation`.
    pub fn verifies_left(
        &self,
        cluster: u32,
        subject: MemberId,
        incarnation: Incarnation,
        signature: &Signature,
    ) -> bool {
        left(cluster, subject, incarnation, self).is_some_and(|signed| self.verifies(&signed, signature))
    }

    pub(super) fn verifies(&self, signed: &[u8], signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify_strict(signed, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PublicKey({self})")
    }
}

/// A text that is no public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PublicKeyError {
    /// It is not 64 hexadecimal digits.
    #[error("a public key has 64 hexadecimal digits")]
    Digits,
    /// No key has this public half.
    #[error("this is not the public half of any key")]
    NoKey,
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<PublicKey, PublicKeyError> {
        let key = PublicKey(from_hex(text).ok_or(PublicKeyError::Digits)?);
        // A key of small order has signed nothing that could be told from what anybody signs.
        let usable = VerifyingKey::from_bytes(&key.0).is_ok_and(|key| !key.is_weak());
        usable.then_some(key).ok_or(PublicKeyError::NoKey)
    }
}

/// The 32 bytes that `text` has in 64 hexadecimal digits.
fn from_hex(text: &str) -> Option<[u8; PUBLIC_KEY_LEN]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * PUBLIC_KEY_LEN {
        return None;
    }
    let mut bytes = [0; PUBLIC_KEY_LEN];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = (high? << 4 | low?) as u8;
    }
    Some(bytes)
}

/// A member's key, with which it signs what it says of itself. Whoever has it can speak for the member. It is zeroed in memory when it is
/// dropped.
#[derive(Clone)]
pub struct IdentityKey(Box<SigningKey>);

impl IdentityKey {
    /// The key made of `seed`, 32 bytes that are to be random and secret: RFC 8032's private key.
    pub fn from_seed(seed: &[u8; PUBLIC_KEY_LEN]) -> IdentityKey {
        IdentityKey(Box::new(SigningKey::from_bytes(seed)))
    }

    /// The seed that it was made of, in 64 hexadecimal digits. Nothing if `text` is something else.
    pub fn from_hex(text: &str) -> Option<IdentityKey> {
        from_hex(text).map(|seed| IdentityKey::from_seed(&seed))
    }

    /// The seed that it was made of.
    pub fn seed(&self) -> [u8; PUBLIC_KEY_LEN] {
        self.0.to_bytes()
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs that the member of `introduction`, whose metadata begins with this key's public half, is alive as that says. Nothing
    /// if the introduction breaks a rule of the format.
    pub fn sign_alive(&self, cluster: u32, introduction: &Introduction<'_>) -> Option<Signature> {
        let mut room = [0; ALIVE_MAX];
        let signed = alive(cluster, introduction, &mut room)?;
        Some(self.sign(signed))
    }

    /// Signs that the member `subject`, whose key this is, has left at `incarnation`. Nothing if that is nobody.
    pub fn sign_left(&self, cluster: u32, subject: MemberId, incarnation: Incarnation) -> Option<Signature> {
        let signed = left(cluster, subject, incarnation, &self.public())?;
        Some(self.sign(&signed))
    }

    pub(super) fn sign(&self, signed: &[u8]) -> Signature {
        self.0.sign(signed).to_bytes()
    }
}

impl PartialEq for IdentityKey {
    fn eq(&self, other: &IdentityKey) -> bool {
        self.public() == other.public()
    }
}

impl Eq for IdentityKey {}

/// Shows the public half alone.
impl fmt::Debug for IdentityKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "IdentityKey(of {})", self.public())
    }
}

/// What is signed of an introduction.
fn alive<'r>(
    cluster: u32,
    introduction: &Introduction<'_>,
    room: &'r mut [u8; ALIVE_MAX],
) -> Option<&'r [u8]> {
    let said = Introduction { state: State::Alive, ..*introduction };
    if !said.is_valid() {
        return None;
    }
    let (begin, end) = (ALIVE.len() + CLUSTER_LEN, ALIVE.len() + CLUSTER_LEN + said.wire_len());
    room[..ALIVE.len()].copy_from_slice(ALIVE);
    room[ALIVE.len()..begin].copy_from_slice(&cluster.to_le_bytes());
    said.write(&mut room[begin..end])?;
    Some(&room[..end])
}

/// What is signed of a goodbye.
fn left(
    cluster: u32,
    subject: MemberId,
    incarnation: Incarnation,
    key: &PublicKey,
) -> Option<[u8; LEFT_LEN]> {
    let said = update(kind::LEFT, 0, incarnation, subject)?;
    let mut signed = [0; LEFT_LEN];
    let (begin, rest) = signed.split_at_mut(LEFT.len());
    begin.copy_from_slice(LEFT);
    let (number, rest) = rest.split_at_mut(CLUSTER_LEN);
    number.copy_from_slice(&cluster.to_le_bytes());
    let (update, public) = rest.split_at_mut(size_of::<layout::Update>());
    update.copy_from_slice(said.as_bytes());
    public.copy_from_slice(&key.0);
    Some(signed)
}

/// Takes a signature off the front of `bytes`.
#[inline]
pub(super) fn take<'a>(bytes: &mut &'a [u8]) -> Result<&'a Signature, DecodeError> {
    let layout = parts::take::<layout::Signature>(bytes)?;
    reserved(layout.reserved)?;
    Ok(&layout.signature)
}

/// `signature` as a message.
#[inline]
pub(super) fn layout(signature: &Signature) -> layout::Signature {
    layout::Signature { kind: kind::SIGNATURE, reserved: [0; 7], signature: *signature }
}
