//! Comparing with others, and bringing what one side lacks.
//!
//! Now and then a member sends another its roots, more often while something has changed of late. Where they differ for a
//! while, the other opens a stream: it says how far each of its copies has come, gets what is newer, with what the
//! answering side wants in turn, and sends that. What was told by its version alone is asked for in the same
//! way ([`super::fetching`]). Nothing here is acknowledged: what is lost shows in the
//! next roots. Exchanges that bring nothing become rarer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use swimring_codec::MemberId;
use swimring_codec::native::{
    KeyDigest, KeyDigestList, KeyDigests, KeyRoots, KeySectionWriter, KeySpan, MapDigest, StreamWriter,
};

use super::fetching::{Fetching, Wanted};
use super::map::Have;
use super::store::Store;
use super::telling::reference;
use super::{KeyValues, is_live, open};
use crate::protocol::outbox::StreamPurpose;
use crate::protocol::state::{Context, Core, SharedState, Status};
use crate::protocol::time::Time;
use crate::protocol::wire::{Outgoing, Sender, native_stream_writer};

/// From one sending of roots to the next while nothing changes.
const IDLE_INTERVAL: Duration = Duration::from_secs(10);

/// The same while something has changed of late.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// For so long after a change.
const BUSY_FOR: Duration = Duration::from_secs(10);

/// A difference that is younger than this, with a change that is as young, is on its way by itself.
const LASTING: Duration = Duration::from_millis(300);

/// Differences that last so long are mended although something changes all the time.
const LASTING_MAX: Duration = Duration::from_secs(2);

/// From one exchange to the next. Doubled each time that one brings nothing.
const WAIT_MIN: Duration = Duration::from_millis(500);

/// So many times.
const EXCHANGE_DOUBLINGS_MAX: u8 = 6;

/// How long an exchange may take before it is tried with somebody else.
const PATIENCE: Duration = Duration::from_secs(5);

/// Times that it is.
const EXCHANGE_ATTEMPTS_MAX: u8 = 4;

/// Bytes of sections in one answer. The rest is in the next.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An exchange that is to be begun, or has been and is not over.
#[derive(Clone, Copy, Debug)]
struct Pending {
    all_maps: bool,
    all_keys: bool,
    with: MemberId,
    /// When it begins, or is given up.
    due: Time,
    attempts: u8,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Exchange {
    /// When roots were last sent.
    summary: Time,
    /// When something last changed here.
    changed: Time,
    /// No exchange because of differing roots before this.
    allowed: Time,
    /// Since when all roots have differed; [`Time::NEVER`] if the last were the same.
    differing: Time,
    doublings: u8,
    /// The last exchange has brought something.
    fruitful: bool,
    pending: Option<Pending>,
    pub(super) fetching: Fetching,
}

impl Exchange {
    pub(super) fn new(now: Time) -> Exchange {
        Exchange {
            summary: now,
            changed: now,
            allowed: now,
            differing: Time::NEVER,
            doublings: 0,
            fruitful: true,
            pending: None,
            fetching: Fetching::default(),
        }
    }

    /// Something has changed here.
    pub(super) fn note_change(&mut self, now: Time) {
        self.changed = now;
    }

    /// Something new has come.
    pub(super) fn note_news(&mut self, now: Time) {
        (self.changed, self.fruitful) = (now, true);
    }

    /// Compares with `with` soon, whatever roots say.
    pub(super) fn begin_soon(&mut self, now: Time, with: MemberId) {
        self.pending = Some(Pending { all_maps: true, all_keys: true, with, due: now, attempts: 0 });
    }

    fn summary_due(&self, core: &Core) -> Time {
        let changed = self.changed.max(core.root_changed);
        let busy = changed + BUSY_FOR > self.summary;
        // The first change after a rest makes it due at once, and not before: a driver takes a timer of the past for its own lateness.
        if busy { (self.summary + BUSY_INTERVAL).max(changed) } else { self.summary + IDLE_INTERVAL }
    }

    pub(super) fn is_summary_due(&self, core: &Core, now: Time) -> bool {
        self.summary_due(core) <= now
    }

