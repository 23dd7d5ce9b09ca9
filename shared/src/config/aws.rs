//! The AWS SDK's shared configuration.

use aws_config::{
    SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use crate::endpoint::behavior_version;

/// Region, credentials and addresses from the environment and from nowhere else: Lambda sets all of them
/// there. A machine's profile files and the instance metadata service would only give a local run somebody's
/// real account, or seconds of waiting for an address that does not answer.
pub async fn sdk_config() -> SdkConfig {
    // A set without any file is refused, hence an empty one.
    let no_profiles = EnvConfigFiles::builder()
        .with_contents(EnvConfigFileKind::Config, "")
        .build();
    aws_config::defaults(behavior_version())
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .profile_files(no_profiles)
        .load()
        .await
}
