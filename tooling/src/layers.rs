//! Where a flag's value comes from: the command line, then the environment, then a file, then its default.
//!
//! [`layered`] works on the flags that a command declares, and on nothing else: what was not typed is looked for in
//! the environment (`--probe-interval-ms` as `SWIMRING_PROBE_INTERVAL_MS`) and then in the file that the command's
//! file flag names (`probe_interval_ms`, or with dashes), and is put into the command line as if it had been typed.
//! So every level is parsed and checked by the same code, and a new flag is in all of them at once. [`Origins`]
//! remembers which level a value came from: a fault is told in the words of the place that has to be changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

use crate::refusal::{Refusal, joined};

/// What the name of every environment variable begins with.
pub const PREFIX: &str = "SWIMRING_";

/// Where values come from besides the command line, and what only the program knows of its files.
pub trait Sources {
    /// The flag that names the file of `command`, without dashes; `None` where the command reads none.
    fn file_flag(&self, command: &str) -> Option<&'static str>;

    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// Reads a file.
    ///
    /// # Errors
    /// One line without the file's name.
    fn read(&self, path: &Path) -> Result<Table, String>;

    /// The values of the key `name` (with underscores) as flags take them, where the program knows its kind better
    /// than [`plain`] does.
    ///
    /// # Errors
    /// What the value has to be, to follow the key.
    fn values(&self, name: &str, value: &Value) -> Option<Result<Vec<String>, String>>;

    /// What a key that is none of `known` may have meant, to follow "unknown key".
    fn hint(&self, key: &str, known: &[String]) -> String;

    /// Flags that say the same thing in other ways: given at a higher level, one takes the place of the others at
    /// the levels below.
    fn alternatives(&self) -> &[&[&str]] {
        &[]
    }
}

/// The level that a value came from. The first is the highest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An environment variable.
    Environment(String),
    /// A key of a file.
    File {
        /// The flag that names the file, without dashes.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The key, as it is written there.
        key: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Environment(name) => out.write_str(name),
            Origin::File { flag, path, key } => write!(out, "--{flag} {}: {key}", path.display()),
        }
    }
}

/// The flags whose values were not typed, by name without dashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// The level that the value of a flag came from; `None` if it was typed or is the default.
    pub fn of(&self, flag: &str) -> Option<&Origin> {
        self.0.get(flag)
    }

    /// The variables of the environment that were used.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|origin| match origin {
            Origin::Environment(name) => Some(name.as_str()),
            Origin::File { .. } => None,
        })
    }

    /// A fault that begins with a flag, in the words of the place where the value is.
    pub fn told(&self, fault: String) -> String {
        let Some(rest) = fault.strip_prefix("--") else { return fault };
        let end = rest.find([' ', ':']).unwrap_or(rest.len());
        match self.of(&rest[..end]) {
            Some(origin) => format!("{origin}{}", &rest[end..]),
            None => fault,
        }
    }
}

/// Keeps this process's environment from the flags of `program`, which is started with flags of its own.
pub fn shielded(program: &mut std::process::Command) -> &mut std::process::Command {
    let is_flag = |name: &OsString| name.to_string_lossy().starts_with(PREFIX);
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(is_flag)
        .fold(program, |program, name| program.env_remove(name))
}

/// `command` with its switches as flags that may also be turned off: `--quiet` is `--quiet=true`, and
/// `--quiet=false` wins over a file that says `quiet = true`.
pub fn switchable(command: Command) -> Command {
    command.mut_subcommands(|command| command.mut_args(switch))
}

fn switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .hide_default_value(true)
        .value_name("BOOL")
        .value_parser(ValueParser::new(truth))
}

/// Reads `true` or `false`, and the other words for them.
fn truth(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("has to be true or false".to_owned()),
    }
}

