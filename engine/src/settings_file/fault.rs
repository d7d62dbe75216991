//! What is wrong with a TOML file, in one line: for everything that reads settings.

/// What the parser calls things, and what people do. The longer of two with the same start first.
const WORDS: [(&str, &str); 20] = [
    ("expected u128", "expected a whole number"),
    ("expected u64", "expected a whole number"),
    ("expected u32", "expected a whole number"),
    ("expected u16", "expected a whole number"),
    ("expected u8", "expected a whole number"),
    ("expected usize", "expected a whole number"),
    ("expected i64", "expected a whole number"),
    ("expected i32", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected f32", "expected a number"),
    ("expected a boolean", "expected true or false"),
    ("expected a sequence", "expected a list"),
    ("expected a string", "expected text"),
    ("expected a map", "expected a table"),
    (" as i128", ""),
    (" as u128", ""),
    ("invalid type: sequence", "invalid type: a list"),
    ("invalid type: map", "invalid type: a table"),
    ("invalid type: boolean", "invalid type:"),
    ("invalid type: floating point", "invalid type: the number"),
];

/// The parser's message on one line and in words, with the line of `text` that it is about.
pub fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    let message = WORDS.iter().fold(message, |message, (theirs, ours)| message.replace(theirs, ours));
    match error.span() {
        Some(span) => {
            let line = 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count();
            format!("line {line}: {message}")
        }
        None => message,
    }
}
