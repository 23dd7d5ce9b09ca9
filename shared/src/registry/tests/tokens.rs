use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::ExposeSecret;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{KEYS, client, config, deadline, path};
use crate::{
    endpoint::scripted_server::{Reply, ScriptedServer},
    migration::{AttemptId, Step},
    registry::{
        StartAnswer,
        token::{Tokens, key_id},
    },
    telemetry::capture::Capture,
};

fn tokens() -> Tokens {
    let config = config("http://127.0.0.1");
    Tokens::new(config.audience, config.issuer, &KEYS.0.clone().into()).unwrap()
}

fn bearer(server: &ScriptedServer) -> Vec<String> {
    server.received().iter().map(|request| request.headers["authorization"].clone()).collect()
}

fn claims(token: &str) -> Json {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["container_registry"]);
    validation.set_issuer(&["registry-migration"]);
    let key = DecodingKey::from_rsa_pem(KEYS.1.as_bytes()).unwrap();
    decode::<Json>(token, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn signs_the_token_with_the_protocols_claims() {
    let server = ScriptedServer::start([Reply::answer(200, "")]).await;
    let before = Timestamp::now().as_second();
    client(&server.url()).probe(deadline()).await;
    let after = Timestamp::now().as_second();

    let [header] = bearer(&server).try_into().unwrap();
    let mut claims = claims(header.strip_prefix("Bearer ").unwrap());
    let expires = claims.as_object_mut().unwrap().remove("exp").unwrap().as_i64().unwrap();
    assert!((before + 300..=after + 300).contains(&expires), "{expires}");
    assert_eq!(
        claims,
        json!({
            "aud": "container_registry",
            "iss": "registry-migration",
            "access": [{ "type": "registry", "name": "import", "actions": ["*"] }],
        })
    );
}

#[test]
fn a_key_is_named_as_the_distribution_registry_names_it() {
    // Computed apart from this code: `openssl rsa -pubout -outform DER`, SHA-256, 30 bytes in base32, by fours.
    let public_key = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA93TZj3T2LqCBrsdOKLRE0edFDM6VoA96kNGD/5k0yi8qtrYK\
         YbrI9eDrJUj2kfIoiQvMmsIvX8UTWJATXn6sCb0hQ/ab1fizV/HInv3KufDxQnn5fJ2urE0UeYo2VDiViScN6nY6lC6W\
         8/h4dpnVm2I/nTE46xy4yzu+8E2rIFrVBXqU6b9FThmKNEbemc4/BwJpzmp2DTOScsxwcMleJay7Z+1s2UWa+2IoGChw\
         eLH3Qz7uYJMN1gRyRaf+dGvZmkERucqS0wGdZo3d6T3vee0zYrstqy9xdqUe1au1w/s65iGujdgE3z7tzJtSAo2pL2XG\
         Lb8nfwrTfnGZHuTw/QIDAQAB";
    assert_eq!(
        key_id(&STANDARD.decode(public_key).unwrap()),
        "OLM7:IACO:7W2C:ZQDB:3JYA:ID2K:RNV4:5MPK:IQEB:PSIV:RG4I:QBUZ"
    );
}

#[test]
fn the_tokens_header_names_the_key_that_signed_it() {
    let header = decode_header(tokens().current(Timestamp::now()).unwrap().expose_secret()).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("JWT")));
    let (_, public_key) = &*KEYS;
    let der: String = public_key.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(header.kid, Some(key_id(&STANDARD.decode(der).unwrap())));
}

#[test]
fn a_token_is_kept_until_shortly_before_its_end() {
    let tokens = tokens();
    let start = Timestamp::now();
    let at = |seconds: i64| {
        tokens.current(start + SignedDuration::from_secs(seconds)).unwrap().expose_secret().to_owned()
    };
    let first = at(0);
    assert_eq!(at(235), first);
    let second = at(245);
    assert_ne!(second, first);
    assert_eq!(at(250), second);
}

#[test]
fn a_forgotten_token_is_not_used_again() {
    let tokens = tokens();
    let start = Timestamp::now();
    let first = tokens.current(start).unwrap();
    tokens.forget();
    // Tokens of the same second are equal.
    let second = tokens.current(start + SignedDuration::from_secs(1)).unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
}

#[tokio::test]
async fn one_token_serves_many_calls() {
    let server = ScriptedServer::start([Reply::answer(200, "")]).await;
    let client = client(&server.url());
    client.probe(deadline()).await;
    client.probe(deadline()).await;
    let [first, second] = bearer(&server).try_into().unwrap();
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_401_is_answered_with_a_new_token_exactly_once() {
    let attempt = AttemptId::new(Uuid::from_u128(7));
    let server = ScriptedServer::start([Reply::answer(401, ""), Reply::answer(202, "")]).await;
    let client = client(&server.url());
    // Tokens of the same second are equal: the first one here is a minute old.
    let tokens = client.signing.tokens().await.unwrap();
    tokens.forget();
    tokens.current(Timestamp::now() - SignedDuration::from_mins(1)).unwrap();
    let answer = client.start(&path(), Step::Pre, attempt, deadline()).await;
    assert_eq!(answer, StartAnswer::Accepted);
    let [first, second] = bearer(&server).try_into().unwrap();
    assert_ne!(first, second);

    let server = ScriptedServer::start([Reply::answer(401, "")]).await;
    let answer = super::client(&server.url()).start(&path(), Step::Pre, attempt, deadline()).await;
    assert_eq!(answer, StartAnswer::NotTheRegistry { status: 401 });
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn logs_one_line_per_call_and_never_the_token() {
    let log = Capture::begin("start-migration", "trace".parse().unwrap());
    let server = ScriptedServer::start([Reply::answer(202, "")]).await;
    let client = client(&server.url());
    let attempt = AttemptId::new(Uuid::from_u128(7));
    client.start(&path(), Step::Pre, attempt, deadline()).await;

    let line = log.line("registry called");
    assert_eq!(
        (&line["level"], &line["operation"], &line["status"]),
        (&"DEBUG".into(), &"start".into(), &202.into())
    );
    assert_eq!(line["url_path"], "/gitlab/v1/import/group/project/image/");
    assert_eq!(line["attempt"], attempt.to_string());
    let [header] = bearer(&server).try_into().unwrap();
    let token = header.strip_prefix("Bearer ").unwrap();
    assert!(!log.text().contains(token));
    assert!(!format!("{client:?}").contains(token));
}
