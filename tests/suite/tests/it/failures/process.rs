//! A function's process outlives what goes wrong in it.

use std::{
    fs::File,
    process::{Child, Command},
    time::Duration,
};

use reqwest::StatusCode;
use suite::{stack, until};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_a_panic_in_the_handler_and_after_it() {
    let stack = stack().await.unwrap();
    let base = stack.functions().base_url();
    let log = stack.folder().join("faulty-function.log");
    let mut child = Process(
        Command::new(env!("CARGO_BIN_EXE_faulty-function"))
            .env("AWS_LAMBDA_RUNTIME_API", stack.functions().runtime_api("faulty-function"))
            .env("AWS_LAMBDA_FUNCTION_NAME", "faulty-function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .stdout(File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    let call = |path: &'static str| http.get(format!("{base}/lambda-url/faulty-function/{path}")).send();
    let logged = |text: &'static str| {
        let log = log.clone();
        move || {
            let log = log.clone();
            async move {
                let written = std::fs::read_to_string(log)?;
                Ok(written
                    .lines()
                    .any(|line| line.contains(text) && line.starts_with('{') && line.contains("ERROR")))
            }
        }
    };

    let healthy = call("healthy").await.unwrap();
    assert_eq!(healthy.status(), StatusCode::OK);
    let process = healthy.text().await.unwrap();

    let panicked = call("handler").await.unwrap();
    assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(panicked.headers()["content-type"], "application/problem+json");
    assert!(!panicked.text().await.unwrap().contains("panicked"), "a caller sees the request's id only");
    until("the panic is logged", logged("panicked in the handler")).await.unwrap();

    let after = call("after").await.unwrap();
    assert_eq!((after.status(), after.text().await.unwrap()), (StatusCode::OK, process.clone()));
    until("the later panic is logged", logged("panicked after the response")).await.unwrap();

    assert_eq!(call("healthy").await.unwrap().text().await.unwrap(), process, "the same process goes on");
    assert!(child.0.try_wait().unwrap().is_none());
    drop(child);
    stack.stop().await.unwrap();
}
