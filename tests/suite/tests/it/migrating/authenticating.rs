//! Registries that want to know who asks: passwords over TLS of a private authority, tokens, credential programs.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use local::local_registry::{
    Access, Credentials, Distribution, DistributionConfig, Kind, Personality, Record, storage::Storage,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use suite::copying::{Program, RealRegistry};

use super::bench::{Ended, command, ended, image};

const USER: &str = "mover";
const PASSWORD: &str = "hunter22";
/// The password, as htpasswd keeps it.
const KEPT: &str = "mover:$2a$04$UQs6gFW6pFzQvKSdxQkgPOmpm4helxs6DRZqTGvsz/x/QNOwk2udu";

/// A docker-registry that speaks TLS by an authority of its own, and asks for a password.
struct Guarded {
    registry: RealRegistry,
    authority: PathBuf,
}

impl Guarded {
    fn start(folder: &Path) -> Self {
        let file = |name: &str, content: &str| {
            let path = folder.join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let (certificate, key) =
            (file("certificate.pem", &certificate.pem()), file("key.pem", &key.serialize_pem()));
        let http = format!(", tls: {{certificate: {certificate:?}, key: {key:?}}}");
        let passwords = file("htpasswd", &format!("{KEPT}\n"));
        let guard = format!("auth: {{htpasswd: {{realm: guarded, path: {passwords:?}}}}}\n");
        let registry =
            RealRegistry::start_with(Program::DockerRegistry, &folder.join("guarded"), &http, &guard)
                .unwrap();
        Self { registry, authority: file("authority.pem", &authority.pem()) }
    }

    fn url(&self) -> String {
        format!("https://{}", self.registry.address)
    }

    fn storage(&self) -> Storage {
        Storage::new(&self.registry.storage)
    }
}

/// A registry that wants tokens, which it gives out itself.
async fn with_tokens(folder: &Path) -> Distribution {
    let mut config = DistributionConfig::new(Personality::Distribution3, folder.join("tokens"));
    config.access =
        Access::Bearer { user: USER.to_owned(), password: PASSWORD.into(), anonymous_pull: false };
    Distribution::start(config).await.unwrap()
}

fn credentials(folder: &Path, password: &str) -> PathBuf {
    let path = folder.join("credentials.json");
    fs::write(&path, format!(r#"{{"username":"{USER}","password":"{password}"}}"#)).unwrap();
    path
}

/// Docker's configuration, which names a credential program for the host. Its folder, and the program's.
fn docker(folder: &Path, host: &str) -> (PathBuf, PathBuf) {
    let (configuration, programs) = (folder.join("docker"), folder.join("programs"));
    for path in [&configuration, &programs] {
        fs::create_dir_all(path).unwrap();
    }
    fs::write(configuration.join("config.json"), format!(r#"{{"credHelpers":{{"{host}":"of-a-test"}}}}"#))
        .unwrap();
    let program = programs.join("docker-credential-of-a-test");
    let said = format!(r#"{{"ServerURL":"{host}","Username":"{USER}","Secret":"{PASSWORD}"}}"#);
    fs::write(
        &program,
        format!("#!/bin/sh\nread -r host\n[ \"$1 $host\" = 'get {host}' ] && echo '{said}'\n"),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (configuration, programs)
}

struct Run<'a> {
    state: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'a str, String)>,
}

impl Run<'_> {
    fn ended(&self, more: &[&str]) -> Ended {
        let mut command = command();
        command.arg("run").args(&self.arguments).arg("--state").arg(&self.state).args(more);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Looks for the secret in whatever the run has said and kept, its database among it.
    fn assert_no_secret(&self, said: &Ended) {
        let basic = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let holds = |bytes: &[u8]| {
            [PASSWORD, &basic]
                .iter()
                .any(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
        };
        assert!(!holds(said.output.as_bytes()), "{}", said.output);
        let mut folders = vec![self.state.clone()];
        let mut looked_at = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    looked_at += 1;
                    assert!(!holds(&fs::read(entry.path()).unwrap()), "{}", entry.path().display());
                }
            }
        }
        assert!(looked_at > 10, "{looked_at} files");
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_from_a_password_over_tls_to_tokens_by_a_program() {
    let folder = folder();
    let source = Guarded::start(folder.path());
    let target = with_tokens(folder.path()).await;
    for (path, tag, seed) in [("team/a", "v1", 1), ("team/b", "v1", 1), ("team/b", "v2", 2)] {
        source.storage().write_image(path, &[tag], &image(seed, &[40_000, 700])).unwrap();
    }
    let host = target.url().replace("http://", "");
    let (configuration, programs) = docker(folder.path(), &host);
    let path = std::env::var("PATH").unwrap();
    let file = |password: &str| credentials(folder.path(), password).display().to_string();
    let run = |state: &str, more: &[&str]| Run {
        state: folder.path().join(state),
        arguments: [
            &["--from", &source.url(), "--to", &target.url(), "--to-profile", "distribution-3"],
            more,
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect(),
        environment: vec![
            ("DOCKER_CONFIG", configuration.display().to_string()),
            ("PATH", format!("{}:{path}", programs.display())),
        ],
    };
    let authority = source.authority.display().to_string();

    let unknown = run("unknown", &["--from-auth", &file(PASSWORD)]).ended(&[]);
    assert_eq!(unknown.status, Some(3), "its authority is not a public one: {}", unknown.output);
    let wrong = run("wrong", &["--from-ca", &authority, "--from-auth", &file("hunter23")]).ended(&[]);
    assert_eq!(wrong.status, Some(3), "{}", wrong.output);
    assert!(wrong.output.contains("unauthorized") && !wrong.output.contains("hunter23"), "{}", wrong.output);

    let file = file(PASSWORD);
    let run = run("state", &["--from-ca", &authority, "--from-auth", &file]);
    let done = run.ended(&["--verify-blobs"]);
    assert_eq!(done.status, Some(0), "{}", done.output);
    for part in [
        format!("as credentials from {file}"),
        "as credentials from docker-credential-of-a-test".to_owned(),
        format!("tokens come from {}/token, which gets these credentials", target.url()),
    ] {
        assert!(done.output.contains(&part), "{part}: {}", done.output);
    }
    for path in ["team/a", "team/b"] {
        assert_eq!(source.storage().tags(path).unwrap(), target.storage().tags(path).unwrap());
    }
    let records = target.traffic().records();
    let with_password = |record: &&Record| record.credentials == Credentials::Basic;
    assert!(records.iter().filter(with_password).all(|record| record.kind == Kind::Token));
    assert!(records.iter().any(|record| record.kind == Kind::Mount && record.status == Some(201)));
    run.assert_no_secret(&done);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_from_tokens_to_a_password_over_tls() {
    let folder = folder();
    let (source, target) = (with_tokens(folder.path()).await, Guarded::start(folder.path()));
    source.storage().write_image("team/a", &["v1"], &image(1, &[6_000_000, 700])).unwrap();
    let run = Run {
        state: folder.path().join("state"),
        arguments: ["--from", &source.url(), "--to", &target.url()].map(str::to_owned).to_vec(),
        environment: vec![
            ("REGISTRY_FROM_USERNAME", USER.to_owned()),
            ("REGISTRY_FROM_PASSWORD", PASSWORD.to_owned()),
        ],
    };
    let authority = target.authority.display().to_string();
    let file = credentials(folder.path(), PASSWORD).display().to_string();
    let done = run.ended(&["--to-ca", &authority, "--to-auth", &file]);
    assert_eq!(done.status, Some(0), "{}", done.output);
    assert!(done.output.contains("as credentials from REGISTRY_FROM_USERNAME"), "{}", done.output);
    assert_eq!(source.storage().tags("team/a").unwrap(), target.storage().tags("team/a").unwrap());
    run.assert_no_secret(&done);
}
