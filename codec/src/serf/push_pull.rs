//! The user state of a push/pull: clocks, intents and the events of late.
//!
//! Everything is checked when it is read, so the iterators over its parts cannot fail and take no memory.

use std::iter::FusedIterator;

use super::{DecodeError, kind};
use crate::msgpack::{Reader, Sink};

/// The three logical clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clocks {
    /// Clock of joins and leaves.
    pub members: u64,
    /// Clock of user events.
    pub events: u64,
    /// Clock of queries.
    pub queries: u64,
}

/// The user state of a push/pull.
#[derive(Clone, Debug)]
pub struct PushPull<'a> {
    /// The sender's clocks.
    pub clocks: Clocks,
    status_ltimes: StatusTimes<'a>,
    left_members: LeftMembers<'a>,
    events: Events<'a>,
}

impl<'a> PushPull<'a> {
    /// Member clock at the last change of each member's status.
    pub fn status_ltimes(&self) -> StatusTimes<'a> {
        self.status_ltimes.clone()
    }

    /// The members that left.
    pub fn left_members(&self) -> LeftMembers<'a> {
        self.left_members.clone()
    }

    /// The user events of late.
    pub fn events(&self) -> Events<'a> {
        self.events.clone()
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<PushPull<'a>, DecodeError> {
        let empty = Reader::new(&[]);
        let mut state = PushPull {
            clocks: Clocks::default(),
            status_ltimes: StatusTimes(0, empty),
            left_members: LeftMembers(0, empty),
            events: Events { slots: 0, ltime: 0, left: 0, group: empty, rest: empty },
        };
        let names = ["LTime", "StatusLTimes", "LeftMembers", "EventLTime", "Events", "QueryLTime"];
        reader.structure(&names, |field, reader| {
            match field {
                0 => state.clocks.members = reader.unsigned(u64::MAX, "LTime")?,
                1 => state.status_ltimes = StatusTimes::read(reader)?,
                2 => state.left_members = LeftMembers::read(reader)?,
                3 => state.clocks.events = reader.unsigned(u64::MAX, "EventLTime")?,
                4 => state.events = Events::read(reader)?,
                _ => state.clocks.queries = reader.unsigned(u64::MAX, "QueryLTime")?,
            }
            Ok(())
        })?;
        Ok(state)
    }
}

/// Names of members, each with the time of its status.
#[derive(Clone, Debug)]
pub struct StatusTimes<'a>(u32, Reader<'a>);

impl<'a> StatusTimes<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<StatusTimes<'a>, DecodeError> {
        let count = reader.map_len("StatusLTimes")?;
        let times = StatusTimes(count, *reader);
        for _ in 0..count {
            reader.text("StatusLTimes")?;
            reader.unsigned(u64::MAX, "StatusLTimes")?;
        }
        Ok(times)
    }
}

impl<'a> Iterator for StatusTimes<'a> {
    type Item = (&'a str, u64);

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.checked_sub(1)?;
        // All of it has been read once.
        Some((self.1.text("StatusLTimes").ok()?, self.1.unsigned(u64::MAX, "StatusLTimes").ok()?))
    }
}

impl FusedIterator for StatusTimes<'_> {}

/// Names of members that left.
#[derive(Clone, Debug)]
pub struct LeftMembers<'a>(u32, Reader<'a>);

impl<'a> LeftMembers<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<LeftMembers<'a>, DecodeError> {
        let count = reader.array_len("LeftMembers")?;
        let members = LeftMembers(count, *reader);
        for _ in 0..count {
            reader.text("LeftMembers")?;
        }
        Ok(members)
    }
}

impl<'a> Iterator for LeftMembers<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.checked_sub(1)?;
        self.1.text("LeftMembers").ok()
    }
}

impl FusedIterator for LeftMembers<'_> {}

/// A user event of late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event<'a> {
    /// The event clock when it was sent.
    pub ltime: u64,
    /// Its name.
    pub name: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
}

/// The user events of late, which peers send in groups of the same time.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    /// Groups that have not been begun.
    slots: u32,
    /// The time of the group being walked.
    ltime: u64,
    /// Events left in it.
    left: u32,
    /// In front of the next event of the group.
    group: Reader<'a>,
    /// In front of the next group.
    rest: Reader<'a>,
}

impl<'a> Events<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Events<'a>, DecodeError> {
        let slots = reader.array_len("Events")?;
        let events = Events { slots, ltime: 0, left: 0, group: *reader, rest: *reader };
        for _ in 0..slots {
            let (_, count, mut group, end) = event_group(reader)?;
            for _ in 0..count {
                event(&mut group)?;
            }
            *reader = end;
        }
        Ok(events)
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        while self.left == 0 {
            self.slots = self.slots.checked_sub(1)?;
            // All of it has been read once.
            (self.ltime, self.left, self.group, self.rest) = event_group(&self.rest).ok()?;
        }
        self.left -= 1;
        let (name, payload) = event(&mut self.group).ok()?;
        Some(Event { ltime: self.ltime, name, payload })
    }
}

impl FusedIterator for Events<'_> {}

/// The group of events at the reader: its time, how many events, where they begin and where it ends.
fn event_group<'a>(reader: &Reader<'a>) -> Result<(u64, u32, Reader<'a>, Reader<'a>), DecodeError> {
    let mut reader = *reader;
    let (mut ltime, mut count, mut events) = (0, 0, Reader::new(&[]));
    reader.structure(&["LTime", "Events"], |field, reader| {
        match field {
            0 => ltime = reader.unsigned(u64::MAX, "LTime")?,
            _ => {
                let mut inside = *reader;
                count = inside.array_len("Events")?;
                events = inside;
                reader.skip()?;
            }
        }
        Ok(())
    })?;
    Ok((ltime, count, events, reader))
}

/// Name and payload of one event.
fn event<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, &'a [u8]), DecodeError> {
    let (mut name, mut payload): (_, &[u8]) = ("", &[]);
    reader.structure(&["Name", "Payload"], |field, reader| {
        match field {
            0 => name = reader.text("Name")?,
            _ => payload = reader.bytes("Payload")?,
        }
        Ok(())
    })?;
    Ok((name, payload))
}

/// Appends the user state of a push/pull to `out`: the sender's clocks, when each member's status was last
/// changed, and who left. No events: peers pass theirs on themselves.
pub fn encode_push_pull<'a>(
    out: &mut Vec<u8>,
    clocks: Clocks,
    status_ltimes: impl IntoIterator<Item = (&'a str, u64)>,
    left_members: impl IntoIterator<Item = &'a str>,
) {
    out.put(&[kind::PUSH_PULL, 0x86]);
    out.put(b"\xaaEventLTime");
    out.unsigned(clocks.events);
    out.put(b"\xa6Events\xc0\xa5LTime");
    out.unsigned(clocks.members);
    out.put(b"\xabLeftMembers");
    counted(out, 0xdd, left_members, |out, name| out.raw(name.as_bytes()));
    out.put(b"\xaaQueryLTime");
    out.unsigned(clocks.queries);
    out.put(b"\xacStatusLTimes");
    counted(out, 0xdf, status_ltimes, |out, (name, ltime)| {
        out.raw(name.as_bytes());
        out.unsigned(ltime);
    });
}

/// An array or map whose number of values is known when they are written: in the form with 32 bits for it.
fn counted<T>(
    out: &mut Vec<u8>,
    form: u8,
    values: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.put(&[form, 0, 0, 0, 0]);
    let (at, mut count) = (out.len() - 4, 0_u32);
    for value in values {
        write(out, value);
        count += 1;
    }
    out[at..at + 4].copy_from_slice(&count.to_be_bytes());
}
