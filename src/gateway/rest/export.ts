import type { Logger } from '../../logger.ts';
import type { Context, LogQuery, NexusCore } from '../../nexus-core.ts';
import { createSink } from '../back-pressure.ts';
import { type RestContext, unwrap } from './answer.ts';

export const ndjsonType = 'application/x-ndjson';
const pageEvents = 1_000;

/**
 * Answers with every event that matches, one a line, from the first page to the end of the log: as fast as the client
 * reads, and never more than a page ahead of it. What goes wrong on the way cuts the connection, so that a part is
 * never taken for the whole; the last line that arrived says where to go on (`after`).
 *
 * @param limit Events at most; without it all.
 */
export const exportLog = async (
  ctx: RestContext,
  core: NexusCore,
  query: LogQuery,
  limit: number | undefined,
  context: Context,
  logger: Logger,
): Promise<void> => {
  const left = limit ?? Number.MAX_SAFE_INTEGER;
  // The first page decides: a fault is still an answer of its own.
  let page = unwrap(await core.log({ ...query, limit: Math.min(left, pageEvents) }, context));
  ctx.res.setHeader('Content-Type', ndjsonType);
  ctx.status = 200;
  if (ctx.method === 'HEAD') return;
  ctx.respond = false;
  const sink = createSink(ctx.res);
  // From the second page on, `after` says more than `from`.
  const { from, ...rest } = query;
  let sent = 0;
  try {
    for (;;) {
      for (const event of page.events) {
        if (!(await sink.write(`${JSON.stringify(event)}\n`))) return;
      }
      sent += page.events.length;
      if (!page.more || sent >= left) break;
      const next = await core.log(
        { ...rest, after: page.position, limit: Math.min(left - sent, pageEvents) },
        context,
      );
      page = unwrap(next);
    }
    if (await sink.flush()) ctx.res.end();
  } catch (error) {
    logger.warn({ err: error }, 'an export of the log broke off');
    ctx.res.destroy();
  }
};
