//! What to do when images cannot be shared.

use super::keys::of_role;
use super::unfit;
use super::{Code, Failure};
use crate::ids::Role;
use crate::model::Clamping;
use crate::roles::GatewayError;

/// Whose public keys the gateway needs.
const SERVERS: [Role; 2] = [Role::Server0, Role::Server1];

impl From<GatewayError> for Failure {
    fn from(e: GatewayError) -> Self {
        let (code, help) = match e {
            GatewayError::About { file, error } => return Failure::from(*error).about(&file),
            GatewayError::Format(e) => return e.into(),
            GatewayError::Picture(e) => return e.into(),
            GatewayError::Image(e) => return e.into(),
            GatewayError::Network(e) => return e.into(),
            GatewayError::Keys(e) => return of_role(e, Role::Gateway, &SERVERS),
            GatewayError::Unfit { unfit: e, clamping } => {
                let but = match clamping {
                    Clamping::Never => "leave --strict away",
                    _ => "add --clamp to share what is left of them",
                };
                return Failure::of(
                    Code::Input,
                    &e,
                    Some(format!("{}, or {but}", unfit::of_gateway(&e))),
                );
            }
            GatewayError::Colour => {
                let help =
                    "add --color to share each channel, or convert it to grayscale first".into();
                (Code::Input, help)
            }
            GatewayError::ColourWithoutNote
            | GatewayError::TilesWithoutNote
            | GatewayError::AverageWithoutNote => {
                (Code::Usage, "put the receiver's receiver.pub into the --keys folder".into())
            }
            GatewayError::FramesInTiles { side, .. } => {
                (Code::Usage, format!("leave --tile away, or give --tile {side}"))
            }
            GatewayError::ListTooLong { .. } => (
                Code::Input,
                "share into another folder, or remove the list: then every image is shared again"
                    .into(),
            ),
            GatewayError::EstimateInTiles => {
                let text = "--sigma auto does not go with --tile: a noise level is told of the whole \
                            image, which is never there at once";
                let help = "estimate it on a part of the image, as `denoise --sigma auto` tells it";
                return Failure::new(Code::Usage, text).help(help);
            }
        };
        Failure::of(code, &e, Some(help))
    }
}
