//! Models, networks and their training: what to do about them.

use super::{Code, Failure};
use crate::model::{ImportError, MODEL_FORMATS, ModelError};
use crate::network::NetworkError;
use crate::roles::models::{ModelFileError, NoModel};
#[cfg(feature = "train")]
use crate::roles::training::TrainingError;
use crate::roles::{CalibrateError, ModelOwnerError, PublicModelError};
#[cfg(feature = "train")]
use crate::train::TrainError;

impl From<ModelError> for Failure {
    fn from(e: ModelError) -> Self {
        match e {
            ModelError::Network(e) => e.into(),
            ModelError::Image(e) => e.into(),
            e => {
                let help = of_model(&e);
                Failure::of(Code::Input, &e, help.map(Into::into))
            }
        }
    }
}

impl From<ModelFileError> for Failure {
    fn from(e: ModelFileError) -> Self {
        let e = match e {
            ModelFileError::About { file, error } => return Failure::from(*error).about(&file),
            ModelFileError::Format(e) => return e.into(),
            ModelFileError::Model(e) => return e.into(),
            e => e,
        };
        let code = match e {
            ModelFileError::StrideOfConvolutions
            | ModelFileError::NotNpz
            | ModelFileError::DescriptionBeside(_) => Code::Usage,
            ModelFileError::Packing(_) => Code::Failed,
            _ => Code::Input,
        };
        let help = of_file(&e);
        Failure::of(code, &e, help)
    }
}

/// What to do about a file that is not the model that is wanted.
fn of_file(e: &ModelFileError) -> Option<String> {
    Some(match e {
        ModelFileError::NoModel(NoModel::Artefact(_)) => {
            "give the file that the model owner gave to `share-model`".into()
        }
        ModelFileError::NoModel(NoModel::Json) => {
            "give the file with the weights; its description NAME.json is found beside it".into()
        }
        ModelFileError::NoModel(_) => {
            format!("a model is a file with its weights, of one of {MODEL_FORMATS}")
        }
        ModelFileError::Unknown => "save it in one of these formats; `ppdenoise import` reads what other programs make of \
                                    them, see docs/models.md"
            .into(),
        ModelFileError::StrideOfConvolutions => "leave --stride away".into(),
        ModelFileError::Doubtful(doubt) => match &doubt.better {
            Some(way) => format!("describe it so: {way}; or add --unchecked to share it as it is"),
            None => "let `ppdenoise import` find how it is meant, or add --unchecked to share it as it is"
                .into(),
        },
        ModelFileError::NotNpz => "give --out a name that ends in .npz".into(),
        ModelFileError::DescriptionBeside(_) => "move it away, or give --out another name".into(),
        ModelFileError::Packing(_)
        | ModelFileError::About { .. }
        | ModelFileError::Format(_)
        | ModelFileError::Model(_) => return None,
    })
}

impl From<ImportError> for Failure {
    fn from(e: ImportError) -> Self {
        let help = match e {
            ImportError::Model(e) => return e.into(),
            ImportError::Foreign(_) => {
                "`ppdenoise inspect` lists its arrays; docs/models.md tells what can be brought"
            }
            ImportError::Range(_) => {
                "its 0 must be black or mid-grey, which zeros around its maps are then: train it on such levels"
            }
            ImportError::Undecided { .. } => {
                "look it up where the network comes from: its code, or the page that it was published on"
            }
            ImportError::Useless { .. } => {
                "give the noise it was trained for with --sigma, or another --activation or --range; dilation is not \
                 told by a file, see docs/models.md"
            }
        };
        Failure::of(Code::Input, &e, Some(help.into()))
    }
}

impl From<NetworkError> for Failure {
    fn from(e: NetworkError) -> Self {
        let help = match e {
            NetworkError::ImageTooSmall { .. } => Some("use a larger image or a smaller model"),
            NetworkError::ImageTooLarge { .. }
            | NetworkError::MapTooLarge { .. }
            | NetworkError::MapsTooLarge { .. } => {
                Some("cut it into smaller ones, as `share-image --tile` does")
            }
            _ => None,
        };
        Failure::of(Code::Input, &e, help.map(Into::into))
    }
}

