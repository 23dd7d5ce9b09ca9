//! Values as the wire knows them: `Field` and `ArrayValue` of the service model.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// One value of a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    String(String),
    Blob(Vec<u8>),
    Array(ArrayValue),
}

/// A one-dimensional array; elements may be null.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ArrayValue {
    Booleans(Vec<Option<bool>>),
    Longs(Vec<Option<i64>>),
    Doubles(Vec<Option<f64>>),
    Strings(Vec<Option<String>>),
}

impl Field {
    /// Writes the `Field` union with its one member set.
    pub(crate) fn write_wire(&self, out: &mut String) {
        let member = match self {
            Self::Null => return out.push_str(r#"{"isNull":true}"#),
            Self::Boolean(_) => "booleanValue",
            Self::Long(_) => "longValue",
            Self::Double(_) => "doubleValue",
            Self::String(_) => "stringValue",
            Self::Blob(_) => "blobValue",
            Self::Array(array) => {
                out.push_str(r#"{"arrayValue":{""#);
                out.push_str(array.member());
                out.push_str("\":");
                array.write(out);
                return out.push_str("}}");
            }
        };
        out.push_str("{\"");
        out.push_str(member);
        out.push_str("\":");
        self.write_plain(out);
        out.push('}');
    }

    /// Writes the bare JSON value, as it stands in `formattedRecords`.
    pub(crate) fn write_plain(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Boolean(value) => out.push_str(truth(*value)),
            Self::Long(value) => out.push_str(&value.to_string()),
            Self::Double(value) => out.push_str(&number(*value).to_string()),
            Self::String(value) => write_text(out, value),
            Self::Blob(value) => {
                out.push('"');
                STANDARD.encode_string(value, out);
                out.push('"');
            }
            Self::Array(array) => array.write(out),
        }
    }

    /// The bytes of the value as PostgreSQL writes it: these are what the limit of a result counts.
    pub(crate) fn text_size(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Long(value) => digits(*value),
            Self::Double(value) => value.to_string().len(),
            Self::String(value) => value.len(),
            Self::Blob(value) => 2 + 2 * value.len(),
            Self::Array(array) => array.text_size(),
        }
    }
}

impl ArrayValue {
    fn member(&self) -> &'static str {
        match self {
            Self::Booleans(_) => "booleanValues",
            Self::Longs(_) => "longValues",
            Self::Doubles(_) => "doubleValues",
            Self::Strings(_) => "stringValues",
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Booleans(values) => list(out, values, |out, value| out.push_str(truth(*value))),
            Self::Longs(values) => list(out, values, |out, value| out.push_str(&value.to_string())),
            Self::Doubles(values) => {
                list(out, values, |out, value| out.push_str(&number(*value).to_string()))
            }
            Self::Strings(values) => list(out, values, |out, value| write_text(out, value)),
        }
    }

    /// Braces, a comma after each element but the last, and NULL in letters.
    fn text_size(&self) -> usize {
        fn sum<T>(values: &[Option<T>], size: impl Fn(&T) -> usize) -> usize {
            1 + values.len().max(1)
                + values.iter().map(|value| value.as_ref().map_or(4, &size)).sum::<usize>()
        }
        match self {
            Self::Booleans(values) => sum(values, |_| 1),
            Self::Longs(values) => sum(values, |value| digits(*value)),
            Self::Doubles(values) => sum(values, |value| value.to_string().len()),
            Self::Strings(values) => sum(values, String::len),
        }
    }
}

fn list<T>(out: &mut String, values: &[Option<T>], write: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match value {
            Some(value) => write(out, value),
            None => out.push_str("null"),
        }
    }
    out.push(']');
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn digits(value: i64) -> usize {
    value.to_string().len()
}

/// restJson1 writes what JSON has no number for as one of three strings.
fn number(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}
