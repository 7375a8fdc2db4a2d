//! The report for people.

use crate::cli::failure::Failure;
use crate::cli::output::{bytes, print_line};
use crate::lab::bench::{Machine, Operation, Parts, Price, Rate, Run};

pub(super) fn machine(machine: &Machine) -> Result<(), Failure> {
    let unknown = || "unknown".to_string();
    print_line(&format!(
        "{}, {} cores, kernels {}, AES {}, load average {}",
        machine.cpu.clone().unwrap_or_else(unknown),
        machine.logical_cores,
        machine.backend,
        machine.aes_backend,
        machine.load_average.clone().unwrap_or_else(unknown)
    ))?;
    print_line("one compute thread a server; all else on one thread")
}

pub(super) fn rates(rates: &[Rate]) -> Result<(), Failure> {
    print_line("")?;
    print_line("kernels")?;
    for rate in rates {
        let part = rate.of_register_kernel.map_or(String::new(), |part| {
            format!("  {:.0} % of its register kernel", 100.0 * part)
        });
        print_line(&format!("  {:42} {:10.3} {}{part}", rate.name, rate.value, rate.unit))?;
    }
    Ok(())
}

pub(super) fn operations(rows: &[Operation]) -> Result<(), Failure> {
    print_line("")?;
    print_line("single operations, both servers in one process (the paper's Table 4)")?;
    print_line("")?;
    print_line("| operation | batch | paper us | S0 us | S1 us | paper bytes | bytes | turns |")?;
    print_line("|---|--:|--:|--:|--:|--:|--:|--:|")?;
    for row in rows {
        let us = |time: Option<f64>| time.map_or("-".into(), |t| format!("{t:.5}"));
        let [s0, s1] = row.us.map(us);
        print_line(&format!(
            "| {} | {} | {} | {s0} | {s1} | {} | {:.2} | {} |",
            row.name, row.batch, row.paper_us, row.paper_bytes, row.bytes, row.turns
        ))?;
    }
    Ok(())
}

pub(super) fn run(run: &Run) -> Result<(), Failure> {
    print_line("")?;
    print_line(&format!(
        "{}: {}, {}, ring {}, stride {}, {}x{}: {} patches, {} activations, {} million multiply-adds, {} weights",
        run.section,
        run.model,
        run.engine,
        run.ring_bits,
        run.stride,
        run.height,
        run.width,
        run.patches,
        run.activations,
        run.multiply_adds / 1_000_000,
        run.weights
    ))?;
    let [s0, s1] = &run.servers;
    let line = |phase: &str, step: &str, seconds: f64, rest: String| {
        print_line(&format!("  {phase:9} {step:13} {seconds:9.3} s  {rest}"))
    };
    for step in run.steps.iter().filter(|s| s.phase != "receiver") {
        let [a, b] = step.bytes.map(bytes);
        let rest = if step.bytes == [0, 0] { String::new() } else { format!("{a} S0, {b} S1") };
        line(step.phase, step.step, step.seconds, rest)?;
    }
    for (phase, [a, b]) in [("setup", [&s0.setup, &s1.setup]), ("online", [&s0.online, &s1.online])]
    {
        let rest = format!(
            "{} S0 to S1, {} back, {} rounds",
            bytes(a.bytes_sent),
            bytes(a.bytes_received),
            a.rounds
        );
        line(phase, "serve", a.seconds.max(b.seconds), rest)?;
    }
    for step in run.steps.iter().filter(|s| s.phase == "receiver") {
        let [a, b] = step.bytes.map(bytes);
        line(step.phase, step.step, step.seconds, format!("{a} S0, {b} S1"))?;
    }
    let tanh = format!("float32, one thread; tanh {:.3} s of it", run.plaintext_tanh_seconds);
    line("beside", "plaintext", run.plaintext_seconds, tanh)?;
    line("beside", "integer twin", run.twin_seconds, "one thread".into())?;
    parts("gateway", &run.gateway)?;
    parts("receiver", &run.receiver)?;
    print_line(&format!(
        "  a patch: {:.3} ms and {} online, {:.2} bytes an activation; online / plaintext {:.2}",
        1e3 * run.online_seconds_per_patch,
        bytes(run.online_bytes_per_patch_both_directions as u64),
        run.online_bytes_per_activation_both_directions,
        run.online_over_plaintext
    ))?;
    let memory = |peak: Option<u64>| peak.map_or("unknown".into(), bytes);
    if let Some(made) = &run.made {
        let [a, b] = made.peak_memory_bytes.map(memory);
        print_line(&format!(
            "  material made by the servers: {} both directions, {} of it hints, once a model; peak memory {a} (S0), {b} (S1)",
            bytes(made.bytes_both_directions),
            bytes(made.hint_bytes_both_directions)
        ))?;
    }
    print_line(&format!(
        "  peak memory {} (S0), {} (S1); result off plaintext by {:.3} grey levels on average, {:.2} at most",
        memory(s0.peak_memory_bytes),
        memory(s1.peak_memory_bytes),
        run.difference_from_plaintext.mean,
        run.difference_from_plaintext.max
    ))
}

