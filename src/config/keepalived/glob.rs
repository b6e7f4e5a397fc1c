//! Patterns of file names, as `include` takes them: `*`, `?`, `[a-z]`, `[!a-z]`.

/// Whether `pattern` has a wildcard.
pub(super) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether `name`, which is one component of a path, is such a one. A dot in front is met by a dot only.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    // Where the last star was, and how much of the name it has taken: going back there is enough.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match one(&pattern[p..], name[n]) {
            Step::Matched(used) => (p, n) = (p + used, n + 1),
            Step::Star => {
                star = Some((p + 1, n));
                p += 1;
            }
            Step::Failed => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (p, n) = (behind, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

enum Step {
    /// The byte fits what these many bytes of the pattern say.
    Matched(usize),
    Star,
    Failed,
}

fn one(pattern: &[u8], byte: u8) -> Step {
    match pattern.first() {
        None => Step::Failed,
        Some(b'*') => Step::Star,
        Some(b'?') => Step::Matched(1),
        Some(b'[') => match set(pattern, byte) {
            Some((true, used)) => Step::Matched(used),
            Some((false, _)) => Step::Failed,
            // Without its end it is a bracket.
            None if byte == b'[' => Step::Matched(1),
            None => Step::Failed,
        },
        Some(b) if *b == byte => Step::Matched(1),
        Some(_) => Step::Failed,
    }
}

/// Whether `byte` is in the set at the beginning of `pattern`, and the set's length.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    // A bracket in the first place is one of the set.
    let end = first + 1 + pattern.get(first + 1..)?.iter().position(|b| *b == b']')?;
    let (mut i, mut within) = (first, false);
    while i < end {
        if i + 2 < end && pattern[i + 1] == b'-' {
            within |= (pattern[i]..=pattern[i + 2]).contains(&byte);
            i += 3;
        } else {
            within |= pattern[i] == byte;
            i += 1;
        }
    }
    Some((within != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            (".*", ".conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("a*ab", "aaab", true),
            ("?.conf", "ab.conf", false),
            ("[0-9][0-9]-*", "10-lan", true),
            ("[0-9][0-9]-*", "1a-lan", false),
            ("[!0-9]*", "x", true),
            ("[!0-9]*", "1", false),
            ("[]x]", "]", true),
            ("[ab", "[ab", true),
            ("[ab", "a", false),
            ("", "", true),
            ("", "a", false),
            ("****************b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
