//! Finds out what the kernel grants of segmentation, by trying.
//!
//! UDP GSO came with Linux 4.18, with 64 segments at most; 6.9 raised that to 128. A socket that sends to
//! itself over loopback tells which, before the first frame depends on it.

#![allow(clippy::disallowed_methods, reason = "probes with a socket of its own")]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::address::{Family, NAME_LEN};
use super::control::SendControl;
use super::options::TRAIN_SEGMENTS_MAX;

/// Segments in a train before Linux 6.9.
const SEGMENTS_MAX_OLD: usize = 64;

/// The most segments the kernel takes in one send on sockets of `family`; 1 if it does not segment.
pub(super) fn segments_max(family: Family) -> usize {
    let takes = |segments| match family {
        Family::V4 => takes_train(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), segments),
        Family::V6 => takes_train(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), segments),
    };
    [TRAIN_SEGMENTS_MAX, SEGMENTS_MAX_OLD].into_iter().find(|segments| takes(*segments)).unwrap_or(1)
}

/// Whether a train of `segments` bytes, each a segment, can be sent from a socket at `loopback` to itself.
fn takes_train(loopback: SocketAddr, segments: usize) -> bool {
    let Ok(socket) = UdpSocket::bind(loopback) else { return false };
    let Ok(address) = socket.local_addr() else { return false };
    let mut name = [0; NAME_LEN];
    let name_len = Family::of(address).write(address, &mut name);
    let mut payload = [0; TRAIN_SEGMENTS_MAX];
    let mut iovec_of = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: segments };
    let mut control = SendControl::new(Family::of(address));
    let Some((control, control_len)) = control.set(None, Some(1)) else { return false };
    // SAFETY: a C structure of integers and pointers, for which zero is valid, padding fields included.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = name_len as _;
    header.msg_iov = &raw mut iovec_of;
    header.msg_iovlen = 1;
    header.msg_control = control.cast();
    header.msg_controllen = control_len as _;
    // SAFETY: everything the header points at outlives the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
    usize::try_from(sent) == Ok(segments)
}
