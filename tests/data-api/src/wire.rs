//! The five requests as they stand on the wire (botocore `rds-data/2018-08-01`), before anything is checked.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::{ApiError, ErrorCode};

/// PostgreSQL binds no more in one statement.
const PARAMETERS: usize = 65_535;
/// Each set is a statement: more of them would take longer than a call may.
const SETS: usize = 100_000;
const TOO_MANY: &str = "too many parameters";

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

/// The members of all operations; each operation reads its own.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) resource_arn: Option<String>,
    pub(crate) secret_arn: Option<String>,
    pub(crate) sql: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) transaction_id: Option<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) parameter_sets: ParameterSets,
    pub(crate) include_result_metadata: Option<bool>,
    pub(crate) continue_after_timeout: Option<bool>,
    pub(crate) result_set_options: Option<ResultSetOptions>,
    pub(crate) format_records_as: Option<String>,
}

/// Unknown members are ignored, as restJson1 demands.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Members<'a> {
    resource_arn: Option<String>,
    secret_arn: Option<String>,
    sql: Option<String>,
    database: Option<String>,
    schema: Option<String>,
    transaction_id: Option<String>,
    parameters: Parameters,
    #[serde(borrow)]
    parameter_sets: Option<&'a RawValue>,
    include_result_metadata: Option<bool>,
    continue_after_timeout: Option<bool>,
    result_set_options: Option<ResultSetOptions>,
    format_records_as: Option<String>,
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// `SerializationException` that names the member which is not of the model, `ValidationException` for more
    /// parameters than PostgreSQL binds.
    pub(crate) fn read(body: &Bytes) -> Result<Self, ApiError> {
        // The parser looks at no string of a member that nobody knows.
        if let Err(error) = std::str::from_utf8(body) {
            return Err(unreadable_at(&body[..error.valid_up_to()]));
        }
        let Object(members): Object<Members<'_>> = read(body, "")?;
        let parameter_sets = match members.parameter_sets {
            None => ParameterSets::default(),
            Some(sets) => ParameterSets::of(body.slice_ref(sets.get().as_bytes()))?,
        };
        Ok(Self {
            resource_arn: members.resource_arn,
            secret_arn: members.secret_arn,
            sql: members.sql,
            database: members.database,
            schema: members.schema,
            transaction_id: members.transaction_id,
            parameters: members.parameters.0,
            parameter_sets,
            include_result_metadata: members.include_result_metadata,
            continue_after_timeout: members.continue_after_timeout,
            result_set_options: members.result_set_options,
            format_records_as: members.format_records_as,
        })
    }
}

/// The error tells the place and the member, never the text, which could be secret.
fn read<'a, T: Deserialize<'a>>(text: &'a [u8], prefix: &str) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let (path, error) = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(value) => match deserializer.end() {
            Ok(()) => return Ok(value),
            Err(error) => (".".to_owned(), error),
        },
        Err(error) => (error.path().to_string(), error.into_inner()),
    };
    if error.to_string().starts_with(TOO_MANY) {
        return Err(ApiError::validation(format!("A statement takes at most {PARAMETERS} parameters.")));
    }
    let member = match path.as_str() {
        _ if !error.is_data() => String::new(),
        "." => prefix.to_owned(),
        path if path.starts_with('[') || prefix.is_empty() => format!("{prefix}{path}"),
        path => format!("{prefix}.{path}"),
    };
    let what = match (member.is_empty(), text.is_empty()) {
        (true, true) => "The request has no body.".to_owned(),
        (true, false) => {
            format!("The request cannot be read at line {}, column {}.", error.line(), error.column())
        }
        (false, _) => format!("The request cannot be read: {member} is not what it must be."),
    };
    Err(ApiError::new(ErrorCode::SerializationException, what))
}

/// What cannot be read comes behind `before`.
fn unreadable_at(before: &[u8]) -> ApiError {
    let lines = before.split(|byte| *byte == b'\n');
    let (line, column) = lines.enumerate().last().map_or((0, 0), |(number, text)| (number, text.len()));
    let what = format!("The request cannot be read at line {}, column {}.", line + 1, column + 1);
    ApiError::new(ErrorCode::SerializationException, what)
}

