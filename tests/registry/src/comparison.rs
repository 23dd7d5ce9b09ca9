//! The same requests for two registries, and what differs in their answers.
//!
//! It shows that a [`Personality`](crate::Personality) behaves as the registry that it is named for.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::digest::{Digest, sha512_hex};
use crate::storage::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

/// The headers that clients go by.
const HEADERS: [&str; 13] = [
    "accept-ranges",
    "allow",
    "content-length",
    "content-range",
    "content-type",
    "docker-content-digest",
    "docker-distribution-api-version",
    "docker-upload-uuid",
    "etag",
    "link",
    "location",
    "oci-subject",
    "range",
];

const REPOSITORY: &str = "compared/one";
const OTHER: &str = "compared/other";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A question and what was answered: status, headers, error codes, and what a body holds. What is random in it (ids,
/// states, the address) has a name in its place, and lists of tags are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What was asked.
    pub question: String,
    /// What was answered.
    pub answer: Value,
}

/// Asks a registry that is empty all questions. `url` is as `http://127.0.0.1:5000`.
///
/// # Errors
/// When the registry cannot be reached.
pub async fn ask(url: &str) -> anyhow::Result<Vec<Answered>> {
    let redirects = reqwest::redirect::Policy::none();
    let client = Client::builder().redirect(redirects).timeout(Duration::from_secs(20)).no_proxy().build()?;
    let mut talk = Talk { client, base: url.trim_end_matches('/').to_owned(), answers: Vec::new() };
    talk.lead().await?;
    Ok(talk.answers)
}

/// A line for each question that two registries answer differently.
#[must_use]
pub fn differences(one: &[Answered], other: &[Answered]) -> Vec<String> {
    let mut lines: Vec<String> = one
        .iter()
        .zip(other)
        .filter(|(one, other)| one != other)
        .map(|(one, other)| {
            let mut line = format!("{}: {} and {}", one.question, one.answer, other.answer);
            if one.question != other.question {
                let _ = write!(line, " (and the questions are others: {})", other.question);
            }
            line
        })
        .collect();
    if one.len() != other.len() {
        lines.push(format!("{} answers and {}", one.len(), other.len()));
    }
    lines
}

struct Talk {
    client: Client,
    base: String,
    answers: Vec<Answered>,
}

struct Reply {
    status: u16,
    headers: HeaderMap,
}

impl Reply {
    fn location(&self) -> String {
        let value = self.headers.get("location").and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }
}

