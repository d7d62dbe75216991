//! What `run` and `attach` have in common: how many members, for how long, what happens to them, and where the results
//! go. `attach` has other defaults for some of it (`attach::gentler`).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use swimring::protocol::{SettingValue, SuspicionMode};
use swimring_tooling::layers::Origins;
use swimring_tooling::values::{self, Rate};

use super::protocol::{self, ProtocolSettings};
use super::{DriverChoice, OutputArguments, Preset};

/// Kills without `--kill`, where the fleet is large enough.
const KILLS_DEFAULT: u32 = 10;
/// Without `--kill`, at most one member in this many is killed.
const KILLS_DEFAULT_SHARE: u32 = 10;
/// Without `--workers`, one worker for so many members, up to the number of cores: a small fleet is cheapest on
/// one core, where nobody has to be woken on another.
const MEMBERS_PER_WORKER: u32 = 1000;

/// The flags of every command that measures, as typed.
#[derive(Args, Clone, Debug)]
pub struct FleetArguments {
    /// Members to run
    #[arg(long, short = 'n', value_name = "COUNT", default_value = "10000", value_parser = values::count::<u32>)]
    pub members: u32,

    /// How long to measure: 30s, 5m, 500ms
    #[arg(long, short = 'd', value_name = "TIME", default_value = "30s", value_parser = values::duration)]
    pub duration: Duration,

    /// How long to run before measuring
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    pub warmup: Duration,

    /// Worker threads [default: one per 1,000 members, at most one per core]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub workers: Option<u32>,

    /// Datagram driver
    #[arg(long, value_parser = protocol::driver_parser(), default_value = DriverChoice::Auto.as_str())]
    pub driver: DriverChoice,

    /// Members killed while measuring [default: 10, but at most a tenth of the members]
    #[arg(long, value_name = "COUNT", value_parser = values::count::<u32>)]
    pub kill: Option<u32>,

    /// User events sent while measuring: 1/s, 10/m, 0 for none
    #[arg(long, value_name = "RATE", default_value = "1/s", value_parser = values::rate)]
    pub events: Rate,

    /// Payload of one user event, 4 to 508 bytes [default: 100]
    #[arg(long, value_name = "BYTES", value_parser = values::count::<u32>)]
    pub event_bytes: Option<u32>,

    /// Seed for all random choices; the same seed plans the same run
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = values::count::<u64>)]
    pub seed: u64,

    /// File with flags (TOML: members = 300, gossip_fanout = 4); what is typed wins
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Outputs.
    #[command(flatten)]
    pub output: OutputArguments,

    /// Protocol constants to start from [default: lan]
    #[arg(long, value_parser = protocol::preset_parser(), help_heading = protocol::HEADING)]
    pub preset: Option<Preset>,

    /// Overrides of single protocol settings.
    #[command(flatten)]
    pub protocol: ProtocolSettings,

    /// Flags whose values were not typed.
    #[arg(skip)]
    pub origins: Origins,
}

impl FleetArguments {
    /// Worker threads on a machine with `cores` cores.
    pub(super) fn workers(&self, cores: u32) -> u32 {
        self.workers.unwrap_or_else(|| cores.min(self.members.div_ceil(MEMBERS_PER_WORKER)).max(1))
    }

    /// Members to kill.
    pub(super) fn kills(&self) -> u32 {
        self.kill.unwrap_or_else(|| KILLS_DEFAULT.min(self.members / KILLS_DEFAULT_SHARE))
    }

    /// Flags that change nothing beside the others, and do no harm.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(bytes) = self.event_bytes.filter(|_| self.events.per_second == 0.0) {
            doubts.push(format!(
                "--event-bytes {bytes}: has no effect, for no events are sent; add --events 1/s"
            ));
        }
        if self.protocol.get("suspicion") == Some(SettingValue::Choice(SuspicionMode::Lifeguard.as_str())) {
            for name in ["suspicion_floor_ms", "unreachable_floor_ms", "false_death_bound"] {
                doubts.extend(self.protocol.get(name).map(|value| {
                    let flag = name.replace('_', "-");
                    format!("--{flag} {value}: has no effect with --suspicion lifeguard")
                }));
            }
        }
        doubts
    }
}
