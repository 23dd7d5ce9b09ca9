//! One parameter there and back, with the unmodified Rust SDK.
//!
//! `AWS_ENDPOINT_URL_RDS_DATA=http://127.0.0.1:8080 cargo run -p local-data-api --example rust_sdk`

use anyhow::Context as _;
use aws_sdk_rdsdata::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_rdsdata::types::{Field, SqlParameter};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("AWS_ENDPOINT_URL_RDS_DATA").context("AWS_ENDPOINT_URL_RDS_DATA")?;
    let config = aws_sdk_rdsdata::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "example"))
        .endpoint_url(url)
        .build();
    let client = aws_sdk_rdsdata::Client::from_conf(config);
    let parameter = SqlParameter::builder().name("day").value(Field::StringValue("2026-02-28".to_owned()));
    let answer = client
        .execute_statement()
        .resource_arn("arn:aws:rds:eu-central-1:123456789012:cluster:example")
        .secret_arn("arn:aws:secretsmanager:eu-central-1:123456789012:secret:example")
        // Without the cast this is text, and text plus an integer is SQLSTATE 42883.
        .sql("SELECT :day::date + 1")
        .parameters(parameter.build())
        .send()
        .await?;
    println!("{:?}", answer.records());
    Ok(())
}
