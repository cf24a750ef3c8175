//! A file as stored, and as shown.

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attributes;
use crate::files::names;
use crate::http::base_url;
use crate::ports::blobs::{BlobInfo, BlobKey};
use crate::time::Timestamp;

/// What is known of an uploaded file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// The id, a ULID.
    pub file_id: String,
    /// The key of its bytes.
    #[serde(default)]
    pub object: String,
    /// Its length in bytes; of a pending one, what is reserved for it.
    #[serde(default)]
    pub size: u64,
    /// Its media type.
    #[serde(default, rename = "type")]
    pub media_type: String,
    /// The name that its owner gave it.
    #[serde(default)]
    pub name: String,
    /// Its SHA-256 in hex; of a pending one, what its owner announced, if anything.
    #[serde(default)]
    pub hash: String,
    /// Whether it is a thumbnail; stored as 1 or 0.
    #[serde(default, with = "attributes::flag")]
    pub is_thumbnail: bool,
    /// Where it is downloaded, from the path on.
    #[serde(default)]
    pub url: String,
    /// Whether only its owner and Admins may have it.
    #[serde(default, deserialize_with = "attributes::flag::deserialize")]
    pub is_private: bool,
    /// Whose it is.
    #[serde(default)]
    pub uploaded_by_user_id: String,
    /// Whether it may be downloaded at all.
    #[serde(default = "attributes::enabled", deserialize_with = "attributes::flag::deserialize")]
    pub enable: bool,
    /// When its upload began.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(default)]
    pub updated_at: Timestamp,
    /// How far it is; rows of the older system are ready.
    #[serde(default)]
    pub state: State,
    /// Attributes of the older system, kept as they are.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its bytes are not there yet.
    Pending,
    /// Its bytes are there.
    #[default]
    Ready,
    /// Its bytes are being removed.
    Deleting,
}

/// A file that somebody is about to upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewFile {
    /// Its name, as the client gives it.
    pub name: String,
    /// Its media type; may be settled later.
    pub media_type: String,
    /// Its length in bytes, to be reserved; 0 if it is not known.
    pub size: u64,
    /// Its SHA-256 in hex, if the client tells it.
    pub hash: String,
    /// Whether only its owner and Admins may have it.
    pub is_private: bool,
    /// Whether it is a thumbnail.
    pub is_thumbnail: bool,
}

impl File {
    /// A file whose bytes are to come.
    #[must_use]
    pub fn pending(file_id: String, owner: &str, new: NewFile, now: Timestamp) -> Self {
        let NewFile { name, media_type, size, hash, is_private, is_thumbnail } = new;
        Self {
            object: format!("files/{owner}/{file_id}/{}", names::safe(&name)),
            url: format!("/v1/files/s3/{file_id}"),
            file_id,
            size,
            media_type,
            name: names::clean(&name),
            hash,
            is_thumbnail,
            is_private,
            uploaded_by_user_id: owner.to_owned(),
            enable: true,
            created_at: now,
            updated_at: now,
            state: State::Pending,
            rest: Map::new(),
        }
    }

    /// The key of its bytes; the older system may have made others than there can be.
    #[must_use]
    pub fn blob_key(&self) -> Option<BlobKey> {
        BlobKey::parse(&self.object)
    }

    /// Whether it can be downloaded.
    #[must_use]
    pub fn is_downloadable(&self) -> bool {
        self.enable && self.state == State::Ready
    }

    /// Whether bytes are those that it was completed with, as far as their store tells. Nothing of this service replaces
    /// them; whoever can write to the store may.
    #[must_use]
    pub fn is_made_of(&self, info: &BlobInfo) -> bool {
        let same_hash = |hash: [u8; 32]| self.hash.is_empty() || hex(&hash) == self.hash;
        info.length == self.size && info.sha256.is_none_or(same_hash)
    }

    /// Its strong entity tag (RFC 9110, section 8.8.3), if its hash is known.
    #[must_use]
    pub fn etag(&self) -> Option<String> {
        let sound = !self.hash.is_empty() && self.hash.bytes().all(|b| b.is_ascii_hexdigit());
        sound.then(|| format!("\"{}\"", self.hash))
    }

    /// The file as users see it, at the service's address if that is known.
    #[must_use]
    pub fn view(&self, base: Option<&str>) -> FileView<'_> {
        FileView {
            id: &self.file_id,
            object: &self.object,
            size: self.size,
            r#type: &self.media_type,
            name: &self.name,
            hash: &self.hash,
            is_thumbnail: u8::from(self.is_thumbnail),
            url: base_url::absolute(base, &format!("/v1/files/s3/{}", self.file_id)),
            is_private: self.is_private,
            user_who_uploaded_id: &self.uploaded_by_user_id,
            enable: self.enable,
            created: self.created_at,
            updated: self.updated_at,
        }
    }
}

/// *File* in the API.
#[derive(Debug, Serialize)]
pub struct FileView<'a> {
    id: &'a str,
    object: &'a str,
    size: u64,
    r#type: &'a str,
    name: &'a str,
    hash: &'a str,
    is_thumbnail: u8,
    url: String,
    is_private: bool,
    user_who_uploaded_id: &'a str,
    enable: bool,
    created: Timestamp,
    updated: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_older_system_is_ready_and_keeps_its_attributes() {
        let row = serde_json::json!({
            "file_id": "7", "object": "a.png", "size": 3, "type": "image/png", "name": "a.png", "hash": "",
            "is_thumbnail": 1, "url": "https://bucket.example.com/a.png", "is_private": true,
            "uploaded_by_user_id": "01ADA", "enable": true, "created_at": "2024-01-01T00:00:00Z", "bucket": "b",
        });
        let file: File = serde_json::from_value(row).unwrap();
        assert!(file.is_downloadable() && file.is_thumbnail && file.is_private);
        assert_eq!((file.etag(), &file.rest["bucket"]), (None, &Value::from("b")));
        let stored = serde_json::to_value(&file).unwrap();
        assert_eq!((&stored["is_thumbnail"], &stored["bucket"]), (&Value::from(1), &Value::from("b")));
    }

    #[test]
    fn x1_the_server_makes_the_key() {
        let new = NewFile { name: "../../Übung 1.PDF".into(), ..NewFile::default() };
        let file = File::pending("01FILE".into(), "01ADA", new, Timestamp::from_millis(0));
        assert_eq!(file.object, "files/01ADA/01FILE/_bung_1.PDF");
        assert!(file.blob_key().is_some() && !file.is_downloadable());
        assert_eq!(file.name, "Übung 1.PDF");
    }
}
