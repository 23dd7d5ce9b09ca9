//! Debian's docker-registry, to compare with.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running docker-registry. It ends with this.
pub struct Debian {
    process: Child,
    pub url: String,
    _folder: TempDir,
}

impl Debian {
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config.yml");
        let storage = folder.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage:\n  filesystem: {{rootdirectory: {storage:?}}}\n  delete: \
             {{enabled: true}}\nhttp: {{addr: \"127.0.0.1:0\"}}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut process = Command::new(program())
            .arg("serve")
            .arg(&config)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry ({error}): run tests/registry/unpack.sh"));
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| Some(line.split_once("listening on ")?.1.split(['"', ',']).next()?.to_owned()))
            .unwrap_or_else(|| panic!("docker-registry does not listen: run tests/registry/unpack.sh"));
        // It goes on writing its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: format!("http://{address}"), _folder: folder }
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/tools/docker-registry/usr/bin/docker-registry");
    if unpacked.is_file() { unpacked } else { PathBuf::from("docker-registry") }
}
