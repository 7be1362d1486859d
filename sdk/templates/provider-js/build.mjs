// Makes the component. Outgoing HTTP stays, for `fetch`; what a provider may reach is the operator's to grant.
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize({
  sourcePath: 'src/provider.js',
  witPath: 'wit',
  worldName: 'provider-plugin',
  disableFeatures: ['fetch-event'],
});
await writeFile('gavel-plugin-name.wasm', component);
console.log(`gavel-plugin-name.wasm: ${component.length} bytes`);
