//! Creates and upgrades the schema, and gives the roles their passwords.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use shared::{
    config::{ConfigError, aws::sdk_config, from_process, secrets::SecretReader},
    endpoint::Transactions,
    runtime::{RequestType, ResourceRequest},
    store::{
        Store,
        schema::{Applied, Owner, Patience, Publisher, Roles, SchemaError, newest, number, scripts},
    },
    telemetry::as_text,
};
use tokio::time::Instant;

pub use crate::login::LoginError;
use crate::{
    config::{Config, ReaderNeeds},
    login::{Logins, verifier},
};

/// Why the schema is not as the stack wants it. The stack shows it among its events; it holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The resource's properties are not those of this function.
    #[error("the property NewestScript is missing or names no script")]
    Properties,
    /// The template and the function are not of the same version.
    #[error(
        "the template expects the schema {wanted}, the function has {}: were they built together?",
        newest()
    )]
    OtherVersion {
        /// What the template names.
        wanted: String,
    },
    /// Nobody could log in as the reader's user.
    #[error(
        "ReaderUser is migration_reader, which keeps its password: only an RDS Proxy takes tokens for it, and the cluster \
         that the stack creates has none. Choose another name, for example reader_iam"
    )]
    ReaderOfACreatedCluster,
    /// The configuration is incomplete or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A role's secret is of no use.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The database refused, or could not be reached in time.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The second cluster's did. The first one has not been changed.
    #[error("the second cluster: {0}")]
    SecondCluster(SchemaError),
    /// Both clusters have their schema, and the second does not follow the first.
    #[error("replication to the second cluster: {0}")]
    Replication(SchemaError),
}

/// How long a database that is given up is waited for: a stack that is removed does not depend on it.
const TO_GIVE_UP: Duration = Duration::from_secs(30);

/// Does what the stack wants: create and update are the same, and delete lets another stack have the database, whose
/// data it leaves alone. Invoked by hand it applies what an update would.
///
/// # Errors
/// [`ApplyError`] says in a sentence what was not done and why.
pub async fn handle(request: ResourceRequest, until: Instant) -> Result<Option<Applied>, ApplyError> {
    if request.kind == RequestType::Delete {
        give_up(until.min(Instant::now() + TO_GIVE_UP)).await;
        return Ok(None);
    }
    let newer_is_known = newer_is_known(&request)?;
    let config: Config = from_process()?;
    check_reader_user(&config.reader, &request.properties)?;
    let sdk = sdk_config().await;
    let logins = Logins::read(&SecretReader::new(&sdk), &config, until).await?;
    let first = Store::new(Transactions::new(&sdk, config.endpoint()));
    let mut roles = Roles {
        driver: Some(verifier(&logins.driver)),
        reader: verifier(&logins.reader),
        replication: None,
        iam_user: None,
        owner: Owner { stack: config.stack_id.clone(), take_over_from: take_over_from(&request) },
    };
    let scripts = scripts();
    let patience = Patience::until(until);
    let patience = if request.kind == RequestType::Create { patience.for_what_is_new() } else { patience };
    let applied = match (&config.reader, logins.replication) {
        (ReaderNeeds::IamUser(user), _) => {
            roles.iam_user = Some(user.clone());
            first.apply(&scripts, newer_is_known, &roles, patience).await?
        }
        (ReaderNeeds::Replica(replica), Some(password)) => {
            let second = Store::new(Transactions::new(&sdk, config.replica_endpoint(replica)));
            // What the first cluster begins to send, the second must know already. Nobody writes there.
            let there = Roles { driver: None, ..roles.clone() };
            let applied = second.apply(&scripts, newer_is_known, &there, patience).await;
            applied.map_err(ApplyError::SecondCluster)?;
            roles.replication = Some(verifier(&password));
            let applied = first.apply(&scripts, newer_is_known, &roles, patience).await?;
            let publisher = Publisher {
                host: replica.writer_host.clone(),
                port: replica.writer_port,
                database: config.database.clone(),
                password,
            };
            second.subscribe(&first, &publisher, patience).await.map_err(ApplyError::Replication)?;
            applied
        }
        (ReaderNeeds::Nothing | ReaderNeeds::Proxy | ReaderNeeds::Replica(_), _) => {
            first.apply(&scripts, newer_is_known, &roles, patience).await?
        }
    };
    tracing::info!(applied = as_text(&applied), served_by = "writer", "applied the schema");
    Ok(Some(applied))
}

/// Lets another stack have what this one worked on. A stack can be removed whatever comes of it.
async fn give_up(until: Instant) {
    let config: Config = match from_process() {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(%error, "nobody knows which database is to be given up");
            return;
        }
    };
    let sdk = sdk_config().await;
    let mut clusters = vec![config.endpoint()];
    if let ReaderNeeds::Replica(replica) = &config.reader {
        clusters.push(config.replica_endpoint(replica));
    }
    let each = clusters.into_iter().map(|cluster| {
        let store = Store::new(Transactions::new(&sdk, cluster));
        let stack = &config.stack_id;
        async move {
            match store.give_up(stack, Patience::until(until)).await {
                Ok(mine) => tracing::info!(mine, "the database can be another stack's"),
                Err(error) => tracing::warn!(%error, "the database still belongs to this stack"),
            }
        }
    });
    join_all(each).await;
}

