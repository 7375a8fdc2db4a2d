//! What is refused of a graph, by its node.

use super::*;

/// A chain of two layers, with one thing changed.
fn small(change: impl Fn(&mut Made)) -> Made {
    let mut made = Made::of(&[("x", 1)], "y");
    made.layer("x", "a", (1, 2));
    made.conv("a", "y", [1, 2, 3, 3], SAME);
    change(&mut made);
    made
}

/// The image beside itself, that beside itself, and so on.
fn twice(at: usize) -> Node {
    let from = at.checked_sub(1).map_or("x".into(), |before| format!("twice{before}"));
    Node::made("Concat", &[&from, &from], &format!("twice{at}"), &[]).with_int("axis", 1)
}

#[test]
fn what_a_network_here_cannot_have_is_refused_by_its_node() {
    small(|_| ()).compare(UNIT, 1, &[Size::new(4, 4)]);
    let again = |made: &mut Made, op: &str, output: &str| {
        made.node(op, &["y"], output, &[]);
        made.graph.outputs = vec![output.into()];
    };
    type Change<'a> = &'a dyn Fn(&mut Made);
    let cases: [(Change<'_>, &str); 25] = [
        (
            &|m| {
                // Two thousand bytes that ask for 2^40 maps.
                m.graph.nodes.splice(0..0, (0..40).map(twice)).for_each(drop);
                m.graph.nodes[40].inputs[0] = "twice39".into();
            },
            "more than 512 maps side by side",
        ),
        (&|m| m.graph.outputs.push("a".into()), "gives 2 things"),
        (&|m| m.graph.outputs = vec!["nothing".into()], "which no node gives"),
        (&|m| again(m, "Relu", "end"), "has an activation behind it"),
        (&|m| again(m, "Clip", "end"), "`end` (Clip) is none of what is read"),
        (&|m| again(m, "Tanh", "end"), "(Tanh) is tanh, and others are relu"),
        (&|m| m.graph.inputs[0].sides[1] = Some(64), "are the channels last?"),
        (&|m| m.graph.inputs[0].sides[1] = None, "does not say how many channels"),
        (&|m| m.graph.inputs[0].sides.truncate(3), "expected images"),
        (&|m| m.graph.inputs[0].is_float = false, "no floats"),
        (&|m| m.graph.nodes[1].op = "Identity".into(), "no activation"),
        (
            &|m| {
                let node = Node::made("Conv", &["a", "y.w"], "y", &[("pads", &[1, 1, 0, 0])]);
                m.graph.nodes[2] = node;
            },
            "has 1 zeros before its map and 0 behind it",
        ),
        (
            &|m| {
                m.graph.nodes[2] =
                    Node::made("Conv", &["a", "y.w"], "y", &[("pads", &[1, 0, 1, 0])])
            },
            "expected the same",
        ),
        (
            &|m| {
                m.graph.nodes[2] = Node::made("Conv", &["a", "y.w"], "y", SAME).with_int("group", 2)
            },
            "has group=2",
        ),
        (
            &|m| {
                m.graph.nodes[2] = Node::made("Conv", &["a", "y.w"], "y", SAME).with_int("mood", 2)
            },
            "an attribute `mood`",
        ),
        (
            &|m| m.graph.nodes[2] = Node::made("Conv", &["a", "y.v"], "y", SAME),
            "`y.v`, which nothing before it gives",
        ),
        (
            &|m| {
                m.constant("y.w", &[1, 2, 3, 3], &[f32::NAN; 18]);
            },
            "whose number 0 is NaN",
        ),
        (
            &|m| {
                m.node("Add", &["y", "a.sums"], "end", &[]);
                m.graph.outputs = vec!["end".into()];
            },
            "changes `a.sums`, which something else reads too",
        ),
        (
            &|m| {
                // The same by a concatenation of one.
                let same = Node::made("Concat", &["a.sums"], "alias", &[]).with_int("axis", 1);
                m.graph.nodes.insert(1, same);
                m.graph.nodes[2].inputs[0] = "alias".into();
                m.layer("a.sums", "b", (2, 2));
                m.node("Add", &["a", "b"], "c", &[]);
                m.conv("c", "end", [1, 2, 3, 3], SAME);
                m.graph.outputs = vec!["end".into()];
            },
            "changes `alias`, which something else reads too",
        ),
        (
            &|m| {
                // Another name for what is changed behind it.
                let same = Node::made("Identity", &["a.sums"], "alias", &[]);
                m.graph.nodes.insert(1, same);
                m.graph.nodes[2].inputs[0] = "alias".into();
                m.layer("a.sums", "b", (2, 2));
                m.node("Add", &["a", "b"], "c", &[]);
                m.conv("c", "end", [1, 2, 3, 3], SAME);
                m.graph.outputs = vec!["end".into()];
            },
            "changes `alias`, which something else reads too",
        ),
        (
            &|m| {
                m.constant("grey", &[], &[0.5]);
                m.node("Sub", &["x", "grey"], "moved", &[]);
                m.graph.nodes.rotate_right(1);
                m.graph.nodes[1].inputs[0] = "moved".into();
            },
            "moves the grey levels",
        ),
        (
            &|m| {
                m.constant("row", &[2], &[0.5; 2]);
                m.node("Mul", &["a.sums", "row"], "b", &[]);
                m.graph.nodes.swap(1, 3);
                m.graph.nodes[3].inputs[0] = "b".into();
                m.graph.nodes.swap(2, 3);
            },
            "constant `row` of shape [2]",
        ),
        (
            &|m| {
                // As of operators before 14 that were exported in training.
                let mut norm = Node::made("BatchNormalization", &["a.sums"], "n", &[]);
                norm.outputs.push("mean".into());
                m.graph.nodes.insert(1, norm);
                m.graph.nodes[2].inputs[0] = "n".into();
            },
            "normalises by the image itself",
        ),
        (
            &|m| {
                m.constant("slopes", &[2, 1, 1], &[0.25, 0.5]);
                m.graph.nodes[1] = Node::made("PRelu", &["a.sums", "slopes"], "a", &[]);
            },
            "slopes that differ",
        ),
        (
            &|m| {
                let pad = Node::made("Pad", &["x"], "p", &[("pads", &[0, 0, 1, 1, 0, 0, 1, 1])]);
                m.graph.nodes.insert(0, pad.with_word("mode", "reflect"));
                m.graph.nodes[1] = Node::made("Conv", &["p", "a.sums.w"], "a.sums", &[]);
            },
            "`p` (Pad) has mode=reflect",
        ),
    ];
    for (change, words) in cases {
        let text = small(change).refused();
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(text.lines().count(), 1);
    }
    // A graph that says more weights than a file of its length may have.
    let made = small(|_| ());
    let text = graph::read(&made.graph, Amounts { weights: 30, outputs: 1 << 12 })
        .unwrap_err()
        .to_string();
    assert!(text.contains("more weights than a file of this length"), "{text}");
}
