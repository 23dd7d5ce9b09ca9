//! The whole stack, started in order and ended in the opposite one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use local_data_api::{Cluster, DataApi, Secret};
use local_registry::storage::Storage;
use local_registry::{Notification, Registry, SigningKeys, TokenCheck};
use nix::sys::signal::Signal;
use postgres_pair::keeper::Keeper;
use postgres_pair::proxy::Proxy;
use postgres_pair::{Pair, PairOptions, Replica, free_ports};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use uuid::Uuid;

use crate::client::Client;
use crate::function::{Environment, Function, Surroundings, reader};
use crate::functions::{FunctionSet, SetPlan};
use crate::names;
use crate::options::{RegistryChoice, StackOptions, Topology};
use crate::secrets::SecretStore;
use crate::ticker::Ticker;
use crate::witness::Witness;
use crate::{database, source, stack_file::StackFile};

/// Everything the driver runs on, and the driver. Owns it all and ends it all: when stopped, when dropped, and
/// when its process is killed.
#[derive(Debug)]
pub struct Stack {
    // In the order of their ends.
    functions: Arc<FunctionSet>,
    witness: Option<Witness>,
    registry: Option<Registry>,
    secrets: SecretStore,
    data_api: DataApiHandle,
    proxies: Option<Proxies>,
    /// Where writer and reader are reached.
    ports: (u16, u16),
    pair: Pair,
    surroundings: Surroundings,
    access: Access,
    registry_public_key: String,
    registry_certificate: String,
    notification_url: String,
    options: StackOptions,
    sets: AtomicUsize,
    folder: PathBuf,
    keeper: Arc<Keeper>,
}

/// What callers show.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) notification_secret: SecretString,
    pub(crate) operator_token: SecretString,
}

/// A proxy in front of everything that is asked.
#[derive(Debug)]
pub struct Proxies {
    /// In front of the writer.
    pub writer: Proxy,
    /// In front of the reader.
    pub reader: Proxy,
    /// In front of the Data API, for the functions.
    pub data_api: Proxy,
    /// In front of the registry, where it is our own.
    pub registry: Option<Proxy>,
}

/// The Data API has no Debug of its own.
struct DataApiHandle(DataApi);

impl std::fmt::Debug for DataApiHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DataApi").field(&self.0.url()).finish()
    }
}

impl Stack {
    /// Starts everything; when this returns each function answers.
    ///
    /// # Errors
    /// When a part does not start; what had started is ended.
    pub async fn start(options: StackOptions) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("registry-migration-").tempdir()?.keep();
        let keeper = Arc::new(Keeper::start(Signal::SIGTERM, Some(&folder))?);

        let replica = match options.topology {
            Topology::ReplicaCluster => Replica::Logical,
            Topology::StandbyCluster | Topology::Single | Topology::DirectReader => Replica::Streaming,
        };
        let plan = PairOptions { replica, ..PairOptions::default() };
        let pair = match replica {
            Replica::Streaming => {
                Pair::start_from(database::template().await.context("the schema")?, plan).await
            }
            Replica::Logical => Pair::start(plan).await,
        }
        .context("the PostgreSQL pair")?;
        let mut ports = (pair.writer().port, pair.reader().port);
        let mut databases = None;
        if options.proxies {
            let (writer, reader) = (Proxy::start(ports.0).await?, Proxy::start(ports.1).await?);
            ports = (writer.port(), reader.port());
            databases = Some((writer, reader));
        }
        let data_api = data_api(&pair, ports).await.context("the Data API")?;
        if replica == Replica::Logical {
            database::deploy_replica(&pair, &data_api.url()).await.context("the logical replica")?;
            data_api.clear_journal();
        }
        database::set(&pair, options.enabled, options.capacity, options.retry_backoff_seconds)
            .await
            .context("the settings")?;
        pair.wait_until_replayed().await?;
        pair.set_lag(options.lag).await?;
        let keys = tokio::task::spawn_blocking(signing_keys).await??;
        let access = Access { notification_secret: random_secret(), operator_token: random_secret() };
        let secrets = secrets(keys, &access).await.context("the secret store")?;

