//! Who may reach what.

use std::collections::BTreeSet;

use shared::endpoint::{Consistency, EndpointKind, PURPOSES};

use super::document::{Function, Template, list, named, objects};

const CLUSTERS: &str = "rds-data:ExecuteStatement";
const SECRETS: &str = "secretsmanager:GetSecretValue";
/// What takes more than a statement that commits by itself.
const TRANSACTIONS: [&str; 3] =
    ["rds-data:BeginTransaction", "rds-data:CommitTransaction", "rds-data:RollbackTransaction"];

/// The cluster that is created, or the one that is there.
const WRITER: &str = "Database.DBClusterArn|WriterClusterArn";
/// The second cluster, or the writer's.
const READER: &str = "ReaderClusterArn|Database.DBClusterArn|WriterClusterArn";
/// The secret of the role that owns the schema.
const OWNER: &str = "Database.MasterUserSecret.SecretArn|OwnerSecretArn";

/// A stack's parameters.
type Parameters = [(&'static str, &'static str); 2];

/// With two clusters each ARN is told under its own name: the parameters, the writer and the owner's secret.
const WITH_TWO_CLUSTERS: [(Parameters, &str, &str); 2] = [
    (
        [("Topology", "replica-cluster"), ("CreateDatabase", "true")],
        "Database.DBClusterArn",
        "Database.MasterUserSecret.SecretArn",
    ),
    ([("Topology", "replica-cluster"), ("CreateDatabase", "false")], "WriterClusterArn", "OwnerSecretArn"),
];

fn reached<'a>(function: &'a Function, action: &str) -> BTreeSet<&'a str> {
    function.permissions.iter().filter(|(of, _)| of == action).map(|(_, on)| on.as_str()).collect()
}

/// The clusters and the database secrets that the function's purposes need.
fn needed(function: &str) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (mut clusters, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for rule in PURPOSES.iter().filter(|rule| rule.functions.contains(&function)) {
        if matches!(rule.endpoint, EndpointKind::Writer | EndpointKind::Both) {
            clusters.insert(WRITER);
            secrets.insert("WritingSecret");
        }
        if matches!(rule.endpoint, EndpointKind::Reader | EndpointKind::Both) {
            clusters.insert(READER);
            secrets.insert("ReadingSecret");
        }
        match rule.consistency {
            // What the reader has not replayed yet, or cannot serve, is read on the writer, with the reader's
            // secret: such a purpose has no other.
            Consistency::AtLeastSeen | Consistency::Any => {
                clusters.insert(WRITER);
            }
            Consistency::Latest | Consistency::Hint | Consistency::Compared => {}
        }
    }
    // It logs in as the owner, and gives the others their passwords.
    if function == "apply-schema" {
        secrets.extend(["ReadingSecret", OWNER]);
    }
    (clusters, secrets)
}

#[test]
fn each_function_may_reach_exactly_the_endpoints_that_its_purposes_name() {
    for (name, function) in Template::read().functions() {
        let (clusters, secrets) = needed(&name);
        assert!(!clusters.is_empty(), "{name} has no purpose");
        assert_eq!(reached(&function, CLUSTERS), clusters, "{name}");
        let of_the_database: BTreeSet<&str> = reached(&function, SECRETS)
            .into_iter()
            .filter(|secret| ["WritingSecret", "ReadingSecret", OWNER].contains(secret))
            .collect();
        assert_eq!(of_the_database, secrets, "{name}");
    }
}

#[test]
fn the_notifications_function_reaches_the_writer_alone_and_status_has_no_secret_that_writes() {
    let functions = Template::read().functions();
    let notification = &functions["registry-notification"];
    assert_eq!(reached(notification, CLUSTERS), BTreeSet::from([WRITER]));
    assert!(!notification.permissions.iter().any(|(_, on)| on == "ReadingSecret"));
    assert!(!notification.environment.keys().any(|name| name.starts_with("READER")));
    let status = &functions["migration-status"];
    assert!(!status.permissions.iter().any(|(_, on)| on == "WritingSecret"));
    assert!(!status.environment.contains_key("WRITER_SECRET_ARN"));
}

#[test]
fn the_owners_secret_and_transactions_are_apply_schemas_alone() {
    for (name, function) in Template::read().functions() {
        let mine = name == "apply-schema";
        assert_eq!(function.permissions.iter().any(|(_, on)| on == OWNER), mine, "{name}");
        for action in TRANSACTIONS {
            assert_eq!(!reached(&function, action).is_empty(), mine, "{name}: {action}");
        }
    }
}

