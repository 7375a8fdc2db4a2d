//! Line and dot charts as pictures, lettered with an embedded font: what `reproduce` draws.
//!
//! Series differ in colour, in dashes or marks, and in brightness, so that they can be told apart in
//! grey too.

mod draw;

pub(crate) use draw::draw;

use super::lettering::LetteringError;

#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Above it.
    pub title: String,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top.
    pub y: Axis,
    /// In the order of the legend.
    pub series: Vec<Series>,
    /// Where the legend is.
    pub legend: Corner,
}

/// An axis. Data and limits are in units of the axis: for [`Ticks::Log`] these are powers of ten,
/// for [`Ticks::Names`] the index of the name.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// The smallest value shown.
    pub low: f64,
    /// The largest; above `low`.
    pub high: f64,
    /// What stands at the axis.
    pub ticks: Ticks,
}

/// The labels of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ticks {
    /// Numbers with so many decimals.
    Numbers(usize),
    /// Values are decimal logarithms; the labels are powers of ten.
    Log,
    /// The i-th name stands at i.
    Names(Vec<String>),
}

impl Axis {
    /// A linear axis.
    pub(crate) fn numbers(label: &str, low: f64, high: f64, decimals: usize) -> Axis {
        Axis { label: label.into(), low, high, ticks: Ticks::Numbers(decimals) }
    }

    /// A linear axis that holds all of `values` with a margin of a twentieth.
    pub(crate) fn around(label: &str, values: impl Iterator<Item = f64>, decimals: usize) -> Axis {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let margin = if high > low { (high - low) / 20.0 } else { 0.5 };
        Axis::numbers(label, low - margin, high + margin, decimals)
    }

    /// An axis with a name at every whole number.
    pub(crate) fn names(label: &str, names: Vec<String>) -> Axis {
        let high = names.len() as f64 - 0.5;
        Axis { label: label.into(), low: -0.5, high, ticks: Ticks::Names(names) }
    }

    /// A logarithmic axis from 10^`low` to 10^`high`.
    pub(crate) fn log(label: &str, low: f64, high: f64) -> Axis {
        Axis { label: label.into(), low, high, ticks: Ticks::Log }
    }

    /// The label at a value; empty where none belongs.
    fn tick(&self, value: f64) -> String {
        let whole = (value - value.round()).abs() < 1e-6;
        match &self.ticks {
            // Adding 0 turns -0 into 0.
            Ticks::Numbers(decimals) => {
                let scale = 10f64.powi(*decimals as i32);
                format!("{:.decimals$}", (value * scale).round() / scale + 0.0)
            }
            Ticks::Log if whole => power_of_ten(value.round() as i32),
            Ticks::Names(names) if whole && value > -0.5 => {
                names.get(value.round() as usize).cloned().unwrap_or_default()
            }
            _ => String::new(),
        }
    }
}

/// Points, and how they look.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// In the legend; empty for none.
    pub name: String,
    /// In units of the axes, in drawing order; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Joins the points.
    pub line: Line,
    /// Stands at each point.
    pub mark: Mark,
    /// One of [`COLOURS`], by index.
    pub colour: usize,
}

/// How points are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Not at all.
    None,
    /// A thin line.
    Thin,
    /// A thick one.
    Solid,
    /// Dashes.
    Dashed,
    /// Short dashes.
    Dotted,
}

/// What stands at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing.
    None,
    /// A filled disc.
    Disc,
    Circle,
    Cross,
    Triangle,
}

/// Where the legend is in the plot, away from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corner {
    TopRight,
    BottomRight,
}

/// Red, green, blue: the colours that Okabe and Ito chose for every kind of eye, from dark to light.
pub(crate) const COLOURS: [[u8; 3]; 6] =
    [[0, 0, 0], [0, 90, 160], [200, 80, 0], [0, 158, 115], [86, 170, 233], [225, 155, 0]];

/// Why a chart cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlotError {
    /// An axis whose limits are not two finite numbers in order.
    #[error("the axis `{label}` has no extent")]
    Axis { label: String },
    /// The embedded font.
    #[error(transparent)]
    Lettering(#[from] LetteringError),
    /// A picture too small for what it must hold, or another refusal of the plotting library.
    #[error("the chart cannot be drawn: {0}")]
    Draw(String),
}

fn power_of_ten(exponent: i32) -> String {
    match exponent {
        0..=4 => 10i64.pow(exponent as u32).to_string(),
        -3..=-1 => format!("{:.*}", exponent.unsigned_abs() as usize, 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_scale() {
        let linear = Axis::numbers("x", 0.0, 1.0, 2);
        assert_eq!((linear.tick(0.5), linear.tick(-0.0001)), ("0.50".into(), "0.00".into()));
        let log = Axis::log("t", -3.0, 7.0);
        let labels = [-3.0, 0.0, 3.0, 7.0, 0.5].map(|v| log.tick(v));
        assert_eq!(labels, ["0.001", "1", "1000", "1e7", ""]);
        let names = Axis::names("image", vec!["a".into(), "b".into()]);
        let labels = [-1.0, 0.0, 0.5, 1.0, 2.0].map(|v| names.tick(v));
        assert_eq!(labels, ["", "a", "", "b", ""]);
    }

    #[test]
    fn an_axis_around_values_holds_them() {
        let axis = Axis::around("y", [3.0, f64::NAN, 1.0, f64::INFINITY].into_iter(), 1);
        assert_eq!((axis.low, axis.high), (0.9, 3.1));
        let flat = Axis::around("y", [2.0].into_iter(), 1);
        assert!(flat.low < 2.0 && flat.high > 2.0);
        let none = Axis::around("y", std::iter::empty(), 1);
        assert!(none.low < none.high);
    }
}
