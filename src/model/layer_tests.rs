//! Layers of descriptions are what their names say, by the definitions of PyTorch: maps as [channel][row][column],
//! numbers in float64.

use super::load::{Arrays, Tensor, assemble};
use super::{Description, ModelError};
use crate::graphs::Numbers;
use crate::model::activation::Activation;
use crate::size::Size;

type Map = Vec<Vec<Vec<f64>>>;

/// Random arrays of whatever shapes are asked for, for so many layers; the same for the same name.
struct Arbitrary(usize);

impl Arrays for Arbitrary {
    fn names(&self) -> Vec<String> {
        (1..=self.0).flat_map(|n| [format!("w{n}"), format!("b{n}")]).collect()
    }
    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        Err(ModelError::Array { name: name.into(), reason: "is not asked for".into() })
    }
    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let mut numbers = Numbers(name.bytes().fold(7, |sum, b| 31 * sum + u64::from(b)));
        let scale = 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt();
        Ok((0..shape.iter().product::<usize>()).map(|_| scale * numbers.real()).collect())
    }
}

/// Weights [a][b][kernel][kernel] and biases of layer `number`.
struct Weights {
    weights: Vec<f32>,
    bias: Vec<f32>,
    shape: [usize; 4],
}

impl Weights {
    fn of(number: usize, shape: [usize; 4], biases: usize) -> Weights {
        let mut arrays = Arbitrary(number);
        let weights = arrays.array(&format!("w{number}"), &shape).unwrap();
        Weights { weights, bias: arrays.array(&format!("b{number}"), &[biases]).unwrap(), shape }
    }

    fn at(&self, a: usize, b: usize, y: usize, x: usize) -> f64 {
        let [_, bs, k, _] = self.shape;
        f64::from(self.weights[((a * bs + b) * k + y) * k + x])
    }
}

fn map(
    channels: usize,
    Size { height, width }: Size,
    at: impl Fn(usize, usize, usize) -> f64,
) -> Map {
    let line = |c: usize, y: usize| (0..width).map(|x| at(c, y, x)).collect();
    (0..channels).map(|c| (0..height).map(|y| line(c, y)).collect()).collect()
}

fn size(map: &Map) -> Size {
    Size::new(map[0].len(), map[0][0].len())
}

/// 0 beyond the border.
fn value(map: &Map, c: usize, y: isize, x: isize) -> f64 {
    let line = usize::try_from(y).ok().and_then(|y| map[c].get(y));
    let found = line.zip(usize::try_from(x).ok()).and_then(|(line, x)| line.get(x));
    found.copied().unwrap_or(0.0)
}

fn conv2d(
    from: &Map,
    (number, outputs, kernel, stride, pad): (usize, usize, usize, usize, usize),
) -> Map {
    let w = Weights::of(number, [outputs, from.len(), kernel, kernel], outputs);
    let Size { height, width } = size(from);
    map(outputs, Size::new(height.div_ceil(stride), width.div_ceil(stride)), |o, y, x| {
        let mut sum = f64::from(w.bias[o]);
        for (c, ky, kx) in (0..from.len() * kernel * kernel)
            .map(|i| (i / kernel / kernel, i / kernel % kernel, i % kernel))
        {
            let at = |i: usize, k: usize| (i * stride + k) as isize - pad as isize;
            sum += w.at(o, c, ky, kx) * value(from, c, at(y, ky), at(x, kx));
        }
        sum
    })
}

/// `padding` is what makes the result `stride` times as high and wide, with an `output_padding` of 0 or 1.
fn conv_transpose2d(
    from: &Map,
    (number, outputs, kernel, stride): (usize, usize, usize, usize),
) -> Map {
    let w = Weights::of(number, [from.len(), outputs, kernel, kernel], outputs);
    let Size { height, width } = size(from);
    let padding = (kernel - stride).div_ceil(2);
    let mut out =
        map(outputs, Size::new(height * stride, width * stride), |o, _, _| f64::from(w.bias[o]));
    for (c, y, x) in (0..from.len() * height * width)
        .map(|i| (i / width / height, i / width % height, i % width))
    {
        for (o, ky, kx) in (0..outputs * kernel * kernel)
            .map(|i| (i / kernel / kernel, i / kernel % kernel, i % kernel))
        {
            let at = |i: usize, k: usize| (i * stride + k).checked_sub(padding);
            let (Some(to_y), Some(to_x)) = (at(y, ky), at(x, kx)) else { continue };
            if let Some(out) = out[o].get_mut(to_y).and_then(|line| line.get_mut(to_x)) {
                *out += w.at(c, o, ky, kx) * from[c][y][x];
            }
        }
    }
    out
}

fn pixel_shuffle(from: &Map, r: usize) -> Map {
    let Size { height, width } = size(from);
    map(from.len() / r / r, Size::new(height * r, width * r), |c, y, x| {
        from[(c * r + y % r) * r + x % r][y / r][x / r]
    })
}

fn pixel_unshuffle(from: &Map, r: usize) -> Map {
    let Size { height, width } = size(from);
    map(from.len() * r * r, Size::new(height / r, width / r), |c, y, x| {
        from[c / r / r][y * r + c / r % r][x * r + c % r]
    })
}

fn relu(from: Map) -> Map {
    map(from.len(), size(&from), |c, y, x| from[c][y][x].max(0.0))
}

