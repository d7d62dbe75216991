//! A table: the first column flush left, the others flush right, each as wide as its widest cell.
//!
//! [`Table::lines_within`] makes it fit a page: columns move closer together, long names in the first column lose
//! their middle, columns that were said to be spare are left out, and long cells go on in the next line. A table that
//! is still too wide goes on below, with its first column again. Nothing ever wraps.

use crate::columns::{shortened, width, wrapped};

/// Blanks between two columns, and where room is short.
const GAPS: [usize; 2] = [3, 2];
/// A cell is not broken into lines shorter than this, and one of the first column not into shorter ones than the other.
const CELL_LEAST: usize = 12;
const LABEL_LEAST: usize = 26;

/// Rows of cells; the first row is the heading.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    first_width: usize,
    other_width: usize,
    spare: Vec<usize>,
    name_least: Option<usize>,
}

impl Table {
    /// A table whose first column is at least `first_width` characters wide and the others `other_width`.
    pub fn new(first_width: usize, other_width: usize) -> Table {
        Table { first_width, other_width, ..Table::default() }
    }

    /// Columns that may be left out where there is no room for all, by number, the first to go first. The first
    /// column, number 0, never goes.
    pub fn spare(mut self, columns: &[usize]) -> Table {
        self.spare = columns.to_vec();
        self
    }

