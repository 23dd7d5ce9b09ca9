//! A registry with a personality, and a client.

use local_registry::digest::Digest;
use local_registry::storage::ImageOptions;
use local_registry::{Distribution, DistributionConfig, Personality, Record};
use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;

use crate::bench::{AT_MOST, Answer, IMAGE};

pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

pub struct Site {
    pub registry: Distribution,
    pub client: reqwest::Client,
    pub folder: TempDir,
}

impl Site {
    /// A registry with [`IMAGE`] in it.
    pub async fn new(personality: Personality) -> Self {
        Self::with(personality, |_| {}).await
    }

    pub async fn with(personality: Personality, change: impl FnOnce(&mut DistributionConfig)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = DistributionConfig::new(personality, folder.path());
        change(&mut config);
        let registry = Distribution::start(config).await.unwrap();
        registry.storage().write_image(IMAGE, &["v1", "latest"], &ImageOptions::small(1)).unwrap();
        let redirects = reqwest::redirect::Policy::none();
        let client =
            reqwest::Client::builder().redirect(redirects).timeout(AT_MOST).no_proxy().build().unwrap();
        Self { registry, client, folder }
    }

    pub fn call(&self, method: Method, to: &str) -> RequestBuilder {
        let whole = if to.starts_with('/') { format!("{}{to}", self.registry.url()) } else { to.to_owned() };
        self.client.request(method, whole)
    }

    /// Sends a request that is answered whole.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// An error where the answer or a part of it does not come.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await?;
        Ok(Answer { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
    }

    pub async fn get(&self, to: &str) -> Answer {
        self.send(self.call(Method::GET, to).header("accept", OCI_IMAGE)).await
    }

    /// A Location for an upload to a container repository.
    pub async fn begin(&self, name: &str) -> String {
        let begun = self.send(self.call(Method::POST, &format!("/v2/{name}/blobs/uploads/"))).await;
        begun.is(202);
        begun.header("location").to_owned()
    }

    /// Stores a blob.
    pub async fn push(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let to = format!("{}&digest={digest}", self.begin(name).await);
        self.send(self.call(Method::PUT, &to).body(content.to_vec())).await.is(201);
        digest
    }

    /// The only record that is as `wanted` says, when it has ended.
    pub async fn record(&self, wanted: impl Fn(&Record) -> bool) -> Record {
        let traffic = self.registry.traffic();
        let ended = traffic
            .wait_until(AT_MOST, |traffic| traffic.count(|record| wanted(record) && record.ended) == 1)
            .await;
        let mut found = traffic.records();
        found.retain(|record| wanted(record));
        assert!(ended && found.len() == 1, "{found:#?}");
        found.remove(0)
    }

    /// The layer of [`IMAGE`], and its size.
    pub async fn layer(&self) -> (Digest, u64) {
        let manifest = self.get(&format!("/v2/{IMAGE}/manifests/v1")).await.json();
        let layer = &manifest["layers"][0];
        (layer["digest"].as_str().unwrap().parse().unwrap(), layer["size"].as_u64().unwrap())
    }
}