        // cargo lambda cannot say which port it was given.
        let [gateway_port] = free_ports()?;
        let host = options.notification_host.clone().unwrap_or_else(|| "127.0.0.1".to_owned());
        let witness = if options.witness {
            let forward_to = format!("http://127.0.0.1:{gateway_port}");
            Some(Witness::start(listen_on(&host), &forward_to, &pair).await.context("the witness")?)
        } else {
            None
        };
        let port = witness.as_ref().map_or(gateway_port, Witness::port);
        let notification_url =
            format!("http://{host}:{port}/api/v4/internal/registry/repositories/{{path}}/migration/status");
        let notification = Notification {
            url_template: notification_url.clone(),
            secret: access.notification_secret.clone(),
            timeout: options.notification_timeout,
        };
        let registry = registry(&options.registry, &folder, notification, &keys.public_key_pem)
            .await
            .context("the registry")?;

        let proxies = match databases {
            Some((writer, reader)) => {
                let registry = match &registry {
                    Some(registry) => Some(proxy_before(&registry.url()).await?),
                    None => None,
                };
                Some(Proxies { writer, reader, data_api: proxy_before(&data_api.url()).await?, registry })
            }
            None => None,
        };
        let through = |proxy: Option<&Proxy>, url: String| {
            proxy.map_or(url, |proxy| format!("http://127.0.0.1:{}", proxy.port()))
        };
        let registry_proxy = proxies.as_ref().and_then(|proxies| proxies.registry.as_ref());
        let registry_url = match (&registry, &options.registry) {
            (Some(registry), _) => through(registry_proxy, registry.url()),
            (None, RegistryChoice::Outside { url }) => url.clone(),
            (None, RegistryChoice::Local { .. }) => String::new(),
        };
        let surroundings = Surroundings {
            data_api_url: through(proxies.as_ref().map(|proxies| &proxies.data_api), data_api.url()),
            secrets_url: secrets.url(),
            registry_url,
            log_level: options.log_level.clone(),
            repeat: options.repeat,
            reader: reader(options.topology, (ports.1, &pair.certificates())),
        };
        let given = |function: Function| (function, function.environment(&surroundings));
        let functions = FunctionSet::start(SetPlan {
            host: listen_on(&host),
            port: gateway_port,
            functions: options.functions.iter().copied().map(given).collect(),
            instances: options.instances,
            programs: None,
            logs: &folder.join("logs/0"),
            keeper: &keeper,
        })
        .await
        .context("the functions")?;

