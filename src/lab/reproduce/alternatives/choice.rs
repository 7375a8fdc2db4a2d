//! The table for whoever has to choose.

use super::measured::{Figures, Measured};
use super::pixels::Judged;
use super::systems::{Cost, Phase};
use crate::image::metrics::Quality;
use crate::lab::error::LabError;
use crate::lab::reproduce::plan::ALTERNATIVES_SIGMA as SIGMA;
use crate::lab::reproduce::row::Row;
use crate::lab::reproduce::table::{Table, both};
use crate::size::Size;

/// A megabyte.
const MB: f64 = 1e6;
/// Bytes of a pixel up and down, as float32, which is what was computed with.
const PIXEL: f64 = 8.0;
/// What a row says that the cloud recovers where it has no more than the protocol lets it.
const NOTHING: &str = "sizes, noise level, shape of the network";

/// A way to have an image denoised.
struct Way {
    name: String,
    result: Quality,
    /// How the time is had.
    ran: &'static str,
    cost: Cost,
    trusted: &'static str,
    recovered: Recovered,
}

/// What the cloud has of the picture.
enum Recovered {
    /// The best that was found.
    Picture(&'static str, Quality),
    /// No more than the protocol lets it.
    Nothing,
}

/// Its section of the page.
pub(super) fn section(measured: &Measured, figures: &mut Figures) -> Result<String, LabError> {
    let ways = ways(measured)?;
    let Size { height, width } = measured.size;
    let head = [
        "way",
        "the user's result",
        "who is trusted",
        "what the cloud recovers",
        "time",
        "online, s",
        "online, MB",
        "before, s",
        "before, MB",
    ];
    let mut table = Table::new(&head, 1);
    for way in &ways {
        let recovered = match &way.recovered {
            Recovered::Picture(how, quality) => {
                figures.quality("choice", &way.name, "recovered", *quality);
                format!("{}, {how}", both(quality.psnr_db, quality.ssim))
            }
            Recovered::Nothing => NOTHING.into(),
        };
        figures.quality("choice", &way.name, "result", way.result);
        let Cost { before, online } = way.cost;
        let numbers = [
            ("online_seconds", online.seconds),
            ("online_megabytes", online.bytes / MB),
            ("before_seconds", before.seconds),
            ("before_megabytes", before.bytes / MB),
        ];
        numbers.iter().for_each(|(name, value)| figures.add("choice", &way.name, name, *value));
        let words = [way.name.clone(), both(way.result.psnr_db, way.result.ssim)];
        let words = words.into_iter().chain([way.trusted.into(), recovered, way.ran.into()]);
        table.row(words.chain(numbers.map(|(_, value)| format!("{value:.3}"))));
    }
    Ok(format!(
        "## Which to choose\n\nTime and bytes are of one image of {height}x{width}: in the clear on the threads of \
         this process, float32 pixels up and down; two servers as processes, shares and results included, `before` \
         the material; one cloud and the user in one process, `before` what is done once a model and the material. \
         The paper's circuits: single operations times their number, the slower server's work, no dealer. One cloud \
         and two servers without a dealer compute with the integers of two servers with one, whose results on whole \
         images these are.\n\n{}",
        table.markdown()
    ))
}

fn ways(measured: &Measured) -> Result<Vec<Way>, LabError> {
    use Recovered::{Nothing, Picture};
    let (lab, judged, clear) = (measured.lab, &measured.judged, &measured.clear);
    let of = |row: Row| -> Result<Quality, LabError> {
        let found = lab.plan.whole(row, SIGMA);
        let found = found.iter().map(|entry| {
            let found = lab.found(entry)?;
            Ok(Quality { psnr_db: found.psnr_db, ssim: found.ssim })
        });
        Ok(super::pictures::average(&found.collect::<Result<Vec<_>, LabError>>()?))
    };
    let [plaintext, zheng, lut] = [Row::Plaintext, Row::GcZheng, Row::Lut].map(of);
    let (plaintext, zheng, lut) = (plaintext?, zheng?, lut?);
    let pixels = measured.size.pixels() as f64;
    let sent = |seconds| Cost {
        before: Phase::default(),
        online: Phase { seconds, bytes: PIXEL * pixels },
    };
    let way = |name: &str, result, ran, cost, trusted, recovered| Way {
        name: name.into(),
        result,
        ran,
        cost,
        trusted,
        recovered,
    };
    let (costs, run) = (&measured.costs, "run");
    let cloud = "the cloud with everything";
    let mut ways = vec![
        way(
            "plaintext",
            plaintext,
            run,
            sent(clear.plaintext),
            cloud,
            Picture("its own answer", plaintext),
        ),
        way(
            "plaintext, the small network",
            judged.plain,
            run,
            sent(clear.small),
            cloud,
            Picture("its own answer", judged.plain),
        ),
        way(
            "pixel encryption",
            judged.result,
            run,
            sent(clear.encrypted),
            "the cloud with what it recovers",
            best(judged),
        ),
    ];
    for played in &measured.pictures {
        // Its own answer is an attack too.
        let attacked = if played.attack.psnr_db > played.result.psnr_db {
            Picture("an attack trained afterwards", played.attack)
        } else {
            Picture("its own answer", played.result)
        };
        let trusted = "the cloud with its own answer";
        ways.push(way(
            &played.name(),
            played.result,
            run,
            sent(clear.perturbed),
            trusted,
            attacked,
        ));
    }
    ways.extend([
        way(
            "one cloud and the user",
            lut,
            run,
            costs.one_cloud,
            "the cloud to follow the protocol; the user takes part",
            Nothing,
        ),
        way(
            "two servers, a dealer",
            lut,
            run,
            costs.dealt,
            "two servers and a dealer to follow it and not to collude",
            Nothing,
        ),
        way(
            "two servers, no dealer",
            lut,
            run,
            costs.made,
            "two servers to follow it and not to collude",
            Nothing,
        ),
        way(
            "the paper's circuits",
            zheng,
            "computed",
            costs.literal,
            "two servers and a dealer to follow it and not to collude",
            Nothing,
        ),
    ]);
    Ok(ways)
}

/// The better of both attacks on pixel encryption.
fn best(judged: &Judged) -> Recovered {
    if judged.structure.psnr_db > judged.guessed.psnr_db {
        Recovered::Picture("the structure alone", judged.structure)
    } else {
        Recovered::Picture("a trained attack", judged.guessed)
    }
}
