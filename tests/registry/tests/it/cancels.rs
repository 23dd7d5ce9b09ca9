//! `DELETE /gitlab/v1/import/<path>/`: a test for each row.

use std::time::Duration;

use local_registry::{Config, Status};

use crate::bench::{Bench, IMAGE, config};

#[tokio::test]
async fn what_is_not_known_cannot_be_canceled() {
    let bench = Bench::new().await;
    for query in ["", "?force=true"] {
        let answer = bench.cancel(IMAGE, query).await;
        answer.is(404);
        assert_eq!(answer.text, "");
    }
}

#[tokio::test]
async fn a_native_repository_cannot_be_canceled_even_by_force() {
    let bench = Bench::new().await;
    bench.bring_to(Status::Native).await;
    for query in ["", "?force=true"] {
        bench.cancel(IMAGE, query).await.is_error(400, "IMPORT_CANNOT_BE_CANCELED");
    }
}

#[tokio::test]
async fn what_is_not_in_progress_cannot_be_canceled_without_force() {
    for status in [
        Status::PreImportComplete,
        Status::PreImportFailed,
        Status::PreImportCanceled,
        Status::ImportComplete,
        Status::ImportFailed,
        Status::ImportCanceled,
    ] {
        let bench = Bench::new().await;
        bench.bring_to(status).await;
        let answer = bench.cancel(IMAGE, "").await;
        answer.is_error(400, "IMPORT_CANNOT_BE_CANCELED");
        let detail = format!("repository path {IMAGE} previous migration status: {status}");
        assert_eq!(answer.json()["errors"][0]["detail"], detail);
        bench.reaches(IMAGE, status).await;
    }
}

#[tokio::test]
async fn a_running_import_is_canceled_at_once_and_notices_later() {
    for (running, canceled) in [
        (Status::PreImportInProgress, Status::PreImportCanceled),
        (Status::ImportInProgress, Status::ImportCanceled),
    ] {
        let bench = Bench::with(|config| config.cancel_notice = Duration::from_millis(300)).await;
        bench.bring_to(running).await;
        let before = bench.receiver.received().len();
        let canceled_at = tokio::time::Instant::now();
        bench.cancel(IMAGE, "").await.is(202);
        assert_eq!(bench.status(IMAGE).await.json()["status"], canceled.as_str());
        let received = bench.receiver.wait_for(before + 1).await;
        assert!(canceled_at.elapsed() < Duration::from_secs(5));
        assert_eq!(received[before].status(), canceled.as_str());
        assert!(received[before].body["detail"].as_str().unwrap().ends_with("import was canceled manually"));
        bench.idle().await;
        assert_eq!(bench.receiver.received().len(), before + 1);
    }
}

#[tokio::test]
async fn until_a_canceled_import_has_noticed_it_keeps_its_slot() {
    let bench = Bench::with(|config| config.cancel_notice = Duration::from_secs(3600)).await;
    bench.bring_to(Status::PreImportInProgress).await;
    bench.cancel(IMAGE, "").await.is(202);
    assert_eq!(bench.registry.slots_in_use(), 1);
    assert!(bench.receiver.received().is_empty());
}

#[tokio::test]
async fn by_force_what_has_ended_is_canceled_and_nobody_is_notified() {
    for (status, canceled) in [
        (Status::PreImportComplete, Status::PreImportCanceled),
        (Status::PreImportFailed, Status::ImportCanceled),
        (Status::ImportComplete, Status::ImportCanceled),
        (Status::ImportFailed, Status::ImportCanceled),
    ] {
        let bench = Bench::new().await;
        bench.bring_to(status).await;
        let before = bench.receiver.received().len();
        bench.cancel(IMAGE, "?force=true").await.is(202);
        bench.reaches(IMAGE, canceled).await;
        assert_eq!(bench.receiver.received().len(), before);
    }
}

#[tokio::test]
async fn a_cancel_that_comes_while_copying_ends_keeps_its_word() {
    let bench = Bench::with(|config| config.cancel_notice = Duration::from_secs(3600)).await;
    bench.bring_to(Status::PreImportInProgress).await;
    bench.cancel(IMAGE, "").await.is(202);
    bench.registry.rules().clear();
    let received = bench.receiver.wait_for(1).await;
    assert_eq!(received[0].status(), "pre_import_canceled");
    bench.reaches(IMAGE, Status::PreImportCanceled).await;
}

#[test]
fn a_cancel_is_noticed_and_settled_within_the_real_times() {
    let folder = tempfile::TempDir::new().unwrap();
    let Config { cancel_notice, cancel_settle, shutdown_limit, .. } = config(&folder);
    assert_eq!((cancel_notice, cancel_settle), (Duration::from_secs(5), Duration::from_secs(5)));
    assert_eq!(shutdown_limit, Duration::from_secs(10));
}
