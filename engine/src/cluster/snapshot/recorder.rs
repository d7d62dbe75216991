//! The thread that writes the snapshot: batch by batch, and anew when it has grown or something has failed.
//!
//! It alone waits for the disk. While that is full or hangs the member goes on; the whole snapshot is written anew when the
//! disk takes it again.

#![allow(clippy::disallowed_methods, reason = "this is where an interval passes")]

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::channel::{self, RecvTimeoutError};

use super::handle::{FLUSHES_MAX, Order, SnapshotCounts, SnapshotHandle, Waiting};
use super::notes::{Gathered, KEYS_AT_ONCE, Wish, gather};
use super::peers::{PeerChange, PeerNews, Peers};
use super::resume::Resumed;
use crate::cluster::error::ClusterError;
use crate::cluster::shared::Shared;
use crate::protocol::{SavedClusterKey, SavedKey, SavedMark, SavedState};
use crate::snapshot::{Log, Record, Sheet};

/// Incarnations reserved ahead: two seconds of refutations, as many as there may be.
const RESERVED: u64 = 16;

/// From the first try that failed to the next; twice as long after each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// From one look at all members to the next, where more have changed than are noted.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// In the company of others for so long, a member has no use any more for those of its last life that it has not met.
const UNSEEN_KEPT: Duration = Duration::from_secs(600);

/// A snapshot whose thread is not running yet.
pub(in crate::cluster) struct Pending {
    recorder: Recorder,
    orders: channel::Receiver<Order>,
}

impl Pending {
    /// Writes the file anew for a life of `member`, of `cluster`, that begins with the incarnation `first`, before anybody hears
    /// of it.
    ///
    /// # Errors
    /// If the file cannot be written, and not for want of room.
    pub(super) fn begin(
        resumed: Resumed,
        (cluster, member): (&str, &str),
        first: u64,
        interval: Duration,
        seed: u64,
    ) -> Result<(SnapshotHandle, Pending), ClusterError> {
        let (sender, orders) = channel::bounded(FLUSHES_MAX);
        let handle = SnapshotHandle {
            orders: sender,
            counts: Arc::new(SnapshotCounts::default()),
            left: Arc::new(AtomicBool::new(resumed.left)),
        };
        handle.counts.torn_bytes.store(resumed.torn as u64, Ordering::Relaxed);
        let state = resumed.state.unwrap_or_default();
        let mut recorder = Recorder {
            log: resumed.log,
            cluster: cluster.to_owned(),
            member: member.to_owned(),
            counts: Arc::clone(&handle.counts),
            left: Arc::clone(&handle.left),
            peers: Peers::new(resumed.peers),
            written: Written::at_first(first, resumed.left, state.version),
            interval,
            rng: fastrand::Rng::with_seed(seed),
            looked: None,
            look_through: false,
            company: None,
            failure: None,
        };
        recorder.begin(first, &state)?;
        Ok((handle, Pending { recorder, orders }))
    }

    /// Has the thread run, which ends with the member.
    pub(in crate::cluster) fn run(self, shared: Arc<Shared>) -> io::Result<()> {
        let Pending { recorder, orders } = self;
        let run = move || {
            let ended = recorder.work(&shared, &orders);
            // By now the file is closed and the lock given back.
            if let Some(ended) = ended {
                let _ = ended.send(());
            }
        };
        std::thread::Builder::new().name("swimring-snap".to_owned()).spawn(run).map(drop)
    }
}

/// Why a batch was not written.
enum Failure {
    /// The member has too much to do, or a copy of it was not whole: the next time.
    Later,
    /// The member is gone.
    Gone,
    Disk(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Disk(error)
    }
}

/// What the file says.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// The last incarnation that was seen.
    incarnation: u64,
    reserved: u64,
    left: bool,
    /// The life of the member's own map; 0 as long as it is not known.
    epoch: u64,
    /// The version of that map that has been written.
    version: u64,
}

impl Written {
    /// Of a life that begins with the incarnation `first`, its map with `version`.
    fn at_first(first: u64, left: bool, version: u64) -> Written {
        // The life of the map is known once there is one.
        Written { incarnation: first, reserved: first.saturating_add(RESERVED), left, epoch: 0, version }
    }
}

