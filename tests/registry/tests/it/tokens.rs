//! Who is let in.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local_registry::{LEEWAY_SECONDS, SigningKeys};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, IMAGE, claims, keys, seconds_from_now, token};

async fn start_with(bench: &Bench, token: &str) -> Answer {
    let path = format!("/gitlab/v1/import/{IMAGE}/?import_type=pre");
    bench.send(bench.call(Method::PUT, &path).bearer_auth(token)).await
}

fn changed(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

#[tokio::test]
async fn no_call_is_answered_without_a_token_and_nothing_is_begun() {
    let bench = Bench::new().await;
    let path = format!("/gitlab/v1/import/{IMAGE}/?import_type=pre");
    for (method, path) in [
        (Method::PUT, path.as_str()),
        (Method::GET, &format!("/gitlab/v1/import/{IMAGE}/")),
        (Method::DELETE, &format!("/gitlab/v1/import/{IMAGE}/")),
        (Method::GET, "/gitlab/v1/"),
    ] {
        let answer = bench.send(bench.call(method, path)).await;
        answer.is_error(401, "UNAUTHORIZED");
        assert!(answer.header("www-authenticate").starts_with("Bearer realm="), "{answer:?}");
    }
    bench.status(IMAGE).await.is(404);
}

#[tokio::test]
async fn a_certificate_of_the_key_is_as_good_as_the_key() {
    let bench = Bench::with(|config| config.token.public_key_pem.clone_from(&keys().certificate_pem)).await;
    start_with(&bench, &token(&claims())).await.is(202);
    let other = SigningKeys::generate().unwrap();
    let key = EncodingKey::from_rsa_pem(other.private_key_pem.expose_secret().as_bytes()).unwrap();
    let foreign = encode(&Header::new(Algorithm::RS256), &claims(), &key).unwrap();
    start_with(&bench, &foreign).await.is_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_probe_is_answered_with_a_token_that_allows_nothing() {
    let bench = Bench::new().await;
    let answer = bench.send(bench.call(Method::GET, "/gitlab/v1/").bearer_auth(token(&claims()))).await;
    answer.is(200);
    let powerless = token(&changed("access", json!([])));
    bench.send(bench.call(Method::GET, "/gitlab/v1/").bearer_auth(powerless)).await.is(200);
}

#[tokio::test]
async fn a_token_with_one_wrong_claim_is_refused() {
    let bench = Bench::new().await;
    let leeway = i64::try_from(LEEWAY_SECONDS).unwrap();
    let access =
        |kind: &str, name: &str, action: &str| json!([{"type": kind, "name": name, "actions": [action]}]);
    for (key, value) in [
        ("aud", json!("another")),
        ("iss", json!("another")),
        ("exp", json!(seconds_from_now(-leeway - 5))),
        ("exp", Value::Null),
        ("nbf", json!(seconds_from_now(leeway + 30))),
        ("access", json!([])),
        ("access", access("repository", "import", "*")),
        ("access", access("registry", "catalog", "*")),
        ("access", access("registry", "import", "pull")),
    ] {
        let answer = start_with(&bench, &token(&changed(key, value.clone()))).await;
        assert_eq!(answer.status, 401, "{key} = {value}: {answer:?}");
        assert_eq!(answer.code(), "UNAUTHORIZED");
    }
    start_with(&bench, &token(&claims())).await.is(202);
}

#[tokio::test]
async fn a_token_that_somebody_else_signed_is_refused() {
    let bench = Bench::new().await;
    let other = SigningKeys::generate().unwrap();
    let key = EncodingKey::from_rsa_pem(other.private_key_pem.expose_secret().as_bytes()).unwrap();
    let forged = encode(&Header::new(Algorithm::RS256), &claims(), &key).unwrap();
    start_with(&bench, &forged).await.is_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_token_signed_with_the_public_key_as_a_password_is_refused() {
    let bench = Bench::new().await;
    let key = EncodingKey::from_secret(crate::bench::keys().public_key_pem.as_bytes());
    let forged = encode(&Header::new(Algorithm::HS256), &claims(), &key).unwrap();
    start_with(&bench, &forged).await.is_error(401, "UNAUTHORIZED");
}

#[test]
fn a_private_key_does_not_show_itself() {
    let shown = format!("{:?}", crate::bench::keys());
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
}
