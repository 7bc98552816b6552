import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import { readImport } from '../state/import.ts';
import { readSnapshot } from '../state/read-snapshot.ts';
import { createSeal } from '../state/seal.ts';
import { putInPlace, temporaryOf } from '../state/snapshot-file.ts';
import { linesOf, objectOf, problemLine } from './client.ts';
import { type Action, type Actions, CallFailed, type Invocation, textOf } from './command.ts';

const defaultFile = 'nexus_snapshot.json';

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

const ignore = (): void => {};

const openAnswer = async (invocation: Invocation): Promise<Readable> => {
  const query = { prefix: textOf(invocation, 'prefix'), asOf: textOf(invocation, 'as-of') };
  return (await invocation.client.open('GET', '/snapshot', { query })).body;
};

/** Hands the answer on as it comes. @throws {CallFailed} when it breaks off. */
const pass = async (
  { output }: Invocation,
  body: Readable,
  take: (chunk: Buffer) => Promise<void>,
): Promise<number> => {
  let bytes = 0;
  for await (const chunk of chunksOf(body)) {
    await take(chunk);
    bytes += chunk.length;
    output.progress(`${megabytes(bytes)} received`);
  }
  return bytes;
};

async function* chunksOf(body: Readable): AsyncIterable<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw new CallFailed('the snapshot broke off before its end', { cause: error });
  }
}

const saveToStdout = async (invocation: Invocation): Promise<void> => {
  const seal = createSeal();
  await pass(invocation, await openAnswer(invocation), async (chunk) => {
    seal.add(chunk);
    await invocation.output.write(chunk);
  });
  if (!seal.holds()) throw new CallFailed('what came does not match its checksum');
};

const fill = async (invocation: Invocation, temporary: string): Promise<number> => {
  const body = await openAnswer(invocation);
  let handle: FileHandle | undefined;
  try {
    const file = await open(temporary, 'w', 0o600);
    handle = file;
    const bytes = await pass(invocation, body, (chunk) => file.writeFile(chunk));
    await file.sync();
    return bytes;
  } finally {
    // Destroyed before its end it would emit an error that nobody waits for.
    body.on('error', ignore).destroy();
    await handle?.close();
  }
};

const save: Action = {
  usage: `[FILE] [--prefix PREFIX] [--as-of POSITION|TIME]`,
  summary: `saves the state of one position to FILE (${defaultFile}), whole or not at all; - is stdout`,
  words: [0, 1],
  options: { prefix: { type: 'string' }, 'as-of': { type: 'string' } },
  run: async (invocation) => {
    const [file = defaultFile] = invocation.words;
    if (file === '-') return saveToStdout(invocation);
    const temporary = temporaryOf(file, String(process.pid));
    try {
      const bytes = await fill(invocation, temporary);
      const read = await readSnapshot(temporary);
      if (!read.ok) throw new CallFailed(`what came is no sound snapshot: ${read.reason}`);
      const { position, count } = read.snapshot;
      await read.snapshot.close();
      await putInPlace(temporary, file);
      await invocation.output.line(
        invocation.json
          ? JSON.stringify({ file, position, entries: count, bytes })
          : `${count} keys as of position ${position} are in ${file}`,
      );
    } catch (error) {
      await rm(temporary, { force: true });
      throw error instanceof CallFailed
        ? error
        : new CallFailed(`${file} cannot be written: ${reasonOf(error)}`, { cause: error });
    }
  },
};

const countOf = (counts: JsonObject, name: string): number => {
  const count = counts[name];
  return typeof count === 'number' ? count : 0;
};

const names = ['written', 'unchanged', 'deleted', 'expired', 'locked'];

const inWords = (counts: JsonObject): string =>
  names
    .filter((name) => name === 'written' || countOf(counts, name) > 0)
    .map((name) => `${countOf(counts, name)} ${name}`)
    .join(', ');

const send = async (invocation: Invocation, file: string, bytes: number): Promise<JsonObject> => {
  const { client, options, output } = invocation;
  const stream = createReadStream(file, bytes === 0 ? {} : { end: bytes - 1 });
  let sent = 0;
  stream.on('data', (chunk) => {
    sent += chunk.length;
    output.progress(`${megabytes(sent)} of ${megabytes(bytes)} sent`);
  });
  const answer = await client.open('POST', '/snapshot', {
    accept: 'application/x-ndjson',
    query: {
      prefix: textOf(invocation, 'prefix'),
      mode: options.replace === true ? 'replace' : undefined,
      dryRun: options['dry-run'] === true ? true : undefined,
    },
    body: { stream, bytes },
  });
  for await (const line of linesOf(answer.body)) {
    const { progress, result, error, ...rest } = objectOf(line);
    if (isJsonObject(error)) throw new CallFailed(problemLine(error));
    if (isJsonObject(result)) return result;
    if (isJsonObject(progress)) {
      const done = names.reduce((sum, name) => sum + countOf(progress, name), 0);
      output.progress(`${done} of ${countOf(progress, 'entries')} keys`);
    } else if (rest.entries !== undefined) return rest;
  }
  throw new CallFailed('the connection broke before the load was done; the same load again completes it');
};

const load: Action = {
  usage: 'FILE [--replace] [--prefix PREFIX] [--dry-run]',
  summary:
    'loads a snapshot, or a JSON object of keys and values; with --replace keys that it lacks are deleted, with --dry-run nothing changes',
  words: [1, 1],
  options: { replace: { type: 'boolean' }, prefix: { type: 'string' }, 'dry-run': { type: 'boolean' } },
  run: async (invocation) => {
    const [file = ''] = invocation.words;
    invocation.output.progress(`${file} is being checked`);
    const read = await readImport(file);
    if (!read.ok) throw new CallFailed(`${file} cannot be loaded: ${read.reason}`);
    await read.source.close();
    const { size } = await stat(file);
    const result = await send(invocation, file, size);
    const said = invocation.options['dry-run'] === true ? 'would be' : 'are done';
    await invocation.output.line(
      invocation.json
        ? JSON.stringify(result)
        : `${countOf(result, 'entries')} keys ${said}: ${inWords(result)}; position ${String(result.position)}`,
    );
  },
};

export const snapshotActions: Actions = { save, load };
