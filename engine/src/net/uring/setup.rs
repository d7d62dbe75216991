//! Makes a ring with as many of the wanted features as the kernel has.

use std::io;
use std::os::fd::RawFd;

use io_uring::{IoUring, Probe, opcode};

use crate::net::error::NetError;

/// Room for a batch of sends and what is armed.
const SUBMISSION_ENTRIES: u32 = 512;
/// Room for a completion per buffer and per failed send of a batch, several times over: it never overflows.
const COMPLETION_ENTRIES: u32 = 4096;

/// Why there is no ring.
pub(super) enum Refused {
    /// Not permitted here, or too old a kernel.
    Unavailable(String),
    /// A limit that the other driver would meet as well.
    Limit(NetError),
}

/// What a ring is made with.
struct Features {
    name: &'static str,
    set: fn(&mut io_uring::Builder),
}

/// From the best down, each with the oldest kernel that has it. The default ring, with none of them,
/// interrupts this thread for every datagram and halves what it can receive.
const FEATURES: [Features; 3] = [
    Features {
        name: "Linux 6.6: SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL, NO_SQARRAY",
        set: |builder| {
            builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all().setup_no_sqarray();
        },
    },
    Features {
        name: "Linux 6.1: SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL",
        set: |builder| {
            builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        },
    },
    Features {
        name: "Linux 5.19: COOP_TASKRUN, SUBMIT_ALL",
        set: |builder| {
            builder.setup_coop_taskrun().setup_submit_all();
        },
    },
];

/// A ring with `files` registered, on the calling thread.
pub(super) fn ring(files: &[RawFd]) -> Result<IoUring, Refused> {
    let ring = build()?;
    let parameters = ring.params();
    let features = [
        (parameters.is_feature_nodrop(), "NODROP"),
        (parameters.is_feature_ext_arg(), "EXT_ARG"),
        (parameters.is_feature_skip_cqe_on_success(), "CQE_SKIP"),
    ];
    if let Some((_, name)) = features.iter().find(|(present, _)| !present) {
        return Err(Refused::Unavailable(format!("the kernel lacks {name}")));
    }
    check_operations(&ring)?;
    let registered = ring.submitter().register_files(files);
    registered.map_err(|error| Refused::Unavailable(format!("registering files: {error}")))?;
    Ok(ring)
}

fn build() -> Result<IoUring, Refused> {
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    for (i, features) in FEATURES.iter().enumerate() {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(COMPLETION_ENTRIES);
        (features.set)(&mut builder);
        match builder.build(SUBMISSION_ENTRIES) {
            Ok(ring) => {
                if i > 0 {
                    tracing::info!("io_uring: newer features are lacking, using those of {}", features.name);
                }
                return Ok(ring);
            }
            Err(error) => {
                last = error;
                // EINVAL is an unknown feature; anything else fails the next time as well.
                if last.raw_os_error() != Some(libc::EINVAL) {
                    break;
                }
            }
        }
    }
    match NetError::system("making an io_uring", last) {
        NetError::System { what, source } => Err(Refused::Unavailable(format!("{what}: {source}"))),
        limit => Err(Refused::Limit(limit)),
    }
}

fn check_operations(ring: &IoUring) -> Result<(), Refused> {
    let mut probe = Probe::new();
    let probed = ring.submitter().register_probe(&mut probe);
    probed.map_err(|error| Refused::Unavailable(format!("probing operations: {error}")))?;
    let operations = [
        (opcode::SendMsg::CODE, "SENDMSG"),
        (opcode::RecvMsgMulti::CODE, "RECVMSG"),
        (opcode::PollAdd::CODE, "POLL_ADD"),
    ];
    match operations.iter().find(|(code, _)| !probe.is_supported(*code)) {
        Some((_, name)) => Err(Refused::Unavailable(format!("the kernel lacks the operation {name}"))),
        None => Ok(()),
    }
}
