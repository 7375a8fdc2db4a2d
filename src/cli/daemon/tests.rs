use super::show::judge;
use super::state::{SlotsLeft, State, Status, Users};
use super::*;
use crate::ids::Fingerprint;
use crate::roles::one_cloud::{Busy, SessionReport};
use crate::roles::server::{ImageReport, PeerFacts, ServerPhase, ServiceError, Standing};
use crate::size::Size;
use std::collections::BTreeMap;

fn shared(has_users: bool) -> Shared {
    let about = About {
        command: if has_users { "cloud" } else { "serve" },
        party: Party::S0,
        state: ".".into(),
        out: None,
        silence: Duration::from_secs(300),
        has_users,
    };
    let users = has_users.then(Users::default);
    Shared { about, started: clock::text_of(0), state: Mutex::new(State::new(users, 0)) }
}

fn image(file: &str, slots_left: u64) -> ServerEvent {
    ServerEvent::Denoised(ImageReport {
        image_id: "00".into(),
        file: file.into(),
        height: 12,
        width: 13,
        set: "00".into(),
        slot: 0,
        slots_left,
        patches: 1,
        activations: 1,
        prepared: false,
        online: Default::default(),
    })
}

fn linked() -> ServerEvent {
    let key = Some(Fingerprint::from_bytes([7; Fingerprint::LEN]));
    ServerEvent::Linked(PeerFacts { address: Some(([127, 0, 0, 1], 99).into()), key })
}

fn standing(waiting: u64, slots: u64) -> ServerEvent {
    let slots_left = BTreeMap::from([(Size::new(12, 13), slots)]);
    ServerEvent::Standing(Standing { waiting, slots_left })
}

fn failed() -> ServerEvent {
    ServerEvent::Failed { file: "in0/DOE^JOHN.s0".into(), error: ServiceError::NotShared }
}

/// The status after these events, one a second.
fn after(shared: &Shared, events: &[ServerEvent]) -> Status {
    let mut now = 0;
    for event in events {
        now += 1000;
        shared.state().server(event, now);
    }
    shared.status(now)
}

#[test]
fn a_servers_events_become_one_state() {
    let shared = shared(false);
    let listening = ServerEvent::Listening(([127, 0, 0, 1], 1).into());
    let status = after(&shared, &[standing(2, 5), listening]);
    assert_eq!((status.state, status.waiting, status.peer_there), (Doing::Waiting, 2, false));
    let online = || ServerEvent::Phase(ServerPhase::Online(1, 2));
    let status = after(&shared, &[linked(), online()]);
    assert_eq!((status.state, status.images_in_work, status.waiting), (Doing::Serving, 1, 2));
    assert_eq!(status.peer.as_deref(), Some("127.0.0.1:99"));
    assert_eq!(status.peer_seen.as_deref(), Some("1970-01-01T00:00:01.000Z"));
    let status = after(&shared, &[image("in0/a.s0", 4), online(), failed(), failed()]);
    assert_eq!((status.images_done, status.failures), (1, 2));
    // The second one never waited: it was no share.
    assert_eq!((status.images_in_work, status.waiting), (0, 0));
    assert_eq!(status.slots_left, [SlotsLeft { height: 12, width: 13, slots: 4 }]);
    let lost = ServerEvent::PeerLost { reason: "it is gone".into() };
    let status = after(&shared, &[lost]);
    assert_eq!((status.state, status.peer_there), (Doing::Waiting, false));
    assert_eq!(status.peer_seen.as_deref(), Some("1970-01-01T00:00:01.000Z"));
}

#[test]
fn who_is_asked_to_end_is_not_at_work_again() {
    let shared = shared(false);
    after(&shared, &[linked()]);
    assert!(!shared.state().goes_on(false, 2000));
    assert!(shared.state().goes_on(true, 3000), "it is news once");
    assert!(!shared.state().goes_on(true, 4000));
    let status = after(&shared, &[linked()]);
    assert_eq!((status.state, status.exit_code), (Doing::Stopping, None));
    for (code, doing) in [(0, Doing::Stopped), (4, Doing::Failed)] {
        shared.state().ended(code);
        let status = shared.status(5000);
        assert_eq!((status.state, status.exit_code), (doing, Some(code)));
    }
}

