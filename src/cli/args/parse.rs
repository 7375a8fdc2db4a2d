//! Values of flags, and what is said of those that do not go together.

use crate::cli::failure::{Code, Failure};
use crate::cli::files::is_stream;
use crate::ids::Role;
use crate::image::Average;
use crate::kernels::Backend;
use crate::numbers::tanh::TanhStandIn;
use crate::size::Size;
use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;

/// A name for what does not go to standard output.
pub(crate) fn named() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if is_stream(&path) {
            Err("nothing here goes to standard output; give a name")
        } else {
            Ok(path)
        }
    })
}

pub(crate) fn parse_role(text: &str) -> Result<Role, String> {
    let roles = Role::ALL.map(Role::stem).join(", ");
    Role::from_stem(text).ok_or_else(|| format!("expected one of {roles}"))
}

pub(crate) fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (0.01..=1000.0).contains(&v) => Ok(v),
        _ => Err("expected a number from 0.01 to 1000".into()),
    }
}

/// HOST:PORT; whether there is such a host is seen when it is needed.
pub(crate) fn parse_address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match parts.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Ok(text.into()),
        _ => Err("expected HOST:PORT, such as 127.0.0.1:7000".into()),
    }
}

/// As [`parse_address`], and nobody listens at port 0.
pub(crate) fn parse_peer(text: &str) -> Result<String, String> {
    match parse_address(text)? {
        address if address.ends_with(":0") => {
            Err("give the port that the other server listens at".into())
        }
        address => Ok(address),
    }
}

/// A rate or another small positive number.
#[cfg(feature = "train")]
pub(crate) fn parse_stepsize(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (1e-9..=1e6).contains(&v) => Ok(v),
        _ => Err("expected a number from 1e-9 to 1000000".into()),
    }
}

pub(crate) fn parse_size(text: &str) -> Result<Size, String> {
    let parse = || {
        let (h, w) = text.split_once('x')?;
        let (h, w) = (h.parse::<usize>().ok()?, w.parse::<usize>().ok()?);
        (h > 0 && w > 0).then_some(Size::new(h, w))
    };
    parse().ok_or_else(|| "expected HEIGHTxWIDTH, for instance 512x512".into())
}

/// A size, and a number of images behind a colon.
pub(crate) fn parse_sizes(text: &str) -> Result<(Size, Option<u64>), String> {
    let (size, images) = match text.split_once(':') {
        Some((size, images)) => (size, Some(images)),
        None => (text, None),
    };
    let images = images.map(|images| match images.parse::<u64>() {
        Ok(images) if (1..=1_000_000).contains(&images) => Ok(images),
        _ => Err("expected a number of images from 1 to 1000000 behind the colon".to_string()),
    });
    Ok((parse_size(size)?, images.transpose()?))
}

pub(crate) fn parse_activation(text: &str) -> Result<TanhStandIn, String> {
    TanhStandIn::from_name(text).map_err(|e| e.to_string())
}

pub(crate) fn goes_with(flag: &str, other: &str) -> Failure {
    Failure::new(Code::Usage, format!("{flag} goes with {other}"))
        .help(format!("add {other}, or leave {flag} away"))
}

/// A backend by its name; help and completions list the names.
pub(crate) fn backends() -> impl TypedValueParser<Value = Backend> {
    let named = |name: String| Backend::ALL.into_iter().find(|backend| backend.name() == name);
    PossibleValuesParser::new(Backend::ALL.map(Backend::name))
        .map(move |name| named(name).expect("a name of the list"))
}

/// An average by how many orientations it is of; help and completions list the numbers.
pub(crate) fn averages() -> impl TypedValueParser<Value = Average> {
    const ALL: [(&str, Average); 3] =
        [("2", Average::Two), ("4", Average::Four), ("8", Average::Eight)];
    let named = |name: String| ALL.into_iter().find(|(listed, _)| *listed == name);
    PossibleValuesParser::new(ALL.map(|(name, _)| name))
        .map(move |name| named(name).expect("a number of the list").1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_or_refused() {
        assert!(parse_address("[::1]:0").is_ok() && parse_peer("host.example:7000").is_ok());
        for bad in ["localhost", "7000", ":7000", "host:", "host:70000", "host:-1"] {
            assert!(parse_address(bad).is_err() && parse_peer(bad).is_err(), "{bad}");
        }
        assert!(parse_peer("127.0.0.1:0").is_err());
    }

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(parse_size("480x640"), Ok(Size::new(480, 640)));
        assert_eq!(parse_sizes("9x8:3"), Ok((Size::new(9, 8), Some(3))));
        assert_eq!(parse_sizes("9x8"), Ok((Size::new(9, 8), None)));
        assert!(["9x8:", "9x8:0", "9x8:1000001", "9:8x3"].iter().all(|t| parse_sizes(t).is_err()));
        assert!(parse_size("480").is_err() && parse_size("0x4").is_err());
        assert!(parse_positive("nan").is_err() && parse_positive("-1").is_err());
    }
}