/// `parameterSets`, read one after the other: they stay the text that they came as.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParameterSets {
    text: Bytes,
    count: usize,
}

impl ParameterSets {
    /// Checks that each can be read.
    fn of(text: Bytes) -> Result<Self, ApiError> {
        let mut sets = Self { text, count: 0 };
        let mut count = 0;
        for set in sets.iter() {
            set?;
            count += 1;
            if count > SETS {
                return Err(ApiError::validation(format!("A batch takes at most {SETS} parameter sets.")));
            }
        }
        sets.count = count;
        Ok(sets)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Each of them, or why it cannot be read.
    pub(crate) fn iter(&self) -> Sets<'_> {
        Sets { rest: &self.text, number: 0 }
    }
}

/// See [`ParameterSets::iter`].
pub(crate) struct Sets<'a> {
    rest: &'a [u8],
    number: usize,
}

impl Iterator for Sets<'_> {
    type Item = Result<Vec<Parameter>, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The text is one JSON value: its brackets and commas are where they must be.
        let begun = self.number > 0;
        let rest = self.rest.trim_ascii_start();
        let rest = match rest.first()? {
            b'[' if !begun => rest[1..].trim_ascii_start(),
            b',' if begun => rest[1..].trim_ascii_start(),
            b']' if begun => return None,
            _ => {
                self.rest = &[];
                let message = "The request cannot be read: parameterSets is not what it must be.";
                return Some(Err(ApiError::new(ErrorCode::SerializationException, message)));
            }
        };
        if rest.first() == Some(&b']') {
            return None;
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        let value = values.next()?;
        self.rest = &rest[values.byte_offset()..];
        let number = self.number;
        self.number += 1;
        let text = value.map(RawValue::get).unwrap_or_default();
        let set: Result<Parameters, ApiError> = read(text.as_bytes(), &format!("parameterSets[{number}]"));
        if set.is_err() {
            self.rest = &[];
        }
        Some(set.map(|set| set.0))
    }
}

/// A structure as JSON has it, with names: a list of its members is none.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }
        deserializer.deserialize_map(Named(PhantomData))
    }
}

/// A list of `SqlParameter`, no longer than a statement takes.
#[derive(Debug, Default)]
struct Parameters(Vec<Parameter>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of parameters")
            }

            fn visit_unit<E>(self) -> Result<Parameters, E> {
                Ok(Parameters::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parameters, A::Error> {
                let mut found = Vec::new();
                while let Some(Object(parameter)) = list.next_element()? {
                    if found.len() == PARAMETERS {
                        return Err(A::Error::custom(TOO_MANY));
                    }
                    found.push(parameter);
                }
                Ok(Parameters(found))
            }
        }
        deserializer.deserialize_any(List)
    }
}

/// `SqlParameter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameter {
    pub(crate) name: Option<String>,
    pub(crate) value: Option<Value>,
    pub(crate) type_hint: Option<Box<str>>,
}

/// `Field` as a caller sends it: a union, so exactly one member may be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Object<ValueMembers>")]
pub(crate) enum Value {
    Null(bool),
    Boolean(bool),
    Long(i64),
    Double(f64),
    String(String),
    Blob(String),
    Array,
    /// So many members are set, which is not one.
    Wrong(usize),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ValueMembers {
    is_null: Option<bool>,
    boolean_value: Option<bool>,
    long_value: Option<i64>,
    double_value: Option<Double>,
    string_value: Option<String>,
    blob_value: Option<String>,
    array_value: Option<IgnoredAny>,
}

impl From<Object<ValueMembers>> for Value {
    fn from(Object(members): Object<ValueMembers>) -> Self {
        let found = [
            members.is_null.map(Self::Null),
            members.boolean_value.map(Self::Boolean),
            members.long_value.map(Self::Long),
            members.double_value.map(|value| Self::Double(value.into())),
            members.string_value.map(Self::String),
            members.blob_value.map(Self::Blob),
            members.array_value.map(|_| Self::Array),
        ];
        let count = found.iter().flatten().count();
        match found.into_iter().flatten().next() {
            Some(value) if count == 1 => value,
            Some(_) | None => Self::Wrong(count),
        }
    }
}

/// A double: a JSON number, or one of the strings for what JSON has no number for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Double {
    Number(f64),
    Special(Special),
}

