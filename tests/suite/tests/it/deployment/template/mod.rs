//! `template.yaml` against the code that it deploys: what a function is given and may reach is what the code
//! says, and not what somebody remembered to write down.

mod alarms;
mod conditions;
mod costs;
mod dashboard;
mod database;
pub mod document;
mod environment;
mod names;
mod network;
mod permissions;
mod routes;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use document::{Template, text, workspace};
use local::local_registry::SigningKeys;
use secrecy::ExposeSecret;
use shared::{
    config::{FromEnvironment, Topology, Variable, from_source, variables},
    registry::{RegistryClient, RegistryClientConfig, SigningKey},
    runtime::Budgets,
};

/// What each function reads from its environment.
fn read_by_each_function() -> BTreeMap<&'static str, Vec<Variable>> {
    BTreeMap::from([
        ("apply-schema", variables::<apply_schema::config::Config>()),
        ("enqueue-migrations", variables::<enqueue_migrations::config::Config>()),
        ("guard-migrations", variables::<guard_migrations::config::Config>()),
        ("manage-migrations", variables::<manage_migrations::config::Config>()),
        ("migration-status", variables::<migration_status::config::Config>()),
        ("observe-migrations", variables::<observe_migrations::config::Config>()),
        ("registry-notification", variables::<registry_notification::config::Config>()),
        ("start-migration", variables::<start_migration::config::Config>()),
    ])
}

