//! Pieces of HTML pages that are made for people: by [`maud`], which escapes every text on its way in.

use maud::{Markup, Render, html};

/// A cell of a table: what it has in it, and the class that colours it.
#[derive(Clone, Debug)]
pub struct Cell {
    content: Markup,
    class: Option<&'static str>,
}

impl Cell {
    /// A cell with `content`: text, which is escaped, or markup.
    pub fn new(content: impl Render) -> Cell {
        Cell { content: html! { (content) }, class: None }
    }

    /// The same, of this class.
    #[must_use]
    pub fn class(self, class: &'static str) -> Cell {
        Cell { class: Some(class), ..self }
    }
}

/// A table. The first column and the heading are set apart. Every cell knows its heading (`data-label`): on a narrow
/// screen a style can make a list of a row, with nothing cut off.
pub fn table(heading: &[String], rows: &[Vec<Cell>]) -> Markup {
    html! {
        div class="wide" {
            table {
                thead { tr { @for cell in heading { th { (cell) } } } }
                tbody { @for row in rows { tr { (cells(heading, row)) } } }
            }
        }
    }
}

fn cells(heading: &[String], row: &[Cell]) -> Markup {
    html! {
        @for (index, cell) in row.iter().enumerate() {
            @if index == 0 {
                th class=[cell.class] { (cell.content) }
            } @else {
                td data-label=[heading.get(index)] class=[cell.class] { (cell.content) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_and_markup_stays() {
        let heading = ["na<me".to_owned(), "\"limit\" & more".to_owned()];
        let row =
            vec![Cell::new(html! { code { "a<b" } }), Cell::new("<td class=\"met\">no</td>").class("missed")];
        assert_eq!(
            table(&heading, &[row]).into_string(),
            "<div class=\"wide\"><table><thead><tr><th>na&lt;me</th><th>&quot;limit&quot; &amp; more</th></tr></thead>\
             <tbody><tr><th><code>a&lt;b</code></th><td data-label=\"&quot;limit&quot; &amp; more\" class=\"missed\">\
             &lt;td class=&quot;met&quot;&gt;no&lt;/td&gt;</td></tr></tbody></table></div>"
        );
    }
}
