//! Errors of the Data API, as the driver reads them.

use shared::endpoint::{ErrorClass, Execution, SqlState, fuzzing::failure};

use crate::{is_planted, pieces};

/// No value that is bound is in a text of ours: this one is in each message.
const SECRET: &str = "s3cr3t-v4lue";

/// The status and the error's name, a line each, then its message.
pub fn run(data: &[u8]) {
    let ([status, code], message) = pieces::lines(data);
    let status = pieces::text(status).trim().parse().unwrap_or(400);
    let (code, message) = (pieces::text(code), pieces::text(message));
    let said = failure(status, Some(&code).filter(|code| !code.is_empty()).map(String::as_str), &message);
    for text in [&said.code, &said.detail].into_iter().flatten() {
        let said_by_name = text.len() == code.len();
        assert!(said_by_name || text.chars().count() <= 311, "{} characters", text.chars().count());
        assert!(!text.contains('\0') || said_by_name, "it cannot be stored");
    }
    // The planted fault: of all states that are defects this one alone is known.
    let is_known = said.sql_state.is_none_or(|state| state.as_str() == "42703");
    let is_wrong = is_planted() && said.class == ErrorClass::Defect && !is_known;
    let class = if is_wrong { ErrorClass::Conflict } else { said.class };
    if let Some(state) = said.sql_state {
        assert_eq!((said.outcome, class), state.meaning(), "{state} means something else");
    }
    if status >= 500 && said.sql_state.is_none() && class == ErrorClass::Defect {
        assert_ne!(said.outcome, Execution::DidNotRun, "{status} promises nothing");
    }
    shows_no_value(&message);
}

/// PostgreSQL's message, as the Data API passes it on, with a state and a value in it.
fn shows_no_value(message: &str) {
    let Some(state) = message.get(..5).and_then(SqlState::parse) else { return };
    let told = format!("ERROR: {} Detail: Key (a)=({SECRET}) is wrong; SQLState: {state}", &message[5..]);
    let said = failure(400, Some("DatabaseErrorException"), &told);
    assert_eq!(said.sql_state, Some(state), "the state is not read");
    let speaks_of_text = state.as_str().starts_with("42") || state.as_str() == "P0001";
    assert!(speaks_of_text || !said.to_string().contains(SECRET), "a value is shown: {said}");
}
