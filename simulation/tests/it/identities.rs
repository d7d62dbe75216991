//! Identities (`docs/PROTOCOL.md`, section 12): clusters with every fault, and among them somebody who has all that members have
//! but their keys, and says in their names whatever there is to say.

use std::net::SocketAddr;
use std::time::Duration;

use swimring::protocol::{Counters, MemberRef};
use swimring_codec::native::{
    FRAME_MAX, FrameHeader, FrameWriter, IdentityKey, Introduction, Message, Signature, StreamKind,
    StreamWriter,
};
use swimring_codec::{Incarnation, State};
use swimring_simulation::{CLUSTER, Faults, Identities, Simulation, SimulationOptions, play, scenario};

use crate::paper_support::{converges, millis, run, seconds};

/// Seeds of the campaign; `SWIMRING_SEEDS` runs more.
const SEEDS: u64 = 8;

/// Has everything that members have, but their keys.
struct Forger {
    key: IdentityKey,
    rng: fastrand::Rng,
    /// Signatures that members have sent.
    heard: Vec<Signature>,
}

impl Forger {
    fn new(seed: u64) -> Forger {
        Forger {
            key: IdentityKey::from_seed(&[seed as u8; 32]),
            rng: fastrand::Rng::with_seed(seed),
            heard: Vec::new(),
        }
    }

    /// Reads what others have sent, signatures above all.
    fn listen(&mut self, simulation: &Simulation) {
        for frame in simulation.tapped() {
            let Ok(frame) = swimring_codec::native::Frame::decode(&frame.bytes) else { continue };
            for message in frame.messages().flatten() {
                if let Message::Signature(signature) = message
                    && self.heard.len() < 4_096
                {
                    self.heard.push(*signature);
                }
            }
        }
    }

    /// An incarnation that would be believed of `victim` if it had said so.
    fn above(&mut self, simulation: &Simulation, victim: usize) -> Incarnation {
        let highest = simulation.highest_incarnation(victim).get();
        Incarnation::new(highest + self.rng.u64(1..100))
    }

    /// A signature that is not of the claim that it is put in front of.
    fn signature(&mut self, claim: &Introduction<'_>) -> Option<Signature> {
        match self.rng.u8(..4) {
            0 => None,
            1 => Some(std::array::from_fn(|_| self.rng.u8(..))),
            2 if !self.heard.is_empty() => Some(self.heard[self.rng.usize(..self.heard.len())]),
            _ => self.key.sign_alive(CLUSTER, claim),
        }
    }

    /// Says something in somebody's name to somebody.
    fn strike(&mut self, simulation: &mut Simulation) {
        let (receiver, victim) = (self.rng.usize(..simulation.len()), self.rng.usize(..simulation.len()));
        let incarnation = self.above(simulation, victim);
        let name = format!("member-{victim:04}");
        // With the victim's key, which all know, or with one of its own.
        let public = if self.rng.bool() { key_of(simulation, victim) } else { self.key.public() };
        let metadata = [&public.0[..], b"forged"].concat();
        let here = simulation.address(self.rng.usize(..simulation.len()));
        let address = if self.rng.bool() { SocketAddr::from(([10, 66, 6, 6], 666)) } else { here };
        let subject = simulation.id(victim);
        let states = [State::Alive, State::Alive, State::Suspect, State::Left, State::Dead];
        let state = states[self.rng.usize(..states.len())];
        let zone = simulation.zone(victim).to_owned();
        let claim = Introduction {
            subject,
            incarnation,
            state,
            address,
            name: &name,
            metadata: &metadata,
            zone: &zone,
        };
        let signature = self.signature(&claim);
        let header = FrameHeader {
            cluster: CLUSTER,
            source: simulation.id(self.rng.usize(..simulation.len())),
            destination: simulation.id(receiver),
            root: self.rng.u64(..),
            quiet: self.rng.bool(),
        };
        if self.rng.u8(..4) == 0 {
            return self.say_on_a_stream(simulation, (receiver, header), &claim, signature.as_ref());
        }
        let mut buffer = vec![0; FRAME_MAX];
        let mut writer = FrameWriter::new(header, &mut buffer).expect("a source, and room");
        match self.rng.u8(..4) {
            0 => writer.push(&Message::Delegation {
                number: self.rng.u32(..),
                prefix_bits: 0,
                zone: 0,
                view_first: false,
            }),
            1 => writer.push(&Message::ViewRepair { began: self.rng.bool() }),
            _ => true,
        };
        let tag = self.rng.u8(..);
        let message = match self.rng.u8(..4) {
            0 => Message::Alive { subject, incarnation, tag },
            1 => Message::Left { subject, incarnation: simulation.highest_incarnation(victim) },
            _ => Message::Introduction(Introduction { state: State::Alive, ..claim }),
        };
        signature.iter().for_each(|signature| {
            writer.push(&Message::Signature(signature));
        });
        writer.push(&message);
        let length = writer.finish();
        simulation.deliver(receiver, here, &buffer[..length]);
    }

