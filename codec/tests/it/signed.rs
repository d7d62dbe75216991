//! Signatures (`docs/PROTOCOL.md`, section 12): the vectors, and that every bit counts.

use swimring_codec::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX};
use swimring_codec::native::{
    FRAME_MAX, HEADER_LEN, IDENTITY_METADATA_MAX, IdentityKey, Introduction, KEY_MAX, KeyEntry, KeyStatement,
    KeyValue, PublicKey, SEAL_OVERHEAD, SIGNATURE_MESSAGE_LEN, Signature, cluster_with_identities,
    split_metadata,
};
use swimring_codec::{Incarnation, MemberId, State};

const CLUSTER: u32 = 0xc0ff_ee01;

/// The document's key: the seed counts from 0.
fn key() -> IdentityKey {
    IdentityKey::from_seed(&std::array::from_fn(|nth| nth as u8))
}

fn metadata() -> Vec<u8> {
    [&key().public().0[..], b"v1"].concat()
}

fn node_7(metadata: &[u8]) -> Introduction<'_> {
    Introduction {
        subject: MemberId::of_name("node-7"),
        incarnation: Incarnation::new(1_700_000_000),
        state: State::Alive,
        address: "10.0.0.7:7946".parse().unwrap(),
        name: "node-7",
        metadata,
        zone: "",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_vectors_are_those_of_the_document() {
    let page = include_str!("../../../docs/PROTOCOL.md");
    let section = page.split("### 12.6 Vectors").nth(1).expect("the section");
    let written: String = section.split("```").nth(1).expect("a block").split_whitespace().collect();
    let (key, metadata) = (key(), metadata());
    let alive = key.sign_alive(CLUSTER, &node_7(&metadata)).unwrap();
    let introduction = node_7(&metadata);
    let left = key.sign_left(CLUSTER, introduction.subject, introduction.incarnation).unwrap();
    assert_eq!(written, [hex(&key.public().0), hex(&alive), hex(&left)].concat());
}

#[test]
fn what_was_signed_is_verified_whatever_is_believed_of_its_subject() {
    let (key, metadata) = (key(), metadata());
    let signature = key.sign_alive(CLUSTER, &node_7(&metadata)).unwrap();
    for state in [State::Alive, State::Suspect, State::Dead, State::Left] {
        let said = Introduction { state, ..node_7(&metadata) };
        assert!(key.public().verifies_alive(CLUSTER, &said, &signature), "{state:?}");
    }
    let (subject, incarnation) = (MemberId::of_name("node-7"), Incarnation::new(9));
    let left = key.sign_left(CLUSTER, subject, incarnation).unwrap();
    assert!(key.public().verifies_left(CLUSTER, subject, incarnation, &left));
}

#[test]
fn every_bit_counts() {
    let (key, metadata) = (key(), metadata());
    let (public, said) = (key.public(), node_7(&metadata));
    let signature = key.sign_alive(CLUSTER, &said).unwrap();
    for bit in 0..512 {
        let mut spoiled = signature;
        spoiled[bit / 8] ^= 1 << (bit % 8);
        assert!(!public.verifies_alive(CLUSTER, &said, &spoiled), "bit {bit} of the signature");
    }
    for bit in 0..metadata.len() * 8 {
        let mut spoiled = metadata.clone();
        spoiled[bit / 8] ^= 1 << (bit % 8);
        let (claimed, _) = split_metadata(&spoiled).unwrap();
        assert!(!claimed.verifies_alive(CLUSTER, &node_7(&spoiled), &signature), "bit {bit} of the metadata");
    }
    let higher = Incarnation::new(said.incarnation.get() + 1);
    let longer = [&metadata[..], b"x"].concat();
    for other in [
        Introduction { incarnation: higher, ..said },
        Introduction { incarnation: Incarnation::MAX, ..said },
        Introduction { address: "10.0.0.8:7946".parse().unwrap(), ..said },
        Introduction { address: "10.0.0.7:7947".parse().unwrap(), ..said },
        Introduction { name: "node-8", subject: MemberId::of_name("node-8"), ..said },
        Introduction { zone: "z", ..said },
        Introduction { metadata: &longer, ..said },
    ] {
        assert!(!public.verifies_alive(CLUSTER, &other, &signature), "{other:?}");
    }
    assert!(!public.verifies_alive(CLUSTER ^ 1, &said, &signature), "another cluster");
    let left = key.sign_left(CLUSTER, said.subject, said.incarnation).unwrap();
    assert!(!public.verifies_alive(CLUSTER, &said, &left), "a goodbye is no introduction");
    assert!(!public.verifies_left(CLUSTER, said.subject, said.incarnation, &signature), "nor the reverse");
    assert!(!public.verifies_left(CLUSTER, said.subject, higher, &left));
    assert!(!public.verifies_left(CLUSTER ^ 1, said.subject, said.incarnation, &left));
    assert!(!public.verifies_left(CLUSTER, MemberId::of_name("node-8"), said.incarnation, &left));
    let other = IdentityKey::from_seed(&[1; 32]).public();
    assert!(!other.verifies_left(CLUSTER, said.subject, said.incarnation, &left));
}

#[test]
fn every_bit_of_a_key_of_the_cluster_counts() {
    let key = key();
    let said = KeyEntry {
        key: "limit",
        version: 3,
        writer: MemberId(7),
        value: KeyValue::Set(b"42"),
        statement: None,
    };
    let statement = key.sign_key(CLUSTER, &said).unwrap();
    assert!(statement.verifies(CLUSTER, &said) && !statement.verifies(CLUSTER ^ 1, &said));
    // Its hash is as good as the value.
    let hash = said.value.hash().unwrap();
    let brief = KeyEntry { value: KeyValue::Elsewhere(Some(&hash)), ..said };
    assert_eq!(
        (key.sign_key(CLUSTER, &brief), statement.digest(&brief)),
        (Some(statement), statement.digest(&said))
    );
    for bit in 0..8 * 96 {
        let mut spoiled = statement.to_bytes();
        spoiled[bit / 8] ^= 1 << (bit % 8);
        let spoiled = KeyStatement::from_bytes(spoiled);
        assert!(!spoiled.verifies(CLUSTER, &said), "bit {bit} of the statement");
        assert_ne!(spoiled.digest(&said), statement.digest(&said), "bit {bit}");
    }
    for other in [
        KeyEntry { key: "limiu", ..said },
        KeyEntry { key: "limi", value: KeyValue::Set(b"t42"), ..said },
        KeyEntry { version: 4, ..said },
        KeyEntry { writer: MemberId(8), ..said },
        KeyEntry { value: KeyValue::Set(b"43"), ..said },
        KeyEntry { value: KeyValue::Set(b""), ..said },
        KeyEntry { value: KeyValue::Deleted, ..said },
        KeyEntry { value: KeyValue::Elsewhere(None), ..said },
        KeyEntry { value: KeyValue::Elsewhere(Some(&[0; 32])), ..said },
    ] {
        assert!(!statement.verifies(CLUSTER, &other), "{other:?}");
        assert_ne!(statement.digest(&other), statement.digest(&said), "{other:?}");
    }
    let deleted = KeyEntry { value: KeyValue::Deleted, ..said };
    let gone = key.sign_key(CLUSTER, &deleted).unwrap();
    assert!(gone.verifies(CLUSTER, &deleted));
    for value in [KeyValue::Set(b""), KeyValue::Elsewhere(Some(&[0; 32]))] {
        assert!(!gone.verifies(CLUSTER, &KeyEntry { value, ..said }), "{value:?}");
    }
    // The longest key there may be, and one byte more.
    let long = "k".repeat(KEY_MAX + 1);
    assert!(key.sign_key(CLUSTER, &KeyEntry { key: &long[1..], ..said }).is_some());
    assert!(key.sign_key(CLUSTER, &KeyEntry { key: &long, ..said }).is_none());
}

/// Keys of small order would verify what nobody has signed.
#[test]
fn weak_keys_are_no_keys() {
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [PublicKey([0; 32]), PublicKey(one)] {
        let metadata = weak.0.to_vec();
        let signature: Signature = [&one[..], &[0; 32]].concat().try_into().unwrap();
        assert!(!weak.verifies_alive(CLUSTER, &node_7(&metadata), &signature));
        assert!(weak.to_string().parse::<PublicKey>().is_err());
    }
}

#[test]
fn keys_are_written_and_read() {
    let public = key().public();
    assert_eq!(public.to_string().parse(), Ok(public));
    assert_eq!(IdentityKey::from_hex(&hex(&key().seed())), Some(key()));
    assert!(IdentityKey::from_hex("0g").is_none() && "abc".parse::<PublicKey>().is_err());
    let shown = format!("{:?}", key());
    assert!(shown.contains(&public.to_string()) && !shown.contains("0001020304"), "{shown}");
}

#[test]
fn the_number_of_a_cluster_is_another_with_identities() {
    assert_eq!(cluster_with_identities(0), 0x544e_4449);
    assert_eq!(cluster_with_identities(cluster_with_identities(CLUSTER)), CLUSTER);
}

#[test]
fn the_largest_fits_the_shortest_frames() {
    let largest =
        Introduction::encoded_len(NAME_MAX, 32 + IDENTITY_METADATA_MAX, ZONE_MAX) + SIGNATURE_MESSAGE_LEN;
    assert_eq!(largest, Introduction::encoded_len(NAME_MAX, METADATA_MAX, ZONE_MAX));
    assert!(HEADER_LEN + SEAL_OVERHEAD + largest < FRAME_MAX);
    assert!(split_metadata(&[0; 31]).is_none() && split_metadata(&[0; 32]).is_some());
    assert!(split_metadata(&vec![0; 440]).is_some() && split_metadata(&vec![0; 441]).is_none());
}