/// Parses `arguments`, the first of which is the program, with what `sources` have for the flags that were not
/// typed. The command is made with [`switchable`].
///
/// # Errors
/// What clap refuses, or one line for each value of the environment and the file that cannot be used.
pub fn layered(
    program: &Command,
    arguments: &[OsString],
    sources: &dyn Sources,
) -> Result<(ArgMatches, Origins), Refusal> {
    // What is required may stand in the file: only the second look asks for it.
    let optional = |arg: Arg| if arg.get_long().is_some() { arg.required(false) } else { arg };
    let lenient = program.clone().mut_subcommands(|command| command.mut_args(optional));
    let typed = lenient.try_get_matches_from(arguments);
    let found = typed.as_ref().ok().and_then(ArgMatches::subcommand);
    let known = found.and_then(|(name, typed)| Some((program.find_subcommand(name)?, typed)));
    let Some((command, typed)) = known else {
        let matches = program.clone().try_get_matches_from(arguments)?;
        return Ok((matches, Origins::default()));
    };
    let layers = Layers { program, command, typed, sources };
    let (flags, origins) = layers.collect().map_err(Refusal::Faults)?;
    let after = 1 + arguments.iter().position(|argument| argument == command.get_name()).unwrap_or(0);
    let mut all = arguments.to_vec();
    all.splice(after..after, flags);
    Ok((program.clone().try_get_matches_from(all)?, origins))
}

/// The values of a flag, and where they are.
struct Found<'a> {
    arg: &'a Arg,
    origin: Origin,
    texts: Vec<String>,
}

/// Flags to put into the command line, and where they came from.
type Collected = (Vec<OsString>, Origins);

struct Layers<'a> {
    program: &'a Command,
    command: &'a Command,
    typed: &'a ArgMatches,
    sources: &'a dyn Sources,
}

