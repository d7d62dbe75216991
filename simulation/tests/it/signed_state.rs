//! Signed maps and keys of the cluster (`docs/PROTOCOL.md`, 12.7 and 12.8): clusters with every fault, and among them somebody who has all that members have but their
//! keys, and says in their names what their shared state is.

use std::collections::HashSet;

use swimring::protocol::Counters;
use swimring_codec::MemberId;
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, IdentityKey, KEY_STATEMENT_LEN, KeyEntry, KeySectionWriter,
    KeySections, KeySpan, KeyStatement, KeyValue, MapStatement, Message, StreamWriter, UserEvent, entry_hash,
    map_hash,
};
use swimring_simulation::{CLUSTER, Faults, Identities, Restart, Simulation, SimulationOptions, scenario};

use crate::paper_support::{converges, millis, run, seconds};
use crate::shared_state::{agree, run_until_agreed, seen};

/// Seeds of the campaign; `SWIMRING_SEEDS` runs more.
const SEEDS: u64 = 8;

/// What changes of shared state are told in.
const TOLD: &str = "\0kv";

type Listing = Vec<(String, Vec<u8>, u64)>;

/// What each member's map has been.
struct Said {
    maps: Vec<HashSet<Listing>>,
    /// What members have written of keys of the cluster: key, value, version and writer.
    keys: HashSet<(String, Vec<u8>, u64, MemberId)>,
}

impl Said {
    fn new(members: usize) -> Said {
        // Nothing, at first and in each new life.
        Said { maps: vec![HashSet::from([Listing::new()]); members], keys: HashSet::new() }
    }

    fn note(&mut self, simulation: &Simulation, node: usize) {
        let id = simulation.id(node);
        self.maps[node].insert(seen(simulation, node, id));
        self.keys.extend(keys(simulation, node).into_iter().filter(|(.., writer)| *writer == id));
    }

    /// Every copy is what its owner's map has been, and every key of the cluster what the member that is said to have written it has.
    fn check(&self, simulation: &Simulation) {
        for observer in 0..simulation.len() {
            for (subject, was) in self.maps.iter().enumerate() {
                let copy = seen(simulation, observer, simulation.id(subject));
                assert!(was.contains(&copy), "{observer} has of {subject} what that never had: {copy:?}");
            }
            for key in keys(simulation, observer) {
                assert!(self.keys.contains(&key), "{observer} has what nobody wrote: {key:?}");
            }
        }
    }
}

/// What `observer` has of the keys of the cluster.
fn keys(simulation: &Simulation, observer: usize) -> Vec<(String, Vec<u8>, u64, MemberId)> {
    let Some(member) = simulation.member(observer) else { return Vec::new() };
    let entries = member.state_entries(MemberId::NONE, "").into_iter();
    entries.map(|(key, value)| (key.to_string(), value.value.to_vec(), value.version, value.writer)).collect()
}

/// Has everything that members have, but their keys.
struct Forger {
    key: IdentityKey,
    rng: fastrand::Rng,
    /// Sections that members have told.
    heard: Vec<Vec<u8>>,
}

impl Forger {
    fn listen(&mut self, simulation: &Simulation) {
        for frame in simulation.tapped() {
            let Ok(frame) = Frame::decode(&frame.bytes) else { continue };
            for message in frame.messages().flatten() {
                if let Message::UserEvent(UserEvent { name: TOLD, payload, .. }) = message
                    && self.heard.len() < 2_048
                {
                    self.heard.push(payload.to_vec());
                }
            }
        }
    }

    /// Something that members have told of keys of the cluster, or of maps.
    fn told(&mut self, of_cluster: bool) -> Vec<u8> {
        let owned = |told: &&Vec<u8>| {
            let section = KeySections::new(told).flatten().next();
            section.is_some_and(|section| section.span.owner.is_none() == of_cluster)
        };
        let told: Vec<_> = self.heard.iter().filter(owned).collect();
        self.rng.choice(&told).map(|told| told.to_vec()).unwrap_or_default()
    }

