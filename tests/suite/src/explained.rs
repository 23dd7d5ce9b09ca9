//! What a statement costs the database, counted.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use shared::endpoint::{Call, Failure, Transport};
use tokio::time::Instant;

/// Runs each statement under `EXPLAIN` and keeps the pages that it needed. Whoever sent it gets no rows.
#[derive(Clone)]
pub struct Explained {
    transport: Arc<dyn Transport>,
    plan: Arc<Mutex<Vec<String>>>,
}

impl Explained {
    /// Of the statements that are sent to this database.
    #[must_use]
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self { transport: Arc::new(transport), plan: Arc::default() }
    }

    /// The pages that the last statement needed, whether they were in memory or not.
    ///
    /// # Panics
    /// When none was sent.
    #[must_use]
    pub fn pages(&self) -> u64 {
        // The first such line is the whole statement's: `Buffers: shared hit=12 read=3 dirtied=1`.
        let plan = self.plan();
        let line = plan.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared "));
        let Some(line) = line else { panic!("the pages that were needed are not in {plan:#?}") };
        let needed = line.split(' ').filter_map(|count| {
            let (kind, pages) = count.split_once('=')?;
            matches!(kind, "hit" | "read").then(|| pages.parse::<u64>().unwrap_or_default())
        });
        needed.sum()
    }

    /// How long the last statement took in the database, in milliseconds, without its planning.
    #[must_use]
    pub fn milliseconds(&self) -> f64 {
        let plan = self.plan();
        let said = plan.iter().find_map(|line| line.trim().strip_prefix("Execution Time: "));
        said.and_then(|said| said.trim_end_matches(" ms").parse().ok()).unwrap_or(f64::NAN)
    }

    /// Whether the last statement was compiled before it ran.
    #[must_use]
    pub fn was_compiled(&self) -> bool {
        self.plan().iter().any(|line| line.trim() == "JIT:")
    }

    /// The tables that the last statement read from one end to the other.
    #[must_use]
    pub fn read_whole(&self) -> Vec<String> {
        let plan = self.plan();
        let scans = plan.iter().filter(|line| !line.contains("(never executed)"));
        let tables = scans.filter_map(|line| line.split_once("Seq Scan on ")?.1.split(' ').next());
        tables.map(|table| table.rsplit('.').next().unwrap_or(table).to_owned()).collect()
    }

    /// Forgets the last statement: what is sent next is seen to be sent.
    pub fn forget(&self) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The plan of the last statement, a line each.
    #[must_use]
    pub fn plan(&self) -> Vec<String> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last statement counted rows, or passed over the one place where it might have.
    ///
    /// # Panics
    /// When it has no such place, or several.
    #[must_use]
    pub fn has_counted(&self) -> bool {
        let plan = self.plan();
        let counting: Vec<usize> =
            (0..plan.len()).filter(|line| plan[*line].trim() == "Output: count(*)").collect();
        let [output] = counting[..] else { panic!("{counting:?} in {plan:#?}") };
        let node = plan[..output].iter().rfind(|line| line.contains("Aggregate"));
        node.is_some_and(|node| !node.contains("(never executed)"))
    }
}

#[async_trait]
impl Transport for Explained {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        // The transport takes what lives as long as the process.
        let sql = format!("EXPLAIN (ANALYZE, BUFFERS, VERBOSE) {}", call.sql);
        let call = Call { sql: Box::leak(sql.into_boxed_str()), ..call };
        let plan = self.transport.execute(call, deadline).await?;
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
        Ok(vec![])
    }
}

/// A reader whose statements are explained: all but those by which it proves what it is.
pub struct ExplainedReader {
    proofs: Arc<dyn Transport>,
    explained: Explained,
}

impl ExplainedReader {
    /// It sends its proofs to `proofs` and everything else to `explained`.
    #[must_use]
    pub fn new(proofs: impl Transport + 'static, explained: Explained) -> Self {
        Self { proofs: Arc::new(proofs), explained }
    }
}

#[async_trait]
impl Transport for ExplainedReader {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        if call.sql.contains("WITH itself") {
            return self.proofs.execute(call, deadline).await;
        }
        self.explained.execute(call, deadline).await
    }
}
