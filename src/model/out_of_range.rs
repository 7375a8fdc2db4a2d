//! How many pre-activations left the range of their layer, and where.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Layers that are named in a sentence.
const NAMED_LAYERS: usize = 4;

/// Values behind linear layers that left their range, in ranges that calibration chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OutOfRange {
    /// How many.
    pub values: u64,
    /// The largest of their magnitudes, in ranges.
    pub times: f64,
    /// The layers that have any, first to last.
    pub layers: Vec<LayerOutOfRange>,
}

/// Those of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerOutOfRange {
    /// The layer with weights, from 1 on.
    pub layer: usize,
    /// How many.
    pub values: u64,
    /// The largest, in ranges.
    pub times: f64,
    /// The outputs that have any; of a report, their numbers.
    #[serde(serialize_with = "numbers")]
    pub channels: Vec<ChannelOutOfRange>,
}

/// Those of one output of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelOutOfRange {
    /// The output, from 0 on.
    pub channel: usize,
    /// How many.
    pub values: u64,
    /// The largest, in ranges.
    pub times: f64,
}

fn numbers<S: Serializer>(channels: &[ChannelOutOfRange], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(channels.iter().map(|found| found.channel))
}

impl OutOfRange {
    /// Of so many values beyond the ranges of each output of each layer, and the largest of each.
    pub(crate) fn of(layers: impl IntoIterator<Item = Vec<(u64, f64)>>) -> Self {
        let mut all = OutOfRange::default();
        for (number, outputs) in layers.into_iter().enumerate() {
            let outputs = outputs.into_iter().enumerate().filter(|(_, (values, _))| *values > 0);
            let channels: Vec<_> = outputs
                .map(|(channel, (values, times))| ChannelOutOfRange { channel, values, times })
                .collect();
            if channels.is_empty() {
                continue;
            }
            let values = channels.iter().map(|c| c.values).sum();
            let times = channels.iter().map(|c| c.times).fold(0.0, f64::max);
            all.values += values;
            all.times = all.times.max(times);
            all.layers.push(LayerOutOfRange { layer: number + 1, values, times, channels });
        }
        all
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// Of two images together.
    #[must_use]
    pub fn and(self, other: OutOfRange) -> OutOfRange {
        let mut outputs: BTreeMap<usize, BTreeMap<usize, (u64, f64)>> = BTreeMap::new();
        for layer in self.layers.into_iter().chain(other.layers) {
            let found = outputs.entry(layer.layer - 1).or_default();
            for ChannelOutOfRange { channel, values, times } in layer.channels {
                let (sum, most) = found.entry(channel).or_default();
                (*sum, *most) = (*sum + values, most.max(times));
            }
        }
        let dense = |map: &BTreeMap<usize, (u64, f64)>| -> Vec<(u64, f64)> {
            let last = map.keys().next_back().map_or(0, |last| last + 1);
            (0..last).map(|at| map.get(&at).copied().unwrap_or_default()).collect()
        };
        let last = outputs.keys().next_back().map_or(0, |last| last + 1);
        OutOfRange::of((0..last).map(|at| outputs.get(&at).map(dense).unwrap_or_default()))
    }
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = match self.values {
            1 => "1 pre-activation".to_string(),
            values => format!("{values} pre-activations"),
        };
        let layer = |found: &LayerOutOfRange| {
            let channels = match &found.channels[..] {
                [only] => format!("channel {}", only.channel),
                channels => format!("{} channels", channels.len()),
            };
            format!(
                "{} in layer {} ({channels}, up to {:.2} ranges)",
                found.values, found.layer, found.times
            )
        };
        let mut named: Vec<String> = self.layers.iter().take(NAMED_LAYERS).map(layer).collect();
        if self.layers.len() > NAMED_LAYERS {
            named.push(format!("more in {} other layers", self.layers.len() - NAMED_LAYERS));
        }
        write!(f, "{values} left the range of a layer: {}", named.join(", "))
    }
}

impl std::error::Error for OutOfRange {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_put_together_and_told_in_a_sentence() {
        let none = || vec![(0, 0.0), (0, 0.0)];
        let one = OutOfRange::of([none(), vec![(0, 0.0), (1, 1.5)]]);
        let two = OutOfRange::of([vec![(2, 3.25)], vec![(1, 1.25), (4, 1.125)]]);
        assert!(OutOfRange::of([none(), none()]).is_empty());
        assert_eq!(
            one.to_string(),
            "1 pre-activation left the range of a layer: 1 in layer 2 (channel 1, up to 1.50 ranges)"
        );
        let both = one.clone().and(two.clone());
        assert_eq!(both, two.and(one.clone()));
        assert_eq!((both.values, both.times, both.layers.len()), (8, 3.25, 2));
        assert_eq!(
            both.layers[1].channels[1],
            ChannelOutOfRange { channel: 1, values: 5, times: 1.5 }
        );
        assert_eq!(one.clone().and(OutOfRange::default()), one);
    }
}