/// See the module.
struct Recorder {
    log: Log,
    cluster: String,
    member: String,
    counts: Arc<SnapshotCounts>,
    left: Arc<AtomicBool>,
    peers: Peers,
    written: Written,
    interval: Duration,
    rng: fastrand::Rng,
    /// When all members were last looked through, and whether they are to be again: more have changed than were noted.
    looked: Option<Instant>,
    look_through: bool,
    /// Since when there are others; nothing once those not met are forgotten.
    company: Option<Instant>,
    /// While writing fails: why, and how long to wait.
    failure: Option<(String, Duration)>,
}

impl Recorder {
    /// Writes what the life begins with.
    fn begin(&mut self, first: u64, state: &SavedState) -> Result<(), ClusterError> {
        // The map that this life begins has an epoch no higher than this.
        let epoch = (first << 16 | 0xffff).max(state.epoch.saturating_add(1));
        let mark = SavedMark { epoch, version: state.version, floor: 0, clock: state.clock };
        let result = self.rewrite_with(self.written, |sheet| {
            sheet.push(&map(&mark))?;
            write_keys(sheet, &state.own, &state.cluster)
        });
        if let Err(error) = &result
            && !is_full(error)
        {
            let path = self.log.path().display();
            let expected = format!("is {path}, which cannot be written: {error}; give a path that can");
            return Err(ClusterError::setting("snapshot_path", expected));
        }
        self.note(result.map(drop).map_err(Failure::Disk));
        Ok(())
    }

    /// Works until the member ends, and gives who waits for that.
    fn work(mut self, shared: &Shared, orders: &channel::Receiver<Order>) -> Option<channel::Sender<()>> {
        let mut due = Instant::now();
        loop {
            let (mut waiting, mut end) = (Vec::new(), None);
            let first = orders.recv_timeout(due.saturating_duration_since(Instant::now()));
            if matches!(first, Err(RecvTimeoutError::Disconnected)) {
                return None;
            }
            for order in first.into_iter().chain(orders.try_iter()) {
                match order {
                    Order::Write(caller) => waiting.push(caller),
                    Order::End(sender) => end = Some(sender),
                }
            }
            let now = Instant::now();
            if self.failure.is_none() || now >= due || end.is_some() {
                let mut result = self.write(shared, now, false);
                if end.is_some() {
                    // If that has failed, its notes may be gone: all is written then.
                    self.note(result);
                    result = self.write(shared, now, true);
                }
                let gone = matches!(result, Err(Failure::Gone));
                self.note(result);
                due = now + self.failure.as_ref().map_or(self.interval, |(_, wait)| *wait);
                if gone {
                    self.answer(waiting, &Err("the member has stopped".to_owned()));
                    return end;
                }
            }
            let result = self.failure.as_ref().map_or(Ok(()), |(reason, _)| Err(reason.clone()));
            self.answer(waiting, &result);
            if end.is_some() {
                return end;
            }
        }
    }

    fn answer(&self, waiting: Vec<Waiting>, result: &Result<(), String>) {
        waiting.iter().for_each(|caller| caller.say(result));
    }

    /// Writes what has changed.
    fn write(&mut self, shared: &Shared, now: Instant, last: bool) -> Result<(), Failure> {
        // After a failure the notes of what has changed may be gone.
        if !self.log.wants_compaction() && self.failure.is_none() {
            let copied = self.copy(shared, (self.written.epoch, self.written.version), (false, last), now)?;
            if !copied.incomplete {
                return self.append(copied, now, last);
            }
            if last {
                // The member is gone, and the file says what it said before.
                return Err(Failure::Gone);
            }
            // Nobody notes again whom it tells of.
            self.peer_changes(copied.peers, copied.live, now);
        }
        let copied = self.copy(shared, (0, 0), (true, last), now)?;
        if copied.incomplete {
            return Err(Failure::Later);
        }
        self.rewrite(copied, now, last)
    }

