//! Golden vectors: what programs built from memberlist's and Serf's own code have sent.

use std::net::SocketAddr;

use swimring_codec::memberlist::{Alive, Message, Source, Versions};

/// A name, the bytes in hexadecimal, what they mean.
pub struct Vector<T> {
    pub name: &'static str,
    pub hex: &'static str,
    pub value: T,
    /// Whether this is how it is written here; the others are only read.
    pub written: bool,
}

impl<T> Vector<T> {
    pub fn bytes(&self) -> Vec<u8> {
        super::bytes(self.hex)
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

const fn vector<T>(name: &'static str, hex: &'static str, value: T, written: bool) -> Vector<T> {
    Vector { name, hex, value, written }
}

fn probes() -> Vec<Vector<Message<'static>>> {
    let source = Some(Source { address: address("127.0.0.1:7946"), name: "n1" });
    let target = address("10.0.0.2:7946");
    vec![
        vector(
            "ping full",
            "0085a44e6f6465a26e32a55365714e6f01aa536f7572636541646472a47f000001\
             aa536f757263654e6f6465a26e31aa536f75726365506f7274cd1f0a",
            Message::Ping { sequence: 1, node: "n2", source },
            true,
        ),
        vector(
            "ping minimal",
            "0082a44e6f6465a26e32a55365714e6fcd012c",
            Message::Ping { sequence: 300, node: "n2", source: None },
            true,
        ),
        vector(
            "indirect ping",
            "0188a44e61636bc3a44e6f6465a26e32a4506f7274cd1f0aa55365714e6fce00011170\
             aa536f7572636541646472a47f000001aa536f757263654e6f6465a26e31\
             aa536f75726365506f7274cd1f0aa6546172676574a40a000002",
            Message::IndirectPing { sequence: 70_000, target, node: "n2", nack: true, source },
            true,
        ),
        vector(
            "ack without payload",
            "0282a75061796c6f6164c0a55365714e6f01",
            Message::Ack { sequence: 1, payload: b"" },
            true,
        ),
        vector(
            "ack with an empty payload",
            "0282a75061796c6f6164a0a55365714e6f01",
            Message::Ack { sequence: 1, payload: b"" },
            false,
        ),
        vector("nack", "0b81a55365714e6fccc8", Message::Nack { sequence: 200 }, true),
    ]
}

fn states() -> Vec<Vector<Message<'static>>> {
    let node_1 = Alive {
        incarnation: 1,
        node: "n1",
        address: address("127.0.0.1:7946"),
        metadata: b"",
        versions: Versions([1, 5, 2, 0, 0, 0]),
    };
    vec![
        vector(
            "suspect",
            "0383a446726f6da26e31ab496e6361726e6174696f6e01a44e6f6465a26e32",
            Message::Suspect { incarnation: 1, node: "n2", from: "n1" },
            true,
        ),
        vector(
            "dead",
            "0583a446726f6da26e31ab496e6361726e6174696f6e01a44e6f6465a26e32",
            Message::Dead { incarnation: 1, node: "n2", from: "n1" },
            true,
        ),
        vector(
            "alive",
            "0486a441646472a47f000001ab496e6361726e6174696f6e01a44d657461c0a44e6f6465a26e31\
             a4506f7274cd1f0aa356736ea6010502000000",
            Message::Alive(node_1),
            true,
        ),
        vector(
            "alive with 40 bytes of metadata",
            "0486a441646472a47f000001ab496e6361726e6174696f6e01a44d657461da0028\
             6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d\
             a44e6f6465a26e31a4506f7274cd1f0aa356736ea6010502000000",
            Message::Alive(Alive { metadata: &[b'm'; 40], ..node_1 }),
            true,
        ),
    ]
}

/// Every message on its own.
pub fn messages() -> Vec<Vector<Message<'static>>> {
    let mut all = probes();
    all.extend(states());
    all
}

/// "hello " ten times.
pub const HELLO: &[u8] = b"hello hello hello hello hello hello hello hello hello hello ";

/// Packets that hold the user message [`HELLO`]: the label and whether a key is needed.
pub fn packets() -> Vec<Vector<(&'static str, bool)>> {
    vec![
        vector(
            "crc",
            "0cd997d4a00868656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f20\
             68656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f20",
            ("", false),
            true,
        ),
        vector(
            "crc and compression",
            "0c96940a9d0982a4416c676f00a3427566bf0011a029c386cd1b10030b1e4c681021c1860c173e94a8d061c588161b0604",
            ("", false),
            true,
        ),
        vector(
            "label and crc",
            "f4036463310cd997d4a00868656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f20\
             68656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f20",
            ("dc1", false),
            true,
        ),
        vector(
            "encryption and crc",
            "0131737d7d7940d967d859f458140357c1c4e0e2550e0718f2e0e8641a9c0dc2b26914d72cc17ee44bc78b8b2be4ea8d\
             5eed5dbc815cf9b483f3ab73879a38b27747d3722c97d6114b10502a303eb1f85c2ef4556a026e67723e34923d9a00",
            ("", true),
            false,
        ),
        vector(
            "label, encryption, crc and compression",
            "f4036463310150818ddb6e2aa309b2ca18cb08b75e0825e1546a0171c18e21035dcec1bd05f13f2ffb231bdcce23e896\
             aec9686c9a30b24c72fc9639e8ece00e0f614e420cbcde88b4b44a28cec11d4bc90450",
            ("dc1", true),
            false,
        ),
        vector(
            "padded encryption",
            "005d24ace80bd19f6179f72e65fde01be0dd99ff6e5e2609ba7210aab6027917019c2eada4a21d4a1d3c92c4030d18e9\
             1505bd7406352b986b99d07f45f3286a97385456405972829f84504ddfb6b9541f91cd68719b81ace375250f14",
            ("", true),
            false,
        ),
    ]
}

