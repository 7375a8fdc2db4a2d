//! The report: five tables and their CSV.

use super::measure::{Atomic, Cost};
use super::model::Form;
use super::one_cloud::OneCloudRun;
use super::paillier::KEY_BITS;
use super::patch::PatchRun;
use super::quality::{Row, SIGMA};
use crate::image::GreyImage;
use crate::lab::bench::Machine;
use crate::lab::error::LabError;
use crate::lab::reproduce::table::{Table, mean};
use crate::lab::reproduce::{Page, Request, paper};
use crate::model::{FloatLinear, FloatModel};
use crate::network::Network;
use crate::size::Size;

/// Bytes of a ciphertext.
const CIPHERTEXT: f64 = KEY_BITS as f64 / 4.0;
/// A megabyte and a gigabyte.
const MB: f64 = 1e6;
const GB: f64 = 1e9;

/// Everything that the page is made of.
pub(super) struct Measured<'a> {
    pub(super) request: &'a Request,
    pub(super) machine: Machine,
    pub(super) quality: Vec<Row>,
    pub(super) stride: usize,
    /// Literal, packed.
    pub(super) operations: [Atomic; 2],
    pub(super) patches: Vec<PatchRow>,
    /// Through the one-cloud service, by network.
    pub(super) beside: Vec<(&'static str, OneCloudRun)>,
    /// The network of the paper's sizes.
    pub(super) paper: &'a FloatModel,
}

/// One patch of the tiny model.
pub(super) struct PatchRow {
    pub(super) form: Form,
    pub(super) multiplications: u64,
    /// Of the model.
    pub(super) ciphertexts: usize,
    /// Of encrypting it, on all threads.
    pub(super) owner_seconds: f64,
    pub(super) run: PatchRun,
    /// Whether the outputs are the twin's.
    pub(super) equal: bool,
}

impl Form {
    /// For readers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Literal => "literal",
            Form::Packed => "packed",
        }
    }
}

/// The smallest image of a model, mid-grey.
pub(super) fn smallest(model: &FloatModel) -> Result<GreyImage, LabError> {
    let side = model.network.gather().patch;
    Ok(GreyImage::new(side, side, vec![127.5; side * side])?)
}

/// A table for people, and the same figures one a line for programs.
struct Section {
    title: String,
    text: String,
    table: Table,
}

/// The CSV of the page.
struct Figures(Table);

impl Figures {
    fn add(&mut self, section: &str, row: &str, quantity: &str, value: f64) {
        self.0.row([section.into(), row.into(), quantity.into(), value.to_string()]);
    }
}

pub(super) fn page(measured: &Measured) -> Page {
    let mut figures = Figures(Table::new(&["section", "row", "quantity", "value"], 3));
    let sections = [
        quality(measured, &mut figures),
        operations(measured, &mut figures),
        patches(measured, &mut figures),
        computed(measured, &mut figures),
        beside(measured, &mut figures),
    ];
    let sections = sections.map(|Section { title, text, table }| {
        format!("## {title}\n\n{text}\n\n{}", table.markdown())
    });
    let machine = &measured.machine;
    let quick = if measured.request.quick {
        "\nA quick run: small images, few passes, the patch packed alone. Not for citing.\n"
    } else {
        ""
    };
    let markdown = format!(
        "# ICASSP 2018: one cloud, Paillier and garbled circuits\n\n\
         Zheng, Wang, Zhou, \"Toward Secure Image Denoising\", to the letter; a key of {KEY_BITS} bits. {}, {} cores, \
         AES {}; load average {}. Times of single operations are of one thread, user and cloud in one process.\n{quick}\n{}",
        machine.cpu.as_deref().unwrap_or("unknown processor"),
        machine.logical_cores,
        machine.aes_backend,
        machine.load_average.as_deref().unwrap_or("unknown"),
        sections.join("\n")
    );
    let (charts, pictures) = (vec![], vec![]);
    Page { markdown, csv: figures.0.csv(), charts, size: Size::square(0), pictures }
}

