//! A laboratory for the end-to-end tests: the real binary in a folder of its own, both servers as
//! processes on loopback, and a counting proxy between them.

// Every test program uses a part of it, and none sees it from outside.
#![allow(dead_code, unreachable_pub)]

pub mod conv;
pub mod forge;
pub mod hostile;
pub mod kill;
pub mod link;
pub mod making;
pub mod npz;
pub mod one_cloud;
pub mod proxy;
pub mod refusal;
pub mod service;

use ppdenoise_base::size::Size;
use ppdenoise_image::{GreyImage, ImageFormat, write};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// The model of the fast tests: 9x9 patches, one hidden layer of 24, 5x5 out, stride 3.
pub const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/models/tiny-9-5-24.npz");
/// A real photograph, to cut test images from.
pub const CAMERA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/images/nat_camera.png");
/// Keys of all roles are in this folder of every lab.
pub const KEYS: &str = "keys";

/// Sends a process INT or TERM, as a terminal or a supervisor does.
pub fn signal(process: u32, name: &str) {
    let signal = match name {
        "INT" => Signal::INT,
        "TERM" => Signal::TERM,
        other => panic!("SIG{other} is none of those two"),
    };
    let process = Pid::from_raw(process as i32).unwrap();
    kill_process(process, signal).unwrap();
}

/// A folder with keys, in which commands run; removed at the end.
pub struct Lab {
    dir: TempDir,
}

