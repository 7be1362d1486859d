// The exchange in Node, against an upstream that is played here: no WebAssembly, no network.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer } from '../src/chat.js';
import { events } from '../src/sse.js';

const REQUEST = {
  model: 'small',
  messages: [{ role: 'user', parts: [{ tag: 'text', val: 'Hello?' }] }],
  tools: [],
  stop: [],
};

/** An upstream that answers with these bytes, cut into pieces of this size. */
function upstream(text, { size = 5, status = 200, headers = {} } = {}) {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
      controller.close();
    },
  });
  const asked = [];
  const fetch = async (url, init) => {
    asked.push({ url, ...JSON.parse(init.body) });
    return new Response(body, { status, headers });
  };
  return { fetch, asked };
}

const chunk = (content, more = {}) => `data: ${JSON.stringify({ choices: [{ delta: { content } }], ...more })}\n\n`;

async function ask(fetch, request = REQUEST) {
  const sent = [];
  const completion = await answer('http://upstream/v1', request, (text) => sent.push(text), fetch);
  return { sent, completion };
}

test('text is handed on as it comes, and the end says how it went', async () => {
  const end = { choices: [{ delta: {}, finish_reason: 'length' }], usage: { prompt_tokens: 3, completion_tokens: 2 } };
  const stream = `: hello\n\n${chunk('Grüße, ')}${chunk('世界😀')}data: ${JSON.stringify(end)}\r\n\r\ndata: [DONE]\n\n`;
  for (const size of [1, 2, 3, 7, 1000]) {
    const { fetch, asked } = upstream(stream, { size });
    const { sent, completion } = await ask(fetch);
    assert.deepEqual(sent, ['Grüße, ', '世界😀'], `pieces of ${size}`);
    assert.equal(completion.finishReason, 'length');
    assert.equal(completion.usage.inputTokens, 3n);
    assert.equal(asked[0].url, 'http://upstream/v1/chat/completions');
    assert.deepEqual(asked[0].messages, [{ role: 'user', content: 'Hello?' }]);
  }
});

test('what goes wrong is told as the interface has it', async () => {
  const refused = (status, headers) => ask(upstream('', { status, headers }).fetch);
  await assert.rejects(refused(401), { tag: 'unauthorized' });
  await assert.rejects(refused(429, { 'retry-after': '2' }), { tag: 'rate-limited', val: 2000n });
  await assert.rejects(refused(404), { tag: 'invalid-request' });
  await assert.rejects(refused(502), { tag: 'unavailable' });
  await assert.rejects(ask(async () => { throw new TypeError('no route'); }), { tag: 'unavailable', val: 'no route' });
  await assert.rejects(ask(upstream('data: {"cho').fetch), { tag: 'unavailable' });
  await assert.rejects(ask(upstream(chunk('Hel')).fetch), { tag: 'interrupted' });
  await assert.rejects(ask(upstream(`${chunk('Hel')}data: nonsense\n\n`).fetch), { tag: 'interrupted' });
  await assert.rejects(ask(upstream('').fetch, { ...REQUEST, tools: [{}] }), { tag: 'invalid-request' });
});

test('a chat that nobody reads any more is cancelled', async () => {
  const closed = () => { throw new Error('closed'); };
  const { fetch } = upstream(chunk('Hel') + chunk('lo'));
  await assert.rejects(answer('http://upstream', REQUEST, closed, fetch), { tag: 'cancelled' });
});

test('a return and its line feed may come apart', async () => {
  const { fetch } = upstream('data: a\r\n\r\ndata: b\n\n', { size: 8 });
  const seen = [];
  for await (const data of events((await fetch('', { body: '{}' })).body)) seen.push(data);
  assert.deepEqual(seen, ['a', 'b']);
});