#[cfg(feature = "train")]
impl From<TrainError> for Failure {
    fn from(e: TrainError) -> Self {
        use TrainError::{Diverged, Memory, Model, OtherRecipe, Recipe, Write};
        let code = match &e {
            Recipe { .. } | Model(_) | OtherRecipe { .. } => Code::Usage,
            Diverged { .. } | Memory | Write(_) => Code::Failed,
            _ => Code::Input,
        };
        let help = of_training(&e).map(Into::into);
        Failure::of(code, &e, help)
    }
}

#[cfg(feature = "train")]
impl From<TrainingError> for Failure {
    fn from(e: TrainingError) -> Self {
        let (code, help) = match e {
            TrainingError::About { file, error } => return Failure::from(*error).about(&file),
            TrainingError::Format(e) => return e.into(),
            TrainingError::Picture(e) => return e.into(),
            TrainingError::Image(e) => return e.into(),
            TrainingError::Metrics(e) => return e.into(),
            TrainingError::ModelFile(e) => return e.into(),
            TrainingError::Model(e) => return e.into(),
            TrainingError::Train(e) => return e.into(),
            TrainingError::OneName => (Code::Usage, Some("give the checkpoint a name of its own")),
            TrainingError::NotNpz | TrainingError::TooManyHeld { .. } => (Code::Usage, None),
            TrainingError::NoImages => (Code::Input, None),
        };
        Failure::of(code, &e, help.map(Into::into))
    }
}

/// What to do about a model.
fn of_model(e: &ModelError) -> Option<&'static str> {
    match e {
        ModelError::NoDescription => Some(
            "`ppdenoise import` finds out how a model of another program is meant; or write a JSON description beside \
             it as NAME.json",
        ),
        ModelError::Array { .. } => Some(
            "`ppdenoise inspect` lists the arrays of a file; NAME.json may name one for each layer, as its `weights`",
        ),
        ModelError::Description(_) => Some(
            "docs/formats.md#models tells what NAME.json may say; `ppdenoise import` needs none",
        ),
        ModelError::RangeTooLarge { .. } => {
            Some("use larger cells or a higher --sigma-from, or train with a bound on row norms")
        }
        ModelError::NotCalibrated => {
            Some("run `ppdenoise calibrate` on sample images first, or use --ranges guaranteed")
        }
        ModelError::NoBitsLeft { .. } => {
            Some("use --ring 64, or put an activation between layers that have none")
        }
        ModelError::OutputTooLarge { .. } => {
            Some("use --ring 64, a larger stride, or train with a bound on row norms")
        }
        _ => None,
    }
}

/// What to do about a training.
#[cfg(feature = "train")]
fn of_training(e: &TrainError) -> Option<&'static str> {
    match e {
        TrainError::NoImage { .. } => {
            Some("give larger images, or smaller patches with --input-patch or --patch")
        }
        TrainError::OtherShapes { .. } => Some(
            "give --family and the sizes as that model is: --input-patch, --output-patch and \
             --hidden, or --depth, --channels, --convolutions and --stride; and --no-residual; or its \
             description with --layers",
        ),
        TrainError::Diverged { .. } => {
            Some("use a smaller --rate; the last checkpoint is from before")
        }
        TrainError::Checkpoint(_) => Some("start without --resume, or with --init MODEL.npz"),
        TrainError::OtherRecipe { .. } => {
            Some("give the same options, or start from the weights with --init MODEL.npz")
        }
        TrainError::Colours => Some("take a model for grey images"),
        TrainError::Memory => Some("use a smaller --batch"),
        _ => None,
    }
}

impl From<PublicModelError> for Failure {
    fn from(e: PublicModelError) -> Self {
        match e {
            PublicModelError::Format(e) => e.into(),
            PublicModelError::Content { file, error } => Failure::from(*error).about(&file),
        }
    }
}

impl From<ModelOwnerError> for Failure {
    fn from(e: ModelOwnerError) -> Self {
        match e {
            ModelOwnerError::Format(e) => e.into(),
            ModelOwnerError::Model(e) => e.into(),
        }
    }
}

impl From<CalibrateError> for Failure {
    fn from(e: CalibrateError) -> Self {
        match e {
            CalibrateError::About { file, error } => Failure::from(*error).about(&file),
            CalibrateError::OutOfRange(e) => e.into(),
            CalibrateError::Model(e) => e.into(),
            CalibrateError::Network(e) => e.into(),
            CalibrateError::Image(e) => e.into(),
        }
    }
}
