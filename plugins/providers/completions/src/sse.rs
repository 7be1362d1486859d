//! Server-sent events as the HTML standard has them (§9.2.6), however the bytes are cut.

/// Most bytes of one event.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// Takes bytes as they come and gives the data of each event.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The data lines of the event under way, each ended by a line feed.
    data: String,
    /// The last byte was a carriage return: a line feed after it belongs to it.
    after_return: bool,
    /// A byte order mark may only stand at the very beginning.
    begun: bool,
}

/// An event is larger than 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Parser {
    /// Takes some bytes and calls `event` with the data of each event that they complete.
    ///
    /// # Errors
    /// What `event` gives, or [`TooLarge`].
    pub fn push<E: From<TooLarge>>(
        &mut self,
        mut bytes: &[u8],
        event: &mut impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some((first, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = rest;
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                return self.keep(bytes).map_err(E::from);
            };
            let (head, tail) = bytes.split_at(end);
            let (ending, rest) = tail.split_first().unwrap_or((&b'\n', &[]));
            self.after_return = *ending == b'\r';
            bytes = rest;
            self.keep(head)?;
            let line = std::mem::take(&mut self.line);
            self.line_ended(&line, event)?;
            // The buffer is kept, so that a stream of many lines allocates once.
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    /// The data of an event that the stream's end cut short: a courtesy to servers that leave the last blank line out.
    ///
    /// # Errors
    /// What `event` gives.
    pub fn finish<E: From<TooLarge>>(mut self, event: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.line_ended(&line, event)?;
        }
        self.line_ended(&[], event)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line_ended<E>(&mut self, line: &[u8], event: &mut impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let marked = if self.begun { None } else { line.strip_prefix(b"\xef\xbb\xbf") };
        let line = marked.unwrap_or(line);
        self.begun = true;
        if line.is_empty() {
            let mut data = std::mem::take(&mut self.data);
            if let Some(data) = data.strip_suffix('\n') {
                event(data)?;
            }
            data.clear();
            self.data = data;
            return Ok(());
        }
        // Fields other than `data` (event, id, retry) and comments mean nothing here.
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[][..],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => return Ok(()),
        };
        self.data.push_str(&String::from_utf8_lossy(value));
        self.data.push('\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        let mut event = |data: &str| {
            found.push(data.to_owned());
            Ok::<_, TooLarge>(())
        };
        for piece in pieces {
            parser.push(piece, &mut event).unwrap();
        }
        parser.finish(&mut event).unwrap();
        found
    }

    #[test]
    fn endings_comments_and_several_data_lines() {
        assert_eq!(events(&[b"data: a\n\ndata: b\r\n\r\ndata:c\r\rdata\n\n"]), ["a", "b", "c", ""]);
        assert_eq!(events(&[b": ping\n\nevent: x\nid: 1\ndata: a\ndata:  b\nretry: 3\n\n"]), ["a\n b"]);
        assert_eq!(events(&[b"\xef\xbb\xbfdata: a\n\n"]), ["a"]);
        assert_eq!(events(&[b"data: a\n\n\n\n", b"data: [DONE]"]), ["a", "[DONE]"]);
        assert_eq!(events(&[b"database: a\n\n"]), [""; 0]);
    }

    #[test]
    fn a_return_and_its_line_feed_may_come_apart() {
        assert_eq!(events(&[b"data: a\r", b"\n\r", b"\n", b"data: b\r", b"\r"]), ["a", "b"]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = Parser::default();
        let mut never = |_: &str| Ok::<_, TooLarge>(());
        let refused = (0..2048).try_for_each(|_| parser.push(&[b'x'; 1024], &mut never));
        assert_eq!(refused, Err(TooLarge));
        let mut parser = Parser::default();
        let refused =
            (0..2048).try_for_each(|_| parser.push(format!("data: {}\n", "x".repeat(1024)).as_bytes(), &mut never));
        assert_eq!(refused, Err(TooLarge));
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            lines in prop::collection::vec("(data: ?|: |id:|)[a-zé€😀 ]{0,12}", 0..12),
            ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), ending]).collect();
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let cut = events(&pieces);
            prop_assert_eq!(&cut, &events(&[bytes]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&cut, &events(&single));
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            events(&[&bytes]);
        }
    }
}
