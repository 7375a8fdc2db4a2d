//! A status in the text format of Prometheus, version 0.0.4.

use super::state::{Doing, Status};
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

/// Labels of one of several values.
type Labels = Vec<(&'static str, String)>;

/// All metrics; `loop_age` are the seconds since the daemon's loop last came around.
pub(super) fn text(status: &Status, loop_age: f64) -> String {
    let mut all = Registry::with_prefix("ppdenoise");
    let info = vec![
        ("command", status.command.clone()),
        ("party", status.party.to_string()),
        ("version", status.version.clone()),
    ];
    family(&mut all, "info", "What runs here, always 1", [(info, 1)]);
    counter(&mut all, "images_done", "Images denoised", status.images_done);
    counter(&mut all, "failures", "Files, or sessions of users, that failed", status.failures);
    gauge(&mut all, "images_in_work", "Images, or users, in work", status.images_in_work);
    gauge(&mut all, "waiting", "Images without a result, or users in line", status.waiting);
    let slots = status.slots_left.iter().map(|left| {
        let size = vec![("height", left.height.to_string()), ("width", left.width.to_string())];
        (size, left.slots)
    });
    family(&mut all, "slots_left", "Slots left for images of a size", slots);
    let disks = [("state", status.state_disk_left_bytes), ("results", status.out_disk_left_bytes)];
    let disks = disks
        .into_iter()
        .filter_map(|(folder, bytes)| Some((vec![("folder", folder.to_string())], bytes?)));
    family(&mut all, "disk_left_bytes", "Bytes that may be written to the disk of a folder", disks);
    gauge(
        &mut all,
        "peer_there",
        "Whether the other server, or any user, is connected",
        status.peer_there.into(),
    );
    let stopping = matches!(status.state, Doing::Stopping | Doing::Stopped | Doing::Failed);
    gauge(&mut all, "stopping", "Whether it was asked to end", stopping.into());
    let help = "Seconds since its loop last came around";
    all.register("loop_age_seconds", help, ConstGauge::new(loop_age));
    if let Some(users) = status.users {
        gauge(&mut all, "users_known", "Users who may connect", users.known);
        gauge(&mut all, "users_connected", "Users who are connected", users.connected);
        counter(&mut all, "slots_made", "Slots made with users", users.slots_made);
        counter(
            &mut all,
            "sessions_ended",
            "Sessions of users that have ended",
            users.sessions_ended,
        );
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &all);
    text
}

fn counter(all: &mut Registry, name: &str, help: &str, value: u64) {
    all.register(name, help, ConstCounter::new(value));
}

fn gauge(all: &mut Registry, name: &str, help: &str, value: u64) {
    all.register(name, help, ConstGauge::new(value));
}

fn family(
    all: &mut Registry,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) {
    let family = Family::<Labels, Gauge>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
    }
    all.register(name, help, family);
}
