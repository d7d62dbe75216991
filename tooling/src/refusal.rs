//! Command lines that clap refuses, told in one line: for every program with commands.

use std::io::Write;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::Exit;
use crate::output;

/// Why a command line was refused, or what it asked for instead of a command.
#[derive(Debug)]
pub enum Refusal {
    /// By clap: a fault, `--help` or `--version`.
    Clap(clap::Error),
    /// A line for each value that cannot be used, with where it is.
    Faults(Vec<String>),
}

impl Refusal {
    /// The faults, one a line.
    pub fn lines<C: CommandFactory>(&self) -> Vec<String> {
        match self {
            Refusal::Clap(error) => vec![one_line::<C>(error)],
            Refusal::Faults(faults) => faults.clone(),
        }
    }
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Refusal {
        Refusal::Clap(error)
    }
}

/// A refused command line of `C` in one line: what is wrong, and the mend where clap knows one. Where a command is
/// missing or unknown, the mend is the list of them.
pub fn one_line<C: CommandFactory>(error: &clap::Error) -> String {
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(name))) => {
            joined(error, Some(format!("no command {name}; the commands are: {}", commands::<C>())))
        }
        (ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, _) => {
            format!("say what to do; the commands are: {}", commands::<C>())
        }
        _ => joined(error, None),
    }
}

/// The commands' names.
fn commands<C: CommandFactory>() -> String {
    let command = C::command();
    command.get_subcommands().map(clap::Command::get_name).collect::<Vec<_>>().join(", ")
}

/// What clap says in one line: what is wrong, or `fault` instead, and the mend where clap knows one.
pub(crate) fn joined(error: &clap::Error, fault: Option<String>) -> String {
    let rendered = error.render().to_string();
    let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines.next().unwrap_or("bad arguments").trim_start_matches("error: ");
    let mut line = fault.unwrap_or_else(|| said.to_owned());
    for more in lines.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more")) {
        line.push_str(if more.starts_with('[') || line.ends_with(':') { " " } else { "; " });
        line.push_str(more.trim_start_matches("tip: "));
    }
    line
}

/// What was parsed, or what `program` exits with, after it has said why.
///
/// # Errors
/// [`Exit::Done`] where `--help` or `--version` was asked for, else [`Exit::BadArguments`].
pub fn parsed<C: CommandFactory>(program: &str, outcome: Result<C, impl Into<Refusal>>) -> Result<C, Exit> {
    outcome.map_err(|refusal| {
        let error = match refusal.into() {
            Refusal::Clap(error) => error,
            Refusal::Faults(faults) => {
                complain(program, &faults);
                return Exit::BadArguments;
            }
        };
        if !error.use_stderr() {
            // --help and --version: not faults.
            return match output::told(error.print().and_then(|()| std::io::stdout().flush())) {
                Ok(()) => Exit::Done,
                Err(fault) => {
                    output::tell(program, &fault);
                    Exit::CouldNotRun
                }
            };
        }
        complain(program, &[format!("{} (try --help)", one_line::<C>(&error))]);
        Exit::BadArguments
    })
}

/// Says each fault in a line on standard error.
pub fn complain(program: &str, faults: &[String]) {
    for fault in faults {
        output::tell(program, fault);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    #[command(subcommand_required = true)]
    enum Cooking {
        Fry {
            #[arg(long, value_parser = crate::values::share)]
            salt: f64,
        },
        Boil,
    }

    fn refused(arguments: &[&str]) -> String {
        let line = std::iter::once("cook").chain(arguments.iter().copied());
        one_line::<Cooking>(&Cooking::try_parse_from(line).expect_err("it is refused"))
    }

    #[test]
    fn a_command_that_is_missing_or_unknown_is_answered_with_all_of_them() {
        assert_eq!(refused(&["bake"]), "no command bake; the commands are: fry, boil");
        assert_eq!(refused(&[]), "say what to do; the commands are: fry, boil");
        assert!(refused(&["boli"]).starts_with("no command boli; the commands are: fry, boil"));
    }

    #[test]
    fn anything_else_is_one_line_with_the_mend() {
        let fault = refused(&["fry", "--salt", "200%"]);
        assert!(
            fault.starts_with("invalid value '200%' for '--salt <SALT>': must be less than 100 %"),
            "{fault}"
        );
        for fault in [refused(&["fry"]), refused(&["fry", "--slat", "1%"])] {
            assert!(fault.contains("--salt") && !fault.contains('\n'), "{fault}");
        }
    }
}
