//! Reading and writing manifests.

use std::collections::BTreeSet;

use axum::response::Response;
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, CONTENT_DIGEST, Code, set};
use super::config::{AbsentRepository, ImmutableTags};
use super::route::Call;
use super::shape::Pieces;
use super::{Failure, Site};
use crate::digest::Digest;
use crate::storage::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, StorageError};

/// Distribution takes no larger one.
const MOST: usize = 4 << 20;
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// What is answered as the type of a stored manifest: it is not stored beside it, but read from it.
pub(super) fn media_type(content: &[u8]) -> String {
    let document: Value = serde_json::from_slice(content).unwrap_or_default();
    if document["schemaVersion"] == 1 {
        return SCHEMA_1.to_owned();
    }
    match document["mediaType"].as_str() {
        Some(kind) if !kind.is_empty() => kind.to_owned(),
        _ if document["manifests"].is_array() => OCI_INDEX.to_owned(),
        _ => OCI_MANIFEST.to_owned(),
    }
}

impl Site {
    pub(super) fn manifest(
        &self,
        call: &Call,
        name: &str,
        reference: &str,
    ) -> Result<Response, StorageError> {
        let third = self.config.personality.is_third();
        let tag = !reference.contains(':');
        let found = match reference.parse::<Digest>() {
            Ok(digest) => Some(digest),
            Err(_) if tag => self.store.storage.tags(name)?.remove(reference),
            Err(_) => {
                return Ok(self.writer().explained(Code::DigestInvalid, "invalid checksum digest length"));
            }
        };
        let Some(mut digest) = found else {
            return Ok(match third {
                false => self.writer().error(Code::ManifestUnknown, json!({"Tag": reference})),
                true => self.writer().error(Code::ManifestUnknown, format!("unknown tag={reference}")),
            });
        };
        let unchanged = format!("\"{digest}\"");
        if call.header("if-none-match").is_some_and(|value| value == unchanged || value == digest.to_string())
        {
            return Ok(answer::empty(StatusCode::NOT_MODIFIED));
        }
        let Some(mut content) = self.manifest_content(name, &digest)? else {
            return Ok(self.unknown_revision(name, &digest));
        };
        let supported = accepted(call);
        let supports = |kind: &str| supported.contains(kind);
        let mut kind = media_type(&content);
        if kind == OCI_MANIFEST && !supports(OCI_MANIFEST) {
            let message = "OCI manifest found, but accept header does not support OCI manifests";
            return Ok(self.writer().worded(Code::ManifestUnknown, message));
        }
        // Of an index that does not say its own type, distribution 2 does not ask.
        let says_index = |content: &[u8]| {
            serde_json::from_slice::<Value>(content).is_ok_and(|document| document["mediaType"] == OCI_INDEX)
        };
        if !third && !supports(OCI_INDEX) && says_index(&content) {
            let message = "OCI index found, but accept header does not support OCI indexes";
            return Ok(self.writer().worded(Code::ManifestUnknown, message));
        }
        // By tag, whoever knows no lists is given the image for linux/amd64 in their place.
        if tag && kind == DOCKER_LIST && !supports(DOCKER_LIST) {
            let Some(child) = usual_platform(&content) else {
                return Ok(self.writer().bare_error(Code::ManifestUnknown));
            };
            let Some(child_content) = self.manifest_content(name, &child)? else {
                return Ok(self.unknown_revision(name, &child));
            };
            (digest, content) = (child, child_content);
            kind = media_type(&content);
            if third && kind == DOCKER_MANIFEST && !supports(DOCKER_MANIFEST) {
                let message = "Schema 2 manifest not supported by client";
                return Ok(self.writer().worded(Code::ManifestInvalid, message));
            }
        }
        if tag && !third && kind == DOCKER_MANIFEST && !supports(DOCKER_MANIFEST) {
            // Distribution 2 tries to make one of schema 1 of it.
            return Ok(self.writer().error(Code::ManifestInvalid, json!({})));
        }
        let mut response = answer::empty(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        set(headers, CONTENT_TYPE, &kind);
        set(headers, CONTENT_DIGEST, &digest.to_string());
        set(headers, ETAG, &format!("\"{digest}\""));
        if call.method == Method::GET {
            *response.body_mut() = content.into();
        }
        Ok(response)
    }

    /// The bytes of a manifest of the container repository.
    fn manifest_content(&self, name: &str, digest: &Digest) -> Result<Option<Vec<u8>>, StorageError> {
        if !self.store.storage.has_manifest(name, digest)? {
            return Ok(None);
        }
        match self.store.storage.read_blob(digest) {
            Err(StorageError::BlobUnknown(_)) => Ok(None),
            // It is answered as it lies there, a flipped byte too.
            Err(StorageError::DigestMismatch { .. }) => {
                let path = self.store.storage.blob_path(digest);
                std::fs::read(&path).map(Some).map_err(|source| StorageError::Io { path, source })
            }
            read => read.map(Some),
        }
    }

    fn unknown_revision(&self, name: &str, digest: &Digest) -> Response {
        match self.config.personality.is_third() {
            false => self.writer().error(Code::ManifestUnknown, json!({"Name": name, "Revision": digest})),
            true => {
                let detail = format!("unknown manifest name={name} revision={digest}");
                self.writer().error(Code::ManifestUnknown, detail)
            }
        }
    }

    pub(super) async fn put_manifest(
        &self,
        call: &Call,
        mut body: Pieces,
        name: &str,
        reference: &str,
    ) -> Result<Response, Failure> {
        let mut content = Vec::new();
        while let Some(piece) = body.next().await {
            content.extend_from_slice(&piece.map_err(|_| Failure::Cut)?);
            if content.len() > MOST {
                return Ok(self.writer().error(Code::ManifestInvalid, "http: request body too large"));
            }
        }
        if let Some(refusal) = self.refuse_absent(name)? {
            return Ok(refusal);
        }
        let document = match self.readable(call, &content) {
            Ok(document) => document,
            Err(refusal) => return Ok(*refusal),
        };
        let digest = Digest::of(&content);
        let tag = (!reference.contains(':')).then_some(reference);
        if tag.is_none() && reference.parse() != Ok(digest.clone()) {
            return Ok(self.writer().bare_error(Code::DigestInvalid));
        }
        if let Some(refusal) = self.refuse_incomplete(name, &document)? {
            return Ok(refusal);
        }
        if let Some(refusal) = self.refuse_by_settings(name, tag, &digest, &document)? {
            return Ok(refusal);
        }
        self.store.storage.put_any_manifest(name, &content)?;
        if let Some(tag) = tag {
            self.store.storage.put_tag(name, tag, &digest)?;
        }
        let mut response = answer::empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        set(headers, CONTENT_DIGEST, &digest.to_string());
        set(headers, LOCATION, &format!("http://{}/v2/{name}/manifests/{digest}", self.host(call)));
        if self.settings().referrers
            && let Some(subject) = document["subject"]["digest"].as_str()
        {
            set(headers, HeaderName::from_static("oci-subject"), subject);
        }
        Ok(response)
    }

    /// The document, if its type is a known one and it is what the type says.
    fn readable(&self, call: &Call, content: &[u8]) -> Result<Value, Box<Response>> {
        let invalid = |sentence: &str| Box::new(self.writer().explained(Code::ManifestInvalid, sentence));
        let kind = call.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if ![OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].contains(&kind) {
            return Err(invalid(&format!(
                "unsupported manifest media type and no default available: {kind}"
            )));
        }
        let document: Value = match serde_json::from_slice(content) {
            Ok(document) => document,
            Err(error) => return Err(invalid(&error.to_string())),
        };
        if document["schemaVersion"] != 2 {
            let version = document["schemaVersion"].as_u64().unwrap_or_default();
            let sentence = format!("unrecognized manifest schema version {version}");
            return Err(Box::new(self.writer().explained(Code::Unknown, &sentence)));
        }
        let said = document["mediaType"].as_str().unwrap_or_default();
        let may_be_silent = matches!(kind, OCI_MANIFEST | OCI_INDEX);
        if said != kind && !(said.is_empty() && may_be_silent) {
            return Err(invalid(&format!("mediaType in manifest should be '{kind}' not '{said}'")));
        }
        let (is_index, names_children) =
            (matches!(kind, OCI_INDEX | DOCKER_LIST), !document["manifests"].is_null());
        let names_blobs = !document["config"].is_null() || !document["layers"].is_null();
        if (is_index && names_blobs) || (!is_index && names_children) {
            return Err(invalid("it is a manifest and an index at once"));
        }
        Ok(document)
    }

    /// Refuses what names something that the container repository does not have.
    fn refuse_incomplete(&self, name: &str, document: &Value) -> Result<Option<Response>, StorageError> {
        let mut errors = Vec::new();
        for named in
            named(&document["config"]).into_iter().chain(document["layers"].as_array().into_iter().flatten())
        {
            let foreign = named["urls"].as_array().is_some_and(|urls| !urls.is_empty());
            if foreign {
                // Its configuration allows none of the addresses.
                let detail = if self.config.personality.is_third() {
                    json!("invalid URL on layer")
                } else {
                    json!({})
                };
                errors.extend([Code::Unknown.entry(None), Code::Unknown.entry(Some(detail))]);
            }
            let digest = named["digest"].as_str().unwrap_or_default();
            let known = match super::store::Named::parse(digest) {
                Some(parsed) => self.store.blob_of(name, &parsed)?.is_some(),
                None => false,
            };
            if !known {
                errors.push(Code::ManifestBlobUnknown.entry(Some(json!(digest))));
            }
        }
        for child in document["manifests"].as_array().into_iter().flatten() {
            let digest = child["digest"].as_str().unwrap_or_default();
            let known = match digest.parse() {
                Ok(digest) => self.store.storage.has_manifest(name, &digest)?,
                Err(_) => false,
            };
            if !known {
                errors.push(Code::ManifestBlobUnknown.entry(Some(json!(digest))));
            }
        }
        Ok(match errors.first() {
            None => None,
            Some(first) if first["code"] == "UNKNOWN" => Some(self.writer().errors(&errors, Code::Unknown)),
            Some(_) => Some(self.writer().errors(&errors, Code::ManifestBlobUnknown)),
        })
    }

    /// What other registries refuse: a tag that is taken, and what is above a quota.
    fn refuse_by_settings(
        &self,
        name: &str,
        tag: Option<&str>,
        digest: &Digest,
        document: &Value,
    ) -> Result<Option<Response>, StorageError> {
        let settings = self.settings();
        let writer = self.writer();
        let over = |what: &str| Some(writer.worded(Code::Denied, &format!("the quota is exceeded: {what}")));
        let quota = settings.quota;
        let layers = document["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        if quota.layers.is_some_and(|most| layers.len() > most) {
            return Ok(over("layers"));
        }
        let size = |named: &Value| named["size"].as_u64().unwrap_or_default();
        let bytes: u64 = layers.iter().map(size).sum::<u64>() + size(&document["config"]);
        if quota.image_bytes.is_some_and(|most| bytes > most) {
            return Ok(over("image size"));
        }
        let Some(tag) = tag else { return Ok(None) };
        let tags = self.store.storage.tags(name)?;
        let same = tags.values().filter(|named| *named == digest).count();
        if quota.tags_per_manifest.is_some_and(|most| !tags.contains_key(tag) && same >= most) {
            return Ok(over("tags of one image"));
        }
        let refused = match (settings.immutable_tags, tags.get(tag)) {
            (ImmutableTags::No, _) | (_, None) => false,
            (ImmutableTags::Yes, Some(now)) => now != digest,
            (ImmutableTags::EvenTheSame, Some(_)) => true,
        };
        let message = format!(
            "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the \
             tag is immutable."
        );
        Ok(refused.then(|| writer.worded(Code::TagInvalid, &message)))
    }

    /// Refuses a push to a container repository that does not exist, where the settings say so.
    pub(super) fn refuse_absent(&self, name: &str) -> Result<Option<Response>, StorageError> {
        let settings = self.settings();
        let quota = settings.quota.repositories;
        if settings.absent_repository == AbsentRepository::Create && quota.is_none() {
            return Ok(None);
        }
        let known = self.store.storage.known_repositories()?;
        if known.iter().any(|known| known == name) {
            return Ok(None);
        }
        let writer = self.writer();
        Ok(match settings.absent_repository {
            AbsentRepository::NotFound => Some(writer.error(Code::NameUnknown, json!({"name": name}))),
            AbsentRepository::Forbidden => Some(writer.bare_error(Code::Denied)),
            AbsentRepository::Create => quota
                .is_some_and(|most| known.len() >= most)
                .then(|| writer.worded(Code::Denied, "the quota is exceeded: repositories")),
        })
    }

    pub(super) fn delete_manifest(&self, name: &str, reference: &str) -> Result<Response, StorageError> {
        let storage = &self.store.storage;
        let Ok(digest) = reference.parse::<Digest>() else {
            if !self.config.personality.is_third() || reference.contains(':') {
                return Ok(self.writer().bare_error(Code::DigestInvalid));
            }
            if !storage.tags(name)?.contains_key(reference) {
                return Ok(self.writer().error(Code::ManifestUnknown, format!("unknown tag={reference}")));
            }
            storage.remove_tag(name, reference)?;
            return Ok(answer::empty(StatusCode::ACCEPTED));
        };
        if !storage.has_manifest(name, &digest)? {
            return Ok(self.writer().bare_error(Code::ManifestUnknown));
        }
        storage.remove_manifest(name, &digest)?;
        for (tag, _) in storage.tags(name)?.iter().filter(|(_, named)| **named == digest) {
            storage.remove_tag(name, tag)?;
        }
        Ok(answer::empty(StatusCode::ACCEPTED))
    }

    /// What refers to a manifest, as an index.
    pub(super) fn referrers(&self, call: &Call, name: &str, subject: &str) -> Result<Response, StorageError> {
        let wanted = call.parameter("artifactType");
        let mut manifests = Vec::new();
        for digest in self.store.storage.revisions(name)? {
            let Some(content) = self.manifest_content(name, &digest)? else { continue };
            let document: Value = serde_json::from_slice(&content).unwrap_or_default();
            if document["subject"]["digest"].as_str() != Some(subject) {
                continue;
            }
            let own = document["artifactType"].as_str().or(document["config"]["mediaType"].as_str());
            if wanted.as_deref().is_some_and(|wanted| own != Some(wanted)) {
                continue;
            }
            let mut entry = json!({"mediaType": media_type(&content), "digest": digest, "size": content.len(), "artifactType": own});
            if !document["annotations"].is_null() {
                entry["annotations"] = document["annotations"].clone();
            }
            manifests.push(entry);
        }
        let body = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        let mut response = answer::bytes(StatusCode::OK, OCI_INDEX, body.to_string());
        if wanted.is_some() {
            set(response.headers_mut(), HeaderName::from_static("oci-filters-applied"), "artifactType");
        }
        Ok(response)
    }
}

/// The types that a request's `Accept` headers name.
fn accepted(call: &Call) -> BTreeSet<String> {
    let values = call.headers.get_all("accept").into_iter().filter_map(|value| value.to_str().ok());
    let each = values.flat_map(|value| value.split(','));
    each.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned()).collect()
}

fn usual_platform(list: &[u8]) -> Option<Digest> {
    let document: Value = serde_json::from_slice(list).ok()?;
    let usual =
        |child: &&Value| child["platform"]["architecture"] == "amd64" && child["platform"]["os"] == "linux";
    document["manifests"].as_array()?.iter().find(usual)?["digest"].as_str()?.parse().ok()
}

fn named(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}
