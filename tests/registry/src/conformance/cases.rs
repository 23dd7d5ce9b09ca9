//! The cases.
//!
//! Each is about one promise of the protocol; its name says which.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::ImportEngine;
use super::world::{IMAGE, OTHER, SECRET, World};
use crate::keys::SigningKeys;

/// 401 to every call without a token, and nothing is begun.
pub async fn answers_nobody_without_a_token<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let import = format!("/gitlab/v1/import/{IMAGE}/");
    for (method, path) in [
        (Method::PUT, format!("{import}?import_type=pre")),
        (Method::GET, import.clone()),
        (Method::DELETE, import),
    ] {
        world.send(world.bare(method, &path)).await.is_error(401, "UNAUTHORIZED");
    }
    world.status(IMAGE).await.is(404);
}

/// 401 to a token that somebody else signed, that is too old, for somebody else, or without the access.
pub async fn answers_nobody_with_a_wrong_token<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let changed = |name: &str, value: Value| {
        let mut claims = World::<E>::claims();
        claims[name] = value;
        World::<E>::token(&claims)
    };
    let stranger = SigningKeys::generate().unwrap();
    for token in [
        World::<E>::signed(&World::<E>::claims(), &stranger),
        changed("exp", json!(1)),
        changed("aud", json!("another")),
        changed("iss", json!("another")),
        changed("access", json!([])),
        changed("access", json!([{"type": "registry", "name": "catalog", "actions": ["*"]}])),
        changed("access", json!([{"type": "repository", "name": IMAGE, "actions": ["pull"]}])),
        "nonsense".to_owned(),
    ] {
        let path = format!("/gitlab/v1/import/{IMAGE}/?import_type=pre");
        world.send(world.bare(Method::PUT, &path).bearer_auth(token)).await.is_error(401, "UNAUTHORIZED");
    }
    world.status(IMAGE).await.is(404);
}

/// The probe is answered by 2xx or 401.
pub async fn answers_the_probe<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let probed = world.send(world.call(Method::GET, "/gitlab/v1/")).await;
    assert!((200..300).contains(&probed.status), "{probed:?}");
    let bare = world.send(world.bare(Method::GET, "/gitlab/v1/")).await;
    assert!(bare.status == 401 || (200..300).contains(&bare.status), "{bare:?}");
}

/// 202 to each step; each ends with its notification and its status.
pub async fn runs_both_steps_and_notifies<E: ImportEngine>() {
    let world = World::<E>::new().await;
    for (import_type, status) in [("pre", "pre_import_complete"), ("final", "import_complete")] {
        world.run(IMAGE, import_type, status).await;
        assert_eq!(world.status(IMAGE).await.json()["status"], status);
    }
    world.told(2);
}

/// The notification's method, path, headers and body.
pub async fn notifies_as_the_protocol_says<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.run(IMAGE, "pre", "pre_import_complete").await;
    let told = &world.driver.received()[0];
    assert_eq!(told.method, Method::PUT);
    assert_eq!(told.path, format!("/registry/repositories/{IMAGE}/migration/status"));
    assert_eq!(told.header("authorization"), Some(SECRET));
    assert!(told.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{told:?}");
    assert_eq!(told.header("x-request-id"), Some("attempt-pre"));
    let detail = "pre import completed successfully";
    for (name, value) in [("name", "image"), ("path", IMAGE), ("detail", detail)] {
        assert_eq!(told.body[name], value, "{told:?}");
    }
}

/// 429 `IMPORT_RATE_LIMIT`, whatever else is wrong, and even for what is complete.
pub async fn refuses_at_capacity_before_all_else<E: ImportEngine>() {
    let world = World::<E>::with(|setup| setup.capacity = 1).await;
    world.run_both(OTHER).await;
    world.start_held(IMAGE, "pre").await;
    for (path, import_type) in [(OTHER, "pre"), (OTHER, "nonsense"), ("not/there", "pre"), (IMAGE, "pre")] {
        world.start(path, import_type).await.is_error(429, "IMPORT_RATE_LIMIT");
    }
    world.engine.set_capacity(2).await;
    world.start(OTHER, "pre").await.is(200);
}

/// What was refused takes no room.
pub async fn takes_no_slot_for_a_refused_start<E: ImportEngine>() {
    let world = World::<E>::with(|setup| setup.capacity = 1).await;
    for _ in 0..3 {
        world.start(IMAGE, "nonsense").await.is(400);
        world.start("not/there", "pre").await.is(404);
        world.start(IMAGE, "final").await.is(424);
    }
    world.run(IMAGE, "pre", "pre_import_complete").await;
}

/// 400 `INVALID_QUERY_PARAMETER_VALUE`.
pub async fn refuses_an_import_type_that_is_none<E: ImportEngine>() {
    let world = World::<E>::new().await;
    for import_type in ["", "PRE", "both"] {
        world.start(IMAGE, import_type).await.is_error(400, "INVALID_QUERY_PARAMETER_VALUE");
    }
    world.status(IMAGE).await.is(404);
}

