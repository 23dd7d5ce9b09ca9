//! What is called after the stack, whose name may have 128 characters; and what the handbook names.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{Template, named, objects, text, workspace};

const LONGEST_STACK: usize = 128;

/// How long the names may be that are made of the stack's.
fn longest(kind: &str, property: &str) -> Option<usize> {
    match (kind, property) {
        ("AWS::Logs::LogGroup", "LogGroupName") => Some(512),
        ("AWS::Serverless::LayerVersion", "LayerName") => Some(140),
        ("AWS::Serverless::HttpApi", "Name") => Some(128),
        ("AWS::CloudWatch::Dashboard", "DashboardName") => Some(255),
        _ => None,
    }
}

#[test]
fn makes_no_name_too_long_of_a_long_stack_name() {
    let template = Template::read();
    let mut made = 0;
    for (id, resource) in template.whole()["Resources"].as_object().unwrap() {
        let kind = text(&resource["Type"]);
        for (property, value) in resource["Properties"].as_object().into_iter().flatten() {
            let of_stack = match value {
                Value::Object(one) if one.get("Ref").is_some_and(|of| of == "AWS::StackName") => {
                    String::new()
                }
                Value::Object(one) if one.get("Fn::Sub").is_some_and(Value::is_string) => {
                    text(&one["Fn::Sub"])
                }
                _ => continue,
            };
            if !property.ends_with("Name") || !format!("{value}").contains("AWS::StackName") {
                continue;
            }
            let longest = longest(&kind, property).unwrap_or_else(|| panic!("{id} has the name {of_stack}"));
            let rest = of_stack.replace("${AWS::StackName}", "");
            assert!(!rest.contains("${"), "{id}: {of_stack}");
            assert!(LONGEST_STACK + rest.len() <= longest, "{id}: {of_stack}");
            made += 1;
        }
        let fixed = resource["Properties"].get("FunctionName");
        // One that somebody gives is refused before anything is made.
        let given = id == "ApplySchema"
            && named(&resource["Properties"]["FunctionName"]) == "SchemaFunctionName|AWS::NoValue";
        assert!(
            kind == "AWS::Lambda::Permission" || given || fixed.is_none(),
            "{id} has room for 64 characters"
        );
    }
    assert!(made > 8, "{made}");
}

fn handbook() -> String {
    std::fs::read_to_string(workspace().join("functions/README.md")).unwrap()
}

#[test]
fn deploys_by_a_command_that_names_what_has_no_default() {
    let template = Template::read();
    let handbook = handbook();
    let command =
        handbook.split("sam deploy --stack-name").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for option in ["--resolve-s3", "--capabilities CAPABILITY_IAM", "--parameter-overrides"] {
        assert!(command.contains(option), "{option}");
    }
    let parameters = template.whole()["Parameters"].as_object().unwrap();
    let overrides = command.split("--parameter-overrides").nth(1).unwrap();
    let given: BTreeSet<&str> = overrides
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(name, _)| name.trim_matches('"'))
        .collect();
    for name in &given {
        assert!(parameters.contains_key(*name), "{name}");
    }
    let asked =
        parameters.iter().filter(|(_, of)| of.get("Default").is_none()).map(|(name, _)| name.as_str());
    for name in asked.chain(["ZoneA", "ZoneB"]) {
        assert!(given.contains(name), "{name} has no default that works");
    }
}

#[test]
fn waits_by_hand_as_long_as_apply_schema_may_run() {
    let handbook = handbook();
    let invoke = handbook.split("aws lambda invoke").nth(1).unwrap();
    let seconds = invoke.split("--cli-read-timeout ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let timeout = apply_schema::BUDGETS.invocation.as_secs();
    assert!(seconds.unwrap().parse::<u64>().unwrap() > timeout);
    // The command would send it again.
    assert!(handbook.contains("AWS_MAX_ATTEMPTS=1"));
}

#[test]
fn finds_the_outputs_that_the_handbook_names() {
    let outputs = Template::read().whole()["Outputs"].as_object().unwrap().clone();
    let handbook = handbook();
    for name in [
        "ApplySchemaName",
        "NotificationUrl",
        "NotificationSecretArn",
        "OperatorTokenArn",
        "ScheduleFailuresUrl",
        "DashboardUrl",
    ] {
        assert!(outputs.contains_key(name), "{name}");
        assert!(handbook.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn leads_to_the_console_of_the_partition() {
    let console = |partition: &'static str| {
        let template = Template::read();
        let chosen = super::conditions::decide(
            &template.whole()["Outputs"]["DashboardUrl"]["Value"],
            &template.whole()["Conditions"],
            &[("AWS::Partition", partition)],
        );
        objects(&chosen.unwrap()).iter().find_map(|of| of.get("Fn::Sub").map(text)).unwrap()
    };
    for (partition, host) in [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ] {
        assert!(
            console(partition).starts_with(&format!("https://${{AWS::Region}}.{host}/"))
                || console(partition).starts_with(&format!("https://{host}/")),
            "{partition}"
        );
    }
}
