//! An address as it is given: as text, or as one of the standard library's types.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::error::ClusterError;

/// An address for [`bind`](super::ClusterBuilder::bind) and [`advertise`](super::ClusterBuilder::advertise): a
/// text such as `127.0.0.1:7946`, `[::1]:7946` or `127.0.0.1`, a [`SocketAddr`], an [`IpAddr`], or a pair of
/// IP address and port. Made with `into`, which never fails: a text that is no address is refused at the
/// start, with a sentence that names the setting.
///
/// ```
/// use swimring::{Address, Cluster};
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// let cluster = Cluster::builder("web-1").bind("127.0.0.1:0").start()?;
/// let error = Cluster::builder("web-2").bind("localhost:7946").start().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "bind has to be an IP address and port like 127.0.0.1:7946, not `localhost:7946`"
/// );
/// assert_eq!(Address::from(([10, 0, 0, 7], 7946)), Address::from("10.0.0.7:7946"));
/// # drop(cluster);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address(Given);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Given {
    Whole(SocketAddr),
    WithoutPort(IpAddr),
    /// Neither: refused at the start.
    Text(String),
}

impl Address {
    /// The address that `setting` has, with `port` if none was given.
    ///
    /// # Errors
    /// [`ClusterError::Setting`] if what was given is no address.
    pub(super) fn of_setting(&self, setting: &str, port: u16) -> Result<SocketAddr, ClusterError> {
        match &self.0 {
            Given::Whole(address) => Ok(*address),
            Given::WithoutPort(ip) => Ok(SocketAddr::new(*ip, port)),
            Given::Text(text) => Err(ClusterError::setting(
                setting,
                format!("has to be an IP address and port like 127.0.0.1:7946, not `{text}`"),
            )),
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Address {
        let text = text.trim();
        let alone = || text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse();
        Address(match (text.parse(), alone()) {
            (Ok(address), _) => Given::Whole(address),
            (_, Ok(ip)) => Given::WithoutPort(ip),
            _ => Given::Text(text.to_owned()),
        })
    }
}

impl From<String> for Address {
    fn from(text: String) -> Address {
        Address::from(text.as_str())
    }
}

impl From<&String> for Address {
    fn from(text: &String) -> Address {
        Address::from(text.as_str())
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address(Given::Whole(address))
    }
}

impl From<SocketAddrV4> for Address {
    fn from(address: SocketAddrV4) -> Address {
        SocketAddr::from(address).into()
    }
}

impl From<SocketAddrV6> for Address {
    fn from(address: SocketAddrV6) -> Address {
        SocketAddr::from(address).into()
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(pair: (I, u16)) -> Address {
        SocketAddr::from(pair).into()
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        Address(Given::WithoutPort(ip))
    }
}

impl From<Ipv4Addr> for Address {
    fn from(ip: Ipv4Addr) -> Address {
        IpAddr::from(ip).into()
    }
}

impl From<Ipv6Addr> for Address {
    fn from(ip: Ipv6Addr) -> Address {
        IpAddr::from(ip).into()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Given::Whole(address) => address.fmt(out),
            Given::WithoutPort(ip) => ip.fmt(out),
            Given::Text(text) => out.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_it_is_the_same_address() {
        let expected: SocketAddr = "127.0.0.1:7946".parse().unwrap();
        let ip = Ipv4Addr::LOCALHOST;
        for given in [
            Address::from("127.0.0.1:7946"),
            Address::from(" 127.0.0.1:7946 "),
            Address::from("127.0.0.1:7946".to_owned()),
            Address::from(&"127.0.0.1".to_owned()),
            Address::from(expected),
            Address::from(SocketAddrV4::new(ip, 7946)),
            Address::from(([127, 0, 0, 1], 7946)),
            Address::from((ip, 7946)),
            Address::from((IpAddr::V4(ip), 7946)),
            Address::from(ip),
            Address::from(IpAddr::V4(ip)),
        ] {
            assert_eq!(given.of_setting("bind", 7946).unwrap(), expected, "{given}");
        }
        for text in ["[::1]:80", "[::1]", "::1"] {
            let v6 = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 80);
            assert_eq!(Address::from(text).of_setting("bind", 80).unwrap(), v6, "{text}");
        }
    }

    #[test]
    fn a_port_that_is_given_stays() {
        let address = Address::from("127.0.0.1:0").of_setting("bind", 7946).unwrap();
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 0)));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_sentence() {
        for text in ["", "localhost", "localhost:80", ":80", "127.0.0.1:", "127.0.0.1:70000", "300.0.0.1:80"]
        {
            let error = Address::from(text).of_setting("advertise", 1).unwrap_err().to_string();
            let expected = format!("like 127.0.0.1:7946, not `{text}`");
            assert!(error.starts_with("advertise has to be an IP address and port"), "{error}");
            assert!(error.ends_with(&expected), "{error}");
        }
    }
}
