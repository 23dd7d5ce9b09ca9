//! The suite of the import protocol, for the GitLab-like registry.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use local_registry::conformance::{AT_MOST, ImportEngine, Setup};
use local_registry::storage::ImageOptions;
use local_registry::{Config, Effect, Point, Registry, Restart, Rule, RuleId};
use tempfile::TempDir;

struct GitlabLike {
    registry: Registry,
    held: Mutex<HashMap<String, RuleId>>,
    _folder: TempDir,
}

impl ImportEngine for GitlabLike {
    async fn start(setup: Setup) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::new(folder.path().join("old"), folder.path().join("new"), setup.token);
        config.notification = Some(setup.notification);
        config.max_concurrent_imports = setup.capacity;
        config.cancel_settle = setup.cancel_settle;
        config.cancel_notice = Duration::from_millis(10);
        let registry = Registry::start(config).await.unwrap();
        Self { registry, held: Mutex::default(), _folder: folder }
    }

    fn url(&self) -> String {
        self.registry.url()
    }

    async fn add_repository(&self, path: &str) {
        let seed = path.len() as u64;
        let old = self.registry.old_storage();
        old.write_image(path, &["v1", "latest"], &ImageOptions::small(seed)).unwrap();
    }

    async fn hold(&self, path: &str) {
        let rule = Rule::new(Effect::Hold { at: Point::Work }).repository(path);
        self.held.lock().unwrap().insert(path.to_owned(), self.registry.rules().add(rule));
    }

    async fn release(&self, path: &str) {
        let held = self.held.lock().unwrap().remove(path);
        self.registry.rules().remove(held.unwrap());
    }

    async fn fail(&self, path: &str) {
        let effect = Effect::Fail { error: "on request".to_owned() };
        self.registry.rules().add(Rule::new(effect).repository(path).times(1));
    }

    async fn make_slow(&self, path: &str, time: Duration) {
        let milliseconds = time.as_millis().try_into().unwrap();
        self.registry.rules().add(Rule::new(Effect::Slow { milliseconds }).repository(path).times(1));
    }

    async fn set_capacity(&self, capacity: usize) {
        self.registry.set_max_concurrent_imports(capacity);
    }

    async fn idle(&self) {
        assert!(self.registry.wait_until_idle(AT_MOST).await, "steps still run");
    }

    async fn restart(&self) {
        self.registry.restart(Restart::Crash, Duration::ZERO).await.unwrap();
    }
}

local_registry::import_protocol_tests!(GitlabLike);
