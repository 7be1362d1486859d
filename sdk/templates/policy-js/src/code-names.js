import { utf8Offsets } from './utf8.js';

// What a word is made of. A name inside a longer word is none: `Blue` is not found in `Bluebird`.
const WORD = /^[A-Za-z0-9_]$/;

/**
 * A search for these names, as whole words, without regard to the case of ASCII letters. It gives the places where they
 * stand, as bytes of the text's UTF-8 form: that is what the interface counts in.
 */
export function codeNames(names) {
  // Of two names that begin alike, the longer is tried first.
  const wanted = names.map(asciiLowerCase).sort((a, b) => b.length - a.length);
  return (text) => {
    const lower = asciiLowerCase(text);
    const bytesAt = utf8Offsets(text);
    const spans = [];
    let at = 0;
    while (at < lower.length) {
      const name = wanted.find((name) => standsAt(lower, at, name));
      if (name === undefined) {
        at += 1;
      } else {
        spans.push({ start: bytesAt(at), end: bytesAt(at + name.length) });
        at += name.length;
      }
    }
    return spans;
  };
}

function standsAt(text, at, name) {
  return (
    text.startsWith(name, at) && !WORD.test(text.charAt(at - 1)) && !WORD.test(text.charAt(at + name.length))
  );
}

/** Changes no other letter, so that offsets stay what they are. */
function asciiLowerCase(text) {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
