//! Copies what was started, and tells whoever asked how it ended, until that is answered.

use std::{collections::BTreeSet, time::Duration};

use futures::future::try_join_all;
use reqwest::{
    Client,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::{ExposeSecret, SecretString};
use shared::{endpoint::EndpointError, store::importer::Notice};
use tokio::task::JoinSet;

use super::{Protocol, answer::report};
use crate::{importer::database, stop::Stop, worker::Copied};

/// How long a notice is repeated, in seconds since the end.
const AN_HOUR: u64 = 3600;

/// As many refusals end it.
const REFUSALS: u32 = 3;

/// How often somebody looks for what nobody works on, and for whom to tell.
const LOOK: Duration = Duration::from_secs(1);

/// Notifies the driver of how an import ended.
pub struct Notifications {
    client: Client,
    url_template: String,
    secret: SecretString,
}

impl Notifications {
    /// Sends by PUT to `url_template`, in which `{path}` is the repository's path, with `secret` as its bare `Authorization`.
    ///
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(
        url_template: String,
        secret: SecretString,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let redirects = reqwest::redirect::Policy::none();
        let client = Client::builder().redirect(redirects).timeout(timeout).no_proxy().build()?;
        Ok(Self { client, url_template, secret })
    }

    /// The status of the answer. None: there was none.
    async fn tell(&self, notice: &Notice) -> Option<u16> {
        let url = self.url_template.replace("{path}", &notice.import.source);
        let body = report(&notice.import).to_string();
        let sent = self
            .client
            .put(url)
            .header(AUTHORIZATION, self.secret.expose_secret())
            .header(CONTENT_TYPE, "application/json")
            .header("X-Request-ID", &notice.request_id)
            .header("X-Gitlab-Client-Name", "gitlab-container-registry")
            .body(body)
            .send();
        Some(sent.await.ok()?.status().as_u16())
    }
}

/// What comes of a notice that was answered so.
#[derive(Debug, PartialEq, Eq)]
struct Resend {
    /// In how many seconds the notification is sent again. None: never.
    again: Option<u32>,
    refused: bool,
}

/// Decides whether a notification is sent again. A 200 ends it. A 4xx other than 408 and 429 is a refusal, and the third
/// ends it too. Anything else is sent again after 5 s, 30 s, then each 5 minutes, for an hour.
fn resend(status: Option<u16>, notices: u32, refused_before: u32, age_seconds: u64) -> Resend {
    let refused = status.is_some_and(|status| (400..500).contains(&status) && status != 408 && status != 429);
    let ends = status == Some(200) || (refused && refused_before + 1 >= REFUSALS) || age_seconds >= AN_HOUR;
    let pause = match notices {
        0 | 1 => 5,
        2 => 30,
        _ => 300,
    };
    Resend { again: (!ends).then_some(pause), refused }
}

impl Protocol {
    async fn notify(&self, notice: Notice) -> Result<(), EndpointError> {
        let status = self.notifications.tell(&notice).await;
        let Resend { again, refused } =
            resend(status, notice.notices, notice.notices_refused, notice.age_seconds);
        tracing::info!(source = notice.import.source, ?status, "told how an import ended");
        self.importer.protocol.keep_notice(&notice, again, refused, database()).await
    }

    /// Copies what is started and tells how it ended, until `stop` asks for an end. Of several processes each does what
    /// nobody else does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn attend(&self, stop: &Stop) -> Result<(), EndpointError> {
        // Each on its own: whatever waits here holds up no heartbeat.
        let mut copies = JoinSet::new();
        let mut copied: BTreeSet<String> = BTreeSet::new();
        loop {
            if !stop.is_asked() {
                for source in self.importer.protocol.unattended(database()).await? {
                    if copied.insert(source.clone()) {
                        let importer = self.importer.clone();
                        let stop = stop.clone();
                        copies.spawn(async move {
                            let ended = importer.copy(&source, &stop).await;
                            (source, ended)
                        });
                    }
                }
            }
            let due = self.importer.protocol.due_notices(database()).await?;
            try_join_all(due.into_iter().map(|notice| self.notify(notice))).await?;
            tokio::select! {
                Some(joined) = copies.join_next() => {
                    let Ok((source, ended)) = joined else { continue };
                    copied.remove(&source);
                    match ended {
                        Ok(Copied::Ended(status)) => {
                            tracing::info!(source, status = status.name(), "an import has ended");
                        }
                        Ok(_) => {}
                        Err(error) => tracing::warn!(source, %error, "an import is left to the next worker"),
                    }
                }
                () = self.started.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            if stop.is_asked() && copies.is_empty() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Resend, resend};

    #[test]
    fn tells_again_until_it_is_answered_by_200() {
        let again = |seconds| Resend { again: Some(seconds), refused: false };
        for status in [None, Some(204), Some(201), Some(500), Some(408), Some(429), Some(302)] {
            let pauses: Vec<Resend> = (1..=4).map(|notices| resend(status, notices, 0, 10)).collect();
            assert_eq!(pauses, [again(5), again(30), again(300), again(300)], "{status:?}");
            assert_eq!(resend(status, 9, 0, 3600).again, None, "for an hour");
        }
        assert_eq!(resend(Some(200), 1, 0, 0), Resend { again: None, refused: false });
    }

    #[test]
    fn three_refusals_end_it() {
        let refused = |before| resend(Some(400), before + 1, before, 10);
        assert_eq!(refused(0), Resend { again: Some(5), refused: true });
        assert_eq!(refused(1), Resend { again: Some(30), refused: true });
        assert_eq!(refused(2), Resend { again: None, refused: true });
    }
}
