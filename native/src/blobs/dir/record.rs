//! What stands behind a blob's bytes in its file: a JSON object, its length in four bytes, and a mark.
//!
//! It can only be written when the bytes are known, and who reads the bytes need not skip it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use portico_core::ports::blobs::{BlobInfo, BlobKey};
use serde::{Deserialize, Serialize};

/// Ends each file, and tells the version of this format.
const MARK: [u8; 8] = *b"portico1";

/// The length of the object, big-endian, and the mark.
const FOOTER_BYTES: usize = 4 + MARK.len();

/// Records are short; a length beyond this is damage.
const MAX_OBJECT_BYTES: usize = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    key: String,
    content_type: String,
    length: u64,
    sha256: Option<String>,
}

/// The record of a blob.
pub(super) fn encode(key: &BlobKey, info: &BlobInfo) -> io::Result<Vec<u8>> {
    let record = Record {
        key: key.as_str().to_owned(),
        content_type: info.content_type.clone(),
        length: info.length,
        sha256: info.sha256.map(|hash| super::hex(&hash)),
    };
    let mut bytes = serde_json::to_vec(&record)?;
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the media type is too long"));
    }
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&MARK);
    Ok(bytes)
}

/// Reads a file's record.
///
/// # Errors
/// `InvalidData` when the file is not, or not any more, what was written under this key.
pub(super) fn read(file: &mut File, key: &BlobKey) -> io::Result<BlobInfo> {
    let size = file.metadata()?.len();
    let footer_at = size.checked_sub(FOOTER_BYTES as u64).ok_or_else(damaged)?;
    let footer: [u8; FOOTER_BYTES] =
        read_at(file, footer_at, FOOTER_BYTES)?.try_into().map_err(|_| damaged())?;
    let ([a, b, c, d], mark) = split(footer);
    let object_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
    if mark != MARK || object_bytes > MAX_OBJECT_BYTES {
        return Err(damaged());
    }
    let length = footer_at.checked_sub(object_bytes as u64).ok_or_else(damaged)?;
    let record: Record =
        serde_json::from_slice(&read_at(file, length, object_bytes)?).map_err(|_| damaged())?;
    if record.key != key.as_str() || record.length != length {
        return Err(damaged());
    }
    let hash =
        record.sha256.map(|text| base16ct::lower::decode_vec(text).map_err(|_| damaged())).transpose()?;
    let sha256 = hash.map(|hash| hash.try_into().map_err(|_| damaged())).transpose()?;
    Ok(BlobInfo { length, content_type: record.content_type, sha256 })
}

fn split(footer: [u8; FOOTER_BYTES]) -> ([u8; 4], [u8; 8]) {
    let [a, b, c, d, mark @ ..] = footer;
    ([a, b, c, d], mark)
}

fn read_at(file: &mut File, position: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(position))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is damaged: restore it from a backup")
}
