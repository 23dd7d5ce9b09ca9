//! Requests as an HTTP API hands them to a function when deployed: payload format 2.0, with the path decoded and
//! the body in base64 where it cares to. cargo lambda makes its own events; these are as AWS documents them.

use base64::{Engine, engine::general_purpose::STANDARD};
use local::{Function, Stack};
use reqwest::Method;
use serde_json::{Value, json};
use suite::{given, repositories, stack, state, until_state};

/// An event for a route whose greedy variable is `rest`.
fn event(method: &str, route: &str, path: &str, authorization: &str) -> Value {
    let fixed = route.split_once('{').map_or(route, |(fixed, _)| fixed);
    json!({
        "version": "2.0",
        "routeKey": format!("{method} {route}"),
        "rawPath": path,
        "rawQueryString": "",
        "cookies": ["one=1", "two=2"],
        "headers": {
            "accept-encoding": "gzip",
            "authorization": authorization,
            "content-type": "application/json",
            "host": "api.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "Go-http-client/1.1",
            "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
            // A header that came more than once arrives as one.
            "x-forwarded-for": "127.0.0.1, 127.0.0.2",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "api",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "Go-http-client/1.1",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": format!("{method} {route}"),
            "stage": "$default",
            "time": "10/Mar/2020:05:16:23 +0000",
            "timeEpoch": 1_583_817_383_220_u64,
        },
        "pathParameters": { "rest": path.strip_prefix(fixed).unwrap_or_default() },
        "isBase64Encoded": false,
    })
}

fn authorization(request: reqwest::RequestBuilder) -> String {
    request.build().unwrap().headers()["authorization"].to_str().unwrap().to_owned()
}

async fn notify(stack: &Stack, path: &str, body: &str, base64: bool) -> Value {
    let route = "/api/v4/internal/registry/repositories/{rest+}";
    let path = format!("/api/v4/internal/registry/repositories/{path}/migration/status");
    let secret = authorization(stack.client().as_registry(Method::PUT, "/"));
    let mut event = event("PUT", route, &path, &secret);
    event["body"] = if base64 { json!(STANDARD.encode(body)) } else { json!(body) };
    event["isBase64Encoded"] = json!(base64);
    stack.functions().invoke(Function::RegistryNotification, &event).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_understood_decoded_encoded_and_in_base64() {
    let stack = stack().await.unwrap();
    for (name, path, base64) in [
        ("group/decoded", "group/decoded", false),
        ("group/base64", "group/base64", true),
        ("group/encoded", "group%2Fencoded", false),
        ("group/sub/capitals", "Group/Sub/Capitals", false),
    ] {
        given(&stack, name, "importing", None).await.unwrap();
        let body = json!({"name": "x", "path": name, "status": "import_complete", "detail": "ü"}).to_string();
        let answer = notify(&stack, path, &body, base64).await;
        assert_eq!(answer["statusCode"], 200, "{path}: {answer}");
        assert_eq!(answer["isBase64Encoded"], false, "{path}: {answer}");
        let reply: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&reply["path"], &reply["migration_state"]),
            (&json!(name), &json!("import_done")),
            "{answer}"
        );
        assert_eq!(state(&stack, name).await.unwrap(), "import_done", "{path}");
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_in_the_form_that_the_registry_logs() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "import_skipped", None).await.unwrap();
    let answer = notify(&stack, "group/image", r#"{"status":"import_complete"}"#, true).await;
    assert_eq!(answer["statusCode"], 400, "{answer}");
    assert_eq!(answer["headers"]["content-type"], "application/problem+json", "{answer}");
    let problem: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(problem["message"], "400 Bad request - Wrong migration state (import_skipped)");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_a_path_in_any_encoding_with_its_query() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    stack.pair().wait_until_replayed().await.unwrap();
    let token = authorization(stack.client().as_operator(Method::GET, "/"));
    for (path, version, status) in
        [("group/image", 2, 200), ("group/image", 3, 400), ("group%2Fimage", 2, 200), ("Group/Image", 2, 200)]
    {
        let path = format!("/migrations/status/{path}");
        let mut event = event("GET", "/migrations/status/{path+}", &path, &token);
        event["rawQueryString"] = json!(format!("min_version={version}"));
        event["queryStringParameters"] = json!({"min_version": version.to_string()});
        let answer = stack.functions().invoke(Function::MigrationStatus, &event).await.unwrap();
        assert_eq!(answer["statusCode"], status, "{path}: {answer}");
        let reply: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(reply["version"], 2, "{path}: {answer}");
    }
    stack.stop().await.unwrap();
}

