//! The routes of the HTTP API.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use super::document::{Template, dashed, list, named, text, workspace};

/// Method and path to function.
type Routes = BTreeMap<(String, String), String>;

fn deployed() -> Routes {
    let functions = Template::read().functions();
    let routes = functions.into_values().flat_map(|function| {
        let name = function.name;
        function.routes.into_iter().map(move |route| (route, name.clone()))
    });
    routes.collect()
}

/// The routes of the local stack, in the words of an HTTP API.
fn local() -> Routes {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let router = metadata["metadata"]["lambda"]["watch"]["router"].as_object().unwrap();
    let mut routes = Routes::new();
    for (path, methods) in router {
        let path = match path.split_once("{*") {
            Some((before, variable)) => format!("{before}{{{}+}}", variable.trim_end_matches('}')),
            None => path.clone(),
        };
        for method in list(methods) {
            routes.insert((text(&method["method"]), path.clone()), text(&method["function"]));
        }
    }
    routes
}

#[test]
fn the_routes_are_the_same_as_locally() {
    assert_eq!(deployed(), local());
}

#[test]
fn the_routes_are_those_of_the_description() {
    let document: Value = serde_json::from_str(migration_status::routes::describe::OPENAPI).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let deployed: BTreeSet<(String, String)> = deployed()
        .into_keys()
        // A repository may be called so too: the gateway needs the method at the longer address.
        .filter(|(method, path)| (method.as_str(), path.as_str()) != ("DELETE", "/repositories/from-catalog"))
        .map(|(method, path)| {
            let path = path.replace("{rest+}", "{path}/migration/status").replace("{path+}", "{path}");
            (method, path)
        })
        .collect();
    assert_eq!(deployed, described);
}

#[test]
fn nothing_follows_a_greedy_variable_and_no_variable_is_another() {
    let routes = deployed();
    assert!(routes.keys().any(|(_, path)| path.contains("+}")));
    for (method, path) in routes.keys() {
        let fixed = path.split_once('{').map_or(path.as_str(), |(fixed, variable)| {
            let name = variable.strip_suffix("+}").unwrap_or_else(|| panic!("{method} {path}"));
            assert!(name.chars().all(|character| character.is_ascii_lowercase()), "{method} {path}");
            assert!(fixed.ends_with('/'), "{method} {path}");
            fixed
        });
        assert!(!fixed.contains(['}', '+', '*']), "{method} {path}");
    }
}

/// The one API.
fn api(template: &Template) -> &Value {
    let apis = template.resources("AWS::Serverless::HttpApi");
    let [api] = apis.into_values().collect::<Vec<_>>()[..] else { panic!("one is expected") };
    api
}

#[test]
fn throttles_operators_and_no_notification() {
    let template = Template::read();
    let api = api(&template);
    assert_eq!(api["StageName"], "$default");
    let limits = ["ThrottlingRateLimit", "ThrottlingBurstLimit"];
    for limit in limits {
        let operators = api["DefaultRouteSettings"][limit].as_u64();
        assert!(operators > Some(0) && operators <= Some(100), "{limit}");
    }
    // A key is of a route that never goes: one whose route goes, or is not there yet, fails the deployment.
    let settings = api["RouteSettings"].as_object().unwrap();
    let notifications: BTreeSet<String> = deployed()
        .iter()
        .filter(|(_, function)| *function == "registry-notification")
        .map(|((method, path), _)| format!("{method} {path}"))
        .collect();
    assert_eq!(settings.keys().cloned().collect::<BTreeSet<_>>(), notifications);
    // As much as any region's quota has, and more than all repositories in progress could send at once.
    for (route, settings) in settings {
        assert_eq!(limits.map(|limit| settings[limit].as_u64()), [Some(2500), Some(1250)], "{route}");
    }
}

#[test]
fn reserves_instances_for_notifications_only_if_told() {
    let reserved = |given: &str| {
        let template = Template::with(&[("NotificationConcurrency", given)]);
        let functions = template.functions();
        let set: Vec<(String, String)> = functions
            .into_iter()
            .filter_map(|(name, function)| {
                Some((name, named(function.properties.get("ReservedConcurrentExecutions")?)))
            })
            .collect();
        set
    };
    assert_eq!(Template::read().whole()["Parameters"]["NotificationConcurrency"]["Default"], 0);
    assert_eq!(reserved("0"), []);
    let one = ("registry-notification".to_owned(), "NotificationConcurrency".to_owned());
    assert_eq!(reserved("50"), [one]);
}

