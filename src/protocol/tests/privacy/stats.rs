//! Counts of a field's values, and the tests on them.
//!
//! Every test is a chi-square test with a bin count chosen from the sample size alone: at least
//! [`MIN_EXPECTED`] values are expected in a bin. The tail of the chi-square distribution is an
//! approximation to that of the counts; its worst case is one bin that deviates alone, and for a
//! Poisson count of mean 1024 at eight standard deviations exp(-1024 h) with h = (1 + u) ln(1 + u) - u,
//! u = 1/4, is 11 times exp(-32); at 8.25, where the threshold lies, 14 times. [`SLACK`] covers it.
//!
//! False alarms: the suite makes fewer than [`MAX_TESTS`] tests (every campaign checks its part), and a
//! test alarms below [`THRESHOLD`] = 1e-9 / ([`SLACK`] [`MAX_TESTS`]). By the union bound, which needs no
//! independence of the tests, a correct program fails with probability at most 1e-9 over fresh seeds;
//! with the seeds fixed it passes or fails for good.

/// The false alarm rate of the whole suite.
const SUITE_ALARMS: f64 = 1e-9;
/// More than the tests of all campaigns together.
pub(super) const MAX_TESTS: usize = 300_000;
/// How much larger than the chi-square tail a count's tail may be.
const SLACK: f64 = 20.0;
/// The p-value below which a test alarms.
pub(super) const THRESHOLD: f64 = SUITE_ALARMS / (SLACK * MAX_TESTS as f64);
/// Values expected in a bin, at least.
const MIN_EXPECTED: u64 = 1024;

/// Bits of a histogram's index, at most.
const BINS: u32 = 6;
/// Bits of each value of a pair, at most.
const PAIR: u32 = 3;

/// The counts of a field of numbers of `width` bits.
#[derive(Clone)]
pub(super) struct Field {
    width: u32,
    count: u64,
    high: Vec<u64>,
    low: Vec<u64>,
    bits: Vec<u64>,
    pairs: u64,
    high_pairs: Vec<u64>,
    low_pairs: Vec<u64>,
}

