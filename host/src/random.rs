//! Random bytes from the operating system: the one source of keys, nonces and tokens.

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: a server that went on without it would make keys that
/// can be guessed.
#[must_use]
#[expect(clippy::expect_used, reason = "going on without randomness would be worse than stopping")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// `count` characters drawn evenly from `alphabet`, which holds 1 to 256 ASCII characters.
#[must_use]
pub fn random_text(alphabet: &[u8], count: usize) -> String {
    // Bytes at or above the greatest multiple of the alphabet's length are thrown away: taking the remainder
    // of all would favour the first characters.
    let fair = 256 - 256 % alphabet.len().max(1);
    let mut text = String::with_capacity(count);
    while text.len() < count {
        for byte in random::<64>() {
            let byte = usize::from(byte);
            if byte < fair
                && text.len() < count
                && let Some(&character) = alphabet.get(byte % alphabet.len().max(1))
            {
                text.push(char::from(character));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_drawn() {
        let text = random_text(b"abc", 1000);
        assert_eq!(text.len(), 1000);
        for character in ['a', 'b', 'c'] {
            let share = text.chars().filter(|&c| c == character).count();
            assert!((200..500).contains(&share), "{character}: {share}");
        }
    }

    #[test]
    fn two_draws_differ() {
        assert_ne!(random::<32>(), random::<32>());
    }
}
