//! The settings file given with `--config`: TOML, flat, the flags' names with underscores.
//!
//! ```toml
//! preset = "wan"
//! probe_interval_ms = 2000
//! gossip_fanout = 4
//! ```

use std::path::Path;

use swimring::toml_fault;

use super::Preset;
use super::protocol::ProtocolSettings;
use swimring::settings_file::read_bounded;
use swimring::settings_file::hint;

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
    let mut file = SettingsFile::default();
    // One key at a time, so that a value of the wrong type is reported with its key.
    for (key, value) in table {
        let fault = |error: toml::de::Error| format!("{key}: {}", error.message().replace('\n', " "));
        if key == "preset" {
            file.preset = Some(value.try_into().map_err(fault)?);
        } else if ProtocolSettings::NAMES.contains(&key.as_str()) {
            let single = toml::Table::from_iter([(key.clone(), value)]);
            let settings: ProtocolSettings = single.try_into().map_err(fault)?;
            file.protocol = file.protocol.or(settings);
        } else {
            let known = ProtocolSettings::NAMES.into_iter().chain(["preset"]);
            return Err(format!("unknown setting {key}{}", hint(&key, known)));
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preset_and_settings_are_read() {
        let file = parse("preset = \"wan\"\nprobe_interval_ms = 2000\nstream_fallback = false\n").unwrap();
        assert_eq!(file.preset, Some(Preset::Wan));
        assert_eq!(file.protocol.probe_interval_ms, Some(2000));
        assert_eq!(file.protocol.stream_fallback, Some(false));
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
        let fault = parse("preset = \"lan\"\nprobe_interval_ms = \"fast\"").unwrap_err();
        assert!(fault.starts_with("probe_interval_ms: "), "{fault}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let fault = read(Path::new("/nonexistent/settings.toml")).unwrap_err();
        assert!(fault.starts_with("--config /nonexistent/settings.toml: "), "{fault}");
    }
}
