//! The cases' JSON as the SDK's types, and the SDK's answers as JSON.

use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementOutput;
use aws_sdk_rdsdata::primitives::Blob;
use aws_sdk_rdsdata::types::{ArrayValue, ColumnMetadata, Field, ResultSetOptions, SqlParameter};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The members of a call, read as the SDK's types.
pub struct Members(pub Map<String, Value>);

impl Members {
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.as_str().unwrap().to_owned())
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).map(|value| value.as_bool().unwrap())
    }

    pub fn parameters(&self) -> Option<Vec<SqlParameter>> {
        self.0.get("parameters").map(parameters)
    }

    pub fn parameter_sets(&self) -> Option<Vec<Vec<SqlParameter>>> {
        let sets = self.0.get("parameterSets")?.as_array().unwrap();
        Some(sets.iter().map(parameters).collect())
    }

    pub fn result_set_options(&self) -> Option<ResultSetOptions> {
        let options = self.0.get("resultSetOptions")?;
        let text = |name: &str| options.get(name).and_then(Value::as_str);
        Some(
            ResultSetOptions::builder()
                .set_decimal_return_type(text("decimalReturnType").map(Into::into))
                .set_long_return_type(text("longReturnType").map(Into::into))
                .build(),
        )
    }
}

fn parameters(list: &Value) -> Vec<SqlParameter> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|parameter| {
            SqlParameter::builder()
                .set_name(parameter.get("name").map(|name| name.as_str().unwrap().to_owned()))
                .set_value(parameter.get("value").map(field))
                .set_type_hint(parameter.get("typeHint").map(|hint| hint.as_str().unwrap().into()))
                .build()
        })
        .collect()
}

fn field(value: &Value) -> Field {
    let (name, value) = value.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "isNull" => Field::IsNull(value.as_bool().unwrap()),
        "booleanValue" => Field::BooleanValue(value.as_bool().unwrap()),
        "longValue" => Field::LongValue(value.as_i64().unwrap()),
        "doubleValue" => Field::DoubleValue(match value.as_str() {
            Some(special) => special.parse().unwrap(),
            None => value.as_f64().unwrap(),
        }),
        "stringValue" => Field::StringValue(value.as_str().unwrap().to_owned()),
        "blobValue" => Field::BlobValue(Blob::new(STANDARD.decode(value.as_str().unwrap()).unwrap())),
        "arrayValue" => Field::ArrayValue(ArrayValue::LongValues(vec![Some(1)])),
        other => panic!("no member of Field: {other}"),
    }
}

/// What the service answered.
pub fn executed(output: &ExecuteStatementOutput) -> Value {
    let mut answer = json!({ "numberOfRecordsUpdated": output.number_of_records_updated });
    if let Some(records) = &output.records {
        answer["records"] = records.iter().map(|row| row.iter().map(plain).collect::<Value>()).collect();
    }
    if let Some(fields) = &output.generated_fields {
        answer["generatedFields"] = fields.iter().map(plain).collect();
    }
    if let Some(text) = &output.formatted_records {
        answer["formattedRecords"] = json!(text);
    }
    if let Some(columns) = &output.column_metadata {
        answer["columnMetadata"] = columns.iter().map(column).collect();
    }
    answer
}

fn plain(field: &Field) -> Value {
    match field {
        Field::IsNull(is_null) => json!({ "isNull": is_null }),
        Field::BooleanValue(value) => json!({ "booleanValue": value }),
        Field::LongValue(value) => json!({ "longValue": value }),
        Field::DoubleValue(value) => json!({ "doubleValue": number(*value) }),
        Field::StringValue(value) => json!({ "stringValue": value }),
        Field::BlobValue(value) => json!({ "blobValue": STANDARD.encode(value) }),
        Field::ArrayValue(value) => json!({ "arrayValue": array(value) }),
        other => panic!("a member the cases do not know: {other:?}"),
    }
}

fn array(value: &ArrayValue) -> Value {
    match value {
        ArrayValue::BooleanValues(values) => json!({ "booleanValues": values }),
        ArrayValue::LongValues(values) => json!({ "longValues": values }),
        ArrayValue::DoubleValues(values) => json!({ "doubleValues": values }),
        ArrayValue::StringValues(values) => json!({ "stringValues": values }),
        other => panic!("a member the cases do not know: {other:?}"),
    }
}

fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string().replace("inf", "Infinity")) }
}

fn column(column: &ColumnMetadata) -> Value {
    json!({
        "name": column.name,
        "label": column.label,
        "type": column.r#type,
        "typeName": column.type_name,
        "schemaName": column.schema_name,
        "tableName": column.table_name,
        "isAutoIncrement": column.is_auto_increment,
        "isSigned": column.is_signed,
        "isCurrency": column.is_currency,
        "isCaseSensitive": column.is_case_sensitive,
        "nullable": column.nullable,
        "precision": column.precision,
        "scale": column.scale,
        "arrayBaseColumnType": column.array_base_column_type,
    })
}