    /// The first column has names, of which `least` characters tell enough where room is short.
    pub fn names(mut self, least: usize) -> Table {
        self.name_least = Some(least);
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, as long as they come, without trailing blanks.
    pub fn lines(&self) -> Vec<String> {
        self.lines_within(usize::MAX)
    }

    /// The lines, none longer than `columns`, without trailing blanks. The first is the heading's.
    pub fn lines_within(&self, columns: usize) -> Vec<String> {
        let all: Vec<usize> = (0..self.rows.iter().map(Vec::len).max().unwrap_or(0)).collect();
        if all.is_empty() {
            return Vec::new();
        }
        for spared in 0..=self.spare.len() {
            let kept: Vec<usize> =
                all.iter().copied().filter(|column| !self.spare[..spared].contains(column)).collect();
            for gap in GAPS {
                if let Some(widths) = self.widths(&kept, gap, columns) {
                    return self.block(&kept, &widths, gap);
                }
            }
        }
        let kept: Vec<usize> = all.into_iter().filter(|column| !self.spare.contains(column)).collect();
        self.blocks(&kept, columns)
    }

    /// The width of the widest cell of a column.
    fn natural(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        let least = if column == 0 { self.first_width } else { self.other_width };
        cells.map(|cell| width(cell)).max().unwrap_or(0).max(least)
    }

    /// The widths of the columns `kept` if they fit as they are, or with shortened names.
    fn widths(&self, kept: &[usize], gap: usize, columns: usize) -> Option<Vec<usize>> {
        let mut widths: Vec<usize> = kept.iter().map(|column| self.natural(*column)).collect();
        let over = total(&widths, gap).saturating_sub(columns);
        if over > 0 {
            let least = self.name_least?.max(self.first_width);
            widths[0] = widths[0].checked_sub(over).filter(|width| *width >= least)?;
        }
        Some(widths)
    }

    /// The columns `kept` with cells that go on in the next line, in as many tables below each other as it takes.
    fn blocks(&self, kept: &[usize], columns: usize) -> Vec<String> {
        let gap = GAPS[GAPS.len() - 1];
        let mut lines = Vec::new();
        let mut rest = &kept[1..];
        loop {
            let mut taken = rest.len();
            let mut block = [&kept[..1], rest].concat();
            while taken > 1 && total(&self.narrowest(&block), gap) > columns {
                taken -= 1;
                block.pop();
            }
            if !lines.is_empty() {
                lines.push(String::new());
            }
            lines.append(&mut self.block(&block, &self.narrowed(&block, gap, columns), gap));
            rest = &rest[taken..];
            if rest.is_empty() {
                return lines;
            }
        }
    }

    /// The smallest widths that the columns `kept` may have.
    fn narrowest(&self, kept: &[usize]) -> Vec<usize> {
        kept.iter().map(|column| self.natural(*column).min(self.least(*column))).collect()
    }

    fn least(&self, column: usize) -> usize {
        if column == 0 { self.name_least.unwrap_or(LABEL_LEAST) } else { CELL_LEAST }
    }

    /// Widths of the columns `kept` that fit: the widest give way first.
    fn narrowed(&self, kept: &[usize], gap: usize, columns: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = kept.iter().map(|column| self.natural(*column)).collect();
        while total(&widths, gap) > columns {
            let wide = (0..kept.len()).filter(|at| widths[*at] > self.least(kept[*at]));
            match wide.max_by_key(|at| widths[*at]) {
                Some(widest) => widths[widest] -= 1,
                // Two columns at their least are wider than the page: the page is a mere strip.
                None => match widths.iter_mut().max().filter(|width| **width > 1) {
                    Some(width) => *width -= 1,
                    None => return widths,
                },
            }
        }
        widths
    }

    /// The columns `kept`, each as wide as told.
    fn block(&self, kept: &[usize], widths: &[usize], gap: usize) -> Vec<String> {
        self.rows.iter().flat_map(|row| self.row_lines(row, kept, widths, gap)).collect()
    }

    /// One row: as many lines as its longest cell takes.
    fn row_lines(&self, row: &[String], kept: &[usize], widths: &[usize], gap: usize) -> Vec<String> {
        let cells: Vec<Vec<String>> = kept
            .iter()
            .zip(widths)
            .filter_map(|(column, width)| row.get(*column).map(|cell| self.cell(cell, *column, *width)))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let line = |nth: usize| {
            let mut line = String::new();
            for (at, cell) in cells.iter().enumerate() {
                let (text, columns) = (cell.get(nth).map_or("", String::as_str), widths[at]);
                match at {
                    0 => line.push_str(&format!("{text:<columns$}")),
                    _ => line.push_str(&format!("{}{text:>columns$}", " ".repeat(gap))),
                }
            }
            line.trim_end().to_owned()
        };
        (0..height).map(line).collect()
    }

    fn cell(&self, cell: &str, column: usize, columns: usize) -> Vec<String> {
        if width(cell) <= columns {
            return vec![cell.to_owned()];
        }
        match self.name_least {
            Some(_) if column == 0 => vec![shortened(cell, columns)],
            _ => wrapped(cell, columns),
        }
    }
}

/// Columns of a line.
fn total(widths: &[usize], gap: usize) -> usize {
    widths.iter().sum::<usize>() + gap * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_align() {
        let mut table = Table::new(0, 0);
        table.row(["", "count", "p50"]);
        table.row(["probe", "1,000", "112 us"]);
        table.row(["a longer name", "7"]);
        assert_eq!(
            table.lines(),
            ["                count      p50", "probe           1,000   112 us", "a longer name       7"]
        );
        assert!(Table::new(5, 5).lines().is_empty());
    }

    fn members() -> Table {
        let mut table = Table::new(0, 0).spare(&[3, 1]).names(10);
        table.row(["name", "first", "second", "third"]);
        table.row(["server-in-rack-17", "1", "2", "3"]);
        table
    }

    #[test]
    fn what_has_no_room_gives_way_in_order() {
        let second = |columns: usize| {
            members().lines_within(columns)[1].split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(second(60), "server-in-rack-17 1 2 3");
        assert_eq!(second(34), "serve..ck-17 1 2 3", "names first");
        assert_eq!(second(26), "serve..k-17 1 2", "then what is spare");
        assert_eq!(second(18), "serv..k-17 2");
    }

    #[test]
    fn what_is_not_spare_goes_on_below() {
        let mut table = Table::new(0, 0);
        table.row(["", "before", "after", "much later"]);
        table.row(["machine", "AMD EPYC 7R13 Processor", "Intel Xeon", "AMD EPYC 7R13 Processor"]);
        let lines = table.lines_within(36);
        assert_eq!(
            lines,
            [
                "                  before       after",
                "machine    AMD EPYC 7R13  Intel Xeon",
                "               Processor",
                "",
                "                      much later",
                "machine  AMD EPYC 7R13 Processor",
            ]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_longer_than_the_page(
            rows in prop::collection::vec(prop::collection::vec("[a-z ]{0,30}", 1..8), 1..5),
            columns in 30_usize..120, spare in prop::collection::vec(1_usize..8, 0..3), names: bool,
        ) {
            let mut table = Table::new(0, 0).spare(&spare);
            if names {
                table = table.names(12);
            }
            rows.iter().for_each(|row| table.row(row.iter().map(String::as_str)));
            let lines = table.lines_within(columns);
            prop_assert!(lines.iter().all(|line| width(line) <= columns), "{lines:#?}");
        }
    }
}
