//! Whether this machine has the addresses that members are to have: asked of the kernel before anything starts.
//!
//! A wildcard socket binds wherever it is, and members would send from addresses that are not there: every
//! probe fails, everybody is taken for dead, and the machine looks too slow.

use std::net::{IpAddr, SocketAddr};

use swimring::net::{Endpoint, NetError, NetOptions};

/// Members whose addresses are tried: the first, the last, and others evenly between them. A range is routed here as
/// a whole or in a few parts.
const TRIED_MAX: u32 = 64;

/// Checks that `members` members may have the addresses that `address_of` gives them, and that this machine has
/// them.
///
/// # Errors
/// One line that begins with `--first-address` and ends with the mend.
pub fn check(members: u32, address_of: impl Fn(u32) -> IpAddr) -> Result<(), String> {
    let (first, last) = (address_of(0), address_of(members.saturating_sub(1)));
    check_kind("--first-address", first)?;
    for ip in spread(members).map(address_of) {
        match Endpoint::bind(SocketAddr::new(ip, 0), &NetOptions::default()) {
            Ok(_) => {}
            Err(NetError::AddressNotLocal { .. }) => {
                return Err(format!(
                    "--first-address {first}: the members need the addresses to {last}, and {ip} is not this \
                     machine's; route the range here (`ip route add local PREFIX dev lo`), or on one machine use \
                     127.10.0.1"
                ));
            }
            Err(error) => return Err(format!("--first-address {first}: {ip}: {error}")),
        }
    }
    Ok(())
}

/// Checks that `ip`, given with `flag`, can be one host's address at all.
///
/// # Errors
/// One line that begins with the flag.
pub fn check_kind(flag: &str, ip: IpAddr) -> Result<(), String> {
    let canonical = ip.to_canonical();
    let what = match canonical {
        _ if canonical.is_unspecified() => "stands for any address; name one",
        _ if canonical.is_multicast() => "a multicast group's address; give one host's",
        IpAddr::V4(address) if address.is_broadcast() => "the broadcast address; give one host's",
        _ => return Ok(()),
    };
    Err(format!("{flag} {ip}: {what}"))
}

/// At most [`TRIED_MAX`] of the numbers of `members` members, the first and the last among them, in order.
fn spread(members: u32) -> impl Iterator<Item = u32> {
    let (last, steps) = (members.saturating_sub(1), members.clamp(2, TRIED_MAX) - 1);
    (0..=steps).map(move |step| (u64::from(last) * u64::from(step) / u64::from(steps)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks `members` consecutive addresses.
    fn checked(first: &str, members: u32) -> Result<(), String> {
        let first: IpAddr = first.parse().unwrap();
        check(members, |number| match first {
            IpAddr::V4(first) => IpAddr::from((first.to_bits() + number).to_be_bytes()),
            IpAddr::V6(_) => first,
        })
    }

    #[test]
    fn loopback_is_ours_and_what_is_not_is_named() {
        assert_eq!(checked("127.10.0.1", 10_000), Ok(()));
        let fault = checked("192.0.2.1", 9).unwrap_err();
        let start =
            "--first-address 192.0.2.1: the members need the addresses to 192.0.2.9, and 192.0.2.1 is not";
        assert!(fault.starts_with(start), "{fault}");
        // The first is this machine's, and so would the last be on another one.
        let fault = checked("127.255.255.250", 20).unwrap_err();
        assert!(
            fault.starts_with("--first-address 127.255.255.250: ") && fault.contains("is not this"),
            "{fault}"
        );
    }

    #[test]
    fn addresses_of_many_and_of_nobody_are_refused() {
        for (address, why) in [
            ("0.0.0.0", "any address"),
            ("::", "any address"),
            ("::ffff:0.0.0.0", "any address"),
            ("224.0.0.1", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "broadcast"),
        ] {
            let fault = checked(address, 1).unwrap_err();
            assert!(
                fault.starts_with(&format!("--first-address {address}: ")) && fault.contains(why),
                "{fault}"
            );
        }
    }

    #[test]
    fn both_ends_are_tried_and_not_too_many_between() {
        assert_eq!(spread(1).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(spread(3).collect::<Vec<_>>(), [0, 1, 2]);
        let many: Vec<u32> = spread(4_000_000).collect();
        assert_eq!((many.len(), many[0], many[63]), (64, 0, 3_999_999));
        assert!(many.is_sorted());
    }
}
