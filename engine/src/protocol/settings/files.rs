//! Settings in files: a flat table of names and values, in whatever format serde reads and writes.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{SETTINGS, SettingKind, Settings};

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(SETTINGS.len()))?;
        for (setting, value) in self.values() {
            map.serialize_entry(setting.name, &value)?;
        }
        map.end()
    }
}

/// What is not said has the LAN preset's value.
impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Settings, D::Error> {
        deserializer.deserialize_map(TableVisitor)
    }
}

struct TableVisitor;

impl<'de> Visitor<'de> for TableVisitor {
    type Value = Settings;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let mut settings = Settings::default();
        while let Some(name) = map.next_key::<String>()? {
            let setting = Settings::named(&name).map_err(de::Error::custom)?;
            let Scalar { text, quoted } = map.next_value()?;
            if quoted != matches!(setting.kind, SettingKind::Choice(_)) {
                let fault = if quoted { "cannot be text" } else { "has to be text" };
                return Err(de::Error::custom(format_args!("{name} {fault}")));
            }
            settings.set(&name, &text).map_err(de::Error::custom)?;
        }
        Ok(settings)
    }
}

/// A number, a truth value or a string, as the text that [`Settings::set`] reads.
struct Scalar {
    text: String,
    quoted: bool,
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, true or false, or a name")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar { text: value.to_string(), quoted: false })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar { text: value.to_string(), quoted: false })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar { text: value.to_string(), quoted: false })
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar { text: value.to_string(), quoted: false })
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar { text: value.to_owned(), quoted: true })
    }
}
