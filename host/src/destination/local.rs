//! A local folder: every object appears whole, by rename or hard link, after fsync.
//!
//! An object grows under `.<name>.<ulid>.tmp` beside its final name, locked by its writer.
//! Whoever gets that lock knows that the writer is dead. Files whose names start with a dot are
//! not objects: keys cannot name them, and no listing shows them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rivet_sdk::{Destination, Error, Object, ObjectWriter, Result, WriteOptions};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::local_error::file_error;
use super::writeback::Writeback;
use crate::crash::crash_point;

/// A temporary file younger than this may not have its writer's lock yet.
const TEMP_AGE: Duration = Duration::from_secs(5);

/// Bytes of the longest name that file systems take.
const LONGEST_NAME: usize = 255;
/// Bytes of the longest name of an object: while it grows, there are two dots, a ULID and `.tmp` around it.
const LONGEST_FILE: usize = LONGEST_NAME - 32;

/// What the user may configure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalOptions {
    /// The folder; made if it is not there.
    pub path: PathBuf,
}

/// A local folder.
#[derive(Debug)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// Opens the folder. It is made with the first object.
    pub fn open(options: LocalOptions) -> Result<Self> {
        if options.path.as_os_str().is_empty() {
            return Err(Error::config("the local destination has an empty path").with_hint("use `.` for this folder"));
        }
        let root = std::path::absolute(&options.path).map_err(|error| file_error("find", &options.path, &error))?;
        if root.is_file() {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(file_error("write into", &root, &error));
        }
        Ok(Self { root })
    }

    /// Removes temporary files that dead writers left, at least `age` old; their paths. Where
    /// the file system has no locks, nothing is removed: the writer may be alive.
    pub fn remove_stale_temps(&self, age: Duration) -> Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        walk(&self.root, &mut |path, name| {
            if is_temp(name) && is_stale(path, age) {
                fs::remove_file(path).map_err(|error| file_error("remove", path, &error))?;
                removed.push(path.to_owned());
            }
            Ok(())
        })?;
        Ok(removed)
    }

    fn path(&self, key: &str) -> Result<PathBuf> {
        let last = key.rsplit('/').next().unwrap_or_default();
        if let Some(long) =
            key.split('/').find(|name| name.len() > LONGEST_NAME || (*name == last && name.len() > LONGEST_FILE))
        {
            return Err(Error::config(format!(
                "{key:?} cannot name a file: `{long}` is too long with {} bytes, file systems take {LONGEST_NAME} and a \
                 part needs {} of them while it grows",
                long.len(),
                LONGEST_NAME - LONGEST_FILE
            ))
            .with_hint("shorten the export's name, or the folder's"));
        }
        let plain = |component: &str| !component.is_empty() && !component.starts_with('.');
        if key.split('/').all(plain) && !key.contains(['\\', '\0']) {
            return Ok(self.root.join(key));
        }
        Err(Error::config(format!("{key:?} cannot name a file"))
            .with_hint("names are relative, and none of their components is empty or starts with a dot"))
    }

    fn write_temp(&self, path: &Path, body: &[u8]) -> Result<Temp> {
        let mut temp = Temp::create(path)?;
        temp.file.write_all(body).map_err(|error| file_error("write", path, &error))?;
        temp.sync()?;
        Ok(temp)
    }
}

impl Destination for Local {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn create(&mut self, key: &str, _: &WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        let path = self.path(key)?;
        make_folders(path.parent().unwrap_or(&self.root))?;
        Ok(Box::new(LocalWriter {
            key: key.to_owned(),
            temp: Some(Temp::create(&path)?),
            written: 0,
            writeback: Writeback::default(),
        }))
    }

    fn put_if_absent(&mut self, key: &str, body: &[u8]) -> Result<bool> {
        let path = self.path(key)?;
        make_folders(path.parent().unwrap_or(&self.root))?;
        let temp = self.write_temp(&path, body)?;
        crash_point("local.link");
        match fs::hard_link(&temp.path, &path) {
            Ok(()) => {
                crash_point("local.unlink_temp");
                drop(temp);
                sync_folder(&path)?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(file_error("link", &path, &error)),
        }
    }

    fn put(&mut self, key: &str, body: &[u8]) -> Result<Object> {
        let path = self.path(key)?;
        make_folders(path.parent().unwrap_or(&self.root))?;
        self.write_temp(&path, body)?.rename()?;
        Ok(Object::new(key, body.len() as u64))
    }

    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(key)?;
        found(fs::read(&path), "read", &path)
    }

    fn read_at(&mut self, key: &str, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(key)?;
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        found(read(), "read", &path)
    }

    fn head(&mut self, key: &str) -> Result<Option<Object>> {
        let path = self.path(key)?;
        let metadata = found(fs::metadata(&path), "look at", &path)?;
        Ok(metadata.filter(fs::Metadata::is_file).map(|metadata| Object::new(key, metadata.len())))
    }

