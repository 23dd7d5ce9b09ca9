use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{
    refusal::{SchemaError, Step},
    run::{Ask, Each, Patience, write},
};
use crate::{
    endpoint::{Execution, Schema},
    store::Store,
};

const SUBSCRIBED: (&str, &str) = ("schema_subscribed", include_str!("sql/subscribed.sql"));
const PUBLISHER: (&str, &str) = ("schema_publisher", include_str!("sql/publisher.sql"));
const SUBSCRIPTION: (&str, &str) = ("schema_subscription", include_str!("sql/subscription.sql"));
const REFRESH: (&str, &str) = ("schema_refresh", include_str!("sql/refresh.sql"));
const SLOT: (&str, &str) = ("schema_slot", include_str!("sql/slot.sql"));
const SLOT_DROP: (&str, &str) = ("schema_slot_drop", include_str!("sql/slot_drop.sql"));
const SLOT_CREATE: (&str, &str) = ("schema_slot_create", include_str!("sql/slot_create.sql"));

/// What dropping the slot again may take beyond the deadline.
const TO_DROP: Duration = Duration::from_secs(2);

/// Where a second cluster finds the first one's tables. It logs in as `migration_replication`.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The first cluster's writer endpoint, as the second cluster reaches it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The password.
    pub password: SecretString,
}

impl Publisher {
    /// As libpq reads it. Always over TLS; against whom it is not checked, since the server that connects has no file
    /// of authorities that this could name.
    fn connection(&self) -> SecretString {
        let quoted = |value: &str| format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"));
        let (host, database) = (quoted(&self.host), quoted(&self.database));
        let (port, password) = (self.port, quoted(self.password.expose_secret()));
        format!(
            "host={host} port={port} dbname={database} user=migration_replication password={password} \
             sslmode=require connect_timeout=10"
        )
        .into()
    }
}

impl Store<Schema> {
    /// Feeds the database of this second cluster from the tables that `first` publishes: subscribes to them where it
    /// has not yet, which empties its own (the settings and slots that every schema begins with) and copies those of
    /// `first` by and by; else it only learns the password and the tables anew.
    ///
    /// Both have the same schema already, `first` with a role for replication.
    ///
    /// # Errors
    /// [`SchemaError`] says what was not done and why, holding no secret. A cluster that has repositories of its own
    /// is refused, since it is no replica. What `first` would keep for a replica that never comes is let go, unless
    /// nobody knows whether it was subscribed to.
    pub async fn subscribe(
        &self,
        first: &Self,
        publisher: &Publisher,
        patience: Patience,
    ) -> Result<(), SchemaError> {
        let yes = |answer: Option<String>| answer.as_deref() == Some("true");
        if yes(self.in_transaction(Ask(Step::Subscription, write(SUBSCRIBED)), patience).await?) {
            if !yes(first.in_transaction(Ask(Step::Slot, write(SLOT)), patience).await?) {
                return Err(SchemaError::SlotGone);
            }
            self.connect(publisher, patience).await?;
            return self.alone(Step::Refresh, &write(REFRESH), patience).await;
        }
        // One that an earlier run has left begins in the past.
        let anew = Each([(Step::Slot, write(SLOT_DROP)), (Step::Slot, write(SLOT_CREATE))]);
        first.in_transaction(anew, patience).await?;
        let subscribed = self.connect(publisher, patience).await;
        if let Err(SchemaError::Failed { failure, .. }) = &subscribed
            && failure.outcome != Execution::Unknown
        {
            let dropped =
                first.in_transaction(Each([(Step::Slot, write(SLOT_DROP))]), patience.longer(TO_DROP)).await;
            if let Err(error) = dropped {
                tracing::error!(%error, "the replication slot keeps the writer's log until it is dropped");
            }
        }
        subscribed
    }

    async fn connect(&self, publisher: &Publisher, patience: Patience) -> Result<(), SchemaError> {
        let source = write(PUBLISHER).bind("connection", publisher.connection().expose_secret());
        let connect = [(Step::Subscription, source), (Step::Subscription, write(SUBSCRIPTION))];
        self.in_transaction(Each(connect), patience).await
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::Publisher;

    #[test]
    fn quotes_any_password_and_shows_it_to_nobody() {
        let publisher = Publisher {
            host: "cluster.example".to_owned(),
            port: 5432,
            database: "migrations".to_owned(),
            password: r"it's \hunter2 ".to_owned().into(),
        };
        let connection = publisher.connection();
        assert!(connection.expose_secret().contains(r" password='it\'s \\hunter2 ' "));
        assert!(!format!("{publisher:?} {connection:?}").contains("hunter2"));
    }
}
