//! Safety: what has to hold after every step, whatever goes wrong.
//!
//! Each check has a name, and the first that fails ends the run with a [`Violation`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use swimring_codec::memberlist::Codec;
use swimring_codec::native::{Frame, Introduction};
use swimring_codec::{Incarnation, MemberId, State, root_term};
use xxhash_rust::xxh3::xxh3_64;

use super::node::Node;
use swimring::protocol::{
    Event, Member, MemberRef, MemberlistDialect, Settings, SharedState, Time, WireOptions, identity_of,
};

/// A check that failed.
#[derive(Clone, Debug)]
pub struct Violation {
    /// True time.
    pub at: Time,
    /// Number of the member.
    pub node: usize,
    /// Name of the check.
    pub check: &'static str,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_micros() as f64 / 1e6;
        write!(out, "{} at {seconds:.6} s, member {}: {}", self.check, self.node, self.detail)
    }
}

/// The step that is checked: when, in true time, and at which member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) at: Time,
    pub(super) node: usize,
}

/// What the network and the checks have seen, beside the members' own counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    /// Datagrams that could not be decoded.
    pub frames_undecodable: u64,
    /// Datagrams that the checksum held back.
    pub frames_damaged: u64,
    /// Datagrams that arrived at another member.
    pub frames_misdirected: u64,
    /// Bytes written to streams.
    pub stream_bytes: u64,
    /// Streams that broke on the way.
    pub streams_broken: u64,
    /// Streams that ended before their purpose was met.
    pub streams_failed: u64,
    /// Streams whose connection was refused: by the host of a member that is gone.
    pub streams_refused: u64,
    /// Crashes.
    pub crashes: u64,
    /// Crashes of whole hosts, which refuse no connection.
    pub hosts_crashed: u64,
    /// Returns of crashed members and of those that had left.
    pub returns: u64,
    /// Members that left.
    pub leaves: u64,
    /// Partitions.
    pub partitions: u64,
    /// Spells of slowness.
    pub starvations: u64,
    /// Clocks that jumped.
    pub clock_jumps: u64,
    /// Names claimed by two members.
    pub name_conflicts: u64,
}

/// A member as a view last had it.
#[derive(Clone, Copy, Debug)]
struct Seen {
    id: MemberId,
    state: State,
    incarnation: Incarnation,
    address: SocketAddr,
    /// Number of the look.
    look: u64,
    at: Time,
}

#[derive(Debug, Default)]
struct Watched {
    /// By index in the directory.
    seen: Vec<Option<Seen>>,
    looks: u64,
    /// The events that were delivered, and when by the member's own clock.
    delivered: HashMap<(MemberId, u32), Time>,
    /// The events that were sent, by [`Checks::event_key`].
    sent: HashMap<u64, Time>,
}

/// The checks' own memory. See the module.
#[derive(Debug)]
pub struct Checks {
    enabled: bool,
    /// The settings of every member.
    settings: Arc<Settings>,
    /// The members speak memberlist's format, in which addresses are kept to.
    memberlist: bool,
    /// Events travel as Serf's.
    serf: bool,
    /// Members have identities.
    pub(super) identities: bool,
    watched: Vec<Watched>,
    violation: Option<Violation>,
    /// What was seen on the way.
    pub coverage: Coverage,
}

impl Checks {
    pub(super) fn new(members: usize, enabled: bool, settings: Arc<Settings>, wire: &WireOptions) -> Checks {
        let watched = (0..members).map(|_| Watched::default()).collect();
        let memberlist = !wire.is_native();
        let serf =
            matches!(wire, WireOptions::Memberlist(options) if options.dialect == MemberlistDialect::Serf);
        Checks {
            enabled,
            settings,
            memberlist,
            serf,
            identities: false,
            watched,
            violation: None,
            coverage: Coverage::default(),
        }
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.clone()
    }

    fn fail(&mut self, step: Step, check: &'static str, detail: String) {
        let Step { at, node } = step;
        self.violation.get_or_insert(Violation { at, node, check, detail });
    }

    pub(super) fn started(&mut self, node: usize) {
        self.watched[node] = Watched::default();
    }