fn quality(measured: &Measured, figures: &mut Figures) -> Section {
    let mut table = Table::new(&["of", "image", "baseline, dB", "secure, dB", "gap, dB"], 2);
    let mut row = |of: &str, image: &str, digits: usize, [baseline, secure]: [f64; 2]| {
        let numbers = [baseline, secure, baseline - secure].map(|v| format!("{v:.digits$}"));
        table.row([of.to_string(), image.into()].into_iter().chain(numbers));
    };
    for found in &measured.quality {
        let both = [found.baseline.psnr_db, found.ours.psnr_db];
        row("ours", &found.image, 3, both);
        figures.add("quality", &found.image, "baseline_psnr_db", both[0]);
        figures.add("quality", &found.image, "secure_psnr_db", both[1]);
        figures.add("quality", &found.image, "baseline_ssim", found.baseline.ssim);
        figures.add("quality", &found.image, "secure_ssim", found.ours.ssim);
    }
    let all =
        |value: fn(&Row) -> f64| mean(&measured.quality.iter().map(value).collect::<Vec<_>>());
    row("ours", "mean", 3, [all(|r| r.baseline.psnr_db), all(|r| r.ours.psnr_db)]);
    for (image, baseline, secure) in paper::ICASSP_TABLE1 {
        row("the paper", image, 2, [baseline, secure]);
    }
    let text = format!(
        "PSNR at sigma {SIGMA}, patches every {} pixels, model `{}`, images of `{}`. Baseline: float32, exact tanh. \
         Secure: the integers of the protocol with tanh*, on whole images by the integer twin, which the patch below \
         equals. The paper's figures are of other images and a larger network.",
        measured.stride,
        measured.request.model.file.display(),
        measured.request.data.display()
    );
    Section { title: "Table 1: what is lost".into(), text, table }
}

fn operations(measured: &Measured, figures: &mut Figures) -> Section {
    let head = [
        "operation",
        "form",
        "user, ms",
        "cloud, ms",
        "paper: user, ms",
        "paper: cloud, ms",
        "bytes",
    ];
    let mut table = Table::new(&head, 2);
    let mut row = |name: &str, form: String, cost: Cost, paper: Option<[f64; 2]>| {
        let paper = [0, 1].map(|i| paper.map_or("-".into(), |p| format!("{:.2}", p[i])));
        let ours = [cost.user_ms, cost.cloud_ms].map(|ms| format!("{ms:.3}"));
        let bytes = format!("{:.0}", cost.bytes);
        table.row([name.to_string(), form].into_iter().chain(ours).chain(paper).chain([bytes]));
    };
    let [multiplication, tanh] = paper::ICASSP_OPERATIONS;
    for found in &measured.operations {
        let form = found.form.name();
        let (paper_product, paper_tanh) = match found.form {
            Form::Literal => (Some(multiplication), Some(tanh)),
            Form::Packed => (None, None),
        };
        let product = each(found.multiplication, found.slots);
        let name = match found.slots {
            1 => form.to_string(),
            n => format!("{form}, {n} a ciphertext"),
        };
        row("a product", name.clone(), product, paper_product);
        row("a tanh*", name, found.activation, paper_tanh);
        for (what, cost) in [("product", product), ("tanh", found.activation)] {
            figures.add("operations", form, &format!("{what}_user_ms"), cost.user_ms);
            figures.add("operations", form, &format!("{what}_cloud_ms"), cost.cloud_ms);
            figures.add("operations", form, &format!("{what}_bytes"), cost.bytes);
        }
        figures.add("operations", form, "slots", found.slots as f64);
    }
    let [literal, packed] = measured.operations.each_ref();
    let packed_product = each(packed.multiplication, packed.slots);
    let gain = [
        literal.multiplication.user_ms / packed_product.user_ms,
        literal.multiplication.cloud_ms / packed_product.cloud_ms,
        literal.multiplication.bytes / packed_product.bytes,
    ];
    for (party, gain) in ["user", "cloud", "bytes"].iter().zip(gain) {
        figures.add("operations", "packed", &format!("gain_{party}"), gain);
    }
    let text = format!(
        "Packing gains a factor of {:.1} for the user, {:.1} for the cloud and {:.1} in bytes, a product. The paper's \
         times are of its own machines.",
        gain[0], gain[1], gain[2]
    );
    Section { title: "The two operations".into(), text, table }
}

