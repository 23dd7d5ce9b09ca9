//! Open transactions: found by id, bound to their cluster, busy with one call at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::error::{ApiError, ErrorCode};
use crate::session::Session;

const REMEMBERED: usize = 10_000;
const TO_ROLL_BACK: Duration = Duration::from_secs(5);

/// What a transaction was begun with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) cluster: String,
    pub(crate) secret: String,
    pub(crate) database: String,
}

/// The connection of a transaction; None once it has ended.
pub(crate) type Slot = OwnedMutexGuard<Option<Session>>;

/// Why a transaction is no longer there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Finished,
    Failed,
    Expired,
}

struct Open {
    scope: Scope,
    connection: Arc<tokio::sync::Mutex<Option<Session>>>,
    begun: Instant,
    used: Instant,
}

/// All transactions of a server, and why the latest of the others ended.
#[derive(Default)]
pub(crate) struct Transactions {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<String, Open>,
    ended: VecDeque<(String, End)>,
}

impl Transactions {
    /// Keeps a connection on which a transaction was begun; answers its id.
    pub(crate) fn open(&self, scope: Scope, session: Session) -> String {
        // Opaque, like AWS's; long, so that nobody stores it in too short a column.
        let id = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let connection = Arc::new(tokio::sync::Mutex::new(Some(session)));
        let now = Instant::now();
        self.state().open.insert(id.clone(), Open { scope, connection, begun: now, used: now });
        id
    }

    /// The transaction's connection, for one call.
    ///
    /// # Errors
    /// Not there, or begun on another cluster: `TransactionNotFoundException`. In use:
    /// `DatabaseErrorException`. Begun with another secret or database: `BadRequestException`.
    pub(crate) fn acquire(&self, id: &str, scope: &PartialScope<'_>) -> Result<Slot, ApiError> {
        let mut state = self.state();
        let not_found = not_found(id, state.reason(id));
        let Some(open) = state.open.get_mut(id).filter(|open| open.scope.cluster == scope.cluster) else {
            return Err(not_found);
        };
        if scope.database.is_some_and(|database| database != open.scope.database) {
            return Err(ApiError::new(
                ErrorCode::BadRequestException,
                "Database name is not the same as transaction",
            ));
        }
        if scope.secret != open.scope.secret {
            return Err(ApiError::new(
                ErrorCode::BadRequestException,
                "Secret is not the same as transaction",
            ));
        }
        let slot = Arc::clone(&open.connection).try_lock_owned().map_err(|_| {
            ApiError::new(ErrorCode::DatabaseErrorException, "Transaction is still running a query")
        })?;
        open.used = Instant::now();
        if slot.is_some() { Ok(slot) } else { Err(not_found) }
    }

    /// A call on it has ended: the idle time begins anew.
    pub(crate) fn touch(&self, id: &str) {
        if let Some(open) = self.state().open.get_mut(id) {
            open.used = Instant::now();
        }
    }

    /// Forgets the transaction and remembers why.
    pub(crate) fn end(&self, id: &str, end: End) {
        let mut state = self.state();
        if state.open.remove(id).is_none() {
            return;
        }
        if state.ended.len() == REMEMBERED {
            state.ended.pop_front();
        }
        state.ended.push_back((id.to_owned(), end));
    }

    /// How the transaction ended, if it was here and has.
    pub(crate) fn ending(&self, id: &str) -> Option<End> {
        self.state().ending(id)
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.state().open.len()
    }

    /// Ends what has been idle for too long, or has lived too long, and is not in use this moment.
    pub(crate) async fn expire(&self, idle: Duration, life: Duration) {
        let now = Instant::now();
        let expired: Vec<(String, Slot)> = self
            .state()
            .open
            .iter()
            .filter(|(_, open)| now - open.used >= idle || now - open.begun >= life)
            .filter_map(|(id, open)| Some((id.clone(), Arc::clone(&open.connection).try_lock_owned().ok()?)))
            .collect();
        for (id, slot) in expired {
            self.end(&id, End::Expired);
            roll_back(slot).await;
        }
    }

    /// Rolls back everything that is open and not in use.
    pub(crate) async fn roll_all_back(&self) {
        let all: Vec<Open> = self.state().open.drain().map(|(_, open)| open).collect();
        for open in all {
            if let Ok(slot) = open.connection.try_lock_owned() {
                roll_back(slot).await;
            }
        }
    }

    /// Drops everything that is open; PostgreSQL rolls it back.
    pub(crate) fn clear(&self) {
        self.state().open.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a later call says of its transaction: the database may be left out.
pub(crate) struct PartialScope<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) database: Option<&'a str>,
}

impl State {
    fn ending(&self, id: &str) -> Option<End> {
        self.ended.iter().rev().find(|(ended, _)| ended == id).map(|(_, end)| *end)
    }

    fn reason(&self, id: &str) -> &'static str {
        match self.ending(id) {
            Some(End::Finished) => "One previous call resulted in a termination of your transaction",
            Some(End::Failed) => "Transaction has been aborted due to an error from a previous call",
            Some(End::Expired) | None => "Transaction may be expired",
        }
    }
}

fn not_found(id: &str, reason: &str) -> ApiError {
    let message = format!("Transaction {id} is not found: {reason}.");
    ApiError::new(ErrorCode::TransactionNotFoundException, message)
}

/// Rolls back and closes the connection. Whoever waits for the slot finds it empty.
pub(crate) async fn roll_back(mut slot: Slot) {
    let Some(session) = slot.take() else { return };
    match tokio::time::timeout(TO_ROLL_BACK, session.client.batch_execute("ROLLBACK")).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a rollback failed; the connection is closed instead"),
        Err(_) => tracing::debug!("a rollback took too long; the connection is closed instead"),
    }
}
