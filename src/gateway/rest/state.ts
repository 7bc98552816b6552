import type { Json } from '../../../domain/event.ts';
import { ProblemError, problem, type Result } from '../../errors.ts';
import { given } from '../../given.ts';
import { mediaTypeOf } from '../../media-type.ts';
import type { CommandDone, NexusCore } from '../../nexus-core.ts';
import { readJson } from '../body.ts';
import { contextOf } from '../context.ts';
import { respondProblem } from '../problem.ts';
import { stateFrames } from '../tails.ts';
import {
  commandData,
  markPosition,
  negotiate,
  pathText,
  type RestContext,
  sendJson,
  sendNothing,
  unwrap,
} from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { entityTag, isFresh, type Precondition, preconditionOf } from './precondition.ts';
import { invalidQuery, readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';
import { eventStreamType, tailStart } from './tail.ts';

const mergePatchType = 'application/merge-patch+json';
const jsonPatchType = 'application/json-patch+json';
const patchTypes = [mergePatchType, jsonPatchType];
/** Kept by the client, and asked about each time. */
export const entryCacheControl = 'private, no-cache';
const readTypes = ['application/json', eventStreamType];

/**
 * /state. A key is percent-encoded, its slashes too (`a%2Fb`); raw slashes are taken as part of the key, but a raw
 * `/history` or `/diff` at the end always means the history, or a difference: a key that ends so is written `%2Fhistory`.
 */
export const stateRoutes = ({ core, tails }: RestOptions): RestRouter => {
  const router = createRouter();

  /** Writes a value, on the condition that the header or the body says, and answers with the entry that it makes. */
  const write = async (
    ctx: RestContext,
    type: 'SetState' | 'PatchState' | 'IncrementState',
    data: Record<string, Json>,
  ): Promise<void> => {
    const precondition = preconditionOf(ctx.req.headers, data.expectedVersion);
    const result = await executeOnce(ctx, core, { type, data: expecting(data, precondition) });
    const done = doneOrConflict(ctx, result, precondition);
    if (done === undefined) return;
    const { version } = versionOf(done.result);
    if (version !== undefined) ctx.res.setHeader('ETag', entityTag(version));
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  };

  /** The changes of what is selected, as they come. */
  const watch = (
    ctx: RestContext,
    selector: Parameters<NexusCore['watchState']>[0],
    after: string | undefined,
  ): Promise<void> =>
    tails.serve(ctx, (signal) => core.watchState(selector, { after, signal }, contextOf(ctx)), stateFrames);

  router.get('/state', async (ctx) => {
    if (negotiate(ctx, readTypes) === eventStreamType) {
      const query = readQuery(ctx.url, ['prefix', 'after']);
      return watch(ctx, { prefix: query.text('prefix') ?? '' }, tailStart(ctx, query));
    }
    const query = readQuery(ctx.url, ['prefix', 'limit', 'cursor', 'asOf']);
    const options = given({
      prefix: query.text('prefix'),
      limit: query.limit(),
      cursor: query.text('cursor'),
      asOf: query.text('asOf'),
    });
    const { entries, position, cursor } = unwrap(await core.states(options, contextOf(ctx)));
    sendJson(ctx, 200, {
      entries: entries.map(({ key, value, version }) => ({ key, value, version })),
      position,
      ...given({ cursor }),
    });
  });

  router.get('/state/*key/history', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['limit', 'before']);
    const options = given({ limit: query.limit(), before: query.integer('before', 1) });
    sendJson(ctx, 200, unwrap(await core.stateHistory(pathText(ctx, 'key'), options, contextOf(ctx))));
  });

  router.get('/state/*key/diff', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['from', 'to']);
    const from = query.text('from');
    if (from === undefined) throw invalidQuery([{ pointer: '/from', detail: 'is required' }]);
    const options = { from, ...given({ to: query.text('to') }) };
    sendJson(ctx, 200, unwrap(await core.stateDifference(pathText(ctx, 'key'), options, contextOf(ctx))));
  });

  // Before the routes of a key, which match too: a write to a history must not become a write to another key.
  for (const suffix of ['history', 'diff']) {
    router.all(`/state/*key/${suffix}`, (ctx) => {
      ctx.res.setHeader('Allow', 'HEAD, GET');
      throw new ProblemError(
        problem(
          'method_not_allowed',
          `/${suffix} can only be read; a key that ends in /${suffix} is written %2F${suffix}`,
        ),
      );
    });
  }

  router.get('/state/*key', async (ctx) => {
    if (negotiate(ctx, readTypes) === eventStreamType) {
      const after = tailStart(ctx, readQuery(ctx.url, ['after']));
      return watch(ctx, { key: pathText(ctx, 'key') }, after);
    }
    const query = readQuery(ctx.url, ['version', 'asOf']);
    const options = given({ version: query.integer('version', 1), asOf: query.text('asOf') });
    const entry = unwrap(await core.state(pathText(ctx, 'key'), options, contextOf(ctx)));
    ctx.res.setHeader('ETag', entityTag(entry.version));
    ctx.res.setHeader('Cache-Control', entryCacheControl);
    if (isFresh(ctx.req.headers['if-none-match'], entry.version)) ctx.status = 304;
    else sendJson(ctx, 200, entry);
  });

  // Several keys in one transaction.
  router.post('/state', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, {});
    const done = unwrap(await executeOnce(ctx, core, { type: 'TransactState', data }));
    markPosition(ctx, done);
    sendJson(ctx, 200, done.result);
  });

  router.put('/state/*key', async (ctx) => {
    negotiate(ctx);
    const key = pathText(ctx, 'key');
    await write(ctx, 'SetState', await commandData(ctx, { key }));
  });

  router.patch('/state/*key', async (ctx) => {
    negotiate(ctx);
    // RFC 5789, section 3.1: what a client may send, also to one that sent something else.
    ctx.res.setHeader('Accept-Patch', patchTypes.join(', '));
    const key = pathText(ctx, 'key');
    const { text } = readQuery(ctx.url, ['resolver']);
    const patch = await readJson(ctx.req, patchTypes);
    const json = mediaTypeOf(ctx.req.headers['content-type'] ?? '').type === jsonPatchType;
    const format = json ? 'json-patch' : 'merge-patch';
    const data = { key, format, ...given({ resolver: text('resolver') }) };
    await write(ctx, 'PatchState', patch === undefined ? data : { ...data, patch });
  });

  router.post('/state/*key/increment', async (ctx) => {
    negotiate(ctx);
    await write(ctx, 'IncrementState', await commandData(ctx, { key: pathText(ctx, 'key') }));
  });

  router.delete('/state/*key', async (ctx) => {
    const data = await commandData(ctx, { key: pathText(ctx, 'key') });
    const precondition = preconditionOf(ctx.req.headers, data.expectedVersion);
    const result = await executeOnce(ctx, core, { type: 'DeleteState', data: expecting(data, precondition) });
    const done = doneOrConflict(ctx, result, precondition);
    if (done === undefined) return;
    markPosition(ctx, done);
    sendNothing(ctx);
  });

  return router;
};

const expecting = (
  data: Record<string, Json>,
  precondition: Precondition | undefined,
): Record<string, Json> =>
  precondition === undefined ? data : { ...data, expectedVersion: precondition.expectedVersion };

/** What was done; undefined after a header's precondition failed and 412 was answered. */
const doneOrConflict = (
  ctx: RestContext,
  result: Result<CommandDone>,
  precondition: Precondition | undefined,
): CommandDone | undefined => {
  if (!result.ok && result.problem.code === 'version_conflict' && precondition?.inHeader === true) {
    respondProblem(ctx, result.problem, 412);
    return undefined;
  }
  return unwrap(result);
};

/** What a state command tells of itself (src/command/catalog.ts). */
const versionOf = (result: Json): { readonly version?: number } =>
  typeof result === 'object' && result !== null && 'version' in result && typeof result.version === 'number'
    ? { version: result.version }
    : {};
