//! Texts that a test compares, without what differs from run to run.

/// Replaces commit ids, days and ports, which differ from run to run.
pub(crate) fn normalize(text: &str) -> String {
    let mut normal = String::new();
    let mut word = String::new();
    let hexadecimal = |word: &str| {
        word.len() >= 7
            && word.chars().all(|c| c.is_ascii_hexdigit())
            && word.contains(|c: char| c.is_ascii_digit())
            && word.contains(|c: char| c.is_ascii_alphabetic())
    };
    let flush = |word: &mut String, normal: &mut String| {
        // A day counts as one word: `2026-11-22`.
        let parts: Vec<&str> = word.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let day = lengths == [4, 2, 2] && word.chars().all(|c| c == '-' || c.is_ascii_digit());
        let words: Vec<&str> = if day {
            vec!["DATE"]
        } else {
            parts
                .iter()
                .map(|part| if hexadecimal(part) { "SHA" } else { part })
                .collect()
        };
        normal.push_str(&words.join("-"));
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '-' {
            word.push(c);
        } else {
            flush(&mut word, &mut normal);
            normal.push(c);
        }
    }
    flush(&mut word, &mut normal);
    match normal.find("127.0.0.1:") {
        None => normal,
        Some(_) => normal
            .split("127.0.0.1:")
            .enumerate()
            .map(|(n, part)| {
                if n == 0 {
                    part.to_owned()
                } else {
                    format!(
                        "127.0.0.1:PORT{}",
                        part.trim_start_matches(|c: char| c.is_ascii_digit())
                    )
                }
            })
            .collect(),
    }
}
