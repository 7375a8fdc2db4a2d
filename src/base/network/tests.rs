//! Lists that fit and lists that do not, and where their maps lie.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq)]
struct Shape(usize, usize);
impl LinearShape for Shape {
    fn inputs(&self) -> usize {
        self.0
    }
    fn outputs(&self) -> usize {
        self.1
    }
}
type TestOp = Op<Shape, ()>;

fn reflected() -> Gather {
    Gather { patch: 5, stride: 2, pad: 1, border: Border::Reflect }
}

fn good() -> Vec<TestOp> {
    vec![
        Op::read(0, reflected()),
        Op::Linear(Shape(25, 4)),
        Op::Activation(()),
        Op::Linear(Shape(4, 9)),
        Op::Residual,
        Op::Fold(Fold { patch: 3, window: gaussian_window(3) }),
    ]
}

#[test]
fn a_good_list_passes() {
    let network = Network::new(good()).unwrap();
    assert_eq!(network.activation_count(Size::new(7, 5)), Ok(2 * 3 * 4));
    let work = Work { activations: 24, multiply_adds: 6 * (25 * 4 + 4 * 9), gathered: 6 * 25 };
    assert_eq!(network.work(Size::new(7, 5)), Ok(work));
    assert!(network.is_residual());
    assert_eq!(network.linears().map(|(i, _)| i).collect::<Vec<_>>(), [1, 3]);
    let mut ops = good();
    ops[4] = Op::Mean;
    let network = Network::new(ops).unwrap();
    assert!(network.adds_mean() && !network.is_residual());
}

#[test]
fn every_broken_list_is_refused_at_its_op() {
    let edits: [(usize, Option<TestOp>); 11] = [
        (0, None),
        (0, Some(Op::read(0, Gather { patch: 5, stride: 4, ..reflected() }))),
        (0, Some(Op::read(0, Gather { patch: 5, pad: 3, ..reflected() }))),
        (1, Some(Op::Linear(Shape(24, 4)))),
        (1, Some(Op::Activation(()))),
        (3, Some(Op::Linear(Shape(4, 0)))),
        (3, Some(Op::Linear(Shape(4, 8)))),
        (5, Some(Op::Fold(Fold { patch: 3, window: vec![0; 9] }))),
        (2, Some(Op::Mean)),
        (3, Some(Op::Mean)),
        (5, None),
    ];
    for (at, edit) in edits {
        let mut ops = good();
        match edit {
            Some(op) => ops[at] = op,
            None => drop(ops.remove(at)),
        }
        assert!(matches!(Network::new(ops), Err(NetworkError::Op { .. })), "edit at {at}");
    }
}

fn convolutional() -> Vec<TestOp> {
    let conv = |map, kernel, inputs, outputs| {
        [Op::read(map, Gather::convolution(kernel)), Op::Linear(Shape(inputs, outputs))]
    };
    let mut ops = conv(0, 3, 9, 4).to_vec();
    ops.push(Op::Activation(()));
    ops.extend(conv(1, 5, 100, 2));
    ops.push(Op::Activation(()));
    ops.extend(conv(2, 1, 2, 1));
    ops.extend([Op::Residual, Op::Fold(Fold { patch: 1, window: vec![1] })]);
    ops
}

#[test]
fn a_convolutional_network_has_a_stage_a_layer() {
    let network = Network::new(convolutional()).unwrap();
    assert!(network.is_convolutional() && !Network::new(good()).unwrap().is_convolutional());
    let stages = network.stages();
    let found: Vec<_> = stages.iter().map(|s| (s.ops.clone(), s.channels[0])).collect();
    assert_eq!(found, [(0..3, 1), (3..6, 4), (6..10, 2)]);
    assert_eq!(network.grids(Size::new(7, 6)).unwrap()[1].reads[0].features(), 7 * 6 * 4);
    let ops: Vec<_> = network.maps().iter().map(|map| (map.op, map.last, map.opened)).collect();
    assert_eq!(ops, [(0, 0, true), (2, 1, true), (5, 2, true)]);
    assert!(network.is_chain());
    assert_eq!(network.grid(Size::new(7, 6)).unwrap().rows(), 42);
    // Maps of 64 channels at the limit, and a column beyond it.
    let wide = Network::new(vec![
        Op::read(0, Gather::convolution(1)),
        Op::Linear(Shape(1, 64)),
        Op::Activation(()),
        Op::read(1, Gather::convolution(1)),
        Op::Linear(Shape(64, 1)),
        Op::Fold(Fold { patch: 1, window: vec![1] }),
    ])
    .unwrap();
    assert!(wide.grid(Size::new(1 << 13, 1 << 13)).is_ok());
    let refused = NetworkError::MapTooLarge { height: 1 << 13, width: (1 << 13) + 1, channels: 64 };
    assert_eq!(wide.grid(Size::new(1 << 13, (1 << 13) + 1)), Err(refused.clone()));
    assert_eq!(wide.grids(Size::new(1 << 13, (1 << 13) + 1)), Err(refused));
    assert_eq!(Network::new(good()).unwrap().stages()[0].ops, 0..6);
}

