//! What members say unasked.

use serde::Deserialize;

/// Something that a member of the process saw. `at` is that member's index, times are microseconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum PeerEvent {
    /// All members have started and tried to join.
    Ready {
        /// How many members there are.
        members: usize,
        /// How many of them joined.
        joined: usize,
        /// Why the others did not.
        failures: Vec<String>,
        /// When.
        time_us: i64,
    },
    /// The process cannot go on.
    Error {
        /// Why.
        error: String,
    },
    /// Another member, or the member itself, is alive now.
    Join(NodeChange),
    /// Another member left (`state` is `left`) or is dead (`dead`).
    Leave(NodeChange),
    /// Another member's metadata changed.
    Update(NodeChange),
    /// The member's own probe of another failed, and it begins to suspect it.
    Suspect {
        /// Who suspects.
        at: usize,
        /// Who is suspected.
        node: String,
        /// When.
        time_us: i64,
    },
    /// Two members go by one name.
    Conflict {
        /// Who noticed.
        at: usize,
        /// The name.
        node: String,
        /// The address that has it.
        address: String,
        /// The address that wants it.
        other: String,
        /// When.
        time_us: i64,
    },
    /// A user message that is new to the member.
    User(UserMessage),
}

/// What a member learned about a member.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct NodeChange {
    /// Index of who learned it.
    pub at: usize,
    /// Name of who learned it.
    pub member: String,
    /// Whom it is about.
    pub node: String,
    /// That one's `address:port`.
    pub address: String,
    /// `alive`, `dead` or `left`.
    pub state: String,
    /// That one's incarnation.
    pub incarnation: u32,
    /// That one's metadata, as far as it is text.
    pub meta: String,
    /// That one's metadata in hexadecimal, where it is not text.
    pub meta_hex: Option<String>,
    /// When.
    pub time_us: i64,
}

/// A user message as a member got it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct UserMessage {
    /// Index of who got it.
    pub at: usize,
    /// Name of who got it.
    pub member: String,
    /// The whole message, or the payload of the Swimring event in it, as far as it is text.
    pub payload: String,
    /// The same in hexadecimal, where it is not text.
    pub payload_hex: Option<String>,
    /// Length of the whole message in bytes.
    pub bytes: usize,
    /// Name of the Swimring event, if it is one.
    pub name: Option<String>,
    /// Who sent the Swimring event, if it is one.
    pub origin: Option<u64>,
    /// Its number among those of its sender, if it is one.
    pub sequence: Option<u32>,
    /// When.
    pub time_us: i64,
}

impl PeerEvent {
    /// Whether this is a member's declaring `node` gone, as `dead` or `left`.
    #[must_use]
    pub fn is_departure(&self, node: &str, state: &str) -> bool {
        matches!(self, PeerEvent::Leave(change) if change.node == node && change.state == state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_as_the_program_writes_them() {
        let text = r#"{"address":"127.20.0.3:7946","at":2,"event":"leave","incarnation":1,"member":"go-2","meta":"",
            "node":"go-2","state":"left","time_us":1795212052197007}"#;
        let event: PeerEvent = serde_json::from_str(text).unwrap();
        assert!(event.is_departure("go-2", "left") && !event.is_departure("go-2", "dead"));
        let text = r#"{"at":0,"bytes":25,"event":"user","member":"go-0","name":"deploy","origin":18446744073709551615,
            "payload":"hi","sequence":0,"time_us":1795212051197237}"#;
        let PeerEvent::User(message) = serde_json::from_str(text).unwrap() else { panic!("not a message") };
        assert_eq!((message.origin, message.name.as_deref()), (Some(u64::MAX), Some("deploy")));
    }
}
