//! Emphasis for terminals, and none anywhere else; and how wide the page is.

use std::ffi::OsString;
use std::io::IsTerminal;

use crate::columns;

/// Whether text is emphasised with terminal colours, and how many columns a line may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    colours: bool,
    columns: usize,
}

impl Style {
    /// No emphasis: files, pipes, `NO_COLOR`.
    pub const PLAIN: Style = Style { colours: false, columns: columns::LEAST };
    /// Terminal colours.
    pub const COLOURS: Style = Style { colours: true, columns: columns::LEAST };

    /// What suits standard output: colours on a terminal, unless `NO_COLOR` is set to anything or the
    /// terminal is a `dumb` one (see no-color.org).
    pub fn of_standard_output() -> Style {
        let variable = |name: &str| std::env::var_os(name);
        let style = Style::of(std::io::stdout().is_terminal(), variable("NO_COLOR"), variable("TERM"));
        style.within(columns::of_standard_output())
    }

    /// The same on a page of `columns`.
    pub fn within(self, columns: usize) -> Style {
        Style { columns, ..self }
    }

    /// Columns of a line.
    pub fn columns(self) -> usize {
        self.columns
    }

    fn of(is_terminal: bool, no_color: Option<OsString>, term: Option<OsString>) -> Style {
        let refused =
            no_color.is_some_and(|value| !value.is_empty()) || term.is_some_and(|value| value == "dumb");
        if is_terminal && !refused { Style::COLOURS } else { Style::PLAIN }
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    /// Something that is as it should be.
    pub fn good(self, text: &str) -> String {
        self.wrapped("32", text)
    }

    /// Something that must be seen.
    pub fn bad(self, text: &str) -> String {
        self.wrapped("1;31", text)
    }

    fn wrapped(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let of = |is_terminal, no_color: Option<&str>, term: &str| {
            Style::of(is_terminal, no_color.map(OsString::from), Some(OsString::from(term)))
        };
        assert_eq!(of(true, None, "xterm"), Style::COLOURS);
        assert_eq!(of(true, Some(""), "xterm"), Style::COLOURS);
        assert_eq!(of(true, Some("1"), "xterm"), Style::PLAIN);
        assert_eq!(of(true, None, "dumb"), Style::PLAIN);
        assert_eq!(of(false, None, "xterm"), Style::PLAIN);
    }

    #[test]
    fn plain_text_has_no_escapes() {
        assert_eq!(Style::PLAIN.bad("no"), "no");
        assert_eq!(Style::COLOURS.bad("no"), "\x1b[1;31mno\x1b[0m");
    }
}