    /// An entry of the cluster's keys in the name of `writer`, which has not written it: made up, or made of one that somebody has.
    fn cluster_section(&mut self, writer: MemberId) -> Vec<u8> {
        let told = self.told(true);
        let rng = &mut self.rng;
        let told: Vec<_> =
            KeySections::new(&told).flatten().flat_map(|section| section.entries().flatten()).collect();
        let (version, value) = (rng.u64(1..1 << 40), KeyValue::Set(b"forged"));
        let made_up = KeyEntry { key: "key-1", version, writer, value, statement: None };
        let mut entry = *rng.choice(&told).unwrap_or(&made_up);
        let of_writer = entry.statement.copied();
        match rng.u8(..6) {
            0 => entry = made_up,
            1 => entry.version += rng.u64(1..99),
            2 => entry.writer = writer,
            3 => entry.value = KeyValue::Deleted,
            4 => entry.key = "key-2",
            _ => entry.value = KeyValue::Set(b"forged"),
        }
        entry.statement = None;
        let random = KeyStatement::from_bytes([rng.u8(..); KEY_STATEMENT_LEN]);
        let statement = match rng.u8(..6) {
            0 => None,
            1 => self.key.sign_key(CLUSTER, &entry),
            2 => Some(random),
            _ => of_writer,
        };
        entry.statement = statement.as_ref();
        let mut section = Vec::new();
        let mut writer = KeySectionWriter::new(&mut section, FRAME_MAX - 600);
        writer.begin(KeySpan::CLUSTER);
        writer.entry(&entry);
        drop(writer);
        section
    }

    /// A section of `owner`'s map that this has not said: made up, or made of one that it has.
    fn section(&mut self, owner: MemberId) -> Vec<u8> {
        let told = self.told(false);
        let rng = &mut self.rng;
        let told = KeySections::new(&told).flatten().next();
        let made_up = KeySpan {
            owner,
            epoch: rng.u64(1 << 40..1 << 60),
            since: 0,
            until: rng.u64(1..1_000),
            floor: 0,
            complete: true,
            reset: rng.bool(),
        };
        let mut span = told.map_or(made_up, |section| section.span);
        let kind = rng.u8(..8);
        match kind {
            0 => span = made_up,
            1 => span.until += 1,
            2 => span.epoch += 1,
            3 => span.since = 0,
            _ => {}
        }
        let old: Vec<_> = told.iter().flat_map(|section| section.entries().flatten()).collect();
        let forged = KeyEntry {
            key: "key-1",
            version: span.until,
            writer: MemberId::NONE,
            value: KeyValue::Set(b"forged"),
            statement: None,
        };
        let mut entries = if kind == 0 { vec![forged] } else { old };
        match kind {
            4 => drop(entries.pop()),
            5 => entries.iter_mut().for_each(|entry| entry.value = KeyValue::Deleted),
            6 => entries.iter_mut().for_each(|entry| entry.value = KeyValue::Set(b"forged")),
            _ => {}
        }
        let hashes: Vec<_> = entries.iter().map(entry_hash).collect();
        let own = self.key.sign_map(CLUSTER, &span, map_hash(&hashes));
        let random = MapStatement { hash: map_hash(&hashes), signature: [rng.u8(..); 64] };
        let statement = match (rng.u8(..6), told.and_then(|section| section.statement)) {
            (0, _) => None,
            (1, _) => Some(own),
            (2, _) | (_, None) => Some(random),
            (_, Some(of_owner)) => Some(*of_owner),
        };
        let mut section = Vec::new();
        let mut writer = KeySectionWriter::new(&mut section, FRAME_MAX - 600);
        writer.begin_stated(span, statement.as_ref());
        entries.iter().for_each(|entry| _ = writer.entry(entry));
        drop(writer);
        section
    }