/// The place behind the last of `length` that NumPy's `reflect` reads instead; for less than a whole length more.
fn reflected(at: usize, length: usize) -> usize {
    if at < length { at } else { (2 * length).saturating_sub(2 + at) }
}

fn cut(from: &Map, to: Size) -> Map {
    map(from.len(), to, |c, y, x| from[c][y][x])
}

fn add(a: &Map, b: &Map) -> Map {
    map(a.len(), size(a), |c, y, x| a[c][y][x] + b[c][y][x])
}

fn check(layers: &str, to: Size, expected: impl Fn(&Map, &Map) -> Map) {
    check_continued((layers, "mirror"), to, expected);
}

fn check_continued(
    (layers, continued): (&str, &str),
    to: Size,
    expected: impl Fn(&Map, &Map) -> Map,
) {
    let json = format!(
        r#"{{"layers":[{layers}],"sigma":51,"normalisation":"v/255","continued":"{continued}"}}"#
    );
    let description = Description::parse(json.as_bytes()).unwrap();
    let mut arrays = Arbitrary(description.linear_layers());
    let model = assemble(&description, &mut arrays).unwrap();
    let mut numbers = Numbers(3);
    let pixels: Vec<f32> = (0..to.pixels()).map(|_| numbers.real()).collect();
    let image = map(1, to, |_, y, x| f64::from(pixels[y * to.width + x]));
    let noise = map(1, to, |_, _, _| 0.2);
    let act = |v: &mut [f32]| Activation::Relu.apply(v);
    let found = model.denoise(&pixels, to, &act, &mut |_| ()).unwrap();
    let expected = expected(&image, &noise);
    for (i, found) in found.iter().enumerate() {
        let expected = expected[0][i / to.width][i % to.width];
        assert!(
            (f64::from(*found) - expected).abs() < 1e-5,
            "{layers}, pixel {i}: {found}, {expected}"
        );
    }
}

#[test]
fn ffdnet() {
    let layers = r#"{"blocks":{"size":2}},{"conv2d":{"outputs":6,"kernel":3,"from":["image","noise"]}},"relu",
        {"conv2d":{"outputs":4,"kernel":3}}"#;
    check(layers, Size::new(8, 10), |image, noise| {
        let half = cut(noise, Size::new(4, 5));
        let first = [pixel_unshuffle(image, 2), half].concat();
        let hidden = relu(conv2d(&first, (1, 6, 3, 1, 1)));
        pixel_shuffle(&conv2d(&hidden, (2, 4, 3, 1, 1)), 2)
    });
}

/// Images whose sides do not divide are continued by their mirror image, or by their last row and column; the result is
/// cut to what PyTorch makes of that.
#[test]
fn u_nets() {
    for (down, up, stride) in
        [(2, 2, 2), (3, 3, 2), (4, 4, 2), (3, 5, 2), (3, 3, 3), (5, 6, 3), (2, 7, 2)]
    {
        let layers = format!(
            r#"{{"conv2d":{{"outputs":3,"kernel":3,"name":"fine"}}}},"relu",
            {{"conv2d":{{"outputs":5,"kernel":{down},"stride":{stride}}}}},"relu",
            {{"conv_transpose2d":{{"outputs":2,"kernel":{up},"stride":{stride},"name":"up"}}}},"relu",
            {{"conv2d":{{"outputs":1,"kernel":5,"from":["up","fine"]}}}},"residual""#
        );
        let sizes = [Size::new(6, 12), Size::new(7, 5), Size::new(1, 4)].into_iter();
        for (to, continued) in sizes.flat_map(|to| [(to, "mirror"), (to, "edge")]) {
            check_continued((&layers, continued), to, |image, _| {
                let next = |side: usize| side.next_multiple_of(stride);
                let place = |at: usize, length: usize| match continued {
                    "edge" => at.min(length - 1),
                    _ => reflected(at, length),
                };
                let at = |y, x| image[0][place(y, to.height)][place(x, to.width)];
                let whole = to.map(next);
                let image = &map(1, whole, |_, y, x| at(y, x));
                let fine = relu(conv2d(image, (1, 3, 3, 1, 1)));
                let pad = (down + 1 - stride) / 2;
                let coarse = relu(conv2d(&fine, (2, 5, down, stride, pad)));
                let wide = relu(conv_transpose2d(&coarse, (3, 2, up, stride)));
                let net = conv2d(&[cut(&wide, whole), fine].concat(), (4, 1, 5, 1, 2));
                map(1, to, |_, y, x| image[0][y][x] - net[0][y][x])
            });
        }
    }
}

#[test]
fn skips_and_shuffles() {
    let layers = r#"{"conv2d":{"outputs":8,"kernel":2,"stride":2,"from":["image","noise"],"name":"in"}},
        {"conv2d":{"outputs":8,"kernel":3}},"relu",{"conv2d":{"outputs":8,"kernel":1}},{"add":{"from":["in"]}},
        "relu",{"shuffle":{"factor":2}},{"conv2d":{"outputs":1,"kernel":3}},{"add":{"from":["image"]}}"#;
    check(layers, Size::new(6, 8), |image, noise| {
        let first = conv2d(&[image.clone(), noise.clone()].concat(), (1, 8, 2, 2, 0));
        let hidden = relu(conv2d(&first, (2, 8, 3, 1, 1)));
        let block = relu(add(&conv2d(&hidden, (3, 8, 1, 1, 0)), &first));
        add(&conv2d(&pixel_shuffle(&block, 2), (4, 1, 3, 1, 1)), image)
    });
}
