// The policy in Node: no WebAssembly, no server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policy, streaming } from '../src/policy.js';
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

test('a text is judged alike while it is written', () => {
  const texts = ['Is Bluebird on time?', 'é世😀 bluebird, 計画.', 'Bluebirds, a_Bluebird, bluebird', 'Heron Two 😀計画Heron'];
  const names = ['Bluebird', '計画', 'Heron', 'Heron Two'];
  for (const action of ['redact', 'block', 'flag', 'off']) {
    for (const text of texts) {
      const whole = judge({ names, action }, text);
      const characters = [...text];
      for (let length = 1; length <= characters.length; length += 1) {
        const review = new streaming.Review({ stage: 'output', text: '' });
        const edits = [];
        let cleared = 0;
        for (let at = 0; at < characters.length; at += length) {
          const progress = review.push(characters.slice(at, at + length).join(''));
          assert.ok(progress.cleared >= cleared);
          assert.ok(progress.edits.every(({ span }) => span.start >= cleared && span.end <= progress.cleared));
          edits.push(...progress.edits);
          cleared = progress.cleared;
          if (progress.blocked !== undefined) assert.equal(whole.decision.val, progress.blocked);
        }
        assert.ok(cleared <= Buffer.byteLength(text));
        assert.deepEqual(review.finish(), whole, `${text} in pieces of ${length}`);
        const told = action === 'redact' && whole.decision.tag === 'redact' ? whole.decision.val : [];
        assert.deepEqual(edits, told.filter(({ span }) => span.end <= cleared));
      }
    }
  }
});
