//! Parameters: each becomes a PostgreSQL type and a text.
//!
//! The types are the point. A string is `text` and a long is `bigint`, so PostgreSQL itself refuses the
//! comparisons and assignments that it refuses behind the real Data API. All values travel in PostgreSQL's
//! text format, so PostgreSQL itself judges them too.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::error::{ApiError, ErrorCode};
use crate::hints;
use crate::validate::required;
use crate::wire::{Double, Parameter, Special, Value};

/// One value with the type it is bound as.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) ty: Type,
    value: Option<String>,
}

impl ToSql for Bound {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.value {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// The values for `names`, in their order. Every name must have a value and every value a name.
pub(crate) fn bind(names: &[String], parameters: &[Parameter]) -> Result<Vec<Bound>, ApiError> {
    let mut given: Vec<(&str, Bound)> = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let name = required(parameter.name.as_deref(), "parameters.member.name")?;
        if given.iter().any(|(known, _)| *known == name) {
            return Err(ApiError::validation(format!("Parameter {name} is given twice.")));
        }
        given.push((name, bound(name, parameter)?));
    }
    if let Some((name, _)) = given.iter().find(|(name, _)| !names.iter().any(|wanted| wanted == name)) {
        return Err(ApiError::validation(format!("Parameter {name} is not used in the statement.")));
    }
    names
        .iter()
        .map(|wanted| {
            let found = given.iter().find(|(name, _)| name == wanted);
            found.map(|(_, bound)| bound.clone()).ok_or_else(|| {
                ApiError::new(ErrorCode::BadRequestException, format!("Cannot find parameter: {wanted}"))
            })
        })
        .collect()
}

fn bound(name: &str, parameter: &Parameter) -> Result<Bound, ApiError> {
    let hint = parameter.type_hint.as_deref().map(hints::of_name).transpose()?;
    let value = parameter.value.as_ref();
    let value = value.ok_or_else(|| ApiError::validation(format!("Parameter {name} has no value.")))?;
    let (ty, text) = plain(name, value)?;
    match (hint, text) {
        (None, text) => Ok(Bound { ty, value: text }),
        (Some(hint), None) => Ok(Bound { ty: hint.ty(), value: None }),
        (Some(hint), Some(text)) if ty == Type::TEXT => {
            hint.check(name, &text)?;
            Ok(Bound { ty: hint.ty(), value: Some(text) })
        }
        (Some(_), Some(_)) => Err(ApiError::validation(format!(
            "Parameter {name} has a type hint, which only a string value can have."
        ))),
    }
}

/// Type and text of a value that has no hint. A NULL has no type of its own: PostgreSQL infers it.
fn plain(name: &str, value: &Value) -> Result<(Type, Option<String>), ApiError> {
    let Value { is_null, boolean_value, long_value, double_value, string_value, blob_value, array_value } =
        value.clone();
    if array_value.is_some() {
        return Err(ApiError::validation("Array parameters are not supported."));
    }
    let mut members = Vec::new();
    if let Some(null) = is_null {
        if !null {
            return Err(ApiError::validation(format!("Parameter {name}: isNull can only be true.")));
        }
        members.push((Type::UNKNOWN, None));
    }
    members.extend(boolean_value.map(|value| (Type::BOOL, Some(value.to_string()))));
    members.extend(long_value.map(|value| (Type::INT8, Some(value.to_string()))));
    members.extend(double_value.map(|value| (Type::FLOAT8, Some(double_text(&value)))));
    members.extend(string_value.map(|value| (Type::TEXT, Some(value))));
    if let Some(encoded) = blob_value {
        let bytes = STANDARD.decode(encoded).map_err(|error| {
            ApiError::new(ErrorCode::SerializationException, format!("Parameter {name}: {error}"))
        })?;
        members.push((Type::BYTEA, Some(hexadecimal(&bytes))));
    }
    match members.len() {
        1 => Ok(members.remove(0)),
        count => Err(ApiError::validation(format!(
            "Parameter {name}: exactly one member of the value must be set, not {count}."
        ))),
    }
}

fn double_text(value: &Double) -> String {
    match value {
        Double::Number(number) => number.to_string(),
        Double::Special(Special::NaN) => "NaN".to_owned(),
        Double::Special(Special::Infinity) => "Infinity".to_owned(),
        Double::Special(Special::NegativeInfinity) => "-Infinity".to_owned(),
    }
}

/// PostgreSQL's text form of `bytea`.
fn hexadecimal(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}
