import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The package's own version, from its package.json (a folder above this one, in the sources as in the build). */
export const version: string = (() => {
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'));
  return typeof manifest === 'object' &&
    manifest !== null &&
    'version' in manifest &&
    typeof manifest.version === 'string'
    ? manifest.version
    : '0.0.0';
})();
