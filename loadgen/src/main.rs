//! The binary `swimring-loadgen`: parses, dispatches, and turns the outcome into an exit status.
#![deny(missing_docs, unsafe_code)]

use std::process::ExitCode;

use swimring_loadgen::allocations::CountingAllocator;
use swimring_loadgen::cli::{self, Command, PROGRAM, RunOptions};
use swimring_loadgen::{attach, report, run};
use swimring_tooling::environment;
use swimring_tooling::exit::Exit;
use swimring_tooling::output;
use swimring_tooling::refusal::{complain, parsed};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    log();
    let command = match parsed(PROGRAM, cli::parse_with(std::env::args_os(), &|name| std::env::var_os(name)))
    {
        Ok(cli) => cli.command,
        Err(exit) => return exit.into(),
    };
    let exit = match command {
        Command::Run(arguments) => match arguments.check(environment::cores()) {
            Ok(options) => {
                doubt(&options);
                run::run(&options)
            }
            Err(faults) => {
                complain(PROGRAM, &faults);
                Exit::BadArguments
            }
        },
        Command::Attach(arguments) => match arguments.check(environment::cores()) {
            Ok(options) => {
                doubt(&options.run);
                attach::attach(&options)
            }
            Err(faults) => {
                complain(PROGRAM, &faults);
                Exit::BadArguments
            }
        },
        Command::Report(arguments) => report::command(&arguments),
        Command::Completions(arguments) => printed(Ok(arguments.script(cli::command()))),
        Command::Man(arguments) => printed(arguments.page(cli::command())),
    };
    exit.into()
}

/// Prints what was asked for on standard output.
fn printed(text: Result<String, String>) -> Exit {
    let (outcome, refused) = match text {
        Ok(text) => (output::print(&text), Exit::CouldNotRun),
        Err(fault) => (Err(fault), Exit::BadArguments),
    };
    match outcome {
        Ok(()) => Exit::Done,
        Err(fault) => {
            complain(PROGRAM, &[fault]);
            refused
        }
    }
}

/// Warns of what is allowed but probably not meant.
fn doubt(options: &RunOptions) {
    if !options.quiet {
        complain(PROGRAM, &options.doubts);
    }
}

/// Sends the engine's log, such as that io_uring is not available here, to standard error, a line each. `RUST_LOG`
/// chooses other levels, also by target.
fn log() {
    // An empty word would be taken for a target, and everything of it.
    let asked = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let asked = asked.and_then(|text| text.parse().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A line that standard error does not take is lost, and must not take the run with it.
    let format = format.log_internal_errors(false);
    let format = format.without_time().with_target(false).with_ansi(false).compact();
    tracing_subscriber::registry().with(format.with_filter(filter)).init();
}
