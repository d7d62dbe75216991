//! The protocol settings that a run may override: a flag and a line of the settings file for each, from the engine's
//! declaration.
//!
//! What is not given keeps the preset's value. The same names serve as flags (with dashes), as keys of the file given
//! with `--config`, and in the report's `settings`. A setting that the engine declares is a flag here without a word more.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::builder::{BoolValueParser, PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde_json::{Map, Value, json};
use swimring::protocol::{SETTINGS, Setting, SettingKind, SettingValue};
use swimring::{DriverChoice, Preset};

use super::values;

/// The settings' heading in the help; each line ends with the presets' values.
pub const HEADING: &str = "Protocol settings [lan / wan / local]";

/// How long one stream exchange may take: a setting of the stream service, not of the protocol. The presets are
/// memberlist's `TCPTimeout`.
pub static STREAM_TIMEOUT: Setting =
    Setting::millis("stream_timeout_ms", [10_000, 30_000, 1_000], [1, 3_600_000])
        .documented("Time allowed for one stream exchange.");

/// Follows the number of members, and is no flag.
const MEMBERS_MAX: &str = "members_max";

/// A setting, and its flag without the dashes in front.
struct Flag {
    setting: &'static Setting,
    long: String,
}

static FLAGS: LazyLock<Vec<Flag>> = LazyLock::new(|| {
    let flag = |setting: &'static Setting| Flag { setting, long: setting.name.replace('_', "-") };
    declared().map(flag).collect()
});

/// Every setting that can be overridden, in the order of the help.
pub fn declared() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.name != MEMBERS_MAX).chain([&STREAM_TIMEOUT])
}

/// The setting that files and reports call `name`.
pub fn named(name: &str) -> Option<&'static Setting> {
    declared().find(|setting| setting.name == name)
}

/// Reads a value as people write it on a command line: `10k`, `1e-6`, `true`. Its range is checked with the others'.
///
/// # Errors
/// What it has to be.
pub fn parse(setting: &Setting, text: &str) -> Result<SettingValue, String> {
    match setting.kind {
        SettingKind::Whole { unit: "MS", .. } => values::millis(text).map(SettingValue::Whole),
        SettingKind::Whole { .. } => values::count(text).map(SettingValue::Whole),
        SettingKind::Chance { .. } => values::number(text).map(SettingValue::Chance),
        SettingKind::Flag | SettingKind::Choice(_) => setting.parse(text).map_err(|error| error.required()),
    }
}

/// Reads a preset, and lists those there are in the help.
pub(super) fn preset_parser() -> impl TypedValueParser<Value = Preset> {
    let listed = |preset: Preset| {
        let about = match preset {
            Preset::Lan => "One data centre",
            Preset::Wan => "Across data centres",
            Preset::Local => "One machine",
        };
        PossibleValue::new(preset.as_str()).help(about)
    };
    PossibleValuesParser::new(Preset::ALL.map(listed)).try_map(|name| name.parse::<Preset>())
}

/// Reads a datagram driver.
pub(super) fn driver_parser() -> impl TypedValueParser<Value = DriverChoice> {
    let listed =
        |(driver, about): (DriverChoice, &'static str)| PossibleValue::new(driver.as_str()).help(about);
    let all = [
        (DriverChoice::Auto, "io_uring where the kernel permits it, else mmsg"),
        (DriverChoice::IoUring, "io_uring, or fail"),
        (DriverChoice::Mmsg, "sendmmsg and recvmmsg"),
    ];
    let values = all.map(listed).map(|value| match value.get_name() {
        "io_uring" => value.alias("io-uring"),
        _ => value,
    });
    PossibleValuesParser::new(values).try_map(|name| name.replace('-', "_").parse::<DriverChoice>())
}

/// Overrides of the preset's protocol settings, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProtocolSettings {
    given: BTreeMap<&'static str, SettingValue>,
}

