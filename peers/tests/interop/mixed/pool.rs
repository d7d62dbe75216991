//! Some members of Go's memberlist and some of Swimring's in one pool.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use swimring::{MemberlistOptions, Settings};
use swimring_peers::memberlist::{MemberlistOptions as GoOptions, MemberlistPeer, PeerEvent};

use super::swimmer::after;
use super::{KEY, KEY_BASE64, Swimmer, eventually, quick, quick_go};

/// Swimring's members have addresses this far behind Go's.
const OURS_AFTER: u32 = 100;

/// How a pool's packets and streams are wrapped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variant {
    pub label: &'static str,
    pub encrypted: bool,
    /// On both sides: memberlist compresses by default, Swimring does not.
    pub compression: bool,
}

impl Variant {
    pub fn go(self) -> GoOptions {
        GoOptions {
            label: self.label.into(),
            keys: if self.encrypted { vec![KEY_BASE64.into()] } else { Vec::new() },
            compression: self.compression,
            ..GoOptions::default()
        }
    }

    pub fn ours(self) -> MemberlistOptions {
        MemberlistOptions {
            label: self.label.into(),
            secret_keys: if self.encrypted { vec![KEY.to_vec().into()] } else { Vec::new() },
            enable_compression: self.compression,
            ..MemberlistOptions::default()
        }
    }
}

/// A pool of Go's members `go-0`, `go-1`... and Swimring's `swim-0`, `swim-1`...
pub struct Mixed {
    pub go: MemberlistPeer,
    pub ours: Vec<Swimmer>,
    settings: Settings,
    wire: MemberlistOptions,
    /// What everyone should know: name to address and metadata.
    pub expected: BTreeMap<String, (String, String)>,
    /// Who was killed, whose death may be known.
    killed: BTreeSet<String>,
    first_address: Ipv4Addr,
}

impl Mixed {
    /// Starts `each` members of both sides with quick settings, all joining through `go-0`.
    pub fn start(first_address: Ipv4Addr, each: usize, variant: Variant) -> Mixed {
        let go = GoOptions { first_address, members: each, meta: "from=go".into(), ..variant.go() };
        Mixed::with(quick_go(go), quick(), variant.ours(), each)
    }

    /// The same with all that can be chosen.
    pub fn with(go: GoOptions, settings: Settings, wire: MemberlistOptions, ours: usize) -> Mixed {
        let (first_address, meta) = (go.first_address, go.meta.clone());
        let go = MemberlistPeer::start(go).unwrap();
        let expected = (0..go.options().members)
            .map(|index| (go.name(index), (go.address(index).to_string(), meta.clone())))
            .collect();
        let ours_so_far = Vec::with_capacity(ours);
        let mut mixed =
            Mixed { go, ours: ours_so_far, settings, wire, expected, killed: BTreeSet::new(), first_address };
        for index in 0..ours {
            let swimmer = mixed.start_ours(index, "from=swimring");
            mixed.ours.push(swimmer);
        }
        mixed
    }

    pub fn our_name(index: usize) -> String {
        format!("swim-{index}")
    }

    /// A member of ours that has joined, and that the others are expected to know.
    fn start_ours(&mut self, index: usize, metadata: &str) -> Swimmer {
        let name = Mixed::our_name(index);
        let ip = after(self.first_address, OURS_AFTER + index as u32);
        let address = SocketAddrV4::new(ip, self.go.options().port);
        let swimmer = Swimmer::start(&name, address, metadata.as_bytes(), &self.settings, &self.wire);
        swimmer.join(self.go.address(0));
        self.expected.insert(name, (address.to_string(), metadata.to_owned()));
        swimmer
    }

    /// Starts a member of ours anew under its old name.
    pub fn restart_ours(&mut self, index: usize, metadata: &str) {
        self.ours[index] = self.start_ours(index, metadata);
    }

    /// Notes that a member is gone.
    pub fn gone(&mut self, name: &str, killed: bool) {
        self.expected.remove(name);
        if killed {
            self.killed.insert(name.to_owned());
        }
    }