#[test]
fn a_clouds_events_become_one_state() {
    let shared = shared(true);
    let busy = Busy { connected: 2, at_work: 1, in_line: 1, images: 9, slots_made: 8, sessions: 7 };
    let cut = SessionReport { error: Some("gone".into()), ..SessionReport::default() };
    let whole = SessionReport::default();
    for event in [
        CloudEvent::Clients(3),
        CloudEvent::Came(Some(([127, 0, 0, 1], 99).into())),
        CloudEvent::Session(&cut),
        CloudEvent::Session(&whole),
        CloudEvent::Alive(busy),
    ] {
        assert!(shared.state().cloud(&event, 1000));
    }
    assert!(!shared.state().cloud(&CloudEvent::Alive(busy), 2000), "nothing new");
    let status = shared.status(2000);
    assert_eq!((status.state, status.images_done, status.failures), (Doing::Serving, 9, 1));
    let users = status.users.unwrap();
    assert_eq!((users.known, users.connected, users.slots_made), (3, 2, 8));
    assert_eq!(
        text::line(&status).split("; disk").next().unwrap(),
        "serving; 9 image(s) denoised, 1 session(s) ended early, 2 of 3 user(s) connected, 1 at work, 1 in line; \
         8 slot(s) made"
    );
    let metrics = exposition::text(&status, 0.0);
    for line in ["users_known 3", "slots_made_total 8", "sessions_ended_total 7", "waiting 1"] {
        assert!(metrics.contains(&format!("\nppdenoise_{line}\n")), "{metrics}");
    }
}

/// Counts, sizes, times and an address: no file, no id, no key.
#[test]
fn nothing_is_shown_but_counts() {
    let shared = shared(false);
    let file = "in0/DOE^JOHN.s0";
    let status = after(&shared, &[linked(), standing(3, 5), image(file, 4), failed()]);
    let document = serde_json::to_string(&Document::of(&status)).unwrap();
    let metrics = exposition::text(&status, 1.5);
    for shown in [&document, &metrics, &text::line(&status), &text::peer(&status)] {
        for secret in ["DOE", "in0", "0707", "2222"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    for line in [
        "# TYPE ppdenoise_images_done_total counter",
        "ppdenoise_images_done_total 1",
        "ppdenoise_failures_total 1",
        "ppdenoise_waiting 2",
        "ppdenoise_slots_left{height=\"12\",width=\"13\"} 4",
        "ppdenoise_peer_there 1",
        "ppdenoise_stopping 0",
        "ppdenoise_loop_age_seconds 1.5",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
    assert_eq!(metrics.lines().filter(|line| line.contains("127.0.0.1")).count(), 0, "{metrics}");
}

#[test]
fn a_status_is_judged_by_what_it_promised() {
    let shared = shared(false);
    after(&shared, &[linked()]);
    let status = shared.status(1_000_000_000_000);
    let (written, promised) = (1_000_000_000, 370);
    assert_eq!((status.unix_time, status.next_within_seconds), (written, promised));
    let told = |status: &Status, now| match judge(status, now) {
        Ok(()) => String::new(),
        Err(failure) => failure.to_string(),
    };
    for now in [written, written + promised, written - promised] {
        assert_eq!(told(&status, now), "");
    }
    let old = told(&status, written + promised + 1);
    assert!(old.contains("written 371 s ago") && old.contains("within 370 s"), "{old}");
    assert!(told(&status, written - promised - 1).contains("later than this machine's clock"));
    for (code, words) in [(0, "has stopped, as it was asked to"), (3, "with exit code 3")] {
        shared.state().ended(code);
        assert!(told(&shared.status(1_000_000_000_000), written).contains(words));
    }
}

#[test]
fn a_status_is_read_as_it_was_written_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("status.json");
    let shared = shared(true);
    shared.state().cloud(&CloudEvent::Alive(Busy::default()), 1);
    let status = shared.status(5000);
    write(&path, &status).unwrap();
    assert_eq!(show::read(&path).unwrap(), status);
    check_own(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for (other, words) in [
        ("".into(), "no status"),
        ("{}".into(), "missing field `schema`"),
        (text.replace("status.v1", "status.v9"), "its schema is 'ppdenoise.status.v9'"),
        (text.replace("\"process\"", "\"p\""), "missing field `process`"),
        (text.replace("serving", "resting"), "unknown variant `resting`"),
        ("x".repeat(1 << 21), "longer than 1048576 bytes"),
    ] {
        std::fs::write(&path, &other).unwrap();
        let refused = show::read(&path).unwrap_err().to_string();
        assert!(refused.contains(words) && refused.contains("help: give the file"), "{refused}");
        // What is empty may be written to.
        assert_eq!(check_own(&path).is_err(), !other.is_empty());
    }
    std::fs::remove_file(&path).unwrap();
    check_own(&path).unwrap();
}