    /// Says something in somebody's name to somebody.
    fn strike(&mut self, simulation: &mut Simulation) {
        let (receiver, victim) = (self.rng.usize(..simulation.len()), self.rng.usize(..simulation.len()));
        let owner = simulation.id(victim);
        let section = if self.rng.u8(..3) == 0 { self.cluster_section(owner) } else { self.section(owner) };
        let header = FrameHeader {
            cluster: CLUSTER,
            source: simulation.id(self.rng.usize(..simulation.len())),
            destination: simulation.id(receiver),
            root: self.rng.u64(..),
            quiet: self.rng.bool(),
        };
        if self.rng.bool() {
            let mut bytes = Vec::new();
            let mut sections = KeySections::new(&section).flatten();
            StreamWriter::new(header, &mut bytes).key_values(|writer| {
                let Some(section) = sections.next() else { return };
                writer.begin_stated(section.span, section.statement);
                section.entries().flatten().for_each(|entry| _ = writer.entry(&entry));
                writer.end();
            });
            simulation.deliver_stream(receiver, None, &bytes[4..]);
            return;
        }
        // In the name of whose map it is, or it is dropped for that.
        let whose = KeySections::new(&section).flatten().next().map(|section| section.span.owner);
        let origin = whose.filter(|whose| !whose.is_none()).unwrap_or(owner);
        let mut buffer = vec![0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut buffer).expect("a source, and room");
        let told = UserEvent { origin, sequence: self.rng.u32(..), name: TOLD, payload: &section };
        writer.push(&Message::UserEvent(told));
        let length = writer.finish();
        let here = simulation.address(self.rng.usize(..simulation.len()));
        simulation.deliver(receiver, here, &buffer[..length]);
    }
}

fn options(seed: u64) -> SimulationOptions {
    // The scenarios with even numbers speak the native format.
    let options = scenario(seed * 2);
    let faults = Faults { checksums: true, ..options.faults.clone() };
    SimulationOptions { faults, identities: Identities::Listed, ..options }
}

/// A member that lives changes its own map, or a key of the cluster.
fn change(simulation: &mut Simulation, rng: &mut fastrand::Rng, said: &mut Said) {
    let node = rng.usize(..simulation.len());
    let length = if rng.u8(..6) == 0 { rng.usize(..3_000) } else { rng.usize(..60) };
    let value = (rng.u8(..4) != 0).then(|| vec![rng.u8(..); length]);
    // Refused while it is down.
    let _ = simulation.change_state(node, rng.u8(..3) == 0, &format!("key-{}", rng.u8(..4)), value);
    said.note(simulation, node);
}

/// One cluster with random misfortunes, and a forger among them.
fn misfortunes(seed: u64) -> Counters {
    println!("seed {seed}");
    let mut forger = Forger {
        key: IdentityKey::from_seed(&[seed as u8; 32]),
        rng: fastrand::Rng::with_seed(seed),
        heard: Vec::new(),
    };
    let mut simulation = Simulation::new(options(seed));
    let mut said = Said::new(simulation.len());
    if seed.is_multiple_of(2) {
        simulation.start_warm();
    } else {
        simulation.start_cold();
    }
    for _ in 0..100 {
        simulation.tap();
        let rng = &mut forger.rng.fork();
        change(&mut simulation, rng, &mut said);
        run(&mut simulation, millis(rng.u64(..400)));
        forger.listen(&simulation);
        for _ in 0..8 {
            forger.strike(&mut simulation);
        }
        said.check(&simulation);
    }
    simulation.calm();
    converges(&mut simulation);
    run_until_agreed(&mut simulation, seconds(1), seconds(120));
    said.check(&simulation);
    simulation.counters()
}

#[test]
fn nobody_says_what_another_has_in_its_map_or_has_written_whatever_happens() {
    let count = std::env::var("SWIMRING_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number"));
    let mut sum = Counters::default();
    (0..count).for_each(|seed| sum.add(&misfortunes(seed)));
    // All doors were tried, and members got through with what they said themselves.
    for (name, count) in [
        ("forged", sum.identities_forged),
        ("unsigned", sum.identities_unsigned),
        ("taken in", sum.state_changes_received),
        ("gaps", sum.state_gaps),
    ] {
        assert!(count > 20, "{count} {name}");
    }
}

