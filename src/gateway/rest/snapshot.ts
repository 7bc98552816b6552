import { steadyNow } from '../../clock.ts';
import { ProblemError, problem } from '../../errors.ts';
import { given } from '../../given.ts';
import type { LoadOptions } from '../../nexus-snapshots.ts';
import { createSink } from '../back-pressure.ts';
import { openBody } from '../body.ts';
import { contextOf } from '../context.ts';
import { problemBody, problemOf } from '../problem.ts';
import { markPosition, negotiate, type RestContext, sendJson, unwrap } from './answer.ts';
import { ndjsonType } from './export.ts';
import { refuseKey } from './idempotency.ts';
import { invalidQuery, type Query, readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

const progressEveryMs = 500;

/** /snapshot: the whole state, or a prefix of it, as a file. */
export const snapshotRoutes = ({ core, logger, whileGood }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/snapshot', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['prefix', 'asOf']);
    const options = given({ prefix: query.text('prefix'), asOf: query.text('asOf') });
    const snapshot = unwrap(await core.snapshot(options, contextOf(ctx)));
    const blocks = snapshot.text[Symbol.asyncIterator]();
    // A fault of the first block is still an answer of its own.
    let block = await blocks.next();
    markPosition(ctx, snapshot);
    ctx.res.setHeader('Content-Type', 'application/json');
    ctx.status = 200;
    if (ctx.method === 'HEAD') {
      await blocks.return?.();
      return;
    }
    ctx.respond = false;
    const sink = createSink(ctx.res);
    try {
      await whileGood(ctx, async () => {
        for (; block.done !== true; block = await blocks.next()) if (!(await sink.write(block.value))) return;
        if (await sink.flush()) ctx.res.end();
      });
    } catch (error) {
      // Without its last line it is no snapshot.
      logger.warn({ err: error }, 'a snapshot broke off');
      ctx.res.destroy();
    } finally {
      await blocks.return?.();
    }
  });

  router.post('/snapshot', async (ctx) => {
    const type = negotiate(ctx, ['application/json', ndjsonType]);
    unwrap(refuseKey(ctx, 'a load can be repeated as it is'));
    const options = optionsOf(readQuery(ctx.url, ['mode', 'prefix', 'dryRun']));
    const context = contextOf(ctx);
    const body = openBody(ctx.req);
    if (body === undefined) throw new ProblemError(problem('bad_snapshot', 'There is no body'));
    // However long the load takes, nothing need move on the connection meanwhile; arrivals.ts looks after the body.
    ctx.req.socket.setTimeout(0);
    const progress = type === ndjsonType ? createProgress(ctx) : undefined;
    try {
      const loaded = unwrap(
        await core.loadSnapshot(body, { ...options, ...given({ onProgress: progress?.tell }) }, context),
      );
      if (progress?.end({ result: loaded }) === true) return;
      markPosition(ctx, loaded);
      sendJson(ctx, 200, loaded);
    } catch (error) {
      if (ctx.respond !== false) throw error;
      progress?.end({ error: problemBody(problemOf(error, logger)) });
    } finally {
      // What still comes of a body that was refused is thrown away, so that the client reads the answer.
      if (!ctx.req.complete) ctx.req.on('error', ignore).resume();
    }
  });

  return router;
};

const ignore = (): void => {};

const optionsOf = (query: Query): LoadOptions => {
  const mode = query.text('mode');
  if (mode !== undefined && mode !== 'merge' && mode !== 'replace') {
    throw invalidQuery([{ pointer: '/mode', detail: 'must be merge or replace' }]);
  }
  const dryRun = query.text('dryRun');
  if (dryRun !== undefined && dryRun !== 'true' && dryRun !== 'false') {
    throw invalidQuery([{ pointer: '/dryRun', detail: 'must be true or false' }]);
  }
  return given({
    mode,
    prefix: query.text('prefix'),
    dryRun: dryRun === undefined ? undefined : dryRun === 'true',
  });
};

type Progress = {
  readonly tell: NonNullable<LoadOptions['onProgress']>;
  /** False when no line was sent yet: then the answer can be an ordinary one. */
  end(last: object): boolean;
};

/** Lines of how far a load is. The first one begins the answer, once the file was found sound. */
const createProgress = (ctx: RestContext): Progress => {
  const { res } = ctx;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  return {
    tell(counts, entries) {
      const nowMs = steadyNow();
      if (nowMs - toldAtMs < progressEveryMs || res.destroyed || res.writableNeedDrain) return;
      toldAtMs = nowMs;
      if (ctx.respond !== false) {
        ctx.respond = false;
        ctx.status = 200;
        res.setHeader('Content-Type', ndjsonType);
      }
      res.write(`${JSON.stringify({ progress: { entries, ...counts } })}\n`);
    },
    end(last) {
      if (ctx.respond !== false) return false;
      res.end(`${JSON.stringify(last)}\n`);
      return true;
    },
  };
};
