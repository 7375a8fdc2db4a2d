//! Tables 2, 3 and 4.

use super::Page;
use super::laboratory::Laboratory;
use super::paper;
use super::plan::{Area, Entry, Ran};
use super::results::Found;
use super::row::Row;
use super::table::{Table, both, mean};
use crate::lab::bench::{Machine, Operation};
use crate::lab::error::LabError;
use crate::lab::plot::{Axis, Chart, Corner, Line, Mark, Series};
use crate::size::Size;

const PAPER_NOTE: &str = "The paper's figures are of other images and another, larger network; \
    only what security costs compares.";

/// Letters as in the paper, then numbers.
pub(super) fn letter(image: usize) -> String {
    match image {
        0..26 => char::from(b'a' + image as u8).to_string(),
        _ => (image + 1).to_string(),
    }
}

/// A row's results over the noise levels.
fn line<'a>(lab: &'a Laboratory<'_>, entries: &[Entry]) -> Result<Vec<&'a Found>, LabError> {
    entries.iter().map(|c| lab.found(c)).collect()
}

/// The entries of one row of a table.
fn of(entries: &[Entry], image: usize, row: Row, ran: Option<Ran>) -> Vec<Entry> {
    let fits = |c: &&Entry| c.image == image && c.row == row && ran.is_none_or(|r| c.ran == r);
    entries.iter().filter(fits).copied().collect()
}

/// PSNR and SSIM of each image.
pub(super) fn table2(lab: &Laboratory<'_>) -> Result<Page, LabError> {
    let (plan, sigmas) = (&lab.plan, &lab.plan.sigmas);
    let (entries, real) = (plan.table(), plan.for_real());
    let mut whole = Table::by_sigma(&["image", "row", "ran"], sigmas);
    let mut csv = Table::new(
        &["letter", "image", "area", "row", "ran", "sigma", "psnr_db", "ssim", "clamped_pixels"],
        5,
    );
    let mut record = |image: usize, f: &Found| {
        let words = [letter(image), f.image.clone(), f.area.clone()];
        let words = words.into_iter().chain([f.row.name().into(), f.ran.name().into()]);
        let numbers = [f.sigma.to_string(), format!("{:.6}", f.psnr_db), format!("{:.6}", f.ssim)];
        csv.row(words.chain(numbers).chain([f.clamped.to_string()]));
    };
    let shown = |found: &[&Found], first: String| {
        let numbers = found.iter().map(|f| both(f.psnr_db, f.ssim));
        let words = [first, found[0].row.name().into(), found[0].ran.name().into()];
        words.into_iter().chain(numbers).collect::<Vec<_>>()
    };
    for image in 0..plan.images {
        for row in [Row::Noisy].into_iter().chain(plan.rows()) {
            let found = line(lab, &of(&entries, image, row, None))?;
            found.iter().for_each(|f| record(image, f));
            whole.row(shown(&found, format!("{}: {}", letter(image), lab.subjects[image].name)));
        }
    }
    let mut parts = Table::by_sigma(&["image", "row", "ran"], sigmas);
    for image in plan.gc_images() {
        for row in plan.rows() {
            for ran in [Ran::Float, Ran::Twin, Ran::Servers] {
                let found = line(lab, &of(&real, image, row, Some(ran)))?;
                if let Some(first) = found.first() {
                    found.iter().for_each(|f| record(image, f));
                    let name = format!("{}, middle {}", letter(image), first.area);
                    parts.row(shown(&found, name));
                }
            }
        }
    }
    let mut theirs = Table::by_sigma(&["image of the paper", "row"], &paper::SIGMAS);
    for (name, plain, secure) in &paper::TABLE2 {
        for (row, line) in [("plaintext", plain), ("secure", secure)] {
            let numbers = line.iter().map(|(p, s)| format!("{p:.2} / {s:.2}"));
            theirs.row([name.to_string(), row.into()].into_iter().chain(numbers));
        }
    }
    let markdown = format!(
        "# Table 2: PSNR in dB / SSIM of each image\n\n{}\n{}\n## Garbled circuits and convolutions \
         between two servers\n\nOn whole images the rows gc-zheng, gc-refit and dncnn-lut are the \
         integer twin's. Here two servers ran them on the middle of images {}, beside the twin on \
         the same pixels; the convolutional network at one noise level.\n\n{}\n## The paper's Table 2\n\n{PAPER_NOTE}\n\n{}",
        super::setting(lab),
        whole.markdown(),
        plan.gc_images().iter().map(|&i| letter(i)).collect::<Vec<_>>().join(" and "),
        parts.markdown(),
        theirs.markdown()
    );
    let charts = vec![loss_chart(lab, &entries)?];
    let size = Size { height: 560, width: 1000 };
    Ok(Page { markdown, csv: csv.csv(), charts, size, pictures: vec![] })
}

