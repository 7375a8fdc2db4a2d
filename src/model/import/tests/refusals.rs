//! What is no chain, does not denoise or costs too much.

use super::*;

/// Random weights make no picture better, however they are taken.
#[test]
fn what_does_not_denoise_is_refused_with_what_was_tried() {
    let random = crate::model::random_convolutional(&[3, 2], 1.5, 1);
    let memory = renamed(&random, |i, end| format!("{i}.{end}"));
    let error = memory.file().import(Known::default(), 25.0, &mut |_| ()).unwrap_err();
    assert!(matches!(&error, ImportError::Useless { tries, .. } if tries.len() == 48));
    let text = error.to_string();
    assert!(text.contains("48 ways were tried") && text.contains("; and 44 more"), "{text}");
}

#[test]
fn what_is_no_chain_is_refused_in_words() {
    let conv = |name, outputs, inputs| (name, vec![outputs, inputs, 3, 3]);
    type Shapes<'a> = Vec<(&'a str, Vec<usize>)>;
    let cases: Vec<(Shapes<'_>, &str)> = vec![
        (vec![conv("0.weight", 64, 15), conv("2.weight", 12, 64)], "FFDNet for colour"),
        (vec![conv("0.weight", 64, 6), conv("2.weight", 3, 64)], "another kind of network"),
        (vec![conv("0.weight", 64, 4), conv("2.weight", 4, 64)], "on blocks of pixels"),
        (vec![conv("m_head.weight", 64, 1), conv("m_down1.0.res.0.weight", 64, 64)], "U-Net"),
        (vec![conv("a.0.weight", 8, 1), conv("b.attn.weight", 1, 8)], "transformer"),
        (
            vec![
                conv("inc.double_conv.0.weight", 8, 1),
                conv("down1.maxpool_conv.1.double_conv.0.weight", 1, 8),
            ],
            "pools by maxima",
        ),
        (vec![conv("0.weight", 8, 1), conv("1.res.0.weight", 1, 8)], "residual blocks"),
        (vec![conv("0.weight", 8, 1), conv("2.weight", 1, 9)], "takes 9 channels, but `0.weight`"),
        (vec![conv("0.weight", 8, 1), ("1.weight", vec![1, 8, 2, 2])], "kernel of 2x2"),
        (vec![conv("0.weight", 8, 1), ("1.weight", vec![1, 8])], "mixes convolutions and matrices"),
        (vec![conv("0.weight", 1, 1)], "one layer with weights"),
        (vec![conv("0.weight", 8, 1), ("1.weight", vec![8])], "PReLU"),
        (
            vec![conv("0.weight", 8, 1), ("1.weight", vec![8]), ("1.bias", vec![8])],
            "depends on the image",
        ),
        (vec![("0.weight", vec![8, 1, 3])], "one dimension"),
        (vec![("0.weight", vec![8, 1, 3, 3, 3])], "three dimensions"),
        (vec![conv("0.kernel", 8, 1)], "`0.kernel` [8x1x3x3] is none of weight"),
        (vec![("0.bias", vec![8])], "without a weight"),
        (vec![("0.weight", vec![1 << 40, 0])], "no matrix and no convolution"),
        (
            vec![conv("0.weight", 8, 1), ("0.bias", vec![7])],
            "does not go with `0`, which has 8 outputs",
        ),
        (vec![("0.running_mean", vec![8]), ("0.running_var", vec![8])], "before every layer"),
        (
            vec![
                conv("net.0.weight", 8, 1),
                ("net.2.running_mean", vec![8]),
                ("net.2.running_var", vec![8]),
                conv("net.3.weight", 1, 8),
            ],
            "does not follow `net.0.weight` [8x1x3x3] at once",
        ),
        (vec![], "no array with weights"),
        (vec![conv("module.0.weight", 8, 1), conv("0.weight", 8, 1)], "another kind"),
        (
            vec![conv("0.0.weight", 8, 1), conv("0_0.weight", 8, 1), conv("0.0_weight", 8, 1)],
            "same part",
        ),
        (
            vec![
                conv("0.m.0.weight", 8, 1),
                conv("0.m.2.weight", 1, 8),
                conv("24.m.0.weight", 8, 1),
                conv("24.m.2.weight", 1, 8),
            ],
            "holds 2 networks of the same layers, under the keys 0 to 24",
        ),
    ];
    for (shapes, words) in cases {
        let shapes: Vec<(&str, &[usize])> =
            shapes.iter().map(|(n, s)| (*n, s.as_slice())).collect();
        let text = refused(&Memory::of(&shapes));
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(text.lines().count(), 1);
    }
    // Sizes that no memory holds are refused before any is asked for.
    let huge = |name: &str, shape: [usize; 4]| Tensor {
        name: name.into(),
        dtype: "F32".into(),
        shape: shape.into(),
    };
    let huge = [huge("0.weight", [1 << 40, 1, 3, 3]), huge("1.weight", [1, 1 << 40, 3, 3])];
    let text = Plan::of(&huge, None, None).unwrap_err().to_string();
    assert!(text.contains("more than the 268435456 weights"), "{text}");
}

#[test]
fn values_that_are_no_numbers_are_named() {
    let mut memory = Memory::of(&[("0.weight", &[2, 1, 3, 3]), ("1.weight", &[1, 2, 3, 3])]);
    memory.0[1].1[4] = f32::NAN;
    let text = memory.layers().unwrap_err().to_string();
    assert!(text.contains("`1.weight` at [0, 0, 1, 1]: NaN"), "{text}");
    let mut memory = Memory::of(&[
        ("0.weight", &[2, 1, 3, 3]),
        ("1.running_mean", &[2]),
        ("1.running_var", &[2]),
        ("2.weight", &[1, 2, 3, 3]),
    ]);
    memory.0[2].1[1] = -0.5;
    let text = memory.layers().unwrap_err().to_string();
    assert!(text.contains("`1.running_var` at [1]: -0.5 is a variance below 0"), "{text}");
}

/// Few bytes that name many weights, or wide maps, are refused before any is read.
#[test]
fn a_trial_costs_what_the_file_may_cost() {
    let tensor = |name: &str, shape: [usize; 4]| Tensor {
        name: name.into(),
        dtype: "F32".into(),
        shape: shape.into(),
    };
    let plan = |width: usize, kernel: usize| {
        let (first, last) = ([width, 1, kernel, kernel], [1, width, kernel, kernel]);
        Plan::of(&[tensor("0.weight", first), tensor("2.weight", last)], None, None).unwrap()
    };
    assert!(plan(4096, 3).check_cost(8192).is_ok());
    let text = plan(4096, 15).check_cost(8192).unwrap_err().to_string();
    assert!(text.contains("1843200 weights") && text.contains("8192 bytes"), "{text}");
    let text = plan(60_000, 1).check_cost(8192).unwrap_err().to_string();
    assert!(text.contains("60000 outputs of a layer"), "{text}");
    assert!(plan(60_000, 1).check_cost(1 << 25).is_ok());
}
