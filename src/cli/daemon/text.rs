//! A status in words.

use super::state::{Doing, Status};
use crate::cli::output::bytes;

/// All of it in one line, as the log and the service manager have it.
pub(super) fn line(status: &Status) -> String {
    format!("{}; {}; {}; {}", doing(status), images(status), slots(status), disk(status))
}

/// What the daemon does.
pub(super) fn doing(status: &Status) -> String {
    match status.state {
        Doing::Starting => "starting".into(),
        Doing::Waiting => "waiting for the other server".into(),
        Doing::Serving => "serving".into(),
        Doing::Stopping => "stopping".into(),
        Doing::Stopped => "stopped".into(),
        Doing::Failed => format!("failed with exit code {}", status.exit_code.unwrap_or(1)),
    }
}

/// What it has done and has before it.
pub(super) fn images(status: &Status) -> String {
    let Status { images_done, failures, images_in_work, waiting, .. } = status;
    match status.users {
        None => format!(
            "{images_done} image(s) denoised, {failures} failure(s), {waiting} waiting, {images_in_work} of them in work"
        ),
        Some(users) => format!(
            "{images_done} image(s) denoised, {failures} session(s) ended early, {} of {} user(s) connected, \
             {images_in_work} at work, {waiting} in line",
            users.connected, users.known
        ),
    }
}

/// The material that is left, or made.
pub(super) fn slots(status: &Status) -> String {
    if let Some(users) = status.users {
        return format!("{} slot(s) made", users.slots_made);
    }
    let of_size = status.slots_left.iter().map(|left| {
        let (height, width) = (left.height, left.width);
        format!("{} for {height}x{width}", left.slots)
    });
    match of_size.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "no slot left".into(),
        some => format!("slots left: {some}"),
    }
}

pub(super) fn disk(status: &Status) -> String {
    let left = |disk: Option<u64>| disk.map_or("unknown".into(), bytes);
    match status.out_disk_left_bytes {
        None => format!("disk left: {}", left(status.state_disk_left_bytes)),
        out => format!(
            "disk left: {} for the state, {} for results",
            left(status.state_disk_left_bytes),
            left(out)
        ),
    }
}

/// Who is at the other end.
pub(super) fn peer(status: &Status) -> String {
    let who = if status.users.is_some() { "last user" } else { "other server" };
    match (&status.peer_seen, status.peer_there) {
        (None, _) => format!("{who}: none so far"),
        (Some(seen), there) => {
            let address = status.peer.as_deref().map_or(String::new(), |at| format!("{at}, "));
            let now = if there && status.users.is_none() { "there" } else { "last seen" };
            format!("{who}: {address}{now} {seen}")
        }
    }
}
