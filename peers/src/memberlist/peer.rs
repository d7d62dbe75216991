//! The process as a value: started, commanded, waited for, and gone when dropped.

use std::fs::File;
use std::net::SocketAddrV4;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::answers::{Departure, Heard, Node, Stats};
use super::channel::Channel;
use super::events::PeerEvent;
use super::options::MemberlistOptions;
use crate::agent::{Agent, tail};
use crate::wait::wait_for;
use crate::{Error, programs};

/// How long a command may take: longer than the program itself lets a leave take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the log's end that an error repeats.
const LOG_TAIL_MAX: usize = 4_096;
/// Bytes of an answer that an error repeats.
const ANSWER_MAX: usize = 400;

/// Which members of the process a command is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Of {
    /// The member of this index.
    One(usize),
    /// These members, all at once.
    Many(Vec<usize>),
    /// All of them.
    All,
}

impl Of {
    fn value(&self) -> Value {
        match self {
            Of::One(index) => json!(index),
            Of::Many(indices) => json!(indices),
            Of::All => json!("all"),
        }
    }
}

impl From<usize> for Of {
    fn from(index: usize) -> Of {
        Of::One(index)
    }
}

impl From<Vec<usize>> for Of {
    fn from(indices: Vec<usize>) -> Of {
        Of::Many(indices)
    }
}

/// What a member spreads or sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A user message as it is.
    Raw(Vec<u8>),
    /// A user message that carries a Swimring event.
    Event {
        /// Id of the member that it is said to come from.
        origin: u64,
        /// Its number among that member's.
        sequence: u32,
        /// Its name, at most 255 bytes.
        name: String,
        /// Its payload.
        payload: Vec<u8>,
    },
}

impl Message {
    fn put_into(&self, command: &mut Value) {
        match self {
            Message::Raw(payload) => command["payload_hex"] = hexadecimal(payload).into(),
            Message::Event { origin, sequence, name, payload } => {
                command["payload_hex"] = hexadecimal(payload).into();
                command["origin"] = (*origin).into();
                command["sequence"] = (*sequence).into();
                command["name"] = name.as_str().into();
            }
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Message {
        Message::Raw(text.as_bytes().to_vec())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A process with one or many memberlist members. Dropping it kills the process.
#[derive(Debug)]
pub struct MemberlistPeer {
    options: MemberlistOptions,
    process: Child,
    channel: Channel,
    directory: TempDir,
}

impl MemberlistPeer {
    /// Starts the members and waits until each has tried to join.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] without the program; [`Error::Ended`] if it does not like its settings or cannot bind;
    /// [`Error::Refused`] if some could not join; [`Error::Timeout`] after the start timeout.
    pub fn start(options: MemberlistOptions) -> Result<MemberlistPeer, Error> {
        let mut peer = MemberlistPeer::spawn(options)?;
        let timeout = peer.options.start_timeout;
        let ready = |event: &PeerEvent| matches!(event, PeerEvent::Ready { .. } | PeerEvent::Error { .. });
        match peer.channel.events.wait(0, timeout, ready) {
            Some(PeerEvent::Ready { failures, .. }) if !failures.is_empty() => Err(Error::Refused {
                program: "memberlist-peer".into(),
                command: "to join".into(),
                reason: failures.join("; "),
            }),
            Some(PeerEvent::Ready { .. }) => Ok(peer),
            Some(PeerEvent::Error { error }) => {
                Err(Error::Ended { program: "memberlist-peer".into(), log: error })
            }
            Some(_) | None => Err(peer.why("its members to join", timeout)),
        }
    }

    /// Starts the process without waiting for its members.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] without the program, [`Error::Os`] if it cannot be started.
    pub fn spawn(options: MemberlistOptions) -> Result<MemberlistPeer, Error> {
        let program = programs::program("memberlist")?;
        let directory = Agent::directory()?;
        let log = File::create(directory.path().join("log")).map_err(Error::os("create a log"))?;
        let mut command = Command::new(program);
        if let Some(processors) = options.processors {
            command.env("GOMAXPROCS", processors.to_string());
        }
        let mut process = command
            .args(options.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(Error::os("start memberlist-peer"))?;
        let (Some(to), Some(from)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Error::Unavailable("memberlist-peer was started without pipes".into()));
        };
        Ok(MemberlistPeer { options, process, channel: Channel::new(to, from), directory })
    }

    /// The settings it was started with.
    #[must_use]
    pub fn options(&self) -> &MemberlistOptions {
        &self.options
    }

    /// Where the member of an index listens.
    #[must_use]
    pub fn address(&self, index: usize) -> SocketAddrV4 {
        self.options.address(index)
    }

    /// What the member of an index is called.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        self.options.name(index)
    }

    /// The process's id.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// All that memberlist has logged, from the log level on.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read(self.directory.path().join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// All members that one member knows, the dead and the departed included until it forgets them.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn members(&mut self, of: usize) -> Result<Vec<Node>, Error> {
        self.get(json!({"do": "members", "of": of}), "members")
    }

    /// How many members each member takes to be alive or suspect, itself included; `None` for those not running.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn counts(&mut self) -> Result<Vec<Option<usize>>, Error> {
        self.get(json!({"do": "counts"}), "counts")
    }

    /// Waits until every running member counts `alive` members.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the counts as they were last, or as [`command`](Self::command).
    pub fn wait_for_count(&mut self, alive: usize, timeout: Duration) -> Result<(), Error> {
        let mut last = Vec::new();
        let outcome = wait_for(timeout, String::new, || {
            last = self.counts()?;
            Ok(last.iter().flatten().all(|count| *count == alive).then_some(()))
        });
        match outcome {
            Err(Error::Timeout { waited, .. }) => {
                let shown: Vec<usize> = last.into_iter().flatten().collect();
                Err(Error::Timeout { what: format!("{alive} members, not {shown:?}"), waited })
            }
            other => other,
        }
    }

    /// Lets a member spread a user message; when it did, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn event(&mut self, of: usize, message: impl Into<Message>) -> Result<i64, Error> {
        let mut command = json!({"do": "event", "of": of});
        message.into().put_into(&mut command);
        self.get(command, "time_us")
    }