/// What each image loses against exact tanh, on average over the noise levels.
fn loss_chart(lab: &Laboratory<'_>, entries: &[Entry]) -> Result<Chart, LabError> {
    let looks = [
        (Row::GcZheng, Mark::Triangle, 2),
        (Row::GcRefit, Mark::Circle, 1),
        (Row::Lut, Mark::Cross, 0),
        (Row::DncnnLut, Mark::Disc, 3),
    ];
    let mut series = Vec::new();
    for (row, mark, colour) in looks {
        if !lab.plan.rows().contains(&row) {
            continue;
        }
        let mut points = Vec::new();
        for image in 0..lab.plan.images {
            let plain = line(lab, &of(entries, image, row.plaintext(), None))?;
            let other = line(lab, &of(entries, image, row, None))?;
            let lost: Vec<f64> =
                plain.iter().zip(&other).map(|(p, o)| p.psnr_db - o.psnr_db).collect();
            points.push((image as f64, mean(&lost)));
        }
        let ran = entries.iter().find(|c| c.row == row).map_or("", |c| c.ran.name());
        let name = format!("{}, {ran}", row.name());
        series.push(Series { name, points, line: Line::None, mark, colour });
    }
    let zero = vec![(-0.5, 0.0), (lab.plan.images as f64 - 0.5, 0.0)];
    let (name, mark) = (String::new(), Mark::None);
    series.insert(0, Series { name, points: zero, line: Line::Thin, mark, colour: 0 });
    let values = series.iter().flat_map(|s| &s.points).map(|p| p.1);
    let mut y = Axis::around("PSNR lost to float32, dB", values, 2);
    // Room for the legend.
    y.high += (y.high - y.low) / 3.0;
    let names = (0..lab.plan.images).map(letter).collect();
    Ok(Chart {
        title: "What security costs, mean over the noise levels".into(),
        x: Axis::names("image", names),
        y,
        series,
        legend: Corner::TopRight,
    })
}

/// Averages over the images: PSNR and SSIM at each noise level.
fn averages(lab: &Laboratory<'_>, row: Row) -> Result<Vec<(f64, f64)>, LabError> {
    let entries = lab.plan.table();
    let average = |&sigma: &f64| {
        let fits = |c: &&Entry| c.row == row && c.sigma() == sigma && c.area == Area::Whole;
        let entries: Vec<Entry> = entries.iter().filter(fits).copied().collect();
        let found = line(lab, &entries)?;
        let all = |value: fn(&Found) -> f64| found.iter().map(|f| value(f)).collect::<Vec<f64>>();
        Ok((mean(&all(|f| f.psnr_db)), mean(&all(|f| f.ssim))))
    };
    lab.plan.sigmas.iter().map(average).collect()
}

