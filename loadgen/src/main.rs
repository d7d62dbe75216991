//! The binary `swimring-loadgen`: parses, dispatches, and turns the outcome into an exit status.
#![deny(missing_docs, unsafe_code)]

use std::process::ExitCode;

use swimring_loadgen::allocations::CountingAllocator;
use swimring_loadgen::cli::{self, Command, PROGRAM};
use swimring_loadgen::environment;
use swimring_loadgen::exit::Exit;
use swimring_loadgen::{report, run};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

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
    let exit = match command {
        Command::Run(arguments) => match arguments.check(environment::cores()) {
            Ok(options) => run::run(&options),
            Err(faults) => {
                complain(&faults);
                Exit::BadArguments
            }
        },
        Command::Report(arguments) => report::command(&arguments),
    };
    exit.into()
}

fn complain(faults: &[String]) {
    for fault in faults {
        eprintln!("{PROGRAM}: {fault}");
    }
}