#[test]
fn every_function_there_is_is_deployed() {
    let folders: BTreeSet<String> = std::fs::read_dir(workspace().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let functions = Template::read().functions();
    assert_eq!(functions.keys().cloned().collect::<BTreeSet<_>>(), folders);
    assert_eq!(read_by_each_function().keys().map(ToString::to_string).collect::<BTreeSet<_>>(), folders);
    for (name, function) in &functions {
        assert_eq!(function.metadata["BuildMethod"], "rust-cargolambda", "{name}");
        assert_eq!(function.properties["CodeUri"], format!("functions/{name}/"), "{name}");
        assert_eq!(function.properties["Runtime"], "provided.al2023", "{name}");
        assert_eq!(function.properties["Architectures"][0], "arm64", "{name}");
    }
}

/// The parameters that the topologies differ in.
fn topologies() -> Vec<Vec<(&'static str, &'static str)>> {
    let mut all = Vec::new();
    for (topology, auth) in [
        ("single", "secret"),
        ("replica-cluster", "secret"),
        ("direct-reader", "secret"),
        ("direct-reader", "iam"),
    ] {
        for created in ["true", "false"] {
            all.push(vec![("Topology", topology), ("CreateDatabase", created), ("ReaderAuth", auth)]);
        }
    }
    all
}

#[test]
fn gives_each_function_its_variables_in_every_topology() {
    for parameters in topologies() {
        let functions = Template::with(&parameters).functions();
        for (name, read) in read_by_each_function() {
            let given = &functions[name].environment;
            // LOG_LEVEL is read before the configuration, by every function.
            let known: BTreeSet<&str> = read.iter().map(|of| of.name).chain(["LOG_LEVEL"]).collect();
            let unknown: Vec<_> = given.keys().filter(|of| !known.contains(of.as_str())).collect();
            assert!(unknown.is_empty(), "{name} is given {unknown:?}");
            let value = |variable: &str| given.get(variable).map(|of| value_of(variable, of, &parameters));
            let refused = (REFUSALS.iter().find(|(of, _)| *of == name).unwrap().1)(&value);
            assert_eq!(refused, None, "{name} with {parameters:?}");
            assert!(given.contains_key("LOG_LEVEL"), "{name}");
        }
    }
    let known: BTreeSet<&str> = topologies().iter().map(|parameters| parameters[0].1).collect();
    assert_eq!(known, Topology::ALL.iter().map(|topology| topology.name()).collect());
}

/// What a function would read from its environment, where the template only names it.
fn value_of(variable: &str, named: &str, parameters: &[(&str, &str)]) -> String {
    if let Some((_, value)) = parameters.iter().find(|(parameter, _)| *parameter == named) {
        return (*value).to_owned();
    }
    match variable {
        _ if variable.ends_with("SECRET_ARN") => format!("arn:aws:secretsmanager:r:1:secret:{named}"),
        _ if variable.ends_with("_ARN") => format!("arn:aws:rds:r:1:cluster:{named}"),
        _ if variable.ends_with("_URL") => "https://host/".to_owned(),
        _ if variable.ends_with("_PORT") => "5432".to_owned(),
        _ if variable.ends_with("_SECONDS") => "300".to_owned(),
        _ => named.to_owned(),
    }
}

type Refusal = fn(&dyn Fn(&str) -> Option<String>) -> Option<String>;

/// What each function has against an environment.
const REFUSALS: [(&str, Refusal); 8] = [
    ("apply-schema", |of| refusal::<apply_schema::config::Config>(of)),
    ("observe-migrations", |of| refusal::<observe_migrations::config::Config>(of)),
    ("enqueue-migrations", |of| refusal::<enqueue_migrations::config::Config>(of)),
    ("guard-migrations", |of| refusal::<guard_migrations::config::Config>(of)),
    ("manage-migrations", |of| refusal::<manage_migrations::config::Config>(of)),
    ("migration-status", |of| refusal::<migration_status::config::Config>(of)),
    ("registry-notification", |of| refusal::<registry_notification::config::Config>(of)),
    ("start-migration", |of| refusal::<start_migration::config::Config>(of)),
];

fn refusal<C: FromEnvironment>(source: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    from_source::<C>(source).err().map(|error| error.to_string())
}

#[test]
fn no_secret_is_told_in_the_environment() {
    let template = Template::read();
    let parameters = template.whole()["Parameters"].as_object().unwrap();
    let hidden: Vec<&String> = parameters
        .iter()
        .filter(|(_, parameter)| parameter["NoEcho"] == true)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(hidden, ["RegistrySigningKey"]);
    for (name, function) in template.functions() {
        for (variable, value) in &function.environment {
            assert!(
                !hidden.iter().any(|secret| value.contains(*secret)),
                "{name} is given {variable}={value}"
            );
            assert!(!value.contains("resolve:"), "{name} is given {variable}={value}");
        }
    }
}

#[test]
fn a_signing_key_that_was_pasted_into_one_line_still_works() {
    let whole = SigningKeys::generate().unwrap().private_key_pem;
    for between in ["", " ", "\r\n"] {
        let pasted = whole.expose_secret().replace('\n', between);
        let made = RegistryClient::new(RegistryClientConfig {
            url: "http://127.0.0.1".parse().unwrap(),
            audience: "registry".to_owned(),
            issuer: "driver".to_owned(),
            signing_key: SigningKey::Given(pasted.into()),
            authorities: None,
            insecure_host: None,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
        });
        assert!(made.is_ok(), "{between:?}");
    }
}

#[test]
fn gives_every_function_its_time_and_log_retention() {
    let template = Template::read();
    let logs = template.resources("AWS::Logs::LogGroup");
    for log in logs.values() {
        assert!(log["RetentionInDays"].is_object(), "{log}");
    }
    for (name, function) in template.functions() {
        let timeout = function.properties["Timeout"].as_u64().unwrap();
        let counted_on = match name.as_str() {
            "apply-schema" => vec![apply_schema::BUDGETS],
            "enqueue-migrations" | "guard-migrations" => vec![Budgets::ROUNDS],
            _ => vec![Budgets::HTTP, Budgets::SCHEDULE],
        };
        for budgets in counted_on {
            assert_eq!(timeout, budgets.invocation.as_secs(), "{name}");
        }
        let log = document::named(&function.properties["LoggingConfig"]["LogGroup"]);
        let group = logs[log.as_str()];
        assert_eq!(
            text(&group["LogGroupName"]["Fn::Sub"]),
            format!("/aws/lambda/${{AWS::StackName}}-{name}")
        );
    }
}

#[test]
fn a_schedules_failed_run_is_tried_again_and_then_kept() {
    let functions = Template::read().functions();
    let scheduled: Vec<_> = functions
        .values()
        .filter(|function| function.routes.is_empty() && function.properties.get("Events").is_some())
        .collect();
    assert_eq!(
        scheduled.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(),
        ["enqueue-migrations", "guard-migrations", "observe-migrations"]
    );
    for function in scheduled {
        let events = function.properties["Events"].as_object().unwrap();
        let [event] = &events.values().collect::<Vec<_>>()[..] else { panic!("{events:?}") };
        assert_eq!(event["Type"], "Schedule");
        // The one for a run that could not be delivered, the other for a run that failed.
        let undelivered = document::named(&event["Properties"]["DeadLetterConfig"]["Arn"]);
        let invoke = &function.properties["EventInvokeConfig"];
        let failed = document::named(&invoke["DestinationConfig"]["OnFailure"]["Destination"]);
        assert_eq!([undelivered.as_str(), failed.as_str()], ["ScheduleFailures.Arn"; 2], "{}", function.name);
        assert!(event["Properties"]["RetryPolicy"]["MaximumRetryAttempts"].as_u64() > Some(0));
        assert!(invoke["MaximumRetryAttempts"].as_u64() > Some(0));
        let may = ("sqs:SendMessage".to_owned(), failed);
        assert!(function.permissions.contains(&may), "{}", function.name);
    }
}
