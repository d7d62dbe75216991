//! How wide a page may be, and how text is made to fit.
//!
//! A terminal has so many columns and wraps what is longer, which tears tables apart. Every page of both command
//! lines therefore asks here: a terminal is used as far as it goes, and whatever goes to a file or a pipe
//! fits [`LEAST`] columns, so that it can be read and compared anywhere.

use std::os::fd::AsFd;

/// Columns of a page that goes to a file or a pipe, or to a terminal that does not tell its width. No page is
/// made narrower: a narrower terminal wraps.
pub const LEAST: usize = 80;
/// Columns of the widest page: the eye loses its line in longer ones.
pub const MOST: usize = 200;
/// What stands for the middle of a name that is too long.
const CUT: &str = "..";

/// Columns of a page on standard output.
pub fn of_standard_output() -> usize {
    of(terminal_columns(std::io::stdout()))
}

/// Columns of the terminal at standard error; nothing where there is none.
pub fn of_standard_error() -> Option<usize> {
    terminal_columns(std::io::stderr())
}

fn terminal_columns(stream: impl AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0))
}

fn of(terminal: Option<usize>) -> usize {
    terminal.map_or(LEAST, |columns| columns.clamp(LEAST, MOST))
}

/// Columns that a text takes; a terminal's codes for emphasis take none.
pub fn width(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let plain = parts.next().map_or(0, |part| part.chars().count());
    let after_codes = parts.map(|part| part.split_once('m').map_or(0, |(_, rest)| rest.chars().count()));
    plain + after_codes.sum::<usize>()
}

/// What holds two words together: [`wrapped`] writes it as a blank.
pub const NO_BREAK: char = '\u{a0}';

/// `text` in lines of at most `columns`, broken at blanks, and after `_`, `-`, `/`, `.` and `,` in words
/// that are longer than a line. At least one line.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = vec![String::new()];
    let words = text.split(|c: char| c.is_whitespace() && c != NO_BREAK).filter(|word| !word.is_empty());
    for word in words.map(|word| word.replace(NO_BREAK, " ")) {
        let line = lines.last_mut().expect("there is one");
        let room = columns.saturating_sub(width(line) + usize::from(!line.is_empty()));
        if width(&word) <= room {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
            continue;
        }
        for piece in pieces(&word, columns) {
            if lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            lines.push(piece);
        }
    }
    lines
}

/// A word in pieces of at most `columns`.
fn pieces(word: &str, columns: usize) -> Vec<String> {
    let mut rest: Vec<char> = word.chars().collect();
    let mut pieces = Vec::new();
    while rest.len() > columns {
        let seam = rest[..columns].iter().rposition(|c| "_-/.,".contains(*c)).map(|at| at + 1);
        let tail = rest.split_off(seam.filter(|at| *at * 2 > columns).unwrap_or(columns));
        pieces.push(rest.into_iter().collect());
        rest = tail;
    }
    pieces.push(rest.into_iter().collect());
    pieces
}

/// A name in at most `columns`: of a longer one the beginning and the end, which tell names in a row apart.
pub fn shortened(name: &str, columns: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= columns {
        return name.to_owned();
    }
    let Some(room) = columns.checked_sub(CUT.len()) else { return chars[..columns].iter().collect() };
    let (head, tail) = (room.div_ceil(2), room / 2);
    chars[..head]
        .iter()
        .copied()
        .chain(CUT.chars())
        .chain(chars[chars.len() - tail..].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_terminal_is_used_and_a_file_is_as_wide_as_the_narrowest_page() {
        let widths = [None, Some(60), Some(80), Some(100), Some(200), Some(500)].map(of);
        assert_eq!(widths, [80, 80, 80, 100, 200, 200]);
    }

    #[test]
    fn text_breaks_at_blanks_and_long_words_at_their_seams() {
        assert_eq!(wrapped("AMD EPYC 7R13 Processor", 14), ["AMD EPYC 7R13", "Processor"]);
        assert_eq!(wrapped("suspicion_max_timeout_multiplier", 20), ["suspicion_max_", "timeout_multiplier"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("after 12.3\u{a0}s", 10), ["after", "12.3 s"]);
        assert_eq!((width("a \x1b[1;31mred\x1b[0m one"), width("plain")), (9, 5));
    }

    #[test]
    fn a_shortened_name_keeps_both_ends() {
        assert_eq!(shortened("consul-server-in-rack-number-19", 16), "consul-..mber-19");
        assert_eq!(shortened("short", 16), "short");
        assert_eq!(shortened("abcdef", 1), "a");
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_asked_for(text in "[a-z_ .]{0,80}", columns in 1_usize..40) {
            let lines = wrapped(&text, columns);
            prop_assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text), "nothing is lost");
            prop_assert!(width(&shortened(&text, columns)) <= columns);
        }
    }
}
