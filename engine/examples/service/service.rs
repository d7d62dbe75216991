//! The service itself: a store of entries divided among the members, and a configuration that all of them share.
//!
//! Three things that are often asked of etcd or of a coordinator come from membership here:
//!
//! - *Who is responsible*: the live member whose name hashes highest together with the key (rendezvous hashing: Thaler and
//!   Ravishankar, 1998). All members compute the same, and when one dies only its keys move. Entries live with
//!   their owner alone, so they are gone with it: a cache.
//! - *The configuration*: keys of the cluster in the shared state. Any member writes them, the last wins, and who
//!   was away gets what it missed.
//! - *What each of them does*: a key of its own for each member, which nobody else writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use swimring::{Cluster, ClusterError, ClusterEvent, MemberId, Question, StateEvent};

/// Configuration is under this prefix.
const CONFIG: &str = "config/";
/// Each member's own count of entries.
const ENTRIES: &str = "entries";
/// How long another member's answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most entries that one member keeps, and bytes of a line that is read.
const ENTRIES_MAX: usize = 10_000;
const LINE_MAX: u64 = 4096;

/// One process of the service. Clones are the same one.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    cluster: Cluster,
    /// The names of the live members: kept up to date by events, so that finding an owner asks nobody.
    members: RwLock<Vec<Arc<str>>>,
    config: RwLock<BTreeMap<String, String>>,
    entries: Mutex<BTreeMap<String, String>>,
}

impl Service {
    /// Starts serving as the member `cluster`: two threads follow what happens among members and to the configuration.
    ///
    /// # Errors
    /// If the member has stopped.
    pub fn start(cluster: Cluster) -> Result<Service, ClusterError> {
        let (members, mut events) = cluster.watch()?;
        let (known, mut changes) = cluster.state().watch(CONFIG)?;
        let service = Service(Arc::new(Inner {
            members: RwLock::new(members.into_iter().map(|member| member.name).collect()),
            config: RwLock::default(),
            entries: Mutex::default(),
            cluster,
        }));
        for entry in known {
            service.configure(StateEvent::Set(entry));
        }
        let (following, configured) = (service.clone(), service.clone());
        std::thread::spawn(move || {
            while let Some(event) = events.recv() {
                following.follow(event);
            }
        });
        std::thread::spawn(move || {
            while let Some(change) = changes.recv() {
                configured.configure(change);
            }
        });
        service.count_entries();
        Ok(service)
    }

