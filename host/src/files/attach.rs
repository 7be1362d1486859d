//! Files that are to come with a message: read whole, within bounds, and told apart by their bytes.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use gavel_store::{Agent, FileId, StoredFile};

use super::{FileError, Files};
use crate::turn::{AttachedBody, AttachedFile, MAX_JUDGED_FILE_BYTES};

/// Most bytes of all files of one message together: what a provider can be given at once.
pub const MAX_ATTACHED_BYTES: u64 = 5 << 20;

impl Files {
    /// Reads files that are to come with a message.
    ///
    /// # Errors
    /// [`FileError::NotFound`] if one of them is not the agent's, [`FileError::TooMuch`] if they are more than
    /// [`MAX_ATTACHED_BYTES`] together, and when they cannot be read.
    pub async fn attach(&self, agent: &Agent, ids: &[FileId]) -> Result<Vec<AttachedFile>, FileError> {
        let files = ids.iter().map(|id| self.find(&agent.id, id)).collect::<Result<Vec<_>, _>>()?;
        // What is larger by itself can be no part of a message, and is not read.
        let readable = |file: &&StoredFile| file.size <= MAX_ATTACHED_BYTES;
        let bytes: u64 = files.iter().filter(readable).map(|file| file.size).sum();
        if bytes > MAX_ATTACHED_BYTES {
            return Err(FileError::TooMuch);
        }
        let mut attached = Vec::with_capacity(files.len());
        for file in files {
            let body = if readable(&&file) { body(self.whole(agent, &file).await?) } else { AttachedBody::Neither };
            attached.push(AttachedFile {
                id: file.id,
                name: file.name,
                content_type: file.content_type,
                size: file.size,
                sha256: file.sha256,
                judged: file.judged,
                body,
            });
        }
        Ok(attached)
    }

    async fn whole(&self, agent: &Agent, file: &StoredFile) -> Result<Bytes, FileError> {
        let pieces = self.read(agent, file, 0..file.size).await?;
        let whole = pieces.try_fold(BytesMut::new(), |mut whole, piece| async move {
            whole.extend_from_slice(&piece);
            Ok(whole)
        });
        Ok(whole.await?.freeze())
    }
}

/// What these bytes are, whatever anyone says.
fn body(bytes: Bytes) -> AttachedBody {
    if let Some(media_type) = image(&bytes) {
        return AttachedBody::Image { media_type, bytes };
    }
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) if text.len() <= MAX_JUDGED_FILE_BYTES => AttachedBody::Text(text),
        _ => AttachedBody::Neither,
    }
}

/// The media type of an image of a kind that models take, by its first bytes.
fn image(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        // The one kind whose first bytes are text, so the next ones have to be those of an image too.
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', rest @ ..] if std::str::from_utf8(rest).is_err() => {
            Some("image/gif")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_bytes_are() {
        let kind = |bytes: &'static [u8]| match body(Bytes::from_static(bytes)) {
            AttachedBody::Text(_) => "text",
            AttachedBody::Image { media_type, .. } => media_type,
            AttachedBody::Neither => "neither",
        };
        assert_eq!(kind(b"\x89PNG\r\n\x1a\nrest"), "image/png");
        assert_eq!(kind(b"\xff\xd8\xff\xe0rest"), "image/jpeg");
        assert_eq!(kind(b"RIFF\x10\0\0\0WEBPVP8 "), "image/webp");
        assert_eq!(kind(b"GIF89a\x01\0\x01\0\x80\xff"), "image/gif");
        assert_eq!(kind(b"GIF89a is how such a file begins"), "text");
        assert_eq!(kind("Grüße".as_bytes()), "text");
        assert_eq!(kind(b""), "text");
        assert_eq!(kind(b"%PDF-1.7\n\xe2\xe3"), "neither");
    }
}
