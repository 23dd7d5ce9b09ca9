use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{TagsCompared, compare_tags, judge, keep, names_of, prepare_final};
use crate::{
    driver::scripted::{rows, writer},
    endpoint::{
        Claim,
        scripted_server::{Reply, ScriptedServer},
    },
    migration::{ContainerRepository, MissingTags, TagsCheck},
    registry::tests::client,
    store::Store,
};

fn row(state: &str, check: &Value) -> ContainerRepository {
    serde_json::from_value(json!({
        "path": "group/project/image", "migration_state": state, "version": 4,
        "attempt": "00000000-0000-0000-0000-000000000007", "slot": null, "retries_count": 0,
        "skipped_reason": null, "aborted_in_state": null, "resume_state": null,
        "pre_import_started_at": null, "pre_import_done_at": null, "import_started_at": null,
        "import_done_at": "2026-11-26T10:00:00Z", "aborted_at": null, "skipped_at": null, "not_before": null,
        "detail": null, "tags_count": 2, "plan": null, "priority": 0, "state_since": "2026-11-26T10:00:00Z",
        "created_at": "2026-11-26T10:00:00Z", "tags_check": check, "missing_tags": null,
    }))
    .unwrap()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn tags(names: &[&str]) -> Reply {
    Reply::answer(200, json!({"name": "x", "tags": names}).to_string())
}

/// The named parameters of a statement that was sent.
fn parameters(body: &str) -> Value {
    let sent: Value = serde_json::from_str(body).unwrap();
    let all = sent["parameters"].as_array().unwrap().iter();
    all.map(|parameter| {
        let value = parameter["value"].as_object().unwrap();
        let value =
            if value.contains_key("isNull") { Value::Null } else { value.values().next().unwrap().clone() };
        (parameter["name"].as_str().unwrap().to_owned(), value)
    })
    .collect::<serde_json::Map<_, _>>()
    .into()
}

struct Scripted {
    registry: ScriptedServer,
    database: ScriptedServer,
}

impl Scripted {
    async fn start(registry: Vec<Reply>, database: Vec<Reply>) -> Self {
        Self {
            registry: ScriptedServer::start(registry).await,
            database: ScriptedServer::start(database).await,
        }
    }

    fn store(&self) -> Store<Claim> {
        Store::new(writer(&self.database.url()))
    }

    fn statements(&self) -> Vec<Value> {
        self.database.received().iter().map(|request| parameters(&request.body)).collect()
    }
}

#[tokio::test]
async fn lists_the_tags_before_the_final_step_where_they_are_due() {
    let link = || tags(&["v1"]).with("link", "<?last=v1>; rel=next");
    for (what, check, registry, kept) in [
        ("listed", json!("tags_due"), tags(&["v2", "v1"]), Some(("tags_listed", json!(2)))),
        ("none", json!("tags_due"), tags(&[]), Some(("tags_listed", json!(0)))),
        (
            "no such repository",
            json!("tags_due"),
            Reply::answer(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
            Some(("tags_listed", json!(0))),
        ),
        ("silence", json!("tags_due"), Reply::Hang, Some(("tags_unverified", Value::Null))),
        ("refused", json!("tags_due"), Reply::answer(403, ""), Some(("tags_unverified", Value::Null))),
        ("not complete", json!("tags_due"), link(), Some(("tags_unverified", Value::Null))),
        ("the setting is off", Value::Null, tags(&["v1"]), None),
        ("listed already", json!("tags_listed"), tags(&["v1"]), None),
    ] {
        let after = row("importing", &json!("tags_listed"));
        let scripted = Scripted::start(vec![registry], vec![rows(&[json!(after)])]).await;
        let deadline = Instant::now() + Duration::from_millis(500);
        let client = client(&scripted.registry.url());
        let prepared = prepare_final(&scripted.store(), &client, row("importing", &check), deadline).await;
        let asked = scripted.registry.received().len();
        assert_eq!((prepared.is_some(), asked > 0), (true, kept.is_some()), "{what}");
        // Where the registry has used the time up, the database may not be asked any more.
        let statements = scripted.statements();
        match statements.first() {
            Some(sent) => assert_eq!(
                Some((sent["check"].as_str().unwrap(), sent["count"].clone())),
                kept.as_ref().map(|(check, count)| (*check, count.clone())),
                "{what}"
            ),
            None => assert!(kept.is_none() || what == "silence", "{what}"),
        }
    }
}

#[tokio::test]
async fn asks_for_the_final_step_where_the_list_cannot_be_kept() {
    let due = row("importing", &json!("tags_due"));
    let deadline = Instant::now() + Duration::from_secs(2);
    let failed = Reply::answer(400, r#"{"__type":"ForbiddenException"}"#);
    let scripted = Scripted::start(vec![tags(&["v1"])], vec![failed]).await;
    let client_of = client(&scripted.registry.url());
    let prepared = prepare_final(&scripted.store(), &client_of, due.clone(), deadline).await;
    assert_eq!(prepared.as_ref(), Some(&due));
    // The row has moved on: it is not asked for.
    let scripted = Scripted::start(vec![tags(&["v1"])], vec![rows(&[])]).await;
    let client_of = client(&scripted.registry.url());
    assert_eq!(prepare_final(&scripted.store(), &client_of, due, deadline).await, None);
}

#[tokio::test]
async fn compares_what_is_there_with_what_was_kept() {
    let kept = keep(&set(&["v1", "v2"]));
    let differs = |names: &Value| json!({"verdict": "differs", "count": 2, "names": names});
    let settled = |verdict: &str| json!({"verdict": verdict, "before": "import_done", "row": row("import_done", &json!("tags_missing"))});
    for (what, registry, database, outcome, recorded) in [
        (
            "the same",
            tags(&["v1", "v2"]),
            vec![json!({"verdict": "same", "count": 2, "names": null})],
            TagsCompared::Complete,
            None,
        ),
        (
            "one is missing",
            tags(&["v1", "new"]),
            vec![differs(&json!(kept.names)), settled("applied")],
            TagsCompared::Missing,
            Some(json!(["tags_missing", {"count": 1, "names": ["v2"]}, true])),
        ),
        (
            "all are missing, and the repository",
            Reply::answer(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
            vec![differs(&json!(kept.names)), settled("applied")],
            TagsCompared::Missing,
            Some(json!(["tags_missing", {"count": 2, "names": ["v1", "v2"]}, true])),
        ),
        (
            "one was pushed",
            tags(&["v1", "v2", "v3"]),
            vec![differs(&json!(kept.names)), settled("applied")],
            TagsCompared::Complete,
            Some(json!(["tags_complete", null, false])),
        ),
        (
            "fewer, and no names were kept",
            tags(&["v1"]),
            vec![differs(&Value::Null), settled("applied")],
            TagsCompared::Missing,
            Some(json!(["tags_missing", {"count": 1, "names": []}, true])),
        ),
        (
            "others, and no names were kept",
            tags(&["v1", "v3"]),
            vec![differs(&Value::Null), settled("applied")],
            TagsCompared::Unverified,
            Some(json!(["tags_unverified", null, true])),
        ),
        (
            "somebody else was faster",
            tags(&["v1"]),
            vec![differs(&json!(kept.names)), settled("refused")],
            TagsCompared::Nothing,
            Some(json!(["tags_missing", {"count": 1, "names": ["v2"]}, true])),
        ),
    ] {
        let database = database.iter().map(|row| rows(std::slice::from_ref(row))).collect();
        let scripted = Scripted::start(vec![registry], database).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        let done = row("import_done", &json!("tags_listed"));
        let client = client(&scripted.registry.url());
        let compared = compare_tags(&scripted.store(), &client, &done, deadline).await.unwrap();
        assert_eq!(compared, outcome, "{what}");
        let missing = |sent: &Value| {
            sent["missing"].as_str().map_or(Value::Null, |missing| serde_json::from_str(missing).unwrap())
        };
        let sent = scripted.statements();
        let said = sent.get(1).map(|sent| json!([sent["check"], missing(sent), sent["logged"]]));
        assert_eq!(said, recorded, "{what}");
    }
}

#[tokio::test]
async fn gives_up_a_day_after_the_end_without_a_list() {
    let settled = json!({"verdict": "applied", "before": "import_done", "row": row("import_done", &json!("tags_unverified"))});
    for (hours, outcome, statements) in [(23, TagsCompared::NotListed, 0), (25, TagsCompared::Unverified, 1)]
    {
        let scripted =
            Scripted::start(vec![Reply::answer(403, "")], vec![rows(std::slice::from_ref(&settled))]).await;
        let mut done = row("import_done", &json!("tags_listed"));
        done.import_done_at = Some(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours));
        let deadline = Instant::now() + Duration::from_secs(10);
        let client = client(&scripted.registry.url());
        let compared = compare_tags(&scripted.store(), &client, &done, deadline).await.unwrap();
        assert_eq!((compared, scripted.statements().len()), (outcome, statements), "{hours}");
    }
}

#[test]
fn keeps_names_that_fit_and_only_a_hash_of_others() {
    let kept = keep(&set(&["b", "a\0", "ü"]));
    assert_eq!(names_of(kept.names.as_deref().unwrap()), Some(set(&["a\0", "b", "ü"])));
    assert_eq!(kept, keep(&set(&["ü", "b", "a\0"])));
    assert_ne!(kept.hash, keep(&set(&["b", "a\0"])).hash);
    let many: BTreeSet<String> =
        (0..40_000).map(|number| uuid::Uuid::new_v4().to_string() + &number.to_string()).collect();
    let kept = keep(&many);
    assert_eq!((kept.count, kept.names), (40_000, None));
    assert_eq!(names_of("no base64"), None);
}

#[test]
fn misses_nothing_that_was_listed() {
    let before = set(&["a", "b"]);
    let missing = |count| MissingTags { count, names: vec![] };
    for (names, after, judged) in [
        (Some(&before), set(&["b", "a"]), (None, TagsCheck::TagsComplete)),
        (None, set(&["b"]), (Some(missing(1)), TagsCheck::TagsMissing)),
        (None, set(&["b", "c", "d"]), (None, TagsCheck::TagsUnverified)),
    ] {
        assert_eq!(judge(2, names, &after), judged, "{after:?}");
    }
}