    /// When there is something to do next.
    pub(super) fn due(&self, core: &Core) -> Time {
        let pending = self.pending.map_or(Time::NEVER, |pending| pending.due);
        self.summary_due(core).min(pending).min(self.fetching.due())
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self, store: &Store, core: &mut Core, cx: &mut Context<'_, '_>) {
        if self.is_summary_due(core, cx.now) {
            self.send_roots(store, core, cx);
        }
        if self.pending.is_some_and(|pending| pending.due <= cx.now) {
            self.begin(core, cx);
        }
        if self.fetching.due() <= cx.now {
            self.fetching.fetch(store, core, cx);
        }
    }

    /// Sends roots to somebody. A bit earlier or later, so that not all do at once for ever.
    fn send_roots(&mut self, store: &Store, core: &mut Core, cx: &mut Context<'_, '_>) {
        self.summary = cx.now + Duration::from_millis(core.rng.u64(..100));
        let roots = roots(store, core, cx);
        if core.status != Status::Active || roots == (KeyRoots { maps: 0, keys: 0 }) {
            return;
        }
        let Some(target) = core.anybody() else { return };
        let to = core.identity(target, cx.shared).address();
        let id = cx.shared.directory.id(target);
        cx.shared.counters.state_roots_sent += 1;
        core.send_bare(cx, to, id, &[Outgoing::KeyRoots(roots)]);
    }

    /// `origin` has sent its roots.
    fn on_roots(
        &mut self,
        store: &Store,
        core: &Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        heard: KeyRoots,
    ) {
        let own = roots(store, core, cx);
        if own == heard {
            (self.differing, self.doublings) = (Time::NEVER, 0);
            return;
        }
        if self.differing == Time::NEVER {
            self.differing = cx.now;
        }
        let settled = cx.now.since(self.changed.max(core.root_changed)) >= LASTING
            || cx.now.since(self.differing) >= LASTING_MAX;
        let may = cx.now >= self.allowed && self.pending.is_none() && core.status == Status::Active;
        if settled && may && is_live(core, cx.shared, origin.source) {
            self.doublings = if self.fruitful { 0 } else { (self.doublings + 1).min(EXCHANGE_DOUBLINGS_MAX) };
            self.allowed = cx.now + WAIT_MIN * (1 << self.doublings);
            self.pending = Some(Pending {
                all_maps: own.maps != heard.maps,
                all_keys: own.keys != heard.keys,
                with: origin.source,
                due: cx.now,
                attempts: 0,
            });
        }
    }

    /// Opens the stream for the exchange that is pending.
    fn begin(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        let Some(mut pending) = self.pending.take() else { return };
        if core.status != Status::Active || pending.attempts >= EXCHANGE_ATTEMPTS_MAX {
            return;
        }
        let first = Some(pending.with).filter(|id| pending.attempts == 0 && is_live(core, cx.shared, *id));
        let partner = first.and_then(|id| cx.shared.directory.find(id)).or_else(|| core.anybody());
        let Some(partner) = partner.filter(|partner| *partner != core.index) else { return };
        let Pending { all_maps, all_keys, .. } = pending;
        self.fruitful = false;
        open(core, cx, partner, StreamPurpose::SharedState { all_maps, all_keys });
        pending.attempts += 1;
        pending.due = cx.now + PATIENCE;
        self.pending = Some(pending);
    }
}

impl KeyValues {
    /// `origin` has sent its roots.
    pub(in crate::protocol) fn on_roots(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        origin: &Sender,
        roots: KeyRoots,
    ) {
        self.exchange.on_roots(&self.store, core, cx, origin, roots);
    }

    /// Writes what an exchange with `destination` begins with: how far our copies have come.
    pub(in crate::protocol) fn write_opening(
        &self,
        core: &Core,
        shared: &SharedState,
        destination: MemberId,
        (all_maps, all_keys): (bool, bool),
        out: &mut Vec<u8>,
    ) {
        let mut list = KeyDigestList { all_maps, all_keys, ..KeyDigestList::default() };
        if all_maps {
            let maps = self
                .store
                .maps
                .iter()
                .filter(|(owner, map)| map.version != 0 && is_live(core, shared, **owner));
            list.maps.extend(maps.map(|(owner, map)| map.digest(*owner)));
        }
        if all_keys {
            list.keys.extend(self.store.cluster.digests().map(|(_, digest)| digest));
        }
        if !all_maps && !all_keys {
            for what in self.exchange.fetching.wanted_from(destination) {
                match what {
                    Wanted::Map { owner, .. } => list.maps.push(self.digest_of(*owner)),
                    Wanted::Key { key, .. } => list.keys.push(self.store.cluster.digest_of(key)),
                }
            }
        }
        writer(core, shared, destination, out).key_digests(&list);
    }

