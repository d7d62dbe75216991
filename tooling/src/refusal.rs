//! Command lines that clap refuses, told in one line: for every program with commands.

use std::io::Write;

use crate::exit::Exit;
use crate::output;

/// What clap says in one line: what is wrong, or `fault` instead, and the mend where clap knows one.
pub fn joined(error: &clap::Error, fault: Option<String>) -> String {
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
pub fn parsed<T>(
    program: &str,
    outcome: Result<T, clap::Error>,
    one_line: fn(&clap::Error) -> String,
) -> Result<T, Exit> {
    outcome.map_err(|error| {
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
        complain(program, &[format!("{} (try --help)", one_line(&error))]);
        Exit::BadArguments
    })
}

/// Says each fault in a line on standard error.
pub fn complain(program: &str, faults: &[String]) {
    for fault in faults {
        output::tell(program, fault);
    }
}
