//! The local Data API: requests, and the values of results.

use local_data_api::fuzzing::{request, value};
use serde_json::Value;

use crate::{is_planted, pieces};

/// A request's body; or, where the first byte is no brace, the number of a type and a value's bytes.
pub fn run(data: &[u8]) {
    match data {
        [b'{', ..] => is_answered(data),
        [type_number, raw @ ..] => is_written(*type_number, raw),
        [] => {}
    }
}

fn is_answered(body: &[u8]) {
    let heard = request(body);
    // The planted fault: a statement has no more than 20 characters.
    assert!(!(is_planted() && heard.as_ref().is_ok_and(|heard| heard.text.len() > 20)), "planted");
    match heard {
        Ok(heard) => {
            let Ok(said) = serde_json::from_slice::<Value>(body) else { panic!("what is no JSON is heard") };
            let sql = said["sql"].as_str().unwrap_or_default();
            assert!(heard.bound == 0 || !said["parameters"].is_null(), "a value from nowhere");
            assert!(heard.text.chars().count() <= 2 * sql.chars().count() + 8);
        }
        Err((code, message)) => {
            assert!(
                matches!(code, "ValidationException" | "SerializationException" | "BadRequestException"),
                "{code}"
            );
            assert!(!message.is_empty() && !message.contains('\0'), "{message:?}");
        }
    }
}

/// What a value becomes is JSON.
fn is_written(type_number: u8, raw: &[u8]) {
    let Some([wire, plain]) = value(type_number, raw) else { return };
    let wire: Result<Value, _> = serde_json::from_str(&wire);
    assert!(wire.is_ok_and(|wire| wire.as_object().is_some_and(|members| members.len() == 1)));
    assert!(serde_json::from_str::<Value>(&plain).is_ok(), "{}", pieces::text(plain.as_bytes()));
}