        Ok(Self {
            functions: Arc::new(functions),
            witness,
            registry,
            secrets,
            data_api: DataApiHandle(data_api),
            proxies,
            ports,
            pair,
            surroundings,
            access,
            registry_public_key: keys.public_key_pem.clone(),
            registry_certificate: keys.certificate_pem.clone(),
            notification_url,
            options,
            sets: AtomicUsize::new(1),
            folder,
            keeper,
        })
    }

    /// The operators' token, as a program outside of the stack presents it.
    pub fn operator_token(&self) -> &str {
        self.access.operator_token.expose_secret()
    }

    /// The database servers.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// The proxies in front of the databases and the services.
    ///
    /// # Errors
    /// When the options asked for none.
    pub fn proxies(&self) -> anyhow::Result<&Proxies> {
        self.proxies.as_ref().context("the stack has no proxies")
    }

    /// The Data API: its journal and its faults.
    pub fn data_api(&self) -> &DataApi {
        &self.data_api.0
    }

    /// A further Data API before the same servers, for functions whose calls are to meet faults of their own. It is
    /// the caller's to stop.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn further_data_api(&self) -> anyhow::Result<DataApi> {
        data_api(&self.pair, self.ports).await
    }

    /// The registry, if it is our own: its journals and its rules.
    pub fn registry(&self) -> anyhow::Result<&Registry> {
        self.registry.as_ref().context("the registry is not ours")
    }

    /// The secrets, to rotate or remove some. By ARN, see the constants of this crate.
    pub fn secrets(&self) -> &SecretStore {
        &self.secrets
    }

    /// The functions that were started with the stack.
    pub fn functions(&self) -> &FunctionSet {
        &self.functions
    }

    /// What looked at the replica as notifications arrived, if the options asked for it.
    pub fn witness(&self) -> Option<&Witness> {
        self.witness.as_ref()
    }

    /// Where the stack keeps its files while it runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A function's environment.
    pub fn environment(&self, function: Function) -> Environment {
        function.environment(&self.surroundings)
    }

    /// A caller of the functions with every secret it needs.
    pub fn client(&self) -> Client {
        self.client_of(&self.functions)
    }

    /// The same for a further set of functions.
    pub fn client_of(&self, functions: &FunctionSet) -> Client {
        Client::new(functions.base_url(), self.access.clone())
    }

    /// Starts further processes of `functions`, behind a cargo lambda of their own, in an environment that
    /// `change` may change first. The registry's notifications do not go there.
    ///
    /// # Errors
    /// When a function does not stay up, for example because a variable is missing.
    pub async fn run_functions(
        &self,
        functions: &[Function],
        change: impl Fn(Function, &mut Environment),
    ) -> anyhow::Result<FunctionSet> {
        self.run_programs(None, functions, change).await
    }

    /// The same with the programs of a folder, for example those of another version.
    ///
    /// # Errors
    /// As [`Stack::run_functions`].
    pub async fn run_programs(
        &self,
        programs: Option<&Path>,
        functions: &[Function],
        change: impl Fn(Function, &mut Environment),
    ) -> anyhow::Result<FunctionSet> {
        let given = |function: &Function| {
            let mut environment = self.environment(*function);
            change(*function, &mut environment);
            (*function, environment)
        };
        let number = self.sets.fetch_add(1, Ordering::Relaxed);
        let [port] = free_ports()?;
        FunctionSet::start(SetPlan {
            host: Ipv4Addr::LOCALHOST.into(),
            port,
            functions: functions.iter().map(given).collect(),
            instances: self.options.instances,
            programs,
            logs: &self.folder.join(format!("logs/{number}")),
            keeper: &self.keeper,
        })
        .await
    }

    /// Makes container repositories known to the driver, in their initial state.
    pub async fn register(&self, paths: &[String]) -> anyhow::Result<()> {
        let client = self.pair.writer().connect().await?;
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        client
            .execute("INSERT INTO container_repositories (path) SELECT unnest($1::text[])", &[&paths])
            .await?;
        Ok(())
    }

    /// The storage that is migrated from, if the registry is ours.
    pub fn old_storage(&self) -> anyhow::Result<Storage> {
        Ok(self.registry()?.old_storage())
    }

    /// Invokes the functions that have a schedule every `period` until the ticker is dropped.
    pub fn tick_every(&self, period: Duration) -> Ticker {
        Ticker::start(&self.functions, period)
    }

    /// What `local up` prints.
    pub async fn describe(&self) -> StackFile {
        let mut pids = std::collections::BTreeMap::new();
        pids.insert("local".to_owned(), std::process::id());
        pids.extend(self.pair.writer().pid().await.map(|pid| ("postgres-writer".to_owned(), pid)));
        pids.extend(self.pair.reader().pid().await.map(|pid| ("postgres-reader".to_owned(), pid)));
        pids.extend(self.functions.gateway_pid().map(|pid| ("cargo-lambda".to_owned(), pid)));
        for function in &self.options.functions {
            for (number, pid) in self.functions.pids(*function).into_iter().enumerate() {
                pids.insert(format!("{}-{}", function.name(), number + 1), pid);
            }
        }
        StackFile {
            ready: true,
            topology: self.options.topology,
            base_url: self.functions.base_url(),
            registry_url: self.surroundings.registry_url.clone(),
            data_api_url: self.surroundings.data_api_url.clone(),
            secrets_url: self.surroundings.secrets_url.clone(),
            writer_arn: names::WRITER_ARN.to_owned(),
            reader_arn: names::READER_ARN.to_owned(),
            secret_arn: names::WRITER_SECRET_ARN.to_owned(),
            reader_secret_arn: names::READER_SECRET_ARN.to_owned(),
            database: names::DATABASE.to_owned(),
            writer_dsn: self.pair.writer().dsn(),
            reader_dsn: self.pair.reader().dsn(),
            notification_url: self.notification_url.clone(),
            notification_secret: self.access.notification_secret.expose_secret().to_owned(),
            operator_token: self.access.operator_token.expose_secret().to_owned(),
            registry_token_public_key: self.registry_public_key.clone(),
            registry_token_certificate: self.registry_certificate.clone(),
            functions: self.options.functions.iter().map(|function| function.name().to_owned()).collect(),
            logs: self.folder.join("logs/0"),
            pids,
        }
    }

    /// The environment of all functions together, for a plain `cargo lambda watch`, which knows
    /// only one for all of them.
    pub fn common_environment(&self) -> Environment {
        let mut together = Environment::new();
        Function::ALL.iter().for_each(|function| together.extend(self.environment(*function)));
        together
    }

    /// Ends everything and removes the folder. Dropping does the same, without telling of an error.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { functions, witness, registry, secrets, data_api, proxies, pair, keeper, .. } = self;
        // A ticker may still hold the set.
        functions.end();
        drop(functions);
        if let Some(registry) = registry {
            registry.stop().await;
        }
        drop((witness, secrets));
        data_api.0.stop().await;
        drop(proxies);
        pair.stop().await?;
        keeper.finish()
    }
}