#[test]
fn each_variable_holds_what_its_name_says() {
    for (parameters, writer, owner) in &WITH_TWO_CLUSTERS {
        is_told_what_the_names_say(&Template::with(parameters), writer, owner);
    }
}

fn is_told_what_the_names_say(template: &Template, writer: &str, owner: &str) {
    for (name, function) in template.functions() {
        for (variable, value) in &function.environment {
            let expected = match variable.as_str() {
                "TOPOLOGY" => "Topology",
                "WRITER_ARN" => writer,
                "WRITER_SECRET_ARN" => "WritingSecret",
                "READER_ARN" => "ReaderClusterArn",
                "READER_SECRET_ARN" => "ReadingSecret",
                "OWNER_SECRET_ARN" => owner,
                "DATABASE_NAME" => "DatabaseName",
                "REGISTRY_URL" => "RegistryUrl",
                "REGISTRY_TOKEN_AUDIENCE" => "RegistryTokenAudience",
                "REGISTRY_TOKEN_ISSUER" => "RegistryTokenIssuer",
                "REGISTRY_SIGNING_KEY_SECRET_ARN" => "SigningKey",
                "NOTIFICATION_SECRET_ARN" => "NotificationSecret",
                "OPERATOR_TOKEN_SECRET_ARN" => "OperatorToken",
                "LOG_LEVEL" => "LogLevel",
                "METRIC_NAMESPACE" => "AWS::StackName",
                other => panic!("{name} is told {other}, which nobody knows"),
            };
            assert_eq!(value, expected, "{name}: {variable}");
        }
    }
}

#[test]
fn each_function_may_reach_exactly_what_it_is_told() {
    let both = WITH_TWO_CLUSTERS.iter().flat_map(|(parameters, ..)| Template::with(parameters).functions());
    for (name, function) in both {
        let told: BTreeSet<&str> = function
            .environment
            .iter()
            .filter(|(variable, _)| variable.ends_with("_ARN"))
            .map(|(_, value)| value.as_str())
            .collect();
        let reached: BTreeSet<&str> =
            [CLUSTERS, SECRETS].iter().flat_map(|of| reached(&function, of)).collect();
        assert_eq!(reached, told, "{name}");
    }
}

#[test]
fn each_function_has_a_role_of_its_own_that_does_nothing_else() {
    let functions = Template::read().functions();
    let roles: BTreeSet<&str> = functions.values().map(|function| function.role.as_str()).collect();
    assert_eq!(roles.len(), functions.len());
    assert_eq!(roles, Template::read().resources("AWS::IAM::Role").into_keys().collect());
    for (name, function) in &functions {
        let log = format!("{}.Arn", named(&function.properties["LoggingConfig"]["LogGroup"]));
        assert!(function.properties.get("Policies").is_none(), "{name} has policies beside its role");
        for (action, on) in &function.permissions {
            match action.as_str() {
                CLUSTERS | SECRETS => {}
                action if TRANSACTIONS.contains(&action) => {
                    assert_eq!((name.as_str(), on.as_str()), ("apply-schema", WRITER), "{action}");
                }
                "logs:CreateLogStream" | "logs:PutLogEvents" => assert_eq!(*on, log, "{name}"),
                "sqs:SendMessage" => {
                    assert!(function.routes.is_empty(), "{name} has no schedule");
                    assert_eq!(on, "ScheduleFailures.Arn");
                }
                other => panic!("{name} may {other} on {on}"),
            }
        }
    }
}

#[test]
fn nothing_is_allowed_on_everything_or_to_everybody() {
    let template = Template::read();
    let mut statements = 0;
    for object in objects(template.whole()) {
        for key in ["Action", "Resource", "Principal", "NotAction", "NotResource", "NotPrincipal"] {
            let Some(value) = object.get(key) else { continue };
            statements += 1;
            assert!(!key.starts_with("Not"), "{object:?}");
            for element in list(value) {
                assert!(!element.to_string().contains('*'), "{object:?}");
            }
        }
    }
    assert!(statements > 30, "only {statements} were found");
}

#[test]
fn no_function_has_an_address_of_its_own() {
    let template = Template::read();
    assert!(template.resources("AWS::Lambda::Url").is_empty());
    assert!(template.resources("AWS::Lambda::Permission").is_empty());
    for object in objects(template.whole()) {
        assert!(!object.contains_key("FunctionUrlConfig"), "{object:?}");
    }
}
