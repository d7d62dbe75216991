//! What was offered, and what became of it.

use std::fmt;

use fastrand::Rng;
use swimring_codec::native::SealError;

use super::cluster::Fate;
use super::forgery::Change;

/// What is made of datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One that has not been delivered yet, changed.
    Changed(Change),
    /// One that was delivered.
    Replayed,
    /// The same with zeros behind it.
    Padded,
    /// One that was delivered to another worker.
    Misdirected,
    /// One that was never delivered, once 65,536 later ones of its sender have gone by.
    HeldBack,
    /// One of more than a minute ago, to somebody who was started since.
    Stale,
    /// One that members of another cluster have sealed with their key.
    OtherKey,
    /// The same with the id of the key that is used here, and the time that it is.
    Renamed,
    /// One that is not sealed.
    Plain,
    /// A message of a stream.
    OfStream,
}

/// What is made of messages of streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StreamKind {
    /// One that has not been delivered yet, changed: on its stream, or on a new one.
    Changed(Change),
    /// One of an earlier stream, on a new one.
    Anew,
    /// One of an earlier stream, on this one.
    Crossed,
    /// One that follows, before those that come first.
    Ahead,
    /// One that is not sealed.
    Plain,
    /// A datagram.
    OfDatagram,
}

const CHANGES: usize = Change::ALL.len();
const KINDS: [Kind; 9] = [
    Kind::Replayed,
    Kind::Padded,
    Kind::Misdirected,
    Kind::HeldBack,
    Kind::Stale,
    Kind::OtherKey,
    Kind::Renamed,
    Kind::Plain,
    Kind::OfStream,
];
const STREAM_KINDS: [StreamKind; 5] =
    [StreamKind::Anew, StreamKind::Crossed, StreamKind::Ahead, StreamKind::Plain, StreamKind::OfDatagram];

impl Kind {
    /// Any, each as often.
    pub(super) fn draw(rng: &mut Rng) -> Kind {
        Kind::at(rng.usize(..CHANGES + KINDS.len()))
    }

    fn at(nth: usize) -> Kind {
        Change::ALL.get(nth).map_or_else(|| KINDS[nth - CHANGES], |change| Kind::Changed(*change))
    }
}

impl StreamKind {
    /// Any, each as often.
    pub(super) fn draw(rng: &mut Rng) -> StreamKind {
        StreamKind::at(rng.usize(..CHANGES + STREAM_KINDS.len()))
    }

    fn at(nth: usize) -> StreamKind {
        Change::ALL
            .get(nth)
            .map_or_else(|| STREAM_KINDS[nth - CHANGES], |change| StreamKind::Changed(*change))
    }
}

/// What became of the forgeries of one kind.
#[derive(Clone, Copy, Default, Debug)]
struct Row {
    taken: u64,
    refused: [u64; SealError::KINDS],
    /// By the decoder: what is no longer marked as of this version.
    undecoded: u64,
    unrouted: u64,
}

impl Row {
    fn note(&mut self, fate: Fate) {
        match fate {
            Fate::Taken => self.taken += 1,
            Fate::Unrouted => self.unrouted += 1,
            Fate::Refused(Some(error)) => self.refused[error.index()] += 1,
            Fate::Refused(None) => self.undecoded += 1,
        }
    }

    fn offered(&self) -> u64 {
        self.taken + self.refused.iter().sum::<u64>() + self.undecoded + self.unrouted
    }
}

/// What was genuine.
#[derive(Clone, Copy, Default, Debug)]
struct Genuine {
    offered: u64,
    taken: u64,
}

impl Genuine {
    fn note(&mut self, taken: bool) {
        self.offered += 1;
        self.taken += u64::from(taken);
    }
}

/// What was offered to members that encrypt, and what they took; printed as a table.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    datagrams: Genuine,
    messages: Genuine,
    forged: [Row; CHANGES + KINDS.len()],
    forged_messages: [Row; CHANGES + STREAM_KINDS.len()],
}

impl Tally {
    pub(super) fn genuine(&mut self, taken: bool) {
        self.datagrams.note(taken);
    }

    pub(super) fn genuine_message(&mut self, taken: bool) {
        self.messages.note(taken);
    }

    pub(super) fn forged(&mut self, kind: Kind, fate: Fate) {
        let rows = &mut self.forged;
        (0..rows.len()).filter(|nth| Kind::at(*nth) == kind).for_each(|nth| rows[nth].note(fate));
    }

    pub(super) fn forged_message(&mut self, kind: StreamKind, fate: Fate) {
        let rows = &mut self.forged_messages;
        (0..rows.len()).filter(|nth| StreamKind::at(*nth) == kind).for_each(|nth| rows[nth].note(fate));
    }

    /// Forgeries and repetitions that were offered.
    pub fn offered(&self) -> u64 {
        self.forged.iter().chain(&self.forged_messages).map(Row::offered).sum()
    }

    /// And taken: none, unless something is wrong.
    pub fn accepted(&self) -> u64 {
        self.forged.iter().chain(&self.forged_messages).map(|row| row.taken).sum()
    }

    /// What was genuine and not taken: none either.
    pub fn genuine_refused(&self) -> u64 {
        [self.datagrams, self.messages].iter().map(|genuine| genuine.offered - genuine.taken).sum()
    }

    /// How often what was offered least often was.
    pub fn fewest(&self) -> u64 {
        let genuine = [self.datagrams.offered, self.messages.offered];
        let forged = self.forged.iter().chain(&self.forged_messages).map(Row::offered);
        forged.chain(genuine).min().unwrap_or(0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<32} {:>12} {:>12}  why not", "", "offered", "accepted")?;
        for (what, genuine) in [("datagrams", self.datagrams), ("stream messages", self.messages)] {
            writeln!(f, "{:<32} {:>12} {:>12}", format!("genuine {what}"), genuine.offered, genuine.taken)?;
        }
        for (nth, row) in self.forged.iter().enumerate() {
            line(f, "datagrams", &format!("{:?}", Kind::at(nth)), row)?;
        }
        for (nth, row) in self.forged_messages.iter().enumerate() {
            line(f, "stream messages", &format!("{:?}", StreamKind::at(nth)), row)?;
        }
        write!(f, "{:<32} {:>12} {:>12}", "all but the genuine", self.offered(), self.accepted())
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, kind: &str, row: &Row) -> fmt::Result {
    let kind = kind.trim_start_matches("Changed(").trim_end_matches(')');
    write!(f, "{:<32} {:>12} {:>12} ", format!("{what}, {kind}"), row.offered(), row.taken)?;
    let named = SealError::NAMES.into_iter().zip(row.refused);
    for (name, count) in named.chain([("undecoded", row.undecoded), ("unrouted", row.unrouted)]) {
        if count > 0 {
            write!(f, " {name} {count}")?;
        }
    }
    writeln!(f)
}
