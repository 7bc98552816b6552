import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newId } from './ids.ts';
import type { LogMemory } from './log/open.ts';

/** What this node remembers between starts: its own id and the identity of its log. */
export type NodeMemory = { readonly node: string; readonly log: LogMemory | null };

const fileName = 'node.json';
const kinds: readonly string[] = ['embedded', 'redis', 'eventstoredb'];

const isMemory = (value: unknown): value is NodeMemory =>
  typeof value === 'object' &&
  value !== null &&
  'node' in value &&
  typeof value.node === 'string' &&
  'log' in value &&
  (value.log === null ||
    (typeof value.log === 'object' &&
      'logId' in value.log &&
      typeof value.log.logId === 'string' &&
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

/** Written whole or not at all: temporary file, fsync, rename. */
export const writeNodeMemory = (dataDir: string, memory: NodeMemory): void => {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, fileName);
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeFileSync(file, `${JSON.stringify(memory, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
};
