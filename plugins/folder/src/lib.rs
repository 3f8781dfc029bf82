//! Objects as files of a folder: the smallest complete destination, and the template of new ones.
//!
//! An object grows under a hidden name beside its own and appears by rename, or by hard link
//! where it must not replace another. Hidden files are not objects.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rivet_sdk::schemars::JsonSchema;
use rivet_sdk::serde::Deserialize;
use rivet_sdk::{
    Context, Destination, DestinationDriver, Error, ErrorKind, Object, ObjectWriter, Result, WriteOptions,
};

rivet_sdk::plugin! {
    name: "folder",
    schemes: [],
    destination: FolderDriver, options: include_str!("../options.schema.json"),
}

/// What the user configures: `destination: {type: folder, path: ./out}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "rivet_sdk::serde", deny_unknown_fields)]
#[schemars(crate = "rivet_sdk::schemars")]
pub struct FolderOptions {
    /// The folder; it is made with the first object.
    pub path: PathBuf,
    /// How long nothing was written to an unfinished object before its writer counts as dead.
    #[serde(default = "a_day")]
    pub abandoned_after_s: u64,
}

fn a_day() -> u64 {
    24 * 60 * 60
}

/// Opens [`Folder`] destinations.
#[derive(Debug)]
pub struct FolderDriver;

impl DestinationDriver for FolderDriver {
    type Options = FolderOptions;
    type Destination = Folder;

    fn open(options: FolderOptions, context: &Context) -> Result<Folder> {
        let root = std::path::absolute(&options.path)
            .map_err(|error| Error::config(format!("`path`: {error}")).with_hint("use `.` for this folder"))?;
        Ok(Folder { root, abandoned_after: Duration::from_secs(options.abandoned_after_s), context: context.clone() })
    }
}

/// One instance. A worker owns it; nothing is shared.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    abandoned_after: Duration,
    context: Context,
}

impl Destination for Folder {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        let unfinished = Unfinished::new(self.path(key)?)?;
        let context = self.context.clone();
        Ok(Box::new(Writer { key: key.to_owned(), size_bytes: 0, unfinished: Some(unfinished), context }))
    }

    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
        let unfinished = Unfinished::whole(self.path(key)?, body)?;
        match fs::hard_link(&unfinished.hidden, &unfinished.path) {
            Ok(()) => sync_folder(&unfinished.path).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("link", &unfinished.path, &error)),
        }
    }

    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        Unfinished::whole(self.path(key)?, body)?.appear()?;
        Ok(object(key, body.len() as u64))
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        self.read_at(key, 0, u64::MAX)
    }

    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(key)?;
        let read = || {
            let (mut file, mut bytes) = (File::open(&path)?, Vec::new());
            file.seek(SeekFrom::Start(offset))?;
            file.take(length).read_to_end(&mut bytes).map(|_| bytes)
        };
        found(read(), "read", &path)
    }

    fn head(&mut self, key: &str) -> Result<Option<Object>> {
        let path = self.path(key)?;
        let metadata = found(fs::metadata(&path), "look at", &path)?;
        Ok(metadata.filter(fs::Metadata::is_file).map(|metadata| object(key, metadata.len())))
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        each_file(&self.root, &mut |path, hidden, metadata| {
            let key = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
            objects.extend(key.filter(|key| !hidden && key.starts_with(prefix)).map(|key| object(key, metadata.len())));
            Ok(())
        })?;
        objects.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(objects)
    }

    fn delete(&mut self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        match found(fs::remove_file(&path), "remove", &path)? {
            Some(()) => sync_folder(&path),
            None => Ok(()),
        }
    }

    fn tidy(&mut self) -> Result<u64> {
        let mut removed = 0;
        each_file(&self.root, &mut |path, hidden, metadata| {
            let written = metadata.modified().map_err(|error| failed("look at", path, &error))?;
            let idle = SystemTime::now().duration_since(written).unwrap_or_default();
            if hidden && idle >= self.abandoned_after {
                fs::remove_file(path).map_err(|error| failed("remove", path, &error))?;
                removed += 1;
            }
            Ok(())
        })?;
        Ok(removed)
    }
}

impl Folder {
    /// Where an object lies. Keys never lead out of the folder, nor name a hidden file.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let plain = |component: &str| !component.is_empty() && !component.starts_with('.');
        if key.split('/').all(plain) && !key.contains(['\\', '\0']) {
            return Ok(self.root.join(key));
        }
        Err(Error::config(format!("{key:?} cannot name a file"))
            .with_hint("names are relative, and none of their components is empty or starts with a dot"))
    }
}

/// A file under its hidden name, gone when dropped.
struct Unfinished {
    path: PathBuf,
    hidden: PathBuf,
    file: File,
}

impl Unfinished {
    fn new(path: PathBuf) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(|error| failed("make the folder", folder, &error))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let hidden = folder.join(format!(".{now:x}-{:x}-{number:x}.unfinished", std::process::id()));
        let file = File::create_new(&hidden).map_err(|error| failed("create", &hidden, &error))?;
        Ok(Self { path, hidden, file })
    }

    fn whole(path: PathBuf, body: &[u8]) -> Result<Self> {
        let mut this = Self::new(path)?;
        this.file
            .write_all(body)
            .and_then(|()| this.file.sync_all())
            .map_err(|error| failed("write", &this.path, &error))?;
        Ok(this)
    }

    /// Gives the file its own name, for good.
    fn appear(self) -> Result<()> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.hidden, &self.path))
            .map_err(|error| failed("finish", &self.path, &error))?;
        sync_folder(&self.path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.hidden);
    }
}

struct Writer {
    key: String,
    size_bytes: u64,
    unfinished: Option<Unfinished>,
    context: Context,
}

impl ObjectWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.context.check()?;
        let unfinished = self.unfinished.as_mut().ok_or_else(over)?;
        unfinished.file.write_all(bytes).map_err(|error| failed("write", &unfinished.path, &error))?;
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<Object> {
        self.unfinished.take().ok_or_else(over)?.appear()?;
        Ok(object(&self.key, self.size_bytes))
    }

    fn abort(&mut self) -> Result<()> {
        self.unfinished = None;
        Ok(())
    }
}

fn over() -> Error {
    Error::internal("an object was written after its end")
}

fn object(key: &str, size_bytes: u64) -> Object {
    Object::new(key, size_bytes)
}

/// Makes a new, changed or removed name durable.
fn sync_folder(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("sync", folder, &error))
}

/// Every file below a folder, hidden ones too.
fn each_file(folder: &Path, visit: &mut dyn FnMut(&Path, bool, &fs::Metadata) -> Result<()>) -> Result<()> {
    let Some(entries) = found(fs::read_dir(folder), "list", folder)? else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", folder, &error))?;
        let path = entry.path();
        // What another worker removed meanwhile is not there.
        let Some(metadata) = found(entry.metadata(), "look at", &path)? else { continue };
        if metadata.is_dir() {
            each_file(&path, visit)?;
        } else {
            visit(&path, entry.file_name().as_encoded_bytes().starts_with(b"."), &metadata)?;
        }
    }
    Ok(())
}

/// What is not there is None, not an error.
fn found<T>(result: io::Result<T>, doing: &str, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(doing, path, &error)),
    }
}

/// The kind tells the host whose fault it is, and whether to try again.
fn failed(doing: &str, path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Permission,
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => ErrorKind::Config,
        io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => ErrorKind::AlreadyExists,
        _ => ErrorKind::Other,
    };
    Error::new(kind, format!("{doing} {}: {error}", path.display()))
}
