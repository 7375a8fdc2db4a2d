//! What envelopes are read from: files, pipes, and bytes in memory.

use crate::files::place::Place;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Bytes asked from the operating system at a time.
const BUFFER: usize = 1 << 20;

/// A regular file, a pipe, or a file in memory.
///
/// A large file that is read once, and would fill more than half of the machine's memory, is read past the page cache
/// (`O_DIRECT`) where the system allows it: it would not be found there a second time, and copying
/// it through the cache costs a core several seconds for 10 GB. Whatever is smaller was perhaps
/// written a moment ago and is read from the cache.
pub struct Stream {
    source: Source,
    /// The offset of the next byte.
    at: u64,
    held: Held,
}

/// Bytes of a file that are read from memory: on the disk they are overwritten.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// Where they begin.
    pub(crate) start: u64,
    /// What was there.
    pub(crate) bytes: Vec<u8>,
}

impl Held {
    /// Puts what is held of the bytes from `at` on in their place.
    fn restore(&self, at: u64, out: &mut [u8]) {
        let end = self.start + self.bytes.len() as u64;
        let (from, to) = (at.max(self.start), (at + out.len() as u64).min(end));
        if from < to {
            let piece = &self.bytes[(from - self.start) as usize..(to - self.start) as usize];
            out[(from - at) as usize..(to - at) as usize].copy_from_slice(piece);
        }
    }
}

/// Where a path leads: `-` is standard input.
pub(crate) fn place(path: &Path) -> &Path {
    if path == Path::new("-") { Path::new("/dev/stdin") } else { path }
}

enum Source {
    File(BufReader<File>),
    Direct(Direct),
    Pipe(BufReader<File>),
    Memory(Cursor<Shared>),
}

/// A file in memory.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::File(file) => file.read(out),
            Source::Direct(file) => file.read(out),
            Source::Pipe(pipe) => pipe.read(out),
            Source::Memory(bytes) => bytes.read(out),
        }
    }
}

impl Stream {
    /// Opens a file of any size that fits the page cache, or a pipe that is read from its start on.
    ///
    /// # Errors
    /// What the operating system says; a file in memory may be missing too.
    pub fn open(place: &Place) -> io::Result<Self> {
        let source = match place {
            Place::Disk(path) => Source::File(BufReader::with_capacity(1 << 16, File::open(path)?)),
            Place::Memory(folder, name) => {
                let bytes = folder.get(name).ok_or(io::ErrorKind::NotFound)?;
                Source::Memory(Cursor::new(Shared(bytes)))
            }
        };
        Ok(Stream::over(source))
    }