/// What a process left.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts success and returns the JSON report; of a server that watches it is the last line.
    pub fn report(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let last = self.stdout.lines().last().filter(|line| line.starts_with("{\"schema\""));
        let report = serde_json::from_str(last.unwrap_or(&self.stdout));
        report.expect("a JSON report on standard output")
    }

    /// The JSON report of a command that ends with this code.
    pub fn report_of(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        serde_json::from_str(&self.stdout).expect("a JSON report on standard output")
    }

    /// Asserts success.
    pub fn done(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Asserts a failure as the program promises it: this exit code, a sentence that contains all
    /// of `words` and a hint, nothing on standard output, and no panic.
    pub fn refused(&self, code: i32, words: &[&str]) -> &Self {
        let text = &self.stderr;
        assert_eq!(self.code, Some(code), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        assert!(self.stdout.is_empty(), "data in spite of a failure: {}", self.stdout);
        let errors = text.lines().filter(|l| l.starts_with("error: ")).count();
        assert!(errors >= 1, "no error line: {text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        self
    }

    /// As [`Ended::refused`], with exactly one error line and one hint.
    pub fn refused_once(&self, code: i32, words: &[&str]) -> &Self {
        self.refused(code, words);
        for start in ["error: ", "help: "] {
            let found = self.stderr.lines().filter(|l| l.starts_with(start)).count();
            assert_eq!(found, 1, "{start:?} lines in: {}", self.stderr);
        }
        self
    }

    /// Asserts that the command line itself was refused.
    pub fn refused_usage(&self, words: &[&str]) -> &Self {
        assert!(self.stderr.contains("try '--help'"), "{}", self.stderr);
        self.refused(2, words)
    }
}

impl Default for Lab {
    fn default() -> Self {
        Lab::new()
    }
}

impl Lab {
    /// A folder with keys in it.
    pub fn new() -> Lab {
        let lab = Lab { dir: tempfile::tempdir().expect("a temporary folder") };
        lab.run(&["keygen", "--out", KEYS]).done();
        lab
    }

    /// As [`Lab::new`], with everything two servers need: a shared model `model.*`, the image
    /// `noisy.png`, its shares `img.*` and triples `trip.*` for `slots` images.
    pub fn ready(size: Size, slots: u64) -> Lab {
        let lab = Lab::new();
        lab.share_model(&[]);
        lab.picture("noisy.png", &noisy_crop(size));
        lab.share_image("noisy.png", "img", &[]);
        lab.triples("trip", size, slots);
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    /// As [`Lab::write`], for the owner alone.
    pub fn write_secret(&self, name: &str, bytes: &[u8]) {
        self.write(name, bytes);
        set_mode(&self.path(name), 0o600);
    }

    /// A folder for the owner alone.
    pub fn secret_folder(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        set_mode(&self.path(name), 0o700);
    }

    /// The permission bits of a file or folder.
    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }

    pub fn len(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}")).len()
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The names in a folder, hidden ones too, in order.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The names in a folder that are not hidden, in order: shares without the list of what was shared.
    pub fn shown(&self, folder: &str) -> Vec<String> {
        self.names(folder).into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// Asserts that no unfinished output is left, here or in the state folders.
    pub fn no_leftovers(&self) {
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(!is_part(&path), "{} was left", path.display());
            if path.is_dir() {
                for inner in fs::read_dir(&path).unwrap() {
                    let inner = inner.unwrap().path();
                    assert!(!is_part(&inner), "{} was left", inner.display());
                }
            }
        }
    }

    /// Whether the file system of the lab has files without names: where it has not, a killed
    /// process leaves the temporary one of an unfinished output.
    pub fn has_unnamed_files(&self) -> bool {
        use std::os::unix::fs::OpenOptionsExt;
        const O_TMPFILE: i32 = 0o20_200_000;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(O_TMPFILE);
        cfg!(target_os = "linux") && options.open(self.path(".")).is_ok()
    }

    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ppdenoise"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        command
            .env_remove("PPDENOISE_PASSPHRASE_FILE")
            .env_remove("PPDENOISE_BACKEND")
            .env("HOME", self.dir.path());
        command.env_remove("XDG_STATE_HOME").env_remove("XDG_DATA_HOME");
        command.env("COLUMNS", "100");
        command
    }

    /// Runs a command in the folder, to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ended {
        let output = self.command(args).output().expect("the program starts");
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The names of all commands but `help`, in the order of the overview.
    pub fn commands(&self) -> Vec<String> {
        let help = self.run(&["--help"]).stdout;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let listed = listed.take_while(|line| !line.is_empty());
        let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = names.filter_map(|line| line.split_whitespace().next());
        names.filter(|name| *name != "help").map(String::from).collect()
    }

    pub fn share_model(&self, flags: &[&str]) {
        let args = ["share-model", TINY, "--keys", KEYS, "--out", "model"];
        self.run(&[&args[..], flags].concat()).done();
    }

    pub fn share_image(&self, image: &str, out: &str, flags: &[&str]) -> Ended {
        let args =
            ["share-image", image, "--keys", KEYS, "--model", "model.pub", "--out", out, "--json"];
        let ended = self.run(&[&args[..], flags].concat());
        ended.done();
        ended
    }

    pub fn triples(&self, out: &str, Size { height, width }: Size, slots: u64) {
        let (size, slots) = (format!("{height}x{width}"), slots.to_string());
        let args = ["gen-triplets", "--keys", KEYS, "--model", "model.pub"];
        let more = ["--size", &size, "--images", &slots, "--out", out];
        self.run(&[&args[..], &more].concat()).done();
    }

    /// Writes an image in the format of the name.
    pub fn picture(&self, name: &str, image: &GreyImage) {
        let extension = Path::new(name).extension().unwrap().to_str().unwrap();
        let mut bytes = Vec::new();
        let format = ImageFormat::from_extension(extension).unwrap();
        write(format, &image.clone().into(), &mut bytes).unwrap();
        self.write(name, &bytes);
    }

    /// Reads an image in the format of the name.
    pub fn image(&self, name: &str) -> GreyImage {
        let extension = Path::new(name).extension().unwrap().to_str().unwrap();
        let format = ImageFormat::from_extension(extension).unwrap();
        format.decode(&self.read(name)).unwrap().into_grey().unwrap()
    }

    pub fn reconstruct(&self, out: &str) -> Ended {
        self.run(&[
            "reconstruct",
            "den.s0",
            "den.s1",
            "--keys",
            KEYS,
            "--out",
            out,
            "--json",
            "--force",
        ])
    }

    /// Starts a server that listens at a free port.
    pub fn listen(&self, job: &Job) -> Running {
        Running::start(self.command(&job.args(&["--listen", "127.0.0.1:0"])))
    }

    /// Starts a server that connects to an address.
    pub fn connect(&self, job: &Job, address: &str) -> Running {
        Running::start(self.command(&job.args(&["--connect", address])))
    }

    /// Runs both jobs to their ends; the first listens.
    pub fn serve(&self, listening: &Job, connecting: &Job) -> [Ended; 2] {
        let mut first = self.listen(listening);
        let address = first.address();
        let second = self.connect(connecting, &address);
        let second = second.end();
        [first.end(), second]
    }

    /// Runs both standard jobs; S0 listens.
    pub fn serve_both(&self) -> [Ended; 2] {
        self.serve(&Job::new(0), &Job::new(1))
    }

    /// The used and remaining slots of triples, as `inspect` tells them.
    pub fn slots(&self, triples: &str, state: &str) -> (u64, u64) {
        let report = self.run(&["inspect", triples, "--state", state, "--json"]).report();
        let number = |key: &str| report[key].as_u64().expect("a number of slots");
        (number("slots_used"), number("slots_left"))
    }
}

/// Sets permission bits.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("ppdenoise-"))
}

/// The arguments of a server.
#[derive(Clone, Debug)]
pub struct Job {
    pub party: usize,
    pub keys: String,
    pub model: String,
    pub triples: String,
    pub images: Vec<String>,
    pub outs: Vec<String>,
    pub state: String,
    pub extra: Vec<String>,
}

impl Job {
    /// The job of a party of [`Lab::ready`].
    pub fn new(party: usize) -> Job {
        let file = |stem: &str| format!("{stem}.s{party}");
        Job {
            party,
            keys: KEYS.into(),
            model: file("model"),
            triples: file("trip"),
            images: vec![file("img")],
            outs: vec![file("den")],
            state: format!("state{party}"),
            extra: Vec::new(),
        }
    }

    pub fn with(mut self, edit: impl FnOnce(&mut Job)) -> Job {
        edit(&mut self);
        self
    }

    /// The standard job over plain TCP, so that a proxy counts and changes the protocol's own bytes.
    pub fn insecure(party: usize) -> Job {
        Job::new(party).flags(&["--insecure"])
    }

