//! Datagrams that say what their receiver knows already: what nearly all gossip is.

use std::net::SocketAddr;

use swimring_codec::native::{
    FRAME_MAX, FrameHeader, FrameWriter, HEADER_LEN, Message, UPDATE_LEN, UserEvent,
};
use swimring_codec::{Incarnation, MemberId, identity_hash, identity_tag};

use crate::fleet::{CLUSTER, address_of, id_of, introduction, name_of};
use crate::{Fleet, INCARNATION};

/// Updates in one datagram.
pub const UPDATES: usize = 10;

/// Frames at least, where the table is too small to need more.
const FRAMES_MIN: usize = 64;

/// Of this many members one is suspected and another dead where a deck needs such.
const TROUBLED: usize = 50;

/// The accuser in every suspicion: an unknown member, so that none is told.
const ACCUSER: MemberId = MemberId(0x5eed);

/// Datagrams to be handled in turn, each from a member that the receiver knows.
#[derive(Debug, Default)]
pub struct Deck {
    datagrams: Vec<(SocketAddr, Vec<u8>)>,
    next: usize,
}

/// Writes a frame from member `source`, whose state root is `root`, with `messages`.
pub fn frame_of(source: usize, root: u64, messages: &[Message<'_>]) -> (SocketAddr, Vec<u8>) {
    let source_id = id_of(source);
    let header =
        FrameHeader { cluster: CLUSTER, source: source_id, destination: MemberId::NONE, root, quiet: false };
    let mut out = [0; FRAME_MAX];
    let mut writer = FrameWriter::new(header, &mut out).expect("room for a header");
    for message in messages {
        assert!(writer.push(message), "the messages fit a frame");
    }
    let used = writer.len();
    writer.finish_padded(used);
    (address_of(source), out[..used].to_vec())
}

impl Deck {
    /// The next datagram and where it comes from.
    #[inline]
    pub fn draw(&mut self) -> (SocketAddr, &[u8]) {
        self.next += 1;
        if self.next >= self.datagrams.len() {
            self.next = 0;
        }
        let (from, bytes) = &self.datagrams[self.next];
        (*from, bytes)
    }

    /// The next datagram of [`Deck::news`], restated one incarnation higher than when it was last
    /// drawn: news even to a receiver that has handled it before.
    #[inline]
    pub fn draw_news(&mut self) -> (SocketAddr, &[u8]) {
        self.next += 1;
        if self.next >= self.datagrams.len() {
            self.next = 0;
        }
        let (from, bytes) = &mut self.datagrams[self.next];
        for update in bytes[HEADER_LEN..].chunks_exact_mut(UPDATE_LEN) {
            // Kind, tag, and six bytes of incarnation.
            let word = u64::from_le_bytes(update[..8].try_into().expect("eight bytes"));
            update[..8].copy_from_slice(&(word + (1 << 16)).to_le_bytes());
        }
        (*from, bytes)
    }

    /// Number of datagrams.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Keeps the first `datagrams`.
    pub fn truncate(&mut self, datagrams: usize) {
        self.datagrams.truncate(datagrams);
    }

    /// Goes through the deck once: every message is read and names a member that is known, and no member's
    /// view, queue or events change.
    ///
    /// # Panics
    /// If that is not so: then the bench would measure something else.
    pub fn check_changes_nothing(&self, fleet: &mut Fleet) {
        let before = (fleet.members[0].root(), fleet.members[0].queued(), fleet.scenery.commons.counters);
        for (from, bytes) in &self.datagrams {
            fleet.handle(0, bytes, *from);
        }
        let counters = fleet.scenery.commons.counters.since(&before.2);
        assert_eq!((fleet.members[0].root(), fleet.members[0].queued()), (before.0, before.1));
        assert_eq!(counters.frames_received, self.datagrams.len() as u64);
        let refused = [counters.decode_errors, counters.frames_foreign, counters.unknown_subject];
        let changes = [counters.broadcasts_queued, counters.suspicions_started, counters.events_delivered];
        assert_eq!((refused, changes), ([0; 3], [0; 3]));
    }

    /// Ten alive updates each, at the known incarnation, about the members `1..known` in random order.
    pub fn alive(known: usize) -> Deck {
        Deck::about(known, |subject, _| alive(subject))
    }

    /// The same with every member in one datagram only, for [`Deck::draw_news`].
    pub fn news(known: usize) -> Deck {
        let mut deck = Deck::alive(known);
        deck.datagrams.truncate((known - 1) / UPDATES);
        deck
    }

    /// Suspect, dead and left: of an incarnation that has been refuted since, of members whose suspicion
    /// began with the same accuser, and of members already dead.
    pub fn troubled(known: usize, fleet: &mut Fleet) -> Deck {
        let before = Incarnation::new(INCARNATION.get() - 1);
        let mut suspects = Vec::new();
        let mut dead = Vec::new();
        for subject in (1..known).map(|number| (number, id_of(number))) {
            match subject.0 % TROUBLED {
                1 => suspects.push(Message::Suspect {
                    subject: subject.1,
                    incarnation: INCARNATION,
                    accuser: ACCUSER,
                }),
                2 => dead.push(Message::Dead { subject: subject.1, incarnation: INCARNATION }),
                _ => {}
            }
        }
        for message in suspects.iter().chain(&dead) {
            let (from, bytes) = frame_of(0, 0, &[*message]);
            for member in 0..fleet.members.len() {
                fleet.handle(member, &bytes, from);
            }
        }
        Deck::about(known, |subject, place| {
            let subject = id_of(subject);
            match place {
                0..3 => Message::Suspect { subject, incarnation: before, accuser: ACCUSER },
                3..5 => Message::Dead { subject, incarnation: before },
                5 => Message::Left { subject, incarnation: before },
                6 | 7 => suspects[(subject.0 % suspects.len() as u64) as usize],
                _ => dead[(subject.0 % dead.len() as u64) as usize],
            }
        })
    }

    /// Ten introductions each of members that are known.
    pub fn introductions(known: usize) -> Deck {
        let names: Vec<String> = (0..known).map(name_of).collect();
        Deck::about(known, |subject, _| Message::Introduction(introduction(subject, &names[subject])))
    }

    /// A ping each, of members whose state root is `root`.
    pub fn pings(known: usize, root: u64) -> Deck {
        let mut rng = fastrand::Rng::with_seed(3);
        let count = (known / UPDATES).max(FRAMES_MIN);
        let ping = |_| {
            frame_of(rng.usize(1..known), root, &[Message::Ping { sequence: rng.u32(..), event_root: 0 }])
        };
        Deck { datagrams: (0..count).map(ping).collect(), next: 0 }
    }

    /// A user event each, one of 32 that every member of `fleet` has had.
    pub fn events(known: usize, fleet: &mut Fleet) -> Deck {
        let mut deck = Deck::default();
        for sequence in 0..32 {
            let origin = 1 + sequence as usize * 7919 % (known - 1);
            let event = UserEvent { origin: id_of(origin), sequence, name: "deploy", payload: &[7; 100] };
            deck.datagrams.push(frame_of(origin, 0, &[Message::UserEvent(event)]));
        }
        for (from, bytes) in &deck.datagrams {
            for member in 0..fleet.members.len() {
                fleet.handle(member, bytes, *from);
            }
        }
        deck
    }

    /// [`UPDATES`] messages each, until every member but the first has had its turn in random order.
    fn about<'a>(known: usize, message: impl Fn(usize, usize) -> Message<'a>) -> Deck {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut subjects: Vec<usize> = Vec::new();
        while subjects.len() < known.max(FRAMES_MIN * UPDATES) {
            let from = subjects.len();
            subjects.extend(1..known);
            rng.shuffle(&mut subjects[from..]);
        }
        let datagrams = subjects.chunks_exact(UPDATES).map(|subjects| {
            let messages: Vec<_> =
                subjects.iter().enumerate().map(|(place, subject)| message(*subject, place)).collect();
            frame_of(subjects[0], 0, &messages)
        });
        Deck { datagrams: datagrams.collect(), next: 0 }
    }
}

fn alive(number: usize) -> Message<'static> {
    let name = name_of(number);
    let member = introduction(number, &name);
    let tag = identity_tag(identity_hash(member.address, member.metadata, member.zone));
    Message::Alive { subject: member.subject, incarnation: member.incarnation, tag }
}
