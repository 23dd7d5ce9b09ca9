//! Each function's environment: it says what it should, and the function may reach that and nothing else.

use std::collections::BTreeSet;

use super::{
    document::Template,
    permissions::{CLUSTERS, LOGIN, SECRETS, reached},
};

/// What the functions' environments say of a database.
pub struct Environment {
    created: &'static str,
    pub writer: &'static str,
    pub owner: &'static str,
    host: &'static str,
    port: &'static str,
    /// The user that an IAM token may be for.
    pub login: &'static str,
}

/// Of a database that is created, and of one that is there.
pub const ENVIRONMENTS: [Environment; 2] = [
    Environment {
        created: "true",
        writer: "Database.DBClusterArn",
        owner: "Database.MasterUserSecret.SecretArn",
        host: "Database.ReadEndpoint.Address",
        port: "Database.Endpoint.Port",
        login: "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${Database.DBClusterResourceId}/${ReaderUser}",
    },
    Environment {
        created: "false",
        writer: "WriterClusterArn",
        owner: "OwnerSecretArn",
        host: "ReaderHost",
        port: "ReaderPort",
        login: "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${ReaderResourceId}/${ReaderUser}",
    },
];

impl Environment {
    /// The template in each topology in which reader and writer have names of their own.
    fn templates(&self) -> impl Iterator<Item = Template> {
        let apart = [("replica-cluster", "secret"), ("direct-reader", "secret"), ("direct-reader", "iam")];
        apart.into_iter().map(|(topology, auth)| self.template(topology, auth))
    }

    pub fn template(&self, topology: &str, auth: &str) -> Template {
        Template::with(&[("Topology", topology), ("CreateDatabase", self.created), ("ReaderAuth", auth)])
    }
}

#[test]
fn each_variable_holds_what_its_name_says() {
    for environment in &ENVIRONMENTS {
        for template in environment.templates() {
            says_what_the_names_say(&template, environment);
        }
    }
}

fn says_what_the_names_say(template: &Template, environment: &Environment) {
    for (name, function) in template.functions() {
        for (variable, value) in &function.environment {
            let expected = match variable.as_str() {
                "TOPOLOGY" => "Topology",
                "WRITER_ARN" => environment.writer,
                "WRITER_SECRET_ARN" => "WritingSecret",
                "READER_ARN" => "ReaderClusterArn",
                "READER_SECRET_ARN" => "ReadingSecret",
                "READER_HOST" => environment.host,
                "READER_PORT" => environment.port,
                // Where a layer is unpacked to.
                "READER_CA_FILE" => "/opt/rds-ca.pem",
                "READER_AUTH" => "ReaderAuth",
                "READER_USER" => "ReaderUser",
                "OWNER_SECRET_ARN" => environment.owner,
                "READER_OWNER_SECRET_ARN" => "ReaderOwnerSecretArn",
                "REPLICATION_SECRET_ARN" => "ReplicationSecret",
                "WRITER_HOST" => "WriterHost",
                "WRITER_PORT" => "WriterPort",
                "DATABASE_NAME" => "DatabaseName",
                "REGISTRY_URL" => "RegistryUrl",
                "REGISTRY_TOKEN_AUDIENCE" => "RegistryTokenAudience",
                "REGISTRY_TOKEN_ISSUER" => "RegistryTokenIssuer",
                "REGISTRY_SIGNING_KEY_SECRET_ARN" => "SigningKey",
                "REGISTRY_CA_FILE" => "/opt/registry-ca.pem",
                "REGISTRY_INSECURE_HOST" => "RegistryInsecureHost",
                "SECRET_MAX_AGE_SECONDS" => "SecretMaxAgeSeconds",
                "NOTIFICATION_SECRET_ARN" => "NotificationSecret",
                "OPERATOR_TOKEN_SECRET_ARN" => "OperatorToken",
                "LOG_LEVEL" => "LogLevel",
                "METRIC_NAMESPACE" => "AWS::StackName",
                "STACK_ID" => "AWS::StackId",
                other => panic!("{name} has {other}, which nobody knows"),
            };
            assert_eq!(value, expected, "{name}: {variable}");
        }
    }
}

#[test]
fn each_function_may_reach_exactly_what_it_is_told() {
    let all = ENVIRONMENTS
        .iter()
        .flat_map(|environment| environment.templates().flat_map(|template| template.functions()));
    for (name, function) in all {
        let environment: BTreeSet<&str> = function
            .environment
            .iter()
            .filter(|(variable, _)| variable.ends_with("_ARN"))
            .map(|(_, value)| value.as_str())
            .collect();
        let reached: BTreeSet<&str> =
            [CLUSTERS, SECRETS].iter().flat_map(|of| reached(&function, of)).collect();
        assert_eq!(reached, environment, "{name}");
    }
}

#[test]
fn allows_iam_login_at_one_reader_as_one_user() {
    let mut logging_in = 0;
    for environment in &ENVIRONMENTS {
        for (topology, auth) in [("single", "iam"), ("direct-reader", "secret"), ("direct-reader", "iam")] {
            for (name, function) in environment.template(topology, auth).functions() {
                // apply-schema makes the user, and is none.
                let user = function.environment.contains_key("READER_USER") && name != "apply-schema";
                let expected: BTreeSet<&str> = user.then_some(environment.login).into_iter().collect();
                assert_eq!(reached(&function, LOGIN), expected, "{name}");
                logging_in += usize::from(user);
            }
        }
        let database =
            |auth| environment.template("direct-reader", auth).whole()["Resources"]["Database"].clone();
        assert!(database("secret")["Properties"]["EnableIAMDatabaseAuthentication"].is_null());
        if environment.created == "true" {
            assert_eq!(database("iam")["Properties"]["EnableIAMDatabaseAuthentication"], true);
        }
    }
    assert_eq!(logging_in, 6, "three functions read, from either database");
}