    /// The standard job with further flags.
    pub fn flags(self, flags: &[&str]) -> Job {
        self.with(|job| job.extra.extend(flags.iter().map(|f| f.to_string())))
    }

    pub fn args(&self, link: &[&str]) -> Vec<String> {
        let mut args: Vec<String> = ["serve", "--json"].map(String::from).into();
        let party = self.party.to_string();
        let one = [
            ("--party", &party),
            ("--keys", &self.keys),
            ("--model", &self.model),
            ("--triplets", &self.triples),
            ("--state", &self.state),
        ];
        let images = self.images.iter().map(|v| ("--image", v));
        let outs = self.outs.iter().map(|v| ("--out", v));
        for (flag, value) in one.into_iter().chain(images).chain(outs) {
            args.extend([flag.to_string(), value.clone()]);
        }
        // A test that goes wrong ends by itself.
        for flag in ["--wait", "--timeout"] {
            if !self.extra.iter().any(|f| f == flag) {
                args.extend([flag.to_string(), "20".to_string()]);
            }
        }
        args.extend(self.extra.iter().cloned());
        args.extend(link.iter().map(|l| l.to_string()));
        args
    }
}

/// A server that runs; killed if the test ends first.
pub struct Running {
    child: Arc<Mutex<Child>>,
    /// Read as it comes: a pipe that is full would stop the server.
    stdout: Option<JoinHandle<String>>,
    stderr: Option<BufReader<ChildStderr>>,
    said: String,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut pipe = child.stdout.take().unwrap();
        let stdout = Some(std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        }));
        let stderr = child.stderr.take().map(BufReader::new);
        Running { child: Arc::new(Mutex::new(child)), stdout, stderr, said: String::new() }
    }

    /// What can kill it from another thread.
    pub fn killer(&self) -> Killer {
        Killer(self.child.clone())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// The address of a listening server.
    pub fn address(&mut self) -> String {
        self.line_with("listening at ").rsplit(' ').next().unwrap().to_string()
    }

    /// Reads messages up to a line with this text.
    pub fn line_with(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.as_mut().unwrap().read_line(&mut line).unwrap();
            self.said.push_str(&line);
            assert!(read > 0, "the server ended before it said {text:?}: {}", self.said);
            if line.contains(text) {
                return line.trim().to_string();
            }
        }
    }

    /// Closes the pipe that it writes its messages to.
    pub fn close_messages(&mut self) {
        self.stderr = None;
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(self) {
        self.killer().kill();
        self.end();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let mut stderr = std::mem::take(&mut self.said);
        if let Some(mut pipe) = self.stderr.take() {
            pipe.read_to_string(&mut stderr).unwrap();
        }
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let code = self.child.lock().unwrap().wait().unwrap().code();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.killer().kill();
        let _ = self.child.lock().unwrap().wait();
    }
}

/// Kills a server at once, as a power cut would.
pub struct Killer(Arc<Mutex<Child>>);

impl Killer {
    /// Kills it; one that has ended already stays as it is.
    pub fn kill(&self) {
        let _ = self.0.lock().unwrap().kill();
    }
}

/// Asserts that both servers succeeded; their reports.
pub fn reports(ended: [Ended; 2]) -> [Value; 2] {
    ended.map(|ended| ended.report())
}

/// A checkerboard of black and white, which the model takes for noise.
pub fn checkers(Size { height, width }: Size) -> GreyImage {
    let level = |i: usize| if (i / width + i % width).is_multiple_of(2) { 10.0 } else { 245.0 };
    GreyImage::new(height, width, (0..height * width).map(level).collect()).unwrap()
}

/// A crop of the photograph with noise of 25 grey levels, clipped to 8 bits; always the same.
pub fn noisy_crop(size: Size) -> GreyImage {
    ppdenoise_image::add_gaussian(&clean_crop(size), 25.0, 11).unwrap().rounded()
}

/// A crop of the photograph.
pub fn clean_crop(Size { height, width }: Size) -> GreyImage {
    let camera = ImageFormat::Png.decode(&fs::read(CAMERA).unwrap()).unwrap();
    let camera = camera.into_grey().unwrap();
    let rect = ppdenoise_image::Rect { top: 100, left: 200, height, width };
    camera.crop(rect).unwrap()
}

/// Mean and largest difference of two images in grey levels.
pub fn difference(a: &GreyImage, b: &GreyImage) -> (f64, f64) {
    assert_eq!((a.height(), a.width()), (b.height(), b.width()));
    let differences = a.pixels().iter().zip(b.pixels()).map(|(x, y)| f64::from((x - y).abs()));
    let (sum, max) = differences.fold((0.0, 0.0_f64), |(s, m), d| (s + d, m.max(d)));
    (sum / a.pixels().len() as f64, max)
}

/// The bytes both servers counted for a phase of the first image or of the setup.
pub fn traffic(phase: &Value) -> (u64, u64) {
    let number = |key: &str| phase[key].as_u64().expect("a counter");
    (number("bytes_sent"), number("bytes_received"))
}