    fn append(&mut self, copied: Gathered, now: Instant, last: bool) -> Result<(), Failure> {
        let mut next = self.next(&copied);
        let is_news = next.reserved != self.written.reserved || next.left != self.written.left;
        let is_map_new = next.epoch != self.written.epoch;
        let peers = self.peer_changes(copied.peers, copied.live, now);
        if !(last || is_news || is_map_new)
            && copied.own.is_empty()
            && copied.keys.is_empty()
            && peers.is_empty()
        {
            return Ok(());
        }
        let length = self.log.append(|sheet| {
            if is_news {
                write_standing(sheet, &next)?;
            }
            if is_map_new && let Some(mark) = &copied.mark {
                sheet.push(&map(mark))?;
            }
            write_keys(sheet, &copied.own, &copied.keys)?;
            write_peers(sheet, peers.iter())?;
            if last { sheet.push(&Record::Closed { incarnation: copied.incarnation }) } else { Ok(()) }
        })?;
        next.version = copied.own.last().map_or(next.version, |key| key.version);
        self.wrote(next, length);
        Ok(())
    }

    /// Writes the whole snapshot.
    fn rewrite(&mut self, copied: Gathered, now: Instant, last: bool) -> Result<(), Failure> {
        let mut next = self.next(&copied);
        // Some may be left out that only make room for others.
        self.peer_changes(copied.peers, copied.live, now);
        let mark = copied.mark.unwrap_or_default();
        let length = self.rewrite_with(next, |sheet| {
            sheet.push(&map(&mark))?;
            write_keys(sheet, &copied.own, &copied.keys)?;
            if last { sheet.push(&Record::Closed { incarnation: copied.incarnation }) } else { Ok(()) }
        })?;
        next.version = mark.version;
        self.wrote(next, length);
        Ok(())
    }

