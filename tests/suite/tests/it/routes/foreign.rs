//! Every text that comes from outside, in every form that nobody expects: it is stored, refused or passed over, and it
//! never fails the driver.

use local::Stack;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use suite::{given, row, sql, stack};

/// The forms, each as JSON. What is hostile in one place is usual in another.
fn forms() -> [(&'static str, String); 9] {
    [
        ("a NUL", r#""gold\u0000""#.to_owned()),
        ("half of a pair", r#""\ud800""#.to_owned()),
        ("256 wide characters", format!("\"{}\"", "\u{1f4a5}".repeat(256))),
        ("upper case", r#""GOLD""#.to_owned()),
        ("blanks around it", r#"" gold ""#.to_owned()),
        ("a byte order mark", "\"\u{feff}gold\"".to_owned()),
        ("an array", r#"["gold"]"#.to_owned()),
        ("a number", "7".to_owned()),
        ("twice", String::new()),
    ]
}

/// Where a text comes in: how it is sent, and what becomes of each form: taken, or refused by the caller's mistake.
struct Place {
    name: &'static str,
    method: Method,
    url: &'static str,
    /// The body around the member.
    body: fn(&str) -> String,
    member: &'static str,
    /// One letter for each form: `t`aken or `r`efused.
    outcomes: &'static str,
}

const NOTIFICATION: &str = "/api/v4/internal/registry/repositories/{path}/migration/status";

fn places() -> Vec<Place> {
    let place =
        |name, method, url, member, body, outcomes| Place { name, method, url, body, member, outcomes };
    let alone: fn(&str) -> String = |member| format!("{{{member}}}");
    let in_list: fn(&str) -> String = |member| format!("[{{{member}}}]");
    let with_path: fn(&str) -> String = |member| format!(r#"[{{"path":"group/listed",{member}}}]"#);
    let reopened: fn(&str) -> String = |member| format!(r#"{{"state":"import_skipped",{member}}}"#);
    let failed: fn(&str) -> String = |member| format!(r#"{{"status":"import_failed",{member}}}"#);
    let (post, patch, put) = (Method::POST, Method::PATCH, Method::PUT);
    vec![
        place("a notification's status", put.clone(), NOTIFICATION, "status", alone, "rrrrrrrrr"),
        place("a notification's detail", put.clone(), NOTIFICATION, "detail", failed, "ttttttttt"),
        place("a notification's name", put, NOTIFICATION, "name", failed, "ttttttttt"),
        place("a listed path", post.clone(), "/repositories", "path", in_list, "rrrrrrrrr"),
        place("a listed plan", post.clone(), "/repositories", "plan", with_path, "rrrtttrrr"),
        place("listed tags", post.clone(), "/repositories", "tags_count", with_path, "rrrrrrrtr"),
        place("a listed priority", post.clone(), "/repositories", "priority", with_path, "rrrrrrrtr"),
        place("a reason to skip", post.clone(), "/migrations/skip/group/image", "reason", alone, "rrrrrrrrr"),
        place("force", post.clone(), "/migrations/cancel/group/image", "force", alone, "rrrrrrrrr"),
        place("a prefix to reopen", post.clone(), "/migrations/reopen", "prefix", reopened, "rrrtrrrrr"),
        place("a state to reopen", post.clone(), "/migrations/reopen", "state", alone, "rrrrrrrrr"),
        place("a dry run", post.clone(), "/migrations/reopen", "dry_run", reopened, "rrrrrrrrr"),
        place("a start's body", post.clone(), "/migrations/start/group/image", "any", alone, "rrrrrrrrr"),
        place("a retry's body", post.clone(), "/migrations/retry/group/image", "any", alone, "rrrrrrrrr"),
        place("a capacity", patch.clone(), "/settings", "capacity", alone, "rrrrrrrtr"),
        place("a switch", patch.clone(), "/settings", "enabled", alone, "rrrrrrrrr"),
        place("a time", patch, "/settings", "created_before", alone, "rrrrrrrrr"),
    ]
}

async fn send(stack: &Stack, place: &Place, path: &str, body: String) -> (StatusCode, String) {
    let url = place.url.replace("{path}", path);
    let client = stack.client();
    let request = if place.url == NOTIFICATION {
        client.as_registry(place.method.clone(), &url)
    } else {
        client.as_operator(place.method.clone(), &url)
    };
    let answer = request.header("Content-Type", "application/json").body(body).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_foreign_text_is_taken_or_refused_in_every_form() {
    let stack = stack().await.unwrap();
    // Nothing is to move by itself.
    sql(&stack, "UPDATE migration_settings SET capacity = 0").await.unwrap();
    let mut tried = 0;
    for (place_number, place) in places().iter().enumerate() {
        assert_eq!(place.outcomes.len(), forms().len(), "{}", place.name);
        for ((form, json), outcome) in forms().iter().zip(place.outcomes.chars()) {
            let what = format!("{}: {form}", place.name);
            let member = |json: &str| format!(r#""{}":{json}"#, place.member);
            let member = if json.is_empty() {
                format!("{},{}", member(r#""gold""#), member(r#""silver""#))
            } else {
                member(json)
            };
            let path = format!("group/image{place_number}-{tried}");
            given(&stack, &path, "import_done", None).await.unwrap();
            if place.url == NOTIFICATION {
                let slot =
                    "UPDATE container_repositories SET migration_state = 'importing', import_done_at = NULL,
                    slot = (SELECT max(slot) FROM migration_slots) WHERE path = ";
                sql(&stack, &format!("{slot}'{path}'")).await.unwrap();
            }
            sql(&stack, "DELETE FROM container_repositories WHERE path = 'group/listed'").await.unwrap();

            let (status, reply) = send(&stack, place, &path, (place.body)(&member)).await;

            let expected = if outcome == 't' { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            assert_eq!(status, expected, "{what}: {reply}");
            if outcome == 'r' {
                let problem: Value = serde_json::from_str(&reply).unwrap();
                assert!(problem["message"].as_str().unwrap().starts_with("400 Bad request - "), "{what}");
                assert!(reply.len() < 4096, "{what}: {reply}");
            }
            let after = row(&stack, &path).await.unwrap();
            let detail = after["detail"].as_str().unwrap_or_default();
            assert!(detail.chars().count() <= 255 && !detail.contains('\0'), "{what}: {detail}");
            sql(&stack, &format!("DELETE FROM container_repositories WHERE path = '{path}'")).await.unwrap();
            tried += 1;
        }
    }
    assert_eq!(tried, 17 * 9);
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_parameter_is_taken_or_refused_in_every_form() {
    let stack = stack().await.unwrap();
    let wide = "%F0%9F%92%A5".repeat(256);
    let forms = [
        "gold%00",
        "%ED%A0%80",
        wide.as_str(),
        "GOLD",
        "%20gold%20",
        "%EF%BB%BFgold",
        "-7",
        "7",
        "7.0",
        "gold&",
    ];
    for (url, parameter, outcomes) in [
        ("/migrations", "prefix", "rrrtrrttt"),
        ("/migrations", "after", "rrrtrrrtt"),
        ("/migrations", "state", "rrrrrrrrr"),
        ("/migrations", "limit", "rrrrrrrtr"),
        ("/migrations", "older_than_seconds", "rrrrrrrtr"),
        ("/migrations", "unknown", "rrrrrrrrr"),
        ("/settings", "unknown", "rrrrrrrrr"),
        ("/migrations/summary", "unknown", "rrrrrrrrr"),
        ("/migrations/prefixes", "prefix", "rrrtrrttt"),
        ("/migrations/prefixes", "limit", "rrrrrrrtr"),
        ("/migrations/attention", "after", "rrrtrrrtt"),
        ("/migrations/progress", "hours", "rrrrrrrtr"),
        ("/migrations/report", "after", "rrrtrrrtt"),
        ("/migrations/proof/a", "unknown", "rrrrrrrrr"),
        ("/", "unknown", "rrrrrrrrr"),
    ] {
        for (form, outcome) in forms.iter().zip(outcomes.chars().chain(['r'])) {
            let twice = if form.ends_with('&') { format!("{parameter}=gold") } else { String::new() };
            let url = format!("{url}?{parameter}={form}{twice}");
            let answer = stack.client().as_operator(Method::GET, &url).send().await.unwrap();
            let expected = if outcome == 't' { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            let status = answer.status();
            assert_eq!(status, expected, "{url:.80}: {}", answer.text().await.unwrap());
        }
    }
    stack.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_body_asks_of_a_route_without_one_is_not_done() {
    let stack = stack().await.unwrap();
    given(&stack, "group/image", "import_skipped", None).await.unwrap();
    let before = row(&stack, "group/image").await.unwrap();
    for (method, path, body) in [
        ("POST", "/migrations/reopen/group/image", r#"{"dry_run":true}"#),
        ("POST", "/migrations/retry/group/image", r#"{"force":true}"#),
        ("POST", "/migrations/start/group/image", "[]"),
        ("DELETE", "/repositories/group/image", r#"{"dry_run":true}"#),
        ("POST", "/migrations/cancel/group/image", "[true]"),
        ("POST", "/migrations/skip/group/image", r#"["not_in_plan"]"#),
        ("POST", "/migrations/reopen", r#"["import_skipped",null,"",false]"#),
        ("PATCH", "/settings", "[null,false]"),
        ("POST", "/repositories", r#"[["group/new"]]"#),
        ("POST", "/repositories/from-catalog", r#"["group"]"#),
        ("GET", "/migrations/explain/group/image", r#"{"x":1}"#),
        ("GET", "/migrations/status/group/image", r#"{"min_version":9}"#),
        ("GET", "/settings", "x"),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = stack.client().as_operator(method.clone(), path).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{method} {path} {body}");
    }
    assert_eq!(row(&stack, "group/image").await.unwrap(), before);
    stack.stop().await.unwrap();
}
