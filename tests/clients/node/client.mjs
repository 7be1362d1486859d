// OpenAI's own client for Node against Gavel, unchanged: its key and base URL come from the environment that it reads.

import assert from 'node:assert/strict';
import OpenAI from 'openai';

const agent = process.env.GAVEL_AGENT;
const blocking = process.env.GAVEL_BLOCKING_AGENT;
const card = '4111 1111 1111 1111';
const client = new OpenAI();
const user = (content) => [{ role: 'user', content }];
const tools = [{
  type: 'function',
  function: {
    name: 'get_time',
    description: 'The time somewhere.',
    parameters: { type: 'object', properties: { question: { type: 'string' } } },
  },
}];

const listed = [];
for await (const model of client.models.list()) listed.push(model.id);
assert(listed.includes(agent));
assert.equal((await client.models.retrieve(agent)).owned_by, 'gavel');

const { data, response } = await client.chat.completions
  .create({ model: agent, messages: user('Count to 3') })
  .withResponse();
assert.equal(data.choices[0].message.content, '1, 2, 3');
assert.equal(data.governance.results[0].leaf_hash, response.headers.get('x-gavel-leaf-hash'));

let text = '';
let last;
const stream = await client.chat.completions.create({ model: agent, messages: user('Which card?'), stream: true });
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? '';
  last = chunk;
}
assert(text.includes('[redacted:card]') && !text.includes(card), text);
assert.deepEqual(last.governance.results.map((result) => result.stage), ['input', 'output']);

const messages = user('Please get_time');
const said = (await client.chat.completions.create({ model: agent, messages, tools })).choices[0];
assert.equal(said.finish_reason, 'tool_calls');
const call = said.message.tool_calls[0];
assert.deepEqual(JSON.parse(call.function.arguments), { question: 'Please get_time' });
messages.push(said.message, { role: 'tool', tool_call_id: call.id, content: 'Twelve.' });
const answer = await client.chat.completions.create({ model: agent, messages, tools });
assert.equal(answer.choices[0].message.content, 'The tool says: Twelve.');

const runner = client.chat.completions.stream({ model: agent, messages: user('Please get_time'), tools });
const streamed = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0];
assert.equal(streamed.function.arguments, call.function.arguments);

const fails = async (kind, code, ask) => {
  await assert.rejects(ask, (error) => {
    assert(error instanceof kind, `${error}`);
    assert.equal(error.code, code);
    return true;
  });
};
const ask = (wish) => () => client.chat.completions.create({ model: agent, messages: user('Hi'), ...wish });
await fails(OpenAI.NotFoundError, 'model_not_found', ask({ model: 'gpt-none' }));
await fails(OpenAI.BadRequestError, 'invalid_request', ask({ n: 2 }));
await fails(OpenAI.BadRequestError, 'content_filter', ask({ model: blocking, messages: user(card) }));
await fails(OpenAI.BadRequestError, 'content_filter', ask({ model: blocking, messages: user(card), stream: true }));
const stranger = new OpenAI({ apiKey: 'gvu_nonsense' });
await fails(OpenAI.AuthenticationError, 'unauthorized', () => stranger.models.list());

console.log('openai for Node: all is well');
