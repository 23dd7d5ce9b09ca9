//! The routes of the HTTP API.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use super::document::{Template, list, text, workspace};

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

#[test]
fn operators_are_throttled_and_notifications_never_are() {
    let template = Template::read();
    let apis = template.resources("AWS::Serverless::HttpApi");
    let [api] = apis.values().collect::<Vec<_>>()[..] else { panic!("{apis:?}") };
    assert_eq!(api["StageName"], "$default");
    assert!(api.get("DefaultRouteSettings").is_none(), "it would hold for notifications too");
    let settings = api["RouteSettings"].as_object().unwrap();
    let throttled: BTreeSet<String> = settings.keys().cloned().collect();
    let routes = deployed();
    let operators: BTreeSet<String> = routes
        .iter()
        .filter(|(_, function)| *function != "registry-notification")
        .map(|((method, path), _)| format!("{method} {path}"))
        .collect();
    assert_eq!(throttled, operators);
    for (route, settings) in settings {
        for limit in ["ThrottlingRateLimit", "ThrottlingBurstLimit"] {
            assert!(settings[limit].as_u64() > Some(0), "{route}: {limit}");
        }
    }
    let notification = &template.functions()["registry-notification"];
    assert!(notification.properties.get("ReservedConcurrentExecutions").is_none());
}

#[test]
fn the_address_for_the_registrys_configuration_is_the_notifications_route() {
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
fn only_notifications_are_puts_which_is_how_the_alarms_find_them() {
    for ((method, path), function) in deployed() {
        assert_eq!(method == "PUT", function == "registry-notification", "{method} {path}");
    }
    let template = Template::read();
    let filters = template.resources("AWS::Logs::MetricFilter");
    for name in ["NotificationsRefused", "NotificationsSlow"] {
        assert!(text(&filters[name]["FilterPattern"]).contains(r#"$.route = "PUT *""#), "{name}");
    }
}
