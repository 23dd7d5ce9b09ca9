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
    /// The `Field` union with its one member set.
    pub(crate) fn to_wire(&self) -> Value {
        match self {
            Self::Null => json!({ "isNull": true }),
            Self::Boolean(value) => json!({ "booleanValue": value }),
            Self::Long(value) => json!({ "longValue": value }),
            Self::Double(value) => json!({ "doubleValue": number(*value) }),
            Self::String(value) => json!({ "stringValue": value }),
            Self::Blob(value) => json!({ "blobValue": STANDARD.encode(value) }),
            Self::Array(array) => json!({ "arrayValue": { array.member(): array.elements() } }),
        }
    }

    /// The bare JSON value, as it stands in `formattedRecords`.
    pub(crate) fn to_plain(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => json!(value),
            Self::Long(value) => json!(value),
            Self::Double(value) => number(*value),
            Self::String(value) => json!(value),
            Self::Blob(value) => json!(STANDARD.encode(value)),
            Self::Array(array) => array.elements(),
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

    fn elements(&self) -> Value {
        match self {
            Self::Booleans(values) => json!(values),
            Self::Longs(values) => json!(values),
            Self::Doubles(values) => values.iter().map(|value| value.map_or(Value::Null, number)).collect(),
            Self::Strings(values) => json!(values),
        }
    }
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
