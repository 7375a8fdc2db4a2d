//! The machine that measurements are of.

use serde::Serialize;

/// What figures depend on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name, where the platform tells.
    pub cpu: Option<String>,
    /// Processors that this process may use.
    pub logical_cores: usize,
    /// Of the last 1, 5 and 15 minutes: other work makes every figure worse.
    pub load_average: Option<String>,
    /// The kernels' instruction set.
    pub backend: &'static str,
    /// That of AES.
    pub aes_backend: String,
}

impl Machine {
    /// This machine, now.
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).ok();
        let cpu = read("/proc/cpuinfo").and_then(|text| {
            let line = text.lines().find_map(|l| l.strip_prefix("model name"))?;
            Some(line.split_once(": ")?.1.to_string())
        });
        let load = read("/proc/loadavg");
        Machine {
            cpu,
            logical_cores: std::thread::available_parallelism().map_or(1, usize::from),
            load_average: load.map(|l| l.split(' ').take(3).collect::<Vec<_>>().join(" ")),
            backend: crate::kernels::active().name(),
            aes_backend: format!("{:?}", crate::kernels::AesBackend::active()).to_lowercase(),
        }
    }
}
