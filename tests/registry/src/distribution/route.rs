//! Taking a request apart.

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

use super::traffic::{Credentials, Kind, Record};
use crate::name::{is_repository_name, is_tag};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `/`
    Root,
    Ping,
    Token,
    Catalog,
    Tags(String),
    /// A container repository, and a tag or digest of a manifest.
    Manifest(String, String),
    Referrers(String, String),
    Blob(String, String),
    /// Where uploads begin.
    Uploads(String),
    Upload(String, String),
    /// A signed file: its digest.
    File(String),
    /// Whoever asks here is sent on to the same with a slash at the end.
    NoSlash,
    Nothing,
}

/// One request, without its body.
#[derive(Debug)]
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub target: Target,
}

impl Call {
    pub(super) fn new(method: Method, uri: &Uri, headers: HeaderMap) -> Self {
        let path = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
        let target = Target::of(&path);
        Self { method, query: uri.query().unwrap_or_default().to_owned(), headers, target, path }
    }

    /// The first value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).next()
    }

    pub(super) fn parameters(&self, name: &str) -> impl Iterator<Item = String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// GET, and HEAD where it is answered as GET.
    pub(super) fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.target {
            Target::Ping => Kind::Ping,
            Target::Token => Kind::Token,
            Target::Catalog => Kind::Catalog,
            Target::Tags(_) => Kind::Tags,
            Target::Manifest(..) => Kind::Manifest,
            Target::Referrers(..) => Kind::Referrers,
            Target::Blob(..) => Kind::Blob,
            Target::Uploads(_) if self.parameter("mount").is_some() => Kind::Mount,
            Target::Uploads(_) => Kind::UploadBegin,
            Target::Upload(..) => Kind::Upload,
            Target::File(_) => Kind::File,
            Target::Root | Target::NoSlash | Target::Nothing => Kind::Other,
        }
    }

    pub(super) fn repository(&self) -> Option<&str> {
        match &self.target {
            Target::Tags(name)
            | Target::Manifest(name, _)
            | Target::Referrers(name, _)
            | Target::Blob(name, _)
            | Target::Uploads(name)
            | Target::Upload(name, _) => Some(name),
            Target::Root
            | Target::Ping
            | Target::Token
            | Target::Catalog
            | Target::File(_)
            | Target::NoSlash
            | Target::Nothing => None,
        }
    }

    /// The tag, digest or upload id that the journal and the faults know the request by.
    pub(super) fn reference(&self) -> Option<String> {
        match &self.target {
            Target::Manifest(_, reference)
            | Target::Referrers(_, reference)
            | Target::Blob(_, reference)
            | Target::File(reference) => Some(reference.clone()),
            Target::Uploads(_) => self.parameter("mount").or_else(|| self.parameter("digest")),
            Target::Upload(_, id) => self.parameter("digest").or_else(|| Some(id.clone())),
            Target::Root
            | Target::Ping
            | Target::Token
            | Target::Catalog
            | Target::Tags(_)
            | Target::NoSlash
            | Target::Nothing => None,
        }
    }

    pub(super) fn record(&self, side: &str) -> Record {
        let credentials = match self.header("authorization").and_then(|value| value.split_once(' ')) {
            None => Credentials::None,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => Credentials::Basic,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("bearer") => Credentials::Bearer,
            Some(_) => Credentials::Other,
        };
        Record {
            number: 0,
            at: jiff::Timestamp::now(),
            side: side.to_owned(),
            method: self.method.to_string(),
            path: self.path.clone(),
            query: self.query.clone(),
            kind: self.kind(),
            repository: self.repository().map(str::to_owned),
            reference: self.reference(),
            range: self.header("range").map(str::to_owned),
            content_range: self.header("content-range").map(str::to_owned),
            credentials,
            status: None,
            code: None,
            received: 0,
            sent: 0,
            from: None,
            upload: None,
            stored: None,
            ended: false,
        }
    }
}

impl Target {
    fn of(path: &str) -> Self {
        match path {
            "/" => return Self::Root,
            "/v2" => return Self::NoSlash,
            "/v2/" => return Self::Ping,
            "/token" => return Self::Token,
            "/v2/_catalog" => return Self::Catalog,
            _ => {}
        }
        if let Some(digest) = path.strip_prefix("/files/") {
            return Self::File(digest.to_owned());
        }
        path.strip_prefix("/v2/").and_then(Self::within).unwrap_or(Self::Nothing)
    }

    /// Takes `<name>/<what>` apart. The name may hold slashes and even the words used here, so it is cut from behind.
    fn within(rest: &str) -> Option<Self> {
        let (before, last) = rest.rsplit_once('/')?;
        let owned = str::to_owned;
        let (name, target) = if let Some(name) = before.strip_suffix("/blobs/uploads") {
            let target = if last.is_empty() {
                Self::Uploads(owned(name))
            } else {
                Self::Upload(owned(name), owned(last))
            };
            (name, target)
        } else if let (Some(name), "uploads") = (before.strip_suffix("/blobs"), last) {
            (name, Self::NoSlash)
        } else if let Some(name) = before.strip_suffix("/manifests") {
            (name, Self::Manifest(owned(name), owned(last)))
        } else if let Some(name) = before.strip_suffix("/referrers") {
            (name, Self::Referrers(owned(name), owned(last)))
        } else if let Some(name) = before.strip_suffix("/blobs") {
            (name, Self::Blob(owned(name), owned(last)))
        } else {
            let name = before.strip_suffix("/tags").filter(|_| last == "list")?;
            (name, Self::Tags(owned(name)))
        };
        let holds = match &target {
            Self::Manifest(_, reference) => is_tag(reference) || reference.contains(':'),
            Self::Blob(_, digest) | Self::Referrers(_, digest) => digest.contains(':'),
            _ => true,
        };
        (holds && is_repository_name(name)).then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_the_words_of_the_api() {
        let pair = |name: &str, what: &str| (name.to_owned(), what.to_owned());
        let (name, what) = pair("a/manifests", "v1");
        assert_eq!(Target::of("/v2/a/manifests/manifests/v1"), Target::Manifest(name, what));
        let (name, what) = pair("a/blobs", "x");
        assert_eq!(Target::of("/v2/a/blobs/blobs/uploads/x"), Target::Upload(name, what));
        assert_eq!(Target::of("/v2/a/tags/list/tags/list"), Target::Tags("a/tags/list".to_owned()));
        assert_eq!(Target::of("/v2/a/blobs/uploads/"), Target::Uploads("a".to_owned()));
        assert_eq!(Target::of("/v2/a/blobs/uploads"), Target::NoSlash);
        for nothing in ["/v2/A/tags/list", "/v2/tags/list", "/v2/a/manifests/-x", "/v2/a/blobs/x", "/v3/"] {
            assert_eq!(Target::of(nothing), Target::Nothing, "{nothing}");
        }
    }
}
