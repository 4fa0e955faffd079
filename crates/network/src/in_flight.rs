//! Records in flight: elements of a channel that a barrier has overtaken, as bytes.
//!
//! They become part of an unaligned checkpoint and are processed after a restore before anything
//! new. Layout: element after element, each a tag (0 batch, 1 control), the length of its content
//! as `u32` little endian, and the content: a batch as on the wire, a control element in the record
//! codec.
//!
//! Deliberately left out: barriers, which belong to no later run, latency markers, and the end of
//! input, which the producer sends again.

use hurtig_types::{
    BoxedPayload, CodecError, FlowError, FlowResult, codec, element::ControlElement,
};

use crate::subpartition::Item;

const BATCH: u8 = 0;
const CONTROL: u8 = 1;
const HEADER_BYTES: usize = 5;

/// One element that was in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InFlightElement {
    /// An encoded batch.
    Batch(Vec<u8>),
    /// A watermark or a status.
    Control(ControlElement),
}

/// Bytes that are no elements in flight.
#[derive(Debug, thiserror::Error)]
pub enum InFlightError {
    /// They end within an element.
    #[error("the records in flight are cut off at byte {0}")]
    CutOff(usize),
    /// No such kind of element.
    #[error("there are no elements of kind {0} in flight")]
    Kind(u8),
    /// A control element that is never kept.
    #[error("{0:?} is never in flight")]
    Control(ControlElement),
    /// A control element that cannot be read.
    #[error("a control element in flight cannot be read")]
    Codec(#[from] CodecError),
}

/// Reserves the header; [`end`] fills it in.
fn begin(tag: u8, out: &mut Vec<u8>) -> usize {
    out.push(tag);
    out.extend_from_slice(&[0; 4]);
    out.len()
}

fn end(start: usize, out: &mut [u8]) -> FlowResult {
    let length = u32::try_from(out.len() - start)
        .map_err(|_| FlowError::fatal("a batch in flight is longer than 4 GiB"))?;
    out[start - 4..start].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Appends a batch.
pub fn put_batch(batch: &BoxedPayload, out: &mut Vec<u8>) -> FlowResult {
    let start = begin(BATCH, out);
    batch.encode(out)?;
    end(start, out)
}

/// Appends a batch that is encoded already.
pub fn put_encoded(payload: &[u8], out: &mut Vec<u8>) -> FlowResult {
    let start = begin(BATCH, out);
    out.extend_from_slice(payload);
    end(start, out)
}

/// Appends a control element, if it is one that is kept.
pub fn put_control(control: &ControlElement, out: &mut Vec<u8>) -> FlowResult {
    if matches!(control, ControlElement::Watermark(_) | ControlElement::Status(_)) {
        let content = codec::encode(control)?;
        let start = begin(CONTROL, out);
        out.extend_from_slice(&content);
        end(start, out)?;
    }
    Ok(())
}

pub(crate) fn put_item(item: &Item, out: &mut Vec<u8>) -> FlowResult {
    match item {
        Item::Batch { batch, .. } => put_batch(batch, out),
        Item::Encoded { payload, .. } => put_encoded(payload, out),
        Item::Control(control) => put_control(control, out),
    }
}

/// The elements of a file, in order.
///
/// # Errors
/// If the bytes are not what the functions above write.
pub fn decode(bytes: &[u8]) -> Result<Vec<InFlightElement>, InFlightError> {
    let mut elements = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let cut_off = InFlightError::CutOff(bytes.len() - rest.len());
        let Some(([tag, length @ ..], content)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Err(cut_off);
        };
        let length = u32::from_le_bytes(*length) as usize;
        let Some((content, behind)) = content.split_at_checked(length) else {
            return Err(cut_off);
        };
        elements.push(match *tag {
            BATCH => InFlightElement::Batch(content.to_vec()),
            CONTROL => match codec::decode(content)? {
                kept @ (ControlElement::Watermark(_) | ControlElement::Status(_)) => {
                    InFlightElement::Control(kept)
                }
                other => return Err(InFlightError::Control(other)),
            },
            tag => return Err(InFlightError::Kind(tag)),
        });
        rest = behind;
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use hurtig_types::{Batch, StreamStatus, Watermark};
    use proptest::prelude::*;

    use super::*;

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        put_batch(&Batch::new(vec![1u64, 2]).boxed(), &mut bytes).unwrap();
        put_control(&ControlElement::Watermark(Watermark(7)), &mut bytes).unwrap();
        put_control(&ControlElement::EndOfInput, &mut bytes).unwrap();
        put_encoded(b"abc", &mut bytes).unwrap();
        put_control(&ControlElement::Status(StreamStatus::Idle), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn elements_are_read_as_written_without_the_end_of_input() {
        let elements = decode(&written()).unwrap();
        let InFlightElement::Batch(first) = &elements[0] else { panic!("{elements:?}") };
        assert_eq!(Batch::<u64>::decode(first).unwrap().values, [1, 2]);
        assert_eq!(
            elements[1..],
            [
                InFlightElement::Control(ControlElement::Watermark(Watermark(7))),
                InFlightElement::Batch(b"abc".to_vec()),
                InFlightElement::Control(ControlElement::Status(StreamStatus::Idle)),
            ]
        );
    }

    #[test]
    fn a_barrier_in_a_file_is_refused() {
        let mut bytes = vec![CONTROL];
        let content = codec::encode(&ControlElement::EndOfInput).unwrap();
        bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&content);
        assert!(decode(&bytes).unwrap_err().to_string().contains("never in flight"));
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_an_error_or_other_elements(
            cut in 0..60usize, at in 0..60usize, value: u8,
        ) {
            let mut bytes = written();
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _ = decode(&bytes);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
