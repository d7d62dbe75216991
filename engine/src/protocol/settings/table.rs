//! What a setting is: a name with its unit, a range, a value in each preset, and what it is for.
//!
//! Each of the protocol's settings is declared once, in `settings/mod.rs`, by [`settings_table`]. The fields of
//! [`Settings`](super::Settings), the presets, the keys of files, the flags of command lines, the checks and the
//! documentation's table all come from that declaration: adding a setting is one entry, and its use.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::error::SettingsError;
use super::{Dissemination, SuspicionMode};

/// A value of a setting, in the unit that its name ends with. In files it is the bare value.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// Milliseconds, bytes, percent, or a count.
    Whole(u64),
    /// A probability.
    Chance(f64),
    /// Yes or no.
    Flag(bool),
    /// One of a few names.
    Choice(&'static str),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingValue::Whole(value) => write!(formatter, "{value}"),
            SettingValue::Chance(value) if *value != 0.0 && *value < 1e-3 => write!(formatter, "{value:e}"),
            SettingValue::Chance(value) => write!(formatter, "{value}"),
            SettingValue::Flag(value) => write!(formatter, "{value}"),
            SettingValue::Choice(name) => formatter.write_str(name),
        }
    }
}

/// What a setting can be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SettingKind {
    /// A whole number, both ends of the range included.
    Whole {
        /// What it counts, as a command line's help names it: `MS`, `COUNT`, `BYTES`.
        unit: &'static str,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A probability, both ends of the range included.
    Chance {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// `true` or `false`.
    Flag,
    /// One of these names.
    Choice(&'static [&'static str]),
}

/// One setting: everything there is to know of it without a [`Settings`](super::Settings) at hand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Setting {
    /// Its name in files, with the unit last; a flag has dashes in place of underscores.
    pub name: &'static str,
    /// What it can be.
    pub kind: SettingKind,
    /// Its value in the presets LAN, WAN and local.
    pub presets: [SettingValue; 3],
    /// What it is for: a sentence for a command line's help, then more.
    pub documentation: &'static str,
}

impl Setting {
    /// A duration in whole milliseconds.
    pub const fn millis(name: &'static str, presets: [u64; 3], range: [u64; 2]) -> Setting {
        Setting::whole(name, "MS", presets, range)
    }

    /// A whole number of `unit`.
    pub const fn whole(
        name: &'static str,
        unit: &'static str,
        presets: [u64; 3],
        range: [u64; 2],
    ) -> Setting {
        let [lan, wan, local] = presets;
        let presets = [SettingValue::Whole(lan), SettingValue::Whole(wan), SettingValue::Whole(local)];
        let kind = SettingKind::Whole { unit, min: range[0], max: range[1] };
        Setting { name, kind, presets, documentation: "" }
    }

    /// A probability, the same in every preset.
    pub const fn chance(name: &'static str, preset: f64, range: [f64; 2]) -> Setting {
        let kind = SettingKind::Chance { min: range[0], max: range[1] };
        Setting { name, kind, presets: [SettingValue::Chance(preset); 3], documentation: "" }
    }

    /// Yes or no, the same in every preset.
    pub const fn flag(name: &'static str, preset: bool) -> Setting {
        let presets = [SettingValue::Flag(preset); 3];
        Setting { name, kind: SettingKind::Flag, presets, documentation: "" }
    }

    /// One of `names`; the first in every preset.
    pub const fn choice(name: &'static str, names: &'static [&'static str]) -> Setting {
        let presets = [SettingValue::Choice(names[0]); 3];
        Setting { name, kind: SettingKind::Choice(names), presets, documentation: "" }
    }

    /// The same, with what its declaration says of it.
    pub const fn documented(mut self, documentation: &'static str) -> Setting {
        self.documentation = documentation;
        self
    }

    /// The first sentence of its documentation, without the full stop.
    pub fn summary(&self) -> &'static str {
        let text = self.documentation.trim();
        text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
    }

    /// Reads a value from text.
    ///
    /// # Errors
    /// [`SettingsError`], typed, if it is of another kind or out of range.
    pub fn parse(&self, text: &str) -> Result<SettingValue, SettingsError> {
        let expected = |expected| SettingsError::WrongKind {
            setting: self.name,
            expected,
            got: text.chars().take(GOT_SHOWN_MAX).collect(),
        };
        let value = match self.kind {
            SettingKind::Whole { .. } => match text.trim().parse::<u64>() {
                Ok(value) => SettingValue::Whole(value),
                // Too large for us to hold is out of range, whatever it is.
                Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => {
                    return Err(self.out_of_range(text.trim().to_owned()));
                }
                Err(_) => return Err(expected("a whole number")),
            },
            SettingKind::Chance { .. } => match text.trim().parse::<f64>() {
                Ok(value) => SettingValue::Chance(value),
                Err(_) => return Err(expected("a number")),
            },
            SettingKind::Flag => match text.trim() {
                "true" => SettingValue::Flag(true),
                "false" => SettingValue::Flag(false),
                _ => return Err(expected("true or false")),
            },
            SettingKind::Choice(names) => match names.iter().find(|name| **name == text.trim()) {
                Some(name) => SettingValue::Choice(name),
                None => {
                    return Err(SettingsError::NotAmong { setting: self.name, names });
                }
            },
        };
        self.check(value)?;
        Ok(value)
    }

