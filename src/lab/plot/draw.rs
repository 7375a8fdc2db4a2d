//! From charts to pixels.

use super::{Axis, COLOURS, Chart, Corner, Line, Mark, PlotError, Series, Ticks};
use crate::lab::lettering::{FONT, font};
use crate::lab::picture::Picture;
use crate::size::Size;
use plotters::chart::{ChartBuilder, ChartContext, SeriesLabelPosition};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Drawable, PointCollection};
use plotters::prelude::{
    BitMapBackend, Cartesian2d, DashedLineSeries, DrawingArea, DrawingBackend, IntoDrawingArea,
    PathElement, RGBColor, Ranged, ShapeStyle, WHITE,
};
use plotters_backend::{BackendCoord, DrawingErrorKind};
use std::ops::Range;

const TITLE_PIXELS: u32 = 22;
const TEXT_PIXELS: u32 = 17;
const MARK_PIXELS: i32 = 6;
/// The share of a character's height that its width is, at most, on average.
const CHARACTER_WIDTH: f64 = 0.5;
const LEGEND_LINE: i32 = 34;

type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Scale, Scale>>;

/// Draws charts one above another, each of `size` pixels.
///
/// # Errors
/// [`PlotError`] if an axis has no extent or a chart does not fit.
pub(crate) fn draw(charts: &[Chart], size: Size) -> Result<Picture, PlotError> {
    for axis in charts.iter().flat_map(|c| [&c.x, &c.y]) {
        if !(axis.low.is_finite() && axis.high.is_finite() && axis.low < axis.high) {
            return Err(PlotError::Axis { label: axis.label.clone() });
        }
    }
    font()?;
    let (width, height) = (size.width, size.height * charts.len());
    let mut rgb = vec![255; 3 * width * height];
    {
        let all = (width as u32, height as u32);
        let canvas = BitMapBackend::with_buffer(&mut rgb, all).into_drawing_area();
        canvas.fill(&WHITE).map_err(refused)?;
        for (part, chart) in canvas.split_evenly((charts.len(), 1)).iter().zip(charts) {
            draw_one(part, chart)?;
        }
        canvas.present().map_err(refused)?;
    }
    Picture::from_rgb(height, width, rgb).map_err(|e| PlotError::Draw(e.to_string()))
}

fn draw_one(canvas: &Canvas<'_>, chart: &Chart) -> Result<(), PlotError> {
    let text = |pixels: u32| (FONT, pixels);
    let mut context = ChartBuilder::on(canvas)
        .caption(&chart.title, text(TITLE_PIXELS))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(3 * TEXT_PIXELS)
        .y_label_area_size(label_area(&chart.y))
        .build_cartesian_2d(Scale(chart.x.clone()), Scale(chart.y.clone()))
        .map_err(refused)?;
    context
        .configure_mesh()
        .light_line_style(ShapeStyle { color: WHITE.into(), filled: false, stroke_width: 0 })
        .bold_line_style(RGBColor(222, 222, 222))
        .x_desc(&chart.x.label)
        .y_desc(&chart.y.label)
        .x_labels(12)
        .y_labels(12)
        .label_style(text(TEXT_PIXELS))
        .axis_desc_style(text(TEXT_PIXELS))
        .draw()
        .map_err(refused)?;
    for series in &chart.series {
        draw_series(&mut context, series)?;
    }
    let position = match chart.legend {
        Corner::TopRight => SeriesLabelPosition::UpperRight,
        Corner::BottomRight => SeriesLabelPosition::LowerRight,
    };
    context
        .configure_series_labels()
        .position(position)
        .margin(14)
        .legend_area_size(LEGEND_LINE + 8)
        .background_style(WHITE)
        .border_style(RGBColor(150, 150, 150))
        .label_font(text(TEXT_PIXELS))
        .draw()
        .map_err(refused)
}

