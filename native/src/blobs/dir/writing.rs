//! A blob on its way in: to a temporary file, buffer by buffer, then on the disk, then in place.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use portico_core::http::body::Body;
use portico_core::ports::blobs::{BlobError, BlobInfo, BlobKey, PutTerms};
use portico_core::ports::blobs_ext::{Intake, exists, next_piece};
use tempfile::NamedTempFile;

use super::{Folder, blocking, record, unavailable};
use crate::files::sync_dir;

/// How much is gathered before it is written. Nothing more is received meanwhile, so that a slow disk slows the client.
const BUFFER_BYTES: usize = 256 * 1024;

pub(super) async fn put(
    folder: &Folder,
    key: &BlobKey,
    terms: &PutTerms,
    mut body: Body,
) -> Result<BlobInfo, BlobError> {
    let (intake, incoming, path) = (Intake::new(terms)?, folder.incoming(), folder.blob(key));
    let place = if terms.only_if_absent { Place::Free(path) } else { Place::Any(path) };
    let mut partial = blocking(move || Partial::create(&incoming, intake, place)).await?;
    let mut buffer = BytesMut::new();
    let received = loop {
        match fill(&mut body, &mut buffer).await {
            Ok(()) if buffer.is_empty() => break Ok(()),
            Ok(()) => (partial, buffer) = blocking(move || partial.append(buffer)).await?,
            Err(error) => break Err(error),
        }
    };
    let key = key.clone();
    // What was not received whole is removed when `partial` is dropped: there, too, where it may take its time.
    blocking(move || {
        received?;
        partial.publish(&key)
    })
    .await
}

/// Gathers pieces until there are enough of them, or no more.
async fn fill(body: &mut Body, buffer: &mut BytesMut) -> Result<(), BlobError> {
    while buffer.len() < BUFFER_BYTES {
        let Some(piece) = next_piece(body).await? else { break };
        buffer.extend_from_slice(&piece);
    }
    Ok(())
}

/// Where a file is to come.
enum Place {
    /// Here, whatever is there.
    Any(PathBuf),
    /// Here, if nothing is there.
    Free(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        let (Self::Any(path) | Self::Free(path)) = self;
        path
    }

    fn take(&self, file: NamedTempFile) -> Result<(), BlobError> {
        let placed = match self {
            Self::Any(path) => file.persist(path),
            Self::Free(path) => file.persist_noclobber(path),
        };
        placed.map(drop).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => unavailable("a file cannot be put in place")(error.error),
        })
    }
}

/// A temporary file, and what has gone into it. Dropped, it is removed.
struct Partial {
    file: NamedTempFile,
    intake: Intake,
    place: Place,
}

impl Partial {
    fn create(folder: &Path, intake: Intake, place: Place) -> Result<Self, BlobError> {
        // Mode 0600 from the start.
        let file = NamedTempFile::new_in(folder).map_err(unavailable("a file cannot be created"))?;
        Ok(Self { file, intake, place })
    }

    /// Gives the buffer back, empty.
    fn append(mut self, mut buffer: BytesMut) -> Result<(Self, BytesMut), BlobError> {
        self.intake.take(&buffer)?;
        self.file.write_all(&buffer).map_err(unavailable("a file cannot be written"))?;
        buffer.clear();
        Ok((self, buffer))
    }

    fn publish(mut self, key: &BlobKey) -> Result<BlobInfo, BlobError> {
        let info = self.intake.finish()?;
        let record = record::encode(key, &info).map_err(unavailable("a file cannot be described"))?;
        self.file.write_all(&record).map_err(unavailable("a file cannot be written"))?;
        self.file.as_file().sync_all().map_err(unavailable("a file cannot be brought to the disk"))?;
        self.place.take(self.file)?;
        let path = self.place.path();
        sync_dir(path.parent().unwrap_or(path))
            .map_err(unavailable("a folder cannot be brought to the disk"))?;
        Ok(info)
    }
}