    /// Which members have got a message with this payload, and when each got the first such. The payload of a
    /// Swimring event is looked up without its frame.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn heard(&mut self, payload: &[u8]) -> Result<Vec<Heard>, Error> {
        self.get(json!({"do": "heard", "payload_hex": hexadecimal(payload)}), "heard")
    }

    /// Which members have learned that `node` is gone, how and when, all times that it went.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn departures(&mut self, node: &str) -> Result<Vec<Departure>, Error> {
        self.get(json!({"do": "departures", "node": node}), "departures")
    }

    /// Changes the metadata of members and waits until the news has been sent out. The names are those of members
    /// of which memberlist could not say so within 5 s, which happens to members that are well: its queue can lose
    /// what it holds (hashicorp/memberlist#322).
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn set_meta(&mut self, of: impl Into<Of>, meta: &str) -> Result<Vec<String>, Error> {
        self.get(json!({"do": "meta", "of": of.into().value(), "meta": meta}), "unfinished")
    }

    /// Lets members leave, all at once, and stops them. The names are as in [`set_meta`](Self::set_meta).
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn leave(&mut self, of: impl Into<Of>) -> Result<Vec<String>, Error> {
        self.get(json!({"do": "leave", "of": of.into().value()}), "unfinished")
    }

    /// Stops members without a word; when, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn kill(&mut self, of: impl Into<Of>) -> Result<i64, Error> {
        self.get(json!({"do": "kill", "of": of.into().value()}), "time_us")
    }

    /// Starts members that were stopped anew, under the same name and address and with the keys they had last, and
    /// lets them join as at first.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn restart(&mut self, of: impl Into<Of>) -> Result<(), Error> {
        self.command(json!({"do": "restart", "of": of.into().value()})).map(drop)
    }

    /// Lets members join (again): these addresses, or those they joined at first if there are none.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn join(&mut self, of: impl Into<Of>, addresses: &[String]) -> Result<(), Error> {
        let mut command = json!({"do": "join", "of": of.into().value()});
        if !addresses.is_empty() {
            command["addresses"] = json!(addresses);
        }
        self.command(command).map(drop)
    }

    /// Sends a user message to one member, as a datagram or, `reliable`, over a stream.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn send(&mut self, of: usize, to: &str, payload: &[u8], reliable: bool) -> Result<(), Error> {
        let payload_hex = hexadecimal(payload);
        self.command(
            json!({"do": "send", "of": of, "to": to, "payload_hex": payload_hex, "reliable": reliable}),
        )
        .map(drop)
    }

    /// Adds a key (base64) to the keyring of every member, to decrypt with.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn install_key(&mut self, key: &str) -> Result<(), Error> {
        self.command(json!({"do": "key", "op": "install", "key": key})).map(drop)
    }

    /// Makes an installed key the one that every member encrypts with.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn use_key(&mut self, key: &str) -> Result<(), Error> {
        self.command(json!({"do": "key", "op": "use", "key": key})).map(drop)
    }

    /// Removes a key that is not in use from every member.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn remove_key(&mut self, key: &str) -> Result<(), Error> {
        self.command(json!({"do": "key", "op": "remove", "key": key})).map(drop)
    }

    /// What the process has used and its members have gone through.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub fn stats(&mut self) -> Result<Stats, Error> {
        let answer = self.command(json!({"do": "stats"}))?;
        parse("stats", &answer)
    }

    /// How many events have come so far: a mark for [`events_since`](Self::events_since).
    #[must_use]
    pub fn mark(&self) -> usize {
        self.channel.events.len()
    }

    /// The events from a mark on, 0 being the beginning.
    #[must_use]
    pub fn events_since(&self, mark: usize) -> Vec<PeerEvent> {
        self.channel.events.since(mark)
    }

    /// Events that were not kept because there were too many.
    #[must_use]
    pub fn events_shed(&self) -> u64 {
        self.channel.events.shed()
    }

    /// Waits for an event, from a mark on; one that has already come counts.
    ///
    /// # Errors
    /// [`Error::Timeout`] naming `what`, [`Error::Ended`] if the process ends.
    pub fn wait_for_event(
        &mut self,
        mark: usize,
        timeout: Duration,
        what: &str,
        wanted: impl FnMut(&PeerEvent) -> bool,
    ) -> Result<PeerEvent, Error> {
        match self.channel.events.wait(mark, timeout, wanted) {
            Some(event) => Ok(event),
            None => Err(self.why(what, timeout)),
        }
    }

    /// Sends any command and gives its answer.
    ///
    /// # Errors
    /// [`Error::Refused`] with the program's own words, [`Error::Timeout`] or [`Error::Ended`] without an answer.
    pub fn command(&mut self, command: Value) -> Result<Value, Error> {
        let text = command.to_string();
        let Some(answer) = self.channel.ask(command, COMMAND_TIMEOUT) else {
            return Err(self.why(&format!("an answer to {text}"), COMMAND_TIMEOUT));
        };
        if answer["ok"] == true {
            return Ok(answer);
        }
        let reason = answer["error"].as_str().unwrap_or("no reason given").to_string();
        Err(Error::Refused { program: "memberlist-peer".into(), command: text, reason })
    }

    fn get<T: DeserializeOwned>(&mut self, command: Value, field: &str) -> Result<T, Error> {
        let answer = self.command(command)?;
        parse(field, &answer[field])
    }

    /// Why nothing came: the process has ended, or it takes too long.
    fn why(&mut self, what: &str, waited: Duration) -> Error {
        // Its output ends a moment before the process itself does.
        let ended =
            if self.channel.events.ended() { self.process.wait().map(Some) } else { self.process.try_wait() };
        match ended {
            Ok(None) => Error::Timeout { what: what.to_string(), waited },
            Ok(Some(_)) | Err(_) => Error::Ended {
                program: "memberlist-peer".into(),
                log: tail(&self.log(), LOG_TAIL_MAX).to_string(),
            },
        }
    }
}

impl Drop for MemberlistPeer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn parse<T: DeserializeOwned>(command: &str, answer: &Value) -> Result<T, Error> {
    T::deserialize(answer).map_err(|error| Error::Unintelligible {
        program: "memberlist-peer".into(),
        command: command.into(),
        answer: format!("{error} in {:.ANSWER_MAX$}", answer.to_string()),
    })
}
