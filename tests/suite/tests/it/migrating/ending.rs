//! A run that is ended, and goes on.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::signal::{Signal, kill};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::bench::{Bench, PATIENCE, command, ended, image, signal};

/// Two repositories, slow enough to be met in the middle.
fn bench() -> Bench {
    let large = image(1, &[6_000_000, 1_000, 300_000]);
    Bench::start(&[
        ("team/large", "v1", large),
        ("team/small", "v1", image(2, &[50_000])),
        ("team/small", "v2", image(3, &[60_000])),
    ])
}

const SLOW: [&str; 2] = ["--from-max-bandwidth", "2MB"];
const FAST: [&str; 2] = ["--max-bandwidth", "none"];

fn assert_all_is_there(bench: &Bench) {
    let last = bench.run(&FAST);
    assert_eq!(last.status, Some(0), "{}", last.output);
    for (repository, tag) in [("team/large", "v1"), ("team/small", "v1"), ("team/small", "v2")] {
        let [there, here] =
            [&bench.target, &bench.source].map(|registry| Bench::raw(registry, repository, tag));
        assert_eq!(there, here, "{repository}:{tag}");
        assert_eq!(bench.proof()[&(repository.to_owned(), tag.to_owned())]["state"], "equal");
    }
    let verified = bench.run(&["--verify-blobs"]);
    assert_eq!(verified.status, Some(0), "{}", verified.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn goes_on_after_each_kill_also_with_its_database() {
    let given = std::env::var("MIGRATING_SEED").ok();
    let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let bench = bench();
    for with_its_database in [false, true, false, true] {
        let mut process = bench.begin(&SLOW);
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2_500))).await;
        if let (true, Some(server)) = (with_its_database, bench.server()) {
            let _ = kill(server, Signal::SIGKILL);
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert_all_is_there(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_in_order_at_ctrl_c_and_goes_on() {
    let bench = bench();
    let process = bench.begin(&SLOW);
    // It has begun to copy once the target has an upload.
    let deadline = Instant::now() + PATIENCE;
    let uploads = bench.target.storage.join("docker/registry/v2/repositories");
    while !uploads.exists() {
        assert!(Instant::now() < deadline, "nothing is copied");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = Instant::now();
    signal(&process, Signal::SIGINT);

    let stopped = ended(process);

    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    assert_eq!(stopped.status, Some(4), "{}", stopped.output);
    assert!(bench.server().is_none(), "the database is left running");
    assert_all_is_there(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_to_start_again_when_its_database_ends() {
    let bench = bench();
    let process = bench.begin(&SLOW);
    // It copies once the plan is made.
    let deadline = Instant::now() + PATIENCE;
    while !bench.state().join("plan.json").exists() {
        assert!(Instant::now() < deadline, "nothing is planned");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kill(bench.server().unwrap(), Signal::SIGKILL).unwrap();

    let interrupted = ended(process);

    assert_eq!(interrupted.status, Some(4), "{}", interrupted.output);
    assert!(interrupted.output.contains("start this again, and it goes on"), "{}", interrupted.output);
    assert_all_is_there(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_new_limits_while_it_runs_and_one_run_at_a_time() {
    let bench = bench();
    let process = bench.begin(&["--from-max-bandwidth", "20kB"]);
    let deadline = Instant::now() + PATIENCE;
    while bench.server().is_none() {
        assert!(Instant::now() < deadline, "nothing begins");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let second = bench.run(&[]);
    assert_eq!(second.status, Some(3), "{}", second.output);
    assert!(second.output.contains("another run uses"), "{}", second.output);

    // At 20 kB a second it would take five minutes.
    let state = bench.state().display().to_string();
    let change =
        command().args(["limit", "--state", &state, "--from-max-bandwidth", "none"]).output().unwrap();
    assert!(change.status.success());

    let done = ended(process);
    assert_eq!(done.status, Some(0), "{}", done.output);
    assert!(done.output.contains("Limits changed."), "{}", done.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_memory_back_as_soon_as_it_is_freed() {
    let bench = bench();
    let mut process = bench.begin(&SLOW);
    let deadline = Instant::now() + PATIENCE;
    while bench.server().is_none() {
        assert!(Instant::now() < deadline, "nothing begins");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let settings = fs::read(format!("/proc/{}/environ", process.id())).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let threshold = settings.split(|byte| *byte == 0).find(|of| of.starts_with(b"MALLOC_MMAP_THRESHOLD_="));
    assert_eq!(threshold, Some(&b"MALLOC_MMAP_THRESHOLD_=131072"[..]));
}
