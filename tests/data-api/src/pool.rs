//! Connections, a few kept per cluster, user and database.
//!
//! A connection serves one call and is scrubbed before the next: nothing a call sets is seen by another. Its
//! prepared statements stay.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::session::Session;

/// How many are kept for one database and user, and in all. PostgreSQL's own limit is 100 by default. Of more calls at once
/// the rest open connections of their own, which plan their statements anew: that costs three times as much.
const KEPT: usize = 48;
const KEPT_IN_ALL: usize = 56;
/// What one that is kept may have sent at once: the client library keeps buffers as large as that.
const SENT: usize = 256 * 1024;
/// How long one is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

/// `DISCARD ALL` without what takes the prepared statements and their plans. A call that may leave behind what
/// this does not find never gives its connection back.
const SCRUB: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; \
                     SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// Whom to connect as, and where to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

/// The idle connections, the longest unused first.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
}

struct Idle {
    target: Target,
    session: Session,
    since: Instant,
}

impl Pool {
    /// A kept connection, which may have died meanwhile. All take turns: what a call left behind despite the
    /// scrubbing would show soon.
    pub(crate) fn take(&self, target: &Target) -> Option<Session> {
        let mut idle = self.idle();
        let at = idle.iter().position(|idle| idle.target == *target)?;
        idle.remove(at).map(|idle| idle.session)
    }

    /// Scrubs the connection and keeps it for the next call, unless it holds much memory.
    pub(crate) async fn give_back(&self, target: &Target, session: Session) {
        if session.sent > SENT || session.client.batch_execute(SCRUB).await.is_err() {
            return;
        }
        let mut idle = self.idle();
        if idle.iter().filter(|idle| idle.target == *target).count() == KEPT {
            return;
        }
        idle.push_back(Idle { target: target.clone(), session, since: Instant::now() });
        if idle.len() > KEPT_IN_ALL {
            idle.pop_front();
        }
    }

    /// Closes what nobody has used for a while.
    pub(crate) fn expire(&self) {
        self.idle().retain(|idle| idle.since.elapsed() < IDLE);
    }

    /// Closes what is kept; whether there was anything.
    pub(crate) fn clear(&self) -> bool {
        !std::mem::take(&mut *self.idle()).is_empty()
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
