//! Which realm credentials are given to.

use url::Url;

use crate::reach::{is_this_machine, plain_host};

/// Reads the address of a realm and decides whether credentials may go there: it is on the registry's own host or site,
/// or the operator named its host; and nobody on the way can read them, unless the registry is spoken to in clear itself.
pub fn trusted(realm: &str, registry: &Url, named: &[String]) -> Result<Url, String> {
    let url =
        Url::parse(realm).map_err(|_| "the registry names a token realm that is no address".to_owned())?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        return Err("the registry names a token realm that is no http address".to_owned());
    }
    let host = plain_host(&url);
    if url.scheme() == "http" && !is_this_machine(&url) && registry.scheme() != "http" {
        return Err(format!("the registry names a token realm on {host} that everybody on the way can read"));
    }
    let is_named = named.iter().any(|named| named.eq_ignore_ascii_case(&host));
    if !is_named && !is_same_site(&host, &plain_host(registry)) {
        return Err(format!(
            "the registry names a token realm on another site, {host}: allow that host if it is right"
        ));
    }
    Ok(url)
}

/// Whether two hosts are one, or under one domain that somebody registered.
fn is_same_site(one: &str, other: &str) -> bool {
    let is_address = |host: &str| host.parse::<std::net::IpAddr>().is_ok();
    if one == other {
        return true;
    }
    if is_address(one) || is_address(other) {
        return false;
    }
    match (psl::domain_str(one), psl::domain_str(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::trusted;

    fn is_trusted(registry: &str, realm: &str) -> bool {
        let named = ["login.example.net".to_owned()];
        trusted(realm, &registry.parse().unwrap(), &named).is_ok()
    }

    #[test]
    fn trusts_the_registrys_own_site_and_named_hosts() {
        for (registry, realm) in [
            ("https://registry-1.docker.io", "https://auth.docker.io/token"),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("https://registry.example.co.uk", "https://example.co.uk/token"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"),
            ("https://a.example.com", "https://a.example.com:8443/token"),
            ("https://a.example.com", "https://login.example.net/token"),
            ("http://inside.example.com", "http://inside.example.com/token"),
        ] {
            assert!(is_trusted(registry, realm), "{registry} {realm}");
        }
    }

    #[test]
    fn trusts_nobody_else() {
        for (registry, realm) in [
            ("https://registry-1.docker.io", "https://auth.docker.io.evil.com/token"),
            ("https://a.example.co.uk", "https://evil.co.uk/token"),
            ("https://mine.s3.amazonaws.com", "https://evil.s3.amazonaws.com/token"),
            ("https://me.github.io", "https://evil.github.io/token"),
            ("http://10.0.0.1", "http://10.0.0.2/token"),
            ("https://a.example.com", "http://a.example.com/token"),
            ("https://a.example.com", "https://user:x@a.example.com/token"),
            ("https://a.example.com", "ftp://a.example.com/token"),
            ("https://a.example.com", "/token"),
            ("https://com", "https://evil.com/"),
        ] {
            assert!(!is_trusted(registry, realm), "{registry} {realm}");
        }
    }
}