/// A compound of the parts "ab" and "c", which are no messages.
pub const COMPOUND: &str = "070200020001616263";

/// 40 times "a", compressed; that is no message either.
pub const COMPRESSED: &str = "0982a4416c676f00a3427566ad00c3081c48b0a0c18308090604";

/// Stream messages that hold the user message "hi": the label and whether a key is needed.
pub fn streams() -> Vec<Vector<(&'static str, bool)>> {
    vec![
        vector("plain", "0881aa557365724d73674c656e026869", ("", false), true),
        vector(
            "compressed",
            "0982a4416c676f00a3427566b50011045255654e19394de69c6152c68d0034690202",
            ("", false),
            false,
        ),
        vector("label", "f4036463310881aa557365724d73674c656e026869", ("dc1", false), true),
        vector(
            "encrypted",
            "0a0000002d01b74c3055cb1bf849a5fe67a9b6d6cfd49e65c1fd514dddbeb60357bae4fe9a60814f3bf1f8eddf2e4d088e05",
            ("", true),
            false,
        ),
        vector(
            "label, encrypted and compressed",
            "f4036463310a0000003f01b6c5a6792d50bc8655a629aab2feeb570fa7fe400f18c6ff572893a04f0bcee64ea0d8c3cd\
             37a019ef2b254bbed895c83daf1bb995afe90361cc6f134243",
            ("dc1", true),
            false,
        ),
    ]
}

/// Push/pull headers: records, bytes of user state, join.
pub fn headers() -> Vec<Vector<(usize, usize, bool)>> {
    vec![
        vector(
            "header of the newer codec",
            "0683a44a6f696ec3a54e6f64657303ac5573657253746174654c656ed100c8",
            (3, 200, true),
            false,
        ),
        vector(
            "header of the older codec",
            "0683a44a6f696ec3a54e6f64657303ac5573657253746174654c656eccc8",
            (3, 200, true),
            false,
        ),
        vector(
            "large header",
            "0683a44a6f696ec2a54e6f646573d200009c40ac5573657253746174654c656ed200011170",
            (40_000, 70_000, false),
            false,
        ),
    ]
}

/// A record: n1 at 127.0.0.1:7946, incarnation 1, left, of a Serf pool.
pub const RECORD: &str = "87a441646472a47f000001ab496e6361726e6174696f6e01a44d657461c0a44e616d65a26e31\
                          a4506f7274cd1f0aa5537461746503a356736ea6010502020504";

/// The header of a user message of 128 bytes.
pub const USER_HEADER: &str = "0881aa557365724d73674c656ed10080";

/// The refusal "boom".
pub const ERROR: &str = "0d81a54572726f72a4626f6f6d";

/// Serf's messages.
pub mod serf {
    pub const LEAVE: &str = "0083a54c54696d6505a44e6f6465a26e31a55072756e65c2";
    pub const LEAVE_PRUNE: &str = "0083a54c54696d6505a44e6f6465a26e31a55072756e65c3";
    pub const JOIN: &str = "0182a54c54696d65cd012ca44e6f6465a26e31";
    pub const USER_EVENT: &str = "0384a24343c3a54c54696d6507a44e616d65a66465706c6f79a75061796c6f6164a27631";
    pub const QUERY: &str = "048ba441646472a47f000001a746696c74657273c0a5466c61677301a249444da54c54696d6509\
         a44e616d65a46c6f6164a75061796c6f6164a170a4506f7274cd1f0aab52656c6179466163746f7202\
         aa536f757263654e6f6465a26e31a754696d656f7574d3000000037e11d600";
    pub const RESPONSE: &str =
        "0585a5466c61677300a446726f6da26e32a249444da54c54696d6509a75061796c6f6164a26f6b";
    pub const PUSH_PULL: &str = "0286aa4576656e744c54696d6504a64576656e747392c082a64576656e74739182\
         a44e616d65a165a75061796c6f6164a178a54c54696d6503a54c54696d6503\
         ab4c6566744d656d6265727391a26e39aa51756572794c54696d6501ac5374617475734c54696d657381a26e3102";
    pub const KEY_REQUEST: &str = "0781a34b6579c0";
    pub const CONFLICT_NIL: &str = "06c0";
    pub const ROLE_WEB: &str = "ff81a4726f6c65a3776562";
    pub const NO_TAGS: &str = "ff80";
    pub const EMPTY_TAG: &str = "ff81a77365676d656e74a0";

    /// All of them that are messages, by name.
    pub const MESSAGES: [(&str, &str); 9] = [
        ("leave", LEAVE),
        ("leave_prune", LEAVE_PRUNE),
        ("join", JOIN),
        ("user_event", USER_EVENT),
        ("query", QUERY),
        ("response", RESPONSE),
        ("push_pull", PUSH_PULL),
        ("key_request", KEY_REQUEST),
        ("conflict_nil", CONFLICT_NIL),
    ];
}
