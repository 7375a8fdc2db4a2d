//! How many pre-activations left the range of their layer, and where.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Layers that are named in a sentence.
const NAMED_LAYERS: usize = 4;

/// Values beyond a range, and those by which two servers would raise the range alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Beyond {
    /// How many are beyond it.
    pub values: u64,
    /// The largest of their magnitudes, in ranges.
    pub times: f64,
    /// How many raise the alarm whatever the mask.
    pub certain: u64,
    /// How many raise it for some masks, these included.
    pub possible: u64,
}

impl Beyond {
    /// Of two sets of values together.
    #[must_use]
    pub(crate) fn and(self, other: Beyond) -> Beyond {
        Beyond {
            values: self.values + other.values,
            times: self.times.max(other.times),
            certain: self.certain + other.certain,
            possible: self.possible + other.possible,
        }
    }

    fn is_empty(self) -> bool {
        self.values == 0 && self.possible == 0
    }
}

/// Values behind linear layers that left their range, in ranges that calibration chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct OutOfRange {
    /// How many values before activations left the calibrated range of their layer.
    pub values: u64,
    /// The largest of their magnitudes, in ranges.
    pub times: f64,
    /// How many raise the range alarm of exact ReLUs on shares whatever the mask; a picture with
    /// any is refused there.
    pub certain: u64,
    /// How many raise it for some masks, these included.
    pub possible: u64,
    /// The layers that have any, first to last.
    pub layers: Vec<LayerOutOfRange>,
}

/// Those of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct LayerOutOfRange {
    /// The number of the layer, of those with weights, from 1 on.
    pub layer: usize,
    /// How many values of this layer.
    pub values: u64,
    /// The largest of their magnitudes, in ranges.
    pub times: f64,
    /// How many raise the range alarm whatever the mask.
    pub certain: u64,
    /// How many raise it for some masks, these included.
    pub possible: u64,
    /// The outputs of the layer that have any; a report names them by their numbers, from 0 on.
    #[serde(serialize_with = "numbers")]
    #[cfg_attr(feature = "cli", schemars(with = "Vec<usize>"))]
    pub channels: Vec<ChannelOutOfRange>,
}

/// Those of one output of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelOutOfRange {
    /// The output, from 0 on.
    pub channel: usize,
    /// What of it.
    pub beyond: Beyond,
}

fn numbers<S: Serializer>(channels: &[ChannelOutOfRange], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(channels.iter().map(|found| found.channel))
}

impl OutOfRange {
    /// Of what is beyond the ranges of each output of each layer.
    pub(crate) fn of(layers: impl IntoIterator<Item = Vec<Beyond>>) -> Self {
        let mut all = OutOfRange::default();
        let mut sum = Beyond::default();
        for (number, outputs) in layers.into_iter().enumerate() {
            let outputs = outputs.into_iter().enumerate().filter(|(_, beyond)| !beyond.is_empty());
            let channels: Vec<_> =
                outputs.map(|(channel, beyond)| ChannelOutOfRange { channel, beyond }).collect();
            if channels.is_empty() {
                continue;
            }
            let beyond = channels.iter().fold(Beyond::default(), |sum, c| sum.and(c.beyond));
            sum = sum.and(beyond);
            let Beyond { values, times, certain, possible } = beyond;
            let layer = number + 1;
            all.layers.push(LayerOutOfRange { layer, values, times, certain, possible, channels });
        }
        let Beyond { values, times, certain, possible } = sum;
        OutOfRange { values, times, certain, possible, ..all }
    }

    /// Whether there are none, and none that raise an alarm for certain.
    pub fn is_empty(&self) -> bool {
        self.values == 0 && self.certain == 0
    }

