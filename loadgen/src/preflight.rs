//! What a run needs of the machine, asked before anything starts: a fleet that dies half-way of memory or
//! of open files tells its user much less than one line now.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use swimring_tooling::procfs::kilobytes;
use swimring_tooling::text::{bytes, thousands};

use crate::cli::{RunOptions, Start, WireChoice};
use crate::fleet::seen::SeenBits;
use crate::schedule;

/// Share of the available memory a run may plan with: the rest is the kernel's socket buffers, page
/// tables and everybody else.
const MEMORY_SHARE: f64 = 0.9;

/// What the fleet will take, as the engine knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Needs {
    /// Bytes for one member's knowledge of another.
    pub bytes_per_pair: f64,
    /// Bytes for one member besides that.
    pub bytes_per_member: u64,
    /// Bytes whatever the fleet's size: rings, buffers, the program itself.
    pub bytes_fixed: u64,
    /// Open files.
    pub files: u64,
}

// Fitted to fleets that were measured, see docs/results/2026-11-27-memory: the test below has them.

/// Bytes a member needs to know another one while fleets join: its table's entry, room to grow, news about it. Once all agree,
/// what they know is stored once for the members of a worker, and memory grows with the members and not with their square.
const BYTES_PER_PAIR_JOINING: f64 = 34.0;
/// Bytes at each member for each that is killed: until a base says that it is dead, and while news about it
/// are told.
const BYTES_PER_KILL: u64 = 96;
/// Bytes of a member besides what it knows: its protocol state, queues, address, name.
const BYTES_PER_MEMBER: u64 = 2_300;
/// What a member takes besides on memberlist's wire, where each has an address and packets of its own.
const BYTES_PER_PACKET_MEMBER: u64 = 4_300;
/// Datagram buffers that are written once the fleet sends as many at a time, at most and for each member.
const BUFFERS_MAX: u64 = 16 << 20;
const BUFFERS_PER_MEMBER: u64 = 3_200;
/// Bytes whatever the fleet's size: the program itself, rings, histograms.
const BYTES_FIXED: u64 = 17 << 20;
/// Files a worker opens: its socket, listener, ring and wake-up, and their likes at the stream thread.
const FILES_PER_WORKER: u64 = 6;
/// Files besides the workers': 256 streams under way, standard streams, outputs, the metrics endpoint.
const FILES_FIXED: u64 = 300;

impl Needs {
    /// What the fleet that `options` ask for will take.
    pub fn of(options: &RunOptions) -> Needs {
        let members = u64::from(options.members);
        let events = schedule::event_count(options.duration, options.events);
        let tracked = SeenBits::bytes(u64::from(options.kills) + events, members);
        let packets = if options.wire == WireChoice::Native { 0 } else { BYTES_PER_PACKET_MEMBER };
        let buffers = BUFFERS_MAX.min(members * BUFFERS_PER_MEMBER);
        Needs {
            bytes_per_pair: if options.start == Start::Cold { BYTES_PER_PAIR_JOINING } else { 0.0 },
            bytes_per_member: BYTES_PER_MEMBER + packets + u64::from(options.kills) * BYTES_PER_KILL,
            bytes_fixed: (BYTES_FIXED + buffers).saturating_add(tracked),
            files: FILES_FIXED + u64::from(options.workers) * FILES_PER_WORKER,
        }
    }

    /// Resident bytes of `members` members that all know each other.
    pub fn memory(&self, members: u32) -> u64 {
        let members = f64::from(members);
        let total = members * members * self.bytes_per_pair + members * self.bytes_per_member as f64;
        (total as u64).saturating_add(self.bytes_fixed)
    }

    /// The largest fleet that fits into `available` bytes.
    fn members_in(&self, available: u64) -> u32 {
        let (mut fits, mut too_many) = (0_u32, u32::MAX);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            if self.memory(middle) <= available { fits = middle } else { too_many = middle }
        }
        fits
    }
}