    /// Writes the whole snapshot, in which `write` writes what there is of shared state.
    fn rewrite_with(
        &mut self,
        next: Written,
        write: impl FnOnce(&mut Sheet<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let Recorder { log, rng, peers, cluster, member, .. } = self;
        let length = log.rewrite(rng.u64(..), |sheet| {
            sheet.push(&Record::Identity { cluster, member })?;
            write_standing(sheet, &next)?;
            write_peers(sheet, peers.all().collect::<Vec<_>>().iter())?;
            write(sheet)
        })?;
        self.counts.rewrites.fetch_add(1, Ordering::Relaxed);
        Ok(length)
    }

    fn wrote(&mut self, written: Written, length: usize) {
        self.written = written;
        self.counts.batches.fetch_add(1, Ordering::Relaxed);
        self.counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
    }

    /// What the file is to say of the member itself, and of the life of its map.
    fn next(&self, copied: &Gathered) -> Written {
        let Written { incarnation: before, reserved, epoch, version, .. } = self.written;
        let incarnation = copied.incarnation;
        // Whoever changes often has more reserved.
        let ahead = RESERVED.max(4 * incarnation.saturating_sub(before));
        let short = incarnation.saturating_add(RESERVED / 2) > reserved;
        Written {
            incarnation,
            reserved: if short { incarnation.saturating_add(ahead) } else { reserved },
            left: self.left.load(Ordering::SeqCst),
            epoch: copied.mark.map_or(epoch, |mark| mark.epoch),
            version,
        }
    }

    /// Copies of what has changed since `own`, turn by turn of the member's loop; of `all` instead, or for the `last` time.
    fn copy(
        &mut self,
        shared: &Shared,
        own: (u64, u64),
        (all, last): (bool, bool),
        now: Instant,
    ) -> Result<Gathered, Failure> {
        let may_look = self.looked.is_none_or(|looked| now >= looked + LOOK_INTERVAL);
        let all_members = may_look && self.look_through;
        let mut wish = Wish { own, all_keys: all, all_members, seed: self.rng.u64(..), last };
        let mut copied = ask(shared, wish)?;
        let mut full = copied.own.len() >= KEYS_AT_ONCE && !last;
        while full && !copied.incomplete {
            let since = copied.own.last().map_or(own.1, |key| key.version);
            let epoch = copied.mark.map_or(0, |mark| mark.epoch);
            wish = Wish { own: (epoch, since), all_keys: false, all_members: false, ..wish };
            let more = ask(shared, wish)?;
            full = more.own.len() >= KEYS_AT_ONCE;
            copied.add(more);
        }
        if all_members {
            (self.looked, self.look_through) = (Some(now), false);
            self.peers.doubt();
        }
        self.counts.notes_lost.fetch_add(u64::from(copied.notes_lost), Ordering::Relaxed);
        // Those that were not noted are looked for later.
        self.look_through |= copied.members_lost;
        if copied.live > 1 && !shared.stays_away.load(Ordering::SeqCst) {
            self.has_joined(shared);
        }
        Ok(copied)
    }

    /// Among others the member has no reason any more to stay away, unless it is being told to leave right now.
    fn has_joined(&self, shared: &Shared) {
        if self.left.swap(false, Ordering::SeqCst) && shared.stays_away.load(Ordering::SeqCst) {
            self.left.store(true, Ordering::SeqCst);
        }
    }

    fn peer_changes(&mut self, news: Vec<PeerNews>, live: usize, now: Instant) -> Vec<PeerChange> {
        let mut changes = self.peers.take(news);
        if live > 1 && now >= *self.company.get_or_insert(now) + UNSEEN_KEPT {
            changes.extend(self.peers.forget_unseen());
        }
        changes
    }

    /// Says how writing went, once when it begins to fail and once when it does no longer.
    fn note(&mut self, result: Result<(), Failure>) {
        let (local, path) = (self.member.clone(), self.log.path().display().to_string());
        let error = match result {
            Ok(()) => {
                if self.failure.take().is_some() {
                    tracing::info!(local, %path, "the snapshot is written again");
                }
                self.counts.failing.store(false, Ordering::Relaxed);
                return;
            }
            Err(Failure::Gone) => return,
            Err(Failure::Later) => {
                "the member has too much to do to be copied, and is asked again".to_owned()
            }
            Err(Failure::Disk(error)) => error.to_string(),
        };
        self.counts.errors.fetch_add(1, Ordering::Relaxed);
        self.look_through = true;
        let wait = self.failure.take().map_or(FIRST_RETRY, |(_, wait)| (wait * 2).min(RETRY_MAX));
        if !self.counts.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                local, %path,
                "the snapshot cannot be written, and is tried again: {error}; meanwhile a kill would lose what changes"
            );
        }
        self.failure = Some((error, wait));
    }
}

/// Asks the member.
fn ask(shared: &Shared, wish: Wish) -> Result<Gathered, Failure> {
    match shared.ask(move |host, _| gather(host, wish)).wait() {
        Ok(Some(gathered)) => Ok(gathered),
        Err(ClusterError::Busy) => Err(Failure::Later),
        Ok(None) | Err(_) => Err(Failure::Gone),
    }
}

/// Whether a disk has no room, which it may have again.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn map(mark: &SavedMark) -> Record<'static> {
    Record::Map { epoch: mark.epoch, version: mark.version, clock: mark.clock }
}

fn write_standing(sheet: &mut Sheet<'_>, standing: &Written) -> io::Result<()> {
    sheet.push(&Record::Life { reserved: standing.reserved })?;
    sheet.push(&Record::Left(standing.left))
}

fn write_keys(sheet: &mut Sheet<'_>, own: &[SavedKey], keys: &[SavedClusterKey]) -> io::Result<()> {
    for SavedKey { key, version, value } in own {
        sheet.push(&Record::OwnKey { key, version: *version, value: value.as_deref() })?;
    }
    for SavedClusterKey { key, version, writer, value, statement } in keys {
        let (version, writer, statement) = (*version, *writer, *statement);
        sheet.push(&Record::ClusterKey { key, version, writer, value: value.as_deref(), statement })?;
    }
    Ok(())
}

fn write_peers<'a>(sheet: &mut Sheet<'_>, mut peers: impl Iterator<Item = &'a PeerChange>) -> io::Result<()> {
    peers.try_for_each(|peer| sheet.push(&peer.record()))
}
