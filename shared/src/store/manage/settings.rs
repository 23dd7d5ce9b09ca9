use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    endpoint::{EndpointError, Manage, Statement},
    migration::{Settings, SettingsChange},
    store::Store,
};

const SETTINGS: &str = include_str!("sql/settings.sql");
const CHANGE_SETTINGS: &str = include_str!("sql/change_settings.sql");

/// What a change of the settings came to, with the settings as they are now.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "verdict", content = "settings", rename_all = "snake_case")]
pub enum SettingsChanged {
    /// Made and kept.
    Changed(Settings),
    /// They were so already.
    Unchanged(Settings),
    /// They are not at the version that the change was made for.
    Conflict(Settings),
}

impl SettingsChanged {
    /// The verdict's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Changed(_) => "changed",
            Self::Unchanged(_) => "unchanged",
            Self::Conflict(_) => "conflict",
        }
    }
}

impl Store<Manage> {
    /// The settings.
    pub async fn settings(&self, deadline: Instant) -> Result<Option<Settings>, EndpointError> {
        Ok(self.endpoint.fetch(Statement::read("settings", SETTINGS).brief(), deadline).await?.pop())
    }

    /// Changes the settings, if they still are at the version that `change` names, and keeps the change and who made it, in
    /// one statement. It is not sent again when nobody knows whether it ran.
    pub async fn change_settings(
        &self,
        change: &SettingsChange,
        deadline: Instant,
    ) -> Result<Option<SettingsChanged>, EndpointError> {
        let statement = Statement::write_once("change_settings", CHANGE_SETTINGS)
            .bind("version", change.version)
            .bind("changes", &serde_json::to_value(change).unwrap_or_default())
            .bind("operator", self.operator());
        Ok(self.endpoint.fetch(statement, deadline).await?.pop())
    }
}
