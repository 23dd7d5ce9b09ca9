//! The checks AWS makes on a request before any database hears of it.

use crate::config::Limits;
use crate::decode::{DecimalReturn, LongReturn, ReturnTypes};
use crate::error::ApiError;
use crate::sql::{Statement, Verb, read};
use crate::wire::Request;

/// Lengths from the service model.
const ARN: (usize, usize) = (11, 570);
const DATABASE_NAME: usize = 64;
const TRANSACTION_ID: usize = 192;

/// The member must be there.
pub(crate) fn required<'a>(value: Option<&'a str>, member: &str) -> Result<&'a str, ApiError> {
    value.ok_or_else(|| constraint("null", member, "Member must not be null"))
}

/// `resourceArn` or `secretArn`.
pub(crate) fn arn<'a>(value: Option<&'a str>, member: &str) -> Result<&'a str, ApiError> {
    let text = required(value, member)?;
    let length = text.chars().count();
    if length < ARN.0 {
        let rule = format!("Member must have length greater than or equal to {}", ARN.0);
        return Err(constraint(&quoted(text), member, &rule));
    }
    at_most(text, ARN.1, member)?;
    Ok(text)
}

/// The members that every operation shares.
pub(crate) fn common(request: &Request) -> Result<(), ApiError> {
    if let Some(database) = &request.database {
        at_most(database, DATABASE_NAME, "database")?;
        without_nul(database, "database")?;
    }
    if let Some(id) = &request.transaction_id {
        at_most(id, TRANSACTION_ID, "transactionId")?;
    }
    match request.schema {
        Some(_) => Err(ApiError::validation("Schema parameter is not supported.")),
        None => Ok(()),
    }
}

/// The `sql` member: present, short enough, one statement. Answers what kind of statement it is.
pub(crate) fn statement<'a>(request: &'a Request, limits: &Limits) -> Result<(&'a str, Verb), ApiError> {
    let sql = required(request.sql.as_deref(), "sql")?;
    at_most(sql, limits.sql_characters, "sql")?;
    without_nul(sql, "sql")?;
    match read(sql) {
        Statement::Empty => Err(ApiError::validation("The sql parameter holds no statement.")),
        Statement::Several => Err(ApiError::validation("Multistatements aren't supported.")),
        Statement::One { verb } => Ok((sql, verb)),
    }
}

/// `resultSetOptions`.
pub(crate) fn return_types(request: &Request) -> Result<ReturnTypes, ApiError> {
    let Some(options) = &request.result_set_options else { return Ok(ReturnTypes::default()) };
    let decimal = match options.decimal_return_type.as_deref() {
        None | Some("STRING") => DecimalReturn::String,
        Some("DOUBLE_OR_LONG") => DecimalReturn::DoubleOrLong,
        Some(other) => {
            return Err(not_in_enum(other, "resultSetOptions.decimalReturnType", "[STRING, DOUBLE_OR_LONG]"));
        }
    };
    let long = match options.long_return_type.as_deref() {
        None | Some("LONG") => LongReturn::Long,
        Some("STRING") => LongReturn::String,
        Some(other) => {
            return Err(not_in_enum(other, "resultSetOptions.longReturnType", "[STRING, LONG]"));
        }
    };
    Ok(ReturnTypes { decimal, long })
}

/// `formatRecordsAs`: whether JSON was asked for.
pub(crate) fn wants_json(request: &Request) -> Result<bool, ApiError> {
    match request.format_records_as.as_deref() {
        None | Some("NONE") => Ok(false),
        Some("JSON") => Ok(true),
        Some(other) => Err(not_in_enum(other, "formatRecordsAs", "[NONE, JSON]")),
    }
}

/// A value that is none of an enumeration's.
pub(crate) fn not_in_enum(value: &str, member: &str, allowed: &str) -> ApiError {
    constraint(&quoted(value), member, &format!("Member must satisfy enum value set: {allowed}"))
}

fn at_most(text: &str, length: usize, member: &str) -> Result<(), ApiError> {
    if text.chars().count() <= length {
        return Ok(());
    }
    let rule = format!("Member must have length less than or equal to {length}");
    // A text that is too long is not repeated.
    Err(constraint("", member, &rule))
}

/// PostgreSQL's texts end with a NUL where they are no values.
fn without_nul(text: &str, member: &str) -> Result<(), ApiError> {
    match text.contains('\0') {
        true => Err(constraint("", member, "Member must not contain a NUL")),
        false => Ok(()),
    }
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

fn constraint(value: &str, member: &str, rule: &str) -> ApiError {
    let value = if value.is_empty() { String::new() } else { format!(" {value}") };
    ApiError::validation(format!(
        "1 validation error detected: Value{value} at '{member}' failed to satisfy constraint: {rule}"
    ))
}