    /// How far our copy of the map of `owner` has come, if there is one.
    fn digest_of(&self, owner: MemberId) -> MapDigest {
        let nothing = MapDigest { owner, epoch: 1, version: 0 };
        self.store.maps.get(&owner).map_or(nothing, |map| map.digest(owner))
    }

    /// Answers the digests of `source`, which opened an exchange: with what is newer here, and with digests of what we want
    /// in turn.
    pub(in crate::protocol) fn answer(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        source: MemberId,
        digests: &KeyDigests<'_>,
        reply: &mut Vec<u8>,
    ) {
        cx.shared.counters.state_exchanges_answered += 1;
        self.sign_own(core, cx.shared);
        let theirs: BTreeMap<MemberId, MapDigest> =
            digests.maps().map(|digest| (digest.owner, digest)).collect();
        let mut wanted = KeyDigestList::default();
        let mut jobs = VecDeque::new();
        for digest in theirs.values() {
            let ours = self.digest_of(digest.owner);
            // Where members have identities it takes our own signature, which comes with what we ask for in turn.
            if digest.owner == core.id && is_later(digest, &ours) && !self.store.signs {
                self.on_own_past(cx.now, core.id, (digest.epoch, digest.version));
            }
            let ours = self.digest_of(digest.owner);
            if is_later(&ours, digest) {
                jobs.push_back((digest.owner, Have::of(digest)));
            } else if digests.all_maps && is_later(digest, &ours) {
                wanted.maps.push(ours);
            }
        }
        if digests.all_maps {
            let unlisted = self.store.maps.iter().filter(|(owner, map)| {
                map.version != 0
                    && !theirs.contains_key(owner)
                    && (**owner == source || is_live(core, cx.shared, **owner))
            });
            jobs.extend(unlisted.map(|(owner, _)| (*owner, Have::default())));
        }
        let keys = self.newer_keys(digests, &mut wanted);
        let mut writer = writer(core, cx.shared, source, reply);
        wanted.more = !self.write_all(source, jobs, &keys, &mut writer);
        writer.key_digests(&wanted);
    }

    /// The keys of the cluster that are newer here than `digests` say. Those that are older are added to what is `wanted`.
    fn newer_keys(&self, digests: &KeyDigests<'_>, wanted: &mut KeyDigestList) -> Vec<&str> {
        if !digests.all_keys && digests.keys().len() == 0 {
            return Vec::new();
        }
        let mut theirs: BTreeMap<u64, KeyDigest> =
            digests.keys().map(|digest| (digest.hash, digest)).collect();
        let mut newer = Vec::new();
        for (key, ours) in self.store.cluster.digests() {
            match theirs.remove(&ours.hash) {
                Some(their) if (their.version, their.writer) < (ours.version, ours.writer) => {
                    newer.push(&**key);
                }
                Some(their) if (their.version, their.writer) > (ours.version, ours.writer) => {
                    wanted.keys.push(ours);
                }
                Some(_) => {}
                None if digests.all_keys => newer.push(&**key),
                None => {}
            }
        }
        if digests.all_keys {
            let unknown = theirs.into_keys();
            wanted.keys.extend(unknown.map(|hash| KeyDigest { hash, version: 0, writer: MemberId::NONE }));
        } else {
            wanted.keys.clear();
        }
        newer
    }

    /// Writes what `jobs` and `keys` ask for, message by message. False if it is more than one answer holds.
    fn write_all(
        &self,
        destination: MemberId,
        mut jobs: VecDeque<(MemberId, Have)>,
        keys: &[&str],
        writer: &mut StreamWriter<'_>,
    ) -> bool {
        let (start, mut keys) = (writer.written(), keys);
        while !(jobs.is_empty() && keys.is_empty()) {
            // A signed map is of use as a whole alone.
            let cut = self.store.signs && jobs.front().is_some_and(|(_, have)| have.begun);
            if writer.written() - start >= ANSWER_BYTES_MAX && !cut {
                return false;
            }
            writer.key_values(|sections| {
                self.write_keys(&mut keys, sections);
                while let Some((owner, have)) = jobs.front_mut() {
                    let Some(map) = self.store.maps.get(owner) else {
                        jobs.pop_front();
                        continue;
                    };
                    if *owner == destination {
                        // Its own past: that there is one is enough.
                        let past = reference(*owner, map.epoch, map.version, map.floor);
                        if !sections.begin_stated(past, map.statement()) {
                            return;
                        }
                        sections.end();
                    } else if let Err(further) = map.write(*owner, *have, sections) {
                        *have = further;
                        return;
                    }
                    jobs.pop_front();
                }
            });
        }
        true
    }