/// 200 to a start of what is complete, and nobody is notified.
pub async fn needs_no_start_when_complete<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.run_both(IMAGE).await;
    for import_type in ["pre", "final"] {
        world.start(IMAGE, import_type).await.is(200);
    }
    world.engine.idle().await;
    world.told(2);
}

/// 425 `PRE_IMPORT_IN_PROGRESS`.
pub async fn refuses_a_start_while_a_pre_step_runs<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.start_held(IMAGE, "pre").await;
    for import_type in ["pre", "final"] {
        world.start(IMAGE, import_type).await.is_error(425, "PRE_IMPORT_IN_PROGRESS");
    }
    world.engine.release(IMAGE).await;
    world.driver.wait_for(1).await;
}

/// 409 `IMPORT_IN_PROGRESS`.
pub async fn refuses_a_start_while_a_final_step_runs<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.run(IMAGE, "pre", "pre_import_complete").await;
    world.start_held(IMAGE, "final").await;
    for import_type in ["pre", "final"] {
        world.start(IMAGE, import_type).await.is_error(409, "IMPORT_IN_PROGRESS");
    }
    world.engine.release(IMAGE).await;
    world.driver.wait_for(2).await;
}

/// A failed pre step is notified; then 424 `PRE_IMPORT_FAILED` to a final one, and 202 to another pre one.
pub async fn takes_another_pre_step_after_a_failed_one<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.engine.fail(IMAGE).await;
    world.run(IMAGE, "pre", "pre_import_failed").await;
    world.start(IMAGE, "final").await.is_error(424, "PRE_IMPORT_FAILED");
    world.run_both(IMAGE).await;
}

/// A failed final step may be repeated.
pub async fn takes_another_final_step_after_a_failed_one<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.run(IMAGE, "pre", "pre_import_complete").await;
    world.engine.fail(IMAGE).await;
    world.run(IMAGE, "final", "import_failed").await;
    let detail = world.status(IMAGE).await.json()["detail"].as_str().unwrap().to_owned();
    assert!((1..=255).contains(&detail.chars().count()), "{detail}");
    world.run(IMAGE, "final", "import_complete").await;
}

/// 429 `IMPORT_REPOSITORY_NOT_READY` right after a canceled pre step.
pub async fn settles_after_a_canceled_pre_step<E: ImportEngine>() {
    let world = World::<E>::with(|setup| setup.cancel_settle = Duration::from_secs(3600)).await;
    world.start_held(IMAGE, "pre").await;
    world.cancel_running(IMAGE, "pre_import_canceled").await;
    for import_type in ["pre", "final"] {
        world.start(IMAGE, import_type).await.is_error(429, "IMPORT_REPOSITORY_NOT_READY");
    }
}

/// 424 `PRE_IMPORT_CANCELED` to a final step, and 202 to another pre one.
pub async fn takes_another_pre_step_after_a_canceled_one<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.start_held(IMAGE, "pre").await;
    world.cancel_running(IMAGE, "pre_import_canceled").await;
    world.start(IMAGE, "final").await.is_error(424, "PRE_IMPORT_CANCELED");
    world.run_both(IMAGE).await;
}

/// 202 to a pre step after one that is complete, and to a final one after one that was canceled.
pub async fn repeats_a_pre_step_that_is_complete<E: ImportEngine>() {
    let world = World::<E>::new().await;
    for _ in 0..2 {
        world.run(IMAGE, "pre", "pre_import_complete").await;
    }
    world.start_held(IMAGE, "final").await;
    world.cancel_running(IMAGE, "import_canceled").await;
    world.run(IMAGE, "final", "import_complete").await;
}

/// 404 `NAME_UNKNOWN`.
pub async fn knows_only_what_can_be_imported<E: ImportEngine>() {
    let world = World::<E>::new().await;
    for path in ["not/there", "group/project"] {
        world.start(path, "pre").await.is_error(404, "NAME_UNKNOWN");
    }
}

/// 424 `PRE_IMPORT_REQUIRED`.
pub async fn wants_a_pre_step_first<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.start(IMAGE, "final").await.is_error(424, "PRE_IMPORT_REQUIRED");
    world.status(IMAGE).await.is(404);
}

/// `name`, `path`, `status` and `detail`, through a whole migration.
pub async fn tells_a_status_with_its_detail<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let told = async |status: &str, detail: &str| {
        let told = world.status(IMAGE).await;
        told.is(200);
        for (name, value) in [("name", "image"), ("path", IMAGE), ("status", status), ("detail", detail)] {
            assert_eq!(told.json()[name], value, "{told:?}");
        }
    };
    world.start_held(IMAGE, "pre").await;
    told("pre_import_in_progress", "pre_import_in_progress").await;
    world.engine.release(IMAGE).await;
    world.driver.wait_for(1).await;
    told("pre_import_complete", "pre import completed successfully").await;
    world.engine.idle().await;
    world.start_held(IMAGE, "final").await;
    told("import_in_progress", "import_in_progress").await;
    world.engine.release(IMAGE).await;
    world.driver.wait_for(2).await;
    told("import_complete", "final import completed successfully").await;
}

