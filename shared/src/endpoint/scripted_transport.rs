//! A transport for tests that does for each statement what it was told, and keeps what it was asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::{Call, Failure, Transport};

/// What becomes of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// It gives this row.
    Answers(String),
    /// It fails.
    Fails(Failure),
    /// Nobody answers.
    Hangs,
}

/// One server, or one connection to it. A statement that it was told nothing about hangs.
#[derive(Clone, Default)]
pub(crate) struct ScriptedTransport {
    does: Arc<Mutex<HashMap<&'static str, Does>>>,
    asked: Arc<Mutex<Vec<&'static str>>>,
}

impl ScriptedTransport {
    /// From now on the statement of this name does so.
    pub(crate) fn set(&self, statement: &'static str, does: Does) {
        self.does.lock().unwrap().insert(statement, does);
    }

    /// The names of the statements that were sent since the last look.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Transport for ScriptedTransport {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        self.asked.lock().unwrap().push(call.name);
        let does = self.does.lock().unwrap().get(call.name).cloned();
        match does.unwrap_or(Does::Hangs) {
            Does::Answers(row) => Ok(vec![row]),
            Does::Fails(failure) => Err(failure),
            Does::Hangs => {
                sleep_until(deadline).await;
                std::future::pending().await
            }
        }
    }
}
