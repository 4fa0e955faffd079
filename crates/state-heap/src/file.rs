//! The content of keyed state files: blocks, each with the state that it is of.
//!
//! ```text
//! file    = record*
//! record  = 0 StateMeta            declares the next state; states are numbered from 0
//!         | 1 BlockHeader bytes    a block of a declared state
//! ```
//! Header and description are in the record codec. Length, checksum and version are the storage's,
//! which has checked them before anything is read here; all the same nothing is believed.

use hurtig_types::{codec, codec::CodecError, snapshot::StateMeta};
use serde::{Deserialize, Serialize};

use crate::capture::{Block, BlockKind};

const DECLARE: u8 = 0;
const BLOCK: u8 = 1;

#[derive(Serialize, Deserialize)]
struct BlockHeader {
    state: u32,
    kind: BlockKind,
    key_group: u32,
    namespace: i64,
    count: u32,
    length: u32,
}

/// Writes one file, piece by piece.
#[derive(Debug, Default)]
pub struct CaptureWriter {
    declared: Vec<String>,
}

impl CaptureWriter {
    /// Appends the declaration of a state without anything of it, so that there is a file.
    pub fn declare(&mut self, meta: &StateMeta, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(DECLARE);
        codec::encode_into(meta, out)?;
        self.declared.push(meta.name.clone());
        Ok(())
    }

    /// Appends a block.
    pub fn append(
        &mut self,
        meta: &StateMeta,
        block: &Block,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let known = self.declared.iter().position(|name| *name == meta.name);
        let state = match known {
            Some(state) => state,
            None => {
                self.declare(meta, out)?;
                self.declared.len() - 1
            }
        };
        let length = u32::try_from(block.bytes.len()).map_err(|_| {
            CodecError::Malformed(format!("a block of state {:?} exceeds 4 GiB", meta.name))
        })?;
        let header = BlockHeader {
            state: state as u32,
            kind: block.kind,
            key_group: block.key_group,
            namespace: block.namespace,
            count: block.count,
            length,
        };
        out.push(BLOCK);
        codec::encode_into(&header, out)?;
        out.extend_from_slice(&block.bytes);
        Ok(())
    }
}

/// Calls `f` with each block of a file, in order.
pub fn read_blocks(
    bytes: &[u8],
    mut f: impl FnMut(&StateMeta, Block) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let total = bytes.len();
    let mut rest = bytes;
    let mut states: Vec<StateMeta> = Vec::new();
    while let Some((kind, behind)) = rest.split_first() {
        let at = total - rest.len();
        match *kind {
            DECLARE => {
                let (meta, behind) = codec::decode_prefix(behind, total)?;
                states.push(meta);
                rest = behind;
            }
            BLOCK => {
                let (header, behind) = codec::decode_prefix::<BlockHeader>(behind, total)?;
                let malformed = |what: &str| CodecError::Malformed(format!("{what} at byte {at}"));
                let meta = states.get(header.state as usize);
                let meta = meta.ok_or_else(|| malformed("a block of an undeclared state"))?;
                let length = header.length as usize;
                if length > behind.len() {
                    return Err(malformed("a block is longer than the file"));
                }
                let (content, behind) = behind.split_at(length);
                let block = Block {
                    key_group: header.key_group,
                    kind: header.kind,
                    namespace: header.namespace,
                    count: header.count,
                    bytes: content.to_vec(),
                };
                f(meta, block)?;
                rest = behind;
            }
            other => {
                return Err(CodecError::Malformed(format!("record kind {other} at byte {at}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::keyed_state_meta;
    use hurtig_types::snapshot::StateKind;

    fn file() -> (Vec<u8>, Vec<(StateMeta, Block)>) {
        let (a, b) = (
            keyed_state_meta::<u8, u8>("a", StateKind::Value),
            keyed_state_meta::<u8, String>("b", StateKind::List),
        );
        let block = |key_group, namespace, bytes: &[u8]| Block {
            key_group,
            kind: BlockKind::Entries,
            namespace,
            count: 2,
            bytes: bytes.to_vec(),
        };
        let blocks = vec![
            (a.clone(), block(1, 0, &[1, 2, 3])),
            (b, block(9, -5, &[])),
            (a, block(2, 7, &[4; 100])),
        ];
        let (mut writer, mut bytes) = (CaptureWriter::default(), Vec::new());
        for (meta, block) in &blocks {
            writer.append(meta, block, &mut bytes).unwrap();
        }
        (bytes, blocks)
    }

    #[test]
    fn blocks_are_read_as_they_were_written() {
        let (bytes, blocks) = file();
        let mut read = Vec::new();
        read_blocks(&bytes, |meta, block| {
            read.push((meta.clone(), block));
            Ok(())
        })
        .unwrap();
        assert_eq!(read, blocks);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            at in any::<prop::sample::Index>(),
            flip in 1u8..,
            cut in any::<prop::sample::Index>(),
        ) {
            let _ = read_blocks(&noise, |_, _| Ok(()));
            let (mut bytes, _) = file();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            bytes.truncate(cut.index(bytes.len() + 1));
            let _ = read_blocks(&bytes, |_, _| Ok(()));
        }
    }
}
