//! Datagrams and bytes: what a member sends per second, idle and with news.
//!
//! **Probes.** Each member begins 1/(P h) probes per second, h being local health's stretch, and answers as
//! many of others: a ping, and an ack for each that arrives. Where no ack comes within the timeout, with
//! probability q, K relays are asked; with a(rrives) = 1 - l, a K of them ping, a^2 K acks leave, and each
//! relay passes on an ack (a^3 K) or else a nack. Every one of these is a frame: header and message.
//!
//! **News.** Each member sends a rumour c times (the retransmit limit), wherever it fits: on the probes'
//! frames for nothing but its own bytes, else in gossip frames. With r chances to send per second a rumour
//! keeps a member busy for c/r seconds, so with v rumours per second in the cluster a gossip tick finds
//! something to say with probability 1 - e^(-v c/r) (rumours are a Poisson process), and then f frames leave.
//! Rumours that overlap share them. If all rumours together ask for more bytes than all frames have, each is
//! sent less often in proportion.
//!
//! Rumours are the user events; for each crash a suspicion, told anew for each of K confirmations, and a death;
//! for each false accusation a suspicion and a refutation.
//!
//! Where members delegate, news has frames of its own ([`mod@super::delegation::traffic`]).
//!
//! **Push/pull** goes over streams: in the native format two frames with roots, if views agree, and in
//! memberlist's both whole views, once per period by each member.
//!
//! Sizes are the codec's own (`swimring_codec::native`, `swimring_codec::memberlist`, plain packets without
//! label, compression and encryption; gossip with its CRC).

use std::net::{Ipv4Addr, SocketAddr};

use swimring::protocol::Settings;
use swimring_codec::memberlist::{self, Alive, Source, Versions};
use swimring_codec::native::{
    HEADER_LEN, PROBE_LEN, RELAY_LEN, STREAM_PREFIX_LEN, SUSPECT_LEN, UPDATE_LEN, UserEvent,
};
use swimring_simulation::experiment::WireSizes;

use super::Environment;
use super::delegation::Broadcast;
use super::delegation::traffic::Rates;
use super::false_positives::Probe;
use super::suspicion::Window;

/// A name of any length up to this is cut from it.
const NAME: &str = "member-0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
                    000000000000000000000000000000000000";
/// Bytes of a memberlist packet's CRC: its type byte and 32 bits.
const CRC_LEN: f64 = 5.0;
/// A sequence number and an incarnation of usual size.
const NUMBER: u32 = 100_000;

/// Bytes of everything that is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Around the messages of a probe's frame.
    pub frame: f64,
    /// Around the news of a gossip frame.
    pub gossip_frame: f64,
    /// More for a frame with several messages, and for each of them.
    pub compound: (f64, f64),
    /// A ping.
    pub ping: f64,
    /// An ack.
    pub ack: f64,
    /// A nack.
    pub nack: f64,
    /// A request to ping.
    pub indirect_ping: f64,
    /// A suspicion.
    pub suspect: f64,
    /// A refutation.
    pub alive: f64,
    /// A death.
    pub dead: f64,
    /// A user event.
    pub event: f64,
    /// What both sides of a push/pull send together.
    pub push_pull: f64,
}

impl Sizes {
    /// The sizes of an environment's format.
    pub fn of(environment: &Environment) -> Sizes {
        match environment.wire {
            WireSizes::Native => Sizes::native(environment),
            WireSizes::Memberlist => Sizes::memberlist(environment),
        }
    }

    fn native(environment: &Environment) -> Sizes {
        let event = UserEvent::encoded_len(0, environment.event_bytes.into());
        Sizes {
            frame: HEADER_LEN as f64,
            gossip_frame: HEADER_LEN as f64,
            compound: (0.0, 0.0),
            ping: PROBE_LEN as f64,
            ack: PROBE_LEN as f64,
            nack: PROBE_LEN as f64,
            indirect_ping: RELAY_LEN as f64,
            suspect: SUSPECT_LEN as f64,
            alive: UPDATE_LEN as f64,
            dead: UPDATE_LEN as f64,
            event: event as f64,
            push_pull: 2.0 * (STREAM_PREFIX_LEN + HEADER_LEN) as f64,
        }
    }

