use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_rdsdata::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    types::{Field, SqlParameter},
};
use tokio::time::Instant;

use super::{Call, ErrorClass, Execution, Failure, Transport, Value, data_api_error::failure_of};
use crate::connections::{Connections, TO_CONNECT, behavior_version};

/// One endpoint behind the RDS Data API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The cluster's ARN.
    pub arn: String,
    /// The ARN of the secret with the role's name and password. The secret itself is never fetched here.
    pub secret_arn: String,
    /// The database's name.
    pub database: String,
    /// Where the Data API is, if not where the SDK finds it.
    pub endpoint_url: Option<String>,
}

/// Sends statements through the RDS Data API, each as a call of its own that commits by itself.
///
/// The Data API runs every statement on the writer instance of the cluster that the call names, reads too: two
/// endpoints need two clusters.
pub struct DataApi {
    client: Client,
    connections: Connections,
    config: EndpointConfig,
}

impl DataApi {
    /// A transport of its own client, on the credentials and the region of `sdk`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, config: EndpointConfig) -> Self {
        let connections = Connections::new();
        Self { client: client(sdk, &connections, &config), connections, config }
    }
}

/// A client that sends everything once.
pub(super) fn client(sdk: &SdkConfig, connections: &Connections, config: &EndpointConfig) -> Client {
    let mut builder = aws_sdk_rdsdata::config::Builder::from(sdk)
        .http_client(connections.clone())
        .behavior_version(behavior_version())
        .timeout_config(TimeoutConfig::builder().connect_timeout(TO_CONNECT).build())
        // The SDK repeats a write after a 5xx, whether or not it ran.
        .retry_config(RetryConfig::disabled());
    if let Some(url) = &config.endpoint_url {
        builder = builder.endpoint_url(url);
    }
    Client::from_conf(builder.build())
}

#[async_trait]
impl Transport for DataApi {
    async fn execute(&self, call: Call<'_>, _deadline: Instant) -> Result<Vec<String>, Failure> {
        let parameters = call.parameters.iter().map(|(name, value)| parameter(name, value)).collect();
        let request = self
            .client
            .execute_statement()
            .resource_arn(&self.config.arn)
            .secret_arn(&self.config.secret_arn)
            .database(&self.config.database)
            .sql(call.sql)
            .set_parameters(Some(parameters));
        let answer = request.send().await.map_err(|error| failure_of(&error))?;
        // Every statement here gives rows, and none of them is a list too.
        let records = answer.records.ok_or_else(|| {
            Failure::new(Execution::Unknown, ErrorClass::Unavailable)
                .with_detail("the answer holds no records")
        })?;
        records.into_iter().enumerate().map(text_of).collect()
    }

    fn forget_connections(&self) {
        self.connections.forget();
    }
}

pub(super) fn parameter(name: &str, value: &Value) -> SqlParameter {
    let field = match value {
        Value::Null => Field::IsNull(true),
        Value::Text(text) => Field::StringValue(text.clone()),
        Value::Long(number) => Field::LongValue(*number),
        Value::Bool(truth) => Field::BooleanValue(*truth),
    };
    SqlParameter::builder().name(name).value(field).build()
}

/// The one text of a row.
pub(super) fn text_of((index, row): (usize, Vec<Field>)) -> Result<String, Failure> {
    let columns = row.len();
    match <[Field; 1]>::try_from(row) {
        Ok([Field::StringValue(text)]) => Ok(text),
        Ok(_) => Err(undecodable(format!("row {index}: the column is not text"))),
        Err(_) => Err(undecodable(format!("row {index}: {columns} columns instead of one"))),
    }
}

fn undecodable(detail: String) -> Failure {
    Failure::new(Execution::Unknown, ErrorClass::Undecodable).with_detail(detail)
}
