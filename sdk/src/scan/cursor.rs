//! The one way in which a detector sees text.

use super::ByteSet;

/// How many characters before a match a detector can see: what is kept of a text that has been cleared.
///
/// A [probe](Cursor::probe) sees as many before the place where it begins.
pub const LOOK_BEHIND: usize = 4;

/// What a detector found: bytes counted from where its cursor began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The first byte of the match. What was read before it, such as the name of a password, is its context.
    pub from: usize,
    /// One past the last byte.
    pub to: usize,
}

/// Reads text from one position on, and notes whether it was asked for what has not been written yet.
///
/// Beyond the detector's reach it answers as at the end of a text.
#[derive(Debug)]
pub struct Cursor<'t> {
    text: &'t str,
    start: usize,
    at: usize,
    /// One past the last byte that may be read.
    end: usize,
    /// True if what stands at `end` may yet be written, within reach.
    open: bool,
    starved: bool,
}

impl<'t> Cursor<'t> {
    /// Begins at byte `start` of a text, which is `complete` or may go on, to read at most `reach` bytes.
    #[must_use]
    pub fn new(text: &'t str, start: usize, reach: usize, complete: bool) -> Self {
        let limit = start.saturating_add(reach);
        let open = !complete && limit > text.len();
        Self { text, start, at: start, end: limit.min(text.len()), open, starved: false }
    }

    /// True if the answer may depend on what has not been written yet.
    #[must_use]
    pub fn starved(&self) -> bool {
        self.starved
    }

    /// The character before the one at which the cursor began; none at the start of the text.
    #[must_use]
    pub fn before(&self) -> Option<char> {
        self.behind(1)
    }

    /// The character that stands so many before the one at which the cursor began, at most [`LOOK_BEHIND`];
    /// none further back, and before the start of the text.
    #[must_use]
    pub fn behind(&self, characters: usize) -> Option<char> {
        let back = characters.checked_sub(1).filter(|back| *back < LOOK_BEHIND)?;
        self.text.get(..self.start)?.chars().nth_back(back)
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at - self.start
    }

    /// Goes back to (or on to) a position. What has been asked for stays noted.
    pub fn seek(&mut self, position: usize) {
        self.at = self.start.saturating_add(position).min(self.end);
    }

    /// The byte here; none at the end.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        if self.at < self.end {
            self.text.as_bytes().get(self.at).copied()
        } else {
            self.starved |= self.open;
            None
        }
    }

    /// The character here; none at the end.
    #[inline]
    pub fn peek_char(&mut self) -> Option<char> {
        let byte = self.peek()?;
        if byte.is_ascii() {
            return Some(char::from(byte));
        }
        let found = self.text.get(self.at..)?.chars().next()?;
        (self.at + found.len_utf8() <= self.end).then_some(found)
    }

    /// Takes the byte here if it is in the set.
    #[inline]
    pub fn eat(&mut self, set: &ByteSet) -> Option<u8> {
        let byte = self.peek().filter(|byte| set.contains(*byte))?;
        self.at += 1;
        Some(byte)
    }

    /// Takes this byte, if it is here.
    #[inline]
    pub fn eat_byte(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Takes the character here if the test holds.
    #[inline]
    pub fn eat_char(&mut self, test: impl FnOnce(char) -> bool) -> Option<char> {
        let found = self.peek_char().filter(|here| test(*here))?;
        self.at += found.len_utf8();
        Some(found)
    }

    /// Takes this text if it stands here, reading no further than the first difference.
    pub fn eat_str(&mut self, text: &str) -> bool {
        self.eat_all(text.as_bytes(), |here, there| here == there)
    }

    /// As [`eat_str`](Self::eat_str), without regard to the case of ASCII letters.
    pub fn eat_str_ignoring_case(&mut self, text: &str) -> bool {
        self.eat_all(text.as_bytes(), |here, there| here.eq_ignore_ascii_case(&there))
    }

    fn eat_all(&mut self, bytes: &[u8], same: impl Fn(u8, u8) -> bool) -> bool {
        let from = self.at;
        for byte in bytes {
            if !self.peek().is_some_and(|here| same(here, *byte)) {
                self.at = from;
                return false;
            }
            self.at += 1;
        }
        true
    }

    /// Takes bytes while they are in the set; says how many.
    #[inline]
    pub fn take_while(&mut self, set: &ByteSet) -> usize {
        let from = self.at;
        while self.eat(set).is_some() {}
        self.at - from
    }

    /// What has been read from a position up to here; empty if that is not on character boundaries.
    #[must_use]
    pub fn since(&self, position: usize) -> &'t str {
        self.text.get(self.start.saturating_add(position)..self.at).unwrap_or_default()
    }

    /// Lets another detector read from here, within this one's reach. The cursor stays where it is.
    pub fn probe<R>(&mut self, detect: impl FnOnce(&mut Cursor<'t>) -> R) -> R {
        let mut inner = Cursor { start: self.at, starved: false, ..*self };
        let answer = detect(&mut inner);
        self.starved |= inner.starved;
        answer
    }

    /// A match of everything read so far.
    #[must_use]
    pub fn found(&self) -> Found {
        self.found_since(0)
    }

    /// A match of what has been read from a position up to here.
    #[must_use]
    pub fn found_since(&self, position: usize) -> Found {
        Found { from: position, to: self.position() }
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteSet, Cursor};

    #[test]
    fn reading_at_the_end_starves_only_an_open_text() {
        for (complete, starved) in [(false, true), (true, false)] {
            let mut cursor = Cursor::new("ab1", 0, 10, complete);
            assert_eq!(cursor.take_while(&ByteSet::LETTERS), 2);
            assert!(!cursor.starved(), "the digit answered");
            assert!(cursor.eat_byte(b'1'));
            assert!(!cursor.starved(), "nothing beyond it was asked for");
            assert_eq!(cursor.peek(), None);
            assert_eq!(cursor.starved(), starved);
        }
    }

    #[test]
    fn the_reach_is_an_end_that_no_later_text_moves() {
        let mut cursor = Cursor::new("xaaaa", 1, 4, false);
        assert_eq!(cursor.take_while(&ByteSet::LETTERS), 4);
        assert!(!cursor.starved());
        let mut cursor = Cursor::new("aé", 0, 2, false);
        assert!(cursor.eat_byte(b'a'));
        assert_eq!(cursor.peek_char(), None, "half of it is out of reach");
    }

    #[test]
    fn a_text_that_differs_early_is_refused_without_waiting() {
        let mut cursor = Cursor::new("abX", 0, 10, false);
        assert!(!cursor.eat_str("abcdef") && !cursor.starved());
        let mut cursor = Cursor::new("abc", 0, 10, false);
        assert!(!cursor.eat_str("abcdef") && cursor.starved());
        assert_eq!(cursor.position(), 0);
    }

    #[test]
    fn a_probe_passes_on_its_hunger() {
        let mut cursor = Cursor::new("a=b", 0, 10, false);
        cursor.seek(2);
        let (before, read) = cursor.probe(|inner| (inner.before(), inner.take_while(&ByteSet::LETTERS)));
        assert_eq!((before, read), (Some('='), 1));
        assert!(cursor.starved());
        assert_eq!(cursor.position(), 2);
    }
}