/// The stack that the database is taken over from, by the template's parameter.
fn take_over_from(request: &ResourceRequest) -> Option<String> {
    let stack = request.properties.get("TakeOverDatabaseFrom")?.as_str()?;
    (!stack.is_empty()).then(|| stack.to_owned())
}

/// How far the database may be ahead of this version. A stack that goes back to an earlier version says how far ahead it
/// was. Where no script is wanted, only the passwords are set, however far it is.
fn newer_is_known(request: &ResourceRequest) -> Result<u16, ApplyError> {
    let named =
        |properties: &Value| properties.get("NewestScript").and_then(Value::as_str).map(str::to_owned);
    if request.kind == RequestType::ByHand {
        return Ok(u16::MAX);
    }
    let wanted = named(&request.properties).filter(|wanted| number(wanted).is_some());
    let wanted = wanted.ok_or(ApplyError::Properties)?;
    if wanted != newest() {
        return Err(ApplyError::OtherVersion { wanted });
    }
    let before = named(&request.old_properties);
    if before.as_ref() == Some(&wanted) {
        return Ok(u16::MAX);
    }
    Ok(before.and_then(|before| number(&before)).unwrap_or(0))
}

/// Only a proxy takes tokens for `migration_reader`. The resource names an instance exactly where the stack creates the
/// cluster, and before that there is no proxy.
fn check_reader_user(needs: &ReaderNeeds, properties: &Value) -> Result<(), ApplyError> {
    if matches!(needs, ReaderNeeds::Proxy) && properties.get("Instance").is_some() {
        return Err(ApplyError::ReaderOfACreatedCluster);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ApplyError, ReaderNeeds, check_reader_user, newer_is_known, newest, take_over_from};
    use shared::runtime::{RequestType, ResourceRequest};

    fn request(kind: RequestType, wanted: &str, before: &str) -> ResourceRequest {
        ResourceRequest {
            kind,
            properties: json!({"ServiceToken": "arn", "NewestScript": wanted}),
            old_properties: json!({"ServiceToken": "arn", "NewestScript": before}),
        }
    }

    #[test]
    fn the_template_and_the_function_must_be_of_one_version() {
        assert!(newer_is_known(&request(RequestType::Create, newest(), "")).is_ok());
        let other = newer_is_known(&request(RequestType::Update, "9999_later", newest())).unwrap_err();
        assert!(matches!(&other, ApplyError::OtherVersion { wanted } if wanted == "9999_later"));
        assert!(other.to_string().contains(newest()), "{other}");
        for wrong in ["", "later", "0001"] {
            let error = newer_is_known(&request(RequestType::Create, wrong, "")).unwrap_err();
            assert!(matches!(error, ApplyError::Properties), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_stack_that_goes_back_says_how_far_ahead_the_database_is() {
        assert_eq!(newer_is_known(&request(RequestType::Update, newest(), "0042_later")).unwrap(), 42);
        assert_eq!(newer_is_known(&request(RequestType::Update, newest(), "unknown")).unwrap(), 0);
        assert_eq!(newer_is_known(&request(RequestType::Create, newest(), "")).unwrap(), 0);
    }

    #[test]
    fn takes_any_newer_database_where_no_script_is_wanted() {
        assert_eq!(newer_is_known(&request(RequestType::Update, newest(), newest())).unwrap(), u16::MAX);
        let by_hand = ResourceRequest { properties: json!(null), ..request(RequestType::ByHand, "", "") };
        assert_eq!(newer_is_known(&by_hand).unwrap(), u16::MAX);
    }

    #[test]
    fn refuses_tokens_for_the_reader_of_a_created_cluster() {
        let (created, there) = (json!({"Instance": "driver-writer"}), json!({}));
        let refused = check_reader_user(&ReaderNeeds::Proxy, &created).unwrap_err().to_string();
        assert!(
            refused.contains("only an RDS Proxy takes tokens") && refused.contains("reader_iam"),
            "{refused}"
        );
        for (needs, properties) in [
            (ReaderNeeds::Proxy, there),
            (ReaderNeeds::Nothing, created.clone()),
            (ReaderNeeds::IamUser("reader_iam".to_owned()), created),
        ] {
            assert!(check_reader_user(&needs, &properties).is_ok(), "{needs:?}");
        }
    }

    #[test]
    fn takes_over_from_nobody_unless_told() {
        let taken_over = |properties| {
            take_over_from(&ResourceRequest { properties, ..request(RequestType::Update, "", "") })
        };
        assert_eq!(taken_over(json!({"TakeOverDatabaseFrom": "arn"})).as_deref(), Some("arn"));
        for nobody in [json!({}), json!({"TakeOverDatabaseFrom": ""}), json!(null)] {
            assert_eq!(taken_over(nobody), None);
        }
    }
}
