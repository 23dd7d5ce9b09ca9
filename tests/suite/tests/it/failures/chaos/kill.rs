//! A process stopped at one point, and killed there.

use std::{future::pending, pin::pin};

use local::{
    Function, Stack, WRITER_ARN,
    local_data_api::{self, Fault},
    local_registry::{self, Operation, Rule, Status, Step},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use suite::{repositories, until};

use super::{is_migrated, nothing_is_held, quiet, schedules_run_until_the_end, time_passes};

/// Longer than any test waits.
const FOR_EVER: u64 = 600_000;

/// Where a process is stopped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Before the statement whose text holds this is run.
    BeforeStatement(&'static str),
    /// After it has been committed, before its answer.
    AfterStatement(&'static str),
    /// Before the registry does anything about the call.
    BeforeCall(Operation, Option<Step>),
    /// After the registry has begun the step, before its answer.
    AfterStart(Step),
    /// After the registry has canceled the pre step, before its answer.
    AfterCancel,
}

/// Statements by a part of their text that no other has.
pub(super) mod statement {
    /// An operator's start.
    pub(in super::super) const START: &str = "named AS MATERIALIZED";
    /// A free slot's next repository.
    pub(in super::super) const CLAIM: &str = "FOR UPDATE OF s SKIP LOCKED";
    /// A parked repository's final step.
    pub(in super::super) const RESUME: &str = "ORDER BY c.not_before NULLS FIRST, c.id\n    FOR UPDATE";
    /// Any change of a row that is not a start: a notification's, the registry's answer's, the guard's.
    pub(in super::super) const CHANGE: &str = ":precondition = 'notification'";
    /// The guard's leasing of what is due.
    pub(in super::super) const LEASE: &str = "leased AS (\n    UPDATE container_repositories AS c SET";
    /// The guard's note that the registry is asked once more.
    pub(in super::super) const NOTE: &str = "noted AS (";
    /// Which of the catalogue's repositories are not known yet.
    pub(in super::super) const UNREGISTERED: &str = "AS g (path)";
    /// What makes repositories known.
    pub(in super::super) const REGISTER: &str = "registered AS (\n    INSERT";
}

/// What makes the process do its work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    /// An operator starts the repository.
    Start,
    /// The schedule invokes the function that is to be killed.
    Schedule,
    /// What was held back at the registry goes on: the import ends and is notified.
    Release(local_registry::RuleId),
    /// An operator starts the aborted repository again.
    Retry,
    /// An operator has what runs canceled.
    Cancel,
    /// An operator gives the repository up.
    Skip,
    /// An operator makes the repository known.
    Register,
    /// An operator makes known what the registry's catalogue lists.
    RegisterCatalogue,
}

impl Trigger {
    /// What an operator sends, where it is one who asks.
    pub(super) fn request(self, stack: &Stack, path: &str) -> Option<RequestBuilder> {
        let (url, body) = match self {
            Self::Schedule | Self::Release(_) => return None,
            Self::Start => (format!("/migrations/start/{path}"), json!({})),
            Self::Retry => (format!("/migrations/retry/{path}"), json!({})),
            Self::Cancel => (format!("/migrations/cancel/{path}"), json!({})),
            Self::Skip => (format!("/migrations/skip/{path}"), json!({"reason": "migration_canceled"})),
            Self::Register => ("/repositories".to_owned(), json!([{"path": path}])),
            Self::RegisterCatalogue => ("/repositories/from-catalog".to_owned(), json!({})),
        };
        Some(stack.client().as_operator(Method::POST, &url).json(&body))
    }
}

/// One kill: of which function's processes, where, and what becomes of the repository.
pub(super) struct Case<'a> {
    pub(super) function: Function,
    pub(super) path: &'a str,
    pub(super) stop: Stop,
    pub(super) trigger: Trigger,
}

