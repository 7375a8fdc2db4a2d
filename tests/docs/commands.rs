//! Every command of README.md and docs/*.md works.
//!
//! A block of commands is fenced as `sh`, or as `console` if it shows what they print: those lines
//! begin with `$ `, and every other line must be printed by some command of the page, numbers and ids
//! aside. A block fenced as `toml NAME` is written to that file. The blocks of a page run in order in
//! one folder, which holds what `Kit` puts there. `sh not-run: REASON` is not run, and its flags are
//! looked up only, as are those of commands in running text.

use crate::common::service::free_port;
use crate::common::{CAMERA, KEYS, Lab, TINY, clean_crop};
use ppdenoise_base::size::Size;
use ppdenoise_image::{ImageFormat, add_gaussian};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pages' port, which a test replaces by a free one.
const PORT: &str = "7700";
/// The pages' images, which are smaller in the fast test.
const SIZE: &str = "512x512";
const SMALL: Size = Size::new(48, 48);
/// `make demo` runs the demo; other targets are found, and that is all.
const MAKE: &str = r#"
make() {
    case "$1" in
        demo) ppdenoise demo;;
        *) command make -n -C "$CHECKOUT" "$@" > /dev/null;;
    esac
}
"#;
/// Reasons for which a block may not be run.
const REASONS: [&str; 6] = [
    "needs a second host",
    "needs root",
    "needs hours",
    "needs the network",
    "needs a scheduler",
    "needs a cargo feature",
];

/// A page, its fenced blocks, and the rest of it.
struct Page {
    name: String,
    blocks: Vec<Block>,
    prose: String,
}

struct Block {
    line: usize,
    /// What stands behind the opening fence.
    kind: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    paths.push(root().join("README.md"));
    paths.sort();
    paths.iter().map(|path| page(path)).collect()
}

fn page(path: &Path) -> Page {
    let name = path.strip_prefix(root()).unwrap().display().to_string();
    let (mut blocks, mut prose, mut open) = (Vec::<Block>::new(), String::new(), false);
    for (i, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            open = !open;
            if open {
                let kind = kind.trim().to_string();
                blocks.push(Block { line: i + 1, kind, text: String::new() });
            }
        } else if let (true, Some(block)) = (open, blocks.last_mut()) {
            block.text.push_str(line);
            block.text.push('\n');
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    assert!(!open, "{name}: a block is not closed");
    Page { name, blocks, prose }
}

impl Block {
    fn is_commands(&self) -> bool {
        self.kind == "sh" || self.kind == "console" || self.kind.starts_with("sh not-run: ")
    }

    fn is_run(&self) -> bool {
        self.kind == "sh" || self.kind == "console"
    }

    /// Its commands, without prompts and without what they print.
    fn commands(&self) -> String {
        if self.kind != "console" {
            return self.text.clone();
        }
        self.split().0
    }

    /// What it shows of the commands' output.
    fn shown(&self) -> Vec<String> {
        match self.kind.as_str() {
            "console" => self.split().1,
            _ => Vec::new(),
        }
    }

    fn split(&self) -> (String, Vec<String>) {
        let (mut commands, mut shown, mut goes_on) = (String::new(), Vec::new(), false);
        for line in self.text.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => commands.push_str(command),
                None if goes_on => commands.push_str(line),
                None => {
                    shown.push(line.to_string());
                    continue;
                }
            }
            commands.push('\n');
            goes_on = line.ends_with('\\');
        }
        (commands, shown)
    }
}

/// A line with everything that differs from run to run replaced.
fn likeness(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = bare.len() == 32 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let is_number = bare.starts_with(|c: char| c.is_ascii_digit());
        let is_unit = ["bytes", "KB", "MB", "GB"].contains(&bare);
        words.push(match (is_id, is_number, is_unit) {
            (true, _, _) => word.replace(bare, "ID"),
            (_, true, _) => "#".to_string(),
            (_, _, true) => word.replace(bare, "UNIT"),
            _ => word.to_string(),
        });
    }
    words.join(" ")
}

/// The folder in which a page's commands run: small files under the names that the pages use.
struct Kit {
    lab: Lab,
    checkout: PathBuf,
}

