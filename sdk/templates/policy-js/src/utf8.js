/**
 * Offsets into a JavaScript string count UTF-16 units; Gavel counts bytes of UTF-8. This gives a function from the former
 * to the latter for one text. Asked in rising order, it reads the text once.
 */
export function utf8Offsets(text) {
  // Of ASCII both are the same.
  if (/^[\0-\x7f]*$/.test(text)) return (offset) => offset;
  let units = 0;
  let bytes = 0;
  return (offset) => {
    if (offset < units) [units, bytes] = [0, 0];
    for (; units < offset; units += 1) bytes += utf8Length(text.charCodeAt(units));
    return bytes;
  };
}

function utf8Length(unit) {
  if (unit < 0x80) return 1;
  if (unit < 0x800) return 2;
  // Half of a surrogate pair: the pair is four bytes.
  if (unit >= 0xd800 && unit <= 0xdfff) return 2;
  return 3;
}
