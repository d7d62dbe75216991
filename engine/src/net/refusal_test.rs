//! What the drivers do when the kernel refuses: io_uring, segmentation, the newer wait.
//!
//! The refusals are real. A seccomp filter, which binds only the thread that installs it, makes a system call
//! fail as a container's profile would; a socket without checksums cannot send trains.

#![allow(clippy::disallowed_methods, reason = "plain sockets and threads are the other side of these tests")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::socket_options::set;
use super::{Driver, DriverChoice, DriverKind, Endpoint, NetCounters, NetError, NetOptions, Trains};
use crate::protocol::{Event, FrameSink};
use crate::worker::{EventContext, Fleet, FleetOptions, Observer};

/// Runs `test` on a thread on which the system call `number` fails with `errno`.
fn without(number: libc::c_long, errno: i32, test: fn()) {
    let filtered = move || {
        refuse(number, errno);
        test();
    };
    std::thread::spawn(filtered).join().unwrap();
}

fn refuse(number: libc::c_long, errno: i32) {
    let statement = |code: u32, k: u32, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        // The system call's number is the first field of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number as u32, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: both only restrict the calling thread; the program outlives the call.
    let installed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    assert!(installed, "{}", std::io::Error::last_os_error());
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn open(driver: DriverChoice) -> Result<Driver, NetError> {
    let options = NetOptions { driver, ..NetOptions::default() };
    Driver::open(Endpoint::bind(loopback(), &options).unwrap(), &options)
}

/// Sends `count` frames of `len` bytes to itself in one flush; the lengths in which they arrive.
fn lengths_to_self(driver: &mut Driver, count: usize, len: usize) -> Vec<usize> {
    let to = driver.local_address();
    for _ in 0..count {
        driver.trains().reserve(to, len).unwrap().fill(1);
    }
    let mut lengths = Vec::new();
    for _ in 0..100 {
        let mut note =
            |_: SocketAddr, _: Option<IpAddr>, bytes: &[u8], _: &mut Trains| lengths.push(bytes.len());
        driver.turn(Some(Duration::from_millis(20)), &mut note).unwrap();
        if lengths.len() >= count {
            break;
        }
    }
    lengths
}

#[test]
fn auto_falls_back_where_io_uring_is_forbidden() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        without(libc::SYS_io_uring_setup, errno, || {
            let mut driver = open(DriverChoice::Auto).unwrap();
            assert_eq!(driver.kind(), DriverKind::Mmsg);
            assert_eq!(lengths_to_self(&mut driver, 3, 60), [64, 64, 60]);
        });
    }
}

#[test]
fn auto_falls_back_where_registering_is_forbidden() {
    without(libc::SYS_io_uring_register, libc::EINVAL, || {
        assert_eq!(open(DriverChoice::Auto).unwrap().kind(), DriverKind::Mmsg);
    });
    without(libc::SYS_io_uring_enter, libc::EPERM, || {
        assert_eq!(open(DriverChoice::Auto).unwrap().kind(), DriverKind::Mmsg);
    });
}

#[test]
fn io_uring_forced_where_forbidden_says_so() {
    without(libc::SYS_io_uring_setup, libc::EPERM, || {
        let text = open(DriverChoice::IoUring).unwrap_err().to_string();
        let expected = "driver io_uring: not available here (making an io_uring: Operation not permitted (os \
                        error 1)); set driver to auto or mmsg, or permit io_uring (sysctl \
                        kernel.io_uring_disabled, the container's seccomp profile, Linux 6.0 or later)";
        assert_eq!(text, expected);
    });
}

#[test]
fn a_refused_option_is_blamed_by_its_name() {
    without(libc::SYS_setsockopt, libc::EPERM, || {
        let refused = Endpoint::bind(loopback(), &NetOptions::default()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "socket option receive_buffer_bytes (SO_RCVBUF): refused (Operation not permitted (os error 1)); a seccomp \
             profile or security module may forbid setsockopt: permit it"
        );
    });
}

#[test]
fn a_forbidden_bind_is_no_matter_of_the_port() {
    without(libc::SYS_bind, libc::EACCES, || {
        let refused =
            |port| Endpoint::bind(([127, 0, 0, 1], port).into(), &NetOptions::default()).unwrap_err();
        assert_eq!(
            refused(0).to_string(),
            "bind address 127.0.0.1:0: permission denied; a seccomp profile, a security module or the unit's \
             SocketBindDeny= forbids it to this process: permit it"
        );
        assert!(refused(80).to_string().ends_with("or grant CAP_NET_BIND_SERVICE"));
    });
}