    /// The member that the service is.
    pub fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Answers the commands that come to `listener`, a line each, until it fails.
    pub fn serve(&self, listener: &TcpListener) {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { return };
            let service = self.clone();
            std::thread::spawn(move || {
                // Whoever hangs up has no more questions.
                let _ = service.talk(&connection);
            });
        }
    }

    fn talk(&self, connection: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(connection);
        loop {
            let mut line = String::new();
            if io::Read::take(&mut reader, LINE_MAX).read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut connection = connection;
            writeln!(connection, "{}", self.command(line.trim_end()))?;
        }
    }

    /// Does what a line says, and gives the line that answers it.
    pub fn command(&self, line: &str) -> String {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let done = match words[..] {
            ["members"] => Ok(self.members().join(" ")),
            ["owner", key] => Ok(self.owner(key).to_string()),
            ["config"] => Ok(pairs(&self.0.config.read().unwrap_or_else(PoisonError::into_inner))),
            ["config", name, value] => {
                let key = format!("{CONFIG}{name}");
                let version = self.0.cluster.state().set_for_cluster(&key, value.to_owned());
                version.map(|version| format!("version {version}"))
            }
            ["load"] => self.load(),
            ["state"] => self.state(),
            ["get", key] | ["put", key, _] => self.route(line, key),
            _ => Ok("unknown: members, owner, config, load, state, get or put".to_owned()),
        };
        done.unwrap_or_else(|error| format!("failed: {error}"))
    }

    fn members(&self) -> Vec<String> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = members.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    /// The member that `key` belongs to.
    fn owner(&self, key: &str) -> Arc<str> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner);
        let owner = members.iter().max_by_key(|name| MemberId::of_name(&format!("{name} {key}")).0);
        owner.map_or_else(|| self.0.cluster.name().into(), Arc::clone)
    }

    /// Has the owner of `key` do what `line` says: this member itself, or another over the network.
    fn route(&self, line: &str, key: &str) -> Result<String, ClusterError> {
        let owner = self.owner(key);
        if &*owner == self.0.cluster.name() {
            return Ok(self.serve_entry(line));
        }
        let reply = self.0.cluster.ask(&owner, line.to_owned(), PATIENCE)?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    }

    /// Reads or writes an entry that is this member's to keep.
    fn serve_entry(&self, line: &str) -> String {
        let mut entries = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
            ["get", key] => entries.get(key).cloned().unwrap_or_default(),
            ["put", _, _] if entries.len() >= ENTRIES_MAX => format!("full: {ENTRIES_MAX} entries"),
            ["put", key, value] => {
                entries.insert(key.to_owned(), value.to_owned());
                drop(entries);
                self.count_entries();
                format!("kept by {}", self.0.cluster.name())
            }
            _ => "unknown".to_owned(),
        }
    }

    /// Says how many entries this member keeps, where all can read it.
    fn count_entries(&self) {
        let count = self.0.entries.lock().unwrap_or_else(PoisonError::into_inner).len();
        if let Err(error) = self.0.cluster.state().set(ENTRIES, count.to_string()) {
            tracing::warn!(%error, "the number of entries could not be published");
        }
    }

    /// How many entries each member keeps, as each says itself.
    fn load(&self) -> Result<String, ClusterError> {
        let entries = self.0.cluster.state().iter(ENTRIES)?;
        let of = |entry: swimring::StateEntry| {
            let member = entry.member.as_deref().unwrap_or_default().to_owned();
            (member, String::from_utf8_lossy(&entry.value).into_owned())
        };
        Ok(pairs(&entries.map(of).collect()))
    }

    /// All of the shared state, whose it is and in which version, in one order: members that agree say the same.
    fn state(&self) -> Result<String, ClusterError> {
        let mut said: Vec<String> = Vec::new();
        for entry in self.0.cluster.state().iter("")? {
            let whose = entry.member.as_deref().unwrap_or("*");
            said.push(format!("{whose}/{}={}", entry.key, String::from_utf8_lossy(&entry.value)));
        }
        said.sort_unstable();
        Ok(said.join(" "))
    }

    /// Keeps the members up to date, and answers questions.
    fn follow(&self, event: ClusterEvent) {
        let mut members = self.0.members.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            ClusterEvent::Joined(member) if !members.contains(&member.name) => members.push(member.name),
            ClusterEvent::Failed { member, .. } | ClusterEvent::Left(member) => {
                members.retain(|name| *name != member.name);
            }
            ClusterEvent::Lagged(_) => {
                if let Ok(all) = self.0.cluster.members() {
                    *members = all.into_iter().map(|member| member.name).collect();
                }
            }
            ClusterEvent::Question(question) => {
                drop(members);
                self.answer(&question);
            }
            _ => {}
        }
    }

    fn answer(&self, question: &Question) {
        let reply = self.serve_entry(&String::from_utf8_lossy(question.payload()));
        if let Err(error) = question.reply(reply) {
            tracing::warn!(%error, from = question.from(), "a question could not be answered");
        }
    }

    /// Takes a change of the configuration over.
    fn configure(&self, change: StateEvent) {
        let mut config = self.0.config.write().unwrap_or_else(PoisonError::into_inner);
        let name = |key: &str| key.strip_prefix(CONFIG).unwrap_or(key).to_owned();
        match change {
            // A member's own key of that name is no configuration.
            StateEvent::Set(entry) if entry.member.is_none() => {
                config.insert(name(&entry.key), String::from_utf8_lossy(&entry.value).into_owned());
            }
            StateEvent::Deleted { member: None, key } => {
                config.remove(&name(&key));
            }
            StateEvent::Lagged(_) => {
                if let Ok(all) = self.0.cluster.state().iter(CONFIG) {
                    let all = all.filter(|entry| entry.member.is_none());
                    let value = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                    *config = all.map(|entry| (name(&entry.key), value(&entry.value))).collect();
                }
            }
            _ => {}
        }
    }
}

/// `name=value` for each, in the order of names.
fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let mut line = String::new();
    for (name, value) in pairs {
        let _ = write!(line, "{}{name}={value}", if line.is_empty() { "" } else { " " });
    }
    line
}