impl Case<'_> {
    /// Has the process work, stops it, and kills it there. From then on nothing is stopped any more.
    pub(super) async fn kill(&self, stack: &Stack) {
        let registry = stack.registry().unwrap();
        let seen = (stack.data_api().journal().len(), registry.journal().requests().len());
        self.arm(stack);
        let mut work = pin!(self.work(stack));
        let reached = || async { Ok(self.is_reached(stack, seen)) };
        tokio::select! {
            () = &mut work => panic!("{} was not stopped: {:?}", self.path, self.stop),
            reached = until("it is stopped", reached) => {
                reached.unwrap_or_else(|error| panic!("{}, {:?}: {error}", self.path, self.stop));
            }
        }
        let sent = registry.journal().notifications().len();
        kill_all(stack, self.function).await;
        stack.data_api().clear_faults();
        registry.rules().clear();
        quiet(stack, sent).await;
    }

    fn arm(&self, stack: &Stack) {
        let rules = stack.registry().unwrap().rules();
        let data_api = |part, when| {
            let effect = local_data_api::Effect::Hang { when };
            // A statement that is given up is sent again, into the same fault.
            stack.data_api().inject(Fault::new(effect).on(WRITER_ARN).sql_contains(part));
        };
        let call = |operation, step: Option<Step>, when| {
            let effect = local_registry::Effect::Hang { milliseconds: FOR_EVER, when };
            let rule = Rule::new(effect).operation(operation).repository(self.path).times(1);
            rules.add(Rule { step, ..rule });
        };
        match self.stop {
            Stop::BeforeStatement(part) => data_api(part, local_data_api::When::Before),
            Stop::AfterStatement(part) => data_api(part, local_data_api::When::After),
            Stop::BeforeCall(operation, step) => call(operation, step, local_registry::When::Before),
            Stop::AfterStart(step) => call(Operation::Start, Some(step), local_registry::When::After),
            Stop::AfterCancel => call(Operation::Cancel, None, local_registry::When::After),
        }
    }

    /// Has the process work. Ends when it has answered whoever waits for that.
    async fn work(&self, stack: &Stack) {
        match self.trigger {
            Trigger::Start
            | Trigger::Retry
            | Trigger::Cancel
            | Trigger::Skip
            | Trigger::Register
            | Trigger::RegisterCatalogue => {
                drop(self.trigger.request(stack, self.path).unwrap().send().await);
            }
            Trigger::Schedule => drop(stack.functions().invoke_on_schedule(self.function).await),
            Trigger::Release(held) => {
                assert!(stack.registry().unwrap().rules().remove(held));
                pending::<()>().await;
            }
        }
    }

    /// `seen`: how long the journals were when the stop was armed.
    fn is_reached(&self, stack: &Stack, seen: (usize, usize)) -> bool {
        let ran = |ran: bool| {
            let calls = stack.data_api().journal();
            let mut outcomes = calls.iter().skip(seen.0).filter_map(|call| call.outcome.as_ref());
            outcomes.any(|outcome| outcome.fault && outcome.ran == ran)
        };
        let registry = stack.registry().unwrap();
        let called = |operation, step: Option<Step>| {
            registry.journal().requests().iter().skip(seen.1).any(|request| {
                request.operation == operation
                    && request.path.as_deref() == Some(self.path)
                    && step.is_none_or(|step| request.step == Some(step))
                    && request.answered.is_none()
            })
        };
        let status = registry.report(self.path).map(|report| report.status);
        match self.stop {
            Stop::BeforeStatement(_) => ran(false),
            Stop::AfterStatement(_) => ran(true),
            Stop::BeforeCall(operation, step) => called(operation, step),
            Stop::AfterCancel => called(Operation::Cancel, None) && status == Some(Status::PreImportCanceled),
            Stop::AfterStart(step) => {
                called(Operation::Start, Some(step))
                    && match step {
                        Step::Pre => status.is_some(),
                        Step::Final => status.is_some_and(|status| !is_of_the_pre_step(status)),
                    }
            }
        }
    }
}

fn is_of_the_pre_step(status: Status) -> bool {
    match status {
        Status::PreImportInProgress
        | Status::PreImportComplete
        | Status::PreImportFailed
        | Status::PreImportCanceled => true,
        Status::Native
        | Status::ImportInProgress
        | Status::ImportComplete
        | Status::ImportFailed
        | Status::ImportCanceled => false,
    }
}

/// Kills every process of a function and waits until others run.
async fn kill_all(stack: &Stack, function: Function) {
    let before = stack.functions().pids(function);
    for pid in &before {
        kill(Pid::from_raw((*pid).try_into().unwrap()), Signal::SIGKILL).unwrap();
    }
    let replaced = || async {
        let now = stack.functions().pids(function);
        Ok(now.len() == before.len() && !now.iter().any(|pid| before.contains(pid)))
    };
    until("other processes run", replaced).await.unwrap();
}

/// Registers a repository for each stop, and has its start come there: by `trigger`, with `function` killed. In the
/// end each is migrated by the transitions that stand with its stop.
pub(super) async fn killed_at_each(
    stack: &Stack,
    function: Function,
    trigger: Trigger,
    stops: &[(Stop, &[&str])],
) {
    for (number, (stop, expected)) in stops.iter().enumerate() {
        let path = format!("killed/{}-{number}", function.name());
        repositories(stack, &[&path]).await.unwrap();
        time_passes(stack).await;
        Case { function, path: &path, stop: *stop, trigger }.kill(stack).await;
        schedules_run_until_the_end(stack).await;
        is_migrated(stack, &path, expected, 0).await;
    }
    nothing_is_held(stack).await;
}
