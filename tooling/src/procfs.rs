//! Lines of the files in `/proc`.

/// A `/proc` line such as `MemAvailable:   123 kB`, in bytes. `None` where it is missing or not a number.
pub fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_in_bytes() {
        let text = "MemTotal:       100 kB\nMemAvailable:   25 kB\nBroken: kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), Some(25 * 1024));
        assert_eq!(kilobytes(text, "Broken:"), None);
        assert_eq!(kilobytes(text, "SwapTotal:"), None);
    }
}
