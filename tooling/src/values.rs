//! How people write numbers, durations, rates, shares and addresses on a command line, and what each is refused
//! with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Events per second. Written `1/s`, `10/m`, `2/h` or as a plain number per second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Default)]
pub struct Rate {
    /// Events per second; finite, zero or more.
    pub per_second: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)
    }
}

/// Parses `30s`, `5m`, `500ms`, `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(format!("a duration needs a unit: write {text}s, {text}m or {text}ms"));
    }
    humantime::parse_duration(text).map_err(|_| "not a duration: write it like 30s, 5m or 500ms".to_owned())
}

/// Parses a rate: `1/s`, `10/m`, `2/h`, `0.5`, `0`.
pub fn rate(text: &str) -> Result<Rate, String> {
    let refusal = || "not a rate: write it like 1/s, 10/m, or 0 for none".to_owned();
    let (number, seconds) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3600.0),
        Some(_) => return Err(refusal()),
    };
    let number = finite(number).ok_or_else(refusal)?;
    if number < 0.0 {
        return Err("a rate cannot be negative: write 0 for none".to_owned());
    }
    Ok(Rate { per_second: number / seconds })
}

/// Parses a share of the whole, `2%` or `0.02`, into 0.0 to 1.0 (1.0 excluded).
pub fn share(text: &str) -> Result<f64, String> {
    let refusal = || "not a share: write it like 2% or 0.02".to_owned();
    let value = match text.strip_suffix('%') {
        Some(percent) => finite(percent).ok_or_else(refusal)? / 100.0,
        None => finite(text).ok_or_else(refusal)?,
    };
    if value < 0.0 {
        return Err("a share cannot be negative: write it like 2% or 0.02".to_owned());
    }
    if value >= 1.0 {
        let meant =
            if text.ends_with('%') { String::new() } else { format!(", or {text}% if that was meant") };
        return Err(format!("must be less than 100 %: write it like 2% or 0.02{meant}"));
    }
    Ok(value)
}

/// Parses a whole number: `10000`, `10,000`, `10_000`, `10k`, `1.5M`.
pub fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let refusal = || "not a whole number: write it like 10000, 10,000 or 10k".to_owned();
    let number = whole(text).ok_or_else(refusal)?;
    T::try_from(number).map_err(|_| format!("too large: at most {}", (1_u128 << (8 * size_of::<T>())) - 1))
}

/// The same, of numbers in a list that commas separate.
pub fn listed<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    if text.len() > 1 && text.starts_with('0') {
        return Err("commas separate numbers here: write ten thousand as 10000 or 10k".to_owned());
    }
    count(text)
}

/// Parses whole milliseconds.
pub fn millis(text: &str) -> Result<u64, String> {
    if let Some(number) = whole(text) {
        return Ok(number);
    }
    let meant = duration(text).map_or(1000, |time| time.as_millis());
    Err(format!("not a whole number of milliseconds: write {meant}"))
}

/// Parses a number with or without a fraction.
pub fn number(text: &str) -> Result<f64, String> {
    finite(text).ok_or_else(|| "not a number: write it like 12, 0.5 or 1e-6".to_owned())
}

/// Parses a port, 0 among them.
pub fn port(text: &str) -> Result<u16, String> {
    text.trim().parse().map_err(|_| "not a port: write a number from 1 to 65535".to_owned())
}

/// Parses an address of a host, without a port.
pub fn address(text: &str) -> Result<IpAddr, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    Err(match text.parse::<SocketAddr>() {
        Ok(both) => format!("the port does not belong here: write {}, and --port {}", both.ip(), both.port()),
        Err(_) => "not an IP address: write it like 127.0.0.1, ::1 or localhost".to_owned(),
    })
}

/// Parses an IPv4 address.
pub fn address_v4(text: &str) -> Result<Ipv4Addr, String> {
    match address(text)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err("only IPv4 here: write it like 127.10.0.1".to_owned()),
    }
}

/// Parses an address with its port, to listen on.
pub fn socket(text: &str) -> Result<SocketAddr, String> {
    let example = "write it like 127.0.0.1:9100, or 0.0.0.0:9100 for every address of this machine";
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if address(host).is_ok() => (host, port),
        Some(("", _)) => return Err(format!("the address is missing: {example}")),
        _ if address(text).is_ok() => return Err(format!("the port is missing: {example}")),
        _ => return Err(format!("not an address and a port: {example}")),
    };
    let port = port.parse().map_err(|_| format!("not an address and a port: {example}"))?;
    Ok(SocketAddr::new(address(host)?, port))
}

