//! Text into HTML: everything that comes from outside is escaped on its way in.

/// `text` as it can stand between tags and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A table. The first column and the heading are set apart; cells are HTML already. Every cell knows its heading:
/// on a narrow screen a row becomes a list, and nothing is cut off.
pub(super) fn table(heading: &[String], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\"><table><thead><tr>");
    for cell in heading {
        html.push_str(&format!("<th>{cell}</th>"));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            html.push_str(&if index == 0 {
                format!("<th>{cell}</th>")
            } else {
                cell_html(cell, &heading[index])
            });
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// A cell may bring its own `<td …>`, to be coloured.
fn cell_html(cell: &str, heading: &str) -> String {
    let named = format!("<td data-label=\"{heading}\"");
    match cell.strip_prefix("<td") {
        Some(rest) => format!("{named}{rest}"),
        None => format!("{named}>{cell}</td>"),
    }
}
