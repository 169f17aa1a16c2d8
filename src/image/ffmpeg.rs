//! Films as MP4, which the program `ffmpeg` writes.
//!
//! It is the only program that gannet starts. It gets the frames through a pipe and writes into a
//! private folder, from which the film is read; nothing that a script says is among its arguments
//! except the comment in the film.

use super::encode::same_size;
use super::raster::Raster;
use crate::control::check;
use crate::error::{Error, Result};
use crate::limits::LIMITS;
use crate::safe::Safe;
use crate::store::{Disk, Files};
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes of its messages that are kept.
const MESSAGES: usize = 16 << 10;
/// Lines of its messages that an error quotes.
const QUOTED: usize = 3;
/// Time between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// The program `ffmpeg` of this machine.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    program: PathBuf,
    /// Whether it has the encoder libx264, whose quality can be set.
    x264: bool,
}

/// The path of `ffmpeg`, in the absolute folders of `PATH`.
///
/// # Errors
/// When there is none.
pub fn find() -> Result<PathBuf> {
    found(std::env::var_os("PATH")).ok_or_else(|| {
        Error::runtime("an mp4 is written by ffmpeg, and no folder of PATH holds that program")
            .hint("install ffmpeg, or end the name in .gif or .apng")
    })
}

fn found(path: Option<OsString>) -> Option<PathBuf> {
    let folders = path.iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
    // A relative folder would be one of the script's choice.
    let absolute = folders.into_iter().filter(|f| f.is_absolute());
    let runs = |p: &PathBuf| {
        p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    absolute.map(|f| f.join("ffmpeg")).find(runs)
}

impl Ffmpeg {
    /// Finds the program and asks which encoders it has.
    ///
    /// # Errors
    /// When there is none, or it does not run.
    pub fn ask() -> Result<Self> {
        let program = find()?;
        let mut command = Command::new(&program);
        let Output { status, stdout, stderr } = command
            .args(["-hide_banner", "-encoders"])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| unusable(&program, &e.to_string()))?;
        if !status.success() {
            return Err(unusable(&program, &last(&stderr)));
        }
        let x264 = String::from_utf8_lossy(&stdout).split_whitespace().any(|w| w == "libx264");
        Ok(Self { program, x264 })
    }

    /// A film of pictures of one size, as the bytes of an MP4 file in H.264 where libx264 is there,
    /// else in the encoder that ffmpeg takes by itself. Alpha is laid on white; an odd side gets a
    /// black line.
    ///
    /// # Errors
    /// When the sizes differ, ffmpeg fails, or the work is stopped.
    pub fn film(&self, frames: &[Raster], fps: f64, comment: &str) -> Result<Vec<u8>> {
        let first = same_size(frames)?;
        let folder = Private::new().map_err(|e| Error::io("cannot make a temporary folder", &e))?;
        let film = folder.0.join("film.mp4");
        let mut command = self.command((first.width, first.height), fps, comment);
        let running = command.arg(&film).spawn();
        let mut running =
            Running::new(running.map_err(|e| unusable(&self.program, &e.to_string()))?);
        let fed = running.feed(frames);
        // A pipe that closed too early is explained by what ffmpeg says.
        let messages = match fed {
            Err(Feed::Stopped(e)) => return Err(e),
            Ok(()) | Err(Feed::Closed) => running.end()?,
        };
        if let Some(messages) = messages {
            let error = Error::runtime(format!("ffmpeg could not write the film: {messages}"));
            return Err(error.hint("a film that ends in .gif or .apng needs no ffmpeg"));
        }
        let read = Disk.read(&film, LIMITS.shown_bytes);
        read.map_err(|e| Error::io("cannot read the film that ffmpeg wrote", &e))
    }

    fn command(&self, (width, height): (usize, usize), fps: f64, comment: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
        command.args(["-f", "rawvideo", "-pixel_format", "rgb24"]);
        command.args(["-video_size", &format!("{width}x{height}")]);
        command.args(["-framerate", &fps.to_string(), "-i", "pipe:0"]);
        let even = "pad=ceil(iw/2)*2:ceil(ih/2)*2";
        let filter = format!("{even},scale=out_color_matrix=bt709:out_range=tv,format=yuv420p");
        command.args(["-vf", &filter, "-colorspace", "bt709", "-color_primaries", "bt709"]);
        command.args(["-color_trc", "bt709", "-color_range", "tv"]);
        if self.x264 {
            command.args(["-c:v", "libx264", "-crf", "16"]);
        }
        command.args(["-metadata", &format!("comment={comment}")]);
        command.args(["-movflags", "+faststart", "-f", "mp4"]);
        command.env("AV_LOG_FORCE_NOCOLOR", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A Ctrl-C in the terminal is for gannet, which then ends it.
        command.process_group(0);
        command
    }
}

fn unusable(program: &Path, why: &str) -> Error {
    let shown = Safe(&program.to_string_lossy()).to_string();
    Error::runtime(format!("{shown} does not run: {why}"))
        .hint("install ffmpeg again, or end the name in .gif or .apng")
}

/// The last lines of a program's messages.
fn last(messages: &[u8]) -> String {
    let text = String::from_utf8_lossy(messages);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    match &lines[lines.len().saturating_sub(QUOTED)..] {
        [] => "it gives no reason".to_owned(),
        lines => Safe(&lines.join("; ")).to_string(),
    }
}

/// The end of a stream; after an error, what could be read.
fn tail(mut pipe: impl Read) -> Vec<u8> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = pipe.read(&mut part) {
        bytes.extend_from_slice(&part[..n]);
        bytes.drain(..bytes.len().saturating_sub(MESSAGES));
    }
    bytes
}

