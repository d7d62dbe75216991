//! A setting that cannot be used: which, and what would do. Typed, so that each program says it in its own words:
//! a file's key, a flag, a field.

use std::fmt;

use super::table::SettingValue;
use crate::error_text::listed;

/// A setting that cannot be used, and what would do. The text begins with the setting's name in files.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is none of this name.
    Unknown {
        /// What was given for a name.
        name: String,
    },
    /// A number out of its range.
    OutOfRange {
        /// The setting, as files name it.
        setting: &'static str,
        /// The smallest that it can be.
        min: SettingValue,
        /// The largest.
        max: SettingValue,
        /// What was given.
        got: String,
    },
    /// Text that is no value of the setting's kind.
    WrongKind {
        /// The setting, as files name it.
        setting: &'static str,
        /// What it can be, in words.
        expected: &'static str,
        /// What was given.
        got: String,
    },
    /// None of the names that there are.
    NotAmong {
        /// The setting, as files name it.
        setting: &'static str,
        /// The names that there are.
        names: &'static [&'static str],
    },
    /// Two settings that do not fit together.
    NotShorter {
        /// The setting that is too long.
        setting: &'static str,
        /// The one that it has to be shorter than.
        other: &'static str,
        /// What was given, in milliseconds.
        got: u64,
        /// What the other one is, in milliseconds.
        limit: u64,
    },
}

crate::error_text::debug_is_the_sentence!(SettingsError);

impl SettingsError {
    /// The setting's name in files.
    pub fn setting(&self) -> &str {
        match self {
            SettingsError::Unknown { name } => name,
            SettingsError::OutOfRange { setting, .. }
            | SettingsError::WrongKind { setting, .. }
            | SettingsError::NotAmong { setting, .. }
            | SettingsError::NotShorter { setting, .. } => setting,
        }
    }

    /// What it has to be, to follow its name, without what was given: for where that is shown already.
    pub fn required(&self) -> String {
        match self {
            SettingsError::Unknown { .. } => "is no setting".to_owned(),
            SettingsError::OutOfRange { min, max, .. } => format!("has to be between {min} and {max}"),
            SettingsError::WrongKind { expected, .. } => format!("has to be {expected}"),
            SettingsError::NotAmong { names, .. } => format!("has to be {}", listed(names)),
            SettingsError::NotShorter { other, got, limit, .. } => {
                format!("has to be shorter than {other}: {got} is not below {limit}")
            }
        }
    }

    /// What it has to be, and what was given: the sentence without the setting's name.
    pub fn expected(&self) -> String {
        let required = self.required();
        match self {
            SettingsError::OutOfRange { got, .. } => format!("{required}, and is {got}"),
            SettingsError::WrongKind { got, .. } => format!("{required}, not `{got}`"),
            _ => required,
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.setting(), self.expected())
    }
}

impl std::error::Error for SettingsError {}
