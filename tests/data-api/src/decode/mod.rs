//! PostgreSQL's binary values as `Field`s, and the types that have none.

mod array;
mod compact;
mod numeric;
mod range;
mod temporal;

use std::error::Error;

use postgres_protocol::types as protocol;
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::error::{ApiError, ErrorCode};
use crate::field::Field;

/// `resultSetOptions`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReturnTypes {
    pub(crate) decimal: DecimalReturn,
    pub(crate) long: LongReturn,
}

/// How a numeric is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DecimalReturn {
    #[default]
    String,
    DoubleOrLong,
}

/// How an integer is returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LongReturn {
    #[default]
    Long,
    String,
}

/// A value as it came, whatever its type.
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An infinite date or timestamp.
#[derive(Debug, thiserror::Error)]
#[error("an infinite date or timestamp")]
struct Infinite;

/// Whether a column of this type can be returned at all.
pub(crate) fn check_supported(ty: &Type) -> Result<(), ApiError> {
    let supported = match ty.kind() {
        Kind::Array(element) => is_scalar(element) || *element == Type::BIT,
        _ => is_scalar(ty) || is_returned_alone(ty),
    };
    if supported {
        return Ok(());
    }
    Err(ApiError::unsupported_result(format!("The result contains the unsupported data type {}", ty.name())))
}

/// One value. The column's type has passed [`check_supported`].
pub(crate) fn field(ty: &Type, raw: Option<&[u8]>, options: ReturnTypes) -> Result<Field, ApiError> {
    let Some(raw) = raw else { return Ok(Field::Null) };
    let read = match ty.kind() {
        Kind::Array(element) => array::read(element, raw, options),
        _ => scalar(ty, raw, options),
    };
    read.map_err(|error| match error.is::<Infinite>() {
        true => ApiError::new(ErrorCode::InternalFailure, "An internal failure has occurred."),
        false => ApiError::unsupported_result(format!("The result cannot be read: {error}")),
    })
}

type Read<T> = Result<T, Box<dyn Error + Sync + Send>>;

/// What is returned although no list of AWS's names it, and not in an array.
fn is_returned_alone(ty: &Type) -> bool {
    let range = match ty.kind() {
        Kind::Range(element) => {
            [Type::INT4, Type::INT8, Type::NUMERIC, Type::DATE, Type::TIMESTAMP, Type::TIMESTAMPTZ]
                .contains(element)
        }
        _ => false,
    };
    range || *ty == Type::VOID || is_vector(ty)
}

/// A type of the extension pgvector, which has no fixed id.
fn is_vector(ty: &Type) -> bool {
    ty.name() == "vector" && *ty.kind() == Kind::Simple
}

/// The list is AWS's (Data API operations reference, Aurora PostgreSQL scalar types), with timestamptz and oid.
fn is_scalar(ty: &Type) -> bool {
    const SCALARS: [Type; 23] = [
        Type::BOOL,
        Type::BYTEA,
        Type::DATE,
        Type::CIDR,
        Type::NUMERIC,
        Type::FLOAT8,
        Type::INET,
        Type::INT4,
        Type::INT2,
        Type::INT8,
        Type::JSONB,
        Type::JSON,
        Type::FLOAT4,
        Type::TEXT,
        Type::BPCHAR,
        Type::VARCHAR,
        Type::NAME,
        Type::OID,
        Type::TIME,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::UUID,
        Type::UNKNOWN,
    ];
    matches!(ty.kind(), Kind::Enum(_)) || SCALARS.contains(ty)
}

