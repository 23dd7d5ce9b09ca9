use std::borrow::Cow;

use serde_json::value::RawValue;

/// What stands for a character that cannot be.
const REPLACED: &str = "\\ufffd";

/// The text of a JSON document from `bytes`, as far as it can be read: without a byte order mark, with U+FFFD for
/// what is not UTF-8, and repaired as by [`repair_json`].
#[must_use]
pub fn decode_json(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => repair_json(text),
        Cow::Owned(text) => Cow::Owned(repair_json(&text).into_owned()),
    }
}

/// `json` with U+FFFD for each escape that is no character (half of a surrogate pair) or that no database holds
/// (NUL). Everything else stays as it is, also what is not JSON.
#[must_use]
pub fn repair_json(json: &str) -> Cow<'_, str> {
    let mut repaired: Option<String> = None;
    // Up to where `json` is copied already, and up to where it is read.
    let (mut copied, mut at) = (0, 0);
    for (begin, _) in json.match_indices('\\') {
        if begin < at {
            continue;
        }
        let Some(unit) = escaped_unit(json, begin) else {
            // The backslash and what it escapes, which may be another one.
            at = begin + 2;
            continue;
        };
        let is_pair = matches!(unit, 0xd800..=0xdbff)
            && escaped_unit(json, begin + 6).is_some_and(|next| matches!(next, 0xdc00..=0xdfff));
        at = begin + if is_pair { 12 } else { 6 };
        if !is_pair && matches!(unit, 0 | 0xd800..=0xdfff) {
            let text = repaired.get_or_insert_default();
            text.push_str(&json[copied..begin]);
            text.push_str(REPLACED);
            copied = at;
        }
    }
    match repaired {
        None => Cow::Borrowed(json),
        Some(mut text) => {
            text.push_str(&json[copied..]);
            Cow::Owned(text)
        }
    }
}

/// The UTF-16 unit that `\uXXXX` at `begin` names.
fn escaped_unit(json: &str, begin: usize) -> Option<u32> {
    let digits = json.get(begin..begin + 6)?.strip_prefix("\\u")?;
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hexadecimal.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// What a member's value says, as a text: of a string its characters, of anything else the JSON. None for null.
pub(super) fn text_of(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        json => Some(serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())),
    }
}
