//! The flags of `run`, as typed: what is not also a flag of `attach` (`fleet`) or of the protocol (`protocol`). What is made of
//! them is in `run_options`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use swimring_tooling::values;

use super::{FleetArguments, PROGRAM};

/// The wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireChoice {
    /// Swimring's own: members of a worker share an address.
    #[default]
    Native,
    /// hashicorp/memberlist's: each member has an address of its own.
    Memberlist,
}

impl WireChoice {
    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            WireChoice::Native => "native",
            WireChoice::Memberlist => "memberlist",
        }
    }
}

/// How the members start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Every member starts with the complete view a finished join would have given it.
    #[default]
    Warm,
    /// Every member joins through seed members.
    Cold,
}

/// The flags of `run`, as typed.
#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    /// What is measured, and where the results go.
    #[command(flatten)]
    pub fleet: FleetArguments,

    /// Wire format: Swimring's own, or memberlist's, with an address for each member
    #[arg(long, value_enum, default_value_t)]
    pub wire: WireChoice,

    /// File with a key in base64, of 16, 24 or 32 bytes: members encrypt all that they send
    #[arg(long, value_name = "FILE")]
    pub encrypt_file: Option<PathBuf>,

    /// Give each member an identity: a key with which it signs what it says of itself
    #[arg(long)]
    pub identities: bool,

    /// With --wire memberlist: the first member's address; the others have the next ones [default: 127.10.0.1]
    #[arg(long, value_name = "ADDRESS", value_parser = values::address_v4)]
    pub first_address: Option<Ipv4Addr>,

    /// How members start: with complete views, or joining through seeds
    #[arg(long, value_enum, default_value_t)]
    pub start: Start,

    /// With --start cold: members that the others join through [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub seeds: Option<u32>,

    /// With --kill: the first part of the measured time that all kills lie in; 0s kills all at once [default: two
    /// thirds of it]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub kill_within: Option<Duration>,

    /// Share of received datagrams dropped on purpose: 2% or 0.02
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = values::share)]
    pub loss: f64,

    /// Zones that the members are spread over; 1: none
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = values::count::<u32>)]
    pub zones: u32,

    /// With --zones: round trip between two zones, in ms; half of it is waited for at the receiving side [default: 0]
    #[arg(long, value_name = "MS", value_parser = values::count::<u32>)]
    pub zone_rtt_ms: Option<u32>,

    /// With --zones: members do not say which zone they are in, so what is told is not divided by zone
    #[arg(long)]
    pub zones_untold: bool,

    /// With --wire native: address the workers' sockets are bound to [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", value_parser = values::address)]
    pub bind: Option<IpAddr>,

    /// Port of the first worker; the others take the next ones. 0: the kernel chooses
    #[arg(long, value_name = "PORT", default_value_t = 0, value_parser = values::port)]
    pub port: u16,

    /// Send single datagrams: no segmentation offload (GSO), no coalescing (GRO)
    #[arg(long)]
    pub no_segmentation: bool,
}

/// Only to parse the flags of `run` by themselves.
#[derive(Parser)]
struct Bare {
    #[command(flatten)]
    run: RunArguments,
}

impl RunArguments {
    /// `run` without any flag.
    pub(super) fn bare() -> RunArguments {
        Bare::parse_from([PROGRAM]).run
    }
}
