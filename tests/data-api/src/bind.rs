//! Parameters: each becomes a PostgreSQL type and a text.
//!
//! The types are the point. A string is `text` and a long is `bigint`, so PostgreSQL itself refuses the
//! comparisons and assignments that it refuses behind the real Data API. All values but bytes travel in PostgreSQL's
//! text format, so PostgreSQL itself judges them too.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::error::{ApiError, ErrorCode};
use crate::hints;
use crate::validate::required;
use crate::wire::{Parameter, Value};

/// One value with the type it is bound as.
#[derive(Clone)]
pub(crate) struct Bound {
    pub(crate) ty: Type,
    value: Option<Sent>,
}

/// What is sent for a value. One that has several occurrences is there once.
#[derive(Clone)]
enum Sent {
    Text(Arc<String>),
    Bytes(Arc<Vec<u8>>),
}

impl Sent {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Bound {
    /// How many bytes are sent for it.
    pub(crate) fn size(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.as_bytes().len())
    }
}

/// The value may be secret, and the client library shows what it binds at its level debug.
impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("ty", &self.ty).finish_non_exhaustive()
    }
}

impl ToSql for Bound {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.value {
            Some(value) => {
                out.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.value {
            Some(Sent::Bytes(_)) => Format::Binary,
            Some(Sent::Text(_)) | None => Format::Text,
        }
    }

    to_sql_checked!();
}

/// The values for `names`, in their order: each occurrence of a name is bound by itself. Every value has a name.
/// Without any value PostgreSQL is left to say how many it misses, as it is behind the real service.
///
/// # Errors
/// `largest` bytes are the most that is bound: a long text that is used often would become longer than anything.
pub(crate) fn bind(
    names: &[String],
    parameters: Vec<Parameter>,
    largest: usize,
) -> Result<Vec<Bound>, ApiError> {
    let mut given: HashMap<String, (Bound, bool)> = HashMap::with_capacity(parameters.len());
    for mut parameter in parameters {
        let name = parameter.name.take();
        let name = required(name.as_deref(), "parameters.member.name")?;
        if given.insert(name.to_owned(), (bound(name, parameter)?, false)).is_some() {
            return Err(ApiError::validation(format!("Parameter {name} is given twice.")));
        }
    }
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let mut size = 0;
    let mut values = Vec::with_capacity(names.len());
    for name in names {
        let Some((bound, used)) = given.get_mut(name) else {
            return Err(ApiError::new(
                ErrorCode::BadRequestException,
                format!("Cannot find parameter: {name}"),
            ));
        };
        *used = true;
        size += bound.size();
        if size > largest {
            return Err(ApiError::validation(format!("More than {largest} bytes are to be bound.")));
        }
        values.push(bound.clone());
    }
    match given.iter().find(|(_, (_, used))| !used) {
        Some((name, _)) => {
            Err(ApiError::validation(format!("Parameter {name} is not used in the statement.")))
        }
        None => Ok(values),
    }
}

fn bound(name: &str, parameter: Parameter) -> Result<Bound, ApiError> {
    let hint = parameter.type_hint.as_deref().map(hints::of_name).transpose()?;
    let value = parameter.value;
    let value = value.ok_or_else(|| ApiError::validation(format!("Parameter {name} has no value.")))?;
    let (ty, value) = plain(name, value)?;
    match (hint, value) {
        (None, value) => Ok(Bound { ty, value }),
        (Some(hint), None) => Ok(Bound { ty: hint.ty(), value: None }),
        (Some(hint), Some(Sent::Text(text))) if ty == Type::TEXT => {
            hint.check(name, &text)?;
            Ok(Bound { ty: hint.ty(), value: Some(Sent::Text(text)) })
        }
        (Some(_), Some(_)) => Err(ApiError::validation(format!(
            "Parameter {name} has a type hint, which only a string value can have."
        ))),
    }
}

/// Type and bytes of a value that has no hint. A NULL has no type of its own: PostgreSQL infers it.
fn plain(name: &str, value: Value) -> Result<(Type, Option<Sent>), ApiError> {
    let refused = |what: &str| Err(ApiError::validation(format!("Parameter {name}: {what}.")));
    let (ty, text) = match value {
        Value::Null(true) => return Ok((Type::UNKNOWN, None)),
        Value::Null(false) => return refused("isNull can only be true"),
        Value::Boolean(value) => (Type::BOOL, value.to_string()),
        Value::Long(value) => (Type::INT8, value.to_string()),
        Value::Double(value) => (Type::FLOAT8, double_text(value)),
        Value::String(value) => (Type::TEXT, value),
        Value::Blob(encoded) => {
            let bytes = STANDARD.decode(encoded).map_err(|_| {
                let message = format!("Parameter {name}: its blobValue is not base64.");
                ApiError::new(ErrorCode::SerializationException, message)
            })?;
            return Ok((Type::BYTEA, Some(Sent::Bytes(Arc::new(bytes)))));
        }
        Value::Array => return Err(ApiError::validation("Array parameters are not supported.")),
        Value::Wrong(count) => {
            return refused(&format!("exactly one member of the value must be set, not {count}"));
        }
    };
    Ok((ty, Some(Sent::Text(Arc::new(text)))))
}

/// As PostgreSQL reads it.
fn double_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    value.to_string()
}
