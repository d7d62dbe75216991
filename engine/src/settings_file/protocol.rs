//! One constant of the protocol by its name in files.

use toml::Value;

use super::value;
use crate::protocol::{Setting, SettingKind, SettingValue, Settings};

/// Why a setting was not set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsettable {
    /// No setting of the protocol has this name.
    Unknown,
    /// What it has to be, to follow its name.
    Value(String),
}

/// Changes the setting called `name`. How settings fit together is for [`Settings::validate`].
///
/// # Errors
/// [`Unsettable`]: a name that is none, or a value that it cannot hold.
pub fn set_protocol(settings: &mut Settings, name: &str, given: &Value) -> Result<(), Unsettable> {
    let setting = Settings::named(name).map_err(|_| Unsettable::Unknown)?;
    let value = setting_value(setting, given).map_err(Unsettable::Value)?;
    settings.set_value(setting, value).map_err(|error| Unsettable::Value(error.expected()))
}

/// A value of TOML as one of `setting`. The range is checked by who sets it.
///
/// # Errors
/// What kind it has to be, to follow the setting's name.
pub fn setting_value(setting: &Setting, given: &Value) -> Result<SettingValue, String> {
    match setting.kind {
        SettingKind::Whole { .. } => value::whole(setting.name, given).map(SettingValue::Whole),
        SettingKind::Chance { .. } => value::number(given).map(SettingValue::Chance),
        SettingKind::Flag => value::truth(given).map(SettingValue::Flag),
        SettingKind::Choice(_) => {
            let word = value::text(given.clone())?;
            setting.parse(&word).map_err(|error| error.expected())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, given: impl Into<Value>) -> String {
        match set_protocol(&mut Settings::default(), name, &given.into()) {
            Err(Unsettable::Value(expected)) => expected,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn every_setting_takes_its_own_value() {
        let table = toml::Table::try_from(Settings::default()).unwrap();
        for (name, value) in &table {
            let mut settings = Settings::default();
            assert_eq!(set_protocol(&mut settings, name, value), Ok(()), "{name}");
            assert_eq!(settings, Settings::default());
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_told_in_words() {
        for (name, given, told) in [
            (
                "probe_interval_ms",
                Value::from("1s"),
                "has to be a whole number of milliseconds, like 1000, and is text",
            ),
            (
                "probe_interval_ms",
                Value::from("500"),
                "has to be a whole number of milliseconds, like 1000: leave the quotes out",
            ),
            (
                "probe_interval_ms",
                Value::from(0.5),
                "has to be a whole number of milliseconds, like 1000, and is a number with a fraction",
            ),
            ("gossip_fanout", Value::from(-1), "has to be zero or more, and is -1"),
            ("gossip_fanout", Value::from(300), "has to be between 1 and 16, and is 300"),
            (
                "gossip_fanout",
                Value::from(i64::MAX),
                "has to be between 1 and 16, and is 9223372036854775807",
            ),
            ("events_max", Value::from(1_i64 << 40), "has to be between 16 and 65536, and is 1099511627776"),
            ("stream_fallback", Value::from("true"), "has to be true or false: leave the quotes out"),
            ("stream_fallback", Value::from(1), "has to be true or false, and is a whole number"),
            ("false_death_bound", Value::from(true), "has to be a number, and is true or false"),
            ("suspicion", Value::from("raft"), "has to be automatic, lifeguard or adaptive"),
            ("suspicion", Value::from(1), "has to be text in quotes, and is a whole number"),
        ] {
            assert_eq!(refused(name, given), told);
        }
    }

    #[test]
    fn a_name_that_is_none_is_told_apart() {
        let outcome = set_protocol(&mut Settings::default(), "probe_interval", &Value::from(1));
        assert_eq!(outcome, Err(Unsettable::Unknown));
    }
}