    fn say_on_a_stream(
        &mut self,
        simulation: &mut Simulation,
        (receiver, header): (usize, FrameHeader),
        claim: &Introduction<'_>,
        signature: Option<&Signature>,
    ) {
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::new(header, &mut bytes);
        if self.rng.u8(..8) == 0 {
            writer.plain(StreamKind::Join);
        } else {
            writer.signed_record(claim, signature);
            writer.finish_state();
        }
        simulation.deliver_stream(receiver, None, &bytes[4..]);
    }
}

fn key_of(simulation: &Simulation, node: usize) -> swimring_codec::native::PublicKey {
    simulation.identity_key(node).public()
}

/// Everything that is believed of anybody is what that one has said, or that it does not answer.
fn check(simulation: &Simulation, leaves: bool) {
    for observer in 0..simulation.len() {
        for MemberRef { name, address, metadata, public_key, state, incarnation, .. } in
            simulation.view(observer)
        {
            let subject: usize = name["member-".len()..].parse().expect("nobody else is in a view");
            assert_eq!(public_key, Some(key_of(simulation, subject)), "the key of {name}");
            let highest = simulation.highest_incarnation(subject);
            assert!(incarnation <= highest, "{name} is held at {incarnation:?}, and had {highest:?}");
            assert!(address.port() != 666 && metadata != b"forged", "what {name} has not said");
            assert!(leaves || state != State::Left, "{name} has not left");
        }
    }
}

fn options(seed: u64) -> SimulationOptions {
    // The scenarios with even numbers speak the native format.
    let options = scenario(seed * 2);
    let leave_every = if seed.is_multiple_of(3) { options.faults.leave_every } else { Duration::ZERO };
    // Damage is a forgery of accusations, which are nobody's.
    let faults = Faults { leave_every, checksums: true, ..options.faults.clone() };
    SimulationOptions { faults, identities: Identities::Listed, ..options }
}

/// One cluster with random misfortunes, and a forger among them.
fn misfortunes(seed: u64) -> Counters {
    println!("seed {seed}");
    let options = options(seed);
    let leaves = options.faults.leave_every > Duration::ZERO;
    let mut forger = Forger::new(seed);
    let mut simulation = Simulation::new(options);
    if seed.is_multiple_of(2) {
        simulation.start_warm();
    } else {
        simulation.start_cold();
    }
    for _ in 0..150 {
        simulation.tap();
        run(&mut simulation, millis(forger.rng.u64(..400)));
        forger.listen(&simulation);
        for _ in 0..8 {
            forger.strike(&mut simulation);
        }
        check(&simulation, leaves);
    }
    simulation.calm();
    converges(&mut simulation);
    check(&simulation, leaves);
    simulation.counters()
}

#[test]
fn nobody_speaks_for_others_whatever_happens() {
    let count = std::env::var("SWIMRING_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number"));
    let mut sum = Counters::default();
    (0..count).for_each(|seed| sum.add(&misfortunes(seed)));
    // All doors were tried, and members got through with what they said themselves.
    for (name, count) in [
        ("forged", sum.identities_forged),
        ("unsigned", sum.identities_unsigned),
        ("other keys", sum.identities_key_changed),
        ("not admitted", sum.identities_not_admitted),
        ("verified", sum.identities_verified),
        ("refutations", sum.refutations),
    ] {
        assert!(count > 20, "{count} {name}");
    }
}

#[test]
fn the_scenarios_hold_with_identities() {
    for seed in 0..SEEDS {
        let identities = if seed.is_multiple_of(2) { Identities::FirstHeard } else { Identities::Listed };
        let mut simulation = Simulation::new(SimulationOptions { identities, ..options(seed) });
        if let Err(violation) = play(&mut simulation) {
            panic!("seed {seed}: {violation}");
        }
    }
}

/// All that was sent is heard again, later: the forger needs no key for what members have said once.
#[test]
fn what_was_said_once_brings_nobody_back() {
    let mut simulation = Simulation::new(SimulationOptions {
        identities: Identities::FirstHeard,
        ..SimulationOptions::new(7, 6)
    });
    simulation.tap();
    simulation.start_cold();
    run(&mut simulation, seconds(5));
    simulation.update_metadata(2, b"new").unwrap();
    run(&mut simulation, seconds(2));
    simulation.leave(3);
    run(&mut simulation, seconds(2));
    simulation.crash(4);
    // Who is gone is forgotten after a while, and would be back for as long as it takes to find that it is gone.
    run(&mut simulation, seconds(15));
    let sent: Vec<_> = simulation.tapped().to_vec();
    let believed = |simulation: &Simulation| -> Vec<_> {
        let of = |node| simulation.view(node).map(|m| (m.name.to_owned(), m.incarnation, m.state)).collect();
        [0, 1, 2, 5]
            .map(of)
            .into_iter()
            .map(|mut view: Vec<_>| {
                view.sort_by(|a, b| a.0.cmp(&b.0));
                view
            })
            .collect()
    };
    let before = believed(&simulation);
    for frame in &sent {
        if let Some(to) = frame.to.filter(|to| ![3, 4].contains(to)) {
            simulation.deliver(to, simulation.address(frame.from), &frame.bytes);
        }
    }
    assert_eq!(believed(&simulation), before);
}
