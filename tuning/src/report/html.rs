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

/// A table. The first column and the heading are set apart; cells are HTML already.
pub(super) fn table(heading: &[String], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\"><table><thead><tr>");
    for cell in heading {
        html.push_str(&format!("<th>{cell}</th>"));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            html.push_str(&if index == 0 { format!("<th>{cell}</th>") } else { cell_html(cell) });
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

/// A cell may bring its own `<td …>`, to be coloured.
fn cell_html(cell: &str) -> String {
    if cell.starts_with("<td") { cell.to_owned() } else { format!("<td>{cell}</td>") }
}
