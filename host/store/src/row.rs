//! How metadata rows are written down: one version byte, then JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

/// The version of the row format that this crate writes.
const ROW_VERSION: u8 = 1;

/// A row's bytes.
pub(crate) fn encode<T: Serialize>(row: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![ROW_VERSION];
    serde_json::to_writer(&mut bytes, row).map_err(|error| StoreError::Encode(error.to_string()))?;
    Ok(bytes)
}

/// The row that `bytes` hold; `what` names it in the error.
pub(crate) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&ROW_VERSION, json)) => serde_json::from_slice(json)
            .map_err(|error| StoreError::Corrupt(format!("a row of {what} cannot be read: {error}"))),
        Some((version, _)) => Err(StoreError::Corrupt(format!("a row of {what} has the unknown version {version}"))),
        None => Err(StoreError::Corrupt(format!("a row of {what} is empty"))),
    }
}

/// Bytes as hex digits, for ciphertexts inside JSON rows.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_written_and_another_version_refused() {
        let mut bytes = encode(&vec![1_u32, 2]).unwrap();
        assert_eq!(decode::<Vec<u32>>("numbers", &bytes).unwrap(), vec![1, 2]);
        bytes[0] = 2;
        let error = decode::<Vec<u32>>("numbers", &bytes).unwrap_err();
        assert_eq!(error.to_string(), "the database is damaged: a row of numbers has the unknown version 2");
        assert!(decode::<Vec<u32>>("numbers", &[]).is_err());
        assert!(decode::<Vec<u32>>("numbers", b"\x01{").is_err());
    }
}
