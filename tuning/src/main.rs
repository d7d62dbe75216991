//! The binary `swimring-tune`: parses, dispatches, and turns the outcome into an exit status.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

use std::process::ExitCode;

use swimring_tooling::refusal::{complain, parsed};
use swimring_tuning::cli::{self, Command, PROGRAM};

fn main() -> ExitCode {
    let command = match parsed(PROGRAM, cli::parse(std::env::args_os())) {
        Ok(cli) => cli.command,
        Err(exit) => return exit.into(),
    };
    let outcome = match command {
        Command::Model(arguments) => cli::model::command(&arguments),
        Command::Compare(arguments) => cli::compare::command(&arguments),
        Command::Recommend(arguments) => cli::recommend::command(&arguments),
        Command::Simulate(arguments) => cli::simulate::command(&arguments),
        Command::Completions(arguments) => cli::completions(&arguments),
        Command::Man(arguments) => cli::man(&arguments),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(faults) => {
            complain(PROGRAM, faults.lines());
            faults.exit().into()
        }
    }
}