fn warm(seed: u64, members: usize) -> Simulation {
    let identities = Identities::FirstHeard;
    let mut simulation =
        Simulation::new(SimulationOptions { identities, ..SimulationOptions::new(seed, members) });
    simulation.start_warm();
    run(&mut simulation, seconds(3));
    simulation
}

fn set(simulation: &mut Simulation, node: usize, key: &str, value: &[u8]) {
    simulation.change_state(node, false, key, Some(value.to_vec())).expect("within bounds");
}

/// What has been signed outlives its owner's being reached: others pass it on, to those that join too.
#[test]
fn who_joins_gets_signed_maps_of_whoever_has_them() {
    let mut simulation = warm(3, 6);
    set(&mut simulation, 1, "key", b"value");
    set(&mut simulation, 1, "large", &[7; 60_000]);
    run_until_agreed(&mut simulation, millis(100), seconds(20));
    simulation.crash(5);
    run(&mut simulation, seconds(30));
    simulation.restart(5, Restart::default());
    run(&mut simulation, seconds(1));
    run_until_agreed(&mut simulation, millis(100), seconds(20));
    assert_eq!(seen(&simulation, 5, simulation.id(1)).len(), 2);
}

/// A map of more than a message comes in pieces, of which only the last is signed.
#[test]
fn a_map_of_several_messages_comes_whole() {
    let mut simulation = warm(4, 4);
    for nth in 0..40 {
        set(&mut simulation, 2, &format!("key-{nth}"), &[nth; 60_000]);
    }
    run_until_agreed(&mut simulation, millis(100), seconds(60));
    set(&mut simulation, 2, "key-3", b"short");
    run_until_agreed(&mut simulation, millis(100), seconds(60));
    assert_eq!(seen(&simulation, 0, simulation.id(2)).len(), 40);
}

/// A restarted member hears that there is a map of an earlier life of its own, which it has signed, and replaces it.
#[test]
fn a_new_life_replaces_the_signed_map_of_the_old_one() {
    let mut simulation = warm(8, 5);
    let id = simulation.id(3);
    set(&mut simulation, 3, "key", b"of the old life");
    run_until_agreed(&mut simulation, millis(100), seconds(10));
    simulation.restart(3, Restart::default());
    run(&mut simulation, seconds(1));
    run_until_agreed(&mut simulation, millis(100), seconds(60));
    assert_eq!(seen(&simulation, 0, id), []);
    assert!(agree(&simulation).is_ok());
}

/// A key outlives its writer: whoever joins gets it with what that has signed, and passes it on in turn.
#[test]
fn a_key_of_the_cluster_outlives_its_writer() {
    let mut simulation = warm(5, 6);
    let written = [("limit", b"42".to_vec()), ("long", vec![7; 60_000])];
    for (key, value) in &written {
        simulation.change_state(1, true, key, Some(value.clone())).expect("within bounds");
    }
    run_until_agreed(&mut simulation, millis(100), seconds(20));
    simulation.leave(1);
    run(&mut simulation, seconds(60));
    // One after the other, each from those that are left.
    for node in [2, 3, 4, 5, 0] {
        simulation.restart(node, Restart::default());
        run(&mut simulation, seconds(30));
    }
    run_until_agreed(&mut simulation, millis(100), seconds(60));
    for node in [0, 2, 3, 4, 5] {
        assert_eq!(keys(&simulation, node).len(), written.len(), "{node}");
        assert_eq!(
            simulation
                .member(node)
                .expect("it lives")
                .state_value(MemberId::NONE, "limit")
                .map(|value| value.writer),
            Some(simulation.id(1))
        );
    }
    assert_eq!(simulation.counters().identities_forged, 0);
}
