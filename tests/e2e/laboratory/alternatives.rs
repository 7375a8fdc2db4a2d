//! `reproduce alternatives`: all networks, attacks and systems from small images; what it lacks is said.

use crate::common::refusal::USAGE;
use crate::common::{Lab, TINY, clean_crop};
use ppdenoise_base::size::Size;

fn args<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let fixed =
        ["reproduce", "alternatives", "--quick", "--model", TINY, "--data", "data", "--out"];
    [&fixed[..], &["out"], more].concat()
}

fn lab() -> Lab {
    let lab = Lab::new();
    for folder in ["data", "train"] {
        std::fs::create_dir(lab.path(folder)).unwrap();
    }
    lab.picture("data/a.png", &clean_crop(Size::new(40, 44)));
    lab
}

#[cfg(not(feature = "train"))]
#[test]
fn a_program_without_the_trainer_says_how_to_get_it() {
    let ended = lab().run(&args(&["--train", "train"]));
    ended.refused_once(USAGE, &["without the trainer", "cargo build --release --features train"]);
}

#[cfg(feature = "train")]
mod trained {
    use super::*;
    use crate::common::refusal::INPUT;
    use std::collections::HashMap;

    #[test]
    fn images_to_train_on_are_asked_for_before_any_work() {
        let lab = lab();
        lab.run(&args(&[]))
            .refused_once(USAGE, &["no folder of images to train on", "--train DIR"]);
        lab.run(&args(&["--train", "train"])).refused_once(INPUT, &["train", "no PNG"]);
        lab.picture("train/small.png", &clean_crop(Size::new(12, 40)));
        let small = lab.run(&args(&["--train", "train"]));
        small.refused(INPUT, &["no training image is as large as a patch of 16x16"]);
        assert!(!lab.exists("out"));
    }

    /// Every row from this run: what must hold of figures holds even where networks are hardly trained.
    #[test]
    fn every_row_is_run() {
        let lab = lab();
        for i in 0..3 {
            lab.picture(&format!("train/{i}.png"), &clean_crop(Size::new(40 + i, 48)));
        }
        let report = lab.run(&args(&["--train", "train", "--json"])).report();
        let files = report["targets"][0]["files"].as_array().unwrap();
        assert_eq!(
            files,
            &["out/alternatives.md", "out/alternatives.csv", "out/alternatives-seen.png"]
        );
        assert!(lab.read("out/alternatives-seen.png").starts_with(b"\x89PNG"));
        let page = String::from_utf8(lab.read("out/alternatives.md")).unwrap();
        for text in [
            "A quick run",
            "to the last bit: 1 of 1.",
            "under the moved key: 3 of 3",
            "survive the shuffle, yes",
            "| the paper's circuits |",
            "![what the cloud sees of an image](alternatives-seen.png)",
        ] {
            assert!(page.contains(text), "no {text} in {page}");
        }
        let csv = String::from_utf8(lab.read("out/alternatives.csv")).unwrap();
        let figures: HashMap<(String, String), f64> = csv
            .lines()
            .skip(1)
            .map(|line| {
                let (name, value) = line.rsplit_once(',').unwrap();
                let (row, quantity) = name.rsplit_once(',').unwrap();
                ((row.replace('"', ""), quantity.into()), value.parse().unwrap())
            })
            .collect();
        let of = |row: &str, quantity: &str| {
            let key = (row.to_string(), quantity.to_string());
            *figures.get(&key).unwrap_or_else(|| panic!("no {key:?} in {csv}"))
        };
        let ways = [
            "plaintext",
            "plaintext, the small network",
            "pixel encryption",
            "perturbation, nothing allowed",
            "perturbation, up to 100, weight 2",
            "one cloud and the user",
            "two servers, a dealer",
            "two servers, no dealer",
            "the paper's circuits",
        ];
        for way in ways {
            let row = format!("choice,{way}");
            assert!((3.0..45.0).contains(&of(&row, "result_psnr_db")), "{way}");
            assert!(
                of(&row, "online_seconds") > 0.0 && of(&row, "online_megabytes") > 0.0,
                "{way}"
            );
        }
        // Who answers with the picture knows the picture.
        for way in ["plaintext", "perturbation, nothing allowed"] {
            let row = format!("choice,{way}");
            assert!(of(&row, "recovered_psnr_db") >= of(&row, "result_psnr_db"), "{way}");
        }
        assert!(
            !figures
                .contains_key(&("choice,two servers, a dealer".into(), "recovered_psnr_db".into()))
        );
        // Bytes go up from the clear to shares to circuits; only with a dealer or in pairs is there a before.
        let bytes = ["plaintext", "two servers, a dealer", "the paper's circuits"];
        let bytes = bytes.map(|way| of(&format!("choice,{way}"), "online_megabytes"));
        assert!(bytes.is_sorted() && bytes[0] < bytes[2], "{bytes:?}");
        assert!(of("choice,two servers, no dealer", "before_megabytes") > 0.0);
    }
}
