//! Any bytes as a sequence of operations on a small cluster: what a fuzzer drives.
//!
//! Beside time, commands and faults there are forgeries: frames and stream messages with any content,
//! mutations of what was really sent, and plain garbage. A member may come to believe what is forged, but
//! none of the checks may fail and nothing may panic or grow beyond its bounds.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::{
    EVENT_MAX, EntryWanted, EventId, EventPart, EventSum, FRAME_MAX, Frame, FrameHeader, FrameWriter,
    IdRange, Introduction, KeyEntry, KeyRoots, KeySectionWriter, KeySections, KeySpan, KeyValue, Message,
    Signature, SketchCell, StreamKind, StreamWriter, UserEvent, ViewList, ViewSketch, ViewSums, item_hash,
};
use swimring_codec::{Incarnation, MemberId, State};

use super::faults::{Direction, Slowness};
use super::network;
use super::operations::Restart;
use super::rebasing::Rebasing;
use super::simulation::{CLUSTER, Identities, Simulation, SimulationOptions};
use swimring::protocol::{Member, Settings, StreamPurpose};

/// Members of the cluster.
const MEMBERS: usize = 4;

/// Operations in one run: enough to reach anything, few enough to be quick.
const OPERATIONS_MAX: usize = 400;

/// What changes of shared state are told in.
const TOLD: &str = "\0kv";

/// Most time that passes in one run.
const TIME_MAX: Duration = Duration::from_secs(600);

/// Bytes to draw from; zeros once they are used up.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }
}

/// Does what `data` says to a small cluster.
///
/// # Panics
/// If a check fails.
pub fn fuzz_member(data: &[u8]) {
    fuzz_cluster(data, Identities::None, |_| {});
}

/// The same to a cluster whose members have identities, who then believe nothing that is forged.
///
/// # Panics
/// If a check fails, or somebody is believed to be what it has not said.
pub fn fuzz_identities(data: &[u8]) {
    let mut said = vec![HashSet::new(); MEMBERS];
    let mut maps = vec![HashSet::new(); MEMBERS];
    fuzz_cluster(data, Identities::Listed, |simulation| {
        check_beliefs(simulation, &mut said);
        check_maps(simulation, &mut maps);
    });
}

/// Everybody is where it has said, with what it has said and at no incarnation that it never had. `said` is what that was.
fn check_beliefs(simulation: &Simulation, said: &mut [HashSet<(SocketAddr, Vec<u8>)>]) {
    let number_of = |name: &str| (0..MEMBERS).find(|node| name == format!("member-{node:04}"));
    for (node, said) in said.iter_mut().enumerate() {
        let own = simulation.member(node).map(Member::index);
        let own = own.and_then(|own| simulation.view(node).find(|known| known.index == own));
        said.extend(own.map(|own| (own.address, own.metadata.to_vec())));
    }
    for observer in 0..MEMBERS {
        for known in simulation.view(observer) {
            let node = number_of(known.name).expect("a stranger is in a view");
            let key = simulation.identity_key(node).public();
            assert_eq!(known.public_key, Some(key), "somebody else's key is believed");
            let highest = simulation.highest_incarnation(node);
            assert!(known.incarnation <= highest, "{known:?}, and the highest was {highest:?}");
            let place = (known.address, known.metadata.to_vec());
            assert!(said[node].contains(&place), "{known:?} has never been said");
            let left = simulation.coverage().leaves > 0;
            assert!(known.state != State::Left || left, "{known:?}, and nobody has left");
        }
    }
}

/// What a member's map has, and which version of it each key.
type Listing = Vec<(String, Vec<u8>, u64)>;

