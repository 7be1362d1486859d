// Makes the component. All of WASI is switched off: a policy imports nothing, and Gavel refuses one that wants more.
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize({
  sourcePath: 'src/policy.js',
  witPath: 'wit',
  worldName: 'streaming-policy-plugin',
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile('gavel-plugin-name.wasm', component);
console.log(`gavel-plugin-name.wasm: ${component.length} bytes`);
