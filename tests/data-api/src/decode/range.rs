//! Ranges, as PostgreSQL writes them.

use postgres_protocol::types as protocol;
use tokio_postgres::types::Type;

use super::{Read, numeric, temporal};

/// `[lower,upper)`.
pub(super) fn text(element: &Type, raw: &[u8]) -> Read<String> {
    let protocol::Range::Nonempty(lower, upper) = protocol::range_from_sql(raw)? else {
        return Ok("empty".to_owned());
    };
    let (opening, lower) = bound(element, &lower, ('[', '('))?;
    let (closing, upper) = bound(element, &upper, (']', ')'))?;
    Ok(format!("{opening}{lower},{upper}{closing}"))
}

fn bound(
    element: &Type,
    bound: &protocol::RangeBound<Option<&[u8]>>,
    (inclusive, exclusive): (char, char),
) -> Read<(char, String)> {
    let (mark, value) = match bound {
        protocol::RangeBound::Inclusive(value) => (inclusive, value),
        protocol::RangeBound::Exclusive(value) => (exclusive, value),
        protocol::RangeBound::Unbounded => return Ok((exclusive, String::new())),
    };
    let value = value.ok_or("a range is cut short")?;
    let text = match *element {
        Type::INT4 => protocol::int4_from_sql(value)?.to_string(),
        Type::INT8 => protocol::int8_from_sql(value)?.to_string(),
        Type::NUMERIC => numeric::text(value)?,
        Type::DATE => temporal::printed_date(protocol::date_from_sql(value)?)?,
        Type::TIMESTAMP => temporal::printed_timestamp(protocol::timestamp_from_sql(value)?, "")?,
        _ => temporal::printed_timestamp(protocol::timestamp_from_sql(value)?, "+00")?,
    };
    let quoted = text.contains([' ', '"', ',']);
    Ok((mark, if quoted { format!("\"{text}\"") } else { text }))
}
