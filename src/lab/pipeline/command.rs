//! What each step is asked for, and the one place where that becomes a command line.

use crate::ids::{Party, Role};
use crate::model::{Choices, Clamping};
use crate::roles::Implausibility;
use crate::size::Size;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A model and how it becomes integers.
#[derive(Clone, Debug)]
pub(crate) struct Denoiser {
    /// The model's file.
    pub file: PathBuf,
    /// Pixels between patches; the model's own if not given.
    pub stride: Option<usize>,
    /// What is asked of quantisation.
    pub choices: Choices,
    /// Shared even if it makes no picture better: where pictures are judged afterwards, or only time counts.
    pub unchecked: bool,
}

/// A step of one role.
#[derive(Clone, Debug)]
pub(crate) enum Command<'a> {
    /// Adds Gaussian noise to an image.
    AddNoise {
        /// The clean image.
        clean: &'a Path,
        /// Grey levels.
        sigma: f64,
        /// Of the noise.
        seed: u64,
        /// The noisy image.
        out: &'a Path,
    },
    /// Denoises in plaintext.
    Denoise {
        /// The noisy image.
        noisy: &'a Path,
        /// The model.
        denoiser: &'a Denoiser,
        /// Grey levels.
        sigma: f64,
        /// The denoised image.
        out: &'a Path,
        /// What becomes of one that takes away more than the noise.
        implausibility: Implausibility,
    },
    /// Makes keys; for all roles if none is named.
    Keygen { roles: &'a [Role] },
    /// Splits a model.
    ShareModel {
        /// The model.
        denoiser: &'a Denoiser,
    },
    /// Splits an image.
    ShareImage {
        /// The noisy image.
        noisy: &'a Path,
        /// Grey levels; those of the model if not given.
        sigma: Option<f64>,
        /// What becomes of levels that the model was not shared for.
        clamping: Clamping,
    },
    /// Has a dealer make the material of one image.
    Deal {
        /// Rows and columns.
        size: Size,
        /// Compute threads; all if not given.
        threads: Option<usize>,
    },
    /// Puts the result shares together.
    Reconstruct {
        /// The denoised image.
        out: &'a Path,
        /// What becomes of one that takes away more than the noise.
        implausibility: Implausibility,
    },
}

/// A step of both servers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joint {
    /// Make the material of one image of so many rows and columns.
    Make(Size),
    /// Compute ahead of time what can be, each on its own.
    Prepare,
    /// Denoise.
    Serve,
}

impl Command<'_> {
    /// The subcommand.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Command::AddNoise { .. } => "add-noise",
            Command::Denoise { .. } => "denoise",
            Command::Keygen { .. } => "keygen",
            Command::ShareModel { .. } => "share-model",
            Command::ShareImage { .. } => "share-image",
            Command::Deal { .. } => "gen-triplets",
            Command::Reconstruct { .. } => "reconstruct",
        }
    }

    /// Its arguments, on the files of a folder.
    pub(super) fn args(&self, work: &Path) -> Vec<OsString> {
        let line = Line::new(self.name());
        let keys = work.join("keys");
        let line = match *self {
            Command::AddNoise { clean, sigma, seed, out } => {
                line.word(clean).flag("--sigma", sigma).flag("--seed", seed).path("--out", out)
            }
            Command::Denoise { noisy, denoiser, sigma, out, implausibility } => line
                .word(noisy)
                .path("--model", &denoiser.file)
                .given("--stride", denoiser.stride)
                .flag("--sigma", sigma)
                .path("--out", out)
                .words(accepted(implausibility))
                .word("--force"),
            Command::Keygen { roles } => roles
                .iter()
                .fold(line.path("--out", keys), |line, role| line.flag("--role", role.stem())),
            Command::ShareModel { denoiser } => line
                .word(&denoiser.file)
                .path("--keys", keys)
                .words(quantise_flags(&denoiser.choices))
                .given("--stride", denoiser.stride)
                .words(denoiser.unchecked.then_some("--unchecked"))
                .path("--out", work.join("model")),
            Command::ShareImage { noisy, sigma, clamping } => line
                .word(noisy)
                .path("--keys", keys)
                .path("--model", work.join("model.pub"))
                .given("--sigma", sigma)
                .words(match clamping {
                    Clamping::Never => Some("--strict"),
                    Clamping::Few => None,
                    Clamping::Any => Some("--clamp"),
                })
                .path("--out", work.join("img"))
                .words(["--json", "--force"]),
            Command::Deal { size, threads } => line
                .path("--keys", keys)
                .path("--model", work.join("model.pub"))
                .size(size)
                .given("--threads", threads)
                .path("--out", work.join("trip"))
                .word("--force"),
            Command::Reconstruct { out, implausibility } => line
                .word(work.join("den.s0"))
                .word(work.join("den.s1"))
                .path("--keys", keys)
                .path("--out", out)
                .words(accepted(implausibility))
                .words(["--json", "--force"]),
        };
        line.0
    }
}

