use std::borrow::Cow;

use crate::migration::foreign::keep_first;

/// How much of a value that a caller sent is shown to it again, in characters.
const SHOWN: usize = 80;

/// What is wrong with a JSON text, for whoever wrote it: in JSON's words and without a place, which whoever reads the
/// text knows better.
#[must_use]
pub fn describe_json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let mistaken = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "));
    match mistaken.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((given, wanted)) => format!("must be {}, not {}", expected(wanted), unexpected(given)),
        None => keep_first(text, 3 * SHOWN),
    }
}

/// A part of what a caller sent, as it is shown to it again.
#[must_use]
pub fn shown(text: &str) -> String {
    let part = keep_first(text, SHOWN);
    if text.chars().nth(SHOWN).is_some() { format!("{part:?}…") } else { format!("{part:?}") }
}

fn expected(wanted: &str) -> Cow<'_, str> {
    fn whole<T: std::fmt::Display>(least: T, most: T) -> Cow<'static, str> {
        Cow::Owned(format!("a whole number from {least} to {most}"))
    }
    match wanted {
        "i8" => whole(i8::MIN, i8::MAX),
        "i16" => whole(i16::MIN, i16::MAX),
        "i32" => whole(i32::MIN, i32::MAX),
        "i64" => whole(i64::MIN, i64::MAX),
        "u8" => whole(u8::MIN, u8::MAX),
        "u16" => whole(u16::MIN, u16::MAX),
        "u32" => whole(u32::MIN, u32::MAX),
        "u64" => whole(u64::MIN, u64::MAX),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" | "a borrowed string" => "a string".into(),
        "a sequence" => "a list".into(),
        "a map" => "an object".into(),
        of_rust if of_rust.starts_with("struct ") || of_rust.starts_with("tuple ") => "an object".into(),
        other => other.into(),
    }
}

fn unexpected(given: &str) -> String {
    let quoted = |kind: &str| given.strip_prefix(kind).and_then(|rest| rest.strip_suffix('`'));
    let plain = ["integer `", "floating point `", "boolean `", "number `"].into_iter().find_map(quoted);
    match given {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        // A string comes in its quotes.
        _ => {
            let text = plain.unwrap_or_else(|| given.strip_prefix("string ").unwrap_or(given));
            let part = keep_first(text, SHOWN);
            if part.len() < text.len() { format!("{part}…") } else { part }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{describe_json_error, shown};
    use crate::web::Object;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        number: Option<i32>,
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        share: Option<f64>,
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        truth: Option<bool>,
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        names: Option<Vec<String>>,
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        inner: Option<Object<Inner>>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        name: String,
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_json() {
        for (json, says) in [
            ("[]", "must be an object, not a list"),
            ("7", "must be an object, not 7"),
            ("null", "must be an object, not null"),
            (r#"{"number":"x"}"#, r#"must be a whole number from -2147483648 to 2147483647, not "x""#),
            (
                r#"{"number":99999999999}"#,
                "must be a whole number from -2147483648 to 2147483647, not 99999999999",
            ),
            (r#"{"number":1.5}"#, "must be a whole number from -2147483648 to 2147483647, not 1.5"),
            (r#"{"share":true}"#, "must be a number, not true"),
            (r#"{"truth":1}"#, "must be true or false, not 1"),
            (r#"{"names":{}}"#, "must be a list, not an object"),
            (r#"{"names":[["a"]]}"#, "must be a string, not a list"),
            (
                r#"{"names":[", expected x"],"truth":", expected y"}"#,
                r#"must be true or false, not ", expected y""#,
            ),
            (r#"{"inner":["a"]}"#, "must be an object, not a list"),
            (r#"{"inner":{}}"#, "missing field `name`"),
            (r#"{"other":1}"#, "unknown field `other`"),
            (r#"{"number":1,"number":1}"#, "duplicate field `number`"),
            ("{", "EOF while parsing an object"),
        ] {
            let said = describe_json_error(&serde_json::from_str::<Object<Wanted>>(json).unwrap_err());
            assert!(said.starts_with(says), "{json}: {said}");
            for rust in ["struct", "i32", "f64", "sequence", "map", " line ", "type"] {
                assert!(!said.contains(rust), "{json}: {said}");
            }
        }
    }

    #[test]
    fn what_a_caller_sent_is_shown_in_part() {
        let long = "ü".repeat(5000);
        for json in [format!(r#"{{"number":"{long}"}}"#), format!(r#"{{"{long}":1}}"#)] {
            let said = describe_json_error(&serde_json::from_str::<Object<Wanted>>(&json).unwrap_err());
            assert!(said.chars().count() < 300, "{said}");
        }
        assert_eq!(shown("a\0b"), "\"a\u{fffd}b\"");
        assert_eq!(shown(&long), format!("\"{}\"…", "ü".repeat(80)));
    }
}
