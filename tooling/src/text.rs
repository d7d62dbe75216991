//! Numbers as people read them: thousands apart, times and sizes in the unit that fits.

/// What stands where nothing was measured.
pub const ABSENT: &str = "-";

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with about three significant digits: `0.0421`, `4.21`, `42.1`, `4,213`.
pub fn significant(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if !number.is_finite() => ABSENT.to_owned(),
        _ if size == 0.0 => "0".to_owned(),
        _ if size >= 99.95 => {
            let sign = if number < 0.0 { "-" } else { "" };
            format!("{sign}{}", thousands(size.round() as u64))
        }
        _ if size >= 9.995 => format!("{number:.1}"),
        _ if size >= 0.9995 => format!("{number:.2}"),
        _ if size >= 0.09995 => format!("{number:.3}"),
        _ if size >= 0.000_1 => format!("{number:.4}"),
        _ => format!("{number:.1e}"),
    }
}

/// Microseconds: `112 us`, `1.20 ms`, `16.4 s`.
pub fn microseconds(us: f64) -> String {
    // The bounds are where rounding to three digits would show 1,000 of the smaller unit.
    match us.abs() {
        size if size < 999.5 => {
            format!("{} us", if us.fract() == 0.0 { format!("{us}") } else { significant(us) })
        }
        size if size < 999_500.0 => format!("{} ms", significant(us / 1e3)),
        _ => format!("{} s", significant(us / 1e6)),
    }
}

/// Bytes: `512 B`, `1.50 KiB`, `22.4 GiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", significant(value), UNITS[unit])
}

/// A share of the whole: 0.02 as `2 %`. Never rounded up to 100 %: 99.996 % of the members is not all.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if (99.9..100.0).contains(&percent) {
        let floored = (percent * 1e4).floor() / 1e4;
        return format!("{floored} %");
    }
    let text = significant(percent);
    let text = if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} %")
}

/// `1 member`, `2 members`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 7, 999, 1000, 10_000, 1_234_567, u64::MAX].map(thousands);
        assert_eq!(texts, ["0", "7", "999", "1,000", "10,000", "1,234,567", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn three_digits_are_kept() {
        let texts =
            [0.0, 0.0421, 0.421, 4.214, 42.14, 99.94, 99.96, 421.4, 4213.0, -42.14, 0.00001].map(significant);
        assert_eq!(
            texts,
            ["0", "0.0421", "0.421", "4.21", "42.1", "99.9", "100", "421", "4,213", "-42.1", "1.0e-5"]
        );
        assert_eq!(significant(f64::NAN), "-");
    }

    #[test]
    fn times_choose_their_unit() {
        let texts = [0.0, 112.0, 999.0, 1_200.0, 999_600.0, 16_400_000.0, 12.34].map(microseconds);
        assert_eq!(texts, ["0 us", "112 us", "999 us", "1.20 ms", "1.00 s", "16.4 s", "12.3 us"]);
    }

    #[test]
    fn sizes_choose_their_unit() {
        let texts = [0, 1023, 1536, 512 << 20, 24_051_816_858].map(bytes);
        assert_eq!(
            texts,
            ["0 B", "1,023 B", "1.50 KiB", "512 MiB", "22.4 GiB"].map(|t| t.replace("1,023", "1023"))
        );
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn nearly_all_is_not_shown_as_all() {
        let texts = [0.0, 0.02, 0.5, 0.999_96, 0.999_999_99, 1.0].map(percent);
        assert_eq!(texts, ["0 %", "2 %", "50 %", "99.996 %", "99.9999 %", "100 %"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "worker"), "1 worker");
        assert_eq!(counted(10_000, "member"), "10,000 members");
    }
}
