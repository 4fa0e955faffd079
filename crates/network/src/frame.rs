//! Frames on a connection.
//!
//! ```text
//! frame   = length u32 (of what follows) | kind u8 | body
//! data    = channel u32 | sequence u32 | backlog u64 | encoded batch
//! others  = one postcard value of `Message`
//! ```
//! A message is at most [`MAX_MESSAGE_BYTES`] long, whatever the limit for records is.
//! Integers are little-endian. A channel's number is chosen by its consumer, so frames to a
//! producer (request, credit, cancel) and frames to a consumer (data, control, error) never clash.

use bytes::{Buf, BytesMut};
use hurtig_cluster_api::PeerAddress;
use hurtig_types::{ResourceId, ResultPartitionId, codec, element::ControlElement};
use serde::{Deserialize, Serialize};

/// First bytes of a connection: proof that the peer speaks this protocol.
pub const MAGIC: u32 = 0x4855_5254;
/// Version of the protocol; peers of different versions refuse each other.
pub const VERSION: u16 = 1;
/// Bytes before the body of a data frame: length, kind, channel, sequence, backlog.
pub const DATA_HEADER_BYTES: usize = 4 + 1 + 4 + 4 + 8;

/// Longest message.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;

const KIND_MESSAGE: u8 = 0;
const KIND_DATA: u8 = 1;

/// A frame without records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The first frame of the side that dials.
    Hello {
        /// [`MAGIC`].
        magic: u32,
        /// [`VERSION`].
        version: u16,
        /// Who dials, and where it listens.
        from: PeerAddress,
        /// Who is meant.
        to: ResourceId,
    },
    /// The answer: whether this connection is used.
    HelloAnswer {
        /// False if the answering side dials itself and its dial has precedence.
        accepted: bool,
    },
    /// A consumer asks for a subpartition.
    PartitionRequest {
        /// The consumer's number for the channel.
        channel: u32,
        /// The partition.
        partition: ResultPartitionId,
        /// Which subpartition.
        subpartition: u32,
        /// Credit to begin with, in bytes.
        credit_bytes: u64,
    },
    /// A consumer grants credit.
    AddCredit {
        /// The channel.
        channel: u32,
        /// How much, in bytes.
        bytes: u64,
    },
    /// A consumer needs nothing more.
    CancelChannel {
        /// The channel.
        channel: u32,
    },
    /// A producer sends a control element.
    Control {
        /// The channel.
        channel: u32,
        /// Number of the element in the channel, together with data frames.
        sequence: u32,
        /// The element.
        element: ControlElement,
    },
    /// A producer cannot go on.
    ChannelError {
        /// The channel.
        channel: u32,
        /// Why.
        reason: String,
    },
}

/// A frame as it was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// No records.
    Message(Message),
    /// Records.
    Data {
        /// The channel.
        channel: u32,
        /// Number of the element in the channel.
        sequence: u32,
        /// Bytes that are queued behind it at the producer.
        backlog: u64,
        /// The encoded batch: a part of the buffer that was read from, to be copied and dropped.
        payload: BytesMut,
    },
}

/// Bytes that are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is beyond the limit.
    #[error("a frame of {len} bytes is larger than the limit of {max} bytes")]
    TooLarge {
        /// Declared length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The body is not what the kind says.
    #[error("malformed frame: {0}")]
    Malformed(String),
}

/// Appends a message.
pub fn write_message(message: &Message, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(KIND_MESSAGE);
    codec::encode_into(message, out).map_err(|e| FrameError::Malformed(e.to_string()))?;
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// Appends the header of a data frame whose payload of `payload_len` bytes is written next.
pub fn write_data_header(
    channel: u32,
    sequence: u32,
    backlog: u64,
    payload_len: usize,
    out: &mut Vec<u8>,
) {
    let len = (DATA_HEADER_BYTES - 4 + payload_len) as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out.push(KIND_DATA);
    out.extend_from_slice(&channel.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&backlog.to_le_bytes());
}

/// Takes one frame off the front of `buffer`, or says that more bytes are needed.
pub fn read_frame(buffer: &mut BytesMut, max_bytes: usize) -> Result<Option<Frame>, FrameError> {
    let Some(head) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let len = u32::from_le_bytes(*head) as usize;
    if len > max_bytes {
        return Err(FrameError::TooLarge { len, max: max_bytes });
    }
    if len > MAX_MESSAGE_BYTES && buffer.get(4) == Some(&KIND_MESSAGE) {
        return Err(FrameError::TooLarge { len, max: MAX_MESSAGE_BYTES });
    }
    if buffer.len() < 4 + len {
        // Nothing is reserved for a length that was only declared.
        return Ok(None);
    }
    buffer.advance(4);
    let mut body = buffer.split_to(len);
    if body.is_empty() {
        return Err(FrameError::Malformed("empty frame".to_owned()));
    }
    match body.get_u8() {
        KIND_MESSAGE => codec::decode(&body)
            .map(|message| Some(Frame::Message(message)))
            .map_err(|e| FrameError::Malformed(e.to_string())),
        KIND_DATA if body.len() >= DATA_HEADER_BYTES - 5 => {
            let channel = body.get_u32_le();
            let sequence = body.get_u32_le();
            let backlog = body.get_u64_le();
            Ok(Some(Frame::Data { channel, sequence, backlog, payload: body }))
        }
        KIND_DATA => Err(FrameError::Malformed("data frame without header".to_owned())),
        kind => Err(FrameError::Malformed(format!("unknown kind {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_round_trip_in_pieces() {
        let mut bytes = Vec::new();
        let message = Message::AddCredit { channel: 7, bytes: 9 };
        write_message(&message, &mut bytes).unwrap();
        write_data_header(3, 1, 99, 5, &mut bytes);
        bytes.extend_from_slice(b"hello");
        let mut buffer = BytesMut::new();
        let mut frames = Vec::new();
        for byte in bytes {
            buffer.extend_from_slice(&[byte]);
            frames.extend(read_frame(&mut buffer, 100).unwrap());
        }
        assert_eq!(frames[0], Frame::Message(message));
        let payload = BytesMut::from(&b"hello"[..]);
        assert_eq!(frames[1], Frame::Data { channel: 3, sequence: 1, backlog: 99, payload });
    }

    #[test]
    fn oversized_and_malformed_frames_are_errors() {
        let read = |bytes: &[u8]| read_frame(&mut BytesMut::from(bytes), 100);
        assert!(matches!(read(&[0xff; 9]), Err(FrameError::TooLarge { max: 100, .. })));
        let long_message = [0, 0, 2, 0, KIND_MESSAGE];
        assert!(matches!(
            read_frame(&mut BytesMut::from(&long_message[..]), 1 << 30),
            Err(FrameError::TooLarge { max: MAX_MESSAGE_BYTES, .. })
        ));
        assert!(read(&[0, 0, 0, 0]).is_err());
        assert!(read(&[1, 0, 0, 0, 9]).unwrap_err().to_string().contains("unknown kind 9"));
        assert!(read(&[2, 0, 0, 0, 1, 0]).unwrap_err().to_string().contains("without header"));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = read_frame(&mut buffer, 1000) {}
        }
    }
}