/// A whole number, its thousands set apart or not, or with `k` or `M` behind it.
fn whole(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, scale) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 3),
        None => text.strip_suffix('M').map_or((text, 0), |digits| (digits, 6)),
    };
    let (digits, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() > scale || !are_digits(fraction) {
        return None;
    }
    let separator = digits.find([',', '_', '\'']).map(|at| &digits[at..=at]);
    let mut groups = digits.split(separator.unwrap_or(","));
    let first = groups.next()?;
    let grouped = separator.is_none() || first.len() <= 3;
    let sound = !first.is_empty() && grouped && are_digits(first);
    if !sound || groups.clone().any(|group| group.len() != 3 || !are_digits(group)) {
        return None;
    }
    let all: String = std::iter::once(first).chain(groups).chain([fraction]).collect();
    let missing = 10_u64.checked_pow((scale - fraction.len()) as u32)?;
    all.parse::<u64>().ok()?.checked_mul(missing)
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_people_write_them() {
        for (text, number) in [
            ("10000", 10_000),
            ("10,000", 10_000),
            ("1_000_000", 1_000_000),
            ("10'000", 10_000),
            ("10k", 10_000),
            ("10K", 10_000),
            ("1.5k", 1500),
            ("2M", 2_000_000),
            (" 7 ", 7),
            ("0", 0),
        ] {
            assert_eq!(count(text), Ok(number), "{text}");
        }
        let refused = "not a whole number: write it like 10000, 10,000 or 10k";
        for text in
            ["", "k", "many", "1,00", "1000,000", "1,000_000", "1.5", "1.2345k", "-1", "+", "1e4", "10 k"]
        {
            assert_eq!(count::<u32>(text).unwrap_err(), refused, "{text}");
        }
        assert_eq!(count::<u32>("5000M").unwrap_err(), "too large: at most 4294967295");
        assert_eq!(count::<u8>("300").unwrap_err(), "too large: at most 255");
        assert_eq!(count::<u64>("99999999999999999999").unwrap_err(), refused);
        let listed = listed::<u32>("000").unwrap_err();
        assert_eq!(listed, "commas separate numbers here: write ten thousand as 10000 or 10k");
    }

    #[test]
    fn other_numbers_are_refused_with_how_to_write_them() {
        assert_eq!((millis("500"), millis("2,000")), (Ok(500), Ok(2000)));
        assert_eq!(millis("1s").unwrap_err(), "not a whole number of milliseconds: write 1000");
        assert_eq!(millis("2m").unwrap_err(), "not a whole number of milliseconds: write 120000");
        assert_eq!(millis("fast").unwrap_err(), "not a whole number of milliseconds: write 1000");
        assert_eq!(number("1e-6"), Ok(1e-6));
        assert_eq!(number("nan").unwrap_err(), "not a number: write it like 12, 0.5 or 1e-6");
        assert_eq!(port("7946"), Ok(7946));
        assert_eq!(port("70000").unwrap_err(), "not a port: write a number from 1 to 65535");
    }

    #[test]
    fn addresses_are_read_by_name_and_in_brackets_and_refused_with_an_example() {
        for (text, read) in [
            ("127.0.0.1", "127.0.0.1"),
            ("localhost", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), read);
        }
        let example = "not an IP address: write it like 127.0.0.1, ::1 or localhost";
        assert_eq!(address("eth0").unwrap_err(), example);
        assert_eq!(address("127.0.0.1/8").unwrap_err(), example);
        assert_eq!(
            address("127.0.0.1:7946").unwrap_err(),
            "the port does not belong here: write 127.0.0.1, and --port 7946"
        );
        assert_eq!(address_v4("::1").unwrap_err(), "only IPv4 here: write it like 127.10.0.1");
        for (text, read) in [
            ("127.0.0.1:9100", "127.0.0.1:9100"),
            ("localhost:9100", "127.0.0.1:9100"),
            ("[::1]:9100", "[::1]:9100"),
            ("[::ffff:127.0.0.1]:9100", "127.0.0.1:9100"),
        ] {
            assert_eq!(socket(text).unwrap().to_string(), read);
        }
        let example = "write it like 127.0.0.1:9100, or 0.0.0.0:9100 for every address of this machine";
        for (text, what) in [
            (":9100", "the address is missing"),
            ("127.0.0.1", "the port is missing"),
            ("::1", "the port is missing"),
            ("localhost", "the port is missing"),
            ("9100", "not an address and a port"),
            ("localhost:http", "not an address and a port"),
            ("example.org:9100", "not an address and a port"),
        ] {
            assert_eq!(socket(text).unwrap_err(), format!("{what}: {example}"), "{text}");
        }
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration(" 500ms "), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
    }

    #[test]
    fn a_duration_without_a_unit_is_told_how_to_get_one() {
        assert_eq!(duration("30").unwrap_err(), "a duration needs a unit: write 30s, 30m or 30ms");
        for text in ["", "s", "-1s", "thirty", "30 parsecs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_read_per_second_minute_and_hour() {
        assert_eq!(rate("1/s").unwrap().per_second, 1.0);
        assert_eq!(rate("30/m").unwrap().per_second, 0.5);
        assert_eq!(rate("7200/h").unwrap().per_second, 2.0);
        assert_eq!(rate("2.5").unwrap().per_second, 2.5);
        assert_eq!(rate("0").unwrap().per_second, 0.0);
        for text in ["", "/s", "1/x", "-1/s", "inf", "nan", "1/s/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_read_as_percent_or_fraction() {
        assert_eq!(share("2%"), Ok(0.02));
        assert_eq!(share("0.02"), Ok(0.02));
        assert_eq!(share("0"), Ok(0.0));
        assert_eq!(share("99.9%"), Ok(0.9990000000000001));
        for text in ["100%", "1", "2", "-1%", "two", "%", "nan"] {
            assert!(share(text).is_err(), "{text}");
        }
        assert!(share("2").unwrap_err().ends_with("or 2% if that was meant"));
    }
}
