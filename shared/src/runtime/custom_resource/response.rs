use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Client, redirect};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::event::Receipt;
use crate::migration::foreign;

/// The longest reason, in characters: an answer may have 4096 bytes in all.
const REASON: usize = 800;

/// The longest that one sending may take.
const SENDING: Duration = Duration::from_secs(3);

/// The pauses between two sendings.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(Duration::from_secs(1))
    .with_factor(2.0)
    .without_max_times()
    .with_jitter();

/// Tells the stack that its resource is as it wants it, or why not, again until it is taken or `deadline` has passed.
///
/// # Errors
/// Why it was not taken, without the address.
pub(super) async fn deliver(
    receipt: &Receipt<'_>,
    failure: Option<&String>,
    deadline: Instant,
) -> Result<(), String> {
    let url = receipt.url.as_ref().map_err(ToString::to_string)?;
    let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(SENDING).build();
    let client = client.map_err(|_| "there is no HTTP client".to_owned())?;
    let answer = answer(receipt, failure).to_string();
    let sending = || send(&client, url, &answer);
    sending
        .retry(PAUSES)
        .when(|refusal| refusal.may_pass)
        .adjust(|_, pause| pause.filter(|pause| Instant::now() + *pause < deadline))
        .await
        .map_err(|refusal| refusal.reason)
}

struct Refusal {
    may_pass: bool,
    reason: String,
}

async fn send(client: &Client, url: &Url, answer: &str) -> Result<(), Refusal> {
    // Without a content type: the signature knows of none.
    let sent = client.put(url.clone()).body(answer.to_owned()).send().await;
    // The error's own text would show the address.
    let status = sent.map_err(|_| Refusal { may_pass: true, reason: "nobody answered".to_owned() })?.status();
    if status.is_success() {
        return Ok(());
    }
    let may_pass = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    Err(Refusal { may_pass, reason: format!("refused with {status}") })
}

fn answer(receipt: &Receipt<'_>, failure: Option<&String>) -> Value {
    let mut answer = json!({
        "Status": if failure.is_none() { "SUCCESS" } else { "FAILED" },
        "PhysicalResourceId": receipt.physical_id,
        "StackId": receipt.stack,
        "RequestId": receipt.request,
        "LogicalResourceId": receipt.logical_id,
    });
    if let Some(reason) = failure {
        answer["Reason"] = foreign::keep_first(reason, REASON).into();
    }
    answer
}