    /// Waits until everyone who lives knows everyone who lives, with address and metadata, and nobody else.
    pub fn agree(&mut self) {
        let living = self.go_living();
        let Mixed { go, ours, expected, .. } = self;
        let wanted: Vec<_> =
            expected.iter().map(|(name, (a, m))| (name.clone(), a.clone(), m.clone())).collect();
        eventually("all to agree", || {
            for index in &living {
                let members = go.members(*index).unwrap().into_iter().filter(|node| node.state == "alive");
                let mut view: Vec<_> = members.map(|node| (node.name, node.address, node.meta)).collect();
                view.sort();
                same(&go.name(*index), view, &wanted)?;
            }
            for swimmer in ours.iter().filter(|swimmer| expected.contains_key(&swimmer.name())) {
                let text = |meta: Vec<u8>| String::from_utf8(meta).unwrap();
                let view =
                    swimmer.view().into_iter().map(|(name, address, meta)| (name, address, text(meta)));
                same(&swimmer.name(), view.collect(), &wanted)?;
            }
            Ok(())
        });
    }

    /// Swimring's members that live.
    pub fn our_living(&self) -> impl Iterator<Item = &Swimmer> {
        self.ours.iter().filter(|swimmer| self.expected.contains_key(&swimmer.name()))
    }

    /// Indices of Go's members that live.
    pub fn go_living(&self) -> Vec<usize> {
        let all = 0..self.go.options().members;
        all.filter(|index| self.expected.contains_key(&self.go.name(*index))).collect()
    }

    /// When the last of Go's living members got a message of this payload, once all but `sender` have.
    pub fn heard_by_go(&mut self, payload: &[u8], sender: Option<usize>) -> i64 {
        let what = format!("all of Go's members to hear {:?}", String::from_utf8_lossy(payload));
        let listeners: Vec<_> = self.go_living().into_iter().filter(|at| Some(*at) != sender).collect();
        eventually(&what, || {
            let heard = self.go.heard(payload).unwrap();
            let missing: Vec<_> =
                listeners.iter().filter(|at| !heard.iter().any(|heard| heard.at == **at)).collect();
            let last = heard.iter().map(|heard| heard.time_us).max();
            last.filter(|_| missing.is_empty()).ok_or_else(|| format!("without {missing:?}"))
        })
    }

    /// When the last of Go's living members learned that `node` is gone in this way, from `since_us` on.
    pub fn go_learned(&mut self, node: &str, state: &str, since_us: i64) -> i64 {
        let living = self.go_living();
        eventually(&format!("Go to learn that {node} is {state}"), || {
            let mut learned = self.go.departures(node).unwrap();
            learned.retain(|departure| departure.time_us >= since_us && departure.state == state);
            let missing: Vec<_> =
                living.iter().filter(|at| !learned.iter().any(|one| one.at == **at)).collect();
            let last = learned.iter().map(|one| one.time_us).max();
            last.filter(|_| missing.is_empty()).ok_or_else(|| format!("without {missing:?}: {learned:?}"))
        })
    }

    /// Fails if anyone was ever declared dead who was not killed.
    pub fn assert_no_false_death(&self) {
        for event in self.go.events_since(0) {
            if let PeerEvent::Leave(change) = event {
                let wrong = change.state == "dead" && !self.killed.contains(&change.node);
                assert!(!wrong, "{} declared {} dead: {change:?}", change.member, change.node);
            }
        }
        for swimmer in &self.ours {
            let wrong: Vec<_> =
                swimmer.failed().into_iter().filter(|name| !self.killed.contains(name)).collect();
            assert!(wrong.is_empty(), "{} declared {wrong:?} dead", swimmer.name());
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(whose: &str, view: Vec<T>, wanted: &[T]) -> Result<(), String> {
    if view == wanted { Ok(()) } else { Err(format!("{whose} knows {view:?}, not {wanted:?}")) }
}
