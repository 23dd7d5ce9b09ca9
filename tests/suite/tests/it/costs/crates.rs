//! How much of others' code a function is made of.

use std::{collections::BTreeSet, path::Path, process::Command};

/// So many crates, ours and those that work at compile time among them. Who adds one sees it here, and who gets rid of
/// one as well.
const CRATES: usize = 200;

#[test]
fn a_notification_is_answered_by_so_many_crates() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "-p", "registry-notification", "-e", "normal"])
        .args(["--prefix", "none", "--target", "x86_64-unknown-linux-gnu", "--format", "{p}"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    // A crate of this workspace says where it stands, and each says so when it comes again.
    let crates: BTreeSet<&str> = text.lines().map(|line| line.split(" (").next().unwrap()).collect();
    assert_eq!(crates.len(), CRATES, "{crates:#?}");
}
