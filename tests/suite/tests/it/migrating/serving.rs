//! The driver's own functions, led through the importer from one docker-registry to another.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use local::{Function, RegistryChoice, Stack, StackOptions, postgres_pair::free_ports};
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use suite::{history, options, until_state};

use super::bench::{Bench, command, image, signal};

/// A process that does not outlive its test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `serve` for that stack, and waits until it listens.
fn serve(bench: &Bench, stack: &local::StackFile, environment: &local::Environment, listen: &str) -> Serving {
    let file = |name: &str, content: &str| {
        let path = bench.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let of = |name: &str| environment[name].clone();
    let mut process = command()
        .args(["serve", "--from", &bench.source.url(), "--to", &bench.target.url(), "--listen", listen])
        .arg("--state")
        .arg(bench.state())
        .args(["--exclude", "left/out", "--rename", "team=archive"])
        .arg("--public-key")
        .arg(file("key.pem", &stack.registry_token_public_key))
        .args(["--audience", &of("REGISTRY_TOKEN_AUDIENCE"), "--issuer", &of("REGISTRY_TOKEN_ISSUER")])
        .args(["--notify", &stack.notification_url])
        .arg("--notify-secret")
        .arg(file("secret", &format!("{}\n", stack.notification_secret)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains(&format!("Listening at http://{listen} for 2 repositories")), "{said}");
    Serving(process)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_migrates_what_the_importer_serves() {
    let images = [("team/app", "v1"), ("team/app", "v2"), ("other", "v1"), ("left/out", "v1")];
    let bench = Bench::start(&images.map(|(path, tag)| (path, tag, image(tag.len() as u64, &[30_000, 500]))));
    let [port] = free_ports().unwrap();
    let listen = format!("127.0.0.1:{port}");
    let registry = RegistryChoice::Outside { url: format!("http://{listen}") };
    let stack = Stack::start(StackOptions { registry, ..options() }).await.unwrap();
    let described = stack.describe().await;
    let mut serving = serve(&bench, &described, &stack.environment(Function::StartMigration), &listen);

    let request = stack.client().as_operator(Method::POST, "/repositories/from-catalog");
    let answer = request.json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let registered: Value = answer.json().await.unwrap();
    assert_eq!(
        (&registered["ended"], &registered["registered"]),
        (&json!("complete"), &json!(2)),
        "{registered}"
    );
    let _ticker = stack.tick_every(Duration::from_millis(300));
    for path in ["team/app", "other"] {
        until_state(&stack, path, "import_done").await.unwrap();
        let steps = history(&stack, path).await.unwrap();
        assert!(steps.iter().any(|step| step.contains("pre_importing>pre_import_done")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("abort") || step.contains("cancel")), "{steps:?}");
    }
    for (from, to, tag) in
        [("team/app", "archive/app", "v1"), ("team/app", "archive/app", "v2"), ("other", "other", "v1")]
    {
        assert_eq!(Bench::raw(&bench.source, from, tag), Bench::raw(&bench.target, to, tag), "{from}:{tag}");
    }
    assert!(!bench.target.storage.join("docker/registry/v2/repositories/left").exists());

    signal(&serving.0, Signal::SIGINT);
    assert_eq!(serving.0.wait().unwrap().code(), Some(0));
    // The same state proves it.
    let proven = bench.run(&["--exclude", "left/out", "--rename", "team=archive"]);
    assert_eq!(proven.status, Some(0), "{}", proven.output);
    assert_eq!(bench.proof().values().filter(|row| row["state"] == "equal").count(), 3);
    let log = fs::read_to_string(bench.state().join("run.log")).unwrap();
    assert!(!log.contains(&described.notification_secret) && !log.contains("eyJ"), "{log}");
    stack.stop().await.unwrap();
}