fn scalar(ty: &Type, raw: &[u8], options: ReturnTypes) -> Read<Field> {
    let field = match *ty {
        Type::BOOL => Field::Boolean(protocol::bool_from_sql(raw)?),
        Type::INT2 => long(i64::from(protocol::int2_from_sql(raw)?), options),
        Type::INT4 => long(i64::from(protocol::int4_from_sql(raw)?), options),
        Type::INT8 => long(protocol::int8_from_sql(raw)?, options),
        Type::OID => long(i64::from(protocol::oid_from_sql(raw)?), options),
        // Widened: 0.1 becomes 0.10000000149011612.
        Type::FLOAT4 => Field::Double(f64::from(protocol::float4_from_sql(raw)?)),
        Type::FLOAT8 => Field::Double(protocol::float8_from_sql(raw)?),
        Type::NUMERIC => decimal(numeric::text(raw)?, options)?,
        Type::BYTEA => Field::Blob(raw.to_vec()),
        Type::DATE => Field::String(temporal::date(protocol::date_from_sql(raw)?)?),
        Type::TIME => Field::String(temporal::time(protocol::time_from_sql(raw)?)),
        // A timestamptz is UTC on the wire, and stays so.
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            Field::String(temporal::timestamp(protocol::timestamp_from_sql(raw)?)?)
        }
        Type::UUID => Field::String(uuid::Uuid::from_bytes(protocol::uuid_from_sql(raw)?).to_string()),
        Type::INET | Type::CIDR => Field::String(network(ty, raw)?),
        // One byte of format version stands before a jsonb's text.
        Type::JSONB => {
            Field::String(compact::compact(protocol::text_from_sql(raw.get(1..).unwrap_or_default())?))
        }
        Type::BIT => bits(raw)?,
        Type::VOID => Field::String(String::new()),
        _ => match ty.kind() {
            Kind::Range(element) => Field::String(range::text(element, raw)?),
            _ if is_vector(ty) => Field::String(vector(raw)?),
            _ => text(raw)?,
        },
    };
    Ok(field)
}

fn text(raw: &[u8]) -> Read<Field> {
    Ok(Field::String(protocol::text_from_sql(raw)?.to_owned()))
}

/// A single bit is a truth value, more of them are digits.
fn bits(raw: &[u8]) -> Read<Field> {
    let bits = protocol::varbit_from_sql(raw)?;
    let bit = |at: usize| bits.bytes().get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
    match bits.len() {
        1 => Ok(Field::Boolean(bit(0))),
        length => Ok(Field::String((0..length).map(|at| if bit(at) { '1' } else { '0' }).collect())),
    }
}

/// pgvector's binary form: the number of dimensions and an unused number, 16 bit each, then 32-bit floats.
fn vector(raw: &[u8]) -> Read<String> {
    let floats = raw.get(4..).ok_or("a vector is cut short")?.chunks_exact(4);
    let floats: Vec<String> =
        floats.map(|four| f32::from_be_bytes([four[0], four[1], four[2], four[3]]).to_string()).collect();
    Ok(format!("[{}]", floats.join(",")))
}

fn long(value: i64, options: ReturnTypes) -> Field {
    match options.long {
        LongReturn::Long => Field::Long(value),
        LongReturn::String => Field::String(value.to_string()),
    }
}

fn decimal(text: String, options: ReturnTypes) -> Read<Field> {
    match options.decimal {
        DecimalReturn::String => Ok(Field::String(text)),
        DecimalReturn::DoubleOrLong => match text.parse::<i64>() {
            Ok(whole) => Ok(Field::Long(whole)),
            Err(_) => Ok(Field::Double(text.parse()?)),
        },
    }
}

/// An inet shows its mask only where it is not a single host; a cidr always does.
fn network(ty: &Type, raw: &[u8]) -> Read<String> {
    let value = protocol::inet_from_sql(raw)?;
    let (address, mask) = (value.addr(), value.netmask());
    let host = if address.is_ipv4() { 32 } else { 128 };
    if *ty == Type::INET && mask == host { Ok(address.to_string()) } else { Ok(format!("{address}/{mask}")) }
}

#[cfg(test)]
mod tests {
    use super::vector;

    #[test]
    fn a_vector_is_its_list_of_numbers() {
        let raw =
            [&[0, 3, 0, 0][..], &1_f32.to_be_bytes(), &(-0.5_f32).to_be_bytes(), &3.25_f32.to_be_bytes()];
        assert_eq!(vector(&raw.concat()).unwrap(), "[1,-0.5,3.25]");
        assert!(vector(&[0]).is_err());
    }
}
