//! What the demo says.

/// A card number for tests, of the vendor's own documentation: it passes Luhn and buys nothing.
pub(crate) const CARD: &str = "4111 1111 1111 1111";
/// An address of the domain that RFC 2606 keeps for examples.
const EMAIL: &str = "jane.doe@example.org";
/// Most numbers that it counts to.
const MAX_COUNT: u32 = 10_000;
/// Most characters of a question that are repeated in its answer.
const ECHO_CHARS: usize = 80;

/// The answer to a question.
pub(crate) fn answer(question: &str) -> String {
    let lower = question.to_lowercase();
    if lower.contains("card") {
        return format!("Sure: the card on file is {CARD}, and it is valid until the end of next year.");
    }
    if lower.contains("e-mail") || lower.contains("email") {
        return format!("You can reach her at {EMAIL}, best in the morning.");
    }
    if let Some(last) = counted(&lower) {
        let numbers: Vec<String> = (1..=last).map(|number| number.to_string()).collect();
        return numbers.join(", ");
    }
    let echo: String = question.chars().take(ECHO_CHARS).collect();
    format!(
        "I am a script that plays a model, so that you can see Gavel work without a network. You said: \u{201c}{echo}\u{201d}. \
         Ask me to count to 20, or for the card or the e-mail address on file."
    )
}

/// The answer to what a tool gave back.
pub(crate) fn answer_with(result: &str) -> String {
    let shown: String = result.chars().take(ECHO_CHARS).collect();
    format!("The tool says: {shown}")
}

/// The number to count to, if that is what is asked.
fn counted(question: &str) -> Option<u32> {
    let (_, after) = question.split_once("to ").filter(|_| question.contains("count") || question.contains("and"))?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(|last: u32| last.min(MAX_COUNT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_when_asked_and_not_for_ever() {
        assert_eq!(answer("Count to 3."), "1, 2, 3");
        assert_eq!(answer("And to 2?"), "1, 2");
        assert_eq!(answer("count to 4000000").split(", ").count(), MAX_COUNT as usize);
        assert!(answer("I want to 5").contains("You said"));
    }
}
