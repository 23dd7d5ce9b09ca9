//! Doors for whoever feeds requests and values with rubbish. Built with the feature `fuzzing` alone.

use bytes::Bytes;
use tokio_postgres::types::Type;

use crate::bind;
use crate::config::Limits;
use crate::decode::{self, DecimalReturn, LongReturn, ReturnTypes};
use crate::error::ApiError;
use crate::sql::{self, Statement};
use crate::validate;
use crate::wire::Request;

/// What became of a request before any database hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The statement as PostgreSQL is sent it.
    pub text: String,
    /// How many values are bound.
    pub bound: usize,
    /// How many sets of parameters there are.
    pub sets: usize,
}

/// Reads, checks and binds a request to execute a statement.
///
/// # Errors
/// The name and the message of what is answered to it.
pub fn request(body: &[u8]) -> Result<Heard, (&'static str, String)> {
    let answered = |error: ApiError| (error.code.name(), error.message);
    let request = Request::read(&Bytes::copy_from_slice(body)).map_err(answered)?;
    validate::common(&request).map_err(answered)?;
    validate::return_types(&request).map_err(answered)?;
    validate::wants_json(&request).map_err(answered)?;
    let (sql, _) = validate::statement(&request, &Limits::default()).map_err(answered)?;
    let rewritten = sql::rewrite(sql);
    for set in request.parameter_sets.iter() {
        bind::bind(&rewritten.names, set.map_err(answered)?, 1 << 20).map_err(answered)?;
    }
    let sets = request.parameter_sets.len();
    let bound = bind::bind(&rewritten.names, request.parameters, 1 << 20).map_err(answered)?;
    Ok(Heard { text: rewritten.text, bound: bound.len(), sets })
}

/// A statement with its placeholders by number, and their names in the order of the numbers.
#[must_use]
pub fn rewritten(sql: &str) -> (String, Vec<String>) {
    let rewritten = sql::rewrite(sql);
    (rewritten.text, rewritten.names)
}

/// How many statements a text holds: none, one or more.
#[must_use]
pub fn statements(sql: &str) -> usize {
    match sql::read(sql) {
        Statement::Empty => 0,
        Statement::One { .. } => 1,
        Statement::Several => 2,
    }
}

/// A value of each type that is returned, as the JSON that it becomes; None for bytes that are no such value.
#[must_use]
pub fn value(type_number: u8, raw: &[u8]) -> Option<[String; 2]> {
    let types = [
        Type::BOOL,
        Type::BYTEA,
        Type::DATE,
        Type::CIDR,
        Type::NUMERIC,
        Type::FLOAT8,
        Type::INET,
        Type::INT4,
        Type::JSONB,
        Type::FLOAT4,
        Type::TEXT,
        Type::TIME,
        Type::TIMESTAMPTZ,
        Type::UUID,
        Type::INT4_RANGE,
        Type::NUM_RANGE,
        Type::TSTZ_RANGE,
        Type::INT8_ARRAY,
        Type::TEXT_ARRAY,
        Type::NUMERIC_ARRAY,
        Type::BIT_ARRAY,
    ];
    let ty = &types[usize::from(type_number) % types.len()];
    let options = match type_number < 128 {
        true => ReturnTypes::default(),
        false => ReturnTypes { decimal: DecimalReturn::DoubleOrLong, long: LongReturn::String },
    };
    decode::check_supported(ty).ok()?;
    let field = decode::field(ty, Some(raw), options).ok()?;
    let (mut wire, mut plain) = (String::new(), String::new());
    field.write_wire(&mut wire);
    field.write_plain(&mut plain);
    Some([wire, plain])
}
