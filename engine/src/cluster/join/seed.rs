//! Seeds: where to look for the cluster.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use swimring_codec::canonical;

use super::attempt::SEEDS_MAX;
use super::outcome::SeedError;

/// The port of a seed that names none, and of [`ClusterOptions::bind`](crate::cluster::ClusterOptions) by
/// default: memberlist's.
pub const DEFAULT_PORT: u16 = 7946;

/// Longest host name in the domain name system.
const HOST_MAX: usize = 253;

/// A member to join through: an address, or a name to resolve, which stands for all its addresses.
///
/// ```
/// use swimring::Seed;
///
/// let seed: Seed = "seed.example.org".parse().unwrap();
/// assert_eq!(seed.to_string(), "seed.example.org:7946");
/// assert!("10.0.0.1:0".parse::<Seed>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seed(pub(super) Place);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Address(SocketAddr),
    Name {
        host: String,
        port: u16,
    },
    /// Neither: reported as the outcome of this seed.
    Unusable(String),
}

impl Seed {
    /// What is wrong with it, if it cannot be a seed.
    pub(super) fn fault(&self) -> Option<SeedError> {
        match &self.0 {
            Place::Unusable(_) => Some(SeedError::Syntax),
            Place::Address(address) if address.port() == 0 || address.ip().is_unspecified() => {
                Some(SeedError::Syntax)
            }
            _ => None,
        }
    }

    fn read(text: &str) -> Place {
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Place::Address(canonical(address));
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Place::Address(canonical(SocketAddr::new(ip, DEFAULT_PORT)));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (text, Some(DEFAULT_PORT)),
        };
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        match port {
            Some(port) if port != 0 && (1..=HOST_MAX).contains(&host.len()) && host.chars().all(sound) => {
                Place::Name { host: host.to_owned(), port }
            }
            _ => Place::Unusable(text.to_owned()),
        }
    }
}

impl FromStr for Seed {
    type Err = SeedError;

    fn from_str(text: &str) -> Result<Seed, SeedError> {
        let seed = Seed::from(text);
        seed.fault().map_or(Ok(seed), Err)
    }
}

/// Never fails: a text that is no seed is reported as such by the join.
impl From<&str> for Seed {
    fn from(text: &str) -> Seed {
        Seed(Seed::read(text))
    }
}

impl From<&String> for Seed {
    fn from(text: &String) -> Seed {
        Seed::from(text.as_str())
    }
}

impl From<String> for Seed {
    fn from(text: String) -> Seed {
        Seed::from(text.as_str())
    }
}

impl From<SocketAddr> for Seed {
    fn from(address: SocketAddr) -> Seed {
        Seed(Place::Address(canonical(address)))
    }
}

/// With port 7946.
impl From<IpAddr> for Seed {
    fn from(ip: IpAddr) -> Seed {
        Seed(Place::Address(SocketAddr::new(ip, DEFAULT_PORT)))
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Seed {
    fn from(pair: (I, u16)) -> Seed {
        Seed(Place::Address(pair.into()))
    }
}

impl From<&Seed> for Seed {
    fn from(seed: &Seed) -> Seed {
        seed.clone()
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Address(address) => address.fmt(out),
            Place::Name { host, port } => write!(out, "{host}:{port}"),
            Place::Unusable(text) => out.write_str(text),
        }
    }
}

/// The seeds of a settings file, or the first that cannot be one.
pub(in crate::cluster) fn parse_all(texts: &[String]) -> Result<Vec<Seed>, String> {
    if texts.len() > SEEDS_MAX {
        return Err(format!("has {} entries: give at most {SEEDS_MAX}", texts.len()));
    }
    texts
        .iter()
        .map(|text| {
            text.parse::<Seed>()
                .map_err(|fault| format!("has an entry that cannot be used: `{text}` {fault}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        for (text, expected) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("10.0.0.1", "10.0.0.1:7946"),
            ("[::1]:80", "[::1]:80"),
            ("::1", "[::1]:7946"),
            ("[::1]", "[::1]:7946"),
            ("seed-1.example.org:80", "seed-1.example.org:80"),
            (" localhost ", "localhost:7946"),
        ] {
            assert_eq!(text.parse::<Seed>().unwrap().to_string(), expected, "{text}");
        }
        let ip = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(Seed::from(ip), Seed::from("10.0.0.1"));
        assert_eq!(Seed::from(([10, 0, 0, 1], 80)), Seed::from("10.0.0.1:80"));
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        let long = "a".repeat(254);
        for text in
            ["", ":80", "a:b", "a:70000", "a:0", "10.0.0.1:0", "0.0.0.0:80", "a b:80", "::1:80:x", &long]
        {
            assert_eq!(text.parse::<Seed>(), Err(SeedError::Syntax), "{text}");
        }
    }
}
