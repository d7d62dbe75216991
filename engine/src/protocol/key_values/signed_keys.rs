//! Keys of the cluster where members have identities: each is what its writer has signed, or it is not taken in.
//!
//! A writer signs when it has changed a key, and everybody who has the key passes that on with it. Who is to take it in asks two things: whether
//! the key that it was signed with is the writer's, and whether the signature is right. The first is seen from the view, as long as the writer
//! is in it; a key outlives its writer, and is then believed as an introduction of the writer with that key would be. What was right once for a
//! worker's members is remembered ([`Verified`](crate::protocol::view::verified::Verified)).

use swimring_codec::MemberId;
use swimring_codec::native::{KeyEntry, KeyStatement, KeyValue, PublicKey, ValueHash};

use super::KeyValues;
use super::signed::key_of;
use crate::protocol::state::{Context, Core, SharedState};

/// What the writer of a key has signed of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SignedKey {
    pub(super) statement: KeyStatement,
    /// The hash of the value, to be said in its place; zeros of a deletion.
    pub(super) hash: ValueHash,
}

/// Whether an entry is what its writer has said.
#[derive(Debug)]
pub(super) enum Vouched {
    /// It is; with what it has signed of it, where members have identities.
    Yes(Option<Box<SignedKey>>),
    /// Somebody has signed it, with another key than the one that its writer has here. The next to write the key is to know of the version
    /// all the same: others may have taken it in when the name was that key's.
    ByAnother,
    /// It is not.
    No,
}

/// Whose a key is.
enum Whose {
    Writers,
    /// The writer is held here with another.
    Others,
    NotAdmitted,
}

fn whose(core: &Core, shared: &SharedState, writer: MemberId, key: &PublicKey) -> Whose {
    let Some(statements) = &shared.directory.statements else { return Whose::Writers };
    if !statements.admits_writer(key, writer) {
        return Whose::NotAdmitted;
    }
    match key_of(core, shared, writer) {
        Some((_, held)) if held != *key && !statements.lists_writer(key, writer) => Whose::Others,
        _ => Whose::Writers,
    }
}

/// `entry` with the hash of its value in the place of that.
fn in_brief<'a>(entry: &KeyEntry<'a>, hash: Option<&'a ValueHash>) -> KeyEntry<'a> {
    let value = if hash.is_some() { KeyValue::Elsewhere(hash) } else { entry.value };
    KeyEntry { value, ..*entry }
}

/// Whether `entry` is what its writer has said; see [`Vouched`].
pub(super) fn vouched(core: &Core, cx: &mut Context<'_, '_>, entry: &KeyEntry<'_>) -> Vouched {
    if !cx.shared.directory.signs() {
        return Vouched::Yes(None);
    }
    let Some(statement) = entry.statement else {
        cx.shared.counters.identities_unsigned += 1;
        return Vouched::No;
    };
    let whose = whose(core, cx.shared, entry.writer, &statement.key);
    if matches!(whose, Whose::NotAdmitted) {
        cx.shared.counters.identities_not_admitted += 1;
        return Vouched::No;
    }
    let hash = entry.value.hash();
    if !is_right(cx, statement, &in_brief(entry, hash.as_ref())) {
        return Vouched::No;
    }
    if matches!(whose, Whose::Others) {
        cx.shared.counters.identities_key_changed += 1;
        return Vouched::ByAnother;
    }
    let signed = SignedKey { statement: *statement, hash: hash.unwrap_or_default() };
    Vouched::Yes(Some(Box::new(signed)))
}

/// Whether the signature is right, for all members of the worker.
fn is_right(cx: &mut Context<'_, '_>, statement: &KeyStatement, entry: &KeyEntry<'_>) -> bool {
    let Some(digest) = statement.digest(entry) else { return false };
    let statements = cx.shared.directory.statements.as_ref();
    if statements.is_some_and(|statements| statements.keys_verified.contains(&digest)) {
        return true;
    }
    let right = cx.shared.judge_signature(cx.now, |_, cluster| statement.verifies(cluster, entry));
    if right && let Some(statements) = &mut cx.shared.directory.statements {
        statements.keys_verified.note(digest);
    }
    right
}

impl KeyValues {
    /// Signs a key of the cluster that this member has written, where members have identities.
    pub(super) fn sign_key(&mut self, core: &Core, shared: &mut SharedState, key: &str) {
        let (Some(statements), Some(entry)) =
            (&mut shared.directory.statements, self.store.cluster.said(key))
        else {
            return;
        };
        let hash = entry.value.hash();
        let brief = in_brief(&entry, hash.as_ref());
        let own = statements.key(core.index);
        let Some(statement) = own.and_then(|own| own.sign_key(statements.cluster(), &brief)) else { return };
        // Others of the worker need not look.
        statement.digest(&brief).into_iter().for_each(|digest| statements.keys_verified.note(digest));
        let signed = SignedKey { statement, hash: hash.unwrap_or_default() };
        self.store.cluster.sign(key, Box::new(signed));
    }

    /// Of what an earlier life has left of the cluster's keys: signs what was its own, unless it is signed with the key that this one has, and
    /// drops what nobody has signed, which nobody would take in.
    pub(in crate::protocol) fn sign_saved(&mut self, core: &Core, shared: &mut SharedState) {
        let Some(statements) = &shared.directory.statements else { return };
        let own = statements.key(core.index).map(|key| key.public());
        let is_signed = |signed: Option<&SignedKey>, writer| {
            signed.is_some_and(|signed| writer != core.id || Some(signed.statement.key) == own)
        };
        let unsigned =
            self.store.cluster.all().filter(|(_, entry)| !is_signed(entry.signed.as_deref(), entry.writer));
        let unsigned: Vec<_> = unsigned.map(|(key, entry)| (key.clone(), entry.writer)).collect();
        for (key, writer) in unsigned {
            if writer == core.id {
                self.sign_key(core, shared, &key);
            } else {
                shared.counters.identities_unsigned += 1;
                self.store.forget_cluster_key(&key);
            }
        }
    }
}

#[cfg(test)]
#[path = "signed_keys_test.rs"]
mod tests;

#[cfg(test)]
#[path = "conceded_test.rs"]
mod conceded_tests;