impl Kit {
    /// `small` replaces images and models of the checkout by small ones of the same names.
    fn new(small: bool) -> Kit {
        let (lab, slots) = (Lab::new(), 2);
        let clean = if small {
            clean_crop(SMALL)
        } else {
            ImageFormat::Png.decode(&fs::read(CAMERA).unwrap()).unwrap().into_grey().unwrap()
        };
        let noisy = add_gaussian(&clean, 25.0, 1).unwrap().rounded();
        lab.picture("clean.png", &clean);
        lab.picture("noisy.png", &noisy);
        lab.share_model(&[]);
        lab.share_image("noisy.png", "img", &[]);
        lab.triples("trip", Size::new(clean.height(), clean.width()), slots);
        fs::copy(TINY, lab.path("model.npz")).unwrap();
        fs::create_dir(lab.path("images")).unwrap();
        for name in ["a", "b", "c"] {
            lab.picture(&format!("images/{name}.png"), &noisy);
        }
        for (study, file) in [("head", "ct.dcm"), ("thorax", "ct-j2k.dcm")] {
            fs::create_dir_all(lab.path(&format!("studies/{study}"))).unwrap();
            let original = root().join("fixtures/dicom").join(file);
            fs::copy(original, lab.path(&format!("studies/{study}/IM0001.dcm"))).unwrap();
        }
        let checkout = if small { small_checkout(&lab) } else { root() };
        symlink(checkout.join("fixtures"), lab.path("fixtures")).unwrap();
        Kit { lab, checkout }
    }

    /// Runs the blocks of a page; what they printed.
    fn run(&self, page: &Page, small: bool) -> String {
        let port = free_port();
        let program = Path::new(env!("CARGO_BIN_EXE_ppdenoise")).parent().unwrap();
        let mut script = format!(
            "set -euo pipefail\nexport R={} PATH={}:$PATH CHECKOUT={}\n{MAKE}",
            self.checkout.display(),
            program.display(),
            root().display()
        );
        if page.name == "README.md" {
            // It asks for an empty folder; the demo is run where the checkout's files are.
            script.push_str("mkdir empty\ncd empty\nln -s ../fixtures .\n");
        }
        for block in &page.blocks {
            if let Some(file) = block.kind.strip_prefix("toml ") {
                let text = block.text.replace(PORT, &port);
                self.lab.write(file, text.as_bytes());
            }
            if block.is_run() {
                script.push_str(&block.commands());
            }
        }
        script.push_str("for job in $(jobs -p); do wait $job; done\n");
        let mut script = script.replace(PORT, &port);
        if small {
            script = script.replace(SIZE, &format!("{}x{}", SMALL.height, SMALL.width));
        }
        self.lab.write("page.sh", script.as_bytes());
        let limit = if small { "100" } else { "1000" };
        let mut command = Command::new("timeout");
        command.args([limit, "bash", "-c", "exec 2>&1; . ./page.sh"]);
        command.current_dir(self.lab.path("."));
        for (name, value) in self.lab.command(&["x"]).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{} fails ({}):\n{text}", page.name, output.status);
        text
    }
}

/// A folder like a checkout, whose images and models are small.
fn small_checkout(lab: &Lab) -> PathBuf {
    let folder = lab.path("checkout");
    for kind in ["images", "models"] {
        fs::create_dir_all(folder.join("fixtures").join(kind)).unwrap();
    }
    lab.picture("checkout/fixtures/images/nat_camera.png", &clean_crop(SMALL));
    let models = fs::read_dir(root().join("fixtures/models")).unwrap();
    for path in models.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|e| e == "npz") {
            let name = path.file_name().unwrap();
            fs::copy(TINY, folder.join("fixtures/models").join(name)).unwrap();
        } else if path.extension().is_some_and(|e| e == "pth") {
            fs::copy(&path, folder.join("fixtures/models").join(path.file_name().unwrap()))
                .unwrap();
        }
    }
    folder
}

fn run_pages(small: bool) {
    let pages = pages().into_iter().filter(|page| page.blocks.iter().any(Block::is_run));
    let mut runs = 0;
    for page in pages {
        let printed = Kit::new(small).run(&page, small);
        let printed: Vec<String> = printed.lines().map(likeness).collect();
        for block in &page.blocks {
            for line in block.shown() {
                let like = likeness(&line);
                let all = || printed.join("\n");
                assert!(
                    printed.contains(&like),
                    "{}: no command prints {like:?}, but\n{}",
                    page.name,
                    all()
                );
            }
        }
        runs += 1;
    }
    assert!(runs >= 4, "only {runs} pages have commands");
}

