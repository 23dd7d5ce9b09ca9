//! What a request asks for.

use percent_encoding::percent_decode_str;
use shared::store::importer::ImportStep;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Probe,
    Start { path: String, step: Option<ImportStep> },
    Status { path: String },
    Cancel { path: String, force: bool },
    Catalogue { cursor: Option<String> },
    Tags { path: String },
    Unknown,
}

/// Reads a request: with the last slash of a path and without it.
pub(super) fn asked(method: &str, path: &str, query: &str) -> Asked {
    let path = decoded(path);
    let path = path.strip_suffix('/').unwrap_or(&path);
    if path == "/gitlab/v1" && method == "GET" {
        return Asked::Probe;
    }
    if let Some(path) = path.strip_prefix("/gitlab/v1/import/") {
        let path = path.to_lowercase();
        return match method {
            "PUT" => Asked::Start { path, step: step(query) },
            "GET" => Asked::Status { path },
            "DELETE" => Asked::Cancel { path, force: value(query, "force").as_deref() == Some("true") },
            _ => Asked::Unknown,
        };
    }
    match (method, path.strip_prefix("/v2/")) {
        ("GET", Some("_catalog")) => Asked::Catalogue { cursor: value(query, "cursor") },
        ("GET", Some(rest)) => match rest.strip_suffix("/tags/list") {
            Some(path) => Asked::Tags { path: path.to_lowercase() },
            None => Asked::Unknown,
        },
        _ => Asked::Unknown,
    }
}

fn step(query: &str) -> Option<ImportStep> {
    match value(query, "import_type")?.as_str() {
        "pre" => Some(ImportStep::Pre),
        "final" => Some(ImportStep::Final),
        _ => None,
    }
}

fn value(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(of, _)| *of == name).map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use shared::store::importer::ImportStep;

    use super::{Asked, asked};

    #[test]
    fn reads_the_routes_with_and_without_a_last_slash() {
        let path = || "group/image".to_owned();
        let import = "/gitlab/v1/import/Group/image";
        for slash in ["", "/"] {
            let asks =
                |method: &str, path: &str, query: &str| asked(method, &format!("{path}{slash}"), query);
            assert_eq!(asks("GET", "/gitlab/v1", ""), Asked::Probe);
            for (query, step) in [
                ("import_type=pre", Some(ImportStep::Pre)),
                ("x=1&import_type=final", Some(ImportStep::Final)),
                ("import_type=PRE", None),
                ("", None),
            ] {
                assert_eq!(asks("PUT", import, query), Asked::Start { path: path(), step }, "{query}");
            }
            assert_eq!(asks("GET", import, ""), Asked::Status { path: path() });
            for (query, force) in [("", false), ("force=true", true), ("force=1", false)] {
                assert_eq!(asks("DELETE", import, query), Asked::Cancel { path: path(), force });
            }
            let cursor = Some("/v2/_catalog?last=b".to_owned());
            assert_eq!(
                asks("GET", "/v2/_catalog", "cursor=%2Fv2%2F_catalog%3Flast%3Db"),
                Asked::Catalogue { cursor }
            );
            assert_eq!(asks("GET", "/v2/group/image/tags/list", ""), Asked::Tags { path: path() });
        }
        for (method, path) in
            [("POST", import), ("GET", "/v2/a/manifests/v1"), ("PUT", "/gitlab/v1/"), ("GET", "/")]
        {
            assert_eq!(asked(method, path, ""), Asked::Unknown, "{method} {path}");
        }
    }
}
