//! The settings file given with `--config`: TOML, flat, the flags' names with underscores.
//!
//! ```toml
//! preset = "wan"
//! probe_interval_ms = 2000
//! gossip_fanout = 4
//! ```

use std::path::Path;

use swimring::settings_file::{hint, read_bounded, setting_value, toml_fault};
use swimring::{ClusterOptions, Preset};

use super::protocol::{ProtocolSettings, declared, named};

/// The longest settings file read: far above any real one, far below what could hurt.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// What a settings file may say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SettingsFile {
    /// The preset to start from; a `--preset` flag wins.
    pub preset: Option<Preset>,
    /// Protocol settings; flags win.
    pub protocol: ProtocolSettings,
}

/// Reads a settings file. The error is one line that starts with the flag and the file.
pub fn read(path: &Path) -> Result<SettingsFile, String> {
    let named = |fault: String| format!("--config {}: {fault}", path.display());
    let text = read_bounded(path, FILE_MAX_BYTES, "settings file").map_err(named)?;
    parse(&text).map_err(named)
}

/// Reads a settings file's text. The error is one line without the file's name.
pub fn parse(text: &str) -> Result<SettingsFile, String> {
    let table: toml::Table = toml::from_str(text).map_err(|error| toml_fault(text, &error))?;
    let of_a_member: Vec<&str> =
        table.keys().map(String::as_str).filter(|key| ClusterOptions::has_key(key)).collect();
    if !of_a_member.is_empty() {
        return Err(format!(
            "a member's settings file, it seems: of a member a run takes preset and the protocol's settings only; leave \
             out {}",
            of_a_member.join(", ")
        ));
    }
    let mut file = SettingsFile::default();
    // One key at a time, so that a value that cannot be is reported with its key.
    for (key, value) in table {
        let is = |mend: String| format!("{key} {mend}");
        if key == "preset" {
            file.preset = Some(preset(&value).map_err(is)?);
        } else if let Some(setting) = named(&key) {
            file.protocol.set(setting, setting_value(setting, &value).map_err(is)?);
        } else {
            let known = declared().map(|setting| setting.name).chain(["preset"]);
            return Err(format!("unknown setting {key}{}", hint(&key, known)));
        }
    }
    Ok(file)
}

fn preset(value: &toml::Value) -> Result<Preset, String> {
    match value {
        toml::Value::String(said) => {
            said.parse().map_err(|_| format!("has to be lan, wan or local, not `{said}`"))
        }
        _ => Err("has to be lan, wan or local".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use swimring::protocol::SettingValue;

    use super::*;

    #[test]
    fn preset_and_settings_are_read() {
        let file = parse("preset = \"wan\"\nprobe_interval_ms = 2000\nstream_fallback = false\n").unwrap();
        assert_eq!(file.preset, Some(Preset::Wan));
        assert_eq!(file.protocol.get("probe_interval_ms"), Some(SettingValue::Whole(2000)));
        assert_eq!(file.protocol.get("stream_fallback"), Some(SettingValue::Flag(false)));
        assert_eq!(parse("").unwrap(), SettingsFile::default());
    }

    #[test]
    fn an_unknown_setting_is_answered_with_near_names() {
        let fault = parse("probe_intervall_ms = 2000").unwrap_err();
        assert!(
            fault.starts_with("unknown setting probe_intervall_ms; did you mean probe_interval_ms"),
            "{fault}"
        );
    }

    #[test]
    fn faults_are_one_line_with_a_line_number() {
        for text in [
            "a b",
            "preset = \"lan\"\nprobe_interval_ms = \"fast\"",
            "preset = \"moon\"",
            "gossip_fanout = -1",
        ] {
            let fault = parse(text).unwrap_err();
            assert!(!fault.contains('\n'), "{fault}");
        }
        let fault = parse("preset = \"lan\"\nprobe_interval_ms =\n").unwrap_err();
        assert!(fault.starts_with("line 2: "), "{fault}");
    }

    #[test]
    fn every_fault_is_a_sentence_for_people() {
        let whole = "has to be a whole number of milliseconds, like 1000";
        for (text, told) in [
            ("preset = 1", "preset has to be lan, wan or local".to_owned()),
            ("preset = \"moon\"", "preset has to be lan, wan or local, not `moon`".to_owned()),
            ("probe_interval_ms = \"1s\"", format!("probe_interval_ms {whole}, and is text")),
            ("stream_timeout_ms = \"1s\"", format!("stream_timeout_ms {whole}, and is text")),
            ("stream_timeout_ms = 0.5", format!("stream_timeout_ms {whole}, and is a number with a fraction")),
            ("gossip_fanout = -1", "gossip_fanout has to be zero or more, and is -1".to_owned()),
            ("stream_fallback = \"yes\"", "stream_fallback has to be true or false, and is text".to_owned()),
            ("suspicion = \"raft\"", "suspicion has to be lifeguard or adaptive".to_owned()),
            ("probe_interval = 1", "unknown setting probe_interval; did you mean probe_interval_ms?".to_owned()),
            (
                "preset = \"lan\"\nbind = \"0.0.0.0\"\nsecret_keys = \"hunter2\"",
                "a member's settings file, it seems: of a member a run takes preset and the protocol's settings \
                 only; leave out bind, secret_keys"
                    .to_owned(),
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), told, "{text}");
        }
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let fault = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(fault, "--config /dev/zero: more than 1048576 bytes: no settings file is so long");
    }

    #[test]
    fn a_missing_file_is_named() {
        let fault = read(Path::new("/nonexistent/settings.toml")).unwrap_err();
        assert!(fault.starts_with("--config /nonexistent/settings.toml: "), "{fault}");
    }
}
