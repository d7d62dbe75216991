//! The binary `swimring-tune`: parses, dispatches, and turns the outcome into an exit status.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

use std::process::ExitCode;

use swimring_loadgen::exit::Exit;
use swimring_tuning::cli::{self, Command, PROGRAM};

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli.command,
        Err(error) if !error.use_stderr() => {
            // --help and --version: not faults. A closed pipe is none either.
            let _ = error.print();
            return Exit::Done.into();
        }
        Err(error) => {
            complain(&[format!("{} (try --help)", cli::one_line(&error))]);
            return Exit::BadArguments.into();
        }
    };
    let outcome = match command {
        Command::Model(arguments) => cli::model::command(&arguments),
        Command::Compare(arguments) => cli::compare::command(&arguments),
        Command::Recommend(arguments) => cli::recommend::command(&arguments),
        Command::Simulate(arguments) => cli::simulate::command(&arguments),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(faults) => {
            complain(faults.lines());
            faults.exit().into()
        }
    }
}

fn complain(faults: &[String]) {
    for fault in faults {
        eprintln!("{PROGRAM}: {fault}");
    }
}
