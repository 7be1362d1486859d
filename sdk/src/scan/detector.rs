//! Detectors, and the one loop that tries them along a text.

use std::fmt;

use super::{ByteSet, Cursor, Found};
use crate::policy::Severity;

/// How many detectors a set may hold: the bits of a table's entry.
const MOST: usize = 32;

/// Reads from the cursor and says what it found.
type Matcher = dyn Fn(&mut Cursor<'_>) -> Option<Found>;

/// Something that can be found in a text.
pub struct Detector {
    pub(super) rule: &'static str,
    pub(super) summary: &'static str,
    pub(super) severity: Severity,
    pub(super) example: &'static str,
    starts: ByteSet,
    follows: ByteSet,
    reach: usize,
    matcher: Box<Matcher>,
}

impl Detector {
    /// Looks for a rule, named and described as [`Rule`](crate::policy::Rule) asks.
    ///
    /// The matcher must answer from what it reads alone: from the cursor, and from constants.
    pub fn new(
        rule: &'static str,
        summary: &'static str,
        matcher: impl Fn(&mut Cursor<'_>) -> Option<Found> + 'static,
    ) -> Self {
        Self {
            rule,
            summary,
            severity: Severity::Medium,
            example: "",
            starts: ByteSet::ALL,
            follows: ByteSet::ALL,
            reach: 256,
            matcher: Box::new(matcher),
        }
    }

    /// The bytes that can stand at the start of a match. All, unless said.
    #[must_use]
    pub fn starts(mut self, bytes: ByteSet) -> Self {
        self.starts = bytes;
        self
    }

    /// The bytes that can stand before a match, which may always stand at the start of the text. All, unless
    /// said. Of a character beyond ASCII this sees the last byte.
    #[must_use]
    pub fn follows(mut self, bytes: ByteSet) -> Self {
        self.follows = bytes;
        self
    }

    /// How many bytes it reads at most, and so how much of a text can be pending for it. 256, unless said.
    #[must_use]
    pub fn reach(mut self, bytes: usize) -> Self {
        self.reach = bytes;
        self
    }

    /// How grave a match is. Medium, unless said.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// A text in which it finds something, for the warm-up.
    #[must_use]
    pub fn example(mut self, text: &'static str) -> Self {
        self.example = text;
        self
    }
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("rule", &self.rule).field("reach", &self.reach).finish_non_exhaustive()
    }
}

/// A match: byte offsets into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Which detector, counted from 0 in the set's order.
    pub detector: usize,
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// What comes next in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A match. Go on from its end.
    Match(Match),
    /// From this byte on, nothing can be said before more has been written.
    Pending(usize),
    /// No further match.
    End,
}

/// A set of detectors, ready to run.
#[derive(Debug)]
pub struct Detectors {
    detectors: Vec<Detector>,
    /// For each byte, a bit for each detector that can begin with it.
    starts: Box<[u32; 256]>,
    /// For each byte, a bit for each detector that can stand after it.
    follows: Box<[u32; 256]>,
}

impl Detectors {
    /// A set of at most 32 detectors. Where two match equally far, the earlier wins.
    ///
    /// # Errors
    /// There are more.
    pub fn new(detectors: Vec<Detector>) -> Result<Self, String> {
        if detectors.len() > MOST {
            return Err(format!("{} detectors are more than {MOST}", detectors.len()));
        }
        let starts = table(&detectors, |detector, byte| {
            // A character never begins with a continuation byte.
            !matches!(byte, 0x80..=0xbf) && detector.starts.contains(byte)
        });
        let follows = table(&detectors, |detector, byte| detector.follows.contains(byte));
        Ok(Self { detectors, starts, follows })
    }

    /// The detector of a match.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Detector> {
        self.detectors.get(index)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Detector> {
        self.detectors.iter()
    }

    /// What comes first in the text from byte `from` on, which must be a character boundary. The text before
    /// it is only looked at for what precedes a match. A `complete` text has nothing pending.
    #[must_use]
    pub fn next(&self, text: &str, from: usize, complete: bool) -> Step {
        let bytes = text.as_bytes();
        let mut can_follow = match from.checked_sub(1).and_then(|last| bytes.get(last)) {
            Some(byte) => entry(&self.follows, *byte),
            None => u32::MAX,
        };
        for (at, byte) in bytes.iter().enumerate().skip(from) {
            let candidates = entry(&self.starts, *byte) & can_follow;
            if candidates != 0 {
                match self.try_at(text, at, candidates, complete) {
                    Tried::Nothing => {}
                    Tried::Found(found) => return Step::Match(found),
                    Tried::Starved => return Step::Pending(at),
                }
            }
            can_follow = entry(&self.follows, *byte);
        }
        Step::End
    }

