//! The command line: what is asked for, one file per command.
//!
//! Each command's file has its flags as typed (`…Arguments`), a check that turns them into options which
//! every later part may trust, and `command`, which does what was asked. What is refused is one line per
//! fault that names the flag and the mend.

pub mod compare;
pub mod model;
pub mod recommend;
mod said;
pub mod simulate;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use swimring_tooling::exit::Exit;
use swimring_tooling::layers::{Origins, Sources, layered, switchable};
use swimring_tooling::manual::{CompletionsArguments, ManArguments};
use swimring_tooling::output::{self, is_standard_output};
use swimring_tooling::refusal::Refusal;
use toml::{Table, Value};

/// The program's name in messages.
pub const PROGRAM: &str = "swimring-tune";

const EXAMPLES: &str = "\
Examples:
  swimring-tune recommend --members 500 --loss 1% --detect-p99 6s --report answer.html
                                                       settings from limits
  swimring-tune recommend --members 300 --for consul --detect-p99 8s
  swimring-tune simulate --members 1000 --crashes 20 --loss 1%
                                                       a cluster in virtual time
  swimring-tune model --members 160 --fanout 4 --strategy push --loss 5%
                                                       how push, pull and push-pull spread news
  swimring-tune compare --members 20,100               where the formulas hold

Every flag may also stand in the environment: --members as SWIMRING_MEMBERS. What is typed wins over it, and it
wins over a file.

Exit status: 0 done; 1 could not run; 2 bad arguments; 99 of recommend: the limits cannot be met together, or
the chosen settings missed one, or that is not sure.";

/// From an objective to fanout, intervals and suspicion settings.
#[derive(Parser, Debug)]
#[command(name = PROGRAM, version = crate::BUILD.line, about, after_help = EXAMPLES)]
#[command(max_term_width = 100, subcommand_required = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Flags whose values were not typed.
    #[arg(skip)]
    pub origins: Origins,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Shows how news spreads, round by round, from formulas and from simulations
    #[command(after_help = model::EXAMPLES)]
    Model(Box<model::ModelArguments>),
    /// Holds the closed forms against the simulator, over a grid
    #[command(after_help = compare::EXAMPLES)]
    Compare(Box<compare::CompareArguments>),
    /// Chooses settings for an objective, confirms them by simulation, and says what they cost
    #[command(after_help = recommend::EXAMPLES)]
    Recommend(Box<recommend::RecommendArguments>),
    /// Simulates a cluster with many seeds, over a grid of settings
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(Box<simulate::SimulateArguments>),
    /// Prints the completions for a shell
    Completions(CompletionsArguments),
    /// Prints the manual page of the program or of a command
    Man(ManArguments),
}

/// Why a command did not do what it was asked to; one line per fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Bad arguments: each line names the flag and the mend.
    BadArguments(Vec<String>),
    /// Could not run, like a file that cannot be written.
    CouldNotRun(String),
}

impl Faults {
    /// The lines to print.
    pub fn lines(&self) -> &[String] {
        match self {
            Faults::BadArguments(lines) => lines,
            Faults::CouldNotRun(line) => std::slice::from_ref(line),
        }
    }

    /// What to exit with.
    pub const fn exit(&self) -> Exit {
        match self {
            Faults::BadArguments(_) => Exit::BadArguments,
            Faults::CouldNotRun(_) => Exit::CouldNotRun,
        }
    }
}

/// Whether one of these flags' files is `-`: then standard output is its, and has no text besides.
///
/// # Errors
/// If several are.
pub(crate) fn to_standard_output(files: &[(&str, &Option<PathBuf>)]) -> Result<bool, Vec<String>> {
    let is_it = |file: &&(&str, &Option<PathBuf>)| file.1.as_deref().is_some_and(is_standard_output);
    let there: Vec<&str> = files.iter().filter(is_it).map(|(flag, _)| *flag).collect();
    match there.as_slice() {
        [first, second, ..] => {
            Err(vec![format!("{second} -: {first} goes to standard output too; name a file for one of them")])
        }
        one => Ok(!one.is_empty()),
    }
}

/// The whole command line, as it is parsed, completed and documented.
fn program() -> clap::Command {
    switchable(Cli::command())
}

/// Parses a command line whose first item is the program, without a look at the environment.
///
/// # Errors
/// What clap refuses, and what it answers to `--help` and `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Refusal> {
    parse_with(arguments, &|_| None)
}

/// The same, with the environment's variables by name for what was not typed.
///
/// # Errors
/// As [`parse`], and a line for each variable that cannot be used.
pub fn parse_with(
    arguments: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Cli, Refusal> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let (matches, origins) = layered(&program(), &arguments, &Variables(variable))?;
    Ok(Cli { origins, ..Cli::from_arg_matches(&matches)? })
}

/// The environment. A scenario and an objective file have more than flags in them, and are read by their commands.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Sources for Variables<'_> {
    fn file_flag(&self, _command: &str) -> Option<&'static str> {
        None
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        (self.0)(name)
    }

    fn read(&self, _path: &Path) -> Result<Table, String> {
        Ok(Table::new())
    }

    fn values(&self, _name: &str, _value: &Value) -> Option<Result<Vec<String>, String>> {
        None
    }

    fn hint(&self, _key: &str, _known: &[String]) -> String {
        String::new()
    }

    fn alternatives(&self) -> &[&[&str]] {
        &[
            &["rtt-ms", "regions"],
            &["rtt-sigma", "regions"],
            &["max-cores", "max-cpu-us"],
            &["forms-only", "time"],
            &["forms-only", "effort"],
            &["forms-only", "seed"],
            &["forms-only", "threads"],
        ]
    }
}

/// Prints the completions for a shell.
///
/// # Errors
/// If standard output does not take them.
pub fn completions(arguments: &CompletionsArguments) -> Result<Exit, Faults> {
    output::print(&arguments.script(program())).map_err(Faults::CouldNotRun)?;
    Ok(Exit::Done)
}

/// Prints a manual page.
///
/// # Errors
/// If there is no such command, or standard output does not take the page.
pub fn man(arguments: &ManArguments) -> Result<Exit, Faults> {
    let page = arguments.page(program()).map_err(|fault| Faults::BadArguments(vec![fault]))?;
    output::print(&page).map_err(Faults::CouldNotRun)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
