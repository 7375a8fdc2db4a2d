//! A week of running, with no hand in between: every day twenty new pictures of three sizes, material that is made when
//! a server asks for it, a restart of each server, new keys of gateway and dealer.

use crate::common::service::{Service, check_slots, free_port};
use crate::common::{Lab, TINY, clean_crop, difference, set_mode};
use ppdenoise::internals::model::{
    Clamping, Method, QuantiseOptions, QuantisedModel, Rounding, load_npz, quantise,
};
use ppdenoise::internals::roles::images::Levels;
use ppdenoise::internals::roles::{Arithmetic, Denoise, Implausibility, Silent, denoise};
use ppdenoise_base::numbers::ring::RingBits;
use ppdenoise_base::size::Size;
use ppdenoise_image::{Average, GreyImage, add_gaussian};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const DAYS: usize = 7;
const SIZES: [Size; 3] = [Size::new(12, 13), Size::new(15, 12), Size::new(18, 16)];
const A_DAY: usize = 20;
/// How far a result may lie from the integer twin in grey levels (tests/e2e/pipeline.rs).
const TWIN: (f64, f64) = (0.6, 3.0);
/// The longest that a day may take.
const DAY: Duration = Duration::from_secs(120);
/// Where the key folders of all parties are made and filled.
const DEPLOYMENT: &str = include_str!("../../../docs/deployment.md");

/// The commands of the page's section on keys.
fn key_loop() -> &'static str {
    let section = DEPLOYMENT.split("\n## Keys\n").nth(1).expect("a section on keys");
    let block = section.split("```sh\n").nth(1).expect("its commands");
    block.split("```").next().unwrap()
}