#[test]
fn lets_the_api_call_what_it_has_routes_to_and_nobody_else() {
    let template = Template::read();
    let mut called = BTreeSet::new();
    for (id, permission) in template.resources("AWS::Lambda::Permission") {
        assert_eq!(permission["Action"], "lambda:InvokeFunction", "{id}");
        assert_eq!(permission["Principal"], "apigateway.amazonaws.com", "{id}");
        let source = text(&permission["SourceArn"]["Fn::Sub"]);
        assert_eq!(
            source, "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*",
            "{id}"
        );
        called.insert(named(&permission["FunctionName"]));
    }
    let ids = template.resources("AWS::Serverless::Function").into_keys();
    let functions = template.functions();
    let routed: BTreeSet<String> =
        ids.filter(|id| !functions[&dashed(id)].routes.is_empty()).map(str::to_owned).collect();
    assert_eq!(called, routed);
}

#[test]
fn gives_routes_as_the_events_of_functions_would() {
    let template = Template::read();
    for (name, function) in template.functions() {
        // Of each event without an authorizer the guided deployment asks whether that is meant, and Enter ends it.
        let events = function.properties["Events"].as_object().into_iter().flatten();
        let kinds: BTreeSet<String> = events.map(|(_, event)| text(&event["Type"])).collect();
        assert!(kinds.iter().all(|kind| kind == "Schedule"), "{name}: {kinds:?}");
    }
    let body = &api(&template)["DefinitionBody"];
    assert_eq!(body["openapi"], "3.0.1");
    let operations = body["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    let mut count = 0;
    for (method, operation) in operations {
        let integration = &operation["x-amazon-apigateway-integration"];
        assert!(operation["responses"].is_object(), "{method}: {operation}");
        assert_eq!(integration["type"], "aws_proxy", "{operation}");
        assert_eq!(integration["httpMethod"], "POST", "{operation}");
        assert_eq!(integration["payloadFormatVersion"], "2.0", "{operation}");
        let address = text(&integration["uri"]["Fn::Sub"]);
        assert!(
            address.starts_with(
                "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${"
            ),
            "{address}"
        );
        count += 1;
    }
    assert_eq!(count, deployed().len());
}

#[test]
fn logs_calls_as_json_whatever_a_caller_sends() {
    let template = Template::read();
    let format = text(&api(&template)["AccessLogSettings"]["Format"]);
    let (mut line, mut shown) = (String::new(), BTreeSet::new());
    let mut parts = format.split("$context.");
    line.push_str(parts.next().unwrap());
    for part in parts {
        let end = part.find(['"', ',', '}']).unwrap();
        shown.insert(&part[..end]);
        line.push('0');
        line.push_str(&part[end..]);
    }
    assert!(serde_json::from_str::<Value>(&line).unwrap().is_object(), "{line}");
    // None of these can hold a quotation mark: the gateway escapes nothing.
    let harmless = BTreeSet::from([
        "requestTimeEpoch",
        "routeKey",
        "status",
        "responseLatency",
        "requestId",
        "integrationStatus",
        "identity.sourceIp",
    ]);
    assert_eq!(shown, harmless);
}

#[test]
fn outputs_the_notification_routes_url() {
    let template = Template::read();
    let address = text(&template.whole()["Outputs"]["NotificationUrl"]["Value"]["Fn::Sub"]);
    let (host, path) = address.strip_prefix("https://").unwrap().split_once('/').unwrap();
    assert!(host.starts_with("${Api}.execute-api."), "{host}");
    let rest = path.strip_prefix("api/v4/internal/registry/repositories/").unwrap();
    assert_eq!(rest, "{path}/migration/status");
    let route = ("PUT".to_owned(), "/api/v4/internal/registry/repositories/{rest+}".to_owned());
    assert_eq!(deployed()[&route], "registry-notification");
}

#[test]
fn counts_only_notifications_as_such() {
    let counted = ["/api/", "/internal/"];
    for ((method, path), function) in deployed() {
        let is_counted = method == "PUT" && counted.iter().any(|prefix| path.starts_with(prefix));
        assert_eq!(is_counted, function == "registry-notification", "{method} {path}");
    }
    let template = Template::read();
    let filters = template.resources("AWS::Logs::MetricFilter");
    for name in ["NotificationsRefused", "NotificationsUnauthorized", "NotificationsSlow"] {
        let routes = counted.map(|prefix| format!(r#"$.route = "PUT {prefix}*""#)).join(" || ");
        assert!(text(&filters[name]["FilterPattern"]).contains(&format!("({routes})")), "{name}");
    }
}
