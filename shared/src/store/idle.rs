use tokio::time::Instant;

use super::Store;
use crate::endpoint::{EndpointError, Purpose, Statement, Writer};

const IDLE: &str = include_str!("sql/idle.sql");

impl<P: Purpose<Endpoint = Writer>> Store<P> {
    /// Whether nothing is in progress and nothing may be started. A row that only an operator may start counts too.
    pub async fn is_idle(&self, deadline: Instant) -> Result<bool, EndpointError> {
        let idle = self.endpoint.fetch(Statement::read("is_idle", IDLE).brief(), deadline).await?;
        Ok(idle.into_iter().next().unwrap_or(true))
    }
}
