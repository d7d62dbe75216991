//! Many Swimring members in this process, each at an address of its own behind one socket, with everything that
//! any of them noticed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use swimring::protocol::{Event, Settings, Time};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, JoinFailure, Observer};
use swimring::{Incarnation, MemberId, MemberlistOptions, State, WireOptions};

use super::swimmer::after;
use super::{eventually, now_us};

/// What a member of ours learned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// Of a death.
    Failed(String),
    /// Of a leave.
    Left(String),
    /// A user event: its payload.
    Heard(Vec<u8>),
    /// Others held it dead or suspect.
    Accused,
}

/// Who learned what, and when.
#[derive(Clone, Debug)]
pub struct Noted {
    pub at_us: i64,
    pub member: u32,
    pub fact: Fact,
}

/// Remembers it.
#[derive(Default)]
struct Notes {
    noted: Vec<Noted>,
    joined: usize,
    refusals: Vec<String>,
}

impl Observer for Notes {
    fn event(&mut self, scene: &EventContext<'_>, event: &Event) {
        let name = |subject| scene.shared.name(subject).to_owned();
        let fact = match *event {
            Event::Failed { subject, .. } => Fact::Failed(name(subject)),
            Event::Left { subject } => Fact::Left(name(subject)),
            Event::UserEvent { event } => Fact::Heard(scene.shared.user_event(event).payload.to_vec()),
            Event::Accused => Fact::Accused,
            Event::JoinFinished { joined, .. } => {
                self.joined += usize::from(joined);
                return;
            }
            _ => return,
        };
        self.noted.push(Noted { at_us: now_us(), member: scene.local, fact });
    }

    fn join_failed(&mut self, member: u32, _: u32, reason: &JoinFailure) {
        self.refusals.push(format!("{member}: {reason}"));
    }
}

/// Members `swim-0`, `swim-1`... at consecutive addresses.
pub struct Swarm {
    fleet: Fleet<Notes>,
    members: u32,
    killed: Vec<u32>,
}

impl Swarm {
    /// Starts the members, which know only themselves. The port must be nobody else's on this machine.
    pub fn start(members: u32, first: SocketAddrV4, settings: &Settings, wire: &MemberlistOptions) -> Swarm {
        let options = FleetOptions {
            settings: Arc::new(settings.clone()),
            wire: WireOptions::Memberlist(wire.clone()),
            own_addresses: true,
            bind: SocketAddr::from((Ipv4Addr::UNSPECIFIED, first.port())),
            seed: 1,
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(&options, |_| Notes::default()).unwrap();
        let add = move |host: &mut Host<Notes>, _: &mut _| {
            for member in 0..members {
                let own = SocketAddr::new(IpAddr::V4(after(*first.ip(), member)), first.port());
                host.add_at(own, &Swarm::name(member), b"from=swimring", "", Incarnation::new(1)).unwrap();
            }
        };
        fleet.ask(0, add).unwrap();
        Swarm { fleet, members, killed: Vec::new() }
    }

    pub fn name(member: u32) -> String {
        format!("swim-{member}")
    }

    /// Lets all join through `seed`, called `name`, and waits until all have.
    pub fn join(&self, seed: SocketAddrV4, name: &str) {
        let (seed, id) = (SocketAddr::V4(seed), MemberId::of_name(name));
        let join = move |host: &mut Host<Notes>, trains: &mut swimring::net::Trains| {
            for local in 0..host.len() as u32 {
                host.command(local, trains, |member, now: Time, commons, out| {
                    member.join(now, seed, id, local, commons, out);
                });
            }
        };
        self.fleet.ask(0, join).unwrap();
        eventually("all of ours to join", || {
            let look =
                |host: &mut Host<Notes>, _: &mut _| (host.observer.joined, host.observer.refusals.clone());
            let (joined, refusals) = self.fleet.ask(0, look).unwrap();
            if joined == self.members as usize { Ok(()) } else { Err(format!("only {joined}: {refusals:?}")) }
        });
    }

    /// How many members each of ours that lives holds alive, itself among them.
    pub fn counts(&self) -> Vec<usize> {
        let look =
            |host: &mut Host<Notes>, _: &mut _| host.members().map(|(_, member)| member.live()).collect();
        self.fleet.ask(0, look).unwrap()
    }

    /// Numbers of the members that live.
    pub fn living(&self) -> Vec<u32> {
        (0..self.members).filter(|member| !self.killed.contains(member)).collect()
    }

    /// Stops a member without a word; when.
    pub fn kill(&mut self, member: u32) -> i64 {
        self.fleet.ask(0, move |host, _| host.kill(member)).unwrap();
        self.killed.push(member);
        now_us()
    }

    /// Lets a member spread an event; when.
    pub fn send_event(&self, member: u32, payload: &'static [u8]) -> i64 {
        let sent = now_us();
        let tell = move |host: &mut Host<Notes>, trains: &mut swimring::net::Trains| {
            host.command(member, trains, |member, now, commons, out| {
                member.send_event(now, "news", payload, commons, out).unwrap();
            });
        };
        self.fleet.ask(0, tell).unwrap();
        sent
    }

    /// Everything so far.
    pub fn noted(&self) -> Vec<Noted> {
        self.fleet.ask(0, |host, _| host.observer.noted.clone()).unwrap()
    }

    /// When the last of ours that lives learned `fact`, once all but `except` have.
    pub fn learned_by_all(&self, fact: &Fact, except: Option<u32>) -> i64 {
        let living: Vec<_> = self.living().into_iter().filter(|member| Some(*member) != except).collect();
        eventually(&format!("all of ours to learn {fact:?}"), || {
            let noted = self.noted();
            let those: Vec<_> = noted.iter().filter(|noted| noted.fact == *fact).collect();
            let missing: Vec<_> =
                living.iter().filter(|member| !those.iter().any(|noted| noted.member == **member)).collect();
            let last = those.iter().map(|noted| noted.at_us).max();
            last.filter(|_| missing.is_empty()).ok_or_else(|| format!("without {missing:?}"))
        })
    }

    /// Names that any of ours ever declared dead, or were told are.
    pub fn failed(&self) -> Vec<String> {
        let name = |noted: Noted| match noted.fact {
            Fact::Failed(name) => Some(name),
            _ => None,
        };
        self.noted().into_iter().filter_map(name).collect()
    }

    /// How often members of ours had to refute.
    pub fn accusations(&self) -> usize {
        self.noted().iter().filter(|noted| noted.fact == Fact::Accused).count()
    }

    /// Name, address and state of whomever one member knows.
    pub fn view(&self, member: u32) -> Vec<(String, String, State)> {
        let look = move |host: &mut Host<Notes>, _: &mut _| {
            let shared = host.shared();
            let member = host.member(member).unwrap();
            let known = member.members(shared);
            let view = known.map(|known| (known.name.to_owned(), known.address.to_string(), known.state));
            view.collect::<Vec<_>>()
        };
        let mut view = self.fleet.ask(0, look).unwrap();
        view.sort_by(|one, other| one.0.cmp(&other.0));
        view
    }
}
