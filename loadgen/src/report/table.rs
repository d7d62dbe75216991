//! A table: the first column flush left, the others flush right, each as wide as its widest cell.

/// Blanks between two columns.
const GAP: usize = 3;

/// Rows of cells; the first row is the heading.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    first_width: usize,
    other_width: usize,
}

impl Table {
    /// A table whose first column is at least `first_width` characters wide and the others `other_width`.
    pub fn new(first_width: usize, other_width: usize) -> Table {
        Table { rows: Vec::new(), first_width, other_width }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, without trailing blanks.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                line.push_str(&format!("{cell:<0$}", widths[0].max(self.first_width)));
            } else {
                line.push_str(&format!(
                    "{}{cell:>1$}",
                    " ".repeat(GAP),
                    widths[column].max(self.other_width)
                ));
            }
        }
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
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
}