/// Of one product of a ciphertext of several.
fn each(cost: Cost, slots: usize) -> Cost {
    let n = slots as f64;
    Cost { user_ms: cost.user_ms / n, cloud_ms: cost.cloud_ms / n, bytes: cost.bytes / n }
}

fn patches(measured: &Measured, figures: &mut Figures) -> Section {
    let head = [
        "form",
        "equal to the twin",
        "multiplications",
        "the model: ciphertexts",
        "encrypted in, s",
        "a patch, s",
        "user busy, s",
        "cloud busy, s",
        "both directions, MB",
    ];
    let mut table = Table::new(&head, 2);
    for row in &measured.patches {
        let (form, run) = (row.form.name(), &row.run);
        let megabytes = (run.user.bytes_sent + run.cloud.bytes_sent) as f64 / MB;
        let busy = [run.user, run.cloud].map(|work| work.busy.as_secs_f64());
        let seconds = [row.owner_seconds, run.seconds, busy[0], busy[1]];
        let equal = if row.equal { "yes, every value" } else { "NO" };
        let counts = [row.multiplications.to_string(), row.ciphertexts.to_string()];
        let seconds_shown = seconds.map(|s| format!("{s:.1}"));
        let words = [form.to_string(), equal.into()];
        let shown = words.into_iter().chain(counts).chain(seconds_shown);
        table.row(shown.chain([format!("{megabytes:.2}")]));
        let names = ["owner_seconds", "seconds", "user_busy_seconds", "cloud_busy_seconds"];
        for (name, value) in names.iter().zip(seconds) {
            figures.add("patch", form, name, value);
        }
        figures.add("patch", form, "equals_twin", f64::from(u8::from(row.equal)));
        figures.add("patch", form, "multiplications", row.multiplications as f64);
        figures.add("patch", form, "megabytes", megabytes);
    }
    let text = "A patch of `tiny-9-5-24` (81 pixels, 24 tanh*, 25 out), the user and the cloud as two threads, joined \
         by a channel in memory: every output of the last layer compared with the integer twin's."
        .into();
    Section { title: "One patch, end to end".into(), text, table }
}

/// What a patch of the paper's network comes to.
struct Total {
    row: &'static str,
    products: f64,
    user_hours: f64,
    cloud_hours: f64,
    gigabytes: f64,
}

/// Activations a patch.
fn tanhs(network: &Network<FloatLinear, ()>) -> usize {
    network.activations().map(|(_, _, width)| width).sum()
}

fn totals(measured: &Measured) -> Vec<Total> {
    let network = &measured.paper.network;
    let tanhs = tanhs(network) as f64;
    let products = |slots: usize| -> f64 {
        let each = |inputs: usize, outputs: usize| (inputs * outputs.div_ceil(slots)) as f64;
        network.linears().map(|(_, l)| each(l.weights.ncols(), l.bias.len())).sum()
    };
    let total = |row, slots, multiplication: Cost, tanh: Cost| {
        let products = products(slots);
        let hours = |ms: [f64; 2]| (products * ms[0] + tanhs * ms[1]) / 3.6e6;
        Total {
            row,
            products,
            user_hours: hours([multiplication.user_ms, tanh.user_ms]),
            cloud_hours: hours([multiplication.cloud_ms, tanh.cloud_ms]),
            gigabytes: (products * multiplication.bytes + tanhs * tanh.bytes) / GB,
        }
    };
    let [product, tanh] = paper::ICASSP_OPERATIONS.map(|[user_ms, cloud_ms]| Cost {
        user_ms,
        cloud_ms,
        bytes: f64::NAN,
    });
    let ours = measured.operations.iter().map(|found| {
        let row = match found.form {
            Form::Literal => "ours, literal",
            Form::Packed => "ours, packed",
        };
        total(row, found.slots, found.multiplication, found.activation)
    });
    [total("the paper's operations", 1, product, tanh)].into_iter().chain(ours).collect()
}

