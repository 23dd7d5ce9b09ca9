use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    Owner,
    refusal::{SchemaError, Step},
    run::{Run, write},
};

const LOGINS: (&str, &str) = ("schema_logins", include_str!("sql/logins.sql"));
const ROLES: (&str, &str) = ("schema_roles", include_str!("sql/roles.sql"));
const SETTINGS: (&str, &str) = ("schema_role_settings", include_str!("sql/role_settings.sql"));
const REPLICATION_ROLE: (&str, &str) = ("schema_replication_role", include_str!("sql/replication_role.sql"));
const IAM_ROLE: (&str, &str) = ("schema_iam_role", include_str!("sql/iam_role.sql"));

/// The roles of a cluster. A password is what PostgreSQL keeps of one (`SCRAM-SHA-256$…`): with it a password can be
/// checked, and cannot be found out.
#[derive(Clone, Debug)]
pub struct Roles {
    /// The password of `migration_driver`. None: it is there, since tables are granted to it, and cannot log in.
    pub driver: Option<SecretString>,
    /// The password of `migration_reader`.
    pub reader: SecretString,
    /// The password of `migration_replication`, as which a second cluster subscribes to the tables. None: nothing
    /// is published.
    pub replication: Option<SecretString>,
    /// The role, besides these, that reads by IAM tokens.
    pub iam_user: Option<String>,
    /// Whose they are.
    pub owner: Owner,
}

impl Run<'_> {
    /// Makes the roles and gives them their passwords, unless they are another stack's.
    pub(super) async fn roles(&self, roles: &Roles) -> Result<(), SchemaError> {
        self.check_owner(&roles.owner).await?;
        let password = |role: &Option<SecretString>| {
            role.as_ref().map_or(Value::Null, |verifier| json!(verifier.expose_secret()))
        };
        // The importer's tables are granted to its role, which cannot log in before somebody deploys one.
        let mut logins = json!({"migration_driver": password(&roles.driver), "migration_importer": null});
        logins["migration_reader"] = json!(roles.reader.expose_secret());
        if roles.replication.is_some() {
            logins["migration_replication"] = password(&roles.replication);
        }
        let logins = write(LOGINS)
            .bind("logins", logins.to_string())
            .bind("iam_user", roles.iam_user.as_deref().unwrap_or_default());
        self.send(Step::Roles, &logins).await?;
        self.send(Step::Roles, &write(ROLES)).await?;
        if roles.replication.is_some() {
            self.send(Step::ReplicationRole, &write(REPLICATION_ROLE)).await?;
        }
        if roles.iam_user.is_some() {
            self.send(Step::IamRole, &write(IAM_ROLE)).await?;
        }
        self.send(Step::Roles, &write(SETTINGS)).await?;
        self.own(&roles.owner).await
    }
}