    pub(super) fn event_sent(&mut self, node: usize, sequence: u32, payload: &[u8], shown: Time) {
        let key = self.event_key(sequence, payload);
        self.watched[node].sent.insert(key, shown);
    }

    /// Identity of an event: its sequence, or in a Serf pool, where the sequence is not sent, its payload.
    fn event_key(&self, sequence: u32, payload: &[u8]) -> u64 {
        if self.serf { xxh3_64(payload) } else { sequence.into() }
    }

    /// Datagrams are whole, say something, and are not longer than they may be. `codec` opens memberlist's.
    pub(super) fn datagram(&mut self, step: Step, bytes: &[u8], codec: Option<&mut Codec>) {
        if bytes.len() > self.settings.frame_bytes_max {
            self.fail(step, "a frame exceeds frame_bytes_max", format!("{} bytes", bytes.len()));
        }
        match codec {
            Some(codec) => self.packet(step, bytes, codec),
            None => self.frame(step, bytes),
        }
    }

    fn packet(&mut self, step: Step, bytes: &[u8], codec: &mut Codec) {
        let messages = match codec.open_packet(bytes) {
            Ok(messages) => messages,
            Err(error) => return self.fail(step, "a packet cannot be opened", error.to_string()),
        };
        let mut read = 0;
        for message in messages {
            match message {
                Ok(_) => read += 1,
                Err(error) => self.fail(step, "a message cannot be read", error.to_string()),
            }
        }
        if read == 0 {
            self.fail(step, "a packet says nothing", format!("{bytes:02x?}"));
        }
    }

    fn frame(&mut self, step: Step, bytes: &[u8]) {
        let Ok(frame) = Frame::decode(bytes) else {
            return self.fail(step, "a frame cannot be read", format!("{bytes:02x?}"));
        };
        let mut messages = frame.messages();
        let mut read = 0;
        for message in &mut messages {
            match message {
                Ok(_) => read += 1,
                Err(error) => self.fail(step, "a message cannot be read", error.to_string()),
            }
        }
        // What has been signed so long ago that the signature is gone is left out.
        if self.identities && messages.rest().iter().all(|byte| *byte == 0) {
            return;
        }
        if read == 0 {
            self.fail(step, "a frame says nothing", format!("{bytes:02x?}"));
        }
        if !messages.rest().is_empty() {
            self.fail(step, "a frame is longer than its messages", format!("{bytes:02x?}"));
        }
    }

    pub(super) fn undecodable(&mut self, step: Step, error: &str) {
        self.fail(step, "what a member wrote cannot be read, or what it did not can", error.to_owned());
    }

    /// A member that has left is silent.
    pub(super) fn after_leaving(&mut self, step: Step, had_left: bool, silent: bool) {
        if had_left && !silent {
            self.fail(step, "a member speaks after it has left", String::new());
        }
    }

    /// A timeout leaves nothing that is already due: the driver would spin.
    pub(super) fn timeout_handled(&mut self, step: Step, shown: Time, member: Option<&Member>) {
        let next = member.map_or(Time::NEVER, Member::next_timeout);
        if next <= shown {
            self.fail(step, "the next timeout is not in the future", format!("{next:?} at {shown:?}"));
        }
    }

    /// User events are not delivered to their sender, nor twice, within the time that they are remembered.
    pub(super) fn event(&mut self, step: Step, node: &Node, event: Event, commons: &SharedState) {
        let Event::UserEvent { event } = event else {
            self.coverage.name_conflicts += u64::from(matches!(event, Event::NameConflict { .. }));
            return;
        };
        let event = commons.user_event(event);
        let (shown, key) = (node.clock.read(step.at), self.event_key(event.sequence, event.payload));
        let (serf, watched) = (self.serf, &mut self.watched[step.node]);
        let sent = watched.sent.get(&key).filter(|_| serf || event.origin == node.id).copied();
        let memory = self.settings.event_memory;
        let remembered = |since: Time| shown.since(since) < memory;
        let before = watched.delivered.insert((event.origin, event.sequence), shown);
        if sent.is_some_and(remembered) {
            self.fail(step, "an event is delivered to its sender", format!("{event:?}"));
        }
        if before.is_some_and(remembered) {
            self.fail(step, "an event is delivered twice", format!("{event:?} at {before:?}"));
        }
    }

