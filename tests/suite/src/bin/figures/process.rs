//! A process under Lambda's Runtime API, one event at a time, and the processor's time that it takes.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::{Path as Segments, State},
    http::{HeaderName, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::timeout,
};

/// Far longer than any of them takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is run, and with which environment.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the tables.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its whole environment, but for the Runtime API.
    pub environment: BTreeMap<String, String>,
}

/// A running process.
pub struct Process {
    child: Child,
    events: mpsc::UnboundedSender<String>,
    answers: mpsc::UnboundedReceiver<(StatusCode, Bytes)>,
    server: JoinHandle<()>,
}

struct Api {
    events: Mutex<mpsc::UnboundedReceiver<String>>,
    answers: mpsc::UnboundedSender<(StatusCode, Bytes)>,
}

async fn next(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let event = api.events.lock().await.recv().await.unwrap_or_default();
    let deadline = jiff::Timestamp::now().as_millisecond() + 29_000;
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (HeaderName::from_static("lambda-runtime-aws-request-id"), uuid::Uuid::new_v4().to_string()),
        (HeaderName::from_static("lambda-runtime-deadline-ms"), deadline.to_string()),
        (
            HeaderName::from_static("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-central-1:123456789012:function:figures".to_owned(),
        ),
    ];
    (headers, event)
}

async fn answered(
    State(api): State<Arc<Api>>,
    Segments((_, outcome)): Segments<(String, String)>,
    body: Bytes,
) -> StatusCode {
    let status = if outcome == "response" { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
    let _ = api.answers.send((status, body));
    StatusCode::ACCEPTED
}

async fn failed(State(api): State<Arc<Api>>, body: Bytes) -> StatusCode {
    let _ = api.answers.send((StatusCode::BAD_GATEWAY, body));
    StatusCode::ACCEPTED
}

impl Process {
    /// Starts it. It asks for its first event by itself.
    pub async fn start(program: &Program, log: &Path) -> anyhow::Result<Self> {
        let (events, waiting) = mpsc::unbounded_channel();
        let (sender, answers) = mpsc::unbounded_channel();
        let api = Arc::new(Api { events: Mutex::new(waiting), answers: sender });
        let app = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/{outcome}", post(answered))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(api);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        let [first, arguments @ ..] = &program.command[..] else { bail!("{}: no command", program.name) };
        let log = fs::File::create(log)?;
        let child = Command::new(first)
            .args(arguments)
            .env_clear()
            .envs(&program.environment)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {first}"))?;
        Ok(Self { child, events, answers, server })
    }

    /// Gives it an event and waits for its answer: that, and how long it took from the one to the other.
    pub async fn ask(&mut self, event: &Value) -> anyhow::Result<(Value, Duration)> {
        let event = event.to_string();
        let began = Instant::now();
        self.events.send(event)?;
        let answer = timeout(PATIENCE, self.answers.recv()).await.context("no answer")?;
        let took = began.elapsed();
        let (status, body) = answer.context("the Runtime API has ended")?;
        ensure!(status == StatusCode::OK, "it failed: {}", String::from_utf8_lossy(&body));
        Ok((serde_json::from_slice(&body).unwrap_or(Value::Null), took))
    }

    /// How much of the processor's time all of its threads have taken so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let mut together = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedule = fs::read_to_string(thread?.path().join("schedstat"))?;
            together += schedule.split(' ').next().context("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(together))
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it: how much of the processor's time it took in all, from exec on.
    pub fn end(mut self) -> anyhow::Result<Duration> {
        let before = children()?;
        self.child.kill()?;
        self.child.wait()?;
        self.server.abort();
        Ok(children()?.saturating_sub(before))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.server.abort();
    }
}

/// The processor's time of all children that have ended.
fn children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let times = [usage.user_time(), usage.system_time()];
    times.into_iter().try_fold(Duration::ZERO, |sum, time| {
        let part = Duration::new(time.tv_sec().try_into()?, u32::try_from(time.tv_usec())? * 1000);
        Ok(sum + part)
    })
}
