//! What the process costs: CPU time of the whole process and of one thread, and resident memory.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::time::{ClockId, clock_gettime};

use crate::procfs::kilobytes;

/// CPU time of the process, all threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// Time in the program itself.
    pub user: Duration,
    /// Time in the kernel on its behalf: system calls, the network stack.
    pub kernel: Duration,
}

impl CpuTime {
    /// What the process has used since it started. Zero where the kernel does not tell.
    pub fn of_process() -> CpuTime {
        let duration =
            |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0));
        getrusage(UsageWho::RUSAGE_SELF)
            .map(|usage| CpuTime { user: duration(usage.user_time()), kernel: duration(usage.system_time()) })
            .unwrap_or_default()
    }

    /// What was used since `earlier`.
    pub fn since(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }

    /// Both together.
    pub fn total(self) -> Duration {
        self.user + self.kernel
    }
}

/// CPU time the calling thread has used since it started, to the nanosecond.
pub fn of_this_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}

/// Resident bytes of the process now. `None` where `/proc` is not mounted.
pub fn resident_bytes() -> Option<u64> {
    fs::read_to_string("/proc/self/status").ok().and_then(|status| kilobytes(&status, "VmRSS:"))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Works until the thread's own clock has moved by 20 ms: no wall clock, no guess.
    fn burn() {
        let start = of_this_thread();
        let mut sum = 0_u64;
        while of_this_thread() - start < Duration::from_millis(20) {
            sum = (0..1000).fold(sum, |sum, value| black_box(sum.wrapping_add(value)));
        }
    }

    #[test]
    fn work_of_this_thread_is_seen_in_both_clocks() {
        let (process, thread) = (CpuTime::of_process(), of_this_thread());
        burn();
        assert!(of_this_thread() - thread >= Duration::from_millis(20));
        // The kernel accounts a process by ticks: allow one of 10 ms.
        assert!(CpuTime::of_process().since(process).total() >= Duration::from_millis(10));
    }

    #[test]
    fn time_of_another_thread_is_not_this_ones() {
        let before = of_this_thread();
        std::thread::scope(|scope| {
            scope.spawn(burn);
        });
        assert!(of_this_thread() - before < Duration::from_millis(20));
    }

    #[test]
    fn since_never_goes_below_zero() {
        let later = CpuTime { user: Duration::from_secs(1), kernel: Duration::ZERO };
        assert_eq!(CpuTime::default().since(later), CpuTime::default());
    }

    #[test]
    fn resident_memory_follows_what_is_touched() {
        let before = resident_bytes().unwrap();
        let touched = black_box(vec![1_u8; 64 << 20]);
        let after = resident_bytes().unwrap();
        assert!(after >= before + (32 << 20), "{before} then {after}");
        drop(touched);
    }
}