    fn memberlist(environment: &Environment) -> Sizes {
        use memberlist::Message;
        let name = &NAME[..usize::from(environment.name_bytes).clamp(1, NAME.len())];
        let address = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 7946));
        let source = Some(Source { address, name });
        let len = |message: Message<'_>| message.encoded_len() as f64;
        let alive = len(Message::Alive(Alive {
            incarnation: NUMBER,
            node: name,
            address,
            metadata: &[],
            versions: Versions::PLAIN,
        }));
        let sequence = NUMBER;
        let incarnation = NUMBER;
        Sizes {
            frame: 0.0,
            gossip_frame: CRC_LEN,
            compound: (2.0, 2.0),
            ping: len(Message::Ping { sequence, node: name, source }),
            ack: len(Message::Ack { sequence, payload: b"" }),
            nack: len(Message::Nack { sequence }),
            indirect_ping: len(Message::IndirectPing {
                sequence,
                target: address,
                node: name,
                nack: true,
                source,
            }),
            suspect: len(Message::Suspect { incarnation, node: name, from: name }),
            alive,
            dead: len(Message::Dead { incarnation, node: name, from: name }),
            // The type of a user message, and the payload.
            event: 1.0 + f64::from(environment.event_bytes),
            // A record of a push/pull is an alive with its state.
            push_pull: 2.0 * f64::from(environment.members) * alive,
        }
    }
}

/// What a member sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Datagrams per member and second.
    pub datagrams: f64,
    /// Their payload bytes per member and second.
    pub bytes: f64,
    /// Bytes of streams per member and second.
    pub stream_bytes: f64,
    /// Copies of one rumour that a member sends.
    pub copies: f64,
    /// Frames of probes, which take news along, per member and second.
    pub piggybacked_per_s: f64,
}

/// Rumours of one kind.
struct Rumours {
    /// Per second, in the whole cluster.
    per_s: f64,
    bytes: f64,
}

impl Traffic {
    /// The traffic of members that delegate what they tell: a broadcast of its own for each piece of news, beside
    /// probes that take none along.
    pub fn delegated(
        settings: &Settings,
        environment: &Environment,
        probe: &Probe,
        broadcast: &Broadcast,
        rates: &Rates,
    ) -> Traffic {
        let sizes = Sizes::of(environment);
        let (probes, bytes) = probe_frames(settings, environment, probe, &sizes);
        let told = broadcast.traffic(rates);
        Traffic {
            datagrams: probes + told.datagrams,
            bytes: bytes + told.bytes,
            stream_bytes: stream_bytes(settings, environment, &sizes),
            copies: broadcast.copies,
            piggybacked_per_s: 0.0,
        }
    }

    /// The traffic of members that gossip, with these settings, in this environment.
    pub fn of(settings: &Settings, environment: &Environment, probe: &Probe) -> Traffic {
        let sizes = Sizes::of(environment);
        let rumours = rumours(settings, environment, probe, &sizes);
        let (probes, mut bytes) = probe_frames(settings, environment, probe, &sizes);
        let fanout = f64::from(settings.gossip_fanout).min(f64::from(environment.members - 1));
        let ticks_per_s = 1.0 / settings.gossip_interval.as_secs_f64();
        let chances = fanout * ticks_per_s + probes;
        let limit = f64::from(settings.retransmit_limit(environment.members as usize));
        let per_s: f64 = rumours.iter().map(|rumours| rumours.per_s).sum();
        let part = sizes.compound.1;
        let wanted: f64 = rumours.iter().map(|rumours| rumours.per_s * limit * (rumours.bytes + part)).sum();
        let room = chances * (settings.frame_bytes_max as f64 - sizes.frame.max(sizes.gossip_frame));
        let copies = limit * (room / wanted).min(1.0);
        let busy = -(-per_s * copies / chances).exp_m1();
        let gossip = fanout * ticks_per_s * busy;
        let told = per_s * copies;
        bytes += wanted * copies / limit + gossip * sizes.gossip_frame;
        // A part alone stands without a compound.
        let each = if gossip > 0.0 { told / chances / busy } else { 0.0 };
        bytes +=
            gossip * (sizes.compound.0 * (each - 1.0).clamp(0.0, 1.0) - part * (2.0 - each).clamp(0.0, 1.0));
        bytes += probes * busy * (sizes.compound.0 + part);
        Traffic {
            datagrams: probes + gossip,
            bytes,
            stream_bytes: stream_bytes(settings, environment, &sizes),
            copies,
            piggybacked_per_s: probes,
        }
    }
}

