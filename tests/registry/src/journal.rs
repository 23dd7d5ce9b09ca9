//! What was received and what was sent, to look at afterwards or to wait for.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use crate::lock::lock;
use crate::status::{Operation, Report, Step};

/// One call of the import protocol.
///
/// `received` and `ended` number everything that happens to the registry in one order, shared with
/// [`NotificationRecord`]: a notification with a smaller `ended` than a call's was answered before that call was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Its place in the order of things.
    pub received: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// Which call it is.
    pub operation: Operation,
    /// The container repository it names, if any.
    pub path: Option<String>,
    /// The step it asks for, if any.
    pub step: Option<Step>,
    /// The `X-Request-ID` it came with.
    pub request_id: Option<String>,
    /// The answer's HTTP status; `None` while there is none, and for ever when the connection was cut.
    pub answered: Option<u16>,
    /// `errors[0].code` of the answer.
    pub error_code: Option<String>,
    /// The answer's place in the order of things.
    pub ended: Option<u64>,
}

/// One notification, each sending of it a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotificationRecord {
    /// Its place in the order of things.
    pub sent: u64,
    /// When it was sent, or would have been.
    pub at: Timestamp,
    /// The body.
    pub report: Report,
    /// The `X-Request-ID` it went with.
    pub request_id: Option<String>,
    /// What became of it.
    pub outcome: Delivery,
    /// The outcome's place in the order of things.
    pub ended: Option<u64>,
}

impl NotificationRecord {
    /// Whether the driver took it: exactly 200.
    pub fn is_accepted(&self) -> bool {
        matches!(self.outcome, Delivery::Answered { status: 200, .. })
    }
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Delivery {
    /// It is on its way.
    Underway,
    /// It was answered. Anything but 200 is a failure, and there is no second try.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body's `message`, if it has one.
        message: Option<String>,
    },
    /// Nobody answered in time, or at all.
    Failed {
        /// Why.
        error: String,
    },
    /// It was not sent: a rule lost it, or no address is configured.
    NotSent,
}

/// Both journals.
#[derive(Debug)]
pub struct Journal {
    pages: Mutex<Pages>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Pages {
    last: u64,
    requests: Vec<RequestRecord>,
    notifications: Vec<NotificationRecord>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { pages: Mutex::default(), changed: watch::channel(()).0 }
    }
}

impl Pages {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Journal {
    /// The calls received so far, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.pages).requests.clone()
    }

    /// The notifications sent so far, oldest first.
    pub fn notifications(&self) -> Vec<NotificationRecord> {
        lock(&self.pages).notifications.clone()
    }

    /// Forgets what is finished.
    pub fn clear(&self) {
        let mut pages = lock(&self.pages);
        pages.requests.retain(|record| record.ended.is_none());
        pages.notifications.retain(|record| record.ended.is_none());
    }

    /// Waits until `holds` is true of the journals. False when `at_most` has passed without that.
    #[must_use]
    pub async fn wait_until(&self, at_most: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            while !holds(self) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(at_most, waiting).await.is_ok()
    }

    pub(crate) fn received(
        &self,
        operation: Operation,
        path: Option<&str>,
        step: Option<Step>,
        request_id: Option<&str>,
    ) -> u64 {
        let mut pages = lock(&self.pages);
        let received = pages.next();
        pages.requests.push(RequestRecord {
            received,
            at: Timestamp::now(),
            operation,
            path: path.map(str::to_owned),
            step,
            request_id: request_id.map(str::to_owned),
            answered: None,
            error_code: None,
            ended: None,
        });
        drop(pages);
        self.changed.send_replace(());
        received
    }

    /// Notes the end of a call; `answered` is `None` when its connection was cut.
    pub(crate) fn answered(&self, received: u64, answered: Option<u16>, error_code: Option<String>) {
        let mut pages = lock(&self.pages);
        let ended = pages.next();
        if let Some(record) = pages.requests.iter_mut().rfind(|record| record.received == received) {
            record.answered = answered;
            record.error_code = error_code;
            record.ended = Some(ended);
        }
        drop(pages);
        self.changed.send_replace(());
    }

    pub(crate) fn sending(&self, report: &Report, request_id: Option<&str>) -> u64 {
        let mut pages = lock(&self.pages);
        let sent = pages.next();
        pages.notifications.push(NotificationRecord {
            sent,
            at: Timestamp::now(),
            report: report.clone(),
            request_id: request_id.map(str::to_owned),
            outcome: Delivery::Underway,
            ended: None,
        });
        drop(pages);
        self.changed.send_replace(());
        sent
    }

    pub(crate) fn sent(&self, sent: u64, outcome: Delivery) {
        let mut pages = lock(&self.pages);
        let ended = pages.next();
        if let Some(record) = pages.notifications.iter_mut().rfind(|record| record.sent == sent) {
            record.outcome = outcome;
            record.ended = Some(ended);
        }
        drop(pages);
        self.changed.send_replace(());
    }
}
