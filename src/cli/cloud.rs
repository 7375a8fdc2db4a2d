//! `cloud` and `add-client`: one cloud for many users.

use super::args::cloud::{AddClient, Cloud};
use super::daemon::{About, Daemon};
use super::failure::Failure;
use super::output::{Console, bytes, print_json, print_json_line, say, say_failure};
use super::server_side::heed_signals;
use crate::files::Place;
use crate::files::keys::KeyFolder;
use crate::ids::{Party, Role};
use crate::material::pair::divergence_of;
use crate::model::PublicModel;
use crate::roles::one_cloud::{
    Clients, Cloud as Server, CloudEvent, Crowd, NewClient, Pace, SessionReport, Settings, exposure,
};
use crate::roles::read_public;
use crate::roles::server::{MakePaths, description_beside};
use crate::size::Size;
use crate::wire::{Limits, Listener};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A user of a cloud.
#[derive(Serialize, JsonSchema)]
pub(super) struct Added<'a> {
    /// The user's name.
    client: &'a str,
    /// Fingerprint of the user's key.
    key: String,
    /// Id of the sharing.
    model_id: String,
    #[serde(flatten)]
    settings: Settings,
    /// Images of 512x512 until results stop (docs/one-cloud.md); null if there is no limit, or the
    /// model takes no such images.
    images_in_bound: Option<f64>,
}

pub(super) fn add(args: &AddClient, console: &Console) -> Result<(), Failure> {
    let keys = KeyFolder::open(&args.keys)?;
    let own = keys.secret(Role::Server0, &|file: &Path| args.unlock.passphrase(file))?;
    let model_owner = keys.public(Role::ModelOwner)?;
    let public = args.public.as_ref().map_or_else(|| description_beside(&args.model), Place::from);
    let paths = MakePaths::new(&args.model, public);
    let settings = Settings {
        images_a_day: args.images_a_day,
        images_in_all: args.images_in_all,
        advantage_bits: args.advantage_bits,
        material_bytes: args.material * 1_000_000_000,
    };
    let clients = Clients::open(&args.clients)?;
    let new = NewClient { name: &args.name, instead_of: args.instead_of.as_deref() };
    let client = clients.add(new, &args.key, &paths, &own, &model_owner, settings)?;
    let public = read_public(&paths.public)?;
    let key = client.key.fingerprint();
    console.note(format!(
        "user {}, key {key}, with model {}: {} image(s) a day, {} of material",
        client.name,
        public.facts.model_id,
        settings.images_a_day,
        bytes(settings.material_bytes)
    ));
    let images_in_bound = told(&public.model, settings.advantage_bits, console);
    if args.json {
        let report = Added {
            client: &client.name,
            key: key.to_string(),
            model_id: public.facts.model_id.to_string(),
            settings,
            images_in_bound,
        };
        print_json(&report)?;
    }
    Ok(())
}

/// Tells how much results may tell, for images of 512x512; nothing if there is no limit, or the model takes none.
fn told(public: &PublicModel, bits: u32, console: &Console) -> Option<f64> {
    let images = divergence_of(bits) / exposure(public, Size::new(512, 512)).ok()?;
    if bits > 0 {
        console.note(format!(
            "after {images:.0} image(s) of 512x512, or as many of other sizes as tell as much, their results \
             may tell of the cloud's secrets with an advantage of 2^-{bits}: no more slots are made then, until \
             the model is shared anew"
        ));
    }
    (bits > 0).then_some(images)
}

pub(super) fn run(args: &Cloud, console: &mut Console) -> Result<(), Failure> {
    let failed = |e| Failure::failed(format!("cannot start the compute threads: {e}"));
    // Sessions are threads of their own; what they compute, they compute together.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.number().get());
    pool.build_global().map_err(failed)?;
    let stop = Arc::new(AtomicBool::new(false));
    let silence = Duration::from_secs(args.timeout);
    let crowd = Crowd {
        sessions: usize::from(args.sessions),
        at_work: usize::from(args.at_work),
        pace: Pace { line_mbit: args.slowest_line, grace: silence },
    };
    let clients = Clients::open(&args.clients)?;
    let ask = |file: &Path| args.unlock.passphrase(file);
    let cloud = Server::open(&args.keys, &ask, clients, crowd, Arc::clone(&stop))?;
    heed_signals(&stop)?;
    let about = About {
        command: "cloud",
        party: Party::S0,
        state: args.clients.clone(),
        out: None,
        // Sessions are threads of their own: its loop waits for nobody.
        silence: Duration::ZERO,
        has_users: true,
    };
    let daemon = Mutex::new(Daemon::begin(&args.watched, about, args.json, &stop)?);
    let result = serve(args, &cloud, &daemon, console);
    let daemon = daemon.into_inner().unwrap_or_else(PoisonError::into_inner);
    daemon.end(&result);
    result
}

/// Serves to the end.
fn serve(
    args: &Cloud,
    cloud: &Server,
    daemon: &Mutex<Daemon>,
    console: &Console,
) -> Result<(), Failure> {
    let listener = Listener::bind(&args.listen)?;
    // Scripts that listen at port 0 read this line, so it is printed even when quiet.
    say(&format!("listening at {}", listener.address()));
    let limits = Limits::new(Duration::ZERO, Duration::from_secs(args.timeout));
    let (json, quiet) = (args.json, console.is_quiet());
    cloud.run(&listener, limits, &|event| {
        let mut daemon = daemon.lock().unwrap_or_else(PoisonError::into_inner);
        daemon.cloud(&event);
        // From the loop alone: sessions that end are no sign that it goes on.
        let line = match event {
            CloudEvent::Alive(_) => daemon.goes_on(),
            _ => None,
        };
        drop(daemon);
        tell(event, line, json, quiet);
    })?;
    console.note("ended");
    Ok(())
}

/// One line, whatever happens, and the heartbeat.
fn tell(event: CloudEvent<'_>, heartbeat: Option<String>, json: bool, quiet: bool) {
    let note = |text: String| {
        if !quiet {
            say(&text);
        }
    };
    heartbeat.into_iter().for_each(note);
    match event {
        CloudEvent::Alive(_) | CloudEvent::Came(_) => {}
        CloudEvent::Session(report) => {
            note(session(report));
            if json {
                // A log that nobody reads any more ends no session.
                let _ = print_json_line(report);
            }
        }
        CloudEvent::Stranger(text) => note(text),
        CloudEvent::BadClient(folder, error) => {
            say_failure(&Failure::from(error).about(&folder));
        }
        CloudEvent::Clients(count) => note(format!("{count} user(s) known")),
    }
}

fn session(report: &SessionReport) -> String {
    let SessionReport { client, seconds, seconds_at_work, slots_made, images, traffic, error } =
        report;
    let why = error.as_ref().map_or(String::new(), |e| format!("; ended early: {e}"));
    format!(
        "{client}: {images} image(s) denoised, {slots_made} slot(s) made, {seconds:.2} s, {seconds_at_work:.2} s of \
         it at work, {} sent, {} received{why}",
        bytes(traffic.bytes_sent),
        bytes(traffic.bytes_received)
    )
}