    fn try_at(&self, text: &str, at: usize, mut candidates: u32, complete: bool) -> Tried {
        let mut best: Option<Match> = None;
        while candidates != 0 {
            let index = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            let Some(detector) = self.detectors.get(index) else { break };
            let mut cursor = Cursor::new(text, at, detector.reach, complete);
            let found = (detector.matcher)(&mut cursor);
            if cursor.starved() {
                return Tried::Starved;
            }
            let Some(found) = found.and_then(|found| placed(text, at, index, found)) else { continue };
            if best.is_none_or(|best| found.end > best.end) {
                best = Some(found);
            }
        }
        best.map_or(Tried::Nothing, Tried::Found)
    }
}

enum Tried {
    Nothing,
    Found(Match),
    Starved,
}

/// The match in the text's own offsets, unless it is empty or cuts a character.
fn placed(text: &str, at: usize, detector: usize, Found { from, to }: Found) -> Option<Match> {
    let (start, end) = (at + from, at + to);
    (start < end && text.is_char_boundary(start) && text.is_char_boundary(end)).then_some(Match {
        detector,
        start,
        end,
    })
}

fn table(detectors: &[Detector], holds: impl Fn(&Detector, u8) -> bool) -> Box<[u32; 256]> {
    let mut table = Box::new([0; 256]);
    for (byte, entry) in (0..=u8::MAX).zip(table.iter_mut()) {
        for (index, detector) in detectors.iter().enumerate() {
            *entry |= u32::from(holds(detector, byte)) << index;
        }
    }
    table
}

#[inline]
#[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
fn entry(table: &[u32; 256], byte: u8) -> u32 {
    table[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::{ByteSet, Cursor, Detector, Detectors, Found, Match, Step};

    fn word(word: &'static str) -> impl Fn(&mut Cursor<'_>) -> Option<Found> {
        move |cursor| cursor.eat_str(word).then(|| cursor.found())
    }

    #[test]
    fn the_longest_match_wins_and_ties_go_to_the_earlier() {
        let detectors = [word("ab"), word("abc"), word("abc")];
        let detectors = detectors.map(|matcher| Detector::new("word", "A word.", matcher));
        let set = Detectors::new(Vec::from(detectors)).unwrap();
        assert_eq!(set.next("xabcd", 0, true), Step::Match(Match { detector: 1, start: 1, end: 4 }));
        assert_eq!(set.next("xabcd", 4, true), Step::End);
        assert_eq!(set.next("xab", 0, true), Step::Match(Match { detector: 0, start: 1, end: 3 }));
        assert_eq!(set.next("xab", 0, false), Step::Pending(1), "it may yet become the longer one");
    }

    #[test]
    fn a_detector_is_tried_only_where_it_can_stand() {
        let detector = Detector::new("word", "A word.", word("a"))
            .starts(ByteSet::of(b"a"))
            .follows(ByteSet::ALPHANUMERIC.complement());
        let set = Detectors::new(vec![detector]).unwrap();
        assert_eq!(set.next("ba a", 0, true), Step::Match(Match { detector: 0, start: 3, end: 4 }));
        assert_eq!(set.next("a", 0, true), Step::Match(Match { detector: 0, start: 0, end: 1 }));
    }

    #[test]
    fn a_match_that_cuts_a_character_is_none() {
        let cut = Detector::new("cut", "A cut.", |_: &mut Cursor<'_>| Some(Found { from: 0, to: 1 }));
        let set = Detectors::new(vec![cut]).unwrap();
        assert_eq!(set.next("é", 0, true), Step::End);
        assert_eq!(set.next("e", 0, true), Step::Match(Match { detector: 0, start: 0, end: 1 }));
    }

    #[test]
    fn a_set_has_a_bound() {
        let detectors = |count| (0..count).map(|_| Detector::new("x", "X.", word("x"))).collect();
        assert!(Detectors::new(detectors(32)).is_ok());
        assert!(Detectors::new(detectors(33)).is_err());
    }
}