#[derive(Deserialize)]
enum Special {
    NaN,
    Infinity,
    #[serde(rename = "-Infinity")]
    NegativeInfinity,
}

impl From<Double> for f64 {
    fn from(value: Double) -> Self {
        match value {
            Double::Number(number) => number,
            Double::Special(Special::NaN) => Self::NAN,
            Double::Special(Special::Infinity) => Self::INFINITY,
            Double::Special(Special::NegativeInfinity) => Self::NEG_INFINITY,
        }
    }
}

/// `ResultSetOptions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResultSetOptions {
    pub(crate) decimal_return_type: Option<String>,
    pub(crate) long_return_type: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> String {
        Request::read(&Bytes::copy_from_slice(body.as_bytes())).unwrap_err().message
    }

    #[test]
    fn a_wrong_member_is_named_and_never_quoted() {
        for (body, member) in [
            (r#"{"sql": 1}"#, "sql"),
            (r#"{"parameters": {"name": "secret"}}"#, "parameters"),
            (r#"{"parameters": [{"value": {"longValue": "secret"}}]}"#, "parameters[0].value.longValue"),
            (r#"{"parameterSets": [[], [{"name": 7}]]}"#, "parameterSets[1][0].name"),
            (r#"{"parameterSets": [[], "secret"]}"#, "parameterSets[1]"),
            (r#"{"parameterSets": {}}"#, "parameterSets"),
            (r#"{"parameters": [["secret"]]}"#, "parameters[0]"),
            (r#"{"parameters": [{"value": [true]}]}"#, "parameters[0].value"),
            (r#"{"resultSetOptions": {"longReturnType": 1}}"#, "resultSetOptions.longReturnType"),
        ] {
            let told = refusal(body);
            assert!(told.contains(&format!(": {member} is not what it must be")), "{body}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
        assert_eq!(refusal("{\"sql\":\n x}"), "The request cannot be read at line 2, column 2.");
        assert_eq!(refusal(""), "The request has no body.");
    }

    #[test]
    fn refuses_bytes_that_are_no_text_in_any_member() {
        for member in ["sql", "unknown"] {
            let body = [b"{\n\"", member.as_bytes(), b"\": \"\xff\"}"].concat();
            let refused = Request::read(&Bytes::from(body)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::SerializationException);
            let column = member.len() + 6;
            assert_eq!(refused.message, format!("The request cannot be read at line 2, column {column}."));
        }
    }

    #[test]
    fn sets_are_read_one_after_the_other() {
        let body =
            r#" {"sql": "x", "parameterSets" : [ [ ] , [{"name":"a,]", "value":{"isNull":true}}],[]] } "#;
        let request = Request::read(&Bytes::from_static(body.as_bytes())).unwrap();
        let sets: Vec<usize> = request.parameter_sets.iter().map(|set| set.unwrap().len()).collect();
        assert_eq!((sets, request.parameter_sets.len()), (vec![0, 1, 0], 3));
        for none in [r#"{"parameterSets": []}"#, r#"{"parameterSets": null}"#, "{}"] {
            let request = Request::read(&Bytes::from_static(none.as_bytes())).unwrap();
            assert_eq!(request.parameter_sets.iter().count(), 0, "{none}");
        }
    }

    #[test]
    fn no_more_parameters_are_read_than_can_be_bound() {
        let body = format!(r#"{{"parameters": [{}{{}}]}}"#, "{},".repeat(PARAMETERS));
        assert!(refusal(&body).contains("at most 65535 parameters"));
        let body = format!(r#"{{"parameterSets": [{}[]]}}"#, "[],".repeat(SETS));
        assert!(refusal(&body).contains("100000"));
    }
}
