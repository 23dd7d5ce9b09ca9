use std::time::Duration;

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::get_secret_value::GetSecretValueError,
};
use secrecy::SecretString;
use tokio::time::timeout_at;

use crate::{
    aws_errors::{is_out_of_time, is_throttling},
    config::SecretArn,
    connections::Connections,
    startup::{TO_START, start_deadline},
};

/// Why a secret was not read in time.
const NO_ANSWER: &str = "no answer in time";

/// A secret could not be had. Says which and why, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The store refused: somebody has to repair something.
    #[error("the secret {arn} cannot be read: {reason}")]
    Unreadable {
        /// The secret.
        arn: SecretArn,
        /// Why, in the store's or the client's words.
        reason: String,
    },
    /// The store could not be reached, or is not available: later it may be.
    #[error("the secret {arn} cannot be read now: {reason}")]
    Unavailable {
        /// The secret.
        arn: SecretArn,
        /// Why, in the store's or the client's words.
        reason: String,
    },
    /// The secret is there and is not what is expected of it.
    #[error("the secret {arn} {reason}")]
    Form {
        /// The secret.
        arn: SecretArn,
        /// What it is, and what is to be done.
        reason: &'static str,
    },
    /// The secret is there and holds no text, or an empty one.
    #[error("the secret {arn} holds no text")]
    NoText {
        /// The secret.
        arn: SecretArn,
    },
}

impl SecretError {
    /// Whether the store says that this process may not read it. Right after a permission was given that passes.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Unreadable { reason, .. } if reason.starts_with("AccessDenied"))
    }
}

/// Which of a secret's versions: a rotation leaves the one before for those who have not heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Current,
    Previous,
}

impl Version {
    fn stage(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Previous => "AWSPREVIOUS",
        }
    }
}

/// How long a reading may take.
struct Patience {
    connect: Duration,
    attempt: Duration,
    whole: Duration,
}

/// While a caller waits for the answer.
const BESIDE_A_REQUEST: Patience = Patience {
    connect: Duration::from_millis(800),
    attempt: Duration::from_millis(1200),
    whole: Duration::from_millis(2500),
};

/// While the process starts: nothing can be answered before, and a process that gives up loses what it was started
/// for.
const AT_START: Patience =
    Patience { connect: Duration::from_millis(2000), attempt: Duration::from_millis(3500), whole: TO_START };

/// Reads secrets from Secrets Manager.
#[derive(Clone, Debug)]
pub struct SecretReader {
    client: Client,
    patient: Client,
}

impl SecretReader {
    /// A reader whose calls end within 2.5 seconds, retries included: a caller waits for some of them. Those at the
    /// start of the process have longer.
    #[must_use]
    pub fn new(sdk: &SdkConfig) -> Self {
        let connections = Connections::new();
        let client = |patience: Patience| {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(patience.connect)
                .operation_attempt_timeout(patience.attempt)
                .operation_timeout(patience.whole)
                .build();
            let retries =
                RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(100));
            let config = aws_sdk_secretsmanager::config::Builder::from(sdk).http_client(connections.clone());
            Client::from_conf(config.timeout_config(timeouts).retry_config(retries).build())
        };
        Self { client: client(BESIDE_A_REQUEST), patient: client(AT_START) }
    }

    /// The secret's current text, as [`SecretReader::read`] gives it, within what is left of the time that a process
    /// has to start.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or holds no text.
    pub async fn read_at_start(&self, arn: &SecretArn) -> Result<SecretString, SecretError> {
        let reading = read_from(&self.patient, arn, Version::Current);
        match timeout_at(start_deadline(), reading).await {
            Ok(read) => read?.ok_or_else(|| SecretError::NoText { arn: arn.clone() }),
            Err(_) => Err(SecretError::Unavailable { arn: arn.clone(), reason: NO_ANSWER.to_owned() }),
        }
    }

    /// The secret's current text, without white space around it: a line break that an editor left at the end
    /// is no part of any secret.
    ///
    /// # Errors
    /// [`SecretError`] when it cannot be read or holds no text.
    pub async fn read(&self, arn: &SecretArn) -> Result<SecretString, SecretError> {
        self.read_version(arn, Version::Current)
            .await?
            .ok_or_else(|| SecretError::NoText { arn: arn.clone() })
    }

    /// `None` when there is no previous version. A secret without a current one cannot be read.
    pub(super) async fn read_version(
        &self,
        arn: &SecretArn,
        version: Version,
    ) -> Result<Option<SecretString>, SecretError> {
        read_from(&self.client, arn, version).await
    }
}

async fn read_from(
    client: &Client,
    arn: &SecretArn,
    version: Version,
) -> Result<Option<SecretString>, SecretError> {
    let request = client.get_secret_value().secret_id(arn.as_str()).version_stage(version.stage());
    let output = match (request.send().await, version) {
        (Ok(output), _) => output,
        (Err(SdkError::ServiceError(error)), Version::Previous)
            if error.err().is_resource_not_found_exception() =>
        {
            return Ok(None);
        }
        (Err(error), _) => {
            let (arn, reason) = (arn.clone(), reason(&error));
            return Err(if may_pass(&error) {
                SecretError::Unavailable { arn, reason }
            } else {
                SecretError::Unreadable { arn, reason }
            });
        }
    };
    let text = output.secret_string().map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) => Ok(Some(SecretString::from(text))),
        None => Err(SecretError::NoText { arn: arn.clone() }),
    }
}

/// Whether the same request may succeed later without anybody repairing anything.
fn may_pass(error: &SdkError<GetSecretValueError>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            let (code, message) = (service.err().code(), service.err().message().unwrap_or_default());
            code.is_some_and(|code| is_throttling(code) || is_out_of_time(code, message))
                || matches!(service.raw().status().as_u16(), 429 | 500..)
        }
        // It failed before anybody was asked: no credentials, for example.
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        _ => false,
    }
}

/// Built by hand, since an SDK error's own text may hold the answer's body.
fn reason<R>(error: &SdkError<GetSecretValueError, R>) -> String {
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("an error without a code");
            format!("{code}: {}", service.err().message().unwrap_or("no message"))
        }
        SdkError::TimeoutError(_) => NO_ANSWER.to_owned(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => NO_ANSWER.to_owned(),
        SdkError::DispatchFailure(_) => "the store cannot be reached".to_owned(),
        SdkError::ResponseError(_) => "unreadable response from Secrets Manager".to_owned(),
        _ => "the request cannot be made".to_owned(),
    }
}