/// Hears nothing.
struct Deaf;

impl Observer for Deaf {
    fn event(&mut self, _: &EventContext<'_>, _: &Event) {}
}

#[test]
fn whoever_calls_a_worker_that_has_ended_learns_why() {
    // What a thread starts has its filter, too.
    without(libc::SYS_recvmmsg, libc::EPERM, || {
        let net = NetOptions { driver: DriverChoice::Mmsg, ..NetOptions::default() };
        let options = FleetOptions { bind: loopback(), net, ..FleetOptions::default() };
        let fleet = Fleet::start(&options, |_| Deaf).unwrap();
        let told = loop {
            match fleet.ask(0, |_, _| ()) {
                Ok(()) => std::thread::yield_now(),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(told, "worker 0 has stopped: receiving datagrams: Operation not permitted (os error 1)");
    });
}

#[test]
fn mmsg_waits_without_the_newer_wait() {
    without(libc::SYS_epoll_pwait2, libc::ENOSYS, || {
        let mut driver = open(DriverChoice::Mmsg).unwrap();
        let mut none =
            |_: SocketAddr, _: Option<IpAddr>, _: &[u8], _: &mut Trains| panic!("nothing was sent");
        driver.turn(Some(Duration::from_micros(1500)), &mut none).unwrap();
        assert_eq!(lengths_to_self(&mut driver, 2, 100), [128, 100]);
    });
}

/// A socket without checksums: the kernel answers EINVAL to trains, and takes single datagrams.
fn unable_to_segment(driver: DriverChoice) -> Option<Driver> {
    let socket = UdpSocket::bind(loopback()).unwrap();
    set(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
    match Driver::open(socket, &NetOptions { driver, ..NetOptions::default() }) {
        Err(NetError::IoUringUnavailable { reason }) => {
            println!("skipped: the kernel refuses io_uring ({reason})");
            None
        }
        opened => Some(opened.unwrap()),
    }
}

#[test]
fn refused_trains_go_one_by_one() {
    for choice in [DriverChoice::IoUring, DriverChoice::Mmsg] {
        let Some(mut driver) = unable_to_segment(choice) else { continue };
        for refused in 1..=20u64 {
            assert_eq!(lengths_to_self(&mut driver, 3, 60), [60, 60, 60], "unpadded, and none lost");
            let NetCounters { trains_refused, trains_sent, datagrams_sent, send_errors, .. } =
                driver.counters();
            // After eight in a row no more is tried.
            assert_eq!((trains_refused, trains_sent), (refused.min(8), 0));
            assert_eq!((datagrams_sent, send_errors), (3 * refused, 0));
        }
    }
}

#[test]
fn an_address_that_cannot_be_sent_to_does_not_end_segmentation() {
    for choice in [DriverChoice::IoUring, DriverChoice::Mmsg] {
        let Ok(mut driver) = open(choice) else { continue };
        for _ in 0..20 {
            // Port 0 is EINVAL, like a refused train.
            for _ in 0..2 {
                driver.trains().reserve("127.0.0.1:0".parse().unwrap(), 60).unwrap().fill(1);
            }
            driver.flush().unwrap();
        }
        let counters = driver.counters();
        assert_eq!((counters.send_errors, counters.trains_refused, counters.datagrams_sent), (40, 0, 0));
        assert_eq!(lengths_to_self(&mut driver, 2, 60), [64, 60]);
        assert_eq!(driver.counters().trains_sent, 1);
    }
}

#[test]
fn refused_trains_keep_their_source() {
    for choice in [DriverChoice::IoUring, DriverChoice::Mmsg] {
        let Some(mut driver) = unable_to_segment(choice) else { continue };
        let to = driver.local_address();
        for round in 1..=20u8 {
            let source = IpAddr::from([127, 0, 3, round]);
            driver.trains().set_source(Some(source));
            for _ in 0..3 {
                driver.trains().reserve(to, 60).unwrap().fill(1);
            }
            let mut from = Vec::new();
            for _ in 0..100 {
                let mut note = |sender: SocketAddr, _: Option<IpAddr>, _: &[u8], _: &mut Trains| {
                    from.push(sender.ip());
                };
                driver.turn(Some(Duration::from_millis(20)), &mut note).unwrap();
                if from.len() >= 3 {
                    break;
                }
            }
            assert_eq!(from, [source; 3]);
        }
        assert_eq!((driver.counters().trains_refused, driver.counters().send_errors), (8, 0));
    }
}
