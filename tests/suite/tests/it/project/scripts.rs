//! The scripts and programs of the tests: they work on a machine that has little more than Rust.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A process whose command line holds a word, until its standard input is closed.
fn process_with(word: &str) -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", "read -r line", word]).stdin(Stdio::piped()).spawn().unwrap()
}

/// A folder with these programs of the machine, and no others.
fn only(programs: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for program in programs {
        let found = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(program));
        let found = found.iter().find(|path| path.exists()).unwrap();
        std::os::unix::fs::symlink(found, folder.path().join(program)).unwrap();
    }
    folder
}

/// What `tests/leftovers.sh` ends with, on a machine with no programs but those it needs.
fn leftovers(word: &str, proc: &str) -> (Option<i32>, String) {
    let programs = only(&["grep", "mktemp", "rm", "sleep", "tr"]);
    let ended = Command::new("/bin/sh")
        .arg(workspace().join("tests/leftovers.sh"))
        .arg(word)
        .env("PATH", programs.path())
        .env("LEFTOVERS_ROUNDS", "1")
        .env("LEFTOVERS_PROC", proc)
        .output()
        .unwrap();
    let output = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8(output).unwrap())
}

#[test]
fn finds_what_was_left_running_without_pgrep() {
    let word = format!("left-running-{}", std::process::id());
    assert_eq!(leftovers(&word, "/proc"), (Some(0), String::new()));
    let mut left = process_with(&word);
    let (code, text) = leftovers(&word, "/proc");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("/proc/{}/cmdline", left.id())), "{text}");
    left.stdin.take().unwrap().write_all(b"\n").unwrap();
    left.wait().unwrap();
    assert_eq!(leftovers(&word, "/proc").0, Some(0));
}

#[test]
fn says_so_where_it_cannot_look_for_processes() {
    let (code, text) = leftovers("anything", "/nonexistent");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("cannot look"), "{text}");
}

/// Debian's package of docker-registry enables and starts a service, so it is unpacked only.
#[test]
fn leaves_no_service_of_docker_registry_behind() {
    let programs = only(&["bash", "dirname", "mkdir", "mktemp", "rm"]);
    let clone = tempfile::tempdir().unwrap();
    let script = clone.path().join("tests/registry/outside.sh");
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    for name in ["outside.sh", "unpack.sh"] {
        fs::copy(workspace().join("tests/registry").join(name), script.with_file_name(name)).unwrap();
    }
    for (name, does) in [
        ("id", "echo 0"),
        ("skopeo", ":"),
        ("apt-get", "echo \"apt-get $*\" >&2; case $1 in download) : >docker-registry_1_all.deb; esac"),
        ("dpkg-deb", "echo \"dpkg-deb $*\" >&2; mkdir -p usr/bin"),
    ] {
        let program = programs.path().join(name);
        fs::write(&program, format!("#!/bin/sh\n{does}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let sourced = Command::new(programs.path().join("bash"))
        .args(["-euc", ". \"$0\""])
        .arg(&script)
        .env("PATH", programs.path())
        .output()
        .unwrap();
    let said = String::from_utf8(sourced.stderr).unwrap();
    assert!(sourced.status.success(), "{said}");
    assert!(said.contains("apt-get download -qq docker-registry\ndpkg-deb -x"), "{said}");
    assert!(!said.contains("install"), "{said}");
}

/// The HTTP API's examples check their own answers.
#[test]
fn shows_the_whole_http_api_by_example() {
    let ended = Command::new(workspace().join("tests/requests.sh")).stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success(), "{shown}");
    for route in &workspace_routes() {
        assert!(
            shown.contains(&format!("$BASE{}", route.trim_end_matches("{*path}"))),
            "{route} is not shown"
        );
    }
}

/// The operators' routes, from the configuration of `cargo lambda watch`.
fn workspace_routes() -> Vec<String> {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let (_, router) = manifest.split_once("[workspace.metadata.lambda.watch.router]").unwrap();
    let routes = router.lines().filter_map(|line| line.strip_prefix('"')?.split_once('"'));
    let routes: Vec<String> =
        routes.map(|(route, _)| route.to_owned()).filter(|route| !route.contains("/internal/")).collect();
    assert!(routes.len() > 10, "{routes:?}");
    routes
}

/// Every program that a test, the local stack or a function starts by its name: what a small Debian has, and skopeo,
/// which tests/test.sh installs. PostgreSQL, cargo and cargo-lambda are found by path.
const PROGRAMS: [&str; 3] = ["cp", "sh", "skopeo"];

#[test]
fn starts_no_program_that_a_small_machine_lacks() {
    let mut started = 0;
    // So that this line is not found.
    let call = ["Command::new", "(\""].concat();
    for_each_source(|path, text| {
        for (at, _) in text.match_indices(&call) {
            let name = text[at + call.len()..].split('"').next().unwrap();
            started += 1;
            assert!(PROGRAMS.contains(&name.trim_start_matches("/bin/")), "{}: {name}", path.display());
        }
    });
    assert!(started > 2, "nothing was looked at");
}

/// A mutant whose text or whose test has gone shows nothing.
#[test]
fn finds_text_and_test_of_each_mutant() {
    let listed = Command::new(workspace().join("tests/mutants.py")).arg("--list").output().unwrap();
    let said = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success(), "{said}{}", String::from_utf8_lossy(&listed.stderr));
    assert!(said.lines().count() > 250, "{said}");
}

/// A test's name is a verb and an outcome, and fits on a line.
#[test]
fn names_no_test_in_more_than_60_characters() {
    let mut names = 0;
    for_each_source(|path, text| {
        for rest in text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)) {
            let name = rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
            names += 1;
            assert!(name.len() <= 60, "{}: {name}", path.display());
        }
    });
    assert!(names > 500, "only {names} tests were found");
}

/// Calls `look` with each Rust source of the project.
fn for_each_source(mut look: impl FnMut(&Path, &str)) {
    let mut folders: Vec<PathBuf> =
        ["tests", "shared", "functions"].iter().map(|name| workspace().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                look(&path, &fs::read_to_string(&path).unwrap());
            }
        }
    }
}