impl Layers<'_> {
    fn collect(&self) -> Result<Collected, Vec<String>> {
        let mut faults = Vec::new();
        let mut collected = Collected::default();
        let typed: Vec<&str> =
            self.flags().filter(|(arg, _)| self.is_typed(arg)).map(|(_, long)| long).collect();
        let environment = self.environment(&typed);
        let mut given = typed;
        given.extend(environment.iter().filter_map(|found| found.arg.get_long()));
        let file = self.file(&given, &environment).unwrap_or_else(|more| {
            faults.extend(more);
            Vec::new()
        });
        for found in environment.into_iter().chain(file) {
            faults.extend(take(found, &mut collected));
        }
        if faults.is_empty() { Ok(collected) } else { Err(faults) }
    }

    /// The flags that can have a value: all but `--help` and the like.
    fn flags(&self) -> impl Iterator<Item = (&Arg, &str)> {
        let valued = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        self.command.get_arguments().filter(valued).filter_map(|arg| Some((arg, arg.get_long()?)))
    }

    fn is_typed(&self, arg: &Arg) -> bool {
        self.typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    }

    /// Whether `long`, or what says the same in another way, is `given` at a higher level.
    fn is_given(&self, long: &str, given: &[&str]) -> bool {
        let said = |other: &&str| given.contains(other);
        let alternatives = self.sources.alternatives().iter().filter(|group| group.contains(&long));
        said(&long) || alternatives.copied().flatten().any(said)
    }

    /// What the environment has for flags that are not `given`. A variable that is empty is as none.
    fn environment(&self, given: &[&str]) -> Vec<Found<'_>> {
        let looked_up = self.flags().filter(|(_, long)| !self.is_given(long, given));
        let found = looked_up.filter_map(|(arg, long)| {
            let name = format!("{PREFIX}{}", long.replace('-', "_").to_uppercase());
            let text = self.sources.variable(&name)?.to_string_lossy().into_owned();
            let repeated = matches!(arg.get_action(), ArgAction::Append);
            let texts: Vec<String> = if repeated {
                text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
            } else {
                Some(text).into_iter().filter(|text| !text.is_empty()).collect()
            };
            (!texts.is_empty()).then_some(Found { arg, origin: Origin::Environment(name), texts })
        });
        found.collect()
    }

    /// What the file has for flags that are not `given`.
    fn file(&self, given: &[&str], environment: &[Found<'_>]) -> Result<Vec<Found<'_>>, Vec<String>> {
        let Some(flag) = self.sources.file_flag(self.command.get_name()) else { return Ok(Vec::new()) };
        let typed = || Some(PathBuf::from(self.typed.get_raw(flag)?.next()?));
        let named = environment.iter().find(|found| found.arg.get_long() == Some(flag));
        let Some(path) = typed().or_else(|| Some(PathBuf::from(named?.texts.first()?))) else {
            return Ok(Vec::new());
        };
        let table = self.sources.read(&path);
        let table = table.map_err(|fault| vec![format!("--{flag} {}: {fault}", path.display())])?;
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        let mut longs: Vec<String> = Vec::new();
        for (key, value) in table {
            let long = key.replace('_', "-");
            let origin = Origin::File { flag, path: path.clone(), key: key.clone() };
            let arg = self.flags().find(|(_, other)| *other == long && *other != flag);
            let Some((arg, _)) = arg else {
                faults.push(format!("--{flag} {}: {}", path.display(), self.unknown(&key, &long, flag)));
                continue;
            };
            if longs.contains(&long) {
                faults.push(format!("{origin} stands there twice, with dashes and with underscores"));
            }
            match self.values(arg, &long, &value) {
                Ok(texts) if !self.is_given(&long, given) => found.push(Found { arg, origin, texts }),
                Ok(_) => {}
                Err(fault) => faults.push(format!("{origin} {fault}")),
            }
            longs.push(long);
        }
        if faults.is_empty() { Ok(found) } else { Err(faults) }
    }

    fn values(&self, arg: &Arg, long: &str, value: &Value) -> Result<Vec<String>, String> {
        let name = long.replace('-', "_");
        let repeated = matches!(arg.get_action(), ArgAction::Append);
        self.sources.values(&name, value).unwrap_or_else(|| plain(value, repeated))
    }

    /// Why a key is refused.
    fn unknown(&self, key: &str, long: &str, file_flag: &str) -> String {
        let has = |command: &&Command| {
            self.sources.file_flag(command.get_name()).is_some()
                && command.get_arguments().any(|arg| arg.get_long() == Some(long) && long != file_flag)
        };
        if let Some(other) = self.program.get_subcommands().find(has) {
            return format!("{key} is for {}, and not for {}", other.get_name(), self.command.get_name());
        }
        let known = self.flags().map(|(_, long)| long).filter(|long| *long != file_flag);
        let known: Vec<String> = known.map(|long| long.replace('-', "_")).collect();
        format!("unknown key {key}{}", self.sources.hint(key, &known))
    }
}

/// A value of a file as a flag takes it; a list as often as the flag is `repeated`.
///
/// # Errors
/// What it has to be, to follow the key.
pub fn plain(value: &Value, repeated: bool) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(truth) => Ok(truth.to_string()),
        Value::Datetime(_) => Err("cannot be a date".to_owned()),
        Value::Array(_) => Err("takes one value, and is a list".to_owned()),
        Value::Table(_) => Err("cannot be a table".to_owned()),
    };
    match value {
        Value::Array(values) if repeated => values.iter().map(one).collect(),
        value => one(value).map(|text| vec![text]),
    }
}

/// Puts a flag with its values into the command line. Faults: those that it does not take.
fn take(found: Found<'_>, into: &mut Collected) -> Vec<String> {
    let Found { arg, origin, texts } = found;
    let long = arg.get_long().unwrap_or_default();
    let mut faults = Vec::new();
    for text in texts {
        let flag = OsString::from(format!("--{long}={text}"));
        let alone = Command::new("alone").no_binary_name(true).disable_help_flag(true);
        match alone.arg(arg.clone().required(false)).try_get_matches_from([&flag]) {
            Ok(_) => into.0.push(flag),
            Err(error) => faults.push(format!("{origin} {text}: {}", expected(&error))),
        }
    }
    into.1.0.insert(long.to_owned(), origin);
    faults
}

/// What a value that clap refuses has to be.
fn expected(error: &clap::Error) -> String {
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && !valid.is_empty()
    {
        return format!("has to be one of {}", valid.join(", "));
    }
    std::error::Error::source(error).map_or_else(|| joined(error, None), ToString::to_string)
}

#[cfg(test)]
#[path = "layers_test.rs"]
mod tests;