fn parts(who: &str, parts: &Parts) -> Result<(), Failure> {
    let ms = |seconds: f64| 1e3 * seconds;
    print_line(&format!(
        "  {who}: {:.1} ms = {:.1} process start and end + {:.1} PNG + {:.1} work",
        ms(parts.seconds),
        ms(parts.process_seconds),
        ms(parts.png_seconds),
        ms(parts.work_seconds)
    ))
}

/// A row a run, where there are several.
pub(super) fn summary(runs: &[Run]) -> Result<(), Failure> {
    if runs.len() < 2 {
        return Ok(());
    }
    print_line("")?;
    print_line(
        "| model | engine | size | patches | gateway s | dealer s | online s | receiver s \
         | plaintext s | twin s | online ms a patch | MB a patch | peak S0 MB | peak S1 MB |",
    )?;
    print_line("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for run in runs {
        let dealer: f64 =
            run.steps.iter().filter(|s| s.phase == "offline").map(|s| s.seconds).sum();
        let mb = |count: f64| format!("{:.4}", count / 1e6);
        let [m0, m1] = [0, 1].map(|i| {
            run.servers[i]
                .peak_memory_bytes
                .map_or("-".into(), |b| format!("{:.1}", b as f64 / 1e6))
        });
        print_line(&format!(
            "| {} | {} | {}x{} | {} | {:.3} | {dealer:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.4} \
             | {} | {m0} | {m1} |",
            run.model,
            run.engine,
            run.height,
            run.width,
            run.patches,
            run.gateway.seconds,
            run.online_seconds,
            run.receiver.seconds,
            run.plaintext_seconds,
            run.twin_seconds,
            1e3 * run.online_seconds_per_patch,
            mb(run.servers[0].online.both_directions() as f64 / run.patches.max(1) as f64)
        ))?;
    }
    Ok(())
}

/// Prices that are off by more than this part of a run's time say nothing.
const FAR_OFF: f64 = 0.5;

/// What counts cost, where the runs say it.
pub(super) fn prices(prices: &[Price]) -> Result<(), Failure> {
    for price in prices {
        let Price { engine, phase, runs, off, .. } = price;
        let off = 100.0 * off;
        let text = if price.off > FAR_OFF {
            format!("no prices: they are off by {off:.0} %; larger images would say more")
        } else {
            format!(
                "{:.2} ns an activation, {:.4} ns a multiply-add, {:.3} ns a gathered value; off by {off:.0} % at most",
                price.activation_ns, price.multiply_add_ns, price.gathered_ns,
            )
        };
        print_line("")?;
        print_line(&format!("{engine}, {phase}, {runs} runs: {text}"))?;
    }
    Ok(())
}
