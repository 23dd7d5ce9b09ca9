//! One-dimensional arrays.

use fallible_iterator::FallibleIterator;
use postgres_protocol::types as protocol;
use tokio_postgres::types::Type;

use super::{Read, ReturnTypes, scalar};
use crate::field::{ArrayValue, Field};

pub(super) fn read(element: &Type, raw: &[u8], options: ReturnTypes) -> Read<Field> {
    let array = protocol::array_from_sql(raw)?;
    if array.dimensions().count()? > 1 {
        return Err("multidimensional arrays are not supported".into());
    }
    // One after the other: how many there are is a number in front of them, and collect would make room for as many.
    let mut values = array.values();
    let mut elements: Vec<Option<Field>> = Vec::new();
    while let Some(value) = values.next()? {
        elements.push(value.map(|raw| scalar(element, raw, options)).transpose()?);
    }
    let array = match kind(element, options, &elements) {
        Member::Booleans => ArrayValue::Booleans(all(elements, |field| match field {
            Field::Boolean(value) => Some(value),
            _ => None,
        })?),
        Member::Longs => ArrayValue::Longs(all(elements, |field| match field {
            Field::Long(value) => Some(value),
            _ => None,
        })?),
        Member::Doubles => ArrayValue::Doubles(all(elements, |field| match field {
            Field::Double(value) => Some(value),
            // A numeric array may hold whole numbers beside others.
            Field::Long(value) => Some(value as f64),
            _ => None,
        })?),
        Member::Strings => ArrayValue::Strings(all(elements, |field| match field {
            Field::String(value) => Some(value),
            Field::Boolean(bit) => Some(if bit { "1" } else { "0" }.to_owned()),
            _ => None,
        })?),
    };
    Ok(Field::Array(array))
}

enum Member {
    Booleans,
    Longs,
    Doubles,
    Strings,
}

/// Which member of the union holds the elements. An empty array, and one of nulls, has its type's.
fn kind(element: &Type, options: ReturnTypes, elements: &[Option<Field>]) -> Member {
    use super::{DecimalReturn, LongReturn};
    match *element {
        Type::BOOL => Member::Booleans,
        // Of single bits; longer ones are strings.
        Type::BIT => match elements.iter().flatten().all(|field| matches!(field, Field::Boolean(_))) {
            true => Member::Booleans,
            false => Member::Strings,
        },
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => match options.long {
            LongReturn::Long => Member::Longs,
            LongReturn::String => Member::Strings,
        },
        Type::FLOAT4 | Type::FLOAT8 => Member::Doubles,
        Type::NUMERIC => match options.decimal {
            DecimalReturn::String => Member::Strings,
            DecimalReturn::DoubleOrLong => {
                let whole = elements.iter().flatten().all(|field| matches!(field, Field::Long(_)));
                if whole { Member::Longs } else { Member::Doubles }
            }
        },
        _ => Member::Strings,
    }
}

fn all<T>(elements: Vec<Option<Field>>, read: impl Fn(Field) -> Option<T>) -> Read<Vec<Option<T>>> {
    elements
        .into_iter()
        .map(|element| match element {
            None => Ok(None),
            Some(field) => match read(field) {
                Some(value) => Ok(Some(value)),
                None => Err("an array element of this type is not supported".into()),
            },
        })
        .collect()
}