    /// A member's view agrees with itself and with what it was.
    pub(super) fn view(&mut self, step: Step, member: &Member, commons: &SharedState) {
        if !self.enabled {
            return;
        }
        self.watched[step.node].looks += 1;
        let (mut root, mut live, mut known) = (0u64, 0, 0);
        for other in member.members(commons) {
            known += 1;
            if other.state.is_live() {
                live += 1;
                let id = commons.directory().id(other.index);
                let stated = other.public_key.map(|key| [&key.0[..], other.metadata].concat());
                let told = introduction(id, &other);
                let metadata = stated.as_deref().unwrap_or(told.metadata);
                let identity = identity_of(&Introduction { metadata, ..told }, other.versions);
                root = root.wrapping_add(root_term(id, other.incarnation, identity));
            }
            self.belief(step, member, &other, commons.directory().id(other.index));
        }
        if root != member.root() {
            self.fail(step, "the root is not that of the view", format!("{root} {}", member.root()));
        }
        if (live, known) != (member.live(), member.known()) {
            let detail = format!("{live} {known}, counted {} {}", member.live(), member.known());
            self.fail(step, "the table's counts are wrong", detail);
        }
        if known > self.settings.members_max as usize {
            self.fail(step, "the table exceeds members_max", known.to_string());
        }
        if member.queued() > 2 * self.settings.broadcasts_max {
            self.fail(step, "the queue exceeds its bounds", member.queued().to_string());
        }
        if member.local_health() > self.settings.local_health_max {
            let detail = member.local_health().to_string();
            self.fail(step, "local health exceeds its bound", detail);
        }
    }

    /// The state of one member is a permitted successor of its state before.
    fn belief(&mut self, step: Step, member: &Member, other: &MemberRef<'_>, id: MemberId) {
        let at = step.at;
        if other.index == member.index() && !matches!(other.state, State::Alive | State::Left) {
            self.fail(step, "a member doubts itself", format!("{:?}", other.state));
        }
        let watched = &mut self.watched[step.node];
        let place = other.index as usize;
        if watched.seen.len() <= place {
            watched.seen.resize(place + 1, None);
        }
        let look = watched.looks;
        let MemberRef { state, incarnation, address, .. } = *other;
        let before = watched.seen[place].replace(Seen { id, state, incarnation, address, look, at });
        let Some(before) = before.filter(|before| before.id == id) else { return };
        if self.memberlist && address != before.address && other.index != member.index() {
            // A departed member may come back at another address with a new count; a live one stays where it is.
            if before.look + 1 == look && before.state.is_live() {
                self.fail(step, "a live member's address was taken", format!("{other:?}, was {before:?}"));
            }
            return;
        }
        if before.look + 1 < look {
            // It had been reaped. Forgotten altogether, it may come back as it was long ago.
            let remembered =
                before.state == State::Dead && at.since(before.at) < self.settings.reconnect_timeout;
            if remembered && incarnation <= before.incarnation {
                self.fail(step, "the dead come back without an incarnation", format!("{other:?}"));
            }
        } else if incarnation < before.incarnation {
            self.fail(step, "an incarnation went down", format!("{other:?}, was {before:?}"));
        } else if incarnation == before.incarnation && rank(state) < rank(before.state) {
            self.fail(step, "a belief was taken back", format!("{other:?}, was {before:?}"));
        } else if before.state == State::Left && state == State::Dead {
            self.fail(step, "who left became dead", format!("{other:?}, was {before:?}"));
        }
    }
}

fn introduction<'a>(subject: MemberId, known: &MemberRef<'a>) -> Introduction<'a> {
    let MemberRef { name, address, metadata, zone, state, incarnation, .. } = *known;
    Introduction { subject, incarnation, state, address, name, metadata, zone }
}

/// SWIM's order of beliefs at one incarnation.
fn rank(state: State) -> u8 {
    match state {
        State::Alive => 0,
        State::Suspect => 1,
        State::Dead | State::Left => 2,
    }
}
