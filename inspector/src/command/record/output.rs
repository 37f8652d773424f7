//! Where a recording goes.

use crate::failure::{Exit, Failure, exit_of};
use crate::options;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An open file or standard output, which counts what is written to it.
#[derive(Debug)]
pub(crate) struct Output {
    to: To,
    bytes: u64,
}

#[derive(Debug)]
enum To {
    Stdout(io::Stdout),
    File { path: PathBuf, file: File, created: bool },
}

impl Output {
    /// Opens it. A file that holds something is replaced only if that was asked for; devices and pipes hold nothing.
    ///
    /// # Errors
    ///
    /// A local I/O [`Failure`] if the file exists, or cannot be written.
    pub(crate) fn create(output: &options::Output) -> Result<Self, Failure> {
        let to = match output {
            options::Output::Stdout => To::Stdout(io::stdout()),
            options::Output::File { path, replace } => open(path, *replace)?,
        };
        Ok(Self { to, bytes: 0 })
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the file away again if it was made for a recording that did not come about.
    pub(crate) fn discard(&mut self) {
        if let To::File { path, created: true, .. } = &self.to
            && self.bytes == 0
        {
            // An empty file left behind is a blemish, not an error.
            let _ = fs::remove_file(path);
        }
    }

    /// An error that came up in writing, with the file's name and what became of the recording.
    pub(crate) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match exit_of(&error) {
            Some(Exit::LocalIo) => Failure::local_io(format!(
                "cannot write {self}: {}; the {} written before that are a trace that can be opened",
                error.root_cause(),
                crate::text::bytes(self.bytes),
            ))
            .into(),
            _ => error,
        }
    }
}

fn open(path: &Path, replace: bool) -> Result<To, Failure> {
    let failed =
        |error: io::Error| Failure::local_io(format!("cannot write {}: {error}", path.display()));
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => return Ok(To::File { path: path.to_owned(), file, created: true }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let existing = fs::metadata(path).map_err(failed)?;
    if existing.is_file() && existing.len() > 0 && !replace {
        return Err(Failure::local_io(format!(
            "{} exists; choose another name, or --force to replace it",
            path.display()
        )));
    }
    let file = OpenOptions::new().write(true).truncate(true).open(path).map_err(failed)?;
    Ok(To::File { path: path.to_owned(), file, created: false })
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Stdout(_) => f.write_str("standard output"),
            To::File { path, .. } => path.display().fmt(f),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.to {
            To::Stdout(stdout) => stdout.write(bytes)?,
            To::File { file, .. } => file.write(bytes)?,
        };
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Stdout(stdout) => stdout.flush(),
            To::File { file, .. } => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(path: &Path, replace: bool) -> Result<Output, Failure> {
        Output::create(&options::Output::File { path: path.to_owned(), replace })
    }

    #[test]
    fn a_file_that_holds_something_is_not_replaced_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.json");
        fs::write(&path, "precious").unwrap();
        let failure = create(&path, false).unwrap_err();
        assert_eq!(failure.exit(), Exit::LocalIo);
        assert!(failure.to_string().contains("--force"), "{failure}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        create(&path, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        create(&path, false).expect("an empty file holds nothing");
    }

    #[test]
    fn devices_hold_nothing() {
        create(Path::new("/dev/null"), false).unwrap();
    }

    #[test]
    fn a_recording_that_did_not_come_about_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.json");
        create(&path, false).unwrap().discard();
        assert!(!path.exists());
        let mut begun = create(&path, false).unwrap();
        begun.write_all(b"x").unwrap();
        begun.discard();
        assert!(path.exists());
    }

    #[test]
    fn a_directory_that_is_not_there() {
        let failure = create(Path::new("/nowhere/t.json"), false).unwrap_err();
        assert_eq!(failure.exit(), Exit::LocalIo);
        assert!(failure.to_string().contains("/nowhere/t.json"), "{failure}");
    }
}
