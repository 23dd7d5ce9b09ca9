//! The grammar of repository and tag names (distribution's reference grammar).

/// Whether `name` may name a container repository: at most 255 characters, components of lower-case letters
/// and digits, separated inside by `.`, `_`, `__` or dashes, joined by `/`.
pub fn is_repository_name(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(is_component)
}

/// Whether `tag` may name a tag: a word character, then at most 127 of word characters, `.` and `-`.
pub fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut characters = tag.chars();
    characters.next().is_some_and(word)
        && tag.len() <= 128
        && characters.all(|c| word(c) || c == '.' || c == '-')
}

fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators_hold = component
        .split(alphanumeric)
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'));
    component.starts_with(alphanumeric) && component.ends_with(alphanumeric) && separators_hold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_reference_grammar() {
        for good in ["a", "group/project/image", "a.b", "a_b", "a__b", "a---b", "0/1", "a-b.c__d/e"] {
            assert!(is_repository_name(good), "{good}");
        }
        let long = "a/".repeat(128) + "a";
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", "a/../b", "a b", "ä", "a._b",
            &long,
        ] {
            assert!(!is_repository_name(bad), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_reference_grammar() {
        for good in ["latest", "v1.2.3", "_x", "A-b"] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "..", "ü", &"a".repeat(129)] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}
