//! `columnMetadata`, with the numbers JDBC gives (the Data API's own examples show them).

use serde_json::{Value, json};
use tokio_postgres::types::{Kind, Type};
use tokio_postgres::{Client, Column, Statement};

const OWNERS: &str = "SELECT a.attrelid, a.attnum, c.relname::text, a.attnotnull,
       a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false)
  FROM unnest($1::oid[], $2::int2[]) AS wanted (relation, number)
  JOIN pg_attribute a ON a.attrelid = wanted.relation AND a.attnum = wanted.number
  JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum";

/// What only the catalogue knows of a column.
#[derive(Default)]
struct Owner {
    table: String,
    not_null: bool,
    auto_increment: bool,
}

/// One entry per column of the result.
pub(crate) async fn describe(client: &Client, statement: &Statement) -> Result<Value, tokio_postgres::Error> {
    let columns = statement.columns();
    let (relations, numbers): (Vec<u32>, Vec<i16>) =
        columns.iter().filter_map(|column| column.table_oid().zip(column.column_id())).unzip();
    let found =
        if relations.is_empty() { Vec::new() } else { client.query(OWNERS, &[&relations, &numbers]).await? };
    let owner = |column: &Column| {
        let row = found.iter().find(|row| {
            Some(row.get::<_, u32>(0)) == column.table_oid()
                && Some(row.get::<_, i16>(1)) == column.column_id()
        });
        row.map(|row| Owner { table: row.get(2), not_null: row.get(3), auto_increment: row.get(4) })
    };
    Ok(columns.iter().map(|column| entry(column, owner(column))).collect())
}

/// `nullable`: 0 no, 1 yes, 2 unknown.
fn entry(column: &Column, owner: Option<Owner>) -> Value {
    let nullable = owner.as_ref().map_or(2, |owner| i32::from(!owner.not_null));
    let owner = owner.unwrap_or_default();
    let ty = column.type_();
    let (precision, scale) = size(ty, column.type_modifier());
    let element = match ty.kind() {
        Kind::Array(element) => jdbc_type(element),
        _ => 0,
    };
    json!({
        "name": column.name(),
        "label": column.name(),
        "type": jdbc_type(ty),
        "typeName": type_name(ty, owner.auto_increment),
        "schemaName": "",
        "tableName": owner.table,
        "isAutoIncrement": owner.auto_increment,
        "isSigned": is_number(ty),
        "isCurrency": false,
        "isCaseSensitive": is_case_sensitive(ty),
        "nullable": nullable,
        "precision": precision,
        "scale": scale,
        "arrayBaseColumnType": element,
    })
}

/// PostgreSQL's name, or the word by which a column that counts by itself was made.
fn type_name(ty: &Type, auto_increment: bool) -> &str {
    match *ty {
        Type::INT2 if auto_increment => "smallserial",
        Type::INT4 if auto_increment => "serial",
        Type::INT8 if auto_increment => "bigserial",
        _ => ty.name(),
    }
}

/// `java.sql.Types`.
fn jdbc_type(ty: &Type) -> i32 {
    match *ty {
        Type::BOOL => -7,
        Type::INT2 => 5,
        Type::INT4 => 4,
        Type::INT8 => -5,
        Type::FLOAT4 => 7,
        Type::FLOAT8 => 8,
        Type::NUMERIC => 2,
        Type::BPCHAR => 1,
        Type::TEXT | Type::VARCHAR | Type::NAME => 12,
        Type::BYTEA => -2,
        Type::DATE => 91,
        Type::TIME => 92,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => 93,
        _ => match ty.kind() {
            Kind::Array(_) => 2003,
            Kind::Enum(_) => 12,
            _ => 1111,
        },
    }
}

fn is_number(ty: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC].contains(ty)
}

fn is_case_sensitive(ty: &Type) -> bool {
    let insensitive = [Type::BOOL, Type::DATE, Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ];
    !is_number(ty) && !insensitive.contains(ty)
}

/// Precision and scale. Types without a length have the largest.
fn size(ty: &Type, modifier: i32) -> (i32, i32) {
    match *ty {
        Type::INT2 => (5, 0),
        Type::INT4 => (10, 0),
        Type::INT8 => (19, 0),
        Type::FLOAT4 => (8, 8),
        Type::FLOAT8 => (17, 17),
        // Precision in the upper half, scale in the lower, both shifted by the header's 4 bytes.
        Type::NUMERIC if modifier >= 4 => ((modifier - 4) >> 16, (modifier - 4) & 0x7ff),
        Type::NUMERIC => (0, 0),
        Type::BOOL => (1, 0),
        Type::BPCHAR | Type::VARCHAR if modifier >= 4 => (modifier - 4, 0),
        Type::DATE => (13, 0),
        Type::TIME => (15, 6),
        Type::TIMESTAMP => (29, 6),
        Type::TIMESTAMPTZ => (35, 6),
        _ => (i32::MAX, 0),
    }
}
