//! A transport for tests that does for each statement what its script says, and keeps what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{Call, Failure, Transport, Value};

/// What becomes of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// It gives this row. `{change}` in it stands for the statement's parameter of that name.
    Answers(String),
    /// It fails.
    Fails(Failure),
    /// Nobody answers.
    Hangs,
}

/// A statement that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Its name.
    pub(crate) name: &'static str,
    parameters: Vec<(&'static str, Value)>,
}

impl Sent {
    /// A text that it was sent with.
    pub(crate) fn text(&self, parameter: &str) -> Option<&str> {
        self.parameters.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == parameter => Some(text.as_str()),
            _ => None,
        })
    }
}

/// One server, or one connection to it. A statement that its script does not name hangs.
#[derive(Clone, Default)]
pub(crate) struct ScriptedTransport {
    does: Arc<Mutex<HashMap<&'static str, VecDeque<Does>>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl ScriptedTransport {
    /// From now on the statement of this name does so.
    pub(crate) fn set(&self, statement: &'static str, does: Does) {
        self.does.lock().unwrap().insert(statement, VecDeque::from([does]));
    }

    /// Once all that was scripted before is done, the statement of this name does so.
    pub(crate) fn then(&self, statement: &'static str, does: Does) {
        self.does.lock().unwrap().entry(statement).or_default().push_back(does);
    }

    /// The names of the statements that were sent since the last look.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.sent().iter().map(|sent| sent.name).collect()
    }

    /// The statements that were sent since the last look.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.lock().unwrap())
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        let sent = Sent { name: call.name, parameters: call.parameters.to_vec() };
        let change = sent.text("change").unwrap_or_default().to_owned();
        self.sent.lock().unwrap().push(sent);
        let does = self
            .does
            .lock()
            .unwrap()
            .get_mut(call.name)
            .and_then(|does| if does.len() > 1 { does.pop_front() } else { does.front().cloned() });
        match does.unwrap_or(Does::Hangs) {
            Does::Answers(row) => Ok(vec![row.replace("{change}", &change)]),
            Does::Fails(failure) => Err(failure),
            Does::Hangs => {
                sleep_until(deadline).await;
                std::future::pending().await
            }
        }
    }
}