    /// Opens what is large and read once, or a pipe; `-` is standard input.
    ///
    /// # Errors
    /// As [`Stream::open`].
    pub fn open_large(from: &Place) -> io::Result<Self> {
        let Place::Disk(path) = from else { return Stream::open(from) };
        let path = place(path);
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(Stream::over(Source::Pipe(BufReader::with_capacity(BUFFER, file))));
        }
        if memory().is_some_and(|memory| meta.len() > memory / 2)
            && let Some(direct) = Direct::open(path)
        {
            return Ok(Stream::over(Source::Direct(direct)));
        }
        Ok(Stream::over(Source::File(BufReader::with_capacity(1 << 16, file))))
    }

    fn over(source: Source) -> Self {
        Stream { source, at: 0, held: Held::default() }
    }

    /// From now on reads these bytes from memory, and no others.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held = held;
    }

    /// The length of a file, nothing for a pipe.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn len(&self) -> io::Result<Option<u64>> {
        match &self.source {
            Source::File(file) => {
                let meta = file.get_ref().metadata()?;
                Ok(meta.is_file().then_some(meta.len()))
            }
            Source::Direct(file) => Ok(Some(file.file.metadata()?.len())),
            Source::Pipe(..) => Ok(None),
            Source::Memory(bytes) => Ok(Some(bytes.get_ref().0.len() as u64)),
        }
    }

    /// Whether it is a file in memory.
    pub(crate) fn is_memory(&self) -> bool {
        matches!(self.source, Source::Memory(_))
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(out)?;
        self.held.restore(self.at, &mut out[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Stream {
    /// To an offset from the start only. A pipe goes forward only, by reading what it skips.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let refused = |text| Err(io::Error::new(io::ErrorKind::Unsupported, text));
        let SeekFrom::Start(to) = to else { return refused("only offsets from the start") };
        match &mut self.source {
            Source::File(file) => drop(file.seek(SeekFrom::Start(to))?),
            Source::Memory(bytes) => bytes.set_position(to),
            Source::Direct(file) => (file.at, file.filled) = (to, 0..0),
            Source::Pipe(pipe) if to >= self.at => {
                let skipped = io::copy(&mut pipe.take(to - self.at), &mut io::sink())?;
                self.at += skipped;
                if self.at < to {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Source::Pipe(_) => return refused("a pipe cannot go back"),
        }
        self.at = to;
        Ok(to)
    }
}

/// A file read past the page cache: offsets and lengths of every read are multiples of
/// [`Direct::ALIGN`], and so is the buffer's address.
struct Direct {
    file: File,
    buffer: Vec<u8>,
    /// Where the aligned part of the buffer starts.
    start: usize,
    /// The bytes of the aligned part that are not handed out yet.
    filled: std::ops::Range<usize>,
    /// The file offset of the next byte that is not in `filled`.
    at: u64,
}

impl Direct {
    /// Suits every common disk.
    const ALIGN: usize = 4096;
    const BUFFER: usize = 4 << 20;

    #[cfg(target_os = "linux")]
    fn open(path: &Path) -> Option<Self> {
        use rustix::fs::{Mode, OFlags, open};
        let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
        // Whatever the reason, the ordinary way works or says why not.
        let file = File::from(open(path, flags, Mode::empty()).ok()?);
        Direct::over(file)
    }

    #[cfg(not(target_os = "linux"))]
    fn open(_: &Path) -> Option<Self> {
        None
    }

    fn over(file: File) -> Option<Self> {
        let buffer = vec![0; Self::BUFFER + Self::ALIGN];
        let start = buffer.as_ptr().align_offset(Self::ALIGN);
        (start < Self::ALIGN).then_some(Direct { file, buffer, start, filled: 0..0, at: 0 })
    }
}

impl Read for Direct {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let buffer = &mut self.buffer[self.start..][..Self::BUFFER];
        if self.filled.is_empty() {
            let skip = (self.at % Self::ALIGN as u64) as usize;
            let n = self.file.read_at(buffer, self.at - skip as u64)?;
            self.filled = skip.min(n)..n;
            self.at += self.filled.len() as u64;
        }
        let n = out.len().min(self.filled.len());
        out[..n].copy_from_slice(&buffer[self.filled.start..][..n]);
        self.filled.start += n;
        Ok(n)
    }
}

/// The machine's memory in bytes.
#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    let info = rustix::system::sysinfo();
    Some(info.totalram as u64 * u64::from(info.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::place::Memory;
    use std::io::Write;

    fn bytes() -> Vec<u8> {
        (0..Direct::BUFFER + 12_345).map(|i| ((i * 2_654_435_761) >> 7) as u8).collect()
    }

    /// Reads the same bytes after every jump, whatever the alignment.
    fn check(mut stream: Stream, bytes: &[u8], jumps: &[usize]) {
        for &at in jumps {
            stream.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut out = vec![0; 5000.min(bytes.len() - at)];
            stream.read_exact(&mut out).unwrap();
            assert!(out == bytes[at..][..out.len()], "at {at}");
        }
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let last = jumps.last().unwrap() + 5000;
        assert!(rest == bytes[last.min(bytes.len())..]);
    }

    #[test]
    fn every_source_reads_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes = bytes();
        std::fs::write(&path, &bytes).unwrap();
        let jumps = [0, 4096, 4097, 9, Direct::BUFFER - 1, 17];
        let places = [Place::from(&path), Memory::new().put("a", bytes.clone())];
        for open in [Stream::open, Stream::open_large] {
            for place in &places {
                let stream = open(place).unwrap();
                assert_eq!(stream.len().unwrap(), Some(bytes.len() as u64));
                check(stream, &bytes, &jumps);
            }
        }
        let missing = Stream::open(&Memory::new().at("a")).err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        // Without the flag the same arithmetic must hold, so every file system can test it.
        let direct = Direct::over(File::open(&path).unwrap()).unwrap();
        check(Stream::over(Source::Direct(direct)), &bytes, &jumps);
        if let Some(direct) = Direct::open(&path) {
            check(Stream::over(Source::Direct(direct)), &bytes, &jumps);
        }
    }

    /// What is overwritten on the disk is read as it was, however the reads fall.
    #[test]
    fn held_bytes_are_read_from_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let good = bytes();
        let mut bad = good.clone();
        let held = 5_000..9_096;
        bad[held.clone()].fill(0);
        std::fs::write(&path, &bad).unwrap();
        let direct = Direct::over(File::open(&path).unwrap()).unwrap();
        let file = Place::from(&path);
        for mut stream in [Stream::open(&file).unwrap(), Stream::over(Source::Direct(direct))] {
            let bytes = good[held.clone()].to_vec();
            stream.hold(Held { start: held.start as u64, bytes });
            check(stream, &good, &[4_000, 5_000, 7_000, 9_095, 9_096, 0]);
        }
        let mut stream = Stream::open(&file).unwrap();
        stream.hold(Held { start: 0, bytes: vec![1; 10] });
        let mut out = vec![0; 20];
        stream.read_exact(&mut out).unwrap();
        assert!(out[..10] == [1; 10] && out[10..] == good[10..20]);
    }

    #[test]
    fn a_pipe_goes_forward_only() {
        let (read, mut write) = io::pipe().unwrap();
        let bytes = bytes();
        let writer = std::thread::spawn({
            let bytes = bytes.clone();
            move || write.write_all(&bytes)
        });
        let file = File::from(std::os::fd::OwnedFd::from(read));
        let mut stream = Stream::over(Source::Pipe(BufReader::new(file)));
        assert_eq!(stream.len().unwrap(), None);
        let mut out = [0; 10];
        stream.read_exact(&mut out).unwrap();
        stream.seek(SeekFrom::Start(5000)).unwrap();
        stream.read_exact(&mut out).unwrap();
        assert_eq!(out, bytes[5000..5010]);
        assert!(stream.seek(SeekFrom::Start(0)).is_err());
        assert!(stream.seek(SeekFrom::Start(1 << 40)).is_err(), "the end comes first");
        writer.join().unwrap().unwrap();
    }
}