#[test]
fn every_block_of_commands_works_with_small_files() {
    run_pages(true);
}

#[test]
#[ignore = "slow: the pages' commands with the images and models they name"]
fn every_block_of_commands_works_as_it_stands() {
    run_pages(false);
}

/// No block of commands escapes, and what is not run says why.
#[test]
fn blocks_say_what_they_are() {
    let commands = all_commands(&Lab::new());
    for page in pages() {
        for block in &page.blocks {
            let at = format!("{}:{}", page.name, block.line);
            if let Some(reason) = block.kind.strip_prefix("sh not-run: ") {
                assert!(REASONS.iter().any(|r| reason.starts_with(r)), "{at}: {reason}");
            }
            let command = |line: &str| {
                let mut words = line.trim_start().split(' ');
                let first = words.next().unwrap_or("");
                let mut known = || words.next().is_some_and(|w| commands.contains(w));
                first == "$"
                    || first == "make"
                    || first == "cargo"
                    || (first == "ppdenoise" && known())
            };
            assert!(
                block.is_commands() || !block.text.lines().any(command),
                "{at}: is it commands?"
            );
        }
    }
}

/// All commands, that of a cargo feature too.
fn all_commands(lab: &Lab) -> BTreeSet<String> {
    lab.commands().into_iter().chain(["train".to_string()]).collect()
}

/// Flags in running text, in tables and in blocks that are not run are those of the commands.
#[test]
fn every_flag_of_every_mentioned_command_exists() {
    let lab = Lab::new();
    let mut help = BTreeMap::new();
    for command in lab.commands() {
        let text = lab.run(&[&command, "--help"]).done().stdout.clone();
        help.insert(command, text);
    }
    let mut looked_up = 0;
    for page in pages() {
        let code = page.prose.split('`').skip(1).step_by(2).map(str::to_string);
        let blocks = page.blocks.iter().filter(|b| b.is_commands()).map(Block::commands);
        let blocks = blocks.flat_map(|text| {
            let text = text.replace("\\\n", " ");
            text.lines().map(str::to_string).collect::<Vec<_>>()
        });
        for text in code.chain(blocks) {
            for part in text.split(['|', ';', '&']) {
                let part = part.split(" #").next().unwrap();
                // `ppdenoise COMMAND ...` anywhere in a line, or `COMMAND ...` alone.
                let (named, after) = match part.split_once("ppdenoise ") {
                    Some((_, after)) => (true, after),
                    None => (false, part),
                };
                let mut words = after.split_whitespace();
                let first =
                    if named { words.find(|word| !word.starts_with('-')) } else { words.next() };
                let Some((command, help)) = first.and_then(|word| help.get_key_value(word)) else {
                    continue;
                };
                for word in words.filter(|word| word.starts_with("--")) {
                    let flag = word.split('=').next().unwrap();
                    let flag = flag.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                    let known = |end: &str| help.contains(&format!("{flag}{end}"));
                    let known =
                        flag.is_empty() || [" ", "\n", ",", "]"].iter().any(|end| known(end));
                    assert!(known, "{}: {command} has no {flag}: {part}", page.name);
                    looked_up += 1;
                }
            }
        }
    }
    assert!(looked_up > 100, "{looked_up} flags");
}

/// Targets of `make` in running text and tables exist.
#[test]
fn every_mentioned_target_of_make_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let rules: Vec<&str> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '.', '#', ' ']))
        .filter_map(|line| line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')))
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    for page in pages() {
        for code in page.prose.split('`').skip(1).step_by(2) {
            if let Some(target) = code.strip_prefix("make ") {
                let target = target.split(' ').next().unwrap();
                assert!(rules.contains(&target), "{}: no target {target}", page.name);
            }
        }
    }
}

/// The kit has the keys under the name that the pages use.
#[test]
fn the_pages_use_the_names_of_the_kit() {
    assert_eq!(KEYS, "keys");
    assert!(Path::new(CAMERA).exists());
    let like =
        likeness("image 4fd0546e76bac94650805fdf2e010c9b in slot 0: 7225 patches, 12.83 s, 1.5 MB");
    assert_eq!(like, "image ID in slot # # patches, # s, # UNIT");
    assert_eq!(likeness("listening at 127.0.0.1:7700"), likeness("listening at 127.0.0.1:41234"));
    assert_ne!(likeness("denoising"), likeness("denoised"));
}
