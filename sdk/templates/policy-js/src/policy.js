// The policy `gavel-plugin-name`: keeps the code names of internal projects out of conversations.
//
// What is exported are the interfaces `policy` and `streaming` of wit/policy.wit. The host calls `describe`, then `configure`
// once, then `evaluate` for a whole text, or makes a `Review` for one that is still being written, in an instance that has
// judged no other text: nothing that is kept here reaches the next one.

import { codeNames } from './code-names.js';

const RULE = 'code-name';
const ACTIONS = ['redact', 'block', 'flag', 'off'];

// The host refuses a configuration that breaks this schema, and says where, before the policy sees it.
const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: {
    names: {
      type: 'array',
      default: [],
      maxItems: 1000,
      items: { type: 'string', minLength: 2, maxLength: 64 },
      description: 'Code names, found as whole words, without regard to the case of ASCII letters.',
    },
    action: { enum: ACTIONS, default: 'redact', description: 'What to do with a text that holds one.' },
  },
};

let begin = codeNames([]);
let action = 'redact';

export const policy = {
  describe() {
    return {
      name: 'gavel-plugin-name',
      version: '0.1.0',
      summary: 'Keeps the code names of internal projects out of conversations.',
      stages: ['input', 'output', 'reasoning', 'tool-call', 'tool-result', 'file'],
      configSchema: JSON.stringify(SCHEMA),
      needsHistory: false,
      needsAttachments: false,
    };
  },

  configure(configJson) {
    const config = JSON.parse(configJson);
    action = config.action ?? 'redact';
    begin = codeNames(action === 'off' ? [] : (config.names ?? []));
    // Every rule that a verdict may name. What is thrown here, a string, is read by the person who binds the policy.
    return { rules: [{ id: RULE, summary: 'The code name of an internal project.' }] };
  },

  // By the same code as a text under way, so that both judge alike.
  evaluate(subject) {
    return new Review(subject).finish();
  },
};

/** Judges a text while it is being written: an answer need not be held back until it is whole. */
class Review {
  #reading = begin();
  #spans = [];
  // How many of them were told.
  #told = 0;

  constructor({ text }) {
    this.#spans.push(...this.#reading.read(text).spans);
  }

  push(text) {
    const { spans, cleared } = this.#reading.read(text);
    this.#spans.push(...spans);
    const news = this.#spans.slice(this.#told);
    this.#told = this.#spans.length;
    return {
      // Bytes that may go out, whatever follows.
      cleared,
      edits: action === 'redact' ? news.map(edit) : [],
      blocked: action === 'block' && this.#told > 0 ? RULE : undefined,
    };
  }

  finish() {
    this.#spans.push(...this.#reading.end().spans);
    return {
      decision: decide(this.#spans),
      // A finding says where, and never what: the text itself is no finding's business.
      findings: this.#spans.map((span) => ({
        rule: RULE,
        severity: 'medium',
        span,
        detail: 'The code name of an internal project.',
      })),
    };
  }
}

export const streaming = { Review };

function decide(spans) {
  if (spans.length === 0) return { tag: 'allow' };
  if (action === 'block') return { tag: 'block', val: RULE };
  if (action === 'flag') return { tag: 'flag' };
  return { tag: 'redact', val: spans.map(edit) };
}

function edit(span) {
  return { span, replacement: `[redacted:${RULE}]` };
}
