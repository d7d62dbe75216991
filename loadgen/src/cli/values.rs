//! How people write durations, rates and shares on a command line, and what each is refused with.

use std::fmt;
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

fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

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
