//! The quick way to canonical JSON: writing at once what serialises in canonical order.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use crate::MAX_INTEGER;

/// Room for most records.
const USUAL_BYTES: usize = 2048;

/// The canonical form of a value whose members serialise in order, under names of plain ASCII, and whose numbers are
/// integers within ±(2^53 − 1). None of any other value, nor of one that does not serialise.
pub(super) fn to_string<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    let mut text = Vec::with_capacity(USUAL_BYTES);
    value.serialize(&mut Serializer::with_formatter(&mut text, InOrder::default())).ok()?;
    String::from_utf8(text).ok()
}

/// Fails on all that `serde_json` writes otherwise than RFC 8785.
///
/// It spells literals, strings (§3.2.2.2) and exact integers as the RFC does, but not other numbers (§3.2.2.3), and
/// leaves members in the order (§3.2.3) in which they come.
#[derive(Default)]
struct InOrder {
    /// The last name in each open object, from the outermost on, one behind the other.
    names: Vec<u8>,
    /// Where in `names` each of them starts.
    starts: Vec<usize>,
    /// Where the name starts that is being written.
    writing: Option<usize>,
}

impl InOrder {
    /// Puts the name just written in the place of its object's last one, which it has to follow: an empty name at
    /// first. So empty names are refused, and with them numbers and booleans as names, which are not written as text.
    fn end_name(&mut self) -> Option<()> {
        let (start, written) = (*self.starts.last()?, self.writing.take()?);
        let (last, name) = (self.names.get(start..written)?, self.names.get(written..)?);
        // In ASCII the order of bytes is that of UTF-16 code units.
        if name <= last {
            return None;
        }
        self.names.drain(start..written);
        Some(())
    }
}

fn refused() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl Formatter for InOrder {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.starts.push(self.names.len());
        CompactFormatter.begin_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.writing = Some(self.names.len());
        CompactFormatter.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.end_name().ok_or_else(refused)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.names.truncate(self.starts.pop().ok_or_else(refused)?);
        CompactFormatter.end_object(writer)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if self.writing.is_some() {
            if !fragment.is_ascii() {
                return Err(refused());
            }
            self.names.extend_from_slice(fragment.as_bytes());
        }
        CompactFormatter.write_string_fragment(writer, fragment)
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        if self.writing.is_some() { Err(refused()) } else { CompactFormatter.write_char_escape(writer, escape) }
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if value.unsigned_abs() > MAX_INTEGER { Err(refused()) } else { CompactFormatter.write_i64(writer, value) }
    }

    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value > MAX_INTEGER { Err(refused()) } else { CompactFormatter.write_u64(writer, value) }
    }

    fn write_i128<W: ?Sized + io::Write>(&mut self, _: &mut W, _: i128) -> io::Result<()> {
        Err(refused())
    }

    fn write_u128<W: ?Sized + io::Write>(&mut self, _: &mut W, _: u128) -> io::Result<()> {
        Err(refused())
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, _: &mut W, _: f32) -> io::Result<()> {
        Err(refused())
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, _: &mut W, _: f64) -> io::Result<()> {
        Err(refused())
    }

    fn write_number_str<W: ?Sized + io::Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(refused())
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, _: &mut W, _: &str) -> io::Result<()> {
        Err(refused())
    }
}
