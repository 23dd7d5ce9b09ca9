//! A personality answers as the registry that it is named for.

use local_registry::{Distribution, DistributionConfig, Personality, comparison};
use tempfile::TempDir;

use crate::debian::Debian;

#[tokio::test]
async fn distribution_2_answers_as_docker_registry_does() {
    let (debian, folder) = (Debian::start(), TempDir::new().unwrap());
    let config = DistributionConfig::new(Personality::Distribution2, folder.path());
    let ours = Distribution::start(config).await.unwrap();
    let real = comparison::ask(&debian.url).await.unwrap();
    let fake = comparison::ask(&ours.url()).await.unwrap();
    let differences = comparison::differences(&real, &fake);
    assert!(real.len() > 200, "{} questions", real.len());
    assert!(differences.is_empty(), "docker-registry and ours differ:\n{}", differences.join("\n"));
}