fn shell(lab: &Lab, script: &str) {
    let program = Path::new(env!("CARGO_BIN_EXE_ppdenoise")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-ec", script]).current_dir(lab.path(".")).env("PATH", path);
    let output = command.env("HOME", lab.path(".")).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Both servers, and whoever reads their logs.
struct Week {
    lab: Lab,
    port: String,
    servers: [Service; 2],
    runs: usize,
    /// Lines of server 0's log that were acted upon, in its present run.
    read: usize,
    refills: usize,
}

impl Week {
    fn begin() -> Week {
        let lab = Lab::new();
        shell(&lab, key_loop());
        for folder in ["shared", "results", "in0", "in1", "sets0", "sets1", "out0", "out1"] {
            fs::create_dir(lab.path(folder)).unwrap();
        }
        lab.run(&["share-model", TINY, "--keys", "model-owner", "--out", "model"]).done();
        let port = free_port();
        let servers = [0, 1].map(|party| serve(&lab, party, &port, 0));
        Week { lab, port, servers, runs: 0, read: 0, refills: 0 }
    }

    /// Restarts a server: as a service manager does, or after a power cut.
    fn restart(&mut self, party: usize, power_cut: bool) {
        self.runs += 1;
        if power_cut {
            self.servers[party].kill();
        } else {
            self.servers[party].stop_in_place().done();
        }
        self.servers[party] = serve(&self.lab, party, &self.port, self.runs);
        if party == 0 {
            self.read = 0;
        }
    }

    /// New pairs for two roles, and their public halves to whoever has them.
    fn rotate(&mut self) {
        let lab = &self.lab;
        for role in ["gateway", "dealer"] {
            lab.run(&["keygen", "--out", role, "--role", role, "--force"]).done();
        }
        for (key, folders) in
            [("gateway", ["s0", "s1", "receiver"]), ("dealer", ["s0", "s1", "dealer"])]
        {
            for folder in folders.into_iter().filter(|folder| *folder != key) {
                // A copy beside it, then its name: a server that looks amid the copying would find a part.
                let public = lab.read(&format!("{key}/{key}.pub"));
                let name = format!("{folder}/{key}.pub");
                lab.write(&format!("{name}.new"), &public);
                fs::rename(lab.path(&format!("{name}.new")), lab.path(&name)).unwrap();
            }
        }
        for server in &mut self.servers {
            server.wait_for("keys-changed", 1);
        }
    }

    /// Does what server 0 asks for: triples of a size that are few or missing.
    fn refill(&mut self) {
        let lines = self.servers[0].lines();
        for line in lines.iter().skip(self.read) {
            let event = line["event"].as_str().unwrap_or("");
            if !["triples-few", "triples-missing"].contains(&event) {
                continue;
            }
            self.refills += 1;
            let name = format!("refill{}", self.refills);
            let command = line["command"].as_str().unwrap();
            let command = command.replace("KEYS", "dealer").replace("MODEL.pub", "model.pub");
            let command = command.replace("PREFIX", &name);
            // As many as ever for a day.
            let images = command.split("--images ").nth(1).unwrap().split(' ').next().unwrap();
            let command = command.replace(&format!("--images {images}"), "--images 12");
            let moves = [0, 1].map(|p| format!("mv {name}.s{p} sets{p}/"));
            shell(&self.lab, &format!("{command}\n{}\n{}", moves[0], moves[1]));
        }
        self.read = lines.len();
    }

    fn pictures(day: usize) -> Vec<(String, GreyImage)> {
        let picture = |i: usize| {
            let seed = (100 * day + i) as u64;
            let noisy = add_gaussian(&clean_crop(SIZES[i % 3]), 25.0, seed).unwrap().rounded();
            (format!("day{day}-{i}.png"), noisy)
        };
        (0..A_DAY).map(picture).collect()
    }

    /// Shares a folder of pictures and hands each server its parts; how many are new, and passed over.
    fn share(&self, folder: &str) -> Size {
        let args = ["share-image", folder, "--keys", "gateway", "--model", "model.pub"];
        let report = self.lab.run(&[&args[..], &["--out", "shared", "--json"]].concat()).report();
        for party in [0, 1] {
            shell(&self.lab, &format!("mv shared/*.s{party} in{party}/ 2>/dev/null || true"));
        }
        let shared = report["images"].as_array().unwrap().len();
        Size::new(shared, report["skipped"].as_u64().unwrap() as usize)
    }

    fn results(&self) -> [usize; 2] {
        [0, 1].map(|party| {
            let names = self.lab.names(&format!("out{party}"));
            names.iter().filter(|name| name.ends_with(&format!(".s{party}"))).count()
        })
    }

    /// Waits until both servers have so many results, and refills meanwhile.
    fn wait(&mut self, results: usize) {
        let started = Instant::now();
        while self.results().iter().any(|&found| found < results) {
            let late = started.elapsed() > DAY;
            assert!(!late, "{:?} of {results}: {:#?}", self.results(), self.servers[0].lines());
            self.refill();
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Fetches the day's results and looks at every picture.
    fn fetch(&mut self, day: usize, twin: &QuantisedModel) {
        let (lab, out) = (&self.lab, format!("results/day{day}"));
        fs::create_dir(lab.path(&out)).unwrap();
        lab.run(&["reconstruct", "out0", "out1", "--keys", "receiver", "--out", &out]).done();
        for (name, noisy) in Week::pictures(day) {
            let request = Denoise {
                average: Average::None,
                name: &PathBuf::from(&name),
                image: &noisy.into(),
                arithmetic: Arithmetic::Integer {
                    model: twin,
                    clamping: Clamping::Few,
                    rounding: Rounding::Nearest,
                },
                levels: Levels::default(),
                noise_map: None,
                implausibility: Implausibility::Refused,
                strict: false,
            };
            let expected = denoise(&request, &mut Silent).unwrap().image.into_grey().unwrap();
            let (mean, max) = difference(&lab.image(&format!("{out}/{name}")), &expected);
            assert!(mean <= TWIN.0 && max <= TWIN.1, "{name}: mean {mean:.3}, max {max:.3}");
        }
        // What was fetched leaves the servers: the shares with the results.
        shell(lab, "rm in0/*.s0 in1/*.s1 out0/*.s0 out1/*.s1");
    }
}

fn serve(lab: &Lab, party: usize, port: &str, run: usize) -> Service {
    let keys = format!("s{party}");
    let flags = ["--keys", &keys, "--warn-below", "4", "--erase-spent", "--wait", "5"];
    Service::start(lab, party, port, &run.to_string(), &flags)
}

fn twin() -> QuantisedModel {
    let npz = fs::File::open(TINY).unwrap();
    let model = load_npz(std::io::BufReader::new(npz), None).unwrap();
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    quantise(&model, &options).unwrap()
}

#[test]
fn a_week_needs_no_hand() {
    let (mut week, twin) = (Week::begin(), twin());
    for folder in ["s0", "s1"] {
        set_mode(&week.lab.path(folder), 0o700);
    }
    for day in 0..DAYS {
        let folder = format!("pictures{day}");
        fs::create_dir(week.lab.path(&folder)).unwrap();
        let pictures = Week::pictures(day);
        // Half in the morning; in the evening the folder is shared again.
        let (morning, evening) = pictures.split_at(A_DAY / 2);
        for (part, known) in [(morning, 0), (evening, A_DAY / 2)] {
            for (name, picture) in part {
                week.lab.picture(&format!("{folder}/{name}"), picture);
            }
            assert_eq!(week.share(&folder), Size::new(A_DAY / 2, known));
            match (day, known) {
                // Amid the work, and with nothing to do.
                (2, 0) => week.restart(0, false),
                (4, 0) => week.restart(1, true),
                (5, 10) => week.restart(0, true),
                _ => {}
            }
            week.wait(known + A_DAY / 2);
        }
        assert_eq!(week.share(&folder), Size::new(0, A_DAY), "all of them were shared before");
        week.fetch(day, &twin);
        if day == 3 {
            week.rotate();
        }
    }
    let refills = week.refills;
    let used = check_slots(&week.lab);
    assert!(used >= DAYS * A_DAY, "{used} slots for {} images", DAYS * A_DAY);
    let Week { servers, lab, .. } = week;
    for mut server in servers {
        server.stop_in_place().done();
        let asked = server.told("triples-few").len() + server.told("triples-missing").len();
        assert!(asked > 0 && refills > 0);
    }
    // Used-up material is gone, whoever was first: a server that asks twice gets more than it uses.
    for name in lab.names("sets0") {
        let set = format!("sets0/{name}");
        let report = lab.run(&["inspect", &set, "--state", "state0", "--json"]).report();
        assert!(report["slots_left"].as_u64().unwrap() > 0, "{set}: {report}");
    }
    lab.no_leftovers();
}
