//! The checksum that GitHub's tokens end with: CRC-32 (ISO-HDLC) in six digits of base 62.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// True if the six digits are the checksum of the text.
pub(crate) fn holds(text: &[u8], digits: &[u8]) -> bool {
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        let place = DIGITS.iter().position(|known| known == digit)?;
        value.checked_mul(62)?.checked_add(u64::try_from(place).ok()?)
    });
    digits.len() == 6 && value == Some(u64::from(crc32(text)))
}

/// Bit by bit: thirty bytes are not worth a table in every instance's memory.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::{crc32, holds};

    #[test]
    fn the_check_value_of_the_algorithm() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert!(holds(b"G4v3lTest0nlyG4v3lTest0nlyAbCd", b"2VX68X"));
        assert!(holds(b"G4v3lTest0nlyG4v3lTest0nly0001", b"0nCJ7A"), "padded with a zero");
        assert!(!holds(b"G4v3lTest0nlyG4v3lTest0nlyAbCe", b"2VX68X"));
    }
}
