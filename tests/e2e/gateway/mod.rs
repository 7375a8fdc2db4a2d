//! What the gateway shares: images of every kind, with the notes that travel with them.

mod again;
mod averages;
mod batch;
mod colours;
mod dicom;
mod inputs;
mod noise;
mod parts;
mod range;
mod sizes;
mod studies;
mod tiles;
mod values;