/// A proxy in front of a service of this machine.
async fn proxy_before(url: &str) -> anyhow::Result<Proxy> {
    let port = url.rsplit(':').next().unwrap_or_default();
    Proxy::start(port.parse().with_context(|| format!("no port in {url}"))?).await
}

async fn data_api(pair: &Pair, (writer_port, reader_port): (u16, u16)) -> anyhow::Result<DataApi> {
    let (writer, reader) = (pair.writer(), pair.reader());
    let secret = |arn: &str, role: &str| Secret {
        arn: arn.to_owned(),
        username: role.to_owned(),
        password: names::PASSWORD.to_owned(),
    };
    DataApi::start(local_data_api::Config {
        clusters: vec![
            Cluster::new(names::WRITER_ARN, &writer.host, writer_port),
            Cluster::new(names::READER_ARN, &reader.host, reader_port),
        ],
        secrets: vec![
            secret(names::WRITER_SECRET_ARN, names::WRITER_ROLE),
            secret(names::READER_SECRET_ARN, names::READER_ROLE),
            secret(names::OWNER_SECRET_ARN, names::OWNER_ROLE),
        ],
        default_database: Some(names::DATABASE.to_owned()),
        // Tests count its calls, those of a whole fleet among them.
        limits: local_data_api::Limits { journal_bytes: 1024 * 1024 * 1024, ..Default::default() },
        ..local_data_api::Config::default()
    })
    .await
}

async fn secrets(keys: &SigningKeys, access: &Access) -> anyhow::Result<SecretStore> {
    let store = SecretStore::start().await?;
    let login = |role: &str| json!({"username": role, "password": names::PASSWORD}).to_string();
    store.put(names::WRITER_SECRET_ARN, login(names::WRITER_ROLE));
    store.put(names::READER_SECRET_ARN, login(names::READER_ROLE));
    store.put(names::OWNER_SECRET_ARN, login(names::OWNER_ROLE));
    store.put(names::REPLICATION_SECRET_ARN, login(names::REPLICATION_ROLE));
    store.put(names::SIGNING_KEY_SECRET_ARN, keys.private_key_pem.clone());
    store.put(names::NOTIFICATION_SECRET_ARN, access.notification_secret.clone());
    store.put(names::OPERATOR_TOKEN_SECRET_ARN, access.operator_token.clone());
    Ok(store)
}

async fn registry(
    choice: &RegistryChoice,
    folder: &Path,
    notification: Notification,
    public_key_pem: &str,
) -> anyhow::Result<Option<Registry>> {
    let RegistryChoice::Local { old_storage, new_storage, max_concurrent_imports, step_time } = choice else {
        return Ok(None);
    };
    let token = TokenCheck {
        public_key_pem: public_key_pem.to_owned(),
        audience: names::TOKEN_AUDIENCE.to_owned(),
        issuer: names::TOKEN_ISSUER.to_owned(),
    };
    let storage = |given: &Option<PathBuf>, name: &str| -> anyhow::Result<PathBuf> {
        let path = given.clone().unwrap_or_else(|| folder.join(name));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    };
    if let Some(given) = old_storage {
        source::open(given)?;
    }
    let mut config =
        local_registry::Config::new(storage(old_storage, "old")?, storage(new_storage, "new")?, token);
    config.notification = Some(notification);
    config.max_concurrent_imports = *max_concurrent_imports;
    config.step_time = *step_time;
    Ok(Some(Registry::start(config).await?))
}

/// One pair for all stacks of a process: making it costs as much as starting a server.
fn signing_keys() -> anyhow::Result<&'static SigningKeys> {
    static KEYS: OnceLock<SigningKeys> = OnceLock::new();
    if let Some(keys) = KEYS.get() {
        return Ok(keys);
    }
    let keys = SigningKeys::generate()?;
    Ok(KEYS.get_or_init(|| keys))
}

fn random_secret() -> SecretString {
    Uuid::new_v4().simple().to_string().into()
}

/// Who is reached under another name than the loopback's has to listen everywhere.
fn listen_on(host: &str) -> IpAddr {
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if here { Ipv4Addr::LOCALHOST.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}
