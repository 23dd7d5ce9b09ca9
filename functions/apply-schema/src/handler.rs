//! Creates and upgrades the schema, and gives the roles their passwords.

use serde_json::Value;
use shared::{
    config::{ConfigError, aws::sdk_config, from_process, secrets::SecretReader},
    endpoint::Transactions,
    runtime::{RequestType, ResourceRequest},
    store::{
        Store,
        schema::{Applied, Publisher, Roles, SchemaError, newest, number, scripts},
    },
    telemetry::as_text,
};
use tokio::time::Instant;

pub use crate::login::LoginError;
use crate::{
    config::{Config, ReaderNeeds},
    login::{password, verifier},
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
    /// What the function is told is not all there.
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

/// Does what the stack wants: create and update are the same, and delete leaves the data alone (nothing is applied
/// then). Invoked by hand it applies what an update would.
///
/// # Errors
/// [`ApplyError`] says in a sentence what was not done and why.
pub async fn handle(request: ResourceRequest, until: Instant) -> Result<Option<Applied>, ApplyError> {
    if request.kind == RequestType::Delete {
        return Ok(None);
    }
    let newer_is_known = newer_is_known(&request)?;
    let config: Config = from_process()?;
    let sdk = sdk_config().await;
    let secrets = SecretReader::new(&sdk);
    let driver = password(&secrets, &config.writer_secret_arn, "migration_driver").await?;
    let reader = password(&secrets, &config.reader_secret_arn, "migration_reader").await?;
    let first = Store::new(Transactions::new(&sdk, config.endpoint()));
    let mut roles = Roles {
        driver: Some(verifier(&driver)),
        reader: verifier(&reader),
        replication: None,
        iam_user: None,
    };
    let scripts = scripts();
    let applied = match &config.reader {
        ReaderNeeds::Nothing => first.apply(&scripts, newer_is_known, &roles, until).await?,
        ReaderNeeds::IamUser(user) => {
            roles.iam_user = Some(user.clone());
            first.apply(&scripts, newer_is_known, &roles, until).await?
        }
        ReaderNeeds::Replica(replica) => {
            let second = Store::new(Transactions::new(&sdk, config.replica_endpoint(replica)));
            // What the first cluster begins to send, the second must know already. Nobody writes there.
            let there = Roles { driver: None, ..roles.clone() };
            second.apply(&scripts, newer_is_known, &there, until).await.map_err(ApplyError::SecondCluster)?;
            let password =
                password(&secrets, &replica.replication_secret_arn, "migration_replication").await?;
            roles.replication = Some(verifier(&password));
            let applied = first.apply(&scripts, newer_is_known, &roles, until).await?;
            let publisher = Publisher {
                host: replica.writer_host.clone(),
                port: replica.writer_port,
                database: config.database.clone(),
                password,
            };
            second.subscribe(&first, &publisher, until).await.map_err(ApplyError::Replication)?;
            applied
        }
    };
    tracing::info!(applied = as_text(&applied), served_by = "writer", "schema");
    Ok(Some(applied))
}

/// How far the database may be ahead of this version: as far as the stack itself says that it was before, which it
/// does when it goes back to an earlier version.
fn newer_is_known(request: &ResourceRequest) -> Result<u16, ApplyError> {
    let named =
        |properties: &Value| properties.get("NewestScript").and_then(Value::as_str).map(str::to_owned);
    if request.kind != RequestType::ByHand {
        let wanted = named(&request.properties).filter(|wanted| number(wanted).is_some());
        let wanted = wanted.ok_or(ApplyError::Properties)?;
        if wanted != newest() {
            return Err(ApplyError::OtherVersion { wanted });
        }
    }
    Ok(named(&request.old_properties).and_then(|before| number(&before)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ApplyError, newer_is_known, newest};
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
        let by_hand = ResourceRequest { properties: json!(null), ..request(RequestType::ByHand, "", "") };
        assert_eq!(newer_is_known(&by_hand).unwrap(), 0);
    }
}