    fn write_keys(&self, keys: &mut &[&str], sections: &mut KeySectionWriter<'_>) {
        if keys.is_empty() || !sections.begin(KeySpan::CLUSTER) {
            return;
        }
        while let Some((key, rest)) = keys.split_first() {
            let said = self.store.cluster.said(key);
            if said.is_some_and(|entry| entry.encoded_len() > sections.room() || !sections.entry(&entry)) {
                break;
            }
            *keys = rest;
        }
        sections.end();
    }

    /// `source` has answered, and says what it wants in turn: writes that. False if it wants nothing.
    pub(in crate::protocol) fn on_answered(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        source: MemberId,
        wanted: &KeyDigests<'_>,
        reply: &mut Vec<u8>,
    ) -> bool {
        if let Some(pending) = &mut self.exchange.pending {
            if wanted.more {
                (pending.due, pending.attempts, pending.with) = (cx.now, 0, source);
            } else {
                self.exchange.pending = None;
            }
        }
        self.sign_own(core, cx.shared);
        let mut jobs = VecDeque::new();
        for digest in wanted.maps() {
            if is_later(&self.digest_of(digest.owner), &digest) {
                jobs.push_back((digest.owner, Have::of(&digest)));
            }
        }
        let keys = self.wanted_keys(wanted);
        let gives = !(jobs.is_empty() && keys.is_empty());
        if gives {
            self.write_all(source, jobs, &keys, &mut writer(core, cx.shared, source, reply));
        }
        self.exchange.fruitful |= gives;
        gives
    }

    /// The keys of the cluster of which `wanted` has older versions.
    fn wanted_keys(&self, wanted: &KeyDigests<'_>) -> Vec<&str> {
        let theirs: BTreeMap<u64, KeyDigest> = wanted.keys().map(|digest| (digest.hash, digest)).collect();
        let ours = self.store.cluster.digests().filter(|(_, ours)| {
            let their = theirs.get(&ours.hash);
            their.is_some_and(|their| (their.version, their.writer) < (ours.version, ours.writer))
        });
        ours.map(|(key, _)| &**key).collect()
    }

    /// Writes everything for `joiner`, which gets it before the view ends.
    pub(in crate::protocol) fn write_for_joiner(
        &mut self,
        core: &Core,
        cx: &Context<'_, '_>,
        joiner: MemberId,
        reply: &mut Vec<u8>,
    ) {
        self.sign_own(core, cx.shared);
        let maps = self.store.maps.iter().filter(|(owner, map)| {
            map.version != 0 && (**owner == joiner || is_live(core, cx.shared, **owner))
        });
        let jobs: VecDeque<_> = maps.map(|(owner, _)| (*owner, Have::default())).collect();
        let keys: Vec<&str> = self.store.cluster.digests().map(|(key, _)| &**key).collect();
        if !(jobs.is_empty() && keys.is_empty()) {
            self.write_all(joiner, jobs, &keys, &mut writer(core, cx.shared, joiner, reply));
        }
    }
}

/// Whether `one` has come further than `other`.
fn is_later(one: &MapDigest, other: &MapDigest) -> bool {
    one.version != 0 && (other.version == 0 || (one.epoch, one.version) > (other.epoch, other.version))
}

/// What our copies sum to.
fn roots(store: &Store, core: &Core, cx: &Context<'_, '_>) -> KeyRoots {
    store.roots(|owner| is_live(core, cx.shared, owner))
}

/// What writes stream messages of ours to `destination` to the end of `out`.
fn writer<'o>(
    core: &Core,
    shared: &SharedState,
    destination: MemberId,
    out: &'o mut Vec<u8>,
) -> StreamWriter<'o> {
    let speaker = core.speaker(&shared.directory, &shared.events, false);
    native_stream_writer(&speaker, destination, out)
}