fn computed(measured: &Measured, figures: &mut Figures) -> Section {
    let head = [
        "computed from",
        "multiplications a patch",
        "user, hours",
        "cloud, hours",
        "both, one after the other, days",
        "both directions, GB",
        "the model at the cloud, GB",
    ];
    let mut table = Table::new(&head, 1);
    let biases: usize = measured.paper.network.linears().map(|(_, l)| l.bias.len()).sum();
    for total in totals(measured) {
        let days = (total.user_hours + total.cloud_hours) / 24.0;
        let stored = (total.products + biases as f64) * CIPHERTEXT / GB;
        let gigabytes =
            if total.gigabytes.is_nan() { "-".into() } else { format!("{:.1}", total.gigabytes) };
        let numbers = [total.user_hours, total.cloud_hours, days].map(|v| format!("{v:.2}"));
        let words = [total.row.to_string(), format!("{:.0}", total.products)];
        table.row(words.into_iter().chain(numbers).chain([gigabytes, format!("{stored:.1}")]));
        figures.add("computed", total.row, "multiplications", total.products);
        figures.add("computed", total.row, "user_hours", total.user_hours);
        figures.add("computed", total.row, "cloud_hours", total.cloud_hours);
        figures.add("computed", total.row, "model_gigabytes", stored);
    }
    let patches = measured.paper.network.grid(Size::new(512, 512)).map_or(0, |grid| grid.rows());
    let text = format!(
        "Computed, not run: the operations above times their number, on one thread a party. The network is the paper's \
         (39x39 -> 3072, 3072, 2559, 2047 -> 17x17, {} tanh*); an image of 512x512 has {patches} patches. The paper \
         states tens of hours a patch.",
        tanhs(&measured.paper.network)
    );
    Section { title: "The paper's network, computed".into(), text, table }
}

