//! What a statement costs the database, counted.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use shared::endpoint::{Call, Failure, Transport};
use tokio::time::Instant;

/// Runs each statement under `EXPLAIN` and keeps the pages that it needed. Whoever sent it gets no rows.
#[derive(Clone)]
pub struct Explained {
    transport: Arc<dyn Transport>,
    pages: Arc<Mutex<Vec<u64>>>,
    plan: Arc<Mutex<Vec<String>>>,
}

impl Explained {
    /// Of the statements that are sent to this database.
    #[must_use]
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self { transport: Arc::new(transport), pages: Arc::default(), plan: Arc::default() }
    }

    /// The pages that the last statement needed, whether they were in memory or not.
    ///
    /// # Panics
    /// When none was sent.
    #[must_use]
    pub fn pages(&self) -> u64 {
        *self.pages.lock().unwrap().last().unwrap()
    }

    /// Whether the last statement counted rows, or passed over the one place where it might have.
    ///
    /// # Panics
    /// When it has no such place, or several.
    #[must_use]
    pub fn has_counted(&self) -> bool {
        let plan = self.plan.lock().unwrap();
        let counting: Vec<usize> =
            (0..plan.len()).filter(|line| plan[*line].trim() == "Output: count(*)").collect();
        let [output] = counting[..] else { panic!("{counting:?} in {plan:#?}") };
        let node = plan[..output].iter().rfind(|line| line.contains("Aggregate")).expect("its node");
        !node.contains("(never executed)")
    }
}

#[async_trait]
impl Transport for Explained {
    async fn execute(&self, call: Call<'_>, deadline: Instant) -> Result<Vec<String>, Failure> {
        // The transport takes what lives as long as the process.
        let sql = format!("EXPLAIN (ANALYZE, BUFFERS, VERBOSE) {}", call.sql);
        let call = Call { sql: Box::leak(sql.into_boxed_str()), ..call };
        let plan = self.transport.execute(call, deadline).await?;
        // The first such line is the whole statement's: `Buffers: shared hit=12 read=3 dirtied=1`.
        let line = plan.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared "));
        let counts = line.expect("the pages that were needed").split(' ');
        let needed = counts.filter_map(|count| {
            let (kind, pages) = count.split_once('=')?;
            matches!(kind, "hit" | "read").then(|| pages.parse::<u64>().expect("a number of pages"))
        });
        self.pages.lock().unwrap().push(needed.sum());
        *self.plan.lock().unwrap() = plan;
        Ok(vec![])
    }
}
