import { ProblemError } from '../../errors.ts';
import { given } from '../../given.ts';
import type { CommandInput, LogQuery } from '../../nexus-core.ts';
import { readJson } from '../body.ts';
import { commandFault } from '../command-fault.ts';
import { contextOf } from '../context.ts';
import { markPosition, negotiate, pathText, sendJson, shapeFault, unwrap } from './answer.ts';
import { exportLog, ndjsonType } from './export.ts';
import { executeOnce } from './idempotency.ts';
import { invalidQuery, readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

const filters = ['after', 'limit', 'type', 'category', 'stream', 'correlationId', 'from', 'to'];
const envelope = new Set(['type', 'data', 'commandId', 'expectedRevision']);
const maxCommandIdLength = 128;

/** /log, /streams and /commands: the events as they stand, and what makes them. */
export const logRoutes = ({ core, logger, askers, whileGood }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/log', async (ctx) => {
    const type = negotiate(ctx, ['application/json', ndjsonType]);
    const query = readQuery(ctx.url, filters);
    const limit = query.limit();
    const options: LogQuery = given({
      after: query.text('after'),
      type: query.text('type'),
      category: query.text('category'),
      stream: query.text('stream'),
      correlationId: query.text('correlationId'),
      from: query.text('from'),
      to: query.text('to'),
    });
    const context = contextOf(ctx);
    if (type === ndjsonType)
      await whileGood(ctx, () => exportLog(ctx, core, options, limit, context, logger));
    else sendJson(ctx, 200, unwrap(await core.log({ ...options, ...given({ limit }) }, context)));
  });

  router.get('/streams/*stream', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['from', 'limit', 'direction']);
    const options = given({
      from: query.integer('from', 0),
      limit: query.limit(),
      direction: directionOf(query.text('direction')),
    });
    sendJson(ctx, 200, unwrap(await core.stream(pathText(ctx, 'stream'), options, contextOf(ctx))));
  });

  router.post('/commands', async (ctx) => {
    negotiate(ctx);
    const command = commandOf(await readJson(ctx.req));
    // The others wait for the hub alone.
    const done =
      command.type === 'AcquireLock'
        ? await askers.whileOpen(ctx, (signal) => executeOnce(ctx, core, command, signal))
        : await executeOnce(ctx, core, command);
    if (!done.ok) throw new ProblemError(commandFault(command.type, done.problem));
    markPosition(ctx, done.value);
    const { commandId, events, result } = done.value;
    sendJson(ctx, 200, { commandId, events, result });
  });

  return router;
};

const directionOf = (text: string | undefined): 'forwards' | 'backwards' | undefined => {
  if (text === undefined || text === 'forwards' || text === 'backwards') return text;
  throw invalidQuery([{ pointer: '/direction', detail: 'must be forwards or backwards' }]);
};

/** The envelope of a command; `data` is for the command's own schema. */
const commandOf = (body: unknown): CommandInput => {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw shapeFault('', 'must be an object');
  for (const name of Object.keys(body)) {
    if (!envelope.has(name)) throw shapeFault(`/${name.slice(0, 64)}`, 'is unknown');
  }
  const { type, data, commandId, expectedRevision }: Partial<Record<keyof CommandInput, unknown>> = body;
  if (typeof type !== 'string') throw shapeFault('/type', 'must be a text');
  if (commandId !== undefined && !isCommandId(commandId)) {
    throw shapeFault('/commandId', `must be a text of 1 to ${maxCommandIdLength} characters`);
  }
  if (expectedRevision !== undefined && !isRevision(expectedRevision)) {
    throw shapeFault('/expectedRevision', 'must be a whole number from -1');
  }
  return { type, data, ...given({ commandId, expectedRevision }) };
};

const isCommandId = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= maxCommandIdLength && value.isWellFormed();

const isRevision = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= -1;