impl Joint {
    /// The subcommand.
    pub(super) fn name(self) -> &'static str {
        match self {
            Joint::Make(_) => "gen-triplets",
            Joint::Prepare => "prepare",
            Joint::Serve => "serve",
        }
    }

    /// The arguments of one server: S0 listens, S1 connects to `address`.
    pub(super) fn args(
        self,
        work: &Path,
        party: Party,
        threads: usize,
        address: Option<&str>,
    ) -> Vec<OsString> {
        let share = |stem: &str| work.join(format!("{stem}.s{}", party.index()));
        let line = Line::new(self.name())
            .word("--json")
            .flag("--party", party.index())
            .flag("--threads", threads)
            .path("--keys", work.join("keys"))
            .path("--model", share("model"))
            .path("--state", work.join(format!("state{}", party.index())));
        let line = match address {
            None => line.flag("--listen", "127.0.0.1:0"),
            Some(address) => line.flag("--connect", address),
        };
        let line = match self {
            Joint::Make(size) => line.size(size).path("--out", work.join("trip")),
            Joint::Prepare => line.path("--triplets", share("trip")),
            Joint::Serve => line
                .path("--triplets", share("trip"))
                .path("--image", share("img"))
                .path("--out", share("den")),
        };
        line.0
    }
}

/// The flag that accepts results which take away more than the noise.
fn accepted(implausibility: Implausibility) -> Option<&'static str> {
    (implausibility == Implausibility::Accepted).then_some("--even-if-implausible")
}

/// The flags of `share-model` and `denoise --twin` that say the same.
pub(crate) fn quantise_flags(choices: &Choices) -> Vec<String> {
    let given = [
        ("--engine", choices.engine.map(|engine| engine.name().to_string())),
        ("--ring", choices.ring.map(|ring| ring.bits().to_string())),
        ("--cell", choices.cells.map(|cells| cells.to_string())),
        ("--ranges", choices.ranges.map(|kind| kind.name().to_string())),
        ("--margin", choices.margin.map(|margin| margin.to_string())),
        ("--piecewise", choices.piecewise.map(|function| function.name().to_string())),
        ("--sigma-from", choices.sigma_from.map(|sigma| sigma.to_string())),
        ("--interval", choices.interval.map(|interval| interval.to_string())),
    ];
    let given = given.into_iter().filter_map(|(flag, value)| Some([flag.to_string(), value?]));
    given.flatten().collect()
}

/// A command line that grows.
struct Line(Vec<OsString>);

impl Line {
    fn new(step: &str) -> Line {
        Line(vec![step.into()])
    }

    fn word(self, word: impl AsRef<OsStr>) -> Line {
        self.words([word])
    }

    fn words<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Line {
        self.0.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    fn flag(self, flag: &str, value: impl ToString) -> Line {
        self.word(flag).word(value.to_string())
    }

    fn given(self, flag: &str, value: Option<impl ToString>) -> Line {
        match value {
            Some(value) => self.flag(flag, value),
            None => self,
        }
    }

    fn path(self, flag: &str, path: impl AsRef<Path>) -> Line {
        self.word(flag).word(path.as_ref())
    }

    fn size(self, Size { height, width }: Size) -> Line {
        self.flag("--size", format!("{height}x{width}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cells, EngineKind, RangeKind, TanhPieces};
    use crate::numbers::ring::RingBits;

    fn text(args: &[OsString]) -> String {
        args.iter().map(|arg| arg.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn requests_become_the_flags_that_say_the_same() {
        let choices = Choices {
            engine: Some(EngineKind::Lut),
            ring: Some(RingBits::L64),
            cells: Some(Cells::of_bits(3)),
            sigma_from: Some(12.5),
            ..Choices::default()
        };
        let denoiser =
            Denoiser { file: "a model.npz".into(), stride: Some(4), choices, unchecked: true };
        let share = Command::ShareModel { denoiser: &denoiser }.args(Path::new("w"));
        assert_eq!(share[1], "a model.npz");
        assert_eq!(
            text(&share),
            "share-model a model.npz --keys w/keys --engine lut --ring 64 --cell 1/8 --sigma-from 12.5 \
             --stride 4 --unchecked --out w/model"
        );
        let gc = Choices {
            engine: Some(EngineKind::Gc),
            ranges: Some(RangeKind::Calibrated),
            margin: Some(2.0),
            piecewise: Some(TanhPieces::Zheng),
            interval: Some(7.0),
            ..Choices::default()
        };
        let expected = "--engine gc --ranges calibrated --margin 2 --piecewise zheng --interval 7";
        assert_eq!(quantise_flags(&gc).join(" "), expected);
        assert_eq!(quantise_flags(&Choices::default()), Vec::<String>::new());
    }

    #[test]
    fn the_first_server_listens_and_the_second_connects() {
        let args = |party, address| text(&Joint::Serve.args(Path::new("w"), party, 2, address));
        assert_eq!(
            args(Party::S1, Some("127.0.0.1:99")),
            "serve --json --party 1 --threads 2 --keys w/keys --model w/model.s1 --state w/state1 \
             --connect 127.0.0.1:99 --triplets w/trip.s1 --image w/img.s1 --out w/den.s1"
        );
        assert!(args(Party::S0, None).contains(" --listen 127.0.0.1:0 "));
    }
}