/// Of each map everybody has what it has been. `said` is what that was.
fn check_maps(simulation: &Simulation, said: &mut [HashSet<Listing>]) {
    let listing = |observer: usize, owner: usize| -> Listing {
        let entries =
            simulation.member(observer).map(|member| member.state_entries(simulation.id(owner), ""));
        let entries = entries.into_iter().flatten();
        entries.map(|(key, value)| (key.to_string(), value.value.to_vec(), value.version)).collect()
    };
    said.iter_mut().enumerate().for_each(|(node, said)| _ = said.insert(listing(node, node)));
    for observer in 0..MEMBERS {
        for (owner, said) in said.iter().enumerate() {
            let copy = listing(observer, owner);
            assert!(copy.is_empty() || said.contains(&copy), "{observer} has of {owner} {copy:?}");
        }
    }
}

fn fuzz_cluster(data: &[u8], identities: Identities, mut check: impl FnMut(&Simulation)) {
    let mut input = Input(data);
    let mut simulation = Simulation::new(SimulationOptions {
        identities,
        settings: small_settings(),
        shared_commons: input.byte() & 1 == 1,
        rebasing: Rebasing::Restless,
        ..SimulationOptions::new(u64::from(input.byte()), MEMBERS)
    });
    if input.byte() & 1 == 1 {
        simulation.start_warm();
    } else {
        simulation.start_cold();
    }
    if identities != Identities::None {
        simulation.tap();
    }
    check(&simulation);
    for _ in 0..OPERATIONS_MAX {
        if input.0.is_empty() || simulation.now().as_micros() > TIME_MAX.as_micros() as u64 {
            break;
        }
        operate(&mut simulation, &mut input);
        if let Err(violation) = simulation.verify() {
            panic!("{violation}");
        }
        check(&simulation);
    }
    for node in 0..simulation.len() {
        let commons = simulation.commons(node);
        assert!(commons.directory().len() <= MEMBERS_MAX as usize, "the directory exceeds members_max");
    }
}

/// Members known at most: two strangers beside the four, so that tables fill up.
const MEMBERS_MAX: u32 = 6;

fn small_settings() -> Settings {
    Settings {
        gossip_to_the_dead: Duration::from_secs(2),
        // Forgetting is allowed at any time.
        reconnect_timeout: Duration::ZERO,
        reconnect_interval: Duration::from_secs(2),
        members_max: MEMBERS_MAX,
        broadcasts_max: 16,
        events_max: 16,
        event_memory: Duration::from_secs(2),
        frame_bytes_max: 800,
        ..Settings::default()
    }
}

fn operate(simulation: &mut Simulation, input: &mut Input<'_>) {
    let node = input.below(MEMBERS);
    match input.byte() % 16 {
        0 => pass(simulation, Duration::from_millis(u64::from(input.byte()) * 4)),
        1 => pass(simulation, Duration::from_millis(u64::from(input.byte()) * 100)),
        2..=4 => {
            let frame = forged_frame(simulation, input);
            simulation.deliver(node, network::address(input.below(MEMBERS + 1), 0), &frame);
        }
        5 => {
            let bytes = input.bytes();
            simulation.deliver(node, network::address(input.below(MEMBERS + 1), 0), &bytes);
        }
        6 => {
            let message = forged_stream(simulation, input);
            simulation.deliver_stream(node, purpose(input), &message);
        }
        7 => {
            let mut message = forged_stream(simulation, input);
            mutate(&mut message, input);
            simulation.deliver_stream(node, purpose(input), &message);
        }
        8 => {
            let mut frame = forged_frame(simulation, input);
            mutate(&mut frame, input);
            simulation.deliver(node, network::address(input.below(MEMBERS + 1), 0), &frame);
        }
        9 => simulation.crash(node),
        10 => {
            let incarnation_step = i64::from(input.byte()) - 128;
            simulation.restart(node, Restart { incarnation_step, moved: input.byte() & 1 == 1 });
        }
        11 if input.byte() & 1 == 1 => simulation.leave(node),
        11 => simulation.rejoin(node),
        // Refused while down, or when too much is under way.
        12 if input.byte() & 1 == 1 => {
            let (key, value) = (["a", "b"][input.below(2)], input.bytes());
            let value = Some(value).filter(|value| !value.is_empty());
            let _ = simulation.change_state(node, false, key, value);
        }
        12 => drop(simulation.send_event(node, "event", &input.bytes())),
        13 => drop(simulation.update_metadata(node, &input.bytes())),
        14 => fault(simulation, node, input),
        _ => simulation.set_overload(node, input.byte() % 16),
    }
}