    /// Of two images together.
    #[must_use]
    pub fn and(self, other: OutOfRange) -> OutOfRange {
        let mut outputs: BTreeMap<usize, BTreeMap<usize, Beyond>> = BTreeMap::new();
        for layer in self.layers.into_iter().chain(other.layers) {
            let found = outputs.entry(layer.layer - 1).or_default();
            for ChannelOutOfRange { channel, beyond } in layer.channels {
                let sum = found.entry(channel).or_default();
                *sum = sum.and(beyond);
            }
        }
        let dense = |map: &BTreeMap<usize, Beyond>| -> Vec<Beyond> {
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
        // Layers and channels that only may raise the alarm have no value to tell of.
        let layer = |found: &LayerOutOfRange| {
            let left: Vec<_> = found.channels.iter().filter(|c| c.beyond.values > 0).collect();
            let channels = match &left[..] {
                [only] => format!("channel {}", only.channel),
                channels => format!("{} channels", channels.len()),
            };
            let LayerOutOfRange { values, layer, times, .. } = found;
            format!("{values} in layer {layer} ({channels}, up to {times:.2} ranges)")
        };
        let left: Vec<_> = self.layers.iter().filter(|layer| layer.values > 0).collect();
        let mut named: Vec<String> = left.iter().take(NAMED_LAYERS).copied().map(layer).collect();
        if left.len() > NAMED_LAYERS {
            named.push(format!("more in {} other layers", left.len() - NAMED_LAYERS));
        }
        write!(f, "{values} left the range of a layer")?;
        if !named.is_empty() {
            write!(f, ": {}", named.join(", "))?;
        }
        match (self.certain, self.possible) {
            (_, 0) => Ok(()),
            (certain, possible) => {
                write!(f, "; on shares {certain} raise the range alarm for certain, {possible} may")
            }
        }
    }
}

impl std::error::Error for OutOfRange {}

#[cfg(test)]
mod tests {
    use super::*;

    fn beyond(values: u64, times: f64, certain: u64, possible: u64) -> Beyond {
        Beyond { values, times, certain, possible }
    }

    #[test]
    fn images_are_put_together_and_told_in_a_sentence() {
        let nothing = Beyond::default();
        let none = || vec![nothing; 2];
        let one = OutOfRange::of([none(), vec![nothing, beyond(1, 1.5, 0, 0)]]);
        let two = OutOfRange::of([
            vec![beyond(2, 3.25, 0, 0)],
            vec![beyond(1, 1.25, 0, 0), beyond(4, 1.125, 0, 0)],
        ]);
        assert!(OutOfRange::of([none(), none()]).is_empty());
        assert_eq!(
            one.to_string(),
            "1 pre-activation left the range of a layer: 1 in layer 2 (channel 1, up to 1.50 ranges)"
        );
        let both = one.clone().and(two.clone());
        assert_eq!(both, two.and(one.clone()));
        assert_eq!((both.values, both.times, both.layers.len()), (8, 3.25, 2));
        let second = ChannelOutOfRange { channel: 1, beyond: beyond(5, 1.5, 0, 0) };
        assert_eq!(both.layers[1].channels[1], second);
        assert_eq!(one.clone().and(OutOfRange::default()), one);
    }

    /// Values inside the range may raise the alarm, by chance or for certain.
    #[test]
    fn alarms_count_as_well() {
        let maybe = OutOfRange::of([vec![beyond(0, 0.0, 0, 3)]]);
        assert!(maybe.is_empty() && maybe.layers[0].possible == 3);
        let certain = maybe.and(OutOfRange::of([vec![beyond(0, 0.0, 2, 2)]]));
        assert!(!certain.is_empty());
        let told = certain.to_string();
        let alarm = "on shares 2 raise the range alarm for certain, 5 may";
        assert_eq!(told, format!("0 pre-activations left the range of a layer; {alarm}"));
        let left =
            certain.and(OutOfRange::of([vec![], vec![beyond(0, 0.0, 0, 1), beyond(4, 1.5, 4, 4)]]));
        let told = left.to_string();
        assert!(
            told.contains("range of a layer: 4 in layer 2 (channel 1, up to 1.50 ranges);"),
            "{told}"
        );
    }
}
