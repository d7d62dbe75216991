//! From flags and file to the engine's settings.

use std::time::Duration;

use serde_json::{Map, Value};
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{Setting, SettingValue, Settings, SettingsError};
use swimring::stream::StreamDriver;
use swimring::{DriverChoice, Preset};

use crate::cli::protocol::STREAM_TIMEOUT;
use crate::cli::{RunOptions, WireChoice};

/// Every setting by name, the streams' timeout among them.
pub fn by_name(settings: &Settings, stream_timeout: Duration) -> Map<String, Value> {
    let mut map = match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    map.insert(STREAM_TIMEOUT.name.to_owned(), Value::from(stream_timeout.as_millis() as u64));
    map
}

/// Memberlist's `TCPTimeout` of `preset`.
pub fn stream_timeout_of_preset(preset: Preset) -> Duration {
    duration(STREAM_TIMEOUT.presets[preset as usize])
}

/// How long one stream exchange may take.
pub fn stream_timeout(options: &RunOptions) -> Duration {
    let given = options.protocol.get(STREAM_TIMEOUT.name).map(duration);
    given.unwrap_or_else(|| stream_timeout_of_preset(options.preset))
}

/// What moves the bytes of streams beside `driver` for datagrams.
pub fn stream_driver(driver: DriverChoice) -> StreamDriver {
    match driver {
        DriverChoice::Auto => StreamDriver::Automatic,
        DriverChoice::IoUring => StreamDriver::Uring,
        DriverChoice::Mmsg => StreamDriver::Readiness,
    }
}

fn duration(value: SettingValue) -> Duration {
    let SettingValue::Whole(millis) = value else { unreachable!("it is declared in milliseconds") };
    Duration::from_millis(millis)
}

/// The preset of `options` as its members follow it: on memberlist's wire they gossip whatever is set.
pub fn preset(options: &RunOptions) -> Settings {
    let preset = Settings::preset(options.preset);
    match options.wire {
        WireChoice::Native => preset,
        WireChoice::Memberlist => Settings { dissemination: Dissemination::Gossip, ..preset },
    }
}

/// The settings in force: the preset's, with what the flags and the file override.
///
/// # Errors
/// One line that names the flag and the mend.
pub fn in_force(options: &RunOptions) -> Result<Settings, String> {
    let mut settings = preset(options);
    // Everyone has to fit into the table.
    settings.members_max = settings.members_max.max(options.members);
    for (setting, value) in options.protocol.values() {
        let set = if setting.name == STREAM_TIMEOUT.name {
            setting.check(value)
        } else {
            settings.set_value(setting, value)
        };
        set.map_err(|error| told(&error, Some(value)))?;
    }
    if options.wire == WireChoice::Memberlist {
        settings.dissemination = preset(options).dissemination;
    }
    settings.validate().map_err(|error| told(&error, settings.get(error.setting())))?;
    Ok(settings)
}

/// What of `options` cannot be: a line for each value out of its range, or else the first that does not fit another.
pub fn faults(options: &RunOptions) -> Vec<String> {
    let fault = |(setting, value): (&Setting, SettingValue)| {
        setting.check(value).err().map(|error| told(&error, Some(value)))
    };
    let faults: Vec<String> = options.protocol.values().filter_map(fault).collect();
    if faults.is_empty() { in_force(options).err().into_iter().collect() } else { faults }
}

/// The engine's refusal in the words of the command line, with the value next to its flag.
fn told(error: &SettingsError, value: Option<SettingValue>) -> String {
    let value = value.map(|value| format!(" {value}")).unwrap_or_default();
    let mut required = error.required();
    if let SettingsError::NotShorter { other, .. } = error {
        required = required.replace(other, &flag(other));
    }
    format!("{}{value}: {required}", flag(error.setting()))
}

fn flag(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::protocol::{ProtocolSettings, declared, named};

    fn given(name: &str, value: u64) -> ProtocolSettings {
        let mut protocol = ProtocolSettings::default();
        protocol.set(named(name).unwrap(), SettingValue::Whole(value));
        protocol
    }

    fn refused(protocol: ProtocolSettings) -> String {
        in_force(&RunOptions { protocol, ..RunOptions::defaults(10, 2) }).unwrap_err()
    }

    #[test]
    fn a_value_out_of_bounds_is_told_with_its_flag_and_the_bounds() {
        for (protocol, told) in [
            (given("stream_timeout_ms", 0), "--stream-timeout-ms 0: has to be between 1 and 3600000"),
            (given("gossip_fanout", 17), "--gossip-fanout 17: has to be between 1 and 16"),
            (given("gossip_fanout", 300), "--gossip-fanout 300: has to be between 1 and 16"),
            (
                given("local_health_max", u64::MAX),
                "--local-health-max 18446744073709551615: has to be between 0 and 15",
            ),
            (given("frame_bytes_max", 1401), "--frame-bytes-max 1401: has to be between 800 and 1400"),
            (
                given("push_pull_interval_ms", u64::MAX),
                "--push-pull-interval-ms 18446744073709551615: has to be between 0 and 3600000",
            ),
            (
                given("probe_interval_ms", 100),
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
        for setting in declared() {
            assert!(names.contains_key(setting.name), "{}", setting.name);
        }
        let options = RunOptions { protocol: given("stream_timeout_ms", 7), ..options };
        assert_eq!(stream_timeout(&options), Duration::from_millis(7));
        assert!(in_force(&options).is_ok());
    }

    #[test]
    fn members_delegate_by_default_and_gossip_on_memberlists_wire() {
        let told = |options: &RunOptions| in_force(options).unwrap().dissemination;
        let native = RunOptions::defaults(10, 2);
        assert_eq!(told(&native), Dissemination::Delegated);
        let mut protocol = ProtocolSettings::default();
        protocol.set(named("dissemination").unwrap(), SettingValue::Choice("delegated"));
        let memberlist = RunOptions { wire: WireChoice::Memberlist, ..native };
        for options in [memberlist.clone(), RunOptions { protocol, ..memberlist }] {
            assert_eq!(told(&options), Dissemination::Gossip);
            assert_eq!(preset(&options).dissemination, Dissemination::Gossip);
        }
    }
}