/// Why frames were not all taken.
enum Feed {
    /// The program has closed its input.
    Closed,
    /// The work was stopped, or a picture is broken.
    Stopped(Error),
}

/// A running ffmpeg, which is ended when it is dropped.
struct Running {
    child: Child,
    messages: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    fn new(mut child: Child) -> Self {
        // Its messages are read while it works: a full pipe would stop it.
        let messages = child.stderr.take().map(|pipe| std::thread::spawn(move || tail(pipe)));
        Self { child, messages }
    }

    fn feed(&mut self, frames: &[Raster]) -> std::result::Result<(), Feed> {
        let mut input = self.child.stdin.take().ok_or(Feed::Closed)?;
        for frame in frames {
            check().map_err(Feed::Stopped)?;
            let (rgb, _) = frame.converted(3).map_err(Feed::Stopped)?;
            input.write_all(&rgb.data).map_err(|_| Feed::Closed)?;
        }
        Ok(())
    }

    /// Waits until it has ended: what it said when it failed.
    fn end(&mut self) -> Result<Option<String>> {
        let failed = |e: io::Error| Error::io("cannot wait for ffmpeg", &e);
        let status = loop {
            check()?;
            match self.child.try_wait().map_err(failed)? {
                Some(status) => break status,
                None => std::thread::sleep(PAUSE),
            }
        };
        let messages = self.messages.take().and_then(|reader| reader.join().ok());
        Ok((!status.success()).then(|| last(&messages.unwrap_or_default())))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the work was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A temporary folder that only the user may read, removed with its content when it is dropped.
struct Private(PathBuf);

impl Private {
    fn new() -> io::Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let base = std::env::temp_dir();
        loop {
            let n = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("gannet-{}-{n}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                // Left by an earlier process of the same number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && n < 10_000 => {}
                made => return made.map(|()| Self(path)),
            }
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // A folder that stays behind harms nothing.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Control, Stop};
    use std::fs;

    fn frames(n: usize) -> Vec<Raster> {
        (0..n).map(|k| Raster::filled(4, 2, &[k as u8, 0, 9]).unwrap()).collect()
    }

    /// A program in place of ffmpeg.
    fn fake(folder: &Path, script: &str) -> Ffmpeg {
        let program = folder.join("ffmpeg");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Ffmpeg { program, x264: true }
    }

    #[test]
    fn it_is_found_in_absolute_folders_where_it_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = |text: String| found(Some(text.into()));
        let root = folder.path().display();
        assert_eq!(path(format!("{root}")), None);
        let program = fake(folder.path(), "").program;
        assert_eq!(path(format!(":.:/nonexistent:{root}")), Some(program.clone()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!((path(format!("{root}")), path(".".into()), found(None)), (None, None, None));
    }

    #[test]
    fn frames_go_through_the_pipe_and_the_film_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        // Writes the arguments aside, and its input as the film, whose name comes last.
        let script =
            format!("echo \"$@\" > {}; for film; do :; done; cat > \"$film\"", said.display());
        let film = fake(folder.path(), &script).film(&frames(3), 12.5, "by gannet").unwrap();
        let wanted: Vec<u8> = frames(3).iter().flat_map(|f| f.data.clone()).collect();
        assert_eq!(film, wanted);
        let said = fs::read_to_string(said).unwrap();
        for part in ["-video_size 4x2", "-framerate 12.5", "comment=by gannet", "libx264"] {
            assert!(said.contains(part), "{said}");
        }
        let place = said.split_whitespace().last().unwrap().to_owned();
        assert!(!Path::new(&place).parent().unwrap().exists(), "nothing stays behind");
    }

    #[test]
    fn what_it_says_is_quoted_when_it_fails() {
        let folder = tempfile::tempdir().unwrap();
        let failed = |script: &str| {
            let e = fake(folder.path(), script).film(&frames(200), 20.0, "").unwrap_err();
            (e.message().to_owned(), e.repair().unwrap().to_owned())
        };
        let (message, hint) =
            failed("cat > /dev/null; printf 'one\\n\\033[31mUnknown encoder\\n' >&2; exit 1");
        assert_eq!(message, "ffmpeg could not write the film: one; \\u{1b}[31mUnknown encoder");
        assert!(hint.contains(".gif"));
        // It may end before it has read the frames, or write very much.
        assert!(failed("echo no room >&2; exit 3").0.ends_with("no room"));
        assert!(failed("exec 0<&-; yes lots | head -100000 >&2; exit 3").0.ends_with("lots"));
        assert!(failed("exit 7").0.ends_with("it gives no reason"));
        let odd = [frames(1), vec![Raster::filled(2, 2, &[0; 3]).unwrap()]].concat();
        assert!(fake(folder.path(), "").film(&odd, 20.0, "").is_err());
    }

    #[test]
    fn a_stop_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let ffmpeg = fake(folder.path(), "exec sleep 1000");
        let control = Control::default();
        let _entered = control.enter();
        control.request(Stop::Abort);
        assert!(ffmpeg.film(&frames(2), 20.0, "").is_err());
    }
}
