//! The AWS SDK's shared configuration.

use aws_config::{
    ConfigLoader, SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

use crate::connections::{Connections, behavior_version};

/// Region, credentials and addresses from the environment and from nowhere else: Lambda sets all of them
/// there. A machine's profile files and the instance metadata service would only give a local run somebody's
/// real account, or seconds of waiting for an address that does not answer.
pub async fn sdk_config() -> SdkConfig {
    loader().load().await
}

pub(super) fn loader() -> ConfigLoader {
    // A set without any file is refused, hence an empty one.
    let no_profiles = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, "").build();
    aws_config::defaults(behavior_version())
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .profile_files(no_profiles)
        // The SDK's own client would read all of the machine's certificates.
        .http_client(Connections::new())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use aws_sdk_secretsmanager::config::ProvideCredentials;

    #[test]
    fn reads_the_environment_and_no_machines_profile() {
        let mut profile = tempfile::NamedTempFile::new().unwrap();
        writeln!(profile, "[default]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:1").unwrap();
        let load = |region: Option<&str>, url: Option<&str>| {
            let variables = [
                ("AWS_CONFIG_FILE", profile.path().to_str()),
                ("AWS_REGION", region),
                ("AWS_DEFAULT_REGION", None),
                ("AWS_ACCESS_KEY_ID", Some("local")),
                ("AWS_SECRET_ACCESS_KEY", Some("local")),
                ("AWS_ENDPOINT_URL", url),
            ];
            temp_env::with_vars(variables, || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let config = super::sdk_config().await;
                    let credentials =
                        config.credentials_provider().unwrap().provide_credentials().await.unwrap();
                    let text = |given: &str| given.to_owned();
                    (
                        credentials.access_key_id().to_owned(),
                        config.region().map(|region| text(region.as_ref())),
                        config.endpoint_url().map(text),
                    )
                })
            })
        };
        let given = |region: Option<&str>, url: Option<&str>| {
            ("local".to_owned(), region.map(str::to_owned), url.map(str::to_owned))
        };
        assert_eq!(load(None, None), given(None, None));
        let (region, url) = (Some("eu-central-1"), Some("http://127.0.0.1:2"));
        assert_eq!(load(region, url), given(region, url));
    }
}
