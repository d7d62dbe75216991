//! A key as operators have it: base64, as Serf, Consul and `openssl rand` print it, or as a URL or a copied line
//! carries it.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use swimring_codec::memberlist::SecretKey;

/// With the padding at its end or without.
const EITHER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key that `text` has in base64 of either alphabet, padded or not.
///
/// # Errors
/// What it has to be, to follow the setting's name. The text is not repeated: errors end up in logs.
pub fn secret_key(text: &str) -> Result<SecretKey, String> {
    let standard = text.trim().replace('-', "+").replace('_', "/");
    let bytes = EITHER.decode(standard).map_err(|_| "is not base64".to_owned())?;
    match bytes.len() {
        16 | 24 | 32 => Ok(bytes.into()),
        other => Err(format!("has {other} bytes; a key has 16, 24 or 32")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read_padded_or_not() {
        let key = SecretKey::from(vec![0xfb; 16]);
        for text in [
            "+/v7+/v7+/v7+/v7+/v7+w==",
            "+/v7+/v7+/v7+/v7+/v7+w",
            "-_v7-_v7-_v7-_v7-_v7-w==",
            "-_v7-_v7-_v7-_v7-_v7-w",
            " +/v7+/v7+/v7+/v7+/v7+w==\n",
        ] {
            assert!(secret_key(text) == Ok(key.clone()), "{text}");
        }
    }

    #[test]
    fn a_fault_says_what_is_wrong_and_not_what_it_was() {
        for (text, told) in [
            ("hunter2hunter2!", "is not base64"),
            ("c2VjcmV0", "has 6 bytes; a key has 16, 24 or 32"),
            ("", "has 0 bytes; a key has 16, 24 or 32"),
        ] {
            assert_eq!(secret_key(text).unwrap_err(), told);
        }
    }
}
