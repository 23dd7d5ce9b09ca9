use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    endpoint::{EndpointError, Manage, Statement},
    migration::{Hold, HoldChange, HoldPrefix},
    store::Store,
};

const HOLDS: &str = include_str!("sql/holds.sql");
const SET_HOLD: &str = include_str!("sql/set_hold.sql");
const RELEASE_HOLD: &str = include_str!("sql/release_hold.sql");

/// What setting a hold came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldSet {
    /// It stands so.
    Set,
    /// The database knows no zone of that name.
    UnknownZone,
    /// There are as many as there may be.
    TooMany,
}

impl Store<Manage> {
    /// The most holds that there may be: as many as one result of the database holds at their longest.
    pub const MAX_HOLDS: u32 = 400;

    /// Every hold, by prefix, with what it does at this moment.
    pub async fn holds(&self, deadline: Instant) -> Result<Vec<Hold>, EndpointError> {
        let statement = Statement::read("holds", HOLDS).bind("prefix", None::<&str>);
        self.endpoint.fetch(statement, deadline).await
    }

    /// The hold of one prefix. None: there is none.
    pub async fn hold(&self, prefix: &HoldPrefix, deadline: Instant) -> Result<Option<Hold>, EndpointError> {
        let statement = Statement::read("holds", HOLDS).bind("prefix", prefix.as_str());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }

    /// Makes a prefix's hold what `change` says, and keeps the change. It works for every statement that starts after
    /// it. May be repeated with the same `id`.
    pub async fn set_hold(
        &self,
        change: &HoldChange,
        id: Uuid,
        deadline: Instant,
    ) -> Result<HoldSet, EndpointError> {
        let window = change.window.as_ref();
        let statement = Statement::repeatable_write("set_hold", SET_HOLD)
            .bind("prefix", change.prefix.as_str())
            .bind("until_released", change.until_released)
            .bind("opens", window.map(|window| window.from.to_string()))
            .bind("closes", window.map(|window| window.until.to_string()))
            .bind("zone", window.map(|window| window.zone.as_str()))
            .bind("priority", change.priority.map(i64::from))
            .bind("reason", change.reason.as_deref())
            .bind("operator", self.operator())
            .bind("most", Self::MAX_HOLDS)
            .bind("change", id);
        Ok(self.endpoint.fetch(statement, deadline).await?.pop().unwrap_or(HoldSet::TooMany))
    }

    /// Removes a prefix's hold, and keeps that. Whether there was one. May be repeated with the same `id`.
    pub async fn release_hold(
        &self,
        prefix: &HoldPrefix,
        id: Uuid,
        deadline: Instant,
    ) -> Result<bool, EndpointError> {
        let statement = Statement::repeatable_write("release_hold", RELEASE_HOLD)
            .bind("prefix", prefix.as_str())
            .bind("operator", self.operator())
            .bind("change", id);
        Ok(self.endpoint.fetch(statement, deadline).await?.pop().unwrap_or(false))
    }
}
