use http::{HeaderMap, header};

/// What a caller says it has already, by `If-None-Match` (RFC 9110, 13.1.2): the versions in it, for a row's tag is its
/// version. Tags that are none of ours are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IfNoneMatch {
    versions: Vec<i64>,
    any: bool,
}

impl IfNoneMatch {
    /// Reads the header: a list of tags, weak or strong, over one line or several, or `*`.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut said = Self::default();
        for value in headers.get_all(header::IF_NONE_MATCH) {
            let mut rest = value.to_str().unwrap_or_default().trim();
            said.any |= rest == "*";
            // A tag may hold a comma, so the list is read tag by tag.
            while let Some((tag, left)) = rest.split_once('"').and_then(|(_, begun)| begun.split_once('"')) {
                said.versions.extend(version(tag));
                rest = left;
            }
        }
        said
    }

    /// The newest version that the caller has seen, so the least that it may be shown. `*` names none.
    #[must_use]
    pub fn floor(&self) -> Option<i64> {
        self.versions.iter().copied().max()
    }

    /// Whether the caller has `version`, or would be content with whatever it has.
    #[must_use]
    pub fn has(&self, version: i64) -> bool {
        self.any || self.versions.contains(&version)
    }
}

/// A version as the tag of a row has it: digits alone.
fn version(tag: &str) -> Option<i64> {
    tag.bytes().all(|byte| byte.is_ascii_digit()).then(|| tag.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::IfNoneMatch;

    #[test]
    fn every_tag_of_a_list_counts_and_the_newest_is_the_floor() {
        for (lines, floor, has_7, has_8) in [
            (&[][..], None, false, false),
            (&[r#""7""#], Some(7), true, false),
            (&[r#"W/"7""#], Some(7), true, false),
            (&[r#""7", "8""#], Some(8), true, true),
            (&[r#" "9" ,W/"7","3""#], Some(9), true, false),
            (&[r#""7""#, r#""8""#], Some(8), true, true),
            (&[r#""a,7", "8""#], Some(8), false, true),
            (&["*"], None, true, true),
            (&["*", r#""7""#], Some(7), true, true),
            (&["7"], None, false, false),
            (&[r#""-7""#], None, false, false),
            (&[r#""+7""#], None, false, false),
            (&[r#""99999999999999999999""#], None, false, false),
            (&[r#""7"#], None, false, false),
            (&["\u{fc}"], None, false, false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("if-none-match", line.parse().unwrap());
            }
            let said = IfNoneMatch::of(&headers);
            assert_eq!((said.floor(), said.has(7), said.has(8)), (floor, has_7, has_8), "{lines:?}");
        }
    }
}
