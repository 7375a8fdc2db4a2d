//! The flags that say how a model becomes integers.

use super::parse::parse_positive;
use crate::lab::pipeline::quantise_flags;
use crate::model::{Cells, Choices, EngineKind, RangeKind, TanhPieces};
use crate::numbers::ring::RingBits;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

/// How a model becomes integers.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Quantise {
    /// How activations are computed: relu, exactly by masked comparisons, for ReLU networks; lut, by masked
    /// lookups in tables, for tanh; or gc, by garbled circuits between the servers as in the paper [default: relu
    /// for ReLU networks, otherwise lut]
    #[arg(help_heading = "Quantisation", long, value_name = "ENGINE", value_parser = parse_engine)]
    pub(crate) engine: Option<EngineKind>,
    /// Bits of the ring: 32 or 64 [default: 32]
    #[arg(help_heading = "Quantisation", long, value_name = "BITS", value_parser = parse_ring)]
    pub(crate) ring: Option<RingBits>,
    /// Width of a cell of the lut engine's tables: 1/4, 1/8 (more accurate, but more material) or
    /// another power of two [default: 1/4]
    #[arg(help_heading = "Quantisation", long, value_name = "1/N", value_parser = parse_cell)]
    pub(crate) cell: Option<Cells>,
    /// How the range of each layer is found: guaranteed, so that no image can leave it, or calibrated, as
    /// what `calibrate` saw on sample images times --margin [default: guaranteed; for ReLU: calibrated]
    #[arg(help_heading = "Quantisation", long, value_name = "KIND")]
    pub(crate) ranges: Option<RangeKind>,
    /// Factor from the largest value that `calibrate` saw to the calibrated range, at least 1 [default: 4, or
    /// 2 for the lut engine]
    #[arg(help_heading = "Quantisation", long, value_name = "FACTOR", value_parser = parse_margin)]
    pub(crate) margin: Option<f64>,
    /// The gc engine's function: zheng (the paper's), refit2, refit, or model for the one in the model's
    /// description [default: refit]
    #[arg(help_heading = "Quantisation", long, value_name = "NAME")]
    pub(crate) piecewise: Option<TanhPieces>,
    /// The lowest noise level, in 8-bit grey levels, of the images to be denoised. The lower it is, the
    /// further the levels 0 to 255 are spread and the more material the first layer needs. A model that is
    /// told the noise of each image serves all up to its highest anyway [default: two fifths of the
    /// model's own level, so 10 for 25]
    #[arg(help_heading = "Quantisation", long, value_name = "LEVELS", value_parser = parse_positive, conflicts_with = "interval")]
    pub(crate) sigma_from: Option<f64>,
    /// Largest input magnitude in network units, instead of --sigma-from.
    #[arg(help_heading = "Quantisation", long, value_name = "UNITS", value_parser = parse_positive)]
    pub(crate) interval: Option<f64>,
    /// Pixels between patches; more is faster and gives slightly worse pictures [default: the model's own]
    #[arg(help_heading = "Quantisation", long, value_name = "PIXELS")]
    pub(crate) stride: Option<usize>,
}

impl ValueEnum for RangeKind {
    fn value_variants<'a>() -> &'a [Self] {
        &[RangeKind::Guaranteed, RangeKind::Calibrated]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for TanhPieces {
    fn value_variants<'a>() -> &'a [Self] {
        &TanhPieces::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl Quantise {
    /// The ring asked for, or the default.
    pub(crate) fn ring(&self) -> RingBits {
        self.ring.unwrap_or(RingBits::L32)
    }

    /// What is asked of quantisation; `--stride` is no part of it.
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            engine: self.engine,
            ring: self.ring,
            cells: self.cell,
            ranges: self.ranges,
            margin: self.margin,
            piecewise: self.piecewise,
            sigma_from: self.sigma_from,
            interval: self.interval,
            one_cloud: false,
        }
    }

    /// The flags that shape integers, as given.
    pub(crate) fn given(&self) -> Vec<String> {
        quantise_flags(&self.choices())
    }
}

pub(crate) fn parse_engine(text: &str) -> Result<EngineKind, String> {
    EngineKind::from_name(text).ok_or_else(|| {
        let [names @ .., last] = EngineKind::ALL.map(EngineKind::name);
        format!("expected {} or {last}", names.join(", "))
    })
}

pub(crate) fn parse_ring(text: &str) -> Result<RingBits, String> {
    let bits = text.parse().ok().and_then(RingBits::from_bits);
    bits.ok_or_else(|| "expected 32 or 64".into())
}

/// Cells of a width.
pub(crate) fn parse_cell(text: &str) -> Result<Cells, String> {
    Cells::of_width(text).map_err(|expected| format!("expected {expected}"))
}

fn parse_margin(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (1.0..=100.0).contains(&v) => Ok(v),
        _ => Err("expected a number from 1 to 100".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_rings_and_margins_are_checked() {
        assert_eq!(parse_cell("1/8"), Ok(Cells::of_bits(3)));
        assert!(parse_cell("1/3").is_err() && parse_cell("0.25").is_err());
        assert!(parse_ring("16").is_err());
        assert!(["0.9", "nan", "inf", "101"].iter().all(|text| parse_margin(text).is_err()));
    }
}