    fn list(&mut self, prefix: &str) -> Result<Vec<Object>> {
        // The prefix may end within a name: walk its folder, then compare whole keys.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let start = if folder.is_empty() { self.root.clone() } else { self.path(folder)? };
        let mut objects = Vec::new();
        // Of the folders in it, only those that may hold such keys.
        let (root, wanted) = (&self.root, prefix.to_owned());
        let may_hold = |path: &Path| {
            let relative = path.strip_prefix(root).ok().and_then(Path::to_str);
            relative.is_none_or(|key| key.starts_with(&wanted) || wanted.starts_with(&format!("{key}/")))
        };
        walk_some(&start, &may_hold, &mut |path, name| {
            let relative = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
            if let Some(key) = relative
                && key.starts_with(prefix)
                && !name.starts_with('.')
                && let Some(metadata) = found(fs::metadata(path), "look at", path)?
                && metadata.is_file()
            {
                objects.push(Object::new(key, metadata.len()));
            }
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
        let removed = self.remove_stale_temps(TEMP_AGE)?;
        Ok(u64::try_from(removed.len()).unwrap_or(u64::MAX))
    }
}

/// A file of its writer's own, gone when dropped.
#[derive(Debug)]
struct Temp {
    path: PathBuf,
    target: PathBuf,
    file: File,
}

impl Temp {
    fn create(target: &Path) -> Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let path = target.with_file_name(format!(".{name}.{}.tmp", Ulid::generate()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| file_error("create", &path, &error))?;
        // Where there are no locks, nobody will remove temporary files either.
        let _ = file.try_lock();
        Ok(Self { path, target: target.to_owned(), file })
    }

    fn sync(&mut self) -> Result<()> {
        crash_point("local.fsync");
        self.file.sync_all().map_err(|error| file_error("sync", &self.path, &error))
    }

    fn rename(self) -> Result<()> {
        crash_point("local.rename");
        fs::rename(&self.path, &self.target).map_err(|error| file_error("rename to", &self.target, &error))?;
        sync_folder(&self.target)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

struct LocalWriter {
    key: String,
    temp: Option<Temp>,
    written: u64,
    writeback: Writeback,
}

impl LocalWriter {
    fn over() -> Error {
        Error::internal("an object was written after its end")
    }
}

impl ObjectWriter for LocalWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let temp = self.temp.as_mut().ok_or_else(Self::over)?;
        let bytes_written = bytes.len() as u64;
        let written = temp.file.write_all(bytes).and_then(|()| self.writeback.wrote(&temp.file, bytes_written));
        written.map_err(|error| file_error("write", &temp.path, &error))?;
        self.written += bytes_written;
        Ok(())
    }

    fn finish(&mut self) -> Result<Object> {
        let mut temp = self.temp.take().ok_or_else(Self::over)?;
        self.writeback.wait().map_err(|error| file_error("sync", &temp.path, &error))?;
        temp.sync()?;
        temp.rename()?;
        Ok(Object::new(self.key.clone(), self.written))
    }

    fn abort(&mut self) -> Result<()> {
        self.temp = None;
        Ok(())
    }
}

/// Makes the folder and those above it, each durable in its parent.
fn make_folders(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        // A file has the folder's name.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(file_error("make the folder", folder, &io::Error::from(io::ErrorKind::NotADirectory)))
        }
        Err(error) => Err(file_error("make the folder", folder, &error)),
        Ok(()) => sync_folder(folder),
    }
}

/// Makes the entry of `path` in its folder durable.
fn sync_folder(path: &Path) -> Result<()> {
    crash_point("local.fsync_folder");
    let Some(folder) = path.parent() else { return Ok(()) };
    // A folder may be writable but not readable; then the system syncs in its own time.
    let Ok(folder) = File::open(folder) else { return Ok(()) };
    match folder.sync_all() {
        // Some file systems refuse fsync on folders (EINVAL): they have nothing to sync.
        Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Err(file_error("sync the folder of", path, &error))
        }
        _ => Ok(()),
    }
}

fn found<T>(result: io::Result<T>, doing: &str, path: &Path) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error(doing, path, &error)),
    }
}

/// Visits every file below `folder`, folders whose names start with a dot aside. A symlink to
/// a folder is followed only at the root.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &str) -> Result<()>) -> Result<()> {
    walk_some(folder, &|_| true, visit)
}

/// The same, of those folders in it that `is_wanted` says.
fn walk_some(
    folder: &Path,
    is_wanted: &dyn Fn(&Path) -> bool,
    visit: &mut dyn FnMut(&Path, &str) -> Result<()>,
) -> Result<()> {
    let Some(entries) = found(fs::read_dir(folder), "list", folder)? else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(|error| file_error("list", folder, &error))?;
        let path = entry.path();
        let name = entry.file_name();
        // What is not UTF-8 cannot be a key of ours.
        let Some(name) = name.to_str() else { continue };
        let Some(kind) = found(entry.file_type(), "look at", &path)? else { continue };
        if !kind.is_dir() {
            visit(&path, name)?;
        } else if !name.starts_with('.') && is_wanted(&path) {
            walk_some(&path, is_wanted, visit)?;
        }
    }
    Ok(())
}

fn is_temp(name: &str) -> bool {
    let id = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")).and_then(|name| name.rsplit_once('.'));
    id.is_some_and(|(_, id)| Ulid::from_string(id).is_ok())
}

fn is_stale(path: &Path, age: Duration) -> bool {
    let old = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed >= age));
    old && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