fn pass(simulation: &mut Simulation, duration: Duration) {
    // What it has to say is asked for after every operation.
    let _ = simulation.run_for(duration);
}

fn fault(simulation: &mut Simulation, node: usize, input: &mut Input<'_>) {
    let length = Duration::from_millis(u64::from(input.byte()) * 100);
    match input.byte() % 6 {
        0 => simulation.partition(&[node], Direction::Both, length, length / 8),
        1 => simulation.partition(&[node], Direction::Outbound, length, Duration::ZERO),
        2 => simulation.starve(node, Slowness::Everything, length, length / 4),
        3 => simulation.starve(node, Slowness::Reading, length, length / 4),
        4 => simulation.stall_clock(node, length),
        _ => simulation.heal(),
    }
}

fn purpose(input: &mut Input<'_>) -> Option<StreamPurpose> {
    match input.byte() % 4 {
        0 => None,
        1 => Some(StreamPurpose::Sync),
        2 => Some(StreamPurpose::Join { token: 1 }),
        _ => {
            Some(StreamPurpose::Probe { sequence: input.byte().into(), subject: input.below(MEMBERS) as u32 })
        }
    }
}

/// Mostly a member, else someone of whom there are many.
fn someone(simulation: &Simulation, input: &mut Input<'_>) -> MemberId {
    let byte = input.byte();
    match usize::from(byte) % (MEMBERS + 1) {
        MEMBERS => MemberId::of_name(&format!("stranger-{byte}")),
        node => simulation.id(node),
    }
}

/// Close to what members have, or anything.
fn incarnation(input: &mut Input<'_>) -> Incarnation {
    match input.byte() % 4 {
        0 => Incarnation::new(input.number()),
        1 => Incarnation::MAX,
        _ => Incarnation::new(990 + u64::from(input.byte())),
    }
}

fn header(simulation: &Simulation, input: &mut Input<'_>) -> FrameHeader {
    let source = someone(simulation, input);
    FrameHeader {
        cluster: CLUSTER ^ u32::from(input.byte() == 255),
        source,
        destination: MemberId::NONE,
        root: u64::from(input.byte()),
        quiet: input.byte() & 1 == 1,
    }
}

fn forged_frame(simulation: &Simulation, input: &mut Input<'_>) -> Vec<u8> {
    let mut frame = vec![0; FRAME_MAX];
    let header = header(simulation, input);
    let Some(mut writer) = FrameWriter::new(header, &mut frame) else { return Vec::new() };
    for _ in 0..=input.byte() % 6 {
        forged_message(simulation, input, &mut writer);
    }
    let length = writer.finish();
    frame.truncate(length);
    frame
}

