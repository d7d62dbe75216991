//! Telling what has changed here.
//!
//! What is told goes in a user event of a reserved name. Several changes that come close together share one, and each says what
//! changed shortly before as well, so that those that arrive in another order still follow on each other. What does not
//! fit is told by its version alone.

use std::sync::Arc;
use std::time::Duration;

use swimring_codec::MemberId;
use swimring_codec::native::{
    EVENT_MAX, KeySectionWriter, KeySpan, MAP_STATEMENT_LEN, SECTION_HEADER_LEN, UserEvent,
};

use super::map::{Have, Map};
use super::store::Store;
use crate::protocol::state::{Context, Core, Status};
use crate::protocol::time::Time;
use crate::protocol::wire::EventBody;

/// The name of the user events that tell of changes. Applications cannot give one that begins like it.
const TOLD: &str = "\0kv";

/// Bytes that are left for the payload of such an event.
const PAYLOAD_MAX: usize = EVENT_MAX - TOLD.len();

/// Shortest time between two of them by one member.
const PACING: Duration = Duration::from_millis(20);

/// What changed so shortly before is said again, if it fits.
const REPEATED: Duration = Duration::from_millis(500);

/// Keys of the cluster that wait to be told.
const CLUSTER_KEYS_WAITING_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Telling {
    due: Time,
    /// When something was last told.
    last: Time,
    /// The version of our own map that has been told.
    told: u64,
    /// The one that had been a while ago, and when it was taken.
    base: (u64, Time),
    /// Keys of the cluster that we changed and have not told.
    cluster_keys: Vec<Arc<str>>,
    /// The payload is written here.
    payload: Vec<u8>,
}

impl Telling {
    pub(super) fn new(now: Time) -> Telling {
        Telling {
            due: Time::NEVER,
            last: Time::ZERO,
            told: 0,
            base: (0, now),
            cluster_keys: Vec::new(),
            payload: Vec::new(),
        }
    }

    pub(super) fn due(&self) -> Time {
        self.due
    }

    /// Something has changed.
    pub(super) fn wake(&mut self, now: Time) {
        self.due = self.due.min(now.max(self.last + PACING));
    }

    /// Our whole map is to be told.
    pub(super) fn begin_anew(&mut self, now: Time) {
        (self.told, self.base) = (0, (0, now));
        self.wake(now);
    }

    /// We have changed a key of the cluster. Beyond the bound it is left to the roots.
    pub(super) fn note_cluster_key(&mut self, key: Arc<str>) {
        if !self.cluster_keys.contains(&key) && self.cluster_keys.len() < CLUSTER_KEYS_WAITING_MAX {
            self.cluster_keys.push(key);
        }
    }

    /// Tells what is to be told.
    pub(super) fn tell(&mut self, store: &Store, core: &mut Core, cx: &mut Context<'_, '_>) {
        (self.due, self.last) = (Time::NEVER, cx.now);
        let own = store.maps.get(&core.id);
        if core.status != Status::Active || core.table.live() < 2 {
            // Whoever joins through us gets it with the view.
            self.told = own.map_or(0, |map| map.version);
            self.cluster_keys.clear();
            return;
        }
        if let Some(map) = own.filter(|map| map.version != self.told) {
            self.write_map(core.id, map);
            self.send(core, cx);
            if cx.now.since(self.base.1) >= REPEATED {
                self.base = (self.told, cx.now);
            }
            self.told = map.version;
        }
        if !self.cluster_keys.is_empty() {
            self.write_cluster_keys(store);
            self.send(core, cx);
        }
        if !self.cluster_keys.is_empty() {
            self.due = cx.now + PACING;
        }
    }

    /// What has changed in our map: together with what changed before if that fits, else alone, else its version.
    fn write_map(&mut self, own: MemberId, map: &Map) {
        let stated = map.statement().map_or(0, |_| MAP_STATEMENT_LEN);
        let room = PAYLOAD_MAX - SECTION_HEADER_LEN - stated;
        self.payload.clear();
        let mut writer = KeySectionWriter::new(&mut self.payload, PAYLOAD_MAX);
        let fits = |since: &u64| *since >= map.floor && map.bytes_since(*since, room) <= room;
        let since = [self.base.0, self.told].into_iter().find(fits);
        match since {
            // It fits.
            Some(since) => {
                let have = Have { epoch: map.epoch, version: since, begun: false };
                let _ = map.write(own, have, &mut writer);
            }
            None => {
                let (epoch, version, floor) = (map.epoch, map.version, map.floor);
                writer.begin_stated(reference(own, epoch, version, floor), map.statement());
            }
        }
    }

    fn write_cluster_keys(&mut self, store: &Store) {
        self.payload.clear();
        let mut writer = KeySectionWriter::new(&mut self.payload, PAYLOAD_MAX);
        writer.begin(KeySpan::CLUSTER);
        self.cluster_keys.retain(|key| {
            let Some(entry) = store.cluster.said(key) else { return false };
            let small = SECTION_HEADER_LEN + entry.encoded_len() <= PAYLOAD_MAX;
            let elsewhere = if small { None } else { store.cluster.said_elsewhere(key) };
            let entry = elsewhere.unwrap_or(entry);
            entry.encoded_len() > writer.room() || !writer.entry(&entry)
        });
    }

    fn send(&mut self, core: &mut Core, cx: &mut Context<'_, '_>) {
        // Applications are left half of the room for events.
        let crowded = cx.shared.events.is_half_full(cx.now, &core.settings);
        core.event_sequence = core.event_sequence.wrapping_add(1);
        let event =
            UserEvent { origin: core.id, sequence: core.event_sequence, name: TOLD, payload: &self.payload };
        let told = !crowded && core.tell_own(cx, &EventBody::Plain(&event)).is_some();
        cx.shared.counters.state_changes_told += u64::from(told);
        cx.shared.counters.state_changes_untold += u64::from(!told);
    }
}

/// A section that says no more than how far a map has come.
pub(super) fn reference(owner: MemberId, epoch: u64, version: u64, floor: u64) -> KeySpan {
    KeySpan { owner, epoch, since: version, until: version, floor, complete: false, reset: false }
}
