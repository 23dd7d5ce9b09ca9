//! The API's description against the code: each route, each kind of problem, each name and each member. That the
//! answers are as it says, `tests/contract.sh` finds out by calling.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use lambda_http::http::Method;
use migration_status::routes::describe::OPENAPI;
use serde_json::{Map, Value, json};
use shared::{
    migration::{
        Brake, ContainerRepository, Next, NotificationStatus, RegistryStatus, Settings, SettingsChange,
        SkipReason, State,
    },
    store::{Census, Checkup, ReportRow, Transition},
    web::NotificationRoute,
};
use suite::stack;

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

fn members(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

/// What it describes, as `METHOD address`.
fn described(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(address, methods)| {
            members(methods).into_iter().map(move |method| format!("{} {address}", method.to_uppercase()))
        })
        .collect()
}

#[test]
fn describes_the_routes_of_every_router() {
    let mut routed: Vec<(Method, String)> = manage_migrations::router::routes();
    routed.extend(migration_status::router::routes());
    routed.push((Method::POST, format!("{}{{path}}", start_migration::handler::ADDRESS)));
    routed.extend(NotificationRoute::addresses().map(|address| (Method::PUT, address)));
    let routed: BTreeSet<String> =
        routed.into_iter().map(|(method, address)| format!("{method} {address}")).collect();
    assert_eq!(described(&document()), routed);
}

#[test]
fn names_every_kind_of_problem_and_no_other() {
    let mut written = BTreeSet::from(["about:blank".to_owned()]);
    for folder in ["shared/src/web", "shared/src/runtime", "functions"] {
        each_source(&workspace().join(folder), &mut |text| {
            let product = text.split("#[cfg(test)]").next().unwrap();
            let kinds = product.split("of_kind(\"").skip(1).filter_map(|rest| rest.split('"').next());
            written.extend(kinds.map(|kind| format!("urn:registry-migration:{kind}")));
        });
    }
    let document = document();
    let listed = names(&document["components"]["schemas"]["ProblemType"]["enum"]);
    assert_eq!(listed, written.iter().map(String::as_str).collect());
    // And each is an answer to something.
    let text = document["components"]["responses"].to_string() + &document["paths"].to_string();
    for kind in listed {
        assert!(text.contains(&format!("\"{kind}\"")), "{kind} is no operation's answer");
    }
}

#[test]
fn explains_every_kind_of_problem_in_the_handbook() {
    let handbook = fs::read_to_string(workspace().join("functions/README.md")).unwrap();
    let document = document();
    for kind in names(&document["components"]["schemas"]["ProblemType"]["enum"]) {
        let Some(heading) = kind.strip_prefix("urn:registry-migration:") else { continue };
        assert!(handbook.contains(&format!("\n#### {heading}\n")), "no heading {heading}");
    }
}

#[test]
fn names_what_the_core_names() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let listed = |schema: &str| names(&schemas[schema]["enum"]);
    assert_eq!(listed("State"), State::ALL.iter().map(|one| one.name()).collect());
    assert_eq!(listed("SkipReason"), SkipReason::ALL.iter().map(|one| one.name()).collect());
    assert_eq!(listed("NotificationStatus"), NotificationStatus::ALL.iter().map(|one| one.name()).collect());
    assert_eq!(listed("RegistryStatus"), RegistryStatus::ALL.iter().map(|one| one.name()).collect());
    assert_eq!(listed("HeldBy"), Brake::ALL.iter().map(|one| one.name()).collect());
    let next = &schemas["Explained"]["allOf"][1]["properties"]["expected"]["properties"]["next"]["enum"];
    assert_eq!(names(next), Next::ALL.iter().map(|one| one.name()).collect());
}

