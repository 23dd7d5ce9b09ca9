//! The five requests as they stand on the wire (botocore `rds-data/2018-08-01`), before anything is checked.

use serde::Deserialize;

/// One of the operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the model's; their meaning is its documentation")]
pub enum Operation {
    ExecuteStatement,
    BatchExecuteStatement,
    BeginTransaction,
    CommitTransaction,
    RollbackTransaction,
}

impl Operation {
    /// The operation of a request URI.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/Execute" => Some(Self::ExecuteStatement),
            "/BatchExecute" => Some(Self::BatchExecuteStatement),
            "/BeginTransaction" => Some(Self::BeginTransaction),
            "/CommitTransaction" => Some(Self::CommitTransaction),
            "/RollbackTransaction" => Some(Self::RollbackTransaction),
            _ => None,
        }
    }
}

/// The members of all operations; each operation reads its own. Unknown members are ignored, as restJson1
/// demands; a member of the wrong type is a `SerializationException`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Request {
    pub(crate) resource_arn: Option<String>,
    pub(crate) secret_arn: Option<String>,
    pub(crate) sql: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) parameters: Option<Vec<Parameter>>,
    pub(crate) parameter_sets: Option<Vec<Vec<Parameter>>>,
    pub(crate) include_result_metadata: Option<bool>,
    pub(crate) continue_after_timeout: Option<bool>,
    pub(crate) result_set_options: Option<ResultSetOptions>,
    pub(crate) format_records_as: Option<String>,
}

/// `SqlParameter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameter {
    pub(crate) name: Option<String>,
    pub(crate) value: Option<Value>,
    pub(crate) type_hint: Option<String>,
}

/// `Field` as a caller sends it: a union, so exactly one member may be set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Value {
    pub(crate) is_null: Option<bool>,
    pub(crate) boolean_value: Option<bool>,
    pub(crate) long_value: Option<i64>,
    pub(crate) double_value: Option<Double>,
    pub(crate) string_value: Option<String>,
    pub(crate) blob_value: Option<String>,
    pub(crate) array_value: Option<serde_json::Value>,
}

/// A double: a JSON number, or one of the strings for what JSON has no number for.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Double {
    Number(f64),
    Special(Special),
}

/// See [`Double`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) enum Special {
    NaN,
    Infinity,
    #[serde(rename = "-Infinity")]
    NegativeInfinity,
}

/// `ResultSetOptions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResultSetOptions {
    pub(crate) decimal_return_type: Option<String>,
    pub(crate) long_return_type: Option<String>,
}
