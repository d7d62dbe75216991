//! What members cost: processor time of this process, and bytes on its loopback device.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::crowd::Fault;

/// What was used until a moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    at: Instant,
    processor: Duration,
    packets: u64,
    bytes: u64,
}

/// What members used in a while, for each member and second.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Rate {
    /// Microseconds of processor time, the kernel's included.
    pub processor_us: f64,
    /// IP packets.
    pub packets: f64,
    /// Their bytes, IP's and UDP's headers included.
    pub bytes: f64,
}

impl Usage {
    /// Up to now, in the network namespace of the calling thread.
    pub fn now() -> Result<Usage, Fault> {
        let used = getrusage(UsageWho::RUSAGE_SELF)?;
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        let processor =
            Duration::from_micros((micros(used.user_time()) + micros(used.system_time())).try_into()?);
        let (packets, bytes) = sent(&std::fs::read_to_string("/proc/thread-self/net/dev")?)
            .ok_or("/proc/thread-self/net/dev tells nothing of the loopback device")?;
        Ok(Usage { at: Instant::now(), processor, packets, bytes })
    }

    /// What `members` have used from then until `self`.
    pub fn since(&self, then: &Usage, members: usize) -> Rate {
        let member_seconds = (self.at - then.at).as_secs_f64() * members as f64;
        Rate {
            processor_us: (self.processor - then.processor).as_secs_f64() * 1e6 / member_seconds,
            packets: (self.packets - then.packets) as f64 / member_seconds,
            bytes: (self.bytes - then.bytes) as f64 / member_seconds,
        }
    }
}

/// Packets and bytes that the loopback device has sent.
fn sent(devices: &str) -> Option<(u64, u64)> {
    let line = devices.lines().find_map(|line| line.trim_start().strip_prefix("lo:"))?;
    let mut fields = line.split_ascii_whitespace().skip(8);
    let bytes = fields.next()?.parse().ok()?;
    Some((fields.next()?.parse().ok()?, bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_device_is_read() {
        let devices = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:  1000 10 0 0 0 0 0 0  2000 20 0 0 0 0 0 0\n  eth0: 5 5 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n";
        assert_eq!(super::sent(devices), Some((20, 2_000)));
        assert_eq!(super::sent("eth0: 1 2"), None);
    }
}