#[test]
fn has_the_members_that_are_written() {
    let document = document();
    macro_rules! same {
        ($type:ty, $schema:expr) => {
            let schema = $schema;
            let sample = sample(&document, schema);
            // What a type needs and the description lacks fails here, what only the description has in the comparison.
            let read: $type =
                serde_json::from_value(sample.clone()).unwrap_or_else(|error| panic!("{error}: {sample}"));
            let written = serde_json::to_value(read).unwrap();
            assert_eq!(members(&schema["properties"]), members(&written));
            assert_eq!(names(&schema["required"]), members(&written));
        };
    }
    let schemas = &document["components"]["schemas"];
    same!(ContainerRepository, &schemas["Repository"]);
    same!(Settings, &schemas["Settings"]);
    same!(Checkup, &schemas["Checkup"]);
    same!(Transition, &schemas["Transition"]);
    same!(ReportRow, &schemas["ReportRow"]);
    // The database counts skips in a list.
    let schema = &schemas["Summary"]["allOf"][1];
    let mut counted = sample(&document, schema);
    counted["skips"] = json!([]);
    let written = serde_json::to_value(serde_json::from_value::<Census>(counted).unwrap()).unwrap();
    assert_eq!(members(&schema["properties"]), members(&written));
}

#[test]
fn lets_every_setting_be_changed() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let change = schemas["SettingsChange"]["properties"].as_object().unwrap();
    for (name, schema) in change {
        let one = json!({ name.as_str(): sample(&document, schema) });
        assert!(serde_json::from_value::<SettingsChange>(one.clone()).is_ok(), "{one}");
    }
    assert_eq!(
        members(&schemas["SettingsChange"]["properties"]),
        members(&schemas["Settings"]["properties"])
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut followed = BTreeMap::new();
    each_reference(&document, &mut |reference| {
        let target = document.pointer(reference.trim_start_matches('#'));
        assert!(target.is_some(), "{reference}");
        *followed.entry(reference.to_owned()).or_insert(0) += 1;
    });
    for kind in ["schemas", "responses", "headers", "parameters"] {
        for name in members(&document["components"][kind]) {
            let reference = format!("#/components/{kind}/{name}");
            assert!(followed.contains_key(&reference), "{reference} is of no use");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_its_description_to_whoever_asks() {
    let stack = stack().await.unwrap();
    let base = stack.functions().base_url();
    let http = reqwest::Client::new();

    let answer = http.get(format!("{base}/openapi.json")).send().await.unwrap();

    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (200.try_into().unwrap(), &"application/json".parse().unwrap())
    );
    assert_eq!(answer.json::<Value>().await.unwrap(), document());
    for (address, status) in
        [("/openapi.json?token=1", 400), ("/migrations", 401), ("/migrations/summary", 401)]
    {
        let answer = http.get(format!("{base}{address}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{address}");
    }
    stack.stop().await.unwrap();
}

/// A value that fits a schema of this document.
fn sample(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return sample(document, document.pointer(reference.trim_start_matches('#')).unwrap());
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str());
    match (kind, schema["format"].as_str()) {
        (Some("object"), _) => {
            let members = schema["properties"].as_object().into_iter().flatten();
            Value::Object(
                members.map(|(name, schema)| (name.clone(), sample(document, schema))).collect::<Map<_, _>>(),
            )
        }
        (Some("array"), _) => json!([]),
        (Some("boolean"), _) => json!(true),
        (Some("integer" | "number"), _) => json!(1),
        (Some("string"), Some("date-time")) => json!("2026-01-01T00:00:00Z"),
        (Some("string"), Some("uuid")) => json!("0191e9c5-0000-4000-8000-000000000000"),
        (Some("string"), _) => json!("a"),
        (_, _) => sample(document, &schema["anyOf"][0]),
    }
}

fn each_reference(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let ("$ref", Some(reference)) = (name.as_str(), value.as_str()) {
                    look(reference);
                }
                each_reference(value, look);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| each_reference(value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn workspace() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn each_source(folder: &Path, look: &mut impl FnMut(&str)) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            each_source(&path, look);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            look(&fs::read_to_string(&path).unwrap());
        }
    }
}
