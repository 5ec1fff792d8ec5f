//! Names for what is told that stay the same however often it is told.

use crate::model::Digest;

/// A UUID made of some texts: the same for the same texts, and another for others (RFC 9562, version 8, from the first
/// 128 bits of a SHA-256).
pub(super) fn uuid_of(texts: &[&str]) -> String {
    // A text cannot hold the separator, because none of those used here has a control character.
    let mut digits: Vec<char> = Digest::of(texts.join("\n").as_bytes())
        .to_string()
        .chars()
        .take(32)
        .collect();
    digits[12] = '8';
    let variant = digits[16].to_digit(16).unwrap_or_default() & 3 | 8;
    digits[16] = char::from_digit(variant, 16).unwrap_or('8');
    let text = |from: usize, to: usize| digits[from..to].iter().collect::<String>();
    format!(
        "{}-{}-{}-{}-{}",
        text(0, 8),
        text(8, 12),
        text(12, 16),
        text(16, 20),
        text(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_a_uuid_and_differ_by_every_text() {
        // By hand: the SHA-256 of "abc" with the version's digit and the variant's two bits put in.
        assert_eq!(uuid_of(&["abc"]), "ba7816bf-8f01-8fea-8141-40de5dae2223");
        assert_ne!(uuid_of(&["a", "bc"]), uuid_of(&["ab", "c"]));
    }
}
