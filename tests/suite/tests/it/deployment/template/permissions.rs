//! Who may reach what.

use std::collections::BTreeSet;

use shared::endpoint::{Consistency, EndpointKind, PURPOSES};

use super::{
    document::{Function, Template, list, named, objects},
    environment::ENVIRONMENTS,
    network::INTERFACES,
};

pub const CLUSTERS: &str = "rds-data:ExecuteStatement";
pub const SECRETS: &str = "secretsmanager:GetSecretValue";
pub const LOGIN: &str = "rds-db:connect";
/// What takes more than a statement that commits by itself.
const TRANSACTIONS: [&str; 3] =
    ["rds-data:BeginTransaction", "rds-data:CommitTransaction", "rds-data:RollbackTransaction"];

/// The cluster that is created, or the one that is there.
const WRITER: &str = "Database.DBClusterArn|WriterClusterArn";
/// The second cluster, or the writer's.
const READER: &str = "ReaderClusterArn|Database.DBClusterArn|WriterClusterArn";
/// The second cluster, where there is one.
const SECOND: &str = "ReaderClusterArn|AWS::NoValue";
/// The secret of the role that owns the schema.
const OWNER: &str = "Database.MasterUserSecret.SecretArn|OwnerSecretArn";

pub fn reached<'a>(function: &'a Function, action: &str) -> BTreeSet<&'a str> {
    function.permissions.iter().filter(|(of, _)| of == action).map(|(_, on)| on.as_str()).collect()
}

/// Where the endpoints are.
struct Places {
    writer: &'static str,
    /// A cluster, or a user of a server.
    reader: &'static str,
    owner: &'static str,
    /// Another cluster with a schema.
    second_cluster: Option<&'static str>,
}

/// The clusters and users, and the database secrets, that the function's purposes need.
fn needed(function: &str, at: &Places) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (mut clusters, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for rule in PURPOSES.iter().filter(|rule| rule.functions.contains(&function)) {
        if matches!(rule.endpoint, EndpointKind::Writer | EndpointKind::Both) {
            clusters.insert(at.writer);
            secrets.insert("WritingSecret");
        }
        if matches!(rule.endpoint, EndpointKind::Reader | EndpointKind::Both) {
            clusters.insert(at.reader);
            secrets.insert("ReadingSecret");
        }
        match rule.consistency {
            // What the reader has not replayed yet, or cannot serve, is read on the writer, with the reader's
            // secret: such a purpose has no other.
            Consistency::MinVersion | Consistency::Any | Consistency::Hint => {
                clusters.insert(at.writer);
            }
            Consistency::Latest | Consistency::Compared => {}
        }
    }
    // It logs in as the owner, and gives the others their passwords.
    if function == "apply-schema" {
        secrets.extend(["ReadingSecret", at.owner]);
        clusters.extend(at.second_cluster);
    }
    (clusters, secrets)
}

#[test]
fn lets_each_function_reach_its_purposes_endpoints() {
    let at = Places { writer: WRITER, reader: READER, owner: OWNER, second_cluster: Some(SECOND) };
    // What a role may under a condition is compared where that holds.
    may_reach_exactly_what_is_needed(&Template::read(), &at, |function| reached(function, CLUSTERS));
    for given in &ENVIRONMENTS {
        let at =
            Places { writer: given.writer, reader: given.login, owner: given.owner, second_cluster: None };
        let template = given.template("direct-reader", "iam");
        may_reach_exactly_what_is_needed(&template, &at, |function| {
            reached(function, CLUSTERS).union(&reached(function, LOGIN)).copied().collect()
        });
    }
}

fn may_reach_exactly_what_is_needed(
    template: &Template,
    at: &Places,
    endpoints: impl for<'a> Fn(&'a Function) -> BTreeSet<&'a str>,
) {
    for (name, function) in template.functions() {
        let (clusters, secrets) = needed(&name, at);
        assert!(!clusters.is_empty(), "{name} has no purpose");
        assert_eq!(endpoints(&function), clusters, "{name}");
        let of_the_database: BTreeSet<&str> = reached(&function, SECRETS)
            .into_iter()
            .filter(|secret| ["WritingSecret", "ReadingSecret", at.owner].contains(secret))
            .collect();
        assert_eq!(of_the_database, secrets, "{name}");
    }
}

#[test]
fn lets_notifications_reach_the_writer_alone() {
    let functions = Template::read().functions();
    let notification = &functions["registry-notification"];
    assert_eq!(reached(notification, CLUSTERS), BTreeSet::from([WRITER]));
    assert!(!notification.permissions.iter().any(|(_, on)| on == "ReadingSecret"));
    assert!(!notification.environment.keys().any(|name| name.starts_with("READER")));
    // Nor is it where a reader that is connected to could be reached.
    assert!(notification.properties.get("VpcConfig").is_none());
    assert!(reached(notification, LOGIN).is_empty() && notification.policies_of_aws.is_empty());
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
                    assert_eq!(name, "apply-schema", "{action}");
                    assert!([WRITER, SECOND].contains(&on.as_str()), "{action} on {on}");
                }
                "logs:CreateLogStream" | "logs:PutLogEvents" => assert_eq!(*on, log, "{name}"),
                LOGIN => assert!(function.environment.contains_key("TOPOLOGY"), "{name} does not read"),
                // Lambda's own doing: these cannot be allowed on less.
                action if INTERFACES.contains(&action) => assert_eq!(on, "*", "{action}"),
                // The key of an owner's secret.
                "kms:Decrypt" => assert_eq!(name, "apply-schema"),
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
        let actions: BTreeSet<String> = object.get("Action").into_iter().flat_map(list).map(named).collect();
        if actions.iter().map(String::as_str).collect::<BTreeSet<_>>() == BTreeSet::from(INTERFACES) {
            continue;
        }
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
fn decrypts_owners_secrets_by_the_keys_that_are_named() {
    let keys = |given: &str| {
        let role = Template::with(&[("OwnerSecretKeyArns", given)]);
        let role = role.resources("AWS::IAM::Role")["ApplySchemaRole"].clone();
        let statements = list(&role["Policies"][0]["PolicyDocument"]["Statement"]).into_iter().cloned();
        statements.filter(|statement| statement["Action"] == "kms:Decrypt").collect::<Vec<_>>()
    };
    assert_eq!(keys(""), Vec::<serde_json::Value>::new());
    let [statement] = &keys("arn:key")[..] else { panic!("one is expected") };
    assert_eq!(statement["Resource"].to_string(), r#"{"Fn::Split":[",",{"Ref":"OwnerSecretKeyArns"}]}"#);
    // For what Secrets Manager reads, and for nothing else.
    let by = &statement["Condition"]["StringEquals"]["kms:ViaService"];
    assert_eq!(named(by), "secretsmanager.${AWS::Region}.${AWS::URLSuffix}");
}

#[test]
fn no_function_has_an_address_of_its_own() {
    let template = Template::read();
    assert!(template.resources("AWS::Lambda::Url").is_empty());
    for object in objects(template.whole()) {
        assert!(!object.contains_key("FunctionUrlConfig"), "{object:?}");
    }
}
