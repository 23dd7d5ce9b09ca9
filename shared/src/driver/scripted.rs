//! For tests of this room: a writer whose database answers by a script.

use aws_config::{Region, SdkConfig};
use aws_sdk_rdsdata::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};

use crate::endpoint::{DataApi, EndpointConfig, Writer, scripted_server::Reply};

/// A writer behind the Data API at `url`.
pub(super) fn writer(url: &str) -> Writer {
    let credentials = Credentials::new("id", "key", None, None, "test");
    let sdk = SdkConfig::builder()
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let config = EndpointConfig {
        arn: "arn:aws:rds:eu-central-1:123456789012:cluster:writer".to_owned(),
        secret_arn: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:writer".to_owned(),
        database: "migrations".to_owned(),
        endpoint_url: Some(url.to_owned()),
    };
    Writer::new(DataApi::new(&sdk, config))
}

/// An answer of the database: a JSON document per row.
pub(super) fn rows(rows: &[Value]) -> Reply {
    let records: Vec<Value> = rows.iter().map(|row| json!([{ "stringValue": row.to_string() }])).collect();
    Reply::answer(200, json!({ "numberOfRecordsUpdated": 0, "records": records }).to_string())
}