    /// Refuses what is out of range.
    ///
    /// # Errors
    /// [`SettingsError::OutOfRange`].
    pub fn check(&self, value: SettingValue) -> Result<(), SettingsError> {
        let inside = match (self.kind, value) {
            (SettingKind::Whole { min, max, .. }, SettingValue::Whole(value)) => (min..=max).contains(&value),
            (SettingKind::Chance { min, max }, SettingValue::Chance(value)) => (min..=max).contains(&value),
            (SettingKind::Flag, SettingValue::Flag(_)) => true,
            (SettingKind::Choice(names), SettingValue::Choice(name)) => names.contains(&name),
            _ => false,
        };
        if inside { Ok(()) } else { Err(self.out_of_range(value.to_string())) }
    }

    fn out_of_range(&self, got: String) -> SettingsError {
        let (min, max) = match self.kind {
            SettingKind::Whole { min, max, .. } => (SettingValue::Whole(min), SettingValue::Whole(max)),
            SettingKind::Chance { min, max } => (SettingValue::Chance(min), SettingValue::Chance(max)),
            SettingKind::Flag => (SettingValue::Flag(false), SettingValue::Flag(true)),
            SettingKind::Choice(names) => {
                return SettingsError::NotAmong { setting: self.name, names };
            }
        };
        SettingsError::OutOfRange { setting: self.name, min, max, got }
    }
}

/// Characters of a refused value that are repeated in the error.
const GOT_SHOWN_MAX: usize = 80;

/// A type that a setting has in code.
pub(super) trait Field: Sized {
    /// Its value, as settings are compared and written.
    fn read(&self) -> SettingValue;

    /// From a value that was checked; `None` if it is of another kind or too large for the type.
    fn of(value: SettingValue) -> Option<Self>;
}

impl Field for Duration {
    fn read(&self) -> SettingValue {
        SettingValue::Whole(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }

    fn of(value: SettingValue) -> Option<Duration> {
        whole(value).map(Duration::from_millis)
    }
}

impl Field for bool {
    fn read(&self) -> SettingValue {
        SettingValue::Flag(*self)
    }

    fn of(value: SettingValue) -> Option<bool> {
        if let SettingValue::Flag(value) = value { Some(value) } else { None }
    }
}

impl Field for f64 {
    fn read(&self) -> SettingValue {
        SettingValue::Chance(*self)
    }

    fn of(value: SettingValue) -> Option<f64> {
        if let SettingValue::Chance(value) = value { Some(value) } else { None }
    }
}

impl Field for SuspicionMode {
    fn read(&self) -> SettingValue {
        SettingValue::Choice(self.as_str())
    }

    fn of(value: SettingValue) -> Option<SuspicionMode> {
        let SettingValue::Choice(name) = value else { return None };
        SuspicionMode::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

impl Field for Dissemination {
    fn read(&self) -> SettingValue {
        SettingValue::Choice(self.as_str())
    }

    fn of(value: SettingValue) -> Option<Dissemination> {
        let SettingValue::Choice(name) = value else { return None };
        Dissemination::ALL.into_iter().find(|way| way.as_str() == name)
    }
}

fn whole(value: SettingValue) -> Option<u64> {
    if let SettingValue::Whole(value) = value { Some(value) } else { None }
}

macro_rules! whole_field {
    ($($type:ty),+) => { $(
        impl Field for $type {
            fn read(&self) -> SettingValue {
                SettingValue::Whole(*self as u64)
            }

            fn of(value: SettingValue) -> Option<$type> {
                whole(value).and_then(|value| value.try_into().ok())
            }
        }
    )+ };
}

whole_field!(u8, u32, usize);

/// A value of the declaration in the type that the field has. Every declaration is tried by a test.
pub(super) fn declared<T: Field + Default>(value: SettingValue) -> T {
    T::of(value).unwrap_or_default()
}

/// Declares [`Settings`](super::Settings) and everything that is derived from the declaration.
macro_rules! settings_table {
    ($( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $make:ident($name:literal, $($given:expr),+); )+) => {
        /// The constants of the protocol. In files each field has a name with its unit last; `protocol::SETTINGS` lists
        /// them with their ranges and their values in each preset.
        ///
        /// Made with `default` or [`Settings::preset`] and changed field by field: later releases have more of them.
        #[derive(Clone, PartialEq, Debug)]
        #[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
        pub struct Settings {
            $(
                $(#[doc = $doc])+
                ///
                #[doc = concat!("In files `", $name, "`. Presets and range: `", stringify!($($given),+), "`.")]
                pub $field: $type,
            )+
        }

        /// Every setting of the protocol, in the order of the documentation.
        pub const SETTINGS: &[Setting] =
            &[ $( Setting::$make($name, $($given),+).documented(concat!($($doc),+)) ),+ ];

        impl Settings {
            /// The settings of `preset`.
            pub fn preset(preset: Preset) -> Settings {
                Settings {
                    $( $field: declared(Setting::$make($name, $($given),+).presets[preset as usize]), )+
                }
            }

            /// The value of the setting that files call `name`.
            pub fn get(&self, name: &str) -> Option<SettingValue> {
                match name {
                    $( $name => Some(self.$field.read()), )+
                    _ => None,
                }
            }

            /// Writes a value into the field of `setting`; `false` if the field's type cannot hold it.
            fn put(&mut self, setting: &Setting, value: SettingValue) -> bool {
                match setting.name {
                    $( $name => Field::of(value).map(|value| self.$field = value).is_some(), )+
                    _ => false,
                }
            }
        }
    };
}

pub(super) use settings_table;
