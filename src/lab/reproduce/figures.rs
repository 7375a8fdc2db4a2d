//! Figures 2, 8 to 11, and 12.

use super::Page;
use super::laboratory::Laboratory;
use super::paper;
use super::plan::{Entry, FIGURE_SIGMAS, Plan};
use super::row::Row;
use super::table::Table;
use super::tables::letter;
use crate::image::GreyImage;
use crate::lab::error::LabError;
use crate::lab::panel::{Panel, with_crops};
use crate::lab::picture::Picture;
use crate::lab::pictures::read_grey;
use crate::lab::plot::{Axis, Chart, Corner, Line, Mark, Series};
use crate::model::ActivationSpec;
use crate::numbers::slope_table::SlopeTable;
use crate::numbers::tanh::TanhStandIn;
use crate::size::Size;
use std::slice::from_ref;

/// tanh and its approximations are drawn and judged on [-SPAN, SPAN].
const SPAN: f64 = 4.0;
/// Points of a curve.
const POINTS: usize = 1601;

/// A curve of figure 2.
struct Curve<'a> {
    name: String,
    /// The values that come out at x, each with its probability.
    draws: Box<dyn Fn(f64) -> Vec<(f64, f64)> + 'a>,
    line: Line,
    colour: usize,
}

impl Curve<'_> {
    /// The mean of what comes out.
    fn eval(&self, x: f64) -> f64 {
        (self.draws)(x).iter().map(|(value, probability)| value * probability).sum()
    }
}

/// tanh and its approximations, and their errors.
pub(super) fn fig2(lab: &mut Laboratory<'_>) -> Result<Page, LabError> {
    let intro = format!("Model `{}`.\n", lab.request.model.file.display());
    let quantised = lab.quantise(Row::Lut)?;
    // A layer in the middle: the first one's range and the last one's scale are their own.
    let specs: Vec<&ActivationSpec> =
        quantised.public.network.activations().map(|(_, spec, _)| spec).collect();
    let spec = specs.get(specs.len() / 2);
    let named = |name: &str, a: TanhStandIn, line, colour| Curve {
        name: name.into(),
        draws: Box::new(move |x| vec![(a.eval(x), 1.0)]),
        line,
        colour,
    };
    let mut curves = vec![
        named("tanh* of the paper (gc-zheng)", TanhStandIn::Zheng, Line::Dashed, 2),
        named("refit2", TanhStandIn::Refit2, Line::Thin, 4),
        named("refit (gc-refit)", TanhStandIn::Refit, Line::Dotted, 1),
        named("SecureML", TanhStandIn::SecureMl, Line::Thin, 5),
    ];
    if let Some(ActivationSpec::Lookup(table)) = spec {
        let name = format!("lut, cells of 1/{}", 1u64 << (table.hi - table.range_bits - 1));
        let draws = Box::new(move |x| lookup(table, x));
        curves.insert(0, Curve { name, draws, line: Line::Solid, colour: 3 });
    }
    let mut errors = Table::new(
        &["function", "mean error on +-4", "largest error", "rms error, x normal with deviation 2"],
        1,
    );
    let mut csv = Table::new(&["x", "tanh"], 0);
    csv.head(curves.iter().map(|c| c.name.clone()));
    let xs: Vec<f64> = (0..POINTS).map(|i| at(i, POINTS)).collect();
    for &x in &xs {
        let values = curves.iter().map(|c| c.eval(x));
        csv.row([x, x.tanh()].into_iter().chain(values).map(|v| format!("{v:.6}")));
    }
    for curve in &curves {
        let [average, largest, rms] = judge(&curve.draws);
        let name = curve.name.clone();
        errors.row([name, digits(average), digits(largest), digits(rms)]);
    }
    let (average, largest) = paper::TANH_ERRORS;
    errors.row([
        "tanh* as the paper states it".into(),
        digits(average),
        digits(largest),
        "-".into(),
    ]);
    let markdown = format!(
        "# Figure 2: tanh and its approximations\n\n{intro}\n{}\n![tanh and its approximations \
         above, their errors below](fig2.png)\n\nThe lookup is the public table of a hidden layer in the \
         middle, in its integers; the curve is the mean over its random choices (rounding of the input, \
         entry), the figures in the table count each choice with its probability. SecureML's error reaches 0.76 and \
         leaves the picture. A mean error depends on the interval: on +-6.5 that of tanh* is what the \
         paper states.\n",
        errors.markdown()
    );
    let series = |curve: &Curve<'_>, value: &dyn Fn(f64) -> f64| Series {
        name: curve.name.clone(),
        points: xs.iter().map(|&x| (x, value(x))).collect(),
        line: curve.line,
        mark: Mark::None,
        colour: curve.colour,
    };
    let exact = named("tanh", TanhStandIn::Tanh, Line::Solid, 0);
    let mut above = vec![series(&exact, &|x| x.tanh())];
    // Under the line of tanh the lookup and the refits cannot be told from it.
    let shown = |c: &&Curve<'_>| c.line == Line::Dashed || c.colour == 5;
    above.extend(curves.iter().filter(shown).map(|c| series(c, &|x| c.eval(x))));
    let below = curves.iter().filter(|c| c.colour != 5);
    let below = below.map(|c| series(c, &|x| c.eval(x) - x.tanh())).collect();
    let chart = |title: &str, y, series, legend| {
        let (title, x) = (title.to_string(), Axis::numbers("x", -SPAN, SPAN, 0));
        Chart { title, x, y, series, legend }
    };
    let y = Axis::numbers("value", -1.1, 1.1, 1);
    let error = Axis::numbers("approximation less tanh", -0.025, 0.025, 3);
    let charts = vec![
        chart("tanh and its approximations", y, above, Corner::BottomRight),
        chart("Errors", error, below, Corner::BottomRight),
    ];
    let size = Size { height: 520, width: 1000 };
    Ok(Page { markdown, csv: csv.csv(), charts, size, pictures: vec![] })
}

