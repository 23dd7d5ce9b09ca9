//! The end of the registry, and its beginning again.

use std::time::Duration;

use local_registry::storage::{ImageOptions, verify};
use local_registry::{Registry, Restart, Status};
use tokio::time::Instant;

use crate::bench::{AT_MOST, Bench, IMAGE, config};

#[tokio::test]
async fn cancels_and_notifies_when_told_to_stop() {
    for (running, told) in
        [(Status::PreImportInProgress, "pre_import_canceled"), (Status::ImportInProgress, "import_canceled")]
    {
        let bench = Bench::with(|config| config.cancel_notice = Duration::from_secs(3600)).await;
        bench.bring_to(running).await;
        let before = bench.receiver.received().len();
        let url = bench.registry.url();
        bench.registry.restart(Restart::Graceful, Duration::ZERO).await.unwrap();
        let received = bench.receiver.wait_for(before + 1).await;
        assert_eq!(received[before].status(), told);
        assert_eq!(received[before].body["detail"], "forced cancelation");
        assert_eq!(bench.registry.url(), url);
        assert_eq!(bench.status(IMAGE).await.json(), received[before].body);
        assert_eq!(bench.registry.slots_in_use(), 0);
    }
}

#[tokio::test]
async fn a_stopping_registry_waits_only_so_long_for_its_notifications() {
    let bench = Bench::with(|config| config.shutdown_limit = Duration::from_millis(200)).await;
    bench.bring_to(Status::PreImportInProgress).await;
    bench.receiver.hold();
    let begun = Instant::now();
    bench.registry.restart(Restart::Graceful, Duration::ZERO).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(begun.elapsed() < AT_MOST);
    assert_eq!(bench.status(IMAGE).await.json()["detail"], "forced cancelation");
}

#[tokio::test]
async fn goes_on_accepting_while_it_stops_and_cuts_that_off() {
    for step in ["pre", "final"] {
        let bench = Bench::with(|config| config.shutdown_limit = Duration::from_secs(3)).await;
        bench.old().write_image("late", &["v1"], &ImageOptions::small(3)).unwrap();
        if step == "final" {
            bench.run("late", "pre").await;
        }
        bench.bring_to(Status::PreImportInProgress).await;
        let before = bench.receiver.received().len();
        bench.receiver.hold();
        let meanwhile = async {
            let told = bench.receiver.wait_for(before + 1).await;
            assert_eq!(told[before].body["detail"], "forced cancelation");
            // Small as it is, it does not come to its end.
            bench.start("late", step).await.is(202);
            bench.receiver.release();
        };
        let (restarted, ()) =
            futures::join!(bench.registry.restart(Restart::Graceful, Duration::ZERO), meanwhile);
        restarted.unwrap();
        bench.registry.rules().clear();

        let (status, code) = match step {
            "pre" => ("pre_import_in_progress", (425, "PRE_IMPORT_IN_PROGRESS")),
            _ => ("import_in_progress", (409, "IMPORT_IN_PROGRESS")),
        };
        assert_eq!(bench.status("late").await.json()["status"], status);
        bench.start("late", step).await.is_error(code.0, code.1);
        assert_eq!(bench.receiver.received().len(), before + 1);
        assert_eq!(bench.registry.slots_in_use(), 0);
    }
}

#[tokio::test]
async fn stops_at_once_where_nothing_runs() {
    let bench = Bench::with(|config| config.shutdown_limit = Duration::from_secs(3600)).await;
    bench.run(IMAGE, "pre").await;
    let restarted = bench.registry.restart(Restart::Graceful, Duration::ZERO);
    tokio::time::timeout(AT_MOST, restarted).await.unwrap().unwrap();
}

#[tokio::test]
async fn counts_its_imports_from_zero_after_a_restart() {
    let bench = Bench::with(|config| config.max_concurrent_imports = 1).await;
    bench.old().write_image("other", &["v1"], &ImageOptions::small(3)).unwrap();
    bench.bring_to(Status::PreImportInProgress).await;
    bench.start("other", "pre").await.is_error(429, "IMPORT_RATE_LIMIT");
    bench.registry.restart(Restart::Crash, Duration::ZERO).await.unwrap();
    bench.registry.rules().clear();
    assert_eq!(bench.status(IMAGE).await.json()["status"], "pre_import_in_progress");
    bench.run("other", "pre").await;
}

#[tokio::test]
async fn a_crash_leaves_imports_in_progress_and_nobody_is_told() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportInProgress).await;
    bench.registry.restart(Restart::Crash, Duration::ZERO).await.unwrap();
    bench.registry.rules().clear();
    assert!(bench.receiver.received().is_empty());
    assert_eq!(bench.status(IMAGE).await.json()["status"], "pre_import_in_progress");
    bench.start(IMAGE, "pre").await.is_error(425, "PRE_IMPORT_IN_PROGRESS");
    // Only a cancel gets it going again, as with the real one.
    bench.cancel(IMAGE, "").await.is(202);
    bench.run(IMAGE, "pre").await;
    bench.reaches(IMAGE, Status::PreImportComplete).await;
}

#[tokio::test]
async fn while_the_registry_is_down_nobody_answers() {
    let bench = Bench::new().await;
    let down = bench.registry.restart(Restart::Graceful, Duration::from_millis(1500));
    let asking = async {
        // A call on a connection that the end cuts off fails too, but of another cause: go on until one is refused.
        while !bench.start_call(IMAGE, "pre", "x").send().await.is_err_and(|error| error.is_connect()) {
            tokio::task::yield_now().await;
        }
    };
    let (restarted, refused) = futures::join!(down, tokio::time::timeout(AT_MOST, asking));
    restarted.unwrap();
    refused.expect("a call is refused while the registry is down");
    assert!(bench.status(IMAGE).await.status < 500);
}

#[tokio::test]
async fn what_was_completed_is_known_to_the_next_registry() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    bench.registry.restart(Restart::Graceful, Duration::ZERO).await.unwrap();
    bench.run(IMAGE, "final").await;
    bench.registry.restart(Restart::Crash, Duration::ZERO).await.unwrap();
    bench.start(IMAGE, "final").await.is(200);
    verify(&bench.old(), &bench.new_storage(), IMAGE).unwrap();

    let Bench { registry, folder, .. } = bench;
    registry.stop().await;
    let next = Registry::start(config(&folder)).await.unwrap();
    assert_eq!(next.report(IMAGE).unwrap().status, Status::ImportComplete);
}

#[tokio::test]
async fn half_a_line_at_the_end_of_the_statuses_is_forgotten() {
    let bench = Bench::new().await;
    bench.bring_to(Status::PreImportComplete).await;
    let Bench { registry, folder, .. } = bench;
    registry.stop().await;
    let file = folder.path().join("new/import-status.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}{{\"path\":\"group/pro")).unwrap();
    let next = Registry::start(config(&folder)).await.unwrap();
    assert_eq!(next.report(IMAGE).unwrap().status, Status::PreImportComplete);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
}

#[tokio::test]
async fn a_dropped_registry_does_not_listen_any_more() {
    let bench = Bench::new().await;
    let Bench { registry, client, .. } = bench;
    let url = registry.url();
    drop(registry);
    let refused = async {
        while client.get(format!("{url}/v2/")).send().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(AT_MOST, refused).await.unwrap();
}
