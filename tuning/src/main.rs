//! The binary `swimring-tune`: parses, dispatches, and turns the outcome into an exit status.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

use std::process::ExitCode;

use swimring_tooling::refusal::{complain, parsed};
use swimring_tuning::cli::{self, Command, PROGRAM};

fn main() -> ExitCode {
    let outcome = cli::parse_with(std::env::args_os(), &|name| std::env::var_os(name));
    let cli = match parsed(PROGRAM, outcome) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let outcome = match cli.command {
        Command::Model(arguments) => cli::model::command(&arguments),
        Command::Compare(arguments) => cli::compare::command(&arguments),
        Command::Recommend(arguments) => cli::recommend::command(&arguments, &cli.origins),
        Command::Simulate(arguments) => cli::simulate::command(&arguments),
        Command::Completions(arguments) => cli::completions(&arguments),
        Command::Man(arguments) => cli::man(&arguments),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(faults) => {
            let told = |fault: &String| cli.origins.told(fault.clone());
            complain(PROGRAM, &faults.lines().iter().map(told).collect::<Vec<_>>());
            faults.exit().into()
        }
    }
}