impl ProtocolSettings {
    /// Overrides `setting`.
    pub fn set(&mut self, setting: &'static Setting, value: SettingValue) {
        self.given.insert(setting.name, value);
    }

    /// What was given for the setting `name`.
    pub fn get(&self, name: &str) -> Option<SettingValue> {
        self.given.get(name).copied()
    }

    /// The settings that were given, in the order of the help.
    pub fn values(&self) -> impl Iterator<Item = (&'static Setting, SettingValue)> + '_ {
        declared().filter_map(|setting| Some((setting, self.get(setting.name)?)))
    }

    /// The same by name, as a report has them.
    pub fn given(&self) -> Map<String, Value> {
        self.given.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

impl Args for ProtocolSettings {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, flag| command.arg(argument(flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        ProtocolSettings::augment_args(command)
    }
}

impl FromArgMatches for ProtocolSettings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<ProtocolSettings, clap::Error> {
        let mut settings = ProtocolSettings::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in declared() {
            if let Some(value) = matches.get_one::<SettingValue>(setting.name) {
                self.set(setting, *value);
            }
        }
        Ok(())
    }
}

/// The flag of a setting: its first sentence is the help, and its unit the value's name.
fn argument(flag: &'static Flag) -> Arg {
    let setting = flag.setting;
    let [lan, wan, local] = setting.presets;
    let (value_name, parser) = match setting.kind {
        SettingKind::Whole { unit, .. } => (unit, ValueParser::new(move |text: &str| parse(setting, text))),
        SettingKind::Chance { .. } => ("CHANCE", ValueParser::new(move |text: &str| parse(setting, text))),
        SettingKind::Flag => ("BOOL", ValueParser::new(BoolValueParser::new().map(SettingValue::Flag))),
        SettingKind::Choice(names) => {
            let one = PossibleValuesParser::new(names.iter().copied());
            ("MODE", ValueParser::new(one.try_map(move |name| setting.parse(&name))))
        }
    };
    Arg::new(setting.name)
        .long(flag.long.as_str())
        .value_name(value_name)
        .value_parser(parser)
        .help(format!("{} [{lan} / {wan} / {local}]", setting.summary()))
        .help_heading(HEADING)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Alone {
        #[command(flatten)]
        protocol: ProtocolSettings,
    }

    /// The last value that each setting can have.
    fn all_given() -> ProtocolSettings {
        let mut settings = ProtocolSettings::default();
        for setting in declared() {
            let value = match setting.kind {
                SettingKind::Whole { max, .. } => SettingValue::Whole(max),
                SettingKind::Chance { max, .. } => SettingValue::Chance(max),
                SettingKind::Flag => SettingValue::Flag(true),
                SettingKind::Choice(names) => SettingValue::Choice(names[names.len() - 1]),
            };
            settings.set(setting, value);
        }
        settings
    }

    fn only(name: &str, value: u64) -> ProtocolSettings {
        let mut settings = ProtocolSettings::default();
        settings.set(named(name).unwrap(), SettingValue::Whole(value));
        settings
    }

    #[test]
    fn every_setting_is_a_flag_but_the_one_that_follows_the_members() {
        let mut typed = vec!["alone".to_owned()];
        for (setting, value) in all_given().values() {
            typed.extend([format!("--{}", setting.name.replace('_', "-")), value.to_string()]);
        }
        assert_eq!(typed.len(), 1 + 2 * SETTINGS.len());
        assert_eq!(Alone::parse_from(typed).protocol, all_given());
        assert!(named(MEMBERS_MAX).is_none() && SETTINGS.iter().any(|setting| setting.name == MEMBERS_MAX));
    }

    #[test]
    fn only_what_was_given_is_listed() {
        assert!(ProtocolSettings::default().given().is_empty());
        let one = only("gossip_fanout", 5);
        assert_eq!(serde_json::to_string(&one.given()).unwrap(), r#"{"gossip_fanout":5}"#);
    }
}