/// Pixels left of the axis: the longest label and the description.
fn label_area(axis: &Axis) -> u32 {
    let longest = match &axis.ticks {
        Ticks::Names(names) => names.iter().map(|n| n.chars().count()).max().unwrap_or(0),
        Ticks::Numbers(_) | Ticks::Log => {
            [axis.low, axis.high].map(|v| axis.tick(v).len()).into_iter().max().unwrap_or(0).max(4)
        }
    };
    (longest as f64 * CHARACTER_WIDTH * f64::from(TEXT_PIXELS)) as u32 + 2 * TEXT_PIXELS + 6
}

/// On and off pixels of a broken line.
fn dashes(line: Line) -> (i32, i32) {
    if line == Line::Dotted { (3, 4) } else { (11, 6) }
}

fn draw_series(context: &mut Context<'_, '_>, series: &Series) -> Result<(), PlotError> {
    let [r, g, b] = COLOURS[series.colour % COLOURS.len()];
    let colour = RGBColor(r, g, b);
    let style =
        ShapeStyle { color: colour.into(), filled: false, stroke_width: width(series.line) };
    let finite = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
    let points: Vec<(f64, f64)> = series.points.iter().filter(finite).copied().collect();
    match series.line {
        Line::None => {}
        Line::Thin | Line::Solid => {
            // A piece at a time: joined, thick lines grow spikes where a curve turns sharply.
            let pieces = points.windows(2).map(|ends| PathElement::new(ends.to_vec(), style));
            context.draw_series(pieces).map_err(refused)?;
        }
        Line::Dashed | Line::Dotted => {
            let (on, off) = dashes(series.line);
            let line = DashedLineSeries::new(points.clone(), on, off, style);
            context.draw_series(line).map_err(refused)?;
        }
    }
    let (line, mark) = (series.line, series.mark);
    let marks = points.into_iter().map(|at| Symbol { at, line: None, mark, colour });
    let drawn = context.draw_series(marks).map_err(refused)?;
    if !series.name.is_empty() {
        drawn.label(&series.name).legend(move |at| Symbol { at, line: Some(line), mark, colour });
    }
    Ok(())
}

fn width(line: Line) -> u32 {
    if line == Line::Thin { 1 } else { 2 }
}

/// The mark of a point; or, with a line, the key of a legend: a piece of the line to the right of
/// `at` and the mark in its middle.
struct Symbol<C> {
    at: C,
    line: Option<Line>,
    mark: Mark,
    colour: RGBColor,
}

impl<'a, C> PointCollection<'a, C> for &'a Symbol<C> {
    type Point = &'a C;
    type IntoIter = std::iter::Once<&'a C>;

    fn point_iter(self) -> Self::IntoIter {
        std::iter::once(&self.at)
    }
}

impl<C, DB: DrawingBackend> Drawable<DB> for Symbol<C> {
    fn draw<I: Iterator<Item = BackendCoord>>(
        &self,
        points: I,
        backend: &mut DB,
        _: (u32, u32),
    ) -> Result<(), DrawingErrorKind<DB::ErrorType>> {
        let style = ShapeStyle {
            color: self.colour.into(),
            filled: true,
            stroke_width: width(self.line.unwrap_or(Line::Solid)),
        };
        for (x, y) in points {
            let (on, off) = match self.line {
                None | Some(Line::None) => (0, LEGEND_LINE),
                Some(Line::Thin | Line::Solid) => (LEGEND_LINE, 0),
                Some(line @ (Line::Dashed | Line::Dotted)) => dashes(line),
            };
            for from in (0..LEGEND_LINE).step_by((on + off) as usize).filter(|_| on > 0) {
                let to = (from + on).min(LEGEND_LINE);
                backend.draw_line((x + from, y), (x + to, y), &style)?;
            }
            let x = if self.line.is_none() { x } else { x + LEGEND_LINE / 2 };
            let r = MARK_PIXELS;
            match self.mark {
                Mark::None => {}
                Mark::Disc => backend.draw_circle((x, y), r as u32, &style, true)?,
                Mark::Circle => {
                    backend.draw_circle((x, y), r as u32 + 1, &style, true)?;
                    backend.draw_circle((x, y), r as u32 - 1, &ShapeStyle::from(&WHITE), true)?;
                }
                Mark::Cross => {
                    let thick = ShapeStyle { stroke_width: 2, ..style };
                    backend.draw_line((x - r, y - r), (x + r, y + r), &thick)?;
                    backend.draw_line((x - r, y + r), (x + r, y - r), &thick)?;
                }
                Mark::Triangle => {
                    let corners = [(x, y - r - 1), (x + r, y + r - 1), (x - r, y + r - 1)];
                    backend.fill_polygon(corners, &style)?;
                }
            }
        }
        Ok(())
    }
}

