//! The networks that members may be in: blocks of IPv4 and IPv6 addresses, as CIDR writes them.
//!
//! memberlist's `CIDRsAllowed`. An IPv4 address is the same in its own form and as IPv6 maps it, and so is a block.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

/// Most networks that may be given: every datagram's sender is looked for in all of them.
pub const NETWORKS_MAX: usize = 256;

/// Networks that members may be in. The default, none at all, is everywhere.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Networks(Arc<[IpNet]>);

impl Networks {
    /// The networks written in `texts`: `10.0.0.0/8`, `fd00::/8`, or one address. Those that lie beside each other or in
    /// each other are joined.
    ///
    /// # Errors
    /// What a list of networks has to be, and the first entry that is none.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Networks, String> {
        let networks =
            texts.into_iter().map(|text| parse_one(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if networks.len() > NETWORKS_MAX {
            return Err(format!("has {} networks in it: use at most {NETWORKS_MAX}", networks.len()));
        }
        Ok(Networks(IpNet::aggregate(&networks).into()))
    }

    /// Whether a member may be at `ip`, or somebody there be heard.
    #[inline]
    pub fn allow(&self, ip: IpAddr) -> bool {
        self.are_everywhere() || self.have(ip)
    }

    /// Whether any address will do.
    #[inline]
    pub fn are_everywhere(&self) -> bool {
        self.0.is_empty()
    }

    fn have(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(IpNet::to_string)).finish()
    }
}

fn parse_one(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse::<IpNet>().ok().or_else(|| Some(text.parse::<IpAddr>().ok()?.into()));
    let fault = || format!("has an entry that is no network like 10.0.0.0/8 or fd00::/8: `{text}`");
    Ok(canonical(network.ok_or_else(fault)?.trunc()))
}

/// A block of mapped IPv4 addresses as the IPv4 block that it stands for.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    match network {
        IpNet::V6(six) if six.prefix_len() >= MAPPED => match Ipv6Addr::to_canonical(&six.network()) {
            IpAddr::V4(ip) => Ipv4Net::new(ip, six.prefix_len() - MAPPED).map_or(network, IpNet::V4),
            IpAddr::V6(_) => network,
        },
        _ => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(networks: &[&str], ip: &str) -> bool {
        Networks::parse(networks).unwrap().allow(ip.parse().unwrap())
    }

    #[test]
    fn addresses_are_in_blocks_whatever_their_form() {
        let networks = ["10.1.0.0/16", "192.0.2.7", "fd00:1::/32", "::ffff:172.16.0.0/108", "10.9.8.7/24"];
        for inside in
            ["10.1.255.255", "::ffff:10.1.0.1", "192.0.2.7", "fd00:1:ffff::1", "172.31.0.1", "10.9.8.200"]
        {
            assert!(allowed(&networks, inside), "{inside}");
        }
        for outside in ["10.2.0.0", "::ffff:10.2.0.1", "192.0.2.8", "fd00:2::1", "172.32.0.1", "10.9.7.1"] {
            assert!(!allowed(&networks, outside), "{outside}");
        }
    }

    #[test]
    fn none_is_everywhere_and_all_of_one_family_is_not() {
        assert!(allowed(&[], "10.0.0.1") && allowed(&[], "fd00::1"));
        assert!(allowed(&["0.0.0.0/0"], "10.0.0.1") && !allowed(&["0.0.0.0/0"], "fd00::1"));
        assert!(allowed(&["::/0"], "fd00::1") && !allowed(&["::/0"], "10.0.0.1"));
    }

    #[test]
    fn blocks_are_joined() {
        let networks = Networks::parse(["10.0.0.0/9", "10.128.0.0/9", "10.3.0.0/16"]).unwrap();
        assert_eq!(format!("{networks:?}"), "[\"10.0.0.0/8\"]");
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["", "ten", "10.0.0.0/33", "10.0.0.0/", "fd00::/129", "10.0.0.1:7946"] {
            let fault = Networks::parse([text]).unwrap_err();
            assert!(fault.ends_with(&format!("`{text}`")), "{fault}");
        }
        let many = vec!["10.0.0.0/8"; NETWORKS_MAX + 1];
        assert_eq!(Networks::parse(many).unwrap_err(), "has 257 networks in it: use at most 256");
    }
}
