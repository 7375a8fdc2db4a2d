//! The machine that measurements are of.

use schemars::JsonSchema;
use serde::Serialize;

/// What figures depend on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Machine {
    /// Name of the processor; null if the platform does not tell it.
    pub cpu: Option<String>,
    /// Logical cores that the process may use.
    pub logical_cores: usize,
    /// Load average of the last 1, 5 and 15 minutes: other work makes every figure worse.
    pub load_average: Option<String>,
    /// Instruction set of the kernels.
    pub backend: &'static str,
    /// Instruction set of the AES code.
    pub aes_backend: String,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn this() -> Self {
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
