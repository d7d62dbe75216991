//! Packets and streams that nobody who means well would send.

use swimring_codec::memberlist::{Codec, Message, Options, PushPullWriter, Versions};
use swimring_testing::memberlist::packet;

/// Whom the attacker knows of.
pub struct Target {
    /// Names of live members.
    pub names: Vec<String>,
    /// The label it has learnt, which is not secret.
    pub label: String,
}

fn codec(key: Option<&[u8]>, label: &str, compression: bool) -> Codec {
    let options = Options {
        label: label.to_owned(),
        keys: key.map(Into::into).into_iter().collect(),
        compression,
        ..Options::default()
    };
    Codec::new(&options, [9; 32]).expect("options that can be used")
}

fn sealed(codec: &mut Codec, plain: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; codec.sealed_len(plain.len(), true)];
    let at = codec.plain_offset(true);
    bytes[at..at + plain.len()].copy_from_slice(plain);
    codec.seal_packet(&mut bytes, plain.len(), true);
    bytes
}

/// `length` zeros, compressed as a message.
fn bomb(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    codec(None, "", true).seal_stream(&mut bytes, 0, true);
    assert_eq!(bytes[0], 9, "compressed");
    bytes
}

/// A ping in which `value` stands for the sequence number.
fn ping_with(value: &[u8]) -> Vec<u8> {
    [&b"\x00\x81\xa5SeqNo"[..], value].concat()
}

/// An alive of `node`, with `versions` in place of its six.
fn short_versions(node: &str, versions: &[u8]) -> Vec<u8> {
    let alive = swimring_codec::memberlist::Alive {
        incarnation: 1,
        node,
        address: ([127, 0, 0, 1], 1).into(),
        metadata: b"",
        versions: Versions::PLAIN,
    };
    let mut bytes = packet(&[Message::Alive(alive)]);
    bytes.truncate(bytes.len() - 7);
    bytes.push(0xa0 | versions.len() as u8);
    bytes.extend_from_slice(versions);
    bytes
}

/// Some thousand packets, each hostile in its own way.
pub fn packets(target: &Target, rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let bombs: Vec<Vec<u8>> = [80 << 10, 1 << 20, 8 << 20].into_iter().map(bomb).collect();
    let (mut wrong_key, mut wrong_label) =
        (codec(Some(&[66; 32]), &target.label, false), codec(None, "elsewhere", false));
    for round in 0..200 {
        let member = &target.names[rng.usize(..target.names.len())];
        let harmless = packet(&[
            Message::Nack { sequence: rng.u32(..) },
            Message::Suspect { incarnation: 1, node: "nobody", from: member },
            Message::Ack { sequence: rng.u32(..), payload: b"" },
        ]);
        packets.extend(forged(member, round));
        packets.extend(overgrown());
        packets.push(bombs[round % bombs.len()].clone());
        packets.push(sealed(&mut wrong_key, &harmless));
        packets.push(sealed(&mut wrong_label, &harmless));
        packets.push(vec![0xf4, 0]);
        packets.push([&[12, 1, 2, 3, 4], &harmless[..]].concat());
        packets.push(harmless[..rng.usize(1..harmless.len())].to_vec());
        packets.push([&[rng.u8(14..0xf0)], &harmless[1..]].concat());
        packets.push((0..rng.usize(1..1_400)).map(|_| rng.u8(..)).collect());
        let mut mutated = harmless;
        (0..4).for_each(|_| mutated[rng.usize(..20)] ^= 1 << rng.u8(..8));
        packets.push(mutated);
    }
    if !target.label.is_empty() {
        // Half of them have the label: it is no secret.
        let header = [&[0xf4, target.label.len() as u8], target.label.as_bytes()].concat();
        let labelled: Vec<Vec<u8>> =
            packets.iter().map(|packet| [&header[..], &packet[..]].concat()).collect();
        packets.extend(labelled);
    }
    rng.shuffle(&mut packets);
    packets
}

/// Well-formed lies about live members.
fn forged(member: &str, round: usize) -> Vec<Vec<u8>> {
    let accuser = format!("accuser-{round}");
    let suspect = |incarnation| Message::Suspect { incarnation, node: member, from: &accuser };
    let dead = |incarnation, from| Message::Dead { incarnation, node: member, from };
    vec![
        packet(&[suspect(u32::MAX), dead(u32::MAX, &accuser), dead(u32::MAX, member)]),
        packet(&[suspect(1 + round as u32)]),
        packet(&[suspect(u32::MAX - 1), suspect(1 << 31), suspect(0)]),
        short_versions(member, &[]),
        short_versions(member, &[1, 5]),
        short_versions("stranger", &[1, 5, 2, 0, 0]),
        short_versions("stranger", &[0, 0, 0, 0, 0, 0]),
    ]
}

/// Nested too deeply, or announcing more than there is.
fn overgrown() -> Vec<Vec<u8>> {
    let mut nested = vec![11, 0x81, 0xa5, b'S', b'e', b'q', b'N', b'o', 1];
    for _ in 0..100 {
        let length = (nested.len() as u16).to_be_bytes();
        nested = [&[7, 1, length[0], length[1]], &nested[..]].concat();
    }
    vec![
        nested,
        ping_with(&[0x91; 1_200]),
        [&b"\x00\x81\xa1x"[..], &[0x91; 1_200]].concat(),
        ping_with(b"\xdd\xff\xff\xff\xff"),
        b"\x00\xdf\xff\xff\xff\xff".to_vec(),
        b"\x04\x86\xa4Node\xdb\xff\xff\xff\xff".to_vec(),
        [&[7, 255][..], &[0xff; 510]].concat(),
        vec![7, 255, 0],
        b"\x09\x82\xa4Algo\x01\xa3Buf\xa1a".to_vec(),
        b"\x09\x82\xa4Algo\x00\xa3Buf\xa3\xff\xff\xff".to_vec(),
    ]
}

/// What a connection is opened with; the pool's label is put in front where there is one.
pub fn streams(rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let header = |nodes: &[u8], user: &[u8]| {
        [&b"\x06\x83\xa4Join\xc3\xa5Nodes"[..], nodes, b"\xacUserStateLen", user].concat()
    };
    let mut wrong_key = Vec::new();
    assert!(PushPullWriter::new(&mut wrong_key, true).finish(b""));
    codec(Some(&[66; 32]), "", false).seal_stream(&mut wrong_key, 0, false);
    vec![
        header(b"\xce\xff\xff\xff\xff", b"\x00"),
        header(b"\xd2\x7f\xff\xff\xff", b"\xd2\x7f\xff\xff\xff"),
        header(b"\xd1\xff\xff", b"\x00"),
        header(b"\x00", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
        [&header(b"\xce\x00\x0f\x42\x40", b"\x00")[..], &[0xc0; 2_000]].concat(),
        [&b"\x0a\xff\xff\xff\xff"[..], &[1; 100]].concat(),
        [&b"\x0a\x00\x00\x00\x40\x01"[..], &[7; 63]].concat(),
        wrong_key,
        bomb(48 << 20),
        [&b"\x00\x81\xa1x"[..], &[0x91; 4_000]].concat(),
        b"\x08\x81\xaaUserMsgLen\xce\xff\xff\xff\xff".to_vec(),
        b"\xf4\x03abc\x06".to_vec(),
        vec![rng.u8(14..0xf0); 300],
    ]
}
