//! Telling the driver how an import ended: once, and never again.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::config::Notification;
use crate::journal::{Delivery, Journal};
use crate::status::Report;

/// Sends notifications and writes each into the journal.
#[derive(Debug)]
pub(crate) struct Notifier {
    client: reqwest::Client,
    target: Option<Notification>,
}

#[derive(Deserialize)]
struct Answer {
    message: String,
}

impl Notifier {
    pub(crate) fn new(target: Option<Notification>) -> reqwest::Result<Self> {
        // A redirect is not a 200, so it is a failure like any other answer.
        let redirects = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(redirects).no_proxy().build()?;
        Ok(Self { client, target })
    }

    /// Sends one notification and waits for what becomes of it.
    pub(crate) async fn send(&self, report: &Report, request_id: Option<&str>, journal: &Journal) {
        let Some(target) = &self.target else { return self.skip(report, request_id, journal) };
        let sent = journal.sending(report, request_id);
        let outcome = match self.call(target, report, request_id).await {
            Ok(answered) => answered,
            // Without the address: it may carry credentials.
            Err(error) => Delivery::Failed { error: chain(&error.without_url()) },
        };
        if !matches!(outcome, Delivery::Answered { status: 200, .. }) {
            tracing::warn!(path = report.path, status = %report.status, ?outcome, "notification lost");
        }
        journal.sent(sent, outcome);
    }

    /// Writes down that a notification was not sent.
    pub(crate) fn skip(&self, report: &Report, request_id: Option<&str>, journal: &Journal) {
        let sent = journal.sending(report, request_id);
        journal.sent(sent, Delivery::NotSent);
    }

    async fn call(
        &self,
        target: &Notification,
        report: &Report,
        request_id: Option<&str>,
    ) -> reqwest::Result<Delivery> {
        let url = target.url_template.replace("{path}", &report.path);
        let mut request = self
            .client
            .put(url)
            .timeout(target.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Gitlab-Client-Name", "gitlab-container-registry");
        if let Ok(mut secret) = HeaderValue::from_str(target.secret.expose_secret()) {
            secret.set_sensitive(true);
            request = request.header(AUTHORIZATION, secret);
        }
        if let Some(id) = request_id {
            request = request.header("X-Request-ID", id);
        }
        let answer = request.body(serde_json::json!(report).to_string()).send().await?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await?;
        let message = serde_json::from_slice(&body).ok().map(|answer: Answer| answer.message);
        Ok(Delivery::Answered { status, message })
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