fn forged_message(simulation: &Simulation, input: &mut Input<'_>, writer: &mut FrameWriter<'_>) {
    let subject = someone(simulation, input);
    let sequence = u32::from(input.byte());
    let (name, metadata) = (name(subject, input), forged_metadata(simulation, subject, input));
    if let Some(signature) = heard_signature(simulation, input) {
        writer.push(&Message::Signature(&signature));
    }
    // As if the sender had one member more than we have, or what nobody has.
    let number = input.number();
    let cells = [SketchCell::new(subject.0, number, item_hash(subject, number) as u16, 1); 56];
    let (sums, codes) = ([[7; 8]; 64], [(number as u32).to_le_bytes(); 3]);
    let bits = input.byte() % 3;
    let range =
        IdRange::new(bits, u32::from(input.byte()) << 24 & !(u32::MAX >> bits)).unwrap_or(IdRange::ALL);
    let mut section = Vec::new();
    let message = match input.byte() % 21 {
        0 => Message::Ping { sequence, event_root: u32::from(input.byte()) },
        1 => Message::IndirectPing { sequence, target: subject },
        2 => Message::Ack { sequence, event_root: u32::from(input.byte()) },
        3 => Message::Nack { sequence },
        4 => Message::Alive { subject, incarnation: incarnation(input), tag: input.byte() },
        5 => {
            let accuser = someone(simulation, input);
            Message::Suspect { subject, incarnation: incarnation(input), accuser }
        }
        6 => Message::Dead { subject, incarnation: incarnation(input) },
        7 => Message::Left { subject, incarnation: incarnation(input) },
        8 => Message::Introduction(introduction(&name, &metadata, input)),
        9 => Message::EventSum(EventSum {
            part: EventPart { bits: input.byte() % 8, nth: input.byte() },
            age_max: input.byte(),
            answer: input.byte().is_multiple_of(2),
            sum: sequence,
        }),
        10 => Message::EventKnown { id: EventId::of(subject, sequence).0 },
        11 => Message::EventWanted { id: EventId::of(subject, sequence).0 },
        12 => Message::EventAge { age_ms: 300 * sequence },
        14 => Message::ViewSketch(ViewSketch { cells: &cells }),
        15 => Message::ViewSums(ViewSums { range, began: sequence % 2 == 1, step: 6, sums: &sums }),
        16 => {
            let wanted = input.byte() % 2 == 1;
            Message::ViewList(ViewList { range, began: sequence % 2 == 1, wanted, codes: &codes })
        }
        17 => {
            Message::EntryWanted(EntryWanted { subject, incarnation: incarnation(input), tag: input.byte() })
        }
        18 => Message::ViewRepair { began: sequence % 2 == 1 },
        19 => Message::KeyRoots(KeyRoots { maps: input.number(), keys: sequence.into() }),
        20 => {
            forged_section(
                simulation,
                input,
                &mut KeySectionWriter::new(&mut section, EVENT_MAX - TOLD.len()),
            );
            Message::UserEvent(UserEvent { origin: subject, sequence, name: TOLD, payload: &section })
        }
        _ => Message::UserEvent(UserEvent { origin: subject, sequence, name: "forged", payload: &metadata }),
    };
    // What breaks a rule of the format is not written.
    writer.push(&message);
}

/// A section of somebody's map: one that has been told, with something of it changed, or made up.
fn forged_section(simulation: &Simulation, input: &mut Input<'_>, writer: &mut KeySectionWriter<'_>) {
    let number = usize::from(input.byte());
    let told = simulation.tapped().iter().skip(number).find_map(|frame| told_sections(&frame.bytes));
    let told = told.unwrap_or_default();
    let told = KeySections::new(&told).flatten().next();
    let made_up = KeySpan {
        owner: someone(simulation, input),
        epoch: input.number().max(1),
        since: 0,
        until: 1 + u64::from(input.byte()),
        floor: 0,
        complete: number.is_multiple_of(2),
        reset: false,
    };
    let mut span = told.map_or(made_up, |section| section.span);
    let spoiled = input.byte() % 8;
    match spoiled {
        0 => span.until += 1,
        1 => span.epoch = span.epoch.wrapping_add(1),
        2 => span.since = 0,
        3 => span.complete = !span.complete,
        _ => {}
    }
    let statement = told.and_then(|section| section.statement);
    writer.begin_stated(span, statement.filter(|_| !input.byte().is_multiple_of(4)));
    for entry in told.iter().flat_map(|section| section.entries().flatten()) {
        match spoiled {
            4 => continue,
            5 => writer.entry(&KeyEntry { value: KeyValue::Set(b"forged"), ..entry }),
            6 => writer.entry(&KeyEntry { value: KeyValue::Deleted, ..entry }),
            _ => writer.entry(&entry),
        };
    }
    if told.is_none() {
        let (version, value) = (span.until, KeyValue::Set(b"forged"));
        writer.entry(&KeyEntry { key: "forged", version, writer: MemberId::NONE, value });
    }
    writer.end();
}

