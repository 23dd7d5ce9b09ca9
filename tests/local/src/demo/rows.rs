//! How the repositories stand, looked at in both databases. This goes past the Data API: watching must not add
//! to the calls that are watched.

use std::collections::BTreeMap;

use local::postgres_pair::Pair;
use tokio_postgres::Client;

/// Connections to look through.
pub(crate) struct Watch {
    writer: Client,
    reader: Client,
}

/// How everything stands at one moment.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// On the writer, by path.
    pub(crate) rows: BTreeMap<String, Row>,
    /// How many have come to an end as the reader shows it.
    pub(crate) ended_on_the_reader: usize,
}

/// The same in numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub(crate) all: usize,
    pub(crate) ended: usize,
    /// Neither ended nor in progress.
    pub(crate) waiting: usize,
}

impl Standing {
    pub(crate) fn left(&self) -> usize {
        self.all - self.ended
    }
}

/// One container repository.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) state: String,
    pub(crate) version: i64,
    pub(crate) retries: i32,
    /// From the first start to the end, or to now.
    pub(crate) seconds: Option<f64>,
    /// Requests to the registry: attempts in the history.
    pub(crate) attempts: i64,
}

impl Row {
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "import_done" | "import_skipped")
    }

    pub(crate) fn is_in_progress(&self) -> bool {
        matches!(self.state.as_str(), "pre_importing" | "pre_import_done" | "importing")
    }
}

const ROWS: &str = "
    SELECT r.path, r.migration_state, r.version, r.retries_count,
        extract(epoch FROM coalesce(r.import_done_at, r.skipped_at, clock_timestamp()) - h.began)::float8,
        coalesce(h.attempts, 0)
    FROM container_repositories r
    LEFT JOIN (
        SELECT repository_id, min(created_at) AS began, count(DISTINCT attempt) AS attempts
        FROM migration_transitions WHERE applied GROUP BY repository_id
    ) h ON h.repository_id = r.id";

const ENDED: &str = "
    SELECT count(*) FROM container_repositories WHERE migration_state IN ('import_done', 'import_skipped')";

impl Watch {
    pub(crate) async fn start(pair: &Pair) -> anyhow::Result<Self> {
        Ok(Self { writer: pair.writer().connect().await?, reader: pair.reader().connect().await? })
    }

    pub(crate) async fn look(&self) -> anyhow::Result<Progress> {
        let rows = self.writer.query(ROWS, &[]).await?;
        let ended: i64 = self.reader.query_one(ENDED, &[]).await?.get(0);
        let row = |row: tokio_postgres::Row| {
            let standing = Row {
                state: row.get(1),
                version: row.get(2),
                retries: row.get(3),
                seconds: row.get(4),
                attempts: row.get(5),
            };
            (row.get(0), standing)
        };
        Ok(Progress { rows: rows.into_iter().map(row).collect(), ended_on_the_reader: ended.try_into()? })
    }
}

impl Progress {
    pub(crate) fn ended(&self) -> usize {
        self.rows.values().filter(|row| row.has_ended()).count()
    }

    pub(crate) fn standing(&self) -> Standing {
        let (all, ended) = (self.rows.len(), self.ended());
        let in_progress = self.rows.values().filter(|row| row.is_in_progress()).count();
        Standing { all, ended, waiting: all - ended - in_progress }
    }

    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let versions = |progress: &Self| progress.rows.values().map(|row| row.version).sum::<i64>();
        versions(self) == versions(other)
    }
}
