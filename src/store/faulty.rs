//! The faulty twin of the disk, for tests: an in-memory file system that logs every operation, can
//! fail any of them, and can show the state after a crash at any point of the log.
//!
//! The crash model is the usual adversary: bytes survive only up to the last `sync` of their file,
//! later ones may be there, absent, cut anywhere, or read as zeros; a name in a folder survives
//! only when the folder was synced since, and may survive earlier.

use super::{Files, Sink, folder_of};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The failures that a disk is known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// No space left; half of a write may be there.
    NoSpace,
    /// The device failed.
    Io,
    /// The user's quota is used up; half of a write may be there.
    Quota,
    /// Not allowed.
    Access,
}

impl Errno {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NoSpace, Self::Io, Self::Quota, Self::Access];

    fn error(self) -> io::Error {
        let errno = match self {
            Self::NoSpace => rustix::io::Errno::NOSPC,
            Self::Io => rustix::io::Errno::IO,
            Self::Quota => rustix::io::Errno::DQUOT,
            Self::Access => rustix::io::Errno::ACCESS,
        };
        errno.into()
    }
}

/// One operation that changed the disk; files are identified by number, not by name.
#[derive(Clone, Debug)]
pub enum Op {
    /// A new empty file.
    Create(PathBuf, usize),
    /// Bytes at the end of a file.
    Write(usize, Vec<u8>),
    /// The file was cut.
    Cut(usize, u64),
    /// The file was synced.
    Sync(usize),
    /// A name moved.
    Rename(PathBuf, PathBuf),
    /// A name went.
    Remove(PathBuf),
    /// The names of a folder were synced.
    SyncFolder(PathBuf),
}

/// Effect of a crash on data that was not synced.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Number of unsynced bytes at the end of a file that survive (at most all).
    pub keep: usize,
    /// Whether the others are there as zeros, instead of absent.
    pub zeros: bool,
    /// Whether unsynced names survive.
    pub names: bool,
}

impl Loss {
    /// Losses that keep 0..=`bytes` unsynced bytes, in all their variants, and the loss of nothing.
    pub fn some(bytes: usize) -> impl Iterator<Item = Self> {
        let variants = [(false, false), (false, true), (true, false), (true, true)];
        (0..=bytes)
            .chain([usize::MAX])
            .flat_map(move |keep| variants.map(|(zeros, names)| Self { keep, zeros, names }))
    }
}

#[derive(Clone, Default)]
struct Inode {
    /// Content that a reader sees.
    now: Vec<u8>,
    /// Content that is certainly on the disk.
    synced: Vec<u8>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    log: Vec<Op>,
    /// Fails when it reaches 0.
    countdown: Option<(usize, Errno)>,
    last_failed: Option<&'static str>,
}

impl State {
    fn apply(&mut self, op: Op) {
        match &op {
            Op::Create(path, id) => {
                self.inodes.resize(self.inodes.len().max(id + 1), Inode::default());
                self.names.insert(path.clone(), *id);
            }
            Op::Write(id, bytes) => self.inodes[*id].now.extend_from_slice(bytes),
            Op::Cut(id, len) => self.inodes[*id].now.resize(*len as usize, 0),
            Op::Sync(id) => self.inodes[*id].synced = self.inodes[*id].now.clone(),
            Op::Rename(from, to) => {
                if let Some(id) = self.names.remove(from) {
                    self.names.insert(to.clone(), id);
                }
            }
            Op::Remove(path) => {
                self.names.remove(path);
            }
            Op::SyncFolder(folder) => {
                self.synced_names.retain(|p, _| folder_of(p) != folder);
                let here = self.names.iter().filter(|(p, _)| folder_of(p) == folder);
                self.synced_names.extend(here.map(|(p, id)| (p.clone(), *id)));
            }
        }
        self.log.push(op);
    }

    /// Counts an operation, and fails it when its turn has come.
    fn gate(&mut self, what: &'static str) -> io::Result<()> {
        match &mut self.countdown {
            Some((0, errno)) => {
                let errno = *errno;
                self.countdown = None;
                self.last_failed = Some(what);
                Err(errno.error())
            }
            Some((n, _)) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The in-memory twin. Clones share the disk.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

impl FaultyDisk {
    /// An empty disk that works.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the k-th of the operations to come fail (from 0), once.
    pub fn fail_at(&self, k: usize, errno: Errno) {
        self.state().countdown = Some((k, errno));
    }

    /// Lets everything work again.
    pub fn heal(&self) {
        self.state().countdown = None;
    }

    /// Name of the operation that failed last.
    pub fn last_failed(&self) -> Option<&'static str> {
        self.state().last_failed
    }

    /// All operations that changed the disk so far.
    pub fn log(&self) -> Vec<Op> {
        self.state().log.clone()
    }

    /// The disk that a crash after these operations leaves.
    pub fn after_crash(log: &[Op], loss: Loss) -> Self {
        let mut state = State::default();
        log.iter().cloned().for_each(|op| state.apply(op));
        for inode in &mut state.inodes {
            inode.now = survivor(inode, loss);
            inode.synced = inode.now.clone();
        }
        if !loss.names {
            state.names = state.synced_names.clone();
        }
        state.synced_names = state.names.clone();
        state.log.clear();
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere must not hide behind a poisoned lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Content of a file after a crash: the common part survives, the unsynced rest is lost according
/// to `loss`.
fn survivor(inode: &Inode, loss: Loss) -> Vec<u8> {
    let common = inode.now.iter().zip(&inode.synced).take_while(|(a, b)| a == b).count();
    if loss.keep == 0 && !loss.zeros {
        return inode.synced.clone();
    }
    let keep = common.saturating_add(loss.keep).min(inode.now.len());
    let mut left = inode.now[..keep].to_vec();
    if loss.zeros {
        left.resize(inode.now.len(), 0);
    }
    left
}

struct FaultySink {
    disk: FaultyDisk,
    id: usize,
}

impl Sink for FaultySink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let gate = state.gate("write");
        let landed = if gate.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        state.apply(Op::Write(self.id, landed.to_vec()));
        gate
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.gate("sync")?;
        state.apply(Op::Sync(self.id));
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.gate("cut")?;
        state.apply(Op::Cut(self.id, len));
        Ok(())
    }
}

impl Files for FaultyDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let bytes = state.inodes[state.find(path)?].now.clone();
        if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let mut state = self.state();
        state.gate("create")?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.inodes.len();
        state.apply(Op::Create(path.to_path_buf(), id));
        Ok(Box::new(FaultySink { disk: self.clone(), id }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let mut state = self.state();
        state.gate("append")?;
        let id = state.find(path)?;
        Ok(Box::new(FaultySink { disk: self.clone(), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.gate("rename")?;
        state.find(from)?;
        state.apply(Op::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.gate("remove")?;
        state.find(path)?;
        state.apply(Op::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.gate("sync_folder")?;
        state.apply(Op::SyncFolder(folder.to_path_buf()));
        Ok(())
    }

    fn make_folder(&self, _folder: &Path) -> io::Result<()> {
        self.state().gate("make_folder")
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.state().names.keys().filter(|p| folder_of(p) == folder).cloned().collect())
    }
}
