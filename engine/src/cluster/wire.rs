//! The wire format in a settings file.
//!
//! | key | meaning |
//! |---|---|
//! | `wire` | `"native"` (default), `"memberlist"`, or `"serf"` for pools of Serf and Consul |
//! | `label` | memberlist's `Label` |
//! | `secret_keys` | keys in base64, as Serf and Consul print them, one or a list; the first encrypts |
//! | `gossip_verify_incoming`, `gossip_verify_outgoing` | memberlist's, for moving a cluster to encryption |
//! | `cipher` | on the native wire `"automatic"` (default), `"aes-gcm"` or `"chacha20-poly1305"` |
//! | `enable_compression` | memberlist's `EnableCompression`, for what is sent |
//! | `packet_crc` | whether gossip carries a checksum |
//! | `dead_node_reclaim_time_ms` | memberlist's `DeadNodeReclaimTime` |
//!
//! Keys encrypt whichever wire is spoken. `cipher` is for the native one alone, and what is not named with keys for the others. See
//! [`MemberlistOptions`] and [`EncryptionOptions`] for defaults.

use std::time::Duration;

use swimring_codec::memberlist::SecretKey;

use super::error::ClusterError;
use crate::protocol::{EncryptionCipher, EncryptionOptions, MemberlistOptions, WireOptions};
use crate::settings_file::{secret_key, value};

/// The keys beside `wire`.
pub(super) const KEYS: &[&str] = &[
    "label",
    "secret_keys",
    "gossip_verify_incoming",
    "gossip_verify_outgoing",
    "cipher",
    "enable_compression",
    "packet_crc",
    "dead_node_reclaim_time_ms",
];

/// The format that a file names.
pub(super) fn named(value: toml::Value) -> Result<WireOptions, ClusterError> {
    let fault = |rest: String| {
        Err(ClusterError::setting("wire", format!("has to be native, memberlist or serf{rest}")))
    };
    match value::text(value).as_deref() {
        Ok("native") => Ok(WireOptions::Native),
        Ok("memberlist") => Ok(WireOptions::Memberlist(MemberlistOptions::default())),
        Ok("serf") => Ok(WireOptions::Memberlist(MemberlistOptions::serf())),
        Ok(other) => fault(format!(", not `{other}`")),
        Err(_) => fault(String::new()),
    }
}

/// Sets one of [`KEYS`].
pub(super) fn set(wire: &mut WireOptions, key: &str, value: toml::Value) -> Result<(), ClusterError> {
    let encrypts =
        ["secret_keys", "gossip_verify_incoming", "gossip_verify_outgoing", "cipher"].contains(&key);
    let options = match wire {
        WireOptions::Memberlist(_) if key == "cipher" => {
            return Err(ClusterError::setting(key, "needs wire = \"native\": the others have AES-GCM alone"));
        }
        WireOptions::Memberlist(options) => options,
        WireOptions::Native | WireOptions::Encrypted(_) if encrypts => {
            return set_encryption(wire, key, value);
        }
        WireOptions::Native | WireOptions::Encrypted(_) => {
            let instead = if key == "label" { "; on the native wire cluster takes its place" } else { "" };
            let expected = format!("needs wire = \"memberlist\" or \"serf\"{instead}");
            return Err(ClusterError::setting(key, expected));
        }
    };
    let is = |expected: String| ClusterError::setting(key, expected);
    let truth = |value| value::truth(&value).map_err(is);
    match key {
        "label" => options.label = value::text(value).map_err(is)?,
        "secret_keys" => options.secret_keys = secret_keys(value).map_err(is)?,
        "gossip_verify_incoming" => options.gossip_verify_incoming = truth(value)?,
        "gossip_verify_outgoing" => options.gossip_verify_outgoing = truth(value)?,
        "enable_compression" => options.enable_compression = truth(value)?,
        "packet_crc" => options.packet_crc = truth(value)?,
        _ => {
            let reclaim = value::whole(key, &value).map_err(is)?;
            options.dead_node_reclaim_time = Duration::from_millis(reclaim);
        }
    }
    Ok(())
}

/// Sets how the native wire is encrypted. That it is at all follows from there being a key, which is checked at the end: a file's
/// keys come in any order.
fn set_encryption(wire: &mut WireOptions, key: &str, value: toml::Value) -> Result<(), ClusterError> {
    let is = |expected: String| ClusterError::setting(key, expected);
    let mut options = match wire {
        WireOptions::Encrypted(options) => options.clone(),
        _ => EncryptionOptions::default(),
    };
    match key {
        "secret_keys" => options.secret_keys = secret_keys(value).map_err(is)?,
        "gossip_verify_incoming" => options.gossip_verify_incoming = value::truth(&value).map_err(is)?,
        "gossip_verify_outgoing" => options.gossip_verify_outgoing = value::truth(&value).map_err(is)?,
        _ => {
            options.cipher = match value::text(value).map_err(is)?.as_str() {
                "automatic" => EncryptionCipher::Automatic,
                "aes-gcm" => EncryptionCipher::AesGcm,
                "chacha20-poly1305" => EncryptionCipher::ChaCha20Poly1305,
                _ => return Err(is("has to be automatic, aes-gcm or chacha20-poly1305".to_owned())),
            };
        }
    }
    *wire = WireOptions::Encrypted(options);
    Ok(())
}

