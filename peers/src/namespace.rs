//! A network of its own that loses packets, or takes only short ones.
//!
//! A namespace has its own loopback device and its own packet filter, so losing packets in it disturbs nobody
//! else, and addresses in it cannot be taken. What is [run](NetworkNamespace::run) in it, threads and processes,
//! stays in it. Loss is made where packets come in: a packet dropped on its way out would be an error to its
//! sender, which no real network is so kind as to give.
#![allow(clippy::disallowed_methods, reason = "namespaces belong to threads")]

use std::fs::File;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::Error;

/// What `ip netns` keeps a namespace's name in.
const NAMES: &str = "/var/run/netns";
/// Names are this, the process's id and a number.
const PREFIX: &str = "swimring-";
/// Losses are drawn in steps of one in this many.
const STEPS: u32 = 10_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace with its loopback device up. Dropping it removes it.
#[derive(Debug)]
pub struct NetworkNamespace {
    name: String,
}

impl NetworkNamespace {
    /// A new namespace without loss.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without root, or without `ip` (iproute2).
    pub fn create() -> Result<NetworkNamespace, Error> {
        if !nix::unistd::Uid::effective().is_root() {
            return Err(Error::Unavailable("a network namespace needs root: run this test as root".into()));
        }
        remove_abandoned();
        let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        tool("ip", &["netns", "add", &name])?;
        let namespace = NetworkNamespace { name };
        tool("ip", &["-n", &namespace.name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// The name that `ip netns` knows it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From now on loses this share of all UDP datagrams in the namespace at random, 0.02 being 2 %; 0 ends it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a share outside 0 to 1 or without `nft` (nftables).
    pub fn lose_datagrams(&self, share: f64) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::Unavailable(format!("a share of lost datagrams is 0 to 1, not {share}")));
        }
        let steps = (share * f64::from(STEPS)).round();
        let rules = format!(
            "add table inet swimring\n\
             flush table inet swimring\n\
             add counter inet swimring lost\n\
             add counter inet swimring seen\n\
             add chain inet swimring incoming {{ type filter hook input priority 0; }}\n\
             add rule inet swimring incoming meta l4proto udp counter name seen\n\
             add rule inet swimring incoming meta l4proto udp numgen random mod {STEPS} < {steps} counter name lost drop\n"
        );
        self.filter(&rules)
    }

