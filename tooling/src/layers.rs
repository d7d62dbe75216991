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
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    enum Cooking {
        Fry(Fry),
        Bake {
            #[arg(long)]
            recipe: Option<PathBuf>,
            #[arg(long)]
            crust: Option<String>,
        },
        Wash,
    }

    #[derive(clap::Args, Debug, PartialEq)]
    struct Fry {
        #[arg(long)]
        recipe: Option<PathBuf>,
        #[arg(long, required = true, value_delimiter = ',')]
        fish: Vec<String>,
        #[arg(long, default_value_t = 5)]
        deep_mm: u8,
        #[arg(long, short)]
        quick: bool,
        #[arg(long, value_parser = ["low", "high"])]
        heat: Option<String>,
        #[arg(long)]
        note: Vec<String>,
        #[arg(long)]
        salt: Option<String>,
        #[arg(long)]
        salt_file: Option<PathBuf>,
    }

    /// Variables and a file.
    struct Kitchen<'a>(&'a [(&'a str, &'a str)], &'a str);

    impl Sources for Kitchen<'_> {
        fn file_flag(&self, command: &str) -> Option<&'static str> {
            (command != "wash").then_some("recipe")
        }

        fn variable(&self, name: &str) -> Option<OsString> {
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        }

        fn read(&self, path: &Path) -> Result<Table, String> {
            assert_eq!(path, Path::new("r.toml"));
            toml::from_str(self.1).map_err(|error| error.message().to_owned())
        }

        fn values(&self, name: &str, value: &Value) -> Option<Result<Vec<String>, String>> {
            let is_text = name == "deep_mm" && value.is_str();
            is_text.then(|| Err("has to be a number".to_owned()))
        }

        fn hint(&self, _: &str, known: &[String]) -> String {
            format!(", of {}", known.len())
        }

        fn alternatives(&self) -> &[&[&str]] {
            &[&["salt", "salt-file"]]
        }
    }

    fn cooked(line: &[&str], kitchen: &Kitchen<'_>) -> Result<(Fry, Origins), String> {
        use clap::{CommandFactory, FromArgMatches};
        let arguments: Vec<OsString> =
            std::iter::once("cook").chain(line.iter().copied()).map(Into::into).collect();
        match layered(&switchable(Cooking::command()), &arguments, kitchen) {
            Ok((matches, origins)) => match Cooking::from_arg_matches(&matches).unwrap() {
                Cooking::Fry(fry) => Ok((fry, origins)),
                other => Err(format!("{other:?}")),
            },
            Err(Refusal::Clap(error)) => Err(joined(&error, None)),
            Err(Refusal::Faults(faults)) => Err(faults.join("\n")),
        }
    }

    const RECIPE: &[&str] = &["fry", "--recipe", "r.toml"];

    #[test]
    fn each_level_wins_over_the_next() {
        let file =
            "fish = [\"cod\", \"eel\"]\ndeep-mm = 7\nquick = true\nheat = \"low\"\nnote = [\"a\", \"b\"]";
        let (fry, origins) = cooked(RECIPE, &Kitchen(&[], file)).unwrap();
        assert_eq!((fry.fish, fry.deep_mm, fry.quick), (vec!["cod".to_owned(), "eel".to_owned()], 7, true));
        assert_eq!((fry.heat.as_deref(), fry.note), (Some("low"), vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(origins.of("deep-mm").unwrap().to_string(), "--recipe r.toml: deep-mm");

        let environment = [
            ("SWIMRING_FISH", "hake,ray"),
            ("SWIMRING_DEEP_MM", "8"),
            ("SWIMRING_QUICK", "no"),
            ("SWIMRING_HEAT", ""),
            ("SWIMRING_NOTE", "c, d\ne\n"),
        ];
        let (fry, _) = cooked(RECIPE, &Kitchen(&environment, file)).unwrap();
        assert_eq!((fry.fish, fry.deep_mm, fry.quick), (vec!["hake".to_owned(), "ray".to_owned()], 8, false));
        let notes = vec!["c, d".to_owned(), "e".to_owned()];
        assert_eq!((fry.heat.as_deref(), fry.note), (Some("low"), notes), "what is empty is not there");

        let typed = ["--fish", "trout", "--deep-mm", "9", "-q", "--heat", "high", "--note", "f"];
        let (fry, origins) = cooked(&[RECIPE, &typed].concat(), &Kitchen(&environment, file)).unwrap();
        assert_eq!((fry.fish, fry.deep_mm, fry.quick), (vec!["trout".to_owned()], 9, true));
        assert_eq!((fry.heat.as_deref(), fry.note), (Some("high"), vec!["f".to_owned()]));
        assert_eq!(origins, Origins::default());
        let (fry, _) = cooked(&[RECIPE, &["--quick=false"]].concat(), &Kitchen(&[], file)).unwrap();
        assert!(!fry.quick);
    }

    #[test]
    fn the_file_itself_can_be_named_in_the_environment() {
        let kitchen = Kitchen(&[("SWIMRING_RECIPE", "r.toml")], "fish = \"cod\"");
        assert_eq!(cooked(&["fry"], &kitchen).unwrap().0.fish, ["cod"]);
        let other = Kitchen(&[("SWIMRING_RECIPE", "elsewhere.toml")], "fish = \"cod\"");
        assert_eq!(cooked(RECIPE, &other).unwrap().0.fish, ["cod"]);
    }

    #[test]
    fn what_says_the_same_takes_the_place_of_what_is_below() {
        let file = "fish = \"cod\"\nsalt = \"much\"";
        let typed = [RECIPE, &["--salt-file", "shaker"]].concat();
        let (fry, _) = cooked(&typed, &Kitchen(&[("SWIMRING_SALT", "little")], file)).unwrap();
        assert_eq!((fry.salt, fry.salt_file), (None, Some("shaker".into())));
        let (fry, _) = cooked(RECIPE, &Kitchen(&[("SWIMRING_SALT_FILE", "shaker")], file)).unwrap();
        assert_eq!((fry.salt, fry.salt_file), (None, Some("shaker".into())));
    }

    #[test]
    fn every_fault_is_told_where_it_is() {
        let fault = |environment: &[(&str, &str)], file: &str| {
            cooked(RECIPE, &Kitchen(environment, file)).unwrap_err()
        };
        for (environment, file, told) in [
            (&[][..], "fihs = 1", "--recipe r.toml: unknown key fihs, of 7"),
            (&[], "recipe = \"x\"", "--recipe r.toml: unknown key recipe, of 7"),
            (&[], "crust = \"x\"", "--recipe r.toml: crust is for bake, and not for fry"),
            (&[], "deep_mm = \"deep\"", "--recipe r.toml: deep_mm has to be a number"),
            (&[], "deep_mm = [1]", "--recipe r.toml: deep_mm takes one value, and is a list"),
            (&[], "heat = \"mild\"", "--recipe r.toml: heat mild: has to be one of low, high"),
            (&[], "quick = 2", "--recipe r.toml: quick 2: has to be true or false"),
            (&[], "fish = [{ a = 1 }]", "--recipe r.toml: fish cannot be a table"),
            (&[("SWIMRING_QUICK", "maybe")], "", "SWIMRING_QUICK maybe: has to be true or false"),
            (
                &[("SWIMRING_DEEP_MM", "300")],
                "heat = \"mild\"",
                "SWIMRING_DEEP_MM 300: 300 is not in 0..=255\n--recipe r.toml: heat mild: has to be one of low, high",
            ),
        ] {
            assert_eq!(fault(environment, file), told);
        }
        let twice = fault(&[], "deep_mm = 1\ndeep-mm = 2");
        assert!(twice.contains("stands there twice"), "{twice}");
    }

    #[test]
    fn what_nobody_says_is_missed_as_ever() {
        let missing = cooked(&["fry"], &Kitchen(&[], "")).unwrap_err();
        assert!(
            missing.starts_with("the following required arguments were not provided: --fish"),
            "{missing}"
        );
        assert_eq!(cooked(&["wash"], &Kitchen(&[("SWIMRING_FISH", "cod")], "")).unwrap_err(), "Wash");
        assert!(cooked(&["fry", "--fish", "cod", "-qq"], &Kitchen(&[], "")).is_err());
    }

    #[test]
    fn faults_of_later_checks_are_told_where_the_value_is() {
        let (_, origins) = cooked(RECIPE, &Kitchen(&[("SWIMRING_DEEP_MM", "8")], "fish = \"cod\"")).unwrap();
        for (fault, told) in [
            ("--deep-mm 8: too deep", "SWIMRING_DEEP_MM 8: too deep"),
            ("--fish: has bones", "--recipe r.toml: fish: has bones"),
            ("--heat low: too low", "--heat low: too low"),
            ("something else", "something else"),
        ] {
            assert_eq!(origins.told(fault.to_owned()), told);
        }
    }
}
