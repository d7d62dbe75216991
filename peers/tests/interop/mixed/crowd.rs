//! A pool too large to look at everything of everyone: members of Go's in one process, of Swimring's in this one.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use swimring::{MemberlistOptions, Settings};
use swimring_peers::memberlist::{MemberlistOptions as GoOptions, MemberlistPeer};

use super::fleet::Fact;
use super::swimmer::after;
use super::{Swarm, eventually, eventually_within};

/// Members `go-0`... of Go's and `swim-0`... of ours.
pub struct Crowd {
    pub go: MemberlistPeer,
    pub ours: Swarm,
    killed: BTreeSet<String>,
    first_of_ours: SocketAddrV4,
}

impl Crowd {
    /// Starts Go's members; ours, as many, all join at once through `go-0`. Swimring's are at `port` of the 500
    /// addresses after Go's, and bind all addresses of this machine at that port.
    pub fn start(go: GoOptions, port: u16, settings: &Settings, wire: &MemberlistOptions) -> Crowd {
        let members = go.members as u32;
        let first_of_ours = SocketAddrV4::new(after(go.first_address, 500), port);
        let go = MemberlistPeer::start(GoOptions { quiet_events: true, ..go }).unwrap();
        let ours = Swarm::start(members, first_of_ours, settings, wire);
        ours.join(go.address(0), "go-0");
        Crowd { go, ours, killed: BTreeSet::new(), first_of_ours }
    }

    /// Indices of Go's members that live.
    pub fn go_living(&self) -> Vec<usize> {
        (0..self.go.options().members).filter(|index| !self.killed.contains(&self.go.name(*index))).collect()
    }

    /// Waits until everyone who lives counts as many, and looks at what some know in full.
    pub fn agree(&mut self, limit: Duration) {
        let living = self.go_living().len() + self.ours.living().len();
        let expected = self.expected();
        eventually_within(limit, "all to agree", || {
            let counts = self.go.counts().unwrap().into_iter().flatten().chain(self.ours.counts());
            match counts.filter(|count| *count != living).count() {
                0 => Ok(()),
                few @ 1..=5 => Err(format!("{few} do not: {}", self.missing(&expected).join("; "))),
                many => Err(format!("{many} of {living} do not")),
            }
        });
        self.assert_complete();
    }

    /// Who does not know whom.
    fn missing(&mut self, expected: &BTreeSet<(String, String)>) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |whose: String, view: BTreeSet<String>| {
            let missing = expected.iter().filter(|(name, _)| !view.contains(name));
            let missing: Vec<_> = missing.map(|(name, _)| name.as_str()).collect();
            if !missing.is_empty() {
                all.push(format!("{whose} does not know {}", missing.join(", ")));
            }
        };
        for member in self.ours.living() {
            let view = self.ours.view(member).into_iter().filter(|(_, _, state)| state.is_live());
            compare(Swarm::name(member), view.map(|(name, ..)| name).collect());
        }
        for index in self.go_living() {
            let nodes = self.go.members(index).unwrap().into_iter();
            let nodes = nodes.filter(|node| node.state == "alive" || node.state == "suspect");
            compare(self.go.name(index), nodes.map(|node| node.name).collect());
        }
        all
    }

    /// Fails unless everyone of ours and some of Go's know everyone who lives, with addresses, and nobody else.
    fn assert_complete(&mut self) {
        let expected = self.expected();
        for member in self.ours.living() {
            let view = self.ours.view(member).into_iter().filter(|(_, _, state)| state.is_live());
            let view: BTreeSet<_> = view.map(|(name, address, _)| (name, address)).collect();
            assert_eq!(view, expected, "what swim-{member} knows");
        }
        for index in self.go_living().into_iter().step_by(7) {
            let nodes = self.go.members(index).unwrap().into_iter();
            let view = nodes.filter(|node| node.state == "alive" || node.state == "suspect");
            let view: BTreeSet<_> = view.map(|node| (node.name, node.address)).collect();
            assert_eq!(view, expected, "what go-{index} knows");
        }
    }

    fn expected(&self) -> BTreeSet<(String, String)> {
        let go = self.go_living().into_iter();
        let go = go.map(|index| (self.go.name(index), self.go.address(index).to_string()));
        let ours = self.ours.living().into_iter().map(|member| {
            let ip: Ipv4Addr = after(*self.first_of_ours.ip(), member);
            (Swarm::name(member), SocketAddrV4::new(ip, self.first_of_ours.port()).to_string())
        });
        go.chain(ours).collect()
    }

    /// Kills a member of Go's; when.
    pub fn kill_go(&mut self, index: usize) -> i64 {
        self.killed.insert(self.go.name(index));
        self.go.kill(index).unwrap()
    }

    /// Kills one of ours; when.
    pub fn kill_ours(&mut self, member: u32) -> i64 {
        self.killed.insert(Swarm::name(member));
        self.ours.kill(member)
    }

    /// When the last of all who live learned that a killed member is dead.
    pub fn death_known(&mut self, name: &str) -> i64 {
        let ours = self.ours.learned_by_all(&Fact::Failed(name.to_owned()), None);
        let living = self.go_living();
        let go = eventually(&format!("Go to learn that {name} is dead"), || {
            let learned = self.go.departures(name).unwrap();
            let missing = living.iter().filter(|at| !learned.iter().any(|one| one.at == **at)).count();
            let last = learned.iter().map(|one| one.time_us).max();
            last.filter(|_| missing == 0).ok_or_else(|| format!("without {missing} members"))
        });
        ours.max(go)
    }

    /// When the last of Go's living members got a message, once all but `sender` have.
    pub fn heard_by_go(&mut self, payload: &[u8], sender: Option<usize>) -> i64 {
        let living: Vec<_> = self.go_living().into_iter().filter(|at| Some(*at) != sender).collect();
        eventually("all of Go's members to hear", || {
            let heard = self.go.heard(payload).unwrap();
            let missing = living.iter().filter(|at| !heard.iter().any(|one| one.at == **at)).count();
            let last = heard.iter().map(|one| one.time_us).max();
            last.filter(|_| missing == 0).ok_or_else(|| format!("without {missing} members"))
        })
    }

    /// Fails if anyone was ever declared dead, by anyone, who was not killed.
    pub fn assert_no_false_death(&mut self) {
        let failed = self.ours.failed();
        let wrong: Vec<_> = failed.iter().filter(|name| !self.killed.contains(*name)).collect();
        assert!(wrong.is_empty(), "Swimring's members declared dead who lives: {wrong:?}");
        for (name, _) in self.expected() {
            let departures = self.go.departures(&name).unwrap();
            assert!(departures.is_empty(), "Go's members declared {name} dead, who lives: {departures:?}");
        }
    }

    /// One line on how hard it was: suspicions on Go's side that went wrong, and accusations that ours refuted.
    pub fn trouble(&mut self) -> String {
        let stats = self.go.stats().unwrap();
        format!(
            "Go began {} suspicions of its own and refuted {} accusations, ours refuted {}",
            stats.log.suspected,
            stats.log.refuted,
            self.ours.accusations()
        )
    }
}
