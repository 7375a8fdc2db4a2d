//! What Zheng et al. published. IEEE TDSC 18(3), 2021: on 50 images of ChestX-ray8 that they do not name, with a
//! network four times as wide. ICASSP 2018: the same network, five well-known images. Only the kind of difference
//! compares.

/// The noise levels of Tables 2 and 3.
pub(super) const SIGMAS: [f64; 5] = [15.0, 20.0, 25.0, 30.0, 35.0];

/// PSNR in dB and SSIM at each of [`SIGMAS`].
pub(super) type Line = [(f64, f64); 5];

/// Table 3, plaintext and secure: averages of 50 images.
pub(super) const TABLE3: [(&str, Line); 2] = [
    ("plaintext", [(36.18, 0.94), (35.36, 0.92), (34.61, 0.91), (33.05, 0.89), (31.96, 0.88)]),
    ("secure", [(35.94, 0.94), (35.11, 0.92), (34.26, 0.91), (32.80, 0.89), (31.71, 0.87)]),
];

/// Table 2: image, plaintext, secure.
#[rustfmt::skip]
pub(super) const TABLE2: [(char, Line, Line); 10] = [
    ('a', [(36.13, 0.92), (34.85, 0.90), (34.07, 0.88), (32.51, 0.86), (31.31, 0.85)],
          [(35.82, 0.91), (34.55, 0.89), (33.73, 0.88), (32.26, 0.86), (31.06, 0.85)]),
    ('b', [(37.21, 0.95), (35.95, 0.93), (34.95, 0.91), (34.23, 0.90), (33.62, 0.89)],
          [(37.15, 0.95), (35.90, 0.93), (34.78, 0.91), (34.19, 0.90), (33.58, 0.89)]),
    ('c', [(37.29, 0.94), (35.85, 0.93), (34.96, 0.91), (33.47, 0.90), (32.51, 0.89)],
          [(37.12, 0.94), (35.72, 0.93), (34.63, 0.91), (33.30, 0.90), (32.35, 0.89)]),
    ('d', [(36.16, 0.93), (34.96, 0.90), (34.24, 0.89), (32.64, 0.87), (31.60, 0.86)],
          [(35.85, 0.92), (34.67, 0.90), (33.89, 0.89), (32.37, 0.87), (31.34, 0.86)]),
    ('e', [(37.40, 0.93), (36.08, 0.92), (35.30, 0.91), (33.80, 0.90), (32.81, 0.89)],
          [(37.26, 0.93), (35.94, 0.92), (34.93, 0.91), (33.68, 0.90), (32.70, 0.89)]),
    ('f', [(36.62, 0.95), (35.82, 0.93), (34.99, 0.92), (33.71, 0.91), (32.86, 0.90)],
          [(36.42, 0.95), (35.59, 0.93), (34.62, 0.92), (33.50, 0.91), (32.65, 0.90)]),
    ('g', [(35.26, 0.93), (34.30, 0.91), (33.58, 0.89), (31.91, 0.87), (30.91, 0.85)],
          [(34.90, 0.93), (33.95, 0.91), (33.23, 0.89), (31.58, 0.86), (30.59, 0.85)]),
    ('h', [(36.60, 0.94), (35.18, 0.92), (34.34, 0.90), (32.82, 0.89), (31.78, 0.87)],
          [(36.40, 0.94), (35.00, 0.92), (34.05, 0.90), (32.60, 0.88), (31.55, 0.87)]),
    ('i', [(36.97, 0.92), (35.44, 0.91), (34.66, 0.90), (32.86, 0.88), (31.83, 0.87)],
          [(36.75, 0.92), (35.21, 0.90), (34.36, 0.89), (32.67, 0.88), (31.64, 0.87)]),
    ('j', [(38.36, 0.97), (36.81, 0.96), (35.50, 0.94), (33.67, 0.94), (32.38, 0.93)],
          [(38.25, 0.97), (36.71, 0.96), (35.10, 0.94), (33.60, 0.93), (32.35, 0.92)]),
];

/// Figure 12 at a sigma of 15 and 20: PSNR in dB with SecureML's activation and with theirs.
pub(super) const FIG12: [(f64, f64, f64); 2] = [(15.0, 14.56, 35.82), (20.0, 12.34, 34.55)];

/// The errors of tanh* that section 4.2 states: on average, and at most.
pub(super) const TANH_ERRORS: (f64, f64) = (4.1e-3, 2.2e-2);

/// ICASSP 2018, Table 1, at sigma 25 and 512x512: PSNR in dB without and with security.
pub(super) const ICASSP_TABLE1: [(&str, f64, f64); 5] = [
    ("Lena", 32.25, 32.11),
    ("Monarch", 31.70, 31.57),
    ("Airplane", 31.72, 31.53),
    ("Man", 29.81, 29.73),
    ("Baboon", 25.84, 25.80),
];

/// ICASSP 2018: milliseconds of the user and of the cloud for an encrypted multiplication, and for a tanh*.
pub(super) const ICASSP_OPERATIONS: [[f64; 2]; 2] = [[56.85, 68.8], [230.09, 237.41]];

#[cfg(test)]
mod tests {
    use super::*;

    /// A slip of the pen would show: quality falls with noise, and security costs some.
    #[test]
    fn figures_are_in_order() {
        let lines = TABLE2.iter().flat_map(|(_, p, s)| [p, s]).chain(TABLE3.iter().map(|t| &t.1));
        for line in lines {
            assert!(line.windows(2).all(|w| w[0].0 > w[1].0 && w[0].1 >= w[1].1), "{line:?}");
        }
        let pairs = TABLE2.iter().map(|(_, p, s)| (p, s)).chain([(&TABLE3[0].1, &TABLE3[1].1)]);
        for (plain, secure) in pairs {
            let lost = plain.iter().zip(secure).map(|(p, s)| p.0 - s.0);
            assert!(lost.into_iter().all(|l| l > 0.0 && l < 0.5), "{plain:?} {secure:?}");
        }
        assert_eq!(SIGMAS.len(), TABLE3[0].1.len());
        for (image, baseline, secure) in ICASSP_TABLE1 {
            assert!((0.0..0.2).contains(&(baseline - secure)), "{image}");
        }
    }
}
