//! From flags and file to the engine's settings.

use std::time::Duration;

use serde_json::{Map, Value};
use swimring::protocol::settings as engine;
use swimring::protocol::{Settings, SettingsError};
use swimring::settings_file::{Unsettable, set_protocol};

use crate::cli::{Preset, RunOptions};

/// A setting of the stream service, not of the protocol.
const STREAM_TIMEOUT: &str = "stream_timeout_ms";

/// The engine's preset that `preset` names.
fn engine_preset(preset: Preset) -> engine::Preset {
    match preset {
        Preset::Lan => engine::Preset::Lan,
        Preset::Wan => engine::Preset::Wan,
        Preset::Local => engine::Preset::Local,
    }
}

/// Every setting by name, the streams' timeout among them.
pub fn by_name(settings: &Settings, stream_timeout: Duration) -> Map<String, Value> {
    let mut map = engine_by_name(settings);
    map.insert(STREAM_TIMEOUT.to_owned(), Value::from(stream_timeout.as_millis() as u64));
    map
}

fn engine_by_name(settings: &Settings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The settings of `preset`.
pub fn of_preset(preset: Preset) -> Settings {
    Settings::preset(engine_preset(preset))
}

/// Memberlist's `TCPTimeout` of `preset`.
pub fn stream_timeout_of_preset(preset: Preset) -> Duration {
    Duration::from_secs(match preset {
        Preset::Lan => 10,
        Preset::Wan => 30,
        Preset::Local => 1,
    })
}

/// How long one stream exchange may take.
pub fn stream_timeout(options: &RunOptions) -> Duration {
    let given = options.protocol.stream_timeout_ms.map(Duration::from_millis);
    given.unwrap_or_else(|| stream_timeout_of_preset(options.preset))
}

/// The settings in force: the preset's, with what the flags and the file override.
///
/// # Errors
/// One line that names the flag and the mend.
pub fn in_force(options: &RunOptions) -> Result<Settings, String> {
    let mut settings = of_preset(options.preset);
    // Everyone has to fit into the table.
    settings.members_max = settings.members_max.max(options.members);
    let given = options.protocol.given();
    for (name, value) in given.iter().filter(|(name, _)| *name != STREAM_TIMEOUT) {
        set_protocol(&mut settings, name, &written(value)).map_err(|fault| match fault {
            Unsettable::Value(mend) => told(name, &mend, Some(value)),
            Unsettable::Unknown(_) => format!("{}: no setting of the protocol", flag(name)),
        })?;
    }
    let in_force = engine_by_name(&settings);
    let value = |setting: &str| given.get(setting).or_else(|| in_force.get(setting));
    let refused = |error: SettingsError| told(error.setting, &error.mend, value(error.setting));
    settings.validate().map_err(refused)?;
    Ok(settings)
}

/// A flag's value as a file would have it. What TOML cannot count to is out of every setting's bounds.
fn written(value: &Value) -> toml::Value {
    match value {
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => i64::try_from(whole).unwrap_or(i64::MAX).into(),
            (None, fraction) => fraction.unwrap_or_default().into(),
        },
        other => other.as_str().unwrap_or_default().into(),
    }
}

/// The engine's refusal in the words of the command line.
fn told(setting: &str, mend: &str, value: Option<&Value>) -> String {
    let value = value.map(|value| format!(" {value}")).unwrap_or_default();
    // The engine repeats the value; here it stands next to the flag.
    let mend = mend.split(", and is ").next().unwrap_or_default();
    let mend = mend.replace("probe_interval_ms", &flag("probe_interval_ms"));
    format!("{}{value}: {mend}", flag(setting))
}

fn flag(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::protocol::ProtocolSettings;

    fn refused(protocol: ProtocolSettings) -> String {
        in_force(&RunOptions { protocol, ..RunOptions::defaults(10, 2) }).unwrap_err()
    }

    #[test]
    fn a_value_out_of_bounds_is_told_with_its_flag_and_the_bounds() {
        let none = ProtocolSettings::default;
        for (protocol, told) in [
            (
                ProtocolSettings { gossip_fanout: Some(17), ..none() },
                "--gossip-fanout 17: has to be between 1 and 16",
            ),
            (
                ProtocolSettings { gossip_fanout: Some(300), ..none() },
                "--gossip-fanout 300: has to be between 1 and 16",
            ),
            (
                ProtocolSettings { local_health_max: Some(u64::MAX), ..none() },
                "--local-health-max 18446744073709551615: has to be between 0 and 15",
            ),
            (
                ProtocolSettings { frame_bytes_max: Some(1401), ..none() },
                "--frame-bytes-max 1401: has to be between 800 and 1400",
            ),
            (
                ProtocolSettings { push_pull_interval_ms: Some(u64::MAX), ..none() },
                "--push-pull-interval-ms 18446744073709551615: has to be between 0 and 3600000",
            ),
            (
                ProtocolSettings { probe_interval_ms: Some(100), ..none() },
                "--probe-timeout-ms 500: has to be shorter than --probe-interval-ms: 500 is not below 100",
            ),
        ] {
            assert_eq!(refused(protocol), told);
        }
    }

    #[test]
    fn every_overridable_setting_reaches_the_engine_or_the_streams() {
        let options = RunOptions::defaults(10, 2);
        let names = by_name(&in_force(&options).unwrap(), stream_timeout(&options));
        for name in ProtocolSettings::NAMES {
            assert!(names.contains_key(name), "{name}");
        }
        let protocol = ProtocolSettings { stream_timeout_ms: Some(7), ..ProtocolSettings::default() };
        let options = RunOptions { protocol, ..options };
        assert_eq!(stream_timeout(&options), Duration::from_millis(7));
        assert!(in_force(&options).is_ok());
    }
}
