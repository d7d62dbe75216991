//! A value of TOML, asked for as what it has to be. What it is instead is told in words; the value itself is not
//! repeated, since nobody knows what somebody has put there by mistake.

use toml::Value;

/// What kind of value it is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// A text.
///
/// # Errors
/// What it has to be, to follow the setting's name.
pub fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("has to be text in quotes, and is {}", kind(&other))),
    }
}

/// A list of texts, or one alone.
///
/// # Errors
/// As [`text`].
pub fn texts(value: Value) -> Result<Vec<String>, String> {
    let refusal = |what: &str| format!("has to be a list of texts like [\"...\", \"...\"], and {what}");
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(list) => list
            .into_iter()
            .map(|one| match one {
                Value::String(text) => Ok(text),
                other => Err(refusal(&format!("has {} in it", kind(&other)))),
            })
            .collect(),
        other => Err(refusal(&format!("is {}", kind(&other)))),
    }
}

/// A whole number of `setting`, zero or more.
///
/// # Errors
/// As [`text`].
pub fn whole(setting: &str, value: &Value) -> Result<u64, String> {
    let what =
        if setting.ends_with("_ms") { "a whole number of milliseconds, like 1000" } else { "a whole number" };
    match value {
        Value::Integer(number) => {
            u64::try_from(*number).map_err(|_| format!("has to be zero or more, and is {number}"))
        }
        Value::String(text) if text.trim().parse::<u64>().is_ok() => {
            Err(format!("has to be {what}: leave the quotes out"))
        }
        other => Err(format!("has to be {what}, and is {}", kind(other))),
    }
}

/// A number, with or without a fraction.
///
/// # Errors
/// As [`text`].
pub fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Integer(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        Value::String(text) if text.trim().parse::<f64>().is_ok() => {
            Err("has to be a number: leave the quotes out".to_owned())
        }
        other => Err(format!("has to be a number, and is {}", kind(other))),
    }
}

/// `true` or `false`.
///
/// # Errors
/// As [`text`].
pub fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(truth) => Ok(*truth),
        Value::String(text) if matches!(text.as_str(), "true" | "false") => {
            Err("has to be true or false: leave the quotes out".to_owned())
        }
        other => Err(format!("has to be true or false, and is {}", kind(other))),
    }
}
