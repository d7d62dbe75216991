//! What made a result: the program, the commit, the kernel and the machine. A number without them cannot
//! be compared with another.

use std::fs;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::procfs::kilobytes;

/// Which build of a program this is. Made by [`build!`](crate::build).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// The program's version.
    pub version: &'static str,
    /// The commit that was built, with `-modified` where the sources had changed; `unknown` where nobody knows.
    pub commit: &'static str,
    /// What `--version` prints after the program's name: both.
    pub line: &'static str,
}

/// The [`Build`](crate::environment::Build) of the package that this stands in, whose build script has called
/// `swimring_commit::record`.
#[macro_export]
macro_rules! build {
    () => {
        $crate::environment::Build {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("SWIMRING_COMMIT"),
            line: concat!(env!("CARGO_PKG_VERSION"), " (", env!("SWIMRING_COMMIT"), ")"),
        }
    };
}

/// What a report says about its origin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Version of the program that measured.
    pub version: String,
    /// Commit it was built from.
    pub commit: String,
    /// Start of the command in UTC: the time of [`Environment::here`], which every command calls first.
    pub started_at: String,
    /// Operating system and kernel release.
    pub kernel: String,
    /// CPU model, or the architecture where the kernel names no model.
    pub cpu: String,
    /// Cores this process may use.
    pub cores: u32,
    /// Memory of the machine in bytes; 0 where it is not told.
    pub memory_bytes: u64,
}

impl Environment {
    /// This build of a program on this machine, now. Asked when a command begins, not when its report is put together.
    pub fn here(build: Build) -> Environment {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Environment {
            version: build.version.to_owned(),
            commit: build.commit.to_owned(),
            started_at: now(),
            kernel: format!("Linux {}", or_unknown(read("/proc/sys/kernel/osrelease").trim())),
            cpu: cpu_model(&read("/proc/cpuinfo")),
            cores: cores(),
            memory_bytes: kilobytes(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0),
        }
    }
}

/// Cores this process may use: affinity and control group quota count.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

// The wall clock stamps the report and takes no part in any measurement.
#[allow(clippy::disallowed_methods)]
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

/// The first `model name` of `/proc/cpuinfo`; ARM kernels print none.
fn cpu_model(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, model)| model.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|model| !model.is_empty())
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_and_its_padding_dropped() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC   7R13  Processor\nmodel name\t: other\n";
        assert_eq!(cpu_model(text), "AMD EPYC 7R13 Processor");
        assert_eq!(cpu_model("CPU part : 0xd0c\n"), std::env::consts::ARCH);
    }

    #[test]
    fn this_machine_is_described_in_full() {
        let build = Build { version: "1.2.3", commit: "4f8526660b52", line: "1.2.3 (4f8526660b52)" };
        let here = Environment::here(build);
        assert_eq!((here.version.as_str(), here.commit.as_str()), ("1.2.3", "4f8526660b52"));
        assert!(here.kernel.starts_with("Linux ") && here.kernel != "Linux unknown");
        assert!(here.cores > 0 && here.memory_bytes > 0);
        assert!(here.started_at.ends_with('Z'));
    }
}
