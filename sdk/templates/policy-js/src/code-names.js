import { utf8Offsets } from './utf8.js';

// What a word is made of. A name inside a longer word is none: `Blue` is not found in `Bluebird`.
const WORD = /^[A-Za-z0-9_]$/;

/**
 * A search for these names, as whole words, without regard to the case of ASCII letters. Each call begins a text, which is
 * then read as it is written.
 */
export function codeNames(names) {
  // Of two names that begin alike, the longer is tried first.
  const wanted = names.map(asciiLowerCase).sort((a, b) => b.length - a.length);
  return () => new Reading(wanted);
}

/** One text, read from its beginning. Places in it are bytes of its UTF-8 form: that is what the interface counts in. */
class Reading {
  #names;
  // A place is decided once this much is written after it: the longest name, and what shows that the word ends there.
  #reach;
  // What is not decided yet, after the character before it.
  #text = '';
  #next = 0;
  // How many bytes were decided, and no longer kept, before `#text`.
  #dropped = 0;

  constructor(names) {
    this.#names = names;
    this.#reach = names.length === 0 ? 0 : names[0].length + 1;
  }

  /** Reads on. Gives where names stand, and before which byte all is decided, whatever follows. */
  read(more) {
    this.#text += asciiLowerCase(more);
    return this.#decide(this.#text.length - this.#reach);
  }

  /** Nothing follows. */
  end() {
    return this.#decide(this.#text.length - 1);
  }

  #decide(last) {
    const bytesAt = utf8Offsets(this.#text);
    const byte = (at) => this.#dropped + bytesAt(at);
    const spans = [];
    let at = this.#next;
    while (at <= last && at < this.#text.length) {
      const name = this.#names.find((name) => this.#standsAt(at, name));
      if (name === undefined) {
        at += this.#text.codePointAt(at) > 0xffff ? 2 : 1;
      } else {
        spans.push({ start: byte(at), end: byte(at + name.length) });
        at += name.length;
      }
    }
    const cleared = byte(at);
    const kept = Math.max(at - 1, 0);
    this.#dropped += bytesAt(kept);
    this.#text = this.#text.slice(kept);
    this.#next = at - kept;
    return { spans, cleared };
  }

  #standsAt(at, name) {
    const text = this.#text;
    return (
      text.startsWith(name, at) && !WORD.test(text.charAt(at - 1)) && !WORD.test(text.charAt(at + name.length))
    );
  }
}

/** Changes no other letter, so that offsets stay what they are. */
function asciiLowerCase(text) {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