/// An operator's request to a function, with a body as the gateway may hand it over.
async fn operate(
    stack: &Stack,
    function: Function,
    (method, route, path): (&str, &str, &str),
    body: Option<(Value, bool)>,
) -> (u64, Value) {
    let token = authorization(stack.client().as_operator(Method::GET, "/"));
    let mut event = event(method, route, path, &token);
    if let Some((body, base64)) = body {
        let body = body.to_string();
        event["body"] = if base64 { json!(STANDARD.encode(body)) } else { json!(body) };
        event["isBase64Encoded"] = json!(base64);
    }
    let answer = stack.functions().invoke(function, &event).await.unwrap();
    let reply = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_names_its_repository_decoded_encoded_and_in_any_case() {
    let stack = stack().await.unwrap();
    let paths = [
        ("group/decoded", "group/decoded"),
        ("group/encoded", "group%2Fencoded"),
        ("group/sub/capitals", "Group/Sub/Capitals"),
    ];
    for (number, (name, path)) in paths.into_iter().enumerate() {
        // The slot of the one before is not to be given to this one.
        suite::until_freed_slots_are_dealt_with(&stack, Function::RegistryNotification, number)
            .await
            .unwrap();
        repositories(&stack, &[name]).await.unwrap();
        let asked = ("POST", "/migrations/start/{path+}", format!("/migrations/start/{path}"));
        let asked = (asked.0, asked.1, asked.2.as_str());
        let (status, reply) = operate(&stack, Function::StartMigration, asked, None).await;
        assert_eq!((status, &reply["path"]), (202, &json!(name)), "{path}: {reply}");
        until_state(&stack, name, "import_done").await.unwrap();
    }
    let nowhere = ("POST", "/migrations/start/{path+}", "/migrations/start/group//image");
    assert_eq!(operate(&stack, Function::StartMigration, nowhere, None).await.0, 404);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_changes_in_base64_and_with_encoded_paths() {
    let stack = stack().await.unwrap();
    let manage = async |asked, body| operate(&stack, Function::ManageMigrations, asked, body).await;
    for (name, base64) in [("group/plain", false), ("group/base64", true)] {
        let list = json!([{"path": name, "plan": "grün"}]);
        let (status, reply) = manage(("POST", "/repositories", "/repositories"), Some((list, base64))).await;
        assert_eq!((status, &reply["registered"]), (200, &json!(1)), "{reply}");
        assert_eq!(suite::row(&stack, name).await.unwrap()["plan"], "grün");
    }
    let settings = ("PATCH", "/settings", "/settings");
    let (status, reply) = manage(settings, Some((json!({"capacity": 7}), true))).await;
    assert_eq!(status, 200, "{reply}");
    let skip = ("POST", "/migrations/skip/{path+}", "/migrations/skip/Group%2FPlain");
    let (status, reply) = manage(skip, Some((json!({"reason": "not_in_plan"}), true))).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(state(&stack, "group/plain").await.unwrap(), "import_skipped");
    let remove = ("DELETE", "/repositories/{path+}", "/repositories/group/base64");
    assert_eq!(manage(remove, None).await.0, 200);
    assert_eq!(suite::row(&stack, "group/base64").await.unwrap(), Value::Null);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn admits_nobody_by_a_doubled_header() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    let token = authorization(stack.client().as_operator(Method::GET, "/"));
    let secret = authorization(stack.client().as_registry(Method::PUT, "/"));
    let notified = "/api/v4/internal/registry/repositories/group/image/migration/status";
    for (function, method, route, path, shown) in [
        (
            Function::StartMigration,
            "POST",
            "/migrations/start/{path+}",
            "/migrations/start/group/image",
            &token,
        ),
        (Function::ManageMigrations, "GET", "/settings", "/settings", &token),
        (Function::MigrationStatus, "GET", "/migrations", "/migrations", &token),
        (
            Function::RegistryNotification,
            "PUT",
            "/api/v4/internal/registry/repositories/{rest+}",
            notified,
            &secret,
        ),
    ] {
        let twice = event(method, route, path, &format!("{shown}, Bearer somebody-elses"));
        let answer = stack.functions().invoke(function, &twice).await.unwrap();
        assert_eq!(answer["statusCode"], 401, "{path}: {answer}");
    }
    // An id that a proxy doubled is nobody's: the state decides.
    let mut doubled = event("PUT", "/api/v4/internal/registry/repositories/{rest+}", notified, &secret);
    doubled["headers"]["x-request-id"] = json!("11111111-1111-4111-8111-111111111111, two");
    doubled["body"] = json!(r#"{"status":"import_complete"}"#);
    let answer = stack.functions().invoke(Function::RegistryNotification, &doubled).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_refused_and_a_stage_is_no_part_of_the_path() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "importing", None).await.unwrap();
    let token = authorization(stack.client().as_operator(Method::GET, "/"));
    let secret = authorization(stack.client().as_registry(Method::PUT, "/"));
    let before = suite::row(&stack, "group/image").await.unwrap();
    let notified = "/api/v4/internal/registry/repositories/group/image/migration/status";
    for (function, method, path, shown, allow) in [
        (Function::RegistryNotification, "GET", notified, &secret, "PUT"),
        (Function::RegistryNotification, "POST", notified, &secret, "PUT"),
        (Function::RegistryNotification, "DELETE", notified, &secret, "PUT"),
        (Function::StartMigration, "GET", "/migrations/start/group/image", &token, "POST"),
        (Function::MigrationStatus, "POST", "/migrations/status/group/image", &token, "GET"),
        (Function::ManageMigrations, "PUT", "/settings", &token, "GET, PATCH"),
    ] {
        let mut event = event(method, path, path, shown);
        event["body"] = json!(r#"{"status":"import_complete"}"#);
        let answer = stack.functions().invoke(function, &event).await.unwrap();
        assert_eq!(
            (&answer["statusCode"], &answer["headers"]["allow"]),
            (&json!(405), &json!(allow)),
            "{answer}"
        );
    }
    assert_eq!(suite::row(&stack, "group/image").await.unwrap(), before);
    let staged = format!("/prod{notified}");
    let mut event = event("PUT", "/api/v4/internal/registry/repositories/{rest+}", &staged, &secret);
    event["requestContext"]["stage"] = json!("prod");
    event["body"] = json!(r#"{"status":"import_complete"}"#);
    let answer = stack.functions().invoke(Function::RegistryNotification, &event).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    assert_eq!(state(&stack, "group/image").await.unwrap(), "import_done");
    stack.stop().await.unwrap();
}
