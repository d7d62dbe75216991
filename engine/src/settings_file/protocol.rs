//! One constant of the protocol by its name in files.

use std::str::FromStr;

use toml::{Table, Value};

use super::value;
use crate::protocol::Settings;
use crate::protocol::settings::SuspicionMode;

/// Why a setting was not set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsettable {
    /// No setting of the protocol has this name. The names there are.
    Unknown(Vec<String>),
    /// What it has to be, to follow its name.
    Value(String),
}

/// Changes the setting called `name`. How settings fit together is for [`Settings::validate`].
///
/// # Errors
/// [`Unsettable`]: a name that is none, or a value that it cannot hold.
pub fn set_protocol(settings: &mut Settings, name: &str, given: &Value) -> Result<(), Unsettable> {
    let unfit = |mend: String| Unsettable::Value(mend);
    let table = Table::try_from(&*settings).map_err(|error| unfit(error.to_string()))?;
    let wanted = match table.get(name) {
        None => return Err(Unsettable::Unknown(table.keys().cloned().collect())),
        Some(Value::Integer(_)) => {
            let number = value::whole(name, given).map_err(unfit)?;
            Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
        }
        Some(Value::Float(_)) => Value::Float(value::number(given).map_err(unfit)?),
        Some(Value::Boolean(_)) => Value::Boolean(value::truth(given).map_err(unfit)?),
        // Of words there is one setting only.
        Some(_) => {
            let word = value::text(given.clone()).map_err(unfit)?;
            SuspicionMode::from_str(&word).map_err(|error| unfit(error.mend))?;
            Value::String(word)
        }
    };
    let bounds = || bounds_of(&table, name, &wanted);
    *settings = with(&table, name, &wanted).ok_or_else(|| unfit(bounds()))?;
    Ok(())
}

fn with(table: &Table, name: &str, value: &Value) -> Option<Settings> {
    let mut table = table.clone();
    table.insert(name.to_owned(), value.clone());
    table.try_into().ok()
}

/// What a number that is too large for its place has to be: the bounds that the largest number which still
/// has a place there is refused with.
fn bounds_of(table: &Table, name: &str, wanted: &Value) -> String {
    let refused = [u32::MAX, u8::MAX.into()].into_iter().find_map(|largest| {
        let error = with(table, name, &Value::Integer(largest.into()))?.validate().err()?;
        (error.setting == name).then(|| error.mend.split(", and is ").next().unwrap_or_default().to_owned())
    });
    match refused {
        Some(bounds) => format!("{bounds}, and is {wanted}"),
        None => format!("cannot be {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, given: impl Into<Value>) -> String {
        match set_protocol(&mut Settings::default(), name, &given.into()) {
            Err(Unsettable::Value(mend)) => mend,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn every_setting_takes_its_own_value() {
        let table = Table::try_from(Settings::default()).unwrap();
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
            ("suspicion", Value::from("raft"), "has to be lifeguard or adaptive"),
            ("suspicion", Value::from(1), "has to be text in quotes, and is a whole number"),
        ] {
            assert_eq!(refused(name, given), told);
        }
    }

    #[test]
    fn a_name_that_is_none_is_told_apart() {
        let outcome = set_protocol(&mut Settings::default(), "probe_interval", &Value::from(1));
        let Err(Unsettable::Unknown(names)) = outcome else { panic!("{outcome:?}") };
        assert!(names.contains(&"probe_interval_ms".to_owned()));
    }
}
