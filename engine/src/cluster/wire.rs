//! The wire format in a settings file.
//!
//! | key | meaning |
//! |---|---|
//! | `wire` | `"native"` (default), `"memberlist"`, or `"serf"` for pools of Serf and Consul |
//! | `label` | memberlist's `Label` |
//! | `secret_keys` | keys in base64, as Serf and Consul print them; the first encrypts |
//! | `gossip_verify_incoming`, `gossip_verify_outgoing` | memberlist's, for moving a pool to encryption |
//! | `enable_compression` | memberlist's `EnableCompression`, for what is sent |
//! | `packet_crc` | whether gossip carries a checksum |
//! | `dead_node_reclaim_time_ms` | memberlist's `DeadNodeReclaimTime` |
//!
//! Each but the first needs `wire` to be other than native. See [`MemberlistOptions`] for defaults.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ClusterError;
use super::options::read;
use crate::swim::{MemberlistOptions, WireOptions};

/// The keys beside `wire`.
pub(super) const KEYS: &[&str] = &[
    "label",
    "secret_keys",
    "gossip_verify_incoming",
    "gossip_verify_outgoing",
    "enable_compression",
    "packet_crc",
    "dead_node_reclaim_time_ms",
];

/// The format that a file names.
pub(super) fn named(value: toml::Value) -> Result<WireOptions, ClusterError> {
    match read::<String>("wire", value)?.as_str() {
        "native" => Ok(WireOptions::Native),
        "memberlist" => Ok(WireOptions::Memberlist(MemberlistOptions::default())),
        "serf" => Ok(WireOptions::Memberlist(MemberlistOptions::serf())),
        other => {
            Err(ClusterError::setting("wire", format!("has to be native, memberlist or serf, not `{other}`")))
        }
    }
}

/// Sets one of [`KEYS`].
pub(super) fn set(wire: &mut WireOptions, key: &str, value: toml::Value) -> Result<(), ClusterError> {
    let WireOptions::Memberlist(options) = wire else {
        return Err(ClusterError::setting(key, "needs wire = \"memberlist\" or \"serf\""));
    };
    match key {
        "label" => options.label = read(key, value)?,
        "secret_keys" => {
            let texts: Vec<String> = read(key, value)?;
            options.secret_keys = texts.iter().map(|text| secret_key(text)).collect::<Result<_, _>>()?;
        }
        "gossip_verify_incoming" => options.gossip_verify_incoming = read(key, value)?,
        "gossip_verify_outgoing" => options.gossip_verify_outgoing = read(key, value)?,
        "enable_compression" => options.enable_compression = read(key, value)?,
        "packet_crc" => options.packet_crc = read(key, value)?,
        _ => options.dead_node_reclaim_time = Duration::from_millis(read(key, value)?),
    }
    Ok(())
}

/// A key as operators have it. What it was is not repeated in an error.
fn secret_key(text: &str) -> Result<Vec<u8>, ClusterError> {
    let fault = || ClusterError::setting("secret_keys", "has to hold base64 of 16, 24 or 32 bytes each");
    let key = STANDARD.decode(text).map_err(|_| fault())?;
    if matches!(key.len(), 16 | 24 | 32) { Ok(key) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::super::ClusterOptions;
    use super::*;
    use crate::swim::Pool;

    #[test]
    fn a_file_chooses_the_wire_whatever_its_order() {
        let mut options = ClusterOptions::default();
        let text = "label = \"shop\"\nsecret_keys = [\"AAECAwQFBgcICQoLDA0ODw==\"]\nwire = \"serf\"\n\
                    enable_compression = true\ndead_node_reclaim_time_ms = 5";
        options.read_toml(text).unwrap();
        let WireOptions::Memberlist(wire) = &options.wire else { panic!("{:?}", options.wire) };
        let expected = MemberlistOptions {
            label: "shop".to_owned(),
            secret_keys: vec![(0..16).collect()],
            enable_compression: true,
            dead_node_reclaim_time: Duration::from_millis(5),
            ..MemberlistOptions::serf()
        };
        assert_eq!(*wire, expected);
        assert_eq!(wire.pool, Pool::Serf);
        options.validate().unwrap();
    }

    #[test]
    fn faults_name_the_setting_and_never_a_key() {
        for (text, start) in [
            ("wire = \"raft\"", "wire has to be native, memberlist or serf"),
            ("label = \"a\"", "label needs wire"),
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
