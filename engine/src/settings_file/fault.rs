//! What is wrong with a TOML file, in one line: for everything that reads settings.

/// The parser's message on one line, with the line of `text` that it is about.
pub fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    match error.span() {
        Some(span) => {
            let line = 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
            format!("line {line}: {message}")
        }
        None => message,
    }
}
