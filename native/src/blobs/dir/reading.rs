//! A blob on its way out: an open file, which goes on serving whatever becomes of its name, read as the client takes it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use futures::stream;
use portico_core::http::body::{Body, BodyError};
use portico_core::ports::blobs::{Blob, BlobError, BlobInfo, BlobKey, ByteRange};
use portico_core::ports::blobs_ext::positions;

use super::{Folder, blocking, record, unavailable};

/// How much is read at once; what is no longer than this is read on opening.
const CHUNK_BYTES: u64 = 128 * 1024;

pub(super) async fn head(folder: &Folder, key: &BlobKey) -> Result<Option<BlobInfo>, BlobError> {
    let (key, path) = (key.clone(), folder.blob(key));
    blocking(move || Ok(open(&path, &key)?.map(|(_, info)| info))).await
}

pub(super) async fn get(
    folder: &Folder,
    key: &BlobKey,
    range: Option<ByteRange>,
) -> Result<Option<Blob>, BlobError> {
    let (key, path) = (key.clone(), folder.blob(key));
    blocking(move || {
        let Some((file, info)) = open(&path, &key)? else { return Ok(None) };
        let range = positions(range, info.length)?;
        let body = Part::new(file, range.start, range.end - range.start)
            .and_then(Part::into_body)
            .map_err(unavailable("a file cannot be read"))?;
        Ok(Some(Blob { info, body }))
    })
    .await
}

fn open(path: &Path, key: &BlobKey) -> Result<Option<(File, BlobInfo)>, BlobError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable("a file cannot be opened")(error)),
    };
    let info = record::read(&mut file, key).map_err(|error| {
        if error.kind() == io::ErrorKind::InvalidData {
            tracing::error!(%key, path = %path.display(), "a file is damaged: restore it from a backup");
        }
        unavailable("a file's record cannot be read")(error)
    })?;
    Ok(Some((file, info)))
}

/// What is left to read of a file, from where it stands.
struct Part {
    file: File,
    left: u64,
}

impl Part {
    fn new(mut file: File, start: u64, length: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { file, left: length })
    }

    fn into_body(mut self) -> io::Result<Body> {
        if self.left <= CHUNK_BYTES {
            return Ok(Body::from(self.read_chunk()?));
        }
        let chunks = stream::try_unfold(self, |part| async {
            if part.left == 0 {
                return Ok(None);
            }
            let read = blocking(move || {
                let mut part = part;
                let chunk = part.read_chunk().map_err(unavailable("a file cannot be read"))?;
                Ok(Some((chunk, part)))
            });
            read.await.map_err(|error| {
                tracing::error!(%error, "a download broke off");
                BodyError::new(error.to_string())
            })
        });
        Ok(Body::stream(chunks))
    }

    fn read_chunk(&mut self) -> io::Result<Bytes> {
        let length = self.left.min(CHUNK_BYTES);
        // A chunk is no longer than a constant that fits.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        (&self.file).take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= length;
        Ok(bytes.into())
    }
}
