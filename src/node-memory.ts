import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newId } from './ids.ts';
import type { LogMemory } from './log/open.ts';

/** What this node remembers between starts: its own id and the identity of its log. */
export type NodeMemory = { readonly node: string; readonly log: LogMemory | null };

const fileName = 'node.json';
const kinds: readonly string[] = ['embedded', 'redis', 'eventstoredb'];

const isId = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(value);

const isMemory = (value: unknown): value is NodeMemory =>
  typeof value === 'object' &&
  value !== null &&
  'node' in value &&
  isId(value.node) &&
  'log' in value &&
  (value.log === null ||
    (typeof value.log === 'object' &&
      'logId' in value.log &&
      typeof value.log.logId === 'string' &&
      value.log.logId !== '' &&
      'kind' in value.log &&
      typeof value.log.kind === 'string' &&
      kinds.includes(value.log.kind)));

/**
 * The memory in `dataDir`, or a fresh one with a new node id.
 *
 * @throws {Error} for a file that cannot be read as one: guessing could mix two histories.
 */
export const readNodeMemory = (dataDir: string): NodeMemory => {
  const path = join(dataDir, fileName);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { node: newId(), log: null };
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (isMemory(value)) return value;
  throw new Error(`${path} is damaged: delete it to start as a new node, or restore it`);
};

/**
 * Written whole or not at all, and on disk when it returns: a node that forgot its log in a power cut could take another
 * one. For whoever holds the lock of `dataDir`.
 */
export const writeNodeMemory = (dataDir: string, memory: NodeMemory): void => {
  const path = join(dataDir, fileName);
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeFileSync(file, `${JSON.stringify(memory, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  // Elsewhere a folder cannot be opened.
  if (process.platform === 'win32') return;
  const folder = openSync(dataDir, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
};
