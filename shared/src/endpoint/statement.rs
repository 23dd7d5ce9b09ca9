use std::{marker::PhantomData, time::Duration};

use uuid::Uuid;

use crate::migration::{
    AttemptId, RepositoryPath,
    foreign::{repair_json, without_nul},
};

mod sealed {
    pub trait Sealed {}
}

/// Whether a statement only reads or also writes.
pub trait Effect: sealed::Sealed + Send + Sync {}

/// The effect of a statement that changes nothing.
#[derive(Clone, Copy, Debug)]
pub enum Read {}

/// The effect of a statement that may change something.
#[derive(Clone, Copy, Debug)]
pub enum Write {}

impl sealed::Sealed for Read {}
impl sealed::Sealed for Write {}
impl Effect for Read {}
impl Effect for Write {}

/// Whether a statement may be sent again when nobody knows if it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Running it twice is the same as running it once.
    Allowed,
    /// It might be applied twice.
    Never,
}

/// A value bound to a statement's parameter. Nothing of it is ever logged.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// Bound as `text`: PostgreSQL refuses it where an enum, uuid, timestamptz or jsonb is wanted, so cast. What is
    /// made into a value holds no NUL, which PostgreSQL's text cannot.
    Text(String),
    /// Bound as `bigint`.
    Long(i64),
    /// Bound as `boolean`.
    Bool(bool),
}

/// How long one sending of a statement may take that answers within milliseconds by design. What takes longer was
/// sent into a connection that has gone silent, or waits for something that the next sending waits for as well.
pub const ONE_SENDING: Duration = Duration::from_secs(3);

/// One SQL statement with its parameters. Its text is a constant: data travels as parameters only.
///
/// By convention it selects exactly one column of type `text` that holds one JSON document per row.
#[must_use = "a statement does nothing until it is fetched"]
pub struct Statement<E: Effect> {
    name: &'static str,
    sql: &'static str,
    repeat: Repeat,
    brief: bool,
    parameters: Vec<(&'static str, Value)>,
    effect: PhantomData<fn() -> E>,
}

impl Statement<Read> {
    /// A statement that changes nothing, and so may be sent any number of times.
    pub const fn read(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Repeat::Allowed)
    }
}

impl Statement<Write> {
    /// A statement that changes something. Never sent again when nobody knows whether it ran.
    pub const fn write_once(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Repeat::Never)
    }

    /// A statement that compares and sets with an id from its caller: sent again after an unknown outcome, it
    /// recognises its own work. The promise is the statement's, nothing checks it here.
    pub const fn repeatable_write(name: &'static str, sql: &'static str) -> Self {
        Self::new(name, sql, Repeat::Allowed)
    }
}

impl<E: Effect> Statement<E> {
    const fn new(name: &'static str, sql: &'static str, repeat: Repeat) -> Self {
        Self { name, sql, repeat, brief: false, parameters: Vec::new(), effect: PhantomData }
    }

    /// Promises that it answers within milliseconds, whatever the tables hold: each sending of it is given up after
    /// [`ONE_SENDING`], if it may be sent again.
    pub const fn brief(mut self) -> Self {
        self.brief = true;
        self
    }

    /// How long one sending may take. None: until the deadline.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        (self.brief && self.repeat == Repeat::Allowed).then_some(ONE_SENDING)
    }

    /// Binds a value to the parameter that the SQL calls `:name`.
    pub fn bind(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// The name in logs and errors.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The text.
    #[must_use]
    pub const fn sql(&self) -> &'static str {
        self.sql
    }

    /// Whether it may be sent again when nobody knows if it ran.
    #[must_use]
    pub const fn repeat(&self) -> Repeat {
        self.repeat
    }

    /// The bound values, in the order they were bound.
    #[must_use]
    pub fn parameters(&self) -> &[(&'static str, Value)] {
        &self.parameters
    }
}

impl<E: Effect> Clone for Statement<E> {
    fn clone(&self) -> Self {
        Self {
            brief: self.brief,
            parameters: self.parameters.clone(),
            ..Self::new(self.name, self.sql, self.repeat)
        }
    }
}

impl<E: Effect> std::fmt::Debug for Statement<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Statement").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Text(_) => "Text(..)",
            Self::Long(_) => "Long(..)",
            Self::Bool(_) => "Bool(..)",
        })
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(without_nul(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        value.clone().into()
    }
}

impl From<&RepositoryPath> for Value {
    fn from(value: &RepositoryPath) -> Self {
        Self::Text(value.as_str().to_owned())
    }
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<AttemptId> for Value {
    fn from(value: AttemptId) -> Self {
        value.uuid().into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Long(value.into())
    }
}

impl From<i16> for Value {
    fn from(value: i16) -> Self {
        Self::Long(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Long(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// A document, as JSON text: cast it to jsonb.
impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        Self::Text(repair_json(&value.to_string()).into_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::{Statement, Value};

    #[test]
    fn a_clone_has_the_same_values_and_the_same_limit() {
        let statement = Statement::read("show", "SELECT :path").bind("path", "a/b").brief();
        let clone = statement.clone();
        assert!(clone.parameters() == [("path", Value::from("a/b"))]);
        assert_eq!((clone.limit(), clone.limit().is_some()), (statement.limit(), true));
    }

    #[test]
    fn no_value_holds_what_postgresql_refuses() {
        let (text, kept) = ("a\0b", Value::Text("a\u{fffd}b".to_owned()));
        let owned = text.to_owned();
        let values: [Value; 4] = [text.into(), (&owned).into(), owned.clone().into(), Some(text).into()];
        assert!(values.iter().all(|value| *value == kept));
        let document = serde_json::json!({"a\0": ["\0", "\\u0000"]});
        assert!(Value::from(&document) == Value::Text(r#"{"a\ufffd":["\ufffd","\\u0000"]}"#.to_owned()));
    }
}
