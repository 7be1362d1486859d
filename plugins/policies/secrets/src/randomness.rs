//! Whether a text looks as if drawn at random. In whole numbers, so that every machine agrees.

/// What placeholders say.
const PLACEHOLDERS: &[&str] =
    &["changeme", "dummy", "example", "placeholder", "redacted", "sample", "xxxx", "your-", "your_", "****"];

/// True for at least 16 bytes that no person would write: few repetitions, and letters of both cases and digits
/// that change oftener than in names such as `myServiceName2`.
pub(crate) fn looks_random(text: &str) -> bool {
    text.len() >= 16 && few_repetitions(text) && many_changes(text.as_bytes())
}

/// True for what stands where a secret will be put.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| text.contains(word))
}

/// The index of coincidence: two bytes picked at random are the same at most once in eight times. One in 16 for
/// hexadecimal, one in 62 for base 62.
pub(crate) fn few_repetitions(text: &str) -> bool {
    let mut counts = [0_u64; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let same: u64 = counts.iter().map(|count| count * count.saturating_sub(1)).sum();
    let pairs: u64 = counts.iter().sum::<u64>().pow(2) - counts.iter().sum::<u64>();
    same * 8 <= pairs
}

/// A change of kind at every fourth letter or digit or oftener: at every second in random hexadecimal, at three
/// of seven in base 62. A capital before a small letter, as in a name, is none.
fn many_changes(bytes: &[u8]) -> bool {
    let kinds = bytes.iter().filter_map(|byte| Kind::of(*byte));
    let following = kinds.clone().skip(1);
    let changes = kinds.clone().zip(following).filter(|pair| pair.0 != pair.1 && *pair != (Kind::Upper, Kind::Lower));
    let (count, changes) = (kinds.count(), changes.count());
    count >= 12 && changes * 4 >= count
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Upper,
    Lower,
    Digit,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'A'..=b'Z' => Some(Self::Upper),
            b'a'..=b'z' => Some(Self::Lower),
            b'0'..=b'9' => Some(Self::Digit),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::looks_random;

    #[test]
    fn drawn_and_written() {
        for drawn in ["4f9a0c77b1e8d2356a", "q7VxP2mZt9KcL4wB", "9f86d081884c7d659a2feaa0c55ad015", "aB3$dE6&gH9!jK2#"]
        {
            assert!(looks_random(drawn), "{drawn}");
        }
        for written in [
            "correct-horse-battery-staple",
            "myServiceAccountName1",
            "authentication_service_v2",
            "process.env.API_TOKEN_1",
            "aaaaaaaa11111111",
            "a1a1a1a1a1a1a1a1",
            "2024-05-06T12:34:56",
            "4f9a0c77b1e8d23",
        ] {
            assert!(!looks_random(written), "{written}");
        }
    }
}
