//! Serf's own agent, and what it tells: members through its command line, events through a handler script that
//! writes each to a file.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::agent::Agent;
use crate::wait::wait_for;
use crate::{Error, programs};

/// Port of the agent's command interface, at the address that it gossips from.
const RPC_PORT: u16 = 7373;
/// How long an agent may take to answer its first command.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an agent may take to leave: its broadcasts and the wait for them to spread.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Called by the agent for every event, with the payload or the members on standard input. One line per event:
/// the event's type, a user event's name and Lamport time, and the input in hexadecimal.
const HANDLER: &str = r#"input=$(od -An -v -tx1 | tr -d ' \n')
printf '%s\t%s\t%s\t%s\n' "$SERF_EVENT" "$SERF_USER_EVENT" "$SERF_USER_LTIME" "$input" >>"$(dirname "$0")/events"
"#;

/// Settings of a [`SerfAgent`].
#[derive(Clone, Debug)]
pub struct SerfOptions {
    /// Name of the member.
    pub name: String,
    /// Where it gossips; its command interface is at port 7373 of the same address.
    pub bind: SocketAddrV4,
    /// Whom it joins, as `host:port`; it does not start if nobody answers. Default nobody.
    pub join: Vec<String>,
    /// Its tags. Default none.
    pub tags: BTreeMap<String, String>,
    /// Gossip key of 32 bytes, in base64. Default none: plaintext.
    pub encrypt: Option<String>,
    /// Timing: `lan`, `wan` or `local`. Default `lan`.
    pub profile: &'static str,
    /// Whether what is sent is compressed. Default true.
    pub compression: bool,
    /// More of the agent's own flags. Default none.
    pub more: Vec<String>,
}

impl SerfOptions {
    /// An agent of this name and address; all else as by default.
    #[must_use]
    pub fn new(name: impl Into<String>, bind: SocketAddrV4) -> SerfOptions {
        SerfOptions {
            name: name.into(),
            bind,
            join: Vec::new(),
            tags: BTreeMap::new(),
            encrypt: None,
            profile: "lan",
            compression: true,
            more: Vec::new(),
        }
    }

    fn rpc_address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(*self.bind.ip(), RPC_PORT)
    }

    fn arguments(&self, directory: &Path) -> Vec<String> {
        let mut arguments = vec![
            "agent".to_string(),
            format!("-node={}", self.name),
            format!("-bind={}", self.bind),
            format!("-rpc-addr={}", self.rpc_address()),
            format!("-profile={}", self.profile),
            format!("-event-handler=sh {}", directory.join("handler").display()),
            "-log-level=debug".to_string(),
        ];
        arguments.extend(self.join.iter().map(|address| format!("-join={address}")));
        arguments.extend(self.tags.iter().map(|(tag, value)| format!("-tag={tag}={value}")));
        arguments.extend(self.encrypt.iter().map(|key| format!("-encrypt={key}")));
        if !self.compression {
            arguments.push("-disable-compression".to_string());
        }
        arguments.extend(self.more.iter().cloned());
        arguments
    }
}

/// A member as `serf members` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerfMember {
    /// Its name.
    pub name: String,
    /// Its `address:port`.
    pub addr: String,
    /// `alive`, `leaving`, `left` or `failed`.
    pub status: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Something that an agent handed to its event handler.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SerfEvent {
    /// `user`, `member-join`, `member-leave`, `member-failed`, `member-update`, `member-reap` or `query`.
    pub kind: String,
    /// Name of a user event, else empty.
    pub name: String,
    /// Lamport time of a user event.
    pub lamport_time: Option<u64>,
    /// Payload of a user event; for changes of members a line for each: name, address, role and tags. Serf ends it
    /// with a line feed where it has none, so one at the end is not kept.
    pub payload: Vec<u8>,
}

/// A running Serf agent. Dropping it kills the process.
#[derive(Debug)]
pub struct SerfAgent {
    options: SerfOptions,
    program: PathBuf,
    agent: Agent,
}

