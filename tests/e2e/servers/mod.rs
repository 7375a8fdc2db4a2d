//! The two servers: sessions, slots, peers, failures.

mod config;
mod daemon;
mod failures;
mod gc;
mod kill;
mod kill_made;
mod made;
mod made_batches;
mod no_dealer;
mod one_time;
mod peers;
mod prepare;
mod serve_batch;
mod signals;
mod watch;
mod week;
mod wire;