/// 404 with an empty body.
pub async fn tells_nothing_of_what_was_never_started<E: ImportEngine>() {
    let world = World::<E>::new().await;
    for path in [IMAGE, "not/there"] {
        let told = world.status(path).await;
        assert_eq!((told.status, told.text.as_str()), (404, ""));
        let canceled = world.cancel(path, "").await;
        assert_eq!((canceled.status, canceled.text.as_str()), (404, ""));
    }
}

/// `errors[0]` has a code, a message, and the path in its detail.
pub async fn explains_an_error<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let error = world.start(IMAGE, "final").await.json()["errors"][0].clone();
    assert_eq!(error["detail"], format!("repository path {IMAGE}"));
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
}

/// 202, the status at once, one notification, and the slot is free.
pub async fn cancels_what_runs_and_notifies<E: ImportEngine>() {
    let world = World::<E>::with(|setup| setup.capacity = 1).await;
    for (import_type, status) in [("pre", "pre_import_canceled"), ("final", "import_canceled")] {
        if import_type == "final" {
            world.run(IMAGE, "pre", "pre_import_complete").await;
        }
        let before = world.driver.received().len();
        world.start_held(IMAGE, import_type).await;
        world.cancel(IMAGE, "").await.is(202);
        assert_eq!(world.status(IMAGE).await.json()["status"], status);
        let received = world.driver.wait_for(before + 1).await;
        let told = &received[before];
        assert_eq!(
            (told.status(), told.header("x-request-id")),
            (status, Some(&*format!("attempt-{import_type}")))
        );
        let expected = format!("{import_type} import was canceled manually");
        assert_eq!(told.body["detail"], expected);
        world.engine.release(IMAGE).await;
        world.engine.idle().await;
        world.told(before + 1);
    }
    world.run(OTHER, "pre", "pre_import_complete").await;
}

/// 400 `IMPORT_CANNOT_BE_CANCELED`, with the status in its detail.
pub async fn refuses_to_cancel_what_does_not_run<E: ImportEngine>() {
    let world = World::<E>::new().await;
    for (import_type, status) in [("pre", "pre_import_complete"), ("final", "import_complete")] {
        world.run(IMAGE, import_type, status).await;
        let refused = world.cancel(IMAGE, "").await;
        refused.is_error(400, "IMPORT_CANNOT_BE_CANCELED");
        let detail = format!("repository path {IMAGE} previous migration status: {status}");
        assert_eq!(refused.json()["errors"][0]["detail"], detail);
        assert_eq!(world.status(IMAGE).await.json()["status"], status);
    }
}

/// 202 to a forced cancel of what has ended, another status, no notification; then both steps run again.
pub async fn cancels_by_force_what_has_ended<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.run(OTHER, "pre", "pre_import_complete").await;
    world.cancel(OTHER, "?force=true").await.is(202);
    assert_eq!(world.status(OTHER).await.json()["status"], "pre_import_canceled");
    world.run_both(IMAGE).await;
    world.cancel(IMAGE, "?force=true").await.is(202);
    assert_eq!(world.status(IMAGE).await.json()["status"], "import_canceled");
    world.engine.idle().await;
    world.told(3);
    world.run_both(IMAGE).await;
}

/// One that stands still is in nobody's way.
pub async fn starts_others_while_one_is_held<E: ImportEngine>() {
    let world = World::<E>::with(|setup| setup.capacity = 2).await;
    world.start_held(IMAGE, "pre").await;
    world.start(OTHER, "pre").await.is(202);
    let received = world.driver.wait_for(1).await;
    assert_eq!((received[0].status(), &received[0].body["path"]), ("pre_import_complete", &json!(OTHER)));
    world.engine.release(IMAGE).await;
    let received = world.driver.wait_for(2).await;
    assert_eq!(received[1].body["path"], IMAGE);
}

/// A slow step ends as a quick one does.
pub async fn outlasts_a_slow_step<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let time = Duration::from_millis(300);
    world.engine.make_slow(IMAGE, time).await;
    let begun = Instant::now();
    world.run(IMAGE, "pre", "pre_import_complete").await;
    assert!(begun.elapsed() >= time);
}

/// What had ended before a power cut is known after it.
pub async fn remembers_what_was_complete_when_it_ended<E: ImportEngine>() {
    let world = World::<E>::new().await;
    world.run_both(OTHER).await;
    world.run(IMAGE, "pre", "pre_import_complete").await;
    world.engine.restart().await;
    world.start(OTHER, "final").await.is(200);
    assert_eq!(world.status(IMAGE).await.json()["status"], "pre_import_complete");
    world.run(IMAGE, "final", "import_complete").await;
}

/// The tags of a container repository, before its migration and after it.
pub async fn lists_the_tags_of_a_repository<E: ImportEngine>() {
    let world = World::<E>::new().await;
    let tags = async || {
        let listed = world.send(world.call(Method::GET, &format!("/v2/{IMAGE}/tags/list"))).await;
        listed.is(200);
        let mut tags: Vec<String> = serde_json::from_value(listed.json()["tags"].clone()).unwrap();
        tags.sort();
        tags
    };
    assert_eq!(tags().await, ["latest", "v1"]);
    world.run_both(IMAGE).await;
    assert_eq!(tags().await, ["latest", "v1"]);
}