/// Bytes of streams per member and second.
fn stream_bytes(settings: &Settings, environment: &Environment, sizes: &Sizes) -> f64 {
    let period_s = settings.push_pull_period(environment.members as usize).as_secs_f64();
    if period_s > 0.0 { sizes.push_pull / period_s } else { 0.0 }
}

/// Frames of probes per member and second, and their bytes without news.
fn probe_frames(settings: &Settings, environment: &Environment, probe: &Probe, sizes: &Sizes) -> (f64, f64) {
    let arrives = 1.0 - environment.loss;
    let begun = 1.0 / (settings.probe_interval.as_secs_f64() * probe.stretch());
    let relays = f64::from(settings.indirect_checks).min(f64::from(environment.members.saturating_sub(2)));
    let asked = begun * probe.unanswered * relays;
    let passed = asked * arrives.powi(3);
    let refused = asked * arrives * (1.0 - arrives.powi(2));
    let kinds = [
        (begun, sizes.ping),
        (begun * arrives, sizes.ack),
        (asked, sizes.indirect_ping),
        (asked * arrives, sizes.ping),
        (asked * arrives.powi(2) + passed, sizes.ack),
        (refused, sizes.nack),
    ];
    let frames = kinds.iter().map(|(count, _)| count).sum();
    (frames, kinds.iter().map(|(count, bytes)| count * (sizes.frame + bytes)).sum())
}