/// Checks everything for a fleet of `members`. Errors: one line per fault, with the mend.
pub fn check(members: u32, needs: &Needs) -> Result<(), Vec<String>> {
    let memory = available_memory().map_or(Ok(()), |available| memory(members, needs, available));
    let faults: Vec<String> = [memory, open_files(needs.files)].into_iter().filter_map(Result::err).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Whether the fleet fits into `available` bytes.
pub fn memory(members: u32, needs: &Needs, available: u64) -> Result<(), String> {
    let usable = (available as f64 * MEMORY_SHARE) as u64;
    let needed = needs.memory(members);
    if needed <= usable {
        return Ok(());
    }
    Err(format!(
        "--members {members}: {} members that know each other need about {}, and {} of memory is available; \
         use --members {} or fewer",
        thousands(u64::from(members)),
        bytes(needed),
        bytes(available),
        needs.members_in(usable),
    ))
}

/// Makes sure that `needed` files can be open: raises the soft limit where the hard limit allows it.
pub fn open_files(needed: u64) -> Result<(), String> {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => return Err(format!("the open-file limit cannot be read: {error}")),
    };
    match file_limit(needed, soft, hard)? {
        None => Ok(()),
        Some(raised) => setrlimit(Resource::RLIMIT_NOFILE, raised, hard)
            .map_err(|error| format!("open files: the limit cannot be raised to {raised}: {error}")),
    }
}

/// The soft limit to set, if it must be raised.
fn file_limit(needed: u64, soft: u64, hard: u64) -> Result<Option<u64>, String> {
    if needed <= soft {
        Ok(None)
    } else if needed <= hard {
        Ok(Some(needed))
    } else {
        Err(format!(
            "open files: {needed} are needed and the limit is {hard}; raise it with `ulimit -n {needed}` as \
             root, or LimitNOFILE= in a systemd unit"
        ))
    }
}

/// Bytes this process may still take: the machine's `MemAvailable`, or less where its control group says so.
/// `None` where neither is told.
pub fn available_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemAvailable:"));
    machine.into_iter().chain(control_group_memory()).min()
}

/// What is left in the control group (version 2), as containers set it. The group's parents may be tighter
/// still: each is asked up to the root that this process can see.
fn control_group_memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let group = std::path::Path::new("/sys/fs/cgroup").join(path);
    let number = |file: std::path::PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    group
        .ancestors()
        .take_while(|ancestor| ancestor.starts_with("/sys/fs/cgroup"))
        .filter_map(|ancestor| {
            // A group without a limit says `max`, which is no number.
            let limit = number(ancestor.join("memory.max"))?;
            Some(limit.saturating_sub(number(ancestor.join("memory.current"))?))
        })
        .min()
}

#[cfg(test)]
mod tests {
    use swimring_tooling::values::Rate;

    use super::*;

    const NEEDS: Needs =
        Needs { bytes_per_pair: 8.0, bytes_per_member: 500, bytes_fixed: 64 << 20, files: 100 };
    const GIB: u64 = 1 << 30;

    #[test]
    fn memory_counts_pairs_members_and_the_fixed_part() {
        assert_eq!(NEEDS.memory(10_000), 800_000_000 + 5_000_000 + (64 << 20));
        assert_eq!(memory(10_000, &NEEDS, 4 * GIB), Ok(()));
    }