/// The first gather may have a stride: maps are smaller, and as much more is predicted at each of
/// their pixels.
#[test]
fn a_stride_makes_smaller_maps() {
    let strided = |inner: usize| {
        let gather = Gather { patch: inner + 4, stride: 2, pad: 2, border: Border::Reflect };
        let mut ops = convolutional();
        ops[0] = Op::read(0, gather);
        ops[1] = Op::Linear(Shape(gather.patch * gather.patch, 4));
        ops[7] = Op::Linear(Shape(2, inner * inner));
        ops[9] = Op::Fold(Fold { patch: inner, window: gaussian_window(inner) });
        Network::new(ops)
    };
    for inner in [2, 3] {
        let network = strided(inner).unwrap();
        let grids = network.grids(Size::new(11, 14)).unwrap();
        let features: Vec<_> = grids.iter().map(|grid| grid.reads[0].features()).collect();
        // Blocks fit the continued image, patches that overlap lie flush with the image.
        let Size { height, width } = network.padding(Size::new(11, 14)).padded();
        assert_eq!((height, width), if inner == 2 { (12, 14) } else { (11, 14) });
        let map = (height - inner).div_ceil(2) + 1;
        let map = map * ((width - inner).div_ceil(2) + 1);
        assert_eq!(features, [height * width, map * 4, map * 2]);
        assert!(grids.iter().all(|grid| grid.rows() == map));
    }
    assert!(strided(1).is_err());
    // A mirrored map that is too small for its kernel is noticed with the image's grid.
    let mut ops = strided(2).unwrap().ops().to_vec();
    ops[3] = Op::read(1, Gather { border: Border::Reflect, ..Gather::convolution(5) });
    let mirrored = Network::new(ops).unwrap();
    assert!(matches!(mirrored.grid(Size::new(8, 14)), Err(NetworkError::ImageTooSmall { .. })));
    assert!(
        mirrored.grid(Size::new(10, 14)).is_ok()
            && strided(2).unwrap().grid(Size::new(8, 14)).is_ok()
    );
    // A later one makes a map that is not the image's size, which the output must be.
    let mut ops = convolutional();
    ops[3] = Op::read(1, Gather { stride: 2, ..Gather::convolution(5) });
    assert!(matches!(Network::new(ops), Err(NetworkError::Op { op: 9, .. })));
}

#[test]
fn broken_convolutional_lists_are_refused() {
    let edits: [(usize, Option<TestOp>); 8] = [
        // A first gather that predicts other pixels than the last op.
        (0, Some(Op::read(0, Gather { patch: 3, stride: 3, pad: 0, border: Border::Reflect }))),
        (
            3,
            Some(Op::read(1, Gather { pad: 1, border: Border::Reflect, ..Gather::convolution(5) })),
        ),
        (3, Some(Op::read(2, Gather::convolution(5)))),
        (3, Some(Op::read(0, Gather::convolution(5)))),
        (3, Some(Op::Gather(Vec::new()))),
        (4, Some(Op::Linear(Shape(25, 2)))),
        (4, None),
        (7, None),
    ];
    for (at, edit) in edits {
        let mut ops = convolutional();
        match edit {
            Some(op) => ops[at] = op,
            None => drop(ops.remove(at)),
        }
        assert!(matches!(Network::new(ops), Err(NetworkError::Op { .. })), "edit at {at}");
    }
}

/// A U-shaped network with everything there is: a plane, a strided convolution, a map without activation, one
/// that is shuffled, two that are read side by side, one that is added before an activation and one after.
fn graph() -> Vec<TestOp> {
    let plane = |gather| Read { from: Source::Plane, gather };
    let conv = Gather::convolution(3);
    vec![
        Op::Gather(vec![Read::map(0, conv), plane(conv)]),
        Op::Linear(Shape(18, 4)),
        Op::Activation(()),
        Op::read(1, Gather::strided(2, 2)),
        Op::Linear(Shape(16, 5)),
        Op::read(2, conv),
        Op::Linear(Shape(45, 5)),
        Op::Add(vec![2]),
        Op::Activation(()),
        Op::read(3, Gather::convolution(1)),
        Op::Linear(Shape(5, 8)),
        Op::Shuffle(2),
        Op::Gather(vec![Read::map(1, conv), Read::map(4, Gather::convolution(1))]),
        Op::Linear(Shape(38, 1)),
        Op::Add(vec![0]),
        Op::Fold(Fold { patch: 1, window: vec![1] }),
    ]
}

