// The policy `gavel-plugin-name`: keeps the code names of internal projects out of conversations.
//
// What is exported is the interface `policy` of wit/policy.wit. The host calls `describe`, then `configure` once, then
// `evaluate` for each text, in an instance that has judged no other text: nothing that is kept here reaches the next one.

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

let find = () => [];
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
    find = codeNames(action === 'off' ? [] : (config.names ?? []));
    // Every rule that a verdict may name. What is thrown here, a string, is read by the person who binds the policy.
    return { rules: [{ id: RULE, summary: 'The code name of an internal project.' }] };
  },

  evaluate({ text }) {
    const spans = find(text);
    return {
      decision: decide(spans),
      // A finding says where, and never what: the text itself is no finding's business.
      findings: spans.map((span) => ({
        rule: RULE,
        severity: 'medium',
        span,
        detail: 'The code name of an internal project.',
      })),
    };
  },
};

function decide(spans) {
  if (spans.length === 0) return { tag: 'allow' };
  if (action === 'block') return { tag: 'block', val: RULE };
  if (action === 'flag') return { tag: 'flag' };
  return { tag: 'redact', val: spans.map((span) => ({ span, replacement: `[redacted:${RULE}]` })) };
}
