import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A Lua script as the server stores it, called by its SHA-1. */
export type Script = { readonly source: string; readonly sha: string };

const text = (name: string): string => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');

const script = (name: string): Script => {
  const source = text('prelude') + text(name);
  return { source, sha: createHash('sha1').update(source).digest('hex') };
};

export const scripts = {
  append: script('append'),
  readStream: script('read-stream'),
  readKinds: script('read-kinds'),
  truncate: script('truncate'),
  scavenge: script('scavenge'),
};