/// The averages.
pub(super) fn table3(lab: &Laboratory<'_>) -> Result<Page, LabError> {
    let sigmas = &lab.plan.sigmas;
    let ours = format!("ours, {} images", lab.plan.images);
    let mut table = Table::by_sigma(&["of", "row", "ran"], sigmas);
    let mut lost = Table::by_sigma(&["of", "row", "ran"], sigmas);
    let mut csv = Table::new(&["of", "row", "ran", "sigma", "psnr_db", "ssim"], 3);
    let entries = lab.plan.table();
    let ran = |row: Row| entries.iter().find(|c| c.row == row).map_or("", |c| c.ran.name());
    let mut series = Vec::new();
    for row in [Row::Noisy].into_iter().chain(lab.plan.rows()) {
        let values = averages(lab, row)?;
        let words = || [ours.clone(), row.name().to_string(), ran(row).to_string()];
        table.row(words().into_iter().chain(values.iter().map(|v| both(v.0, v.1))));
        if !matches!(row, Row::Noisy | Row::Plaintext | Row::Dncnn) {
            let plain = averages(lab, row.plaintext())?;
            let numbers = plain.iter().zip(&values).map(|(p, v)| format!("{:+.4}", p.0 - v.0));
            lost.row(words().into_iter().chain(numbers));
        }
        for (sigma, v) in sigmas.iter().zip(&values) {
            let numbers = [sigma.to_string(), format!("{:.6}", v.0), format!("{:.6}", v.1)];
            csv.row(words().into_iter().chain(numbers));
        }
        let points = sigmas.iter().zip(&values).map(|(s, v)| (*s, v.0)).collect();
        let look = match row {
            Row::Plaintext => Some((Line::Solid, Mark::None, 0)),
            Row::GcZheng => Some((Line::Dotted, Mark::Triangle, 2)),
            Row::GcRefit => Some((Line::None, Mark::Circle, 1)),
            Row::Lut => Some((Line::None, Mark::Cross, 3)),
            Row::Dncnn => Some((Line::Solid, Mark::None, 5)),
            Row::DncnnLut => Some((Line::None, Mark::Disc, 5)),
            _ => None,
        };
        let name = format!("ours, {}", row.name());
        series.extend(look.map(|(line, mark, colour)| Series { name, points, line, mark, colour }));
    }
    let theirs = "the paper, 50 other images";
    for (i, (row, values)) in paper::TABLE3.iter().enumerate() {
        let at = |sigma: &f64| {
            let i = paper::SIGMAS.iter().position(|s| s == sigma)?;
            Some(values[i])
        };
        let ran = if i == 0 { "a larger network" } else { "the same, on two servers" };
        let words = || [theirs.to_string(), row.to_string(), ran.into()];
        let shown =
            |v: Option<(f64, f64)>| v.map_or("-".into(), |(p, s)| format!("{p:.2} / {s:.2}"));
        table.row(words().into_iter().chain(sigmas.iter().map(|s| shown(at(s)))));
        for (sigma, v) in paper::SIGMAS.iter().zip(values) {
            let numbers = [sigma.to_string(), v.0.to_string(), v.1.to_string()];
            csv.row(words().into_iter().chain(numbers));
        }
        let points = paper::SIGMAS.iter().zip(values).map(|(s, v)| (*s, v.0)).collect();
        let (line, colour) = if i == 0 { (Line::Thin, 4) } else { (Line::Dashed, 4) };
        let name = format!("the paper, {row} (other images)");
        series.push(Series { name, points, line, mark: Mark::None, colour });
    }
    let loss = |sigma: &f64| {
        let i = paper::SIGMAS.iter().position(|s| s == sigma)?;
        Some(paper::TABLE3[0].1[i].0 - paper::TABLE3[1].1[i].0)
    };
    let numbers = sigmas.iter().map(|s| loss(s).map_or("-".into(), |l| format!("{l:+.2}")));
    let words = [theirs.to_string(), "secure".into(), "a larger network, on two servers".into()];
    lost.row(words.into_iter().chain(numbers));
    let markdown = format!(
        "# Table 3: PSNR in dB / SSIM, averages\n\n{}\n{}\n{PAPER_NOTE}\n\n## PSNR lost to the \
         plaintext of the same images, dB\n\n{}",
        super::setting(lab),
        table.markdown(),
        lost.markdown()
    );
    let values = || series.iter().flat_map(|s| &s.points);
    let chart = Chart {
        title: format!("Mean PSNR of {} images", lab.plan.images),
        x: Axis::around("noise, grey levels", values().map(|p| p.0), 0),
        y: Axis::around("PSNR, dB", values().map(|p| p.1), 1),
        legend: Corner::TopRight,
        series,
    };
    let charts = vec![chart];
    let size = Size { height: 640, width: 1000 };
    Ok(Page { markdown, csv: csv.csv(), charts, size, pictures: vec![] })
}