/// What a frame tells of shared state.
fn told_sections(bytes: &[u8]) -> Option<Vec<u8>> {
    Frame::decode(bytes).ok()?.messages().flatten().find_map(|message| match message {
        Message::UserEvent(UserEvent { name: TOLD, payload, .. }) => Some(payload.to_vec()),
        _ => None,
    })
}

/// Any metadata, behind the subject's public key where members have identities.
fn forged_metadata(simulation: &Simulation, subject: MemberId, input: &mut Input<'_>) -> Vec<u8> {
    let metadata = input.bytes();
    let node = (0..MEMBERS).find(|node| simulation.id(*node) == subject && simulation.has_identities());
    node.map_or(metadata.clone(), |node| [&simulation.identity_key(node).public().0[..], &metadata].concat())
}

/// One of the signatures that members have sent, or something else, or none.
fn heard_signature(simulation: &Simulation, input: &mut Input<'_>) -> Option<Signature> {
    if !simulation.has_identities() {
        return None;
    }
    let number = input.byte();
    let of_frame = |bytes: &[u8]| {
        Frame::decode(bytes).ok()?.messages().flatten().find_map(|message| match message {
            Message::Signature(signature) => Some(*signature),
            _ => None,
        })
    };
    match number % 4 {
        0 => None,
        1 => Some([number; 64]),
        _ => simulation.tapped().iter().skip(usize::from(number)).find_map(|frame| of_frame(&frame.bytes)),
    }
}

fn name(subject: MemberId, input: &mut Input<'_>) -> String {
    let members = (0..MEMBERS).map(|number| format!("member-{number:04}"));
    let known = members.into_iter().find(|name| MemberId::of_name(name) == subject);
    known.unwrap_or_else(|| format!("stranger-{}", input.byte()))
}

fn introduction<'a>(name: &'a str, metadata: &'a [u8], input: &mut Input<'_>) -> Introduction<'a> {
    let states = [State::Alive, State::Suspect, State::Dead, State::Left];
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: incarnation(input),
        state: states[input.below(4)],
        address: network::address(input.below(MEMBERS + 1), input.byte() % 3),
        name,
        metadata,
        zone: "",
    }
}

/// A stream message without its length prefix.
fn forged_stream(simulation: &Simulation, input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::new(header(simulation, input), &mut bytes);
    match input.byte() % 9 {
        0 => writer.plain(StreamKind::Join),
        1 => writer.plain(StreamKind::Sync),
        2 => writer.plain(StreamKind::Agreed),
        3 => writer.plain(StreamKind::Differs),
        4 => writer.probe(StreamKind::Ping, u32::from(input.byte())),
        5 => writer.probe(StreamKind::Ack, u32::from(input.byte())),
        6 => writer.plain(StreamKind::Absent),
        7 => writer.key_values(|writer| forged_section(simulation, input, writer)),
        _ => {
            for _ in 0..input.byte() % 8 {
                let subject = someone(simulation, input);
                let (name, metadata) = (name(subject, input), forged_metadata(simulation, subject, input));
                let signature = heard_signature(simulation, input);
                writer.signed_record(&introduction(&name, &metadata, input), signature.as_ref());
            }
            writer.finish_state();
        }
    }
    bytes.split_off(swimring_codec::native::STREAM_PREFIX_LEN)
}

fn mutate(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    for _ in 0..input.byte() % 8 {
        if bytes.is_empty() {
            return;
        }
        let at = usize::from(u16::from(input.byte()) << 8 | u16::from(input.byte())) % bytes.len();
        match input.byte() % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, input.byte()),
            _ => bytes[at] ^= 1 << (input.byte() % 8),
        }
    }
}