#[test]
fn a_graph_says_what_it_needs() {
    let network = Network::new(graph()).unwrap();
    assert!(!network.is_chain() && network.reads_plane());
    let maps: Vec<_> =
        network.maps().iter().map(|m| (m.op, m.channels, m.scale, m.opened, m.last)).collect();
    let expected = [
        (0, 1, 1, true, 4),
        (2, 4, 1, true, 4),
        (4, 5, 2, true, 2),
        (8, 5, 2, true, 3),
        (11, 2, 1, true, 4),
    ];
    assert_eq!(maps, expected);
    let stages = network.stages();
    assert_eq!((stages[0].inputs(), stages[0].masked_inputs()), (18, 9));
    assert_eq!((stages[3].scale, stages[3].shuffle, stages[4].scale), (2, 2, 1));
    assert_eq!((network.masked_inputs(1), network.masked_inputs(4)), (9, 16));
    for size in [(1, 1), (5, 8), (7, 3), (6, 6)] {
        let size = Size::new(size.0, size.1);
        let grids = network.grids(size).unwrap();
        let coarse = size.map(|side| side.div_ceil(2));
        let whole = coarse.map(|side| 2 * side);
        assert_eq!(network.padding(size).padded(), whole);
        let size = whole;
        let sizes: Vec<_> = grids.iter().map(|grid| (grid.size, grid.out)).collect();
        let expected =
            [(size, size), (coarse, coarse), (coarse, coarse), (coarse, size), (size, size)];
        assert_eq!(sizes, expected);
        let rows = |grid: &StageGrid| grid.reads.iter().all(|read| read.rows() == grid.rows());
        assert!(grids.iter().all(rows), "a patch of every read for every row");
    }
    // 3 of the first, then as many of the maps under the last: 1 + 4 before, 2 of the two strided, 2.
    let reach = network.reach();
    assert_eq!(reach.alignment, 2);
    assert!((4..=8).contains(&reach.margin), "{reach:?}");
}

#[test]
fn broken_graphs_are_refused_at_their_op() {
    let plane = Read { from: Source::Plane, gather: Gather::convolution(3) };
    let conv = Gather::convolution(3);
    let edits: [(usize, TestOp, &str); 9] = [
        (0, Op::Gather(vec![plane, Read::map(0, conv)]), "must read the image"),
        (5, Op::Gather(vec![plane]), "beside a map"),
        (7, Op::Add(vec![1]), "adds map 1 of 4 channels at 1:1 to 5 features at 1:2"),
        (7, Op::Add(vec![3]), "no map 3"),
        (7, Op::Add(Vec::new()), "adds 0 maps"),
        (11, Op::Shuffle(4), "cannot be shuffled"),
        (11, Op::Shuffle(0), "cannot be shuffled"),
        (12, Op::Gather(vec![Read::map(1, conv), Read::map(3, conv)]), "different sizes"),
        (5, Op::read(1, conv), "takes 45 features but is given 36"),
    ];
    for (at, op, text) in edits {
        let mut ops = graph();
        ops[at] = op;
        let error = Network::new(ops).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    // A map that nothing reads.
    let mut ops = graph();
    ops[12] = Op::read(1, conv);
    ops[13] = Op::Linear(Shape(36, 1));
    let error = Network::new(ops).unwrap_err();
    assert_eq!(error.to_string(), "op 11 of the network: nothing reads map 4, which it makes");
}

proptest! {
    /// What a shuffle puts in a map is there by definition, batch by batch, and masks are picked from the same
    /// places.
    #[test]
    fn shuffles_place_features_by_definition(
        rows in 1usize..5, columns in 1usize..5, factor in 2usize..4, channels in 1usize..3, batch in 1usize..9,
    ) {
        let (height, width) = (rows * factor, columns * factor);
        let features = channels * factor * factor;
        let network = Network::<Shape, ()>::new(vec![
            Op::read(0, Gather::strided(factor, factor)),
            Op::Linear(Shape(factor * factor, features)),
            Op::Shuffle(factor),
            Op::read(1, Gather::convolution(1)),
            Op::Linear(Shape(channels, 1)),
            Op::Fold(Fold { patch: 1, window: vec![1] }),
        ]).unwrap();
        let grids = network.grids(Size::new(height, width)).unwrap();
        let coarse = &grids[0];
        let mut map = vec![usize::MAX; coarse.map_values(features)];
        prop_assert_eq!(map.len(), height * width * channels);
        let mask: Vec<usize> = (0..map.len()).collect();
        let mut places = vec![usize::MAX; map.len()];
        for first in (0..coarse.rows()).step_by(batch) {
            let rows = first..coarse.rows().min(first + batch);
            let placement = coarse.placement(rows.clone(), features);
            let values = rows.flat_map(|row| (0..features).map(move |f| row * features + f)).collect();
            let values = placement.select(values);
            placement.put(&values, &mut map);
            placement.put(&placement.pick(mask[placement.run.clone()].to_vec()), &mut places);
        }
        prop_assert_eq!(places, mask);
        for (at, value) in map.into_iter().enumerate() {
            let (pixel, c) = (at / channels, at % channels);
            let (y, x) = (pixel / width, pixel % width);
            let row = y / factor * columns + x / factor;
            let feature = (c * factor + y % factor) * factor + x % factor;
            prop_assert_eq!(value, row * features + feature);
        }
    }
}