    /// Members, how they start, their wire, kills, and the mebibytes that they took.
    const MEASURED: [(u32, Start, WireChoice, u32, f64); 19] = [
        (1_000, Start::Warm, WireChoice::Native, 0, 18.9),
        (1_000, Start::Warm, WireChoice::Native, 2, 20.2),
        (10_000, Start::Warm, WireChoice::Native, 0, 48.1),
        (10_000, Start::Warm, WireChoice::Native, 2, 60.4),
        (10_000, Start::Warm, WireChoice::Native, 20, 65.8),
        (30_000, Start::Warm, WireChoice::Native, 2, 121.0),
        (100_000, Start::Warm, WireChoice::Native, 0, 235.0),
        (100_000, Start::Warm, WireChoice::Native, 2, 335.0),
        (100_000, Start::Warm, WireChoice::Native, 10, 353.0),
        (100_000, Start::Warm, WireChoice::Native, 50, 579.0),
        (300_000, Start::Warm, WireChoice::Native, 0, 649.0),
        (300_000, Start::Warm, WireChoice::Native, 2, 896.0),
        (300_000, Start::Warm, WireChoice::Native, 10, 1_106.0),
        (1_000_000, Start::Warm, WireChoice::Native, 0, 2_120.0),
        (1_000, Start::Warm, WireChoice::Memberlist, 2, 24.8),
        (10_000, Start::Warm, WireChoice::Memberlist, 2, 101.0),
        (300, Start::Cold, WireChoice::Native, 2, 24.9),
        (1_000, Start::Cold, WireChoice::Native, 2, 50.5),
        (2_000, Start::Cold, WireChoice::Native, 2, 149.0),
    ];

    #[test]
    fn what_is_asked_is_within_a_quarter_of_what_was_measured() {
        for (members, start, wire, kills, mebibytes) in MEASURED {
            let options = RunOptions { members, start, wire, kills, ..RunOptions::defaults(members, 2) };
            let asked = Needs::of(&options).memory(members) as f64 / f64::from(1 << 20);
            let off = asked / mebibytes;
            assert!((0.75..1.25).contains(&off), "{members} {start:?}: {asked:.0} MiB, {off:.2} times");
        }
    }

    #[test]
    fn events_that_are_tracked_take_a_bit_for_each_member() {
        let many = RunOptions { events: Rate { per_second: 1000.0 }, ..RunOptions::defaults(10_000, 2) };
        let few = RunOptions { events: Rate { per_second: 0.0 }, ..many.clone() };
        // 20,000 events, a bit for each member.
        assert_eq!(Needs::of(&many).bytes_fixed - Needs::of(&few).bytes_fixed, 20_000 * 157 * 8);
    }

    #[test]
    fn a_fleet_too_large_is_told_the_size_that_fits() {
        let fault = memory(100_000, &NEEDS, 16 * GIB).unwrap_err();
        assert_eq!(
            fault,
            "--members 100000: 100,000 members that know each other need about 74.6 GiB, and 16.0 GiB of memory \
             is available; use --members 43836 or fewer"
        );
        assert_eq!(memory(43_836, &NEEDS, 16 * GIB), Ok(()));
        assert!(memory(43_837, &NEEDS, 16 * GIB).is_err());
    }

    #[test]
    fn huge_fleets_do_not_overflow() {
        assert!(NEEDS.memory(u32::MAX) > 1 << 60);
        assert!(memory(u32::MAX, &NEEDS, GIB).is_err());
    }

    #[test]
    fn the_file_limit_is_raised_only_as_far_as_needed_and_allowed() {
        assert_eq!(file_limit(100, 1024, 4096), Ok(None));
        assert_eq!(file_limit(2000, 1024, 4096), Ok(Some(2000)));
        let fault = file_limit(5000, 1024, 4096).unwrap_err();
        assert!(fault.starts_with(
            "open files: 5000 are needed and the limit is 4096; raise it with `ulimit -n 5000`"
        ));
    }

    #[test]
    fn the_kernels_own_limit_is_read() {
        assert_eq!(open_files(1), Ok(()));
        assert!(open_files(u64::MAX - 1).is_err());
    }

    #[test]
    fn this_machine_tells_its_memory() {
        assert!(available_memory().is_some_and(|available| available > 1 << 20));
    }

    #[test]
    fn all_faults_of_a_machine_are_told_together() {
        let impossible = Needs { bytes_fixed: u64::MAX, files: u64::MAX - 1, ..NEEDS };
        assert_eq!(check(2, &impossible).unwrap_err().len(), 2);
        let modest = Needs { bytes_fixed: 4096, files: 4, ..NEEDS };
        assert_eq!(check(2, &modest), Ok(()));
    }
}