impl Talk {
    /// Asks, and keeps the answer. `to` is a path or a Location.
    async fn ask(
        &mut self,
        question: &str,
        method: &str,
        to: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<Reply> {
        let mut request = self.client.request(Method::from_bytes(method.as_bytes())?, self.address(to)?);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if matches!(method, "POST" | "PUT" | "PATCH") {
            request = request.body(body.to_vec());
        }
        let response = request.send().await.with_context(|| format!("{question}: {method} {to}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.told(response).await;
        let mut shown = serde_json::Map::new();
        for name in HEADERS {
            if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                shown.insert(name.to_owned(), self.named(name, value).into());
            }
        }
        if let Some(codes) = body.get("codes") {
            // How much an error explains is nobody's business.
            shown.remove("content-length");
            anyhow::ensure!(!codes.is_null(), "{question}: an error without a code");
        }
        let answer = json!({"status": status, "headers": shown, "body": body});
        self.answers.push(Answered { question: question.to_owned(), answer });
        Ok(Reply { status, headers })
    }

    fn address(&self, to: &str) -> anyhow::Result<Url> {
        let whole = if to.starts_with('/') { format!("{}{to}", self.base) } else { to.to_owned() };
        whole.parse().with_context(|| format!("no address: {to}"))
    }

    /// What a body holds, without what is random or said in other words.
    async fn told(&self, mut response: reqwest::Response) -> Value {
        let (mut body, mut whole) = (Vec::new(), true);
        loop {
            match response.chunk().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => break,
                Err(_) => {
                    whole = false;
                    break;
                }
            }
        }
        if let Ok(mut document) = serde_json::from_slice::<Value>(&body) {
            if let Some(errors) = document["errors"].as_array() {
                let codes: Vec<&Value> = errors.iter().map(|error| &error["code"]).collect();
                return json!({"codes": codes, "whole": whole});
            }
            if let Some(tags) = document["tags"].as_array_mut() {
                tags.sort_by_key(ToString::to_string);
            }
            if document.get("name").is_some() || document.get("repositories").is_some() {
                return document;
            }
        }
        match std::str::from_utf8(&body) {
            Ok(text) if text.len() < 100 => json!({"text": text, "whole": whole}),
            Ok(_) | Err(_) => json!({"digest": Digest::of(&body), "bytes": body.len(), "whole": whole}),
        }
    }

    /// A header's value with names for what is random.
    fn named(&self, name: &str, value: &str) -> String {
        let value = value.replace(&self.base, "<address>");
        match name {
            "docker-upload-uuid" => "<id>".to_owned(),
            "location" => match value.split_once("/blobs/uploads/") {
                Some((before, rest)) => {
                    let state = if rest.contains("_state=") { "?_state=<state>" } else { "" };
                    format!("{before}/blobs/uploads/<id>{state}")
                }
                None => value,
            },
            _ => value,
        }
    }

    async fn get(&mut self, question: &str, to: &str, headers: &[(&str, &str)]) -> anyhow::Result<Reply> {
        self.ask(question, "GET", to, headers, b"").await
    }

    /// Begins an upload without keeping the answer.
    async fn begin(&self) -> anyhow::Result<String> {
        let to = self.address(&format!("/v2/{REPOSITORY}/blobs/uploads/"))?;
        let response = self.client.post(to).body("").send().await?;
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        Ok(location.ok_or_else(|| anyhow!("an upload without a Location"))?.to_owned())
    }

    /// Sends a part of a body that it announces longer, and hangs up.
    async fn cut(&self, method: &str, location: &str, announced: usize, sent: usize) -> anyhow::Result<()> {
        let url = self.address(location)?;
        let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(80));
        let mut stream = TcpStream::connect(&host).await?;
        let target = &url[url::Position::BeforePath..];
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {announced}\r\nContent-Type: \
             application/octet-stream\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'x'; sent]).await?;
        stream.flush().await?;
        // It has all of it before the end, and notes the end before it is asked about it: it can say neither.
        tokio::time::sleep(Duration::from_millis(150)).await;
        drop(stream);
        tokio::time::sleep(Duration::from_millis(150)).await;
        Ok(())
    }

    /// Stores a blob without keeping the answers; says its descriptor.
    async fn store(&self, repository: &str, kind: &str, content: &[u8]) -> anyhow::Result<Value> {
        let to = self.address(&format!("/v2/{repository}/blobs/uploads/"))?;
        let begun = self.client.post(to).body("").send().await?;
        let location = begun.headers().get("location").and_then(|value| value.to_str().ok());
        let digest = Digest::of(content);
        let to =
            format!("{}&digest={digest}", location.ok_or_else(|| anyhow!("an upload without a Location"))?);
        let stored = self.client.put(self.address(&to)?).body(content.to_vec()).send().await?;
        anyhow::ensure!(stored.status() == 201, "a blob is not stored: {}", stored.status());
        Ok(json!({"mediaType": kind, "digest": digest, "size": content.len()}))
    }

    async fn put_manifest(
        &mut self,
        question: &str,
        reference: &str,
        kind: Option<&str>,
        content: &[u8],
    ) -> anyhow::Result<Reply> {
        let headers: Vec<(&str, &str)> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
        let to = format!("/v2/{REPOSITORY}/manifests/{reference}");
        self.ask(question, "PUT", &to, &headers, content).await
    }

    async fn lead(&mut self) -> anyhow::Result<()> {
        self.paths().await?;
        self.upload_life().await?;
        self.stale_locations().await?;
        self.gaps_and_cuts().await?;
        self.closings().await?;
        self.blobs().await?;
        self.mounts().await?;
        self.manifests().await?;
        self.lists().await?;
        self.deletions().await
    }

    async fn paths(&mut self) -> anyhow::Result<()> {
        let tags = format!("/v2/{REPOSITORY}/tags/list");
        self.get("the version", "/v2/", &[]).await?;
        self.get("the version without a slash", "/v2", &[]).await?;
        self.get("an empty catalogue", "/v2/_catalog", &[]).await?;
        self.get("tags of nothing", &tags, &[]).await?;
        self.get("a name that is none", "/v2/Upper/tags/list", &[]).await?;
        for (method, to) in [
            ("HEAD", tags.clone()),
            ("POST", tags.clone()),
            ("DELETE", tags),
            ("PATCH", format!("/v2/{REPOSITORY}/manifests/v1")),
            ("PUT", format!("/v2/{REPOSITORY}/blobs/{}", Digest::of(b"x"))),
            ("POST", format!("/v2/{REPOSITORY}/blobs/{}", Digest::of(b"x"))),
        ] {
            self.ask("a method that is not allowed", method, &to, &[], b"").await?;
        }
        Ok(())
    }

    async fn upload_life(&mut self) -> anyhow::Result<()> {
        let begin = format!("/v2/{REPOSITORY}/blobs/uploads/");
        let first = self.ask("an upload is begun", "POST", &begin, &[], b"").await?.location();
        self.ask("an upload without a slash", "POST", begin.trim_end_matches('/'), &[], b"").await?;
        self.get("an empty upload", &first, &[]).await?;
        self.ask("an empty upload by HEAD", "HEAD", &first, &[], b"").await?;
        let kind = [("content-type", "application/octet-stream")];
        let second = self.ask("a first part", "PATCH", &first, &kind, b"0123456789").await?.location();
        self.get("an upload after a part", &second, &[]).await?;
        let range = [("content-range", "10-19"), ("content-type", "application/octet-stream")];
        let third =
            self.ask("a part that says where", "PATCH", &second, &range, b"abcdefghij").await?.location();
        let digest = Digest::of(b"0123456789abcdefghij");
        let end = format!("{third}&digest={digest}");
        self.ask("the closing PUT", "PUT", &end, &[], b"").await?;
        self.ask("the closing PUT again", "PUT", &end, &[], b"").await?;
        self.get("an upload that has ended", &third, &[]).await?;
        let first = self.begin().await?;
        self.ask("an upload is canceled", "DELETE", &first, &[], b"").await?;
        self.get("an upload that was canceled", &first, &[]).await?;
        let first = self.begin().await?;
        self.ask("one byte", "PATCH", &first, &kind, b"0").await?;
        let first = self.begin().await?;
        let empty = format!("{first}&digest={}", Digest::of(b""));
        self.ask("a blob of no bytes", "PUT", &empty, &[], b"").await?;
        for id in ["not-an-id", "11111111-1111-4111-8111-111111111111"] {
            self.get("an upload that never was", &format!("{begin}{id}"), &[]).await?;
        }
        let first = self.begin().await?;
        let bare = first.split('?').next().unwrap_or_default().to_owned();
        self.get("an upload without its state", &bare, &[]).await?;
        let wrong = [("content-type", "text/plain")];
        self.ask("a part of another type", "PATCH", &first, &wrong, b"0").await?;
        Ok(())
    }

    async fn stale_locations(&mut self) -> anyhow::Result<()> {
        let content = b"0123456789";
        let digest = format!("&digest={}", Digest::of(content));
        for (method, more) in
            [("GET", ""), ("HEAD", ""), ("PATCH", ""), ("PUT", digest.as_str()), ("DELETE", "")]
        {
            let first = self.begin().await?;
            let second =
                self.ask("a part whose answer is lost", "PATCH", &first, &[], content).await?.location();
            let stale = format!("{first}{more}");
            let body: &[u8] = if method == "PATCH" { content } else { b"" };
            self.ask(&format!("{method} at a stale Location"), method, &stale, &[], body).await?;
            self.get("the newest Location afterwards", &second, &[]).await?;
            let healed = self.get("the stale Location afterwards", &first, &[]).await?;
            if healed.status == 204 {
                let on = [("content-range", "10-19")];
                let next =
                    self.ask("goes on where it stands", "PATCH", &healed.location(), &on, content).await?;
                let end = format!("{}&digest={}", next.location(), Digest::of(b"01234567890123456789"));
                self.ask("and ends", "PUT", &end, &[], b"").await?;
            }
        }
        Ok(())
    }

    async fn gaps_and_cuts(&mut self) -> anyhow::Result<()> {
        let first = self.begin().await?;
        let second = self.ask("ten bytes", "PATCH", &first, &[], b"0123456789").await?.location();
        let gap = self.ask("a gap", "PATCH", &second, &[("content-range", "20-24")], b"vwxyz").await?;
        let newest = if gap.status == 202 { gap.location() } else { second };
        let newest = self.get("an upload after a gap", &newest, &[]).await?.location();
        let nonsense = [("content-range", "nonsense")];
        self.ask("a range that is none", "PATCH", &newest, &nonsense, b"q").await?;
        let short = [("content-range", "0-99")];
        let first = self.begin().await?;
        self.ask("a range of another length", "PATCH", &first, &short, b"0123456789").await?;
        let first = self.begin().await?;
        self.cut("PATCH", &first, 400_000, 150_000).await?;
        self.get("an upload whose only part was cut", &first, &[]).await?;
        let first = self.begin().await?;
        let second = self.ask("a whole part", "PATCH", &first, &[], &[b'y'; 100_000]).await?.location();
        self.cut("PATCH", &second, 100_000, 50_000).await?;
        let standing = self.get("an upload whose second part was cut", &second, &[]).await?;
        self.get("its first Location", &first, &[]).await?;
        self.ask("its end", "DELETE", &second, &[], b"").await?;
        if standing.status == 204 {
            let mut whole = vec![b'y'; 100_000];
            whole.extend_from_slice(&[b'x'; 50_000]);
            whole.extend_from_slice(b"end");
            let on = [("content-range", "150000-150002")];
            let next =
                self.ask("what is missing", "PATCH", &standing.location(), &on, b"end").await?.location();
            let end = format!("{next}&digest={}", Digest::of(&whole));
            self.ask("and the end of it", "PUT", &end, &[], b"").await?;
        }
        let first = self.begin().await?;
        let end = format!("{first}&digest={}", Digest::of(&[b'x'; 20]));
        self.cut("PUT", &end, 20, 10).await?;
        self.ask("a PUT again that was cut", "PUT", &end, &[], &[b'x'; 20]).await?;
        self.get("its upload", &first, &[]).await?;
        Ok(())
    }

    async fn closings(&mut self) -> anyhow::Result<()> {
        let (content, other) = (b"the content", Digest::of(b"another content"));
        let first = self.begin().await?;
        self.ask("a wrong digest", "PUT", &format!("{first}&digest={other}"), &[], content).await?;
        self.get("the upload after it", &first, &[]).await?;
        let first = self.begin().await?;
        let second = self.ask("a part", "PATCH", &first, &[], content).await?.location();
        self.ask("a wrong digest without a body", "PUT", &format!("{second}&digest={other}"), &[], b"")
            .await?;
        self.get("the upload after that", &second, &[]).await?;
        let right = format!("{second}&digest={}", Digest::of(content));
        self.ask("the right digest then", "PUT", &right, &[], b"").await?;
        let first = self.begin().await?;
        self.ask("no digest", "PUT", &first, &[], content).await?;
        self.ask("a digest that is none", "PUT", &format!("{first}&digest=sha256:xx"), &[], content).await?;
        let at_once = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={}", Digest::of(b"at once"));
        self.ask("a blob in the POST", "POST", &at_once, &[], b"at once").await?;
        Ok(())
    }

    async fn blobs(&mut self) -> anyhow::Result<()> {
        let content: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let (digest, sha512) = (Digest::of(&content), format!("sha512:{}", sha512_hex(&content)));
        self.store(REPOSITORY, LAYER_TYPE, &content).await?;
        let blob = format!("/v2/{REPOSITORY}/blobs/{digest}");
        self.ask("a blob by HEAD", "HEAD", &blob, &[], b"").await?;
        self.get("a blob", &blob, &[]).await?;
        for range in ["4990-", "0-9", "10-19", "-10", "5000-", "6000-7000", "x", "4990-9999"] {
            self.get(&format!("bytes {range} of 5000"), &blob, &[("range", &format!("bytes={range}"))])
                .await?;
        }
        self.ask("a range by HEAD", "HEAD", &blob, &[("range", "bytes=10-19")], b"").await?;
        let elsewhere = format!("/v2/{OTHER}/blobs/{digest}");
        self.get("a blob of another repository", &elsewhere, &[]).await?;
        self.ask("the same by HEAD", "HEAD", &elsewhere, &[], b"").await?;
        let nothing = Digest::of(b"nothing");
        for reference in [nothing.to_string(), "sha256:xx".to_owned(), "xx".to_owned()] {
            self.get("a blob that is not there", &format!("/v2/{REPOSITORY}/blobs/{reference}"), &[]).await?;
        }
        let first = self.begin().await?;
        self.ask("a blob by SHA-512", "PUT", &format!("{first}&digest={sha512}"), &[], &content).await?;
        let named = format!("/v2/{REPOSITORY}/blobs/{sha512}");
        self.ask("it by HEAD", "HEAD", &named, &[], b"").await?;
        self.get("the end of it", &named, &[("range", "bytes=4990-")]).await?;
        Ok(())
    }

    async fn mounts(&mut self) -> anyhow::Result<()> {
        self.store(REPOSITORY, LAYER_TYPE, b"to be mounted").await?;
        let digest = Digest::of(b"to be mounted");
        for (question, mount, from) in [
            ("a mount", digest.to_string(), Some(REPOSITORY)),
            ("a mount of what is there", digest.to_string(), Some(REPOSITORY)),
            ("a mount from nowhere", digest.to_string(), Some("no/such")),
            ("a mount of what nobody has", Digest::of(b"nobody's").to_string(), Some(REPOSITORY)),
            ("a mount from a name that is none", digest.to_string(), Some("No..")),
            ("a mount without its source", digest.to_string(), None),
            ("a mount of no digest", "sha256:x".to_owned(), Some(REPOSITORY)),
        ] {
            let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
            let to = format!("/v2/{OTHER}/blobs/uploads/?mount={mount}{from}");
            self.ask(question, "POST", &to, &[], b"").await?;
        }
        self.ask("what was mounted", "HEAD", &format!("/v2/{OTHER}/blobs/{digest}"), &[], b"").await?;
        let begun = format!("/v2/{OTHER}-begun/blobs/uploads/");
        self.ask("a repository with but an upload", "POST", &begun, &[], b"").await?;
        Ok(())
    }

    async fn manifests(&mut self) -> anyhow::Result<()> {
        let config = self.store(REPOSITORY, CONFIG_TYPE, br#"{"architecture":"amd64","os":"linux"}"#).await?;
        let layer = self.store(REPOSITORY, LAYER_TYPE, b"a layer").await?;
        let image = |kind: &str, more: Value| {
            let mut image =
                json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
            for (name, value) in more.as_object().into_iter().flatten() {
                image[name] = value.clone();
            }
            // White space that nobody would write so: it must come back as it is.
            format!("\n {image} \n\n").into_bytes()
        };
        let descriptor = |kind: &str, content: &[u8]| {
            json!({
                "mediaType": kind, "digest": Digest::of(content), "size": content.len(),
                "platform": {"architecture": "amd64", "os": "linux"},
            })
        };
        let index = |kind: &str, children: Vec<Value>| {
            json!({"schemaVersion": 2, "mediaType": kind, "manifests": children}).to_string().into_bytes()
        };
        let oci = image(OCI_MANIFEST, json!({}));
        let docker = image(DOCKER_MANIFEST, json!({}));
        let absent = Digest::of(b"absent");
        let nowhere = json!({"mediaType": LAYER_TYPE, "digest": absent, "size": 6});
        let foreign = json!({
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "digest": absent, "size": 6,
            "urls": ["https://example.com/layer"],
        });
        let subject =
            json!({"subject": descriptor(OCI_MANIFEST, &oci), "artifactType": "application/x-thing"});
        let no_subject =
            json!({"subject": descriptor(OCI_MANIFEST, b"absent"), "artifactType": "application/x-thing"});
        let silent = json!({"schemaVersion": 2, "config": config, "layers": [layer, layer]}).to_string();
        let silent_index =
            json!({"schemaVersion": 2, "manifests": [descriptor(OCI_MANIFEST, &oci)]}).to_string();
        let artifact = "application/vnd.oci.artifact.manifest.v1+json";
        let schema_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        let by_digest = Digest::of(&oci).to_string();
        let of_other = Digest::of(b"other").to_string();
        let long = "t".repeat(128);
        let padded = |bytes: usize| image(OCI_MANIFEST, json!({"annotations": {"x": "y".repeat(bytes)}}));
        for (question, reference, kind, content) in [
            ("an OCI image", "oci", Some(OCI_MANIFEST), oci.clone()),
            ("the same again", "oci", Some(OCI_MANIFEST), oci.clone()),
            ("by its digest", &by_digest, Some(OCI_MANIFEST), oci.clone()),
            ("by another digest", &of_other, Some(OCI_MANIFEST), oci.clone()),
            ("without a type", "none", None, oci.clone()),
            ("with another type", "none", Some(DOCKER_MANIFEST), oci.clone()),
            ("with an unknown type", "none", Some("application/x-unknown"), oci.clone()),
            ("a tag of 128 characters", &long, Some(OCI_MANIFEST), oci.clone()),
            ("a tag of 129", &format!("{long}t"), Some(OCI_MANIFEST), oci.clone()),
            ("a tag that is none", "-x", Some(OCI_MANIFEST), oci.clone()),
            ("one that does not say its type", "silent", Some(OCI_MANIFEST), silent.into_bytes()),
            ("a docker image", "docker", Some(DOCKER_MANIFEST), docker.clone()),
            ("an index", "index", Some(OCI_INDEX), index(OCI_INDEX, vec![descriptor(OCI_MANIFEST, &oci)])),
            ("an index of nothing", "empty", Some(OCI_INDEX), index(OCI_INDEX, Vec::new())),
            ("an index that does not say so", "silent-index", Some(OCI_INDEX), silent_index.into_bytes()),
            (
                "a docker list",
                "list",
                Some(DOCKER_LIST),
                index(DOCKER_LIST, vec![descriptor(DOCKER_MANIFEST, &docker)]),
            ),
            (
                "without its child",
                "none",
                Some(OCI_INDEX),
                index(OCI_INDEX, vec![descriptor(OCI_MANIFEST, b"absent")]),
            ),
            (
                "without its layer",
                "none",
                Some(OCI_MANIFEST),
                image(OCI_MANIFEST, json!({"layers": [nowhere]})),
            ),
            (
                "without its config",
                "none",
                Some(OCI_MANIFEST),
                image(OCI_MANIFEST, json!({"config": nowhere})),
            ),
            (
                "with a foreign layer",
                "none",
                Some(DOCKER_MANIFEST),
                image(DOCKER_MANIFEST, json!({"layers": [foreign]})),
            ),
            ("a referrer", "referrer", Some(OCI_MANIFEST), image(OCI_MANIFEST, subject)),
            ("a referrer of nothing", "lonely", Some(OCI_MANIFEST), image(OCI_MANIFEST, no_subject)),
            (
                "an artifact manifest",
                "none",
                Some(artifact),
                json!({"mediaType": artifact}).to_string().into_bytes(),
            ),
            ("schema 1", "none", Some(schema_1), br#"{"schemaVersion":1,"name":"a","tag":"b"}"#.to_vec()),
            ("an empty document", "none", Some(OCI_MANIFEST), b"{}".to_vec()),
            ("no document", "none", Some(OCI_MANIFEST), b"no document".to_vec()),
            ("3.9 MB", "large", Some(OCI_MANIFEST), padded(3_900_000)),
            ("4.2 MB", "none", Some(OCI_MANIFEST), padded(4_200_000)),
        ] {
            self.put_manifest(&format!("PUT {question}"), reference, kind, &content).await?;
        }
        let every = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        for reference in [
            "oci",
            "silent",
            "docker",
            "index",
            "silent-index",
            "list",
            "empty",
            &by_digest,
            &of_other,
            "none",
        ] {
            for accept in [every.as_str(), OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, "*/*"] {
                let question = format!("GET {reference} as {accept}");
                self.get(
                    &question,
                    &format!("/v2/{REPOSITORY}/manifests/{reference}"),
                    &[("accept", accept)],
                )
                .await?;
            }
            self.get(&format!("GET {reference}"), &format!("/v2/{REPOSITORY}/manifests/{reference}"), &[])
                .await?;
            let accept = [("accept", every.as_str())];
            let to = format!("/v2/{REPOSITORY}/manifests/{reference}");
            self.ask(&format!("HEAD {reference}"), "HEAD", &to, &accept, b"").await?;
        }
        let unchanged = format!("\"{by_digest}\"");
        let known = [("accept", every.as_str()), ("if-none-match", unchanged.as_str())];
        self.get("a manifest that the client has", &format!("/v2/{REPOSITORY}/manifests/oci"), &known)
            .await?;
        self.get("a manifest of no repository", "/v2/no/such/manifests/v1", &[("accept", &every)]).await?;
        self.get("its referrers", &format!("/v2/{REPOSITORY}/referrers/{by_digest}"), &[]).await?;
        Ok(())
    }

    async fn lists(&mut self) -> anyhow::Result<()> {
        let tags = format!("/v2/{REPOSITORY}/tags/list");
        for query in ["", "?n=2", "?n=2&last=index", "?n=0", "?n=x", "?n=-1", "?n=100000"] {
            self.get(&format!("tags {query}"), &format!("{tags}{query}"), &[]).await?;
        }
        self.get("tags of blobs alone", &format!("/v2/{OTHER}/tags/list"), &[]).await?;
        for name in ["compared/p", "compared/q", "compared/r"] {
            let config = self.store(name, CONFIG_TYPE, b"{}").await?;
            let image =
                json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []});
            let to = format!("/v2/{name}/manifests/v1");
            let kind = [("content-type", OCI_MANIFEST)];
            self.ask("one more repository", "PUT", &to, &kind, image.to_string().as_bytes()).await?;
        }
        for query in ["", "?n=2", "?n=2&last=compared/p", "?n=0", "?n=x", "?n=-1", "?n=1001", "?n=1000"] {
            self.get(&format!("catalogue {query}"), &format!("/v2/_catalog{query}"), &[]).await?;
        }
        Ok(())
    }

    async fn deletions(&mut self) -> anyhow::Result<()> {
        let manifest = |reference: &str| format!("/v2/{REPOSITORY}/manifests/{reference}");
        let tags = format!("/v2/{REPOSITORY}/tags/list");
        self.ask("DELETE a tag", "DELETE", &manifest("empty"), &[], b"").await?;
        self.get("tags after it", &tags, &[]).await?;
        self.ask("DELETE a tag that is not there", "DELETE", &manifest("none"), &[], b"").await?;
        let every = [("accept", OCI_MANIFEST)];
        let image = self.ask("HEAD what goes", "HEAD", &manifest("oci"), &every, b"").await?;
        let digest = image.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
        let digest = digest.unwrap_or_default().to_owned();
        self.ask("DELETE a manifest that an index names", "DELETE", &manifest(&digest), &[], b"").await?;
        self.ask("DELETE it again", "DELETE", &manifest(&digest), &[], b"").await?;
        self.get("it by its digest", &manifest(&digest), &every).await?;
        self.get("it by its tag", &manifest("oci"), &every).await?;
        self.get("tags after that", &tags, &[]).await?;
        self.get("the index that names it", &manifest("index"), &[("accept", OCI_INDEX)]).await?;
        let layer = format!("/v2/{REPOSITORY}/blobs/{}", Digest::of(b"a layer"));
        self.ask("DELETE a layer in use", "DELETE", &layer, &[], b"").await?;
        self.ask("DELETE that again", "DELETE", &layer, &[], b"").await?;
        self.ask("HEAD that layer", "HEAD", &layer, &[], b"").await?;
        let last =
            self.ask("HEAD the last manifest", "HEAD", "/v2/compared/p/manifests/v1", &every, b"").await?;
        let digest = last.headers.get("docker-content-digest").and_then(|value| value.to_str().ok());
        let last = format!("/v2/compared/p/manifests/{}", digest.unwrap_or_default());
        self.ask("DELETE the last manifest", "DELETE", &last, &[], b"").await?;
        self.get("tags of a repository that has lost all", "/v2/compared/p/tags/list", &[]).await?;
        self.get("the catalogue at the end", "/v2/_catalog?n=1000", &[]).await?;
        Ok(())
    }
}