impl Field {
    pub(super) fn new(width: u32) -> Self {
        let zeros = |bits: u32| vec![0; 1 << bits];
        let (one, two) = (BINS.min(width), 2 * PAIR.min(width));
        Field {
            width,
            count: 0,
            high: zeros(one),
            low: zeros(one),
            bits: vec![0; width as usize],
            pairs: 0,
            high_pairs: zeros(two),
            low_pairs: zeros(two),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Counts values; neighbours 2 i and 2 i + 1 make the pairs.
    pub(super) fn push(&mut self, values: &[u64]) {
        let (one, two) = (BINS.min(self.width), PAIR.min(self.width));
        let high = |v: u64, bits: u32| (v >> (self.width - bits)) as usize;
        let low = |v: u64, bits: u32| (v & ((1 << bits) - 1)) as usize;
        for &v in values {
            assert!(self.width == 64 || v >> self.width == 0, "a value is wider than its field");
            self.high[high(v, one)] += 1;
            self.low[low(v, one)] += 1;
            self.bits.iter_mut().enumerate().for_each(|(i, ones)| *ones += v >> i & 1);
        }
        for pair in values.chunks_exact(2) {
            self.high_pairs[high(pair[0], two) << two | high(pair[1], two)] += 1;
            self.low_pairs[low(pair[0], two) << two | low(pair[1], two)] += 1;
        }
        self.count += values.len() as u64;
        self.pairs += values.len() as u64 / 2;
    }

    /// Tests the field against the uniform distribution. A field of too few values is a mistake of
    /// the campaign.
    pub(super) fn uniform(&self, name: &str, out: &mut Verdicts) {
        assert!(self.count >= 2 * MIN_EXPECTED, "{name} has only {} values", self.count);
        out.note(format!("{name}, high bits"), uniform(&self.high, true));
        out.note(format!("{name}, low bits"), uniform(&self.low, false));
        let half = self.count as f64 / 2.0;
        let each = |&ones: &u64| (ones as f64 - half).powi(2) / (half / 2.0);
        let bits: f64 = self.bits.iter().map(each).sum();
        out.note(format!("{name}, every bit"), tail(f64::from(self.width), bits));
        if self.pairs >= 4 * MIN_EXPECTED {
            out.note(format!("{name}, neighbours' high bits"), uniform_pairs(&self.high_pairs));
            out.note(format!("{name}, neighbours' low bits"), uniform_pairs(&self.low_pairs));
        }
    }

    /// Tests whether two fields have the same distribution.
    pub(super) fn same_as(&self, other: &Field, name: &str, out: &mut Verdicts) {
        assert_eq!(self.width, other.width, "{name}");
        out.note(format!("{name}, high bits"), two_sample(&self.high, &other.high, true));
        out.note(format!("{name}, low bits"), two_sample(&self.low, &other.low, false));
    }
}

/// Halves a histogram: bins that differ in the lowest (of `high` bits) or highest bit of the index.
fn halved(bins: &[u64], high: bool) -> Vec<u64> {
    let half = bins.len() / 2;
    let merge = |i| if high { bins[2 * i] + bins[2 * i + 1] } else { bins[i] + bins[i + half] };
    (0..half).map(merge).collect()
}

/// The p-value of counts against the uniform distribution.
fn uniform(bins: &[u64], high: bool) -> f64 {
    let mut bins = bins.to_vec();
    while bins.len() > 2 && bins.iter().sum::<u64>() < MIN_EXPECTED * bins.len() as u64 {
        bins = halved(&bins, high);
    }
    let expected = bins.iter().sum::<u64>() as f64 / bins.len() as f64;
    let chi: f64 = bins.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
    tail((bins.len() - 1) as f64, chi)
}

/// The p-value of counts of pairs; fewer bins if there are few pairs.
fn uniform_pairs(bins: &[u64]) -> f64 {
    let side = bins.len().isqrt();
    let total: u64 = bins.iter().sum();
    if total >= MIN_EXPECTED * bins.len() as u64 {
        return uniform(bins, true);
    }
    // Whether the two halves of the pair agree in the index's upper half, lower half, or not.
    let mut few = vec![0; 4];
    for (i, n) in bins.iter().enumerate() {
        few[(i / side % 2) * 2 + i % side % 2] += n;
    }
    let mut upper = vec![0; 4];
    for (i, n) in bins.iter().enumerate() {
        upper[(i / side * 2 / side) * 2 + i % side * 2 / side] += n;
    }
    (2.0 * uniform(&few, true).min(uniform(&upper, true))).min(1.0)
}

/// The p-value of two samples' counts under one distribution.
fn two_sample(a: &[u64], b: &[u64], high: bool) -> f64 {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    let total = |v: &[u64]| v.iter().sum::<u64>();
    let (n, m) = (total(&a), total(&b));
    assert!(n.min(m) >= 2 * MIN_EXPECTED, "samples of {n} and {m}");
    while a.len() > 2 && n.min(m) < MIN_EXPECTED * a.len() as u64 {
        (a, b) = (halved(&a, high), halved(&b, high));
    }
    let (to_a, to_b) = ((m as f64 / n as f64).sqrt(), (n as f64 / m as f64).sqrt());
    let used = a.iter().zip(&b).filter(|(a, b)| **a + **b > 0);
    let (mut chi, mut bins) = (0.0, 0.0);
    for (&a, &b) in used {
        chi += (to_a * a as f64 - to_b * b as f64).powi(2) / (a + b) as f64;
        bins += 1.0;
    }
    if bins < 2.0 { 1.0 } else { tail(bins - 1.0, chi) }
}

/// What the tests of a campaign said.
#[derive(Default)]
pub(super) struct Verdicts {
    all: Vec<(String, f64)>,
}

impl Verdicts {
    pub(super) fn note(&mut self, name: String, p: f64) {
        assert!((0.0..=1.0).contains(&p), "{name}: {p}");
        self.all.push((name, p));
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// The smallest p-value of all.
    pub(super) fn least(&self) -> f64 {
        self.all.iter().map(|(_, p)| *p).fold(1.0, f64::min)
    }

    /// The tests that alarm.
    pub(super) fn alarms(&self) -> Vec<&(String, f64)> {
        self.all.iter().filter(|(_, p)| *p < THRESHOLD).collect()
    }
}

/// P(X >= chi) for a chi-square variable X of `freedom` degrees.
pub(super) fn tail(freedom: f64, chi: f64) -> f64 {
    upper_gamma(freedom / 2.0, chi / 2.0)
}

/// Q(a, x), the regularised upper incomplete gamma function: the series for x < a + 1, the continued
/// fraction (Lentz) above, where it is accurate in relative terms however small it is.
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return (1.0 - front * sum).clamp(0.0, 1.0);
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, 1.0 / b);
    let mut fraction = d;
    for i in 1..10_000 {
        let an = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// ln of the gamma function at a half-integer or integer: the product down to 1 or 1/2.
fn ln_gamma(a: f64) -> f64 {
    assert!(a > 0.0 && (2.0 * a).fract() == 0.0);
    let (mut at, mut sum) = (a, 0.0);
    while at > 1.0 {
        at -= 1.0;
        sum += at.ln();
    }
    if at == 1.0 { sum } else { sum + 0.5 * std::f64::consts::PI.ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::prg::{Domain, Purpose, Seed};

    /// Closed forms: 2 degrees, exp(-x / 2); 4 degrees, (1 + x / 2) exp(-x / 2); 1 degree, the normal
    /// distribution's two-sided tail at 1.959964 and at 8 (1.244e-15, tables).
    #[test]
    fn the_tail_is_that_of_the_closed_forms() {
        for x in [0.1f64, 1.0, 3.0, 10.0, 70.0, 200.0] {
            let exact = [(2.0, (-x / 2.0).exp()), (4.0, (1.0 + x / 2.0) * (-x / 2.0).exp())];
            for (freedom, exact) in exact {
                assert!((tail(freedom, x) / exact - 1.0).abs() < 1e-12, "{freedom} {x}");
            }
        }
        assert!((tail(1.0, 1.959_963_984_540_054_f64.powi(2)) - 0.05).abs() < 1e-12);
        assert!((tail(1.0, 64.0) / 1.244_192_114_854_357e-15 - 1.0).abs() < 1e-9);
        // Tables: the 0.1 % points of 63 and 255 degrees.
        assert!((tail(63.0, 103.442) - 0.001).abs() < 1e-6);
        assert!((tail(255.0, 330.520) - 0.001).abs() < 1e-6);
    }

    /// p-values of uniform samples are uniform: of 2,000 about 1 % are below 1 %.
    #[test]
    fn uniform_values_give_uniform_p_values() {
        let mut verdicts = Verdicts::default();
        for i in 0..400u16 {
            let seed = Seed::from_bytes(std::array::from_fn(|at| i.to_le_bytes()[at % 2]));
            let values: Vec<u64> = seed.bulk(Domain::of(Purpose::InputMask)).take(0, 20_000);
            let mut field = Field::new(13);
            field.push(&values.iter().map(|v| v >> 51).collect::<Vec<u64>>());
            field.uniform("", &mut verdicts);
        }
        assert_eq!(verdicts.count(), 2000);
        let below = |p: f64| verdicts.all.iter().filter(|v| v.1 < p).count();
        // Six standard deviations of 4.5 and of 13.4.
        assert!((1..47).contains(&below(0.01)), "{}", below(0.01));
        assert!((120..280).contains(&below(0.1)), "{}", below(0.1));
    }

    /// Small faults alarm at the suite's threshold: a bit with a bias of 3 %, a value that is never
    /// taken, neighbours whose low bits agree in 9 of 16 cases.
    #[test]
    fn small_faults_alarm() {
        let faults: [fn(usize, u64, u64) -> u64; 4] = [
            |_, v, _| v,
            |i, v, _| if i % 16 == 0 { v | 8 } else { v },
            |_, v, _| if v == 17 { 18 } else { v },
            |i, v, before| if i % 16 == 1 { v & !1 | before & 1 } else { v },
        ];
        for (number, fault) in faults.iter().enumerate() {
            let seed = Seed::from_bytes([8; 32]);
            let mut values: Vec<u64> =
                seed.bulk(Domain::of(Purpose::InputMask)).take::<u64>(0, 1 << 16);
            for i in 0..values.len() {
                let before = values[i.saturating_sub(1)];
                values[i] = fault(i, values[i] >> 58, before);
            }
            let mut field = Field::new(6);
            field.push(&values);
            let mut verdicts = Verdicts::default();
            field.uniform("", &mut verdicts);
            assert_eq!(verdicts.alarms().is_empty(), number == 0, "{}", verdicts.least());
        }
    }
}