/// Single operations.
pub(super) fn table4(rows: &[Operation], machine: &Machine, quick: bool) -> Page {
    let head = [
        "operation",
        "paper, us",
        "S0, us",
        "S1, us",
        "paper, bytes",
        "ours, bytes",
        "turns",
        "batch",
    ];
    let mut table = Table::new(&head, 1);
    for row in rows {
        let us = |time: Option<f64>| time.map_or("-".into(), |t| format!("{t:.5}"));
        let [s0, s1] = row.us.map(us);
        let numbers = [row.paper_us.into(), s0, s1, row.paper_bytes.to_string()];
        let counts = [format!("{:.2}", row.bytes), row.turns.to_string(), row.batch.to_string()];
        table.row([row.name.clone()].into_iter().chain(numbers).chain(counts));
    }
    let effort = if quick {
        "\nMeasured once over small batches (`--quick`): the bytes are exact, the times rough.\n"
    } else {
        ""
    };
    let markdown = format!(
        "# Table 4: one operation\n\n{}, {} cores, kernels {}, AES {}; one thread, load average {}. \
         Both servers in one process, without a network. A time is a batch's divided by its size; what a dealer \
         prepares is outside. Bytes are payload, both directions together; turns are messages that \
         wait for one another. The paper's times are of 64 virtual cores of another machine and its \
         rows are its own operations; where it has none there is a dash.\n{effort}\n{}",
        machine.cpu.as_deref().unwrap_or("unknown processor"),
        machine.logical_cores,
        machine.backend,
        machine.aes_backend,
        machine.load_average.as_deref().unwrap_or("unknown"),
        table.markdown()
    );
    // The first row stands at the top.
    let height = |i: usize| (rows.len() - 1 - i) as f64;
    let ours = rows.iter().enumerate().filter_map(|(i, r)| {
        let slower = r.us.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
        (slower > 0.0).then(|| (slower.log10(), height(i)))
    });
    let theirs = rows.iter().enumerate();
    let theirs = theirs.filter_map(|(i, r)| Some((microseconds(r.paper_us)?.log10(), height(i))));
    let (ours, theirs): (Vec<_>, Vec<_>) = (ours.collect(), theirs.collect());
    let (low, high) = ours
        .iter()
        .chain(&theirs)
        .fold((0.0f64, 0.0f64), |(low, high), p| (low.min(p.0), high.max(p.0)));
    let dots = |name: &str, points, mark, colour| Series {
        name: name.into(),
        points,
        line: Line::None,
        mark,
        colour,
    };
    let chart = Chart {
        title: "Time of one operation, the slower server".into(),
        x: Axis::log("microseconds", low.floor(), high.ceil()),
        y: Axis::names("", rows.iter().rev().map(|r| r.name.replace('`', "")).collect()),
        series: vec![
            dots("ours", ours, Mark::Disc, 1),
            dots("the paper, its machine", theirs, Mark::Circle, 2),
        ],
        legend: Corner::BottomRight,
    };
    let size = Size { height: 140 + 30 * rows.len(), width: 1300 };
    Page { markdown, csv: table.csv(), charts: vec![chart], size, pictures: vec![] }
}

/// The paper's time, where it is a number.
fn microseconds(text: &str) -> Option<f64> {
    text.replace(',', "").parse::<f64>().ok().filter(|v| *v > 0.0)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Plan;
    use super::*;
    use crate::lab::bench::{Effort, operations};

    #[test]
    fn letters_then_numbers() {
        assert_eq!([0, 25, 26].map(letter), ["a", "z", "27"]);
    }

    #[test]
    fn table_4_has_every_operation_in_both_forms() {
        let rows = operations(Effort::QUICK);
        let report = table4(&rows, &Machine::this(), true);
        assert_eq!(report.csv.lines().count(), rows.len() + 1);
        for row in &rows {
            assert!(report.markdown.contains(&row.name.replace('|', "/")), "{}", row.name);
        }
        assert!(report.markdown.contains("--quick"));
        assert_eq!((microseconds("0.164"), microseconds("-")), (Some(0.164), None));
        crate::lab::plot::draw(&report.charts, report.size).unwrap();
    }

    #[test]
    fn a_row_is_found_among_the_entries() {
        let plan = Plan { images: 3, sigmas: vec![15.0, 20.0], gc_side: 64, dncnn: false };
        let entries = plan.table();
        let found = of(&entries, 2, Row::Lut, None);
        assert_eq!(found.iter().map(Entry::sigma).collect::<Vec<_>>(), [15.0, 20.0]);
        assert!(found.iter().all(|c| c.ran == Ran::Servers && c.image == 2));
        assert!(of(&entries, 2, Row::Lut, Some(Ran::Twin)).is_empty());
    }
}
