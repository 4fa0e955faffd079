//! What travels: names of headers, the version, the message frame, errors.
//!
//! A request is one gRPC message with the arguments' tuple, an answer one with the result, both in
//! the record codec. That codec does not describe itself, so only builds of the same version may
//! talk: the version is a header of every request.

use bytes::{Buf, Bytes};
use hurtig_cluster_api::{FencingToken, RpcError};
use serde::{Deserialize, Serialize};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// The version that both sides must have: the release, and the form of what travels.
pub const PROTOCOL_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "/1");

/// Header: the sender's version.
pub(crate) const VERSION_HEADER: &str = "hurtig-version";
/// Header: the export that is called.
pub(crate) const EXPORT_HEADER: &str = "hurtig-export";
/// Header: the fencing token that the sender believes in.
pub(crate) const TOKEN_HEADER: &str = "hurtig-fencing-token";
/// All methods are below this path: `/hurtig.<gateway>/<method>`.
pub(crate) const PATH_PREFIX: &str = "/hurtig.";
/// Bytes of a message's frame: a flag and the length.
pub(crate) const FRAME_HEADER_BYTES: usize = 5;

/// [`RpcError`] as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WireError {
    Unreachable { role: String, reason: String },
    Fenced { got: FencingToken, current: FencingToken },
    NotFound(String),
    Rejected(String),
    Timeout(u64),
}

impl From<RpcError> for WireError {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Unreachable { role, reason } => {
                Self::Unreachable { role: role.to_owned(), reason }
            }
            RpcError::Fenced { got, current } => Self::Fenced { got, current },
            RpcError::NotFound(what) => Self::NotFound(what),
            RpcError::Rejected(why) => Self::Rejected(why),
            RpcError::Timeout(ms) => Self::Timeout(ms),
        }
    }
}

impl WireError {
    /// The error as the caller of a gateway of `role` sees it.
    pub(crate) fn seen_from(self, role: &'static str) -> RpcError {
        match self {
            Self::Unreachable { role: whose, reason } if whose == role => {
                RpcError::Unreachable { role, reason }
            }
            Self::Unreachable { role: whose, reason } => {
                RpcError::Unreachable { role, reason: format!("{whose} is not: {reason}") }
            }
            Self::Fenced { got, current } => RpcError::Fenced { got, current },
            Self::NotFound(what) => RpcError::NotFound(what),
            Self::Rejected(why) => RpcError::Rejected(why),
            Self::Timeout(ms) => RpcError::Timeout(ms),
        }
    }
}

/// Messages are bytes that are encoded and decoded elsewhere, where an error has a name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        use bytes::BufMut;
        dst.reserve(item.len());
        dst.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_the_way_and_a_third_party_is_named() {
        let errors = [
            RpcError::Unreachable { role: "JobMaster", reason: "it has ended".to_owned() },
            RpcError::Fenced { got: FencingToken(3), current: FencingToken(4) },
            RpcError::NotFound("job".to_owned()),
            RpcError::Rejected("no".to_owned()),
            RpcError::Timeout(7),
        ];
        for error in errors {
            let bytes = hurtig_types::codec::encode(&WireError::from(error.clone())).unwrap();
            let back: WireError = hurtig_types::codec::decode(&bytes).unwrap();
            assert_eq!(back.seen_from("JobMaster"), error);
        }
        let other = RpcError::Unreachable { role: "JobMaster", reason: "gone".to_owned() };
        let seen = WireError::from(other).seen_from("Dispatcher");
        assert_eq!(seen.to_string(), "Dispatcher is not reachable: JobMaster is not: gone");
    }
}
