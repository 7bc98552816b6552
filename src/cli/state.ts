import type { Json } from '../../domain/event.ts';
import { given } from '../given.ts';
import { linesOf, objectOf } from './client.ts';
import {
  type Action,
  type Actions,
  CallFailed,
  type Invocation,
  textOf,
  UsageError,
  wholeOf,
} from './command.ts';
import { listOf } from './pages.ts';

const keyPath = (key: string): string => `/state/${encodeURIComponent(key)}`;

const pathOf = ({ words: [key = ''] }: Invocation): string => {
  if (key === '') throw new UsageError('a key has at least one character');
  if (!key.isWellFormed()) throw new UsageError('the key is not well-formed text');
  return keyPath(key);
};

const shown = (value: Json | undefined): string => JSON.stringify(value ?? null);

const get: Action = {
  usage: 'KEY [--version N] [--as-of POSITION|TIME]',
  summary: 'prints the value of a key',
  words: [1, 1],
  options: { version: { type: 'string' }, 'as-of': { type: 'string' } },
  run: async (invocation) => {
    const query = { version: wholeOf(invocation, 'version'), asOf: textOf(invocation, 'as-of') };
    const entry = await invocation.client.call('GET', pathOf(invocation), { query });
    await invocation.output.line(invocation.json ? JSON.stringify(entry) : shown(entry.value));
  },
};

const valueIn = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`the value is no JSON; a text is written '${JSON.stringify('text')}'`);
  }
};

const set: Action = {
  usage: 'KEY JSON [--expected-version N] [--ttl-ms N]',
  summary: 'sets a key; with an expected version (0: the key must not exist) only that one is replaced',
  words: [2, 2],
  options: { 'expected-version': { type: 'string' }, 'ttl-ms': { type: 'string' } },
  run: async (invocation) => {
    const json = {
      value: valueIn(invocation.words[1] ?? ''),
      ...given({
        expectedVersion: wholeOf(invocation, 'expected-version'),
        ttlMs: wholeOf(invocation, 'ttl-ms'),
      }),
    };
    const done = await invocation.client.call('PUT', pathOf(invocation), { json });
    await invocation.output.line(
      invocation.json
        ? JSON.stringify(done)
        : `version ${shown(done.version)} at position ${String(done.position)}`,
    );
  },
};

const remove: Action = {
  usage: 'KEY [--expected-version N]',
  summary: 'deletes a key',
  words: [1, 1],
  options: { 'expected-version': { type: 'string' } },
  run: async (invocation) => {
    const expectedVersion = wholeOf(invocation, 'expected-version');
    await invocation.client.call('DELETE', pathOf(invocation), {
      ...(expectedVersion === undefined ? {} : { json: { expectedVersion } }),
    });
    await invocation.output.line(
      invocation.json ? JSON.stringify({ key: invocation.words[0], deleted: true }) : 'deleted',
    );
  },
};

const pageLimit = 1_000;

const list: Action = {
  usage: '[PREFIX] [--limit N] [--as-of POSITION|TIME]',
  summary: 'prints keys with version and value, in the order of their bytes, all as of one position',
  words: [0, 1],
  options: { limit: { type: 'string' }, 'as-of': { type: 'string' } },
  run: async (invocation) => {
    const { client, output, json } = invocation;
    const prefix = invocation.words[0];
    let left = wholeOf(invocation, 'limit') ?? Number.MAX_SAFE_INTEGER;
    for (let cursor: string | undefined; left > 0; ) {
      const query = cursor === undefined ? { prefix, asOf: textOf(invocation, 'as-of') } : { prefix, cursor };
      const page = await client.call('GET', '/state', {
        query: { ...query, limit: Math.min(left, pageLimit) },
      });
      for (const entry of listOf(page, 'entries')) {
        left--;
        const text = `${String(entry.key)}\t${shown(entry.version)}\t${shown(entry.value)}`;
        await output.line(json ? JSON.stringify(entry) : text);
      }
      if (typeof page.cursor !== 'string') return;
      cursor = page.cursor;
    }
  },
};

const history: Action = {
  usage: 'KEY [--limit N] [--before VERSION]',
  summary: 'prints the versions of a key, the newest first: version, time, author, value',
  words: [1, 1],
  options: { limit: { type: 'string' }, before: { type: 'string' } },
  run: async (invocation) => {
    const query = { limit: wholeOf(invocation, 'limit'), before: wholeOf(invocation, 'before') };
    const answer = await invocation.client.call('GET', `${pathOf(invocation)}/history`, { query });
    for (const version of listOf(answer, 'history')) {
      const { deleted, value, updatedAt, updatedBy } = version;
      const what = deleted === true ? 'deleted' : shown(value);
      await invocation.output.line(
        invocation.json
          ? JSON.stringify(version)
          : `${shown(version.version)}\t${String(updatedAt)}\t${String(updatedBy)}\t${what}`,
      );
    }
  },
};

const watch: Action = {
  usage: 'KEY | --prefix PREFIX [--after POSITION|start]',
  summary: 'prints each change as it comes, until it is ended',
  words: [0, 1],
  options: { prefix: { type: 'string' }, after: { type: 'string' } },
  run: async (invocation) => {
    const { client, output, json, signal } = invocation;
    const prefix = textOf(invocation, 'prefix');
    if ((invocation.words.length === 0) === (prefix === undefined))
      throw new UsageError('either a key or --prefix is needed');
    const after = textOf(invocation, 'after');
    const accept = 'text/event-stream';
    let last = after;
    try {
      const { body } =
        prefix === undefined
          ? await client.open('GET', pathOf(invocation), { accept, query: { after } })
          : await client.open('GET', '/state', { accept, query: { prefix, after } });
      let event = '';
      for await (const line of linesOf(body)) {
        if (line.startsWith('id: ')) last = line.slice(4);
        else if (line.startsWith('event: ')) event = line.slice(7);
        else if (line === '') event = '';
        else if (!line.startsWith('data: ') || event === 'caughtUp') continue;
        else
          await output.line(event === 'gap' ? gapLine(line.slice(6), json) : changeLine(line.slice(6), json));
      }
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    throw new CallFailed(
      `the hub ended the watch${last === undefined ? '' : `; go on with --after ${last}`}`,
    );
  },
};

const gapLine = (text: string, json: boolean): string => {
  const { from, to } = objectOf(text);
  return json ? JSON.stringify({ gap: { from, to } }) : `gap\t${String(from)}\t${String(to)}`;
};

const changeLine = (text: string, json: boolean): string => {
  if (json) return text;
  const { key, version, value, deleted } = objectOf(text);
  return `${String(key)}\t${shown(version)}\t${deleted === true ? 'deleted' : shown(value)}`;
};

export const stateActions: Actions = { get, set, delete: remove, list, history, watch };