fn beside(measured: &Measured, figures: &mut Figures) -> Section {
    let head = [
        "network",
        "patches",
        "once a model: s",
        "MB",
        "material, a patch: ms",
        "MB",
        "online, a patch: ms",
        "MB",
    ];
    let mut table = Table::new(&head, 1);
    for (network, run) in &measured.beside {
        let n = run.patches as f64;
        let shown = [
            run.once.seconds,
            run.once.bytes as f64 / MB,
            run.material.seconds * 1e3 / n,
            run.material.bytes as f64 / MB / n,
            run.online.seconds * 1e3 / n,
            run.online.bytes as f64 / MB / n,
        ];
        let words = [network.to_string(), run.patches.to_string()];
        table.row(words.into_iter().chain(shown.map(|v| format!("{v:.3}"))));
        let names = [
            "once_seconds",
            "once_megabytes",
            "material_patch_ms",
            "material_patch_megabytes",
            "online_patch_ms",
            "online_patch_megabytes",
        ];
        for (name, value) in names.iter().zip(shown) {
            figures.add("one-cloud", network, name, value);
        }
    }
    let text = "Run: this program's service for the same setting (`cloud` and `client`, masked lookups instead of \
         tanh*), the smallest image of each network, user and cloud in one process on all cores, material by the two \
         themselves. What is done once a session weighs on so few patches: larger images cost less a patch."
        .into();
    Section { title: "The same networks through the one-cloud service".into(), text, table }
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Effort, atomic};
    use super::super::model::{EncryptedModel, Shape, twin};
    use super::super::one_cloud;
    use super::super::paillier::tests::SHORT;
    use super::super::patch::run;
    use super::super::subject::{Subject, tiny};
    use super::*;
    use crate::crypto::prg::Seed;
    use crate::image::metrics::Quality;
    use crate::lab::reproduce::{Target, Trained};
    use crate::material::Origin;
    use crate::model::Cells;

    fn request(subject: &Subject) -> Request {
        Request {
            targets: vec![Target::Icassp],
            images: Vec::new(),
            data: "a folder".into(),
            model: Trained { file: "a model.npz".into(), model: subject.float.clone() },
            dncnn: None,
            out: "out".into(),
            sigmas: vec![SIGMA],
            seed: 1,
            interval: 7.0,
            cell: Cells::of_bits(3),
            stride: None,
            material: Origin::Dealt,
            training: vec![],
            quick: true,
        }
    }

    /// Everything measured with a short key, and every figure in both forms.
    #[test]
    fn the_page_has_every_table() {
        let (subject, seed) = (tiny().unwrap(), Seed::from_bytes([9; 32]));
        let request = request(&subject);
        let (model, key) = (&subject.model, &*SHORT);
        let forms = [Form::Literal, Form::Packed];
        let operations = forms.map(|form| atomic(key, model, form, Effort::QUICK).unwrap());
        let shape = Shape::new(model, key.public(), Form::Packed);
        let encrypted = EncryptedModel::new(model, key.public(), &shape, &seed);
        let run = run(&shape, &encrypted, key, &subject.patch, &seed, &mut |_| ()).unwrap();
        let patch = PatchRow {
            form: Form::Packed,
            multiplications: shape.multiplications(),
            ciphertexts: encrypted.ciphertexts(),
            owner_seconds: 1.0,
            equal: run.outputs == twin(model, &subject.patch),
            run,
        };
        let quality = |psnr_db| Quality { psnr_db, ssim: 0.9 };
        let (baseline, ours) = (quality(30.5), quality(30.25));
        let paper = FloatModel::paper_size();
        let page = page(&Measured {
            request: &request,
            machine: Machine::this(),
            quality: vec![Row { image: "camera".into(), baseline, ours }],
            stride: 3,
            operations,
            patches: vec![patch],
            beside: vec![("tiny", one_cloud::run(&subject.float, &subject.image).unwrap())],
            paper: &paper,
        });
        for text in [
            "| ours | camera | 30.500 | 30.250 | 0.250 |",
            "| ours | mean | 30.500 | 30.250 | 0.250 |",
            "| the paper | Baboon | 25.84 | 25.80 | 0.04 |",
            "| packed | yes, every value | 654 |",
            "| the paper's operations | 27800800 | 439.71 | 532.01 | 40.49 | - | 14.2 |",
            "27556 patches",
            "Not for citing",
        ] {
            assert!(page.markdown.contains(text), "no {text} in {}", page.markdown);
        }
        let value = |start: &str| -> f64 {
            let line = page.csv.lines().find(|line| line.starts_with(start));
            let line = line.unwrap_or_else(|| panic!("no {start} in {}", page.csv));
            line.rsplit(',').next().unwrap().parse().unwrap()
        };
        assert_eq!(value("quality,camera,secure_psnr_db"), 30.25);
        assert_eq!(value("patch,packed,equals_twin"), 1.0);
        assert!(value("operations,packed,gain_bytes") == 4.0);
        assert!(value("one-cloud,tiny,online_patch_ms") > 0.0);
        // The packed form of four numbers a ciphertext has about a quarter of the multiplications.
        let [literal, packed] = ["literal", "packed"]
            .map(|form| value(&format!("computed,\"ours, {form}\",multiplications")));
        assert!((3.9..4.0).contains(&(literal / packed)), "{literal} {packed}");
    }
}