/// An axis as the plotting library wants it.
struct Scale(Axis);

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.0.low) / (self.0.high - self.0.low);
        // Far outside is as good as just outside, and no overflow.
        from + (share.clamp(-2.0, 3.0) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let Axis { low, high, ref ticks, .. } = self.0;
        match ticks {
            Ticks::Numbers(_) => RangedCoordf64::from(low..high).key_points(hint),
            Ticks::Log | Ticks::Names(_) => {
                (low.ceil() as i64..=high.floor() as i64).map(|v| v as f64).collect()
            }
        }
    }

    fn range(&self) -> Range<f64> {
        self.0.low..self.0.high
    }
}

impl ValueFormatter<f64> for Scale {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        self.0.tick(*value)
    }
}

fn refused(e: impl std::fmt::Display) -> PlotError {
    PlotError::Draw(e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(line: Line, mark: Mark, colour: usize, y: f64) -> Series {
        let points = vec![(0.0, y), (f64::NAN, y), (1.0, y)];
        Series { name: "a".into(), points, line, mark, colour }
    }

    fn chart(series: Vec<Series>) -> Chart {
        let axis = |label: &str| Axis::numbers(label, 0.0, 1.0, 1);
        let (x, y) = (axis("x"), axis("y"));
        Chart { title: "title".into(), x, y, series, legend: Corner::TopRight }
    }

    /// Pixels of exactly this colour.
    fn count(picture: &Picture, colour: [u8; 3]) -> usize {
        picture.rgb().chunks_exact(3).filter(|p| **p == colour).count()
    }

    #[test]
    fn lines_marks_and_letters_leave_their_ink() {
        let size = Size { height: 300, width: 400 };
        let empty = draw(&[chart(vec![])], size).unwrap();
        assert_eq!((empty.width(), empty.height()), (400, 300));
        assert!(count(&empty, [0; 3]) > 300, "axes and letters");
        let ink = |line, mark| {
            let picture = draw(&[chart(vec![series(line, mark, 2, 0.3)])], size).unwrap();
            count(&picture, COLOURS[2])
        };
        let solid = ink(Line::Solid, Mark::None);
        let [dashed, dotted] = [Line::Dashed, Line::Dotted].map(|line| ink(line, Mark::None));
        assert!(solid > dashed && dashed > dotted && dotted > 100, "{solid} {dashed} {dotted}");
        for mark in [Mark::Disc, Mark::Circle, Mark::Cross, Mark::Triangle] {
            // Two points and the legend.
            assert!(ink(Line::None, mark) > 3 * 20, "{mark:?}");
        }
        assert_eq!(ink(Line::None, Mark::None), 0);
    }

    #[test]
    fn charts_stand_above_one_another_and_bad_axes_are_refused() {
        let size = Size { height: 240, width: 320 };
        let two = draw(&[chart(vec![]), chart(vec![])], size).unwrap();
        assert_eq!((two.width(), two.height()), (320, 480));
        let mut bad = chart(vec![]);
        bad.y.high = bad.y.low;
        let text = draw(&[bad], size).unwrap_err().to_string();
        assert_eq!(text, "the axis `y` has no extent");
    }
}
