// The policy in Node: no WebAssembly, no server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policy } from '../src/policy.js';
import { utf8Offsets } from '../src/utf8.js';

function judge(config, text) {
  policy.configure(JSON.stringify(config));
  return policy.evaluate({ stage: 'output', text });
}

/** Where something was found, as text. */
function found(config, text) {
  const bytes = Buffer.from(text);
  return judge(config, text).findings.map(({ span }) => bytes.subarray(span.start, span.end).toString());
}

test('a code name is redacted', () => {
  const { decision } = judge({ names: ['Bluebird'] }, 'Is Bluebird on time?');
  const edit = { span: { start: 3, end: 11 }, replacement: '[redacted:code-name]' };
  assert.deepEqual(decision, { tag: 'redact', val: [edit] });
});

test('it blocks or reports where the configuration says so', () => {
  const block = judge({ names: ['Bluebird'], action: 'block' }, 'BLUEBIRD');
  assert.deepEqual(block.decision, { tag: 'block', val: 'code-name' });
  assert.deepEqual(judge({ names: ['Bluebird'], action: 'flag' }, 'bluebird').decision, { tag: 'flag' });
  assert.deepEqual(judge({ names: ['Bluebird'], action: 'off' }, 'bluebird').decision, { tag: 'allow' });
});

test('offsets are bytes of UTF-8', () => {
  for (const [character, bytes] of [['e', 1], ['é', 2], ['世', 3], ['😀', 4]]) {
    assert.equal(utf8Offsets(character)(character.length), bytes, character);
    assert.deepEqual(found({ names: ['Bluebird'] }, `${character} Bluebird`), ['Bluebird']);
  }
  assert.deepEqual(found({ names: ['Éole', '計画'] }, '😀 Éole, 計画 and éole'), ['Éole', '計画']);
  const backwards = utf8Offsets('é世😀');
  assert.deepEqual([backwards(4), backwards(2), backwards(1), backwards(0)], [9, 5, 2, 0]);
});

test('only whole words are found, and the longest name wins', () => {
  const config = { names: ['Heron', 'Heron Two'] };
  assert.deepEqual(found(config, 'Herons, a_Heron, Heron2'), []);
  assert.deepEqual(found(config, 'Heron, HERON TWO; heron twofold'), ['Heron', 'HERON TWO', 'heron']);
});