fn at(i: usize, points: usize) -> f64 {
    SPAN * (2.0 * i as f64 / (points - 1) as f64 - 1.0)
}

fn digits(error: f64) -> String {
    format!("{error:.5}")
}

/// What a secure lookup gives at `x`: its input is rounded at random to either neighbour in the
/// table's units, and the mask, which decides between two cells, is uniform.
fn lookup(table: &SlopeTable, x: f64) -> Vec<(f64, f64)> {
    let units = x * f64::from(table.input_bits() - table.range_bits - 1).exp2();
    let (below, up) = (units.floor(), units - units.floor());
    let masks = 1u64 << table.lo;
    let (scale, share) = (f64::from(table.out_frac).exp2(), 1.0 / masks as f64);
    let mut draws = Vec::new();
    for (input, probability) in [(below, 1.0 - up), (below + 1.0, up)] {
        let input = input as i64 as u64 & ((1 << table.input_bits()) - 1);
        let value = |mask| table.eval_masked(input, mask) as f64 / scale;
        draws.extend((0..masks).map(|mask| (value(mask), probability * share)));
    }
    draws
}

/// Mean and largest error on [-SPAN, SPAN], and the root mean square under N(0, 2^2).
fn judge(draws: &dyn Fn(f64) -> Vec<(f64, f64)>) -> [f64; 3] {
    let points = 40_001;
    let (mut sum, mut largest) = (0.0, 0f64);
    for i in 0..points {
        let x = at(i, points);
        for (value, probability) in draws(x) {
            let error = (value - x.tanh()).abs();
            sum += probability * error;
            largest = if probability > 0.0 { largest.max(error) } else { largest };
        }
    }
    let (mut squares, mut mass) = (0.0, 0.0);
    for i in -5_000..=5_000 {
        let x = f64::from(i) * 2e-3;
        let weight = (-x * x / 8.0).exp();
        for (value, probability) in draws(x) {
            squares += weight * probability * (value - x.tanh()).powi(2);
        }
        mass += weight;
    }
    [sum / points as f64, largest, (squares / mass).sqrt()]
}

/// Original, noisy, plaintext and secure pictures with enlarged parts.
pub(super) fn fig8(lab: &Laboratory<'_>) -> Result<Page, LabError> {
    let mut table = Table::new(&["picture", "image", "sigma", "row", "ran", "psnr_db", "ssim"], 2);
    let (mut pictures, mut links) = (Vec::new(), String::new());
    for image in lab.plan.figure_images() {
        for sigma in FIGURE_SIGMAS {
            let entries = Plan::fig8(image, sigma);
            let name = format!("fig8-{}-s{sigma}.png", letter(image));
            list(lab, &mut table, &name, &entries)?;
            let clean = &lab.subjects[image].clean;
            let panels = panels(lab, &entries, &["noisy", "plaintext", "secure"])?;
            let original = Shown { caption: "original".into(), image: clean.clone() };
            pictures.push((name.clone(), compose(clean, &[&[original], &panels[..]].concat())?));
            links.push_str(&format!(
                "## {}: {}, sigma {sigma}\n\n![original, noisy, plaintext, secure]({name})\n\n",
                letter(image),
                lab.subjects[image].name
            ));
        }
    }
    let markdown = format!(
        "# Figures 8 to 11: original, noisy, plaintext, secure\n\n{}\nThe secure pictures are the \
         work of two servers (engine lut).\n\n{}\n{links}",
        super::setting(lab),
        table.markdown()
    );
    Ok(Page { markdown, csv: table.csv(), charts: vec![], size: Size::square(0), pictures })
}

