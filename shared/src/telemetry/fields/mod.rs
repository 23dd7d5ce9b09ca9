use serde::Serialize;
use serde_json::Value;

/// A value as one field of a log line: a name as it is in answers and in the database, anything else as JSON. What
/// Rust would print is neither, and changes with the code.
///
/// A field has one name and one spelling wherever it is written. `path` is a repository's, `attempt` its bare id,
/// `served_by` what answers say.
#[must_use]
pub fn as_text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
