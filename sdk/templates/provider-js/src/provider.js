// The provider `gavel-plugin-name`: speaks to an API of chat completions, such as a local llama.cpp, vLLM or Ollama.
//
// What is exported is the interface `provider` of wit/provider.wit. Each chat has an instance of its own. The host does
// the HTTP: it lets the provider call only origins that the operator granted, and adds the key, which no provider sees.

import { send } from 'gavel:plugin/sink@0.1.0';
import { answer } from './chat.js';

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  required: ['base_url'],
  properties: {
    base_url: {
      type: 'string',
      pattern: '^https?://',
      description: 'Where the API is, such as http://127.0.0.1:11434/v1.',
    },
    models: { type: 'array', items: { type: 'string' }, default: [], description: 'Models that it offers.' },
  },
};

let config = {};

export const provider = {
  describe() {
    return {
      name: 'gavel-plugin-name',
      version: '0.1.0',
      summary: 'Speaks to an API of chat completions.',
      // A request, not a right: the operator grants it. {base-url} stands for the origin of the configured base_url.
      origins: ['{base-url}'],
      credential: { header: 'authorization', format: 'Bearer {key}', required: false },
      configSchema: JSON.stringify(SCHEMA),
    };
  },

  configure(configJson) {
    config = JSON.parse(configJson);
  },

  models() {
    return (config.models ?? []).map((id) => ({ id, contextTokens: undefined }));
  },

  // The deltas go to the host as they come. What is thrown is one of the interface's errors.
  async chat(request) {
    return answer(config.base_url, request, (text) => send({ tag: 'text', val: text }), fetch);
  },
};