fn rumours(settings: &Settings, environment: &Environment, probe: &Probe, sizes: &Sizes) -> [Rumours; 5] {
    let members = environment.members;
    let crashes = environment.failures_per_hour / 3600.0;
    let told_anew = f64::from(1 + Window::of(settings, members).needed);
    let accusations = probe.accusations_per_member_second(settings) * f64::from(members);
    [
        Rumours { per_s: environment.events_per_second, bytes: sizes.event },
        Rumours { per_s: crashes * told_anew, bytes: sizes.suspect },
        Rumours { per_s: crashes, bytes: sizes.dead },
        Rumours { per_s: accusations, bytes: sizes.suspect },
        Rumours { per_s: accusations, bytes: sizes.alive },
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swimring::protocol::settings::Preset;

    use super::*;

    fn of(settings: &Settings, environment: &Environment) -> Traffic {
        Traffic::of(settings, environment, &Probe::of(settings, environment))
    }

    fn idle(members: u32) -> Environment {
        Environment { members, ..Environment::default() }
    }

    #[test]
    fn an_idle_member_sends_a_ping_and_an_ack_per_interval() {
        let traffic = of(&Settings::preset(Preset::Lan), &idle(10_000));
        assert_eq!(traffic.datagrams, 2.0);
        assert_eq!(traffic.bytes, 2.0 * (HEADER_LEN + PROBE_LEN) as f64);
        assert_eq!(traffic.copies, 20.0);
    }

    /// docs/results/2026-11-20-ten-thousand-members: 10,000 members, an event per second, 20 crashes and 40
    /// seconds of them: 8,464,265 datagrams in a minute, and 19.98 copies of each event per member.
    #[test]
    fn a_measured_fleet_is_met() {
        let with = |events_per_second, failures_per_hour| Environment {
            events_per_second,
            event_bytes: 100,
            failures_per_hour,
            rtt_median_ms: 2.4,
            ..idle(10_000)
        };
        let lan = Settings::preset(Preset::Lan);
        // Events and crashes lie in the first two thirds; the rest is idle.
        let busy = of(&lan, &with(1.0, 20.0 / 40.0 * 3600.0));
        let idle = of(&lan, &with(0.0, 0.0));
        let datagrams = (2.0 * busy.datagrams + idle.datagrams) / 3.0;
        let measured = 8_464_265.0 / 60.0 / 10_000.0;
        let ratio = datagrams / measured;
        println!("{datagrams} by formula, {measured} measured");
        assert!((0.8..1.25).contains(&ratio), "{datagrams} and {measured}");
    }

    #[test]
    fn a_rumour_alone_is_sent_as_often_as_the_limit_says() {
        let lan = Settings::preset(Preset::Lan);
        let rare = Environment { events_per_second: 0.001, ..idle(1_000) };
        let (with, without) = (of(&lan, &rare), of(&lan, &idle(1_000)));
        let frames = (with.datagrams - without.datagrams) / 0.001;
        // 15 of 17 chances are gossip frames.
        assert!((frames / (16.0 * 15.0 / 17.0) - 1.0).abs() < 0.01, "{frames}");
        let bytes = (with.bytes - without.bytes) / 0.001;
        let event = UserEvent::encoded_len(0, rare.event_bytes.into()) as f64;
        assert!((bytes / (16.0 * event + frames * HEADER_LEN as f64) - 1.0).abs() < 0.01, "{bytes}");
    }

    #[test]
    fn memberlists_pings_are_those_of_its_codec() {
        let environment = Environment { wire: WireSizes::Memberlist, name_bytes: 8, ..idle(100) };
        let sizes = Sizes::of(&environment);
        let name = "member-0";
        let address = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 7946));
        let source = Some(Source { address, name });
        let mut buffer = [0; 200];
        let written = memberlist::Message::Ping { sequence: NUMBER, node: name, source }.encode(&mut buffer);
        assert_eq!(written.map(|bytes| bytes as f64), Some(sizes.ping));
    }

    /// Ticks and rumours one by one: how many gossip frames leave, of a member whose every rumour comes at
    /// a random moment.
    #[test]
    fn overlapping_rumours_share_frames_as_in_an_experiment() {
        let lan = Settings::preset(Preset::Lan);
        for events_per_second in [0.5, 2.0, 10.0] {
            let environment = Environment { events_per_second, ..idle(1_000) };
            let formula = of(&lan, &environment).datagrams - 2.0;
            let mut rng = fastrand::Rng::with_seed(4);
            let (mut queue, mut frames) = (Vec::<u32>::new(), 0_u64);
            let (ticks, mut next_event) = (200_000, 0.0);
            for tick in 0..ticks {
                while next_event < f64::from(tick) * 0.2 {
                    queue.push(16);
                    next_event += -(1.0 - rng.f64()).ln() / events_per_second;
                }
                let piggyback = [rng.f64() < 0.2, rng.f64() < 0.2].iter().filter(|probe| **probe).count();
                for chance in 0..3 + piggyback {
                    frames += u64::from(chance < 3 && !queue.is_empty());
                    queue.iter_mut().for_each(|left| *left -= 1);
                    queue.retain(|left| *left > 0);
                }
            }
            let measured = frames as f64 / (f64::from(ticks) * 0.2);
            println!("{events_per_second}: {formula} by formula, {measured}");
            assert!((formula / measured - 1.0).abs() < 0.05, "{events_per_second}: {formula} {measured}");
        }
    }

    proptest! {
        #[test]
        fn more_to_tell_is_never_cheaper(
            members in 2_u32..200_000,
            events in 0.0..50.0_f64,
            failures in 0.0..10_000.0_f64,
            loss in 0.0..0.5_f64,
            memberlist: bool,
        ) {
            let wire = if memberlist { WireSizes::Memberlist } else { WireSizes::Native };
            let here = Environment {
                events_per_second: events,
                failures_per_hour: failures,
                loss,
                wire,
                ..idle(members)
            };
            let lan = Settings::preset(Preset::Lan);
            let base = of(&lan, &here);
            let louder = of(&lan, &Environment { events_per_second: events + 1.0, ..here.clone() });
            let wilder = of(&lan, &Environment { failures_per_hour: failures + 60.0, ..here.clone() });
            prop_assert!(base.bytes.is_finite() && base.bytes > 0.0);
            prop_assert!(louder.bytes >= base.bytes * 0.999);
            prop_assert!(wilder.bytes >= base.bytes * 0.999);
            prop_assert!(louder.datagrams >= base.datagrams * 0.99);
        }
    }
}
