//! What the mixed tests have in common: Swimring members whose events are noted with their times, and a pool of
//! Go's and Swimring's members that is compared with what it should be.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

mod crowd;
mod fleet;
mod pool;
mod swimmer;

use std::time::{Duration, Instant, SystemTime};

use swimring::{Preset, Settings};
use swimring_peers::memberlist::MemberlistOptions as GoOptions;

pub use crowd::Crowd;
pub use fleet::{Fact, Swarm};
pub use pool::{Mixed, Variant};
pub use swimmer::{Swimmer, is_user};

/// Far longer than anything takes: a wait that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A gossip key, and the same as the Go programs take it.
pub const KEY: [u8; 32] = [7; 32];
pub const KEY_BASE64: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
/// Another, of another length.
pub const OTHER_KEY: [u8; 16] = [9; 16];
pub const OTHER_KEY_BASE64: &str = "CQkJCQkJCQkJCQkJCQkJCQ==";

/// Among so few members each tells news so few times that now and then someone hears none of it
/// (hashicorp/memberlist#142), which is the protocol's and not what is tested here.
pub const RETRANSMIT_MULTIPLIER: u8 = 16;

/// What [`quick_go`] is on the other side.
pub fn quick() -> Settings {
    Settings {
        probe_interval: Duration::from_millis(200),
        probe_timeout: Duration::from_millis(100),
        gossip_interval: Duration::from_millis(50),
        push_pull_interval: Duration::from_secs(5),
        retransmit_multiplier: RETRANSMIT_MULTIPLIER,
        ..Settings::preset(Preset::Lan)
    }
}

/// Settings under which Go's members know of a death within a few seconds.
pub fn quick_go(options: GoOptions) -> GoOptions {
    GoOptions { retransmit_mult: Some(RETRANSMIT_MULTIPLIER.into()), ..options.quick() }
}

/// Microseconds since 1970, as the Go programs count.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// From `from_us` to `to_us`, to be printed.
pub fn seconds(from_us: i64, to_us: i64) -> String {
    format!("{:.2} s", (to_us - from_us) as f64 / 1e6)
}

/// Looks until it finds something, which it gives; what it lacked last is told if it never does.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    eventually_within(PATIENCE, what, &mut look)
}

/// As [`eventually`], with a limit of its own.
pub fn eventually_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let ends = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return found,
            Err(lacking) => assert!(Instant::now() < ends, "{what}: after {limit:?} still {lacking}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A number from the environment, for runs that are longer than the usual ones.
pub fn minutes(variable: &str, default: f64) -> Duration {
    let given = std::env::var(variable).ok();
    let minutes = given
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")));
    Duration::from_secs_f64(minutes * 60.0)
}