impl SerfAgent {
    /// Starts an agent and waits until it answers.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] without the program; [`Error::Ended`] if it does not like its settings, cannot bind or
    /// join nobody; [`Error::Timeout`] if it does not answer.
    pub fn start(options: SerfOptions) -> Result<SerfAgent, Error> {
        let program = programs::program("serf")?;
        let directory = Agent::directory()?;
        std::fs::write(directory.path().join("handler"), HANDLER)
            .map_err(Error::os("write an event handler"))?;
        let arguments = options.arguments(directory.path());
        let agent = Agent::start(format!("serf {}", options.name), &program, &arguments, directory)?;
        let mut serf = SerfAgent { options, program, agent };
        let what = format!("{} to answer", serf.agent.name());
        wait_for(
            START_TIMEOUT,
            || what.clone(),
            || match (serf.members(), serf.agent.ended()) {
                (_, Some(ended)) => Err(ended),
                (Ok(_), None) => Ok(Some(())),
                (Err(_), None) => Ok(None),
            },
        )?;
        Ok(serf)
    }

    /// The settings it was started with.
    #[must_use]
    pub fn options(&self) -> &SerfOptions {
        &self.options
    }

    /// The process's id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.agent.process_id()
    }

    /// All that the agent has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.agent.log()
    }

    /// All members that the agent knows, in the order of its own listing.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn members(&self) -> Result<Vec<SerfMember>, Error> {
        let text = self.command(&["members", "-format=json"])?;
        parse_members(&text).ok_or_else(|| self.unintelligible("members", &text))
    }

    /// One member as the agent sees it.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn member(&self, name: &str) -> Result<Option<SerfMember>, Error> {
        Ok(self.members()?.into_iter().find(|member| member.name == name))
    }

    /// Waits until the agent shows a member with this status.
    ///
    /// # Errors
    /// [`Error::Timeout`], or as [`command`](Self::command).
    pub fn wait_for_status(&self, name: &str, status: &str, timeout: Duration) -> Result<SerfMember, Error> {
        let what = || format!("{} to show {name} as {status}", self.agent.name());
        wait_for(timeout, what, || Ok(self.member(name)?.filter(|member| member.status == status)))
    }

    /// Waits until the agent shows this many members alive.
    ///
    /// # Errors
    /// [`Error::Timeout`], or as [`command`](Self::command).
    pub fn wait_for_alive(&self, count: usize, timeout: Duration) -> Result<(), Error> {
        let what = || format!("{} to show {count} members alive", self.agent.name());
        wait_for(timeout, what, || {
            let alive = self.members()?.iter().filter(|member| member.status == "alive").count();
            Ok((alive == count).then_some(()))
        })
    }

    /// Sends a user event through the whole cluster, not to be coalesced.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn event(&self, name: &str, payload: &str) -> Result<(), Error> {
        self.command(&["event", "-coalesce=false", name, payload]).map(drop)
    }

    /// Changes one tag.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn set_tag(&self, tag: &str, value: &str) -> Result<(), Error> {
        self.command(&["tags", "-set", &format!("{tag}={value}")]).map(drop)
    }

    /// Everything that the agent's handler was called for so far.
    #[must_use]
    pub fn events(&self) -> Vec<SerfEvent> {
        let text = std::fs::read_to_string(self.agent.path().join("events")).unwrap_or_default();
        text.lines().filter_map(parse_event).collect()
    }

    /// The payloads of all user events of a name, in the order in which the agent handled them.
    #[must_use]
    pub fn user_events(&self, name: &str) -> Vec<Vec<u8>> {
        let events = self.events().into_iter();
        events.filter(|event| event.kind == "user" && event.name == name).map(|event| event.payload).collect()
    }

    /// Waits until the agent has handled a user event of this name and payload.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub fn wait_for_user_event(&self, name: &str, payload: &[u8], timeout: Duration) -> Result<(), Error> {
        let what = || format!("{} to get the event {name}", self.agent.name());
        wait_for(timeout, what, || Ok(self.user_events(name).iter().any(|got| got == payload).then_some(())))
    }

    /// Lets the agent leave the cluster and waits for its end.
    ///
    /// # Errors
    /// As [`command`](Self::command), and [`Error::Timeout`].
    pub fn leave(mut self) -> Result<(), Error> {
        self.command(&["leave"])?;
        self.agent.wait_for_end(LEAVE_TIMEOUT)
    }

    /// Ends the process at once, without a word to the cluster.
    ///
    /// # Errors
    /// [`Error::Ended`] if it had ended before.
    pub fn kill(mut self) -> Result<(), Error> {
        self.agent.signal(Signal::SIGKILL)?;
        self.agent.wait_for_end(LEAVE_TIMEOUT)
    }

    /// Runs `serf` with these arguments against this agent and gives its standard output.
    ///
    /// # Errors
    /// [`Error::Refused`] with what it said, if it fails.
    pub fn command(&self, arguments: &[&str]) -> Result<String, Error> {
        let (what, rest) =
            arguments.split_first().map_or(("help", arguments), |(first, rest)| (*first, rest));
        let output = Command::new(&self.program)
            .arg(what)
            .arg(format!("-rpc-addr={}", self.options.rpc_address()))
            .args(rest)
            .output()
            .map_err(Error::os("run serf"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let reason = format!("{}{}", text.trim(), String::from_utf8_lossy(&output.stderr).trim());
        Err(Error::Refused { program: self.agent.name().into(), command: arguments.join(" "), reason })
    }

    fn unintelligible(&self, command: &str, answer: &str) -> Error {
        Error::Unintelligible {
            program: self.agent.name().into(),
            command: command.into(),
            answer: answer.into(),
        }
    }
}

fn parse_members(text: &str) -> Option<Vec<SerfMember>> {
    let value: Value = serde_json::from_str(text).ok()?;
    value["members"].as_array()?.iter().map(parse_member).collect()
}

fn parse_member(value: &Value) -> Option<SerfMember> {
    let mut tags = BTreeMap::new();
    for (tag, text) in value["tags"].as_object().into_iter().flatten() {
        tags.insert(tag.clone(), text.as_str()?.to_string());
    }
    Some(SerfMember {
        name: value["name"].as_str()?.into(),
        addr: value["addr"].as_str()?.into(),
        status: value["status"].as_str()?.into(),
        tags,
    })
}

fn parse_event(line: &str) -> Option<SerfEvent> {
    let mut fields = line.split('\t');
    let (kind, name, time, payload) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let payload = payload.as_bytes().chunks(2).map(|pair| {
        std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.len() == 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    });
    let mut payload: Vec<u8> = payload.collect::<Option<_>>()?;
    if payload.last() == Some(&b'\n') {
        payload.pop();
    }
    Some(SerfEvent { kind: kind.into(), name: name.into(), lamport_time: time.parse().ok(), payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_serf_prints_them() {
        let text = r#"{"members": [{"name": "one", "addr": "127.21.0.1:7946", "port": 7946, "tags": {"role": "web"},
            "status": "alive", "protocol": {"max": 5, "min": 2, "version": 5}}]}"#;
        let members = parse_members(text).unwrap();
        assert_eq!((members.len(), members[0].status.as_str()), (1, "alive"));
        assert_eq!(members[0].tags["role"], "web");
        assert!(parse_members("{}").is_none());
    }

    #[test]
    fn events_are_read_as_the_handler_writes_them() {
        let event = parse_event("user\tdeploy\t7\t00ff0a").unwrap();
        assert_eq!(
            (event.kind.as_str(), event.lamport_time, event.payload),
            ("user", Some(7), vec![0, 0xff])
        );
        assert_eq!(parse_event("member-join\t\t\t").unwrap().lamport_time, None);
        assert!(parse_event("user\tdeploy\t7\t0").is_none() && parse_event("user").is_none());
    }
}
