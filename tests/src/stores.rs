//! The private object stores that the runner started: a prefix of its own for each test, and what
//! is in it as others than rivet see it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use crate::{readers, rivet, sqlite};

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SeaweedFS.
    S3,
    /// fake-gcs-server behind our front.
    Gcs,
    /// Azurite.
    Azure,
}

/// All of them.
pub const ALL: [Kind; 3] = [Kind::S3, Kind::Gcs, Kind::Azure];

impl Kind {
    /// The plugin's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }

    /// A setting of the runner's: `ENDPOINT`, `BUCKET`…
    pub fn setting(self, name: &str) -> String {
        crate::from_runner(&format!("RIVET_TEST_{}_{name}", self.name().to_uppercase()))
    }
}

/// A prefix that no other test uses.
pub struct Place {
    /// Which store.
    pub kind: Kind,
    /// Ends with a slash.
    pub prefix: String,
    /// Where rivet is told to find the store: its own address, or a proxy's.
    pub endpoint: String,
}

/// A shared access signature for Azurite's account.
pub fn azure_sas(permissions: &str, expiry: &str) -> String {
    serde_json::from_str(&ask(&["sas", "azure", permissions, expiry])).unwrap()
}

fn ask(arguments: &[&str]) -> String {
    readers::script("stores.py", arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// A fresh prefix. Stores end with the test run, so nothing is removed.
pub fn place(kind: Kind) -> Place {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test {}/{}/", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    Place { kind, prefix, endpoint: kind.setting("ENDPOINT") }
}

/// An export of a table's three rows.
pub struct Export {
    /// Where it is configured.
    pub project: rivet::Project,
    _database: sqlite::Database,
}

/// One to this `destination`. It is tried once.
pub fn export(destination: &str) -> Export {
    let mut database = sqlite::database();
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)");
    let (project, url) = (rivet::project(), database.url());
    project.config(&format!("source: {{url: '{url}'}}\nexports:\n  - {{name: e, table: t, format: parquet, tuning: {{max_retries: 0}}, destination: {destination}}}\n"));
    Export { project, _database: database }
}

impl Export {
    /// Runs it with these variables, in which `{folder}` is the project's, and with no identity that
    /// this machine has by itself.
    pub fn run(&self, environment: &[(&str, &str)]) -> rivet::Output {
        let folder = self.project.folder();
        let mut command = self.project.rivet("run").env("HOME", folder).env("AWS_EC2_METADATA_DISABLED", "true");
        for name in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
            command = command.env(name, self.project.path("nothing"));
        }
        for name in ["GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"] {
            command = command.env(name, "");
        }
        command = command.env("GCE_METADATA_HOST", "127.0.0.1:9").env("AZURE_IMDS_ENDPOINT", "http://127.0.0.1:9/");
        for (name, value) in environment {
            command = command.env(name, value.replace("{folder}", folder.to_str().unwrap()));
        }
        command.run()
    }
}

impl Place {
    /// The `destination` of a configuration, on one line, with `more` keys. Secrets come from the
    /// environment: [`Place::credentials`].
    pub fn yaml(&self, more: &str) -> String {
        let credentials = match self.kind {
            Kind::S3 => "access_key_env: STORE_USER, secret_key_env: STORE_SECRET".to_owned(),
            Kind::Gcs => "token_env: STORE_SECRET".to_owned(),
            Kind::Azure => format!("account_name: {}, account_key_env: STORE_SECRET", self.kind.setting("ACCOUNT")),
        };
        self.yaml_as(&credentials, more)
    }

    /// The same with other credentials.
    pub fn yaml_as(&self, credentials: &str, more: &str) -> String {
        let Self { kind, prefix, endpoint } = self;
        let (name, bucket) = (kind.name(), kind.setting("BUCKET"));
        let more: String =
            [credentials, more].iter().filter(|part| !part.is_empty()).map(|part| format!(", {part}")).collect();
        format!("{{type: {name}, bucket: {bucket}, prefix: '{prefix}', endpoint: '{endpoint}'{more}}}")
    }

    /// The command with the store's credentials in its environment.
    #[must_use]
    pub fn credentials(&self, command: rivet::Command) -> rivet::Command {
        match self.kind {
            Kind::S3 => command
                .env("STORE_USER", self.kind.setting("ACCESS_KEY"))
                .env("STORE_SECRET", self.kind.setting("SECRET_KEY")),
            Kind::Gcs => command.env("STORE_SECRET", self.kind.setting("TOKEN")),
            Kind::Azure => command.env("STORE_SECRET", self.kind.setting("KEY")),
        }
    }

    /// Every object's key and size.
    pub fn objects(&self) -> BTreeMap<String, u64> {
        self.look("list")
    }

    /// The data files: no control objects.
    pub fn parts(&self) -> BTreeSet<String> {
        self.objects().into_keys().filter(|key| !key.split('/').any(|part| part.starts_with('_'))).collect()
    }

    /// Keys of uploads that are neither completed nor aborted. None where the store tells nobody.
    pub fn unfinished(&self) -> Option<Vec<String>> {
        (self.kind != Kind::Azure).then(|| self.look("uploads"))
    }

    /// A copy of everything, fetched by the store's own protocol.
    pub fn fetch(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.ask("fetch", Some(folder.path()));
        folder
    }

    /// Panics unless the latest manifest, the prefix and `rows` of a table with a key `id` agree.
    #[track_caller]
    pub fn assert_holds(&self, rows: u64, what: &str) {
        let kind = self.kind;
        let folder = self.fetch();
        let read = |name: &str| -> Value {
            let text = std::fs::read(folder.path().join(name))
                .unwrap_or_else(|error| panic!("{kind:?} {what}: {name}: {error}"));
            serde_json::from_slice(&text).unwrap()
        };
        let success = read("_SUCCESS");
        let manifest = read(success["manifest"].as_str().unwrap());
        let named: BTreeSet<String> =
            manifest["parts"].as_array().unwrap().iter().map(|part| part["key"].as_str().unwrap().to_owned()).collect();
        assert_eq!(named, self.parts(), "{kind:?} {what}: the prefix is not the manifest");
        assert_eq!(manifest["rows"].as_u64(), Some(rows), "{kind:?} {what}");
        let found = readers::sql(folder.path(), "SELECT count(*), count(DISTINCT id), min(id), max(id) FROM t");
        assert_eq!(found[0], [rows, rows, 1, rows].map(|number| Some(number.to_string())), "{kind:?} {what}");
    }

    /// What the store tells of every object, by the names of its headers.
    pub fn headers(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.look("headers")
    }

    /// The tags of every object.
    pub fn tags(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.look("tags")
    }

    fn look<T: DeserializeOwned>(&self, what: &str) -> T {
        serde_json::from_str(&self.ask(what, None)).unwrap()
    }

    fn ask(&self, what: &str, folder: Option<&Path>) -> String {
        let folder = folder.map(|folder| folder.to_str().unwrap());
        let arguments: Vec<&str> = [what, self.kind.name(), &self.prefix].into_iter().chain(folder).collect();
        ask(&arguments)
    }
}