/// SecureML's activation in the same network, beside the others.
pub(super) fn fig12(lab: &Laboratory<'_>) -> Result<Page, LabError> {
    let mut table = Table::new(&["picture", "image", "sigma", "row", "ran", "psnr_db", "ssim"], 2);
    let mut theirs =
        Table::new(&["sigma", "paper: SecureML's activation, dB", "paper: its own, dB"], 0);
    let (mut pictures, mut links) = (Vec::new(), String::new());
    let clean = &lab.subjects[0].clean;
    for (sigma, secureml, own) in paper::FIG12 {
        let entries = Plan::fig12(sigma);
        let name = format!("fig12-s{sigma}.png");
        list(lab, &mut table, &name, &entries)?;
        let shown: Vec<Entry> = entries.into_iter().filter(|c| c.row != Row::Plaintext).collect();
        let names = ["noisy", "SecureML", "tanh*", "lut"];
        pictures.push((name.clone(), compose(clean, &panels(lab, &shown, &names)?)?));
        links.push_str(&format!("![sigma {sigma}: noisy and three activations]({name})\n\n"));
        theirs.row([sigma.to_string(), secureml.to_string(), own.to_string()]);
    }
    let markdown = format!(
        "# Figure 12: SecureML's activation fails\n\n{}\nAll rows are image a, {}. SecureML's \
         piecewise linear sigmoid stands in for tanh as 2 sigmoid(2x) - 1, in float32: what is lost is \
         the function's, not the arithmetic's.\n\n{}\n{links}The paper, on another image and \
         with another network:\n\n{}",
        super::setting(lab),
        lab.subjects[0].name,
        table.markdown(),
        theirs.markdown()
    );
    Ok(Page { markdown, csv: table.csv(), charts: vec![], size: Size::square(0), pictures })
}

/// Adds the results behind a picture.
fn list(
    lab: &Laboratory<'_>,
    table: &mut Table,
    picture: &str,
    entries: &[Entry],
) -> Result<(), LabError> {
    for entry in entries {
        let f = lab.found(entry)?;
        let words = [picture.to_string(), f.image.clone(), f.sigma.to_string()];
        let words = words.into_iter().chain([f.row.name().into(), f.ran.name().into()]);
        table.row(words.chain([format!("{:.3}", f.psnr_db), format!("{:.4}", f.ssim)]));
    }
    Ok(())
}

/// A picture and the words above it.
#[derive(Clone)]
struct Shown {
    caption: String,
    image: GreyImage,
}

/// The picture of each entry with its caption.
fn panels(lab: &Laboratory<'_>, entries: &[Entry], names: &[&str]) -> Result<Vec<Shown>, LabError> {
    let panel = |(entry, name): (&Entry, &&str)| {
        let image = match entry.row {
            Row::Noisy => lab.pixels(entry)?.0,
            _ => read_grey(&lab.picture(entry))?,
        };
        let found = lab.found(entry)?;
        let caption = format!("{name} {:.2} dB / {:.3}", found.psnr_db, found.ssim);
        Ok(Shown { caption, image })
    };
    entries.iter().zip(names).map(panel).collect()
}

/// Panels side by side, with the two crops in which the clean image shows most.
fn compose(clean: &GreyImage, panels: &[Shown]) -> Result<Picture, LabError> {
    let panels = panels
        .iter()
        .map(|shown| Panel { caption: &shown.caption, planes: from_ref(&shown.image) });
    let panels = panels.collect::<Vec<_>>();
    with_crops(clean, &panels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_those_the_paper_states() {
        let [average, largest, _] = judge(&|x| vec![(TanhStandIn::Zheng.eval(x), 1.0)]);
        assert!((largest - paper::TANH_ERRORS.1).abs() < 1e-3, "{largest}");
        assert!(average > 1e-3 && average < 1e-2, "{average}");
        assert_eq!(judge(&|x| vec![(x.tanh(), 1.0)]), [0.0; 3]);
    }

    #[test]
    fn every_choice_of_the_lookup_is_counted() {
        let table = SlopeTable::fit("tanh", f64::tanh, 5, 8, 6, 13);
        for x in [-33.0, -3.0, -0.71, 0.0, 0.3, 1.9] {
            let draws = lookup(&table, x);
            assert_eq!(draws.len(), 128);
            assert!((draws.iter().map(|d| d.1).sum::<f64>() - 1.0).abs() < 1e-9);
            if x.abs() < 32.0 {
                assert!(draws.iter().all(|d| (d.0 - x.tanh()).abs() < 0.02), "{x}");
            }
        }
        // Beyond the range the value wraps: the sign is wrong.
        assert!(lookup(&table, -33.0).iter().all(|d| d.1 == 0.0 || d.0 > 0.9));
    }
}