    /// From now on nothing gets from one of `some` to one of `others`, nor back: neither datagrams nor connections, old
    /// ones included. Without addresses on one side that ends.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without `nft` (nftables).
    pub fn cut(&self, some: &[Ipv4Addr], others: &[Ipv4Addr]) -> Result<(), Error> {
        let set =
            |addresses: &[Ipv4Addr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut rules = String::from("add table inet swimring_cut\nflush table inet swimring_cut\n");
        if !some.is_empty() && !others.is_empty() {
            rules += "add chain inet swimring_cut incoming { type filter hook input priority 0; }\n";
            for (from, to) in [(set(some), set(others)), (set(others), set(some))] {
                rules += &format!(
                    "add rule inet swimring_cut incoming ip saddr {{ {from} }} ip daddr {{ {to} }} drop\n"
                );
            }
        }
        self.filter(&rules)
    }

    /// From now on the loopback device takes packets of at most `mtu` bytes, as a tunnel would.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for what the kernel does not take: less than 68; below 1,280 IPv6 ends.
    pub fn set_mtu(&self, mtu: u32) -> Result<(), Error> {
        tool("ip", &["-n", &self.name, "link", "set", "lo", "mtu", &mtu.to_string()]).map(drop)
    }

    /// From now on the way to `address`, one of 127.0.0.0/8, takes packets of at most `mtu` bytes, whatever the
    /// device takes.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for what the kernel does not take.
    pub fn set_path_mtu(&self, address: Ipv4Addr, mtu: u32) -> Result<(), Error> {
        let (address, mtu) = (address.to_string(), mtu.to_string());
        let route = ["local", &address, "dev", "lo", "table", "local", "src", &address, "mtu", &mtu];
        tool("ip", &[&["-n", &self.name, "route", "replace"], &route[..]].concat()).map(drop)
    }

    /// How many UDP datagrams came in since losses were first set, and how many of these were lost.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if losses were never set.
    pub fn datagrams_seen_and_lost(&self) -> Result<(u64, u64), Error> {
        let count = |counter: &str| {
            let text = self.tool("nft", &["-j", "list", "counter", "inet", "swimring", counter])?;
            parse_counter(&text)
                .ok_or_else(|| Error::Unavailable(format!("nft tells of no counter {counter} in {text}")))
        };
        Ok((count("seen")?, count("lost")?))
    }

    /// A command that will run in the namespace.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs something in the namespace: on a thread of its own, so that sockets that it opens, threads that it
    /// starts and peers that it starts are in there too. A panic in it goes on in the caller.
    ///
    /// # Errors
    /// [`Error::Os`] if the namespace cannot be entered.
    pub fn run<T: Send>(&self, something: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let file = File::open(PathBuf::from(NAMES).join(&self.name))
            .map_err(Error::os("open a network namespace"))?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET).map_err(|errno| Error::Os {
                    what: "enter a network namespace".into(),
                    source: errno.into(),
                })?;
                Ok(something())
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Gives `rules` to the packet filter.
    fn filter(&self, rules: &str) -> Result<(), Error> {
        let path = std::env::temp_dir().join(format!("{}.nft", self.name));
        std::fs::write(&path, rules).map_err(Error::os("write rules for nft"))?;
        let outcome = self.tool("nft", &["-f", &path.to_string_lossy()]);
        let _ = std::fs::remove_file(&path);
        outcome.map(drop)
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<String, Error> {
        let mut all = vec!["netns", "exec", &self.name, program];
        all.extend_from_slice(arguments);
        tool("ip", &all)
    }
}

impl Drop for NetworkNamespace {
    fn drop(&mut self) {
        let _ = tool("ip", &["netns", "delete", &self.name]);
    }
}

/// Removes namespaces of processes that were killed before they could.
fn remove_abandoned() {
    for entry in std::fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().filter(|name| is_abandoned(name)) else { continue };
        let _ = tool("ip", &["netns", "delete", name]);
    }
}

fn is_abandoned(name: &str) -> bool {
    let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    process.is_some_and(|process| !PathBuf::from(format!("/proc/{process}")).exists())
}

/// Runs a tool of the system and gives what it prints.
fn tool(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new(program).args(arguments).output().map_err(|error| {
        Error::Unavailable(format!("{program} cannot be run ({error}): install iproute2 and nftables"))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::Unavailable(format!(
        "`{program} {}` failed: {}; it needs root, iproute2 and nftables",
        arguments.join(" "),
        said.trim()
    )))
}

fn parse_counter(text: &str) -> Option<u64> {
    let value: Value = serde_json::from_str(text).ok()?;
    value["nftables"].as_array()?.iter().find_map(|item| item["counter"]["packets"].as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_of_the_dead_are_abandoned() {
        assert!(!is_abandoned(&format!("swimring-{}-0", std::process::id())));
        // Beyond the largest process id that Linux gives (2^22).
        assert!(is_abandoned("swimring-4294967295-3"));
        assert!(!is_abandoned("somebody-4294967295-3") && !is_abandoned("swimring-x-1"));
    }

    #[test]
    fn a_counter_is_read_as_nft_prints_it() {
        let text = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"counter": {"family": "inet",
            "name": "lost", "table": "swimring", "handle": 2, "packets": 17, "bytes": 3400}}]}"#;
        assert_eq!(parse_counter(text), Some(17));
        assert_eq!(parse_counter("{}"), None);
    }
}
