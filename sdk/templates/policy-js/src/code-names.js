import { utf8Offsets } from './utf8.js';

// What a word is made of. A name inside a longer word is none: `Blue` is not found in `Bluebird`.
const WORD = /^[A-Za-z0-9_]$/;
const LOW_SURROGATE = /^[\udc00-\udfff]$/;

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
    this.#reach = (names[0]?.length ?? 0) + 1;
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
    const spans = [];
    let at = this.#next;
    for (let name = this.#nextName(at, last); name !== undefined; name = this.#nextName(at, last)) {
      spans.push({ start: this.#dropped + bytesAt(name.start), end: this.#dropped + bytesAt(name.end) });
      at = name.end;
    }
    at = Math.max(at, last + 1);
    // Not between the two halves of a character.
    if (LOW_SURROGATE.test(this.#text.charAt(at))) at -= 1;
    const cleared = this.#dropped + bytesAt(at);
    const kept = Math.max(at - 1, 0);
    this.#dropped += bytesAt(kept);
    this.#text = this.#text.slice(kept);
    this.#next = at - kept;
    return { spans, cleared };
  }

  /** The first name that begins between these places; of those that begin alike, the longest. */
  #nextName(from, last) {
    let next;
    for (const name of this.#names) {
      const start = this.#indexOf(name, from);
      if (start !== -1 && start <= last && (next === undefined || start < next.start)) {
        next = { start, end: start + name.length };
      }
    }
    return next;
  }

  /** Where a name stands as a whole word; -1 where it does not. */
  #indexOf(name, from) {
    const text = this.#text;
    let at = text.indexOf(name, from);
    while (at !== -1 && (WORD.test(text.charAt(at - 1)) || WORD.test(text.charAt(at + name.length)))) {
      at = text.indexOf(name, at + 1);
    }
    return at;
  }
}

/** Changes no other letter, so that offsets stay what they are. */
function asciiLowerCase(text) {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