/// Keys as operators have them, one or several. What they were is not repeated in an error.
fn secret_keys(value: toml::Value) -> Result<Vec<SecretKey>, String> {
    let texts = value::texts(value)?;
    let several = texts.len() > 1;
    let keys = texts.iter().enumerate().map(|(at, text)| {
        secret_key(text).map_err(|fault| {
            let which = if several { format!("number {} ", at + 1) } else { String::new() };
            format!("has to hold base64 of 16, 24 or 32 bytes: {which}{fault}")
        })
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::super::ClusterOptions;
    use super::*;
    use crate::protocol::MemberlistDialect;

    #[test]
    fn a_file_chooses_the_wire_whatever_its_order() {
        let mut options = ClusterOptions::default();
        let text = "label = \"shop\"\nsecret_keys = [\"AAECAwQFBgcICQoLDA0ODw==\"]\nwire = \"serf\"\n\
                    enable_compression = true\ndead_node_reclaim_time_ms = 5";
        options.read_toml(text).unwrap();
        let WireOptions::Memberlist(wire) = &options.wire else { panic!("{:?}", options.wire) };
        let expected = MemberlistOptions {
            label: "shop".to_owned(),
            secret_keys: vec![(0..16).collect::<Vec<u8>>().into()],
            enable_compression: true,
            dead_node_reclaim_time: Duration::from_millis(5),
            ..MemberlistOptions::serf()
        };
        assert_eq!(*wire, expected);
        assert_eq!(wire.dialect, MemberlistDialect::Serf);
        options.validate().unwrap();
    }

    #[test]
    fn keys_encrypt_the_native_wire() {
        let mut options = ClusterOptions::default();
        let text = "cipher = \"chacha20-poly1305\"\nsecret_keys = \"AAECAwQFBgcICQoLDA0ODw==\"\n\
                    gossip_verify_incoming = false";
        options.read_toml(text).unwrap();
        let key: Vec<u8> = (0..16).collect();
        let expected = EncryptionOptions {
            gossip_verify_incoming: false,
            cipher: EncryptionCipher::ChaCha20Poly1305,
            ..EncryptionOptions::with_key(key)
        };
        assert_eq!(options.wire, WireOptions::Encrypted(expected));
        options.validate().unwrap();
        let mut keyless = ClusterOptions::default();
        keyless.read_toml("gossip_verify_incoming = false").unwrap();
        let error = keyless.validate().unwrap_err().to_string();
        assert!(error.contains("secret_keys is empty"), "{error}");
        for (text, start) in [
            ("cipher = \"rot13\"", "cipher has to be automatic, aes-gcm or chacha20-poly1305"),
            ("wire = \"serf\"\ncipher = \"aes-gcm\"", "cipher needs wire = \"native\""),
        ] {
            let error = ClusterOptions::default().read_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn one_key_is_taken_where_a_list_is() {
        let key = "AAECAwQFBgcICQoLDA0ODw";
        for text in [format!("\"{key}==\""), format!("\"{key}\""), format!("[\"{key}\"]")] {
            let mut options = ClusterOptions::default();
            options.read_toml(&format!("wire = \"serf\"\nsecret_keys = {text}")).unwrap();
            let WireOptions::Memberlist(wire) = &options.wire else { panic!("{:?}", options.wire) };
            assert_eq!(wire.secret_keys, [SecretKey::from((0..16).collect::<Vec<u8>>())]);
        }
    }

    /// However a key is written, and whatever is wrong with it: it is in no error, and in no `Debug`.
    #[test]
    fn a_key_is_never_printed() {
        let (key, other) = ("AAECAwQFBgcICQoLDA0ODw", "hunter2hunter2hunter2");
        for text in [
            format!("secret_keys = \"{other}\""),
            format!("secret_keys = [\"{other}\"]"),
            format!("secret_keys = [\"{key}\", \"{other}\"]"),
            format!("secret_keys = {{ \"{key}\" = 1 }}"),
            format!("secret_keys = [[\"{key}\"]]"),
            format!("secret_keys = {key}"),
            format!("secret_keys = [{key}"),
            format!("secret_keys = \"{key}"),
            format!("secret_keys = \"{key}\" \"{other}\""),
            format!("secret_keys = '{key}'\nsecret_keys = \"{other}\""),
            format!("encrypt = \"{key}\""),
            format!("secret_key = [\"{key}\"]"),
            format!("label = [\"{key}\"]"),
            format!("packet_crc = \"{key}\""),
            format!("probe_interval_ms = \"{key}\""),
            format!("seeds = {{ a = \"{key}\" }}"),
        ] {
            let mut options = ClusterOptions::default();
            let error = options.read_toml(&format!("wire = \"serf\"\n{text}")).unwrap_err();
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains(key) && !shown.contains(other), "{text}: {shown}");
            }
        }
        let mut options = ClusterOptions::default();
        options.read_toml(&format!("wire = \"serf\"\nsecret_keys = \"{key}\"")).unwrap();
        let shown = format!("{options:?} {:#?}", crate::ClusterBuilder::from(options.clone()));
        assert!(shown.contains("SecretKey(16 bytes)"), "{shown}");
        assert!(!shown.contains("0, 1, 2") && !shown.contains(key), "{shown}");
    }

    #[test]
    fn faults_name_the_setting_and_never_a_key() {
        for (text, start) in [
            ("wire = 1", "wire has to be native, memberlist or serf"),
            ("wire = \"raft\"", "wire has to be native, memberlist or serf"),
            (
                "label = \"a\"",
                "label needs wire = \"memberlist\" or \"serf\"; on the native wire cluster takes",
            ),
            ("wire = \"serf\"\nsecret_keys = [\"c2VjcmV0\"]", "secret_keys has to hold base64"),
        ] {
            let error = ClusterOptions::default().read_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(start) && !error.contains("c2VjcmV0"), "{error}");
        }
        let label = "l".repeat(256);
        let mut options = ClusterOptions::default();
        options.read_toml(&format!("wire = \"memberlist\"\nlabel = \"{label}\"")).unwrap();
        let error = options.validate().unwrap_err().to_string();
        assert!(error.starts_with("wire cannot be so") && error.contains("label"), "{error}");
    }
}
