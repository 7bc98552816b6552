import type { NexusCore } from '../../nexus-core.ts';
import { contextOf } from '../context.ts';
import {
  commandData,
  markPosition,
  negotiate,
  pathText,
  type RestContext,
  sendJson,
  unwrap,
} from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { readQuery } from './query.ts';
import type { RestRouter } from './router.ts';

/** /subscriptions/{name}/replay and …/replays: history, delivered again to one durable subscription. */
export const addReplayRoutes = (router: RestRouter, core: NexusCore): void => {
  const run = async (
    ctx: RestContext,
    type: string,
    path: Readonly<Record<string, string>>,
  ): Promise<void> => {
    negotiate(ctx);
    const done = unwrap(await executeOnce(ctx, core, { type, data: await commandData(ctx, path) }));
    markPosition(ctx, done);
    sendJson(ctx, 200, done.result);
  };

  router.post('/subscriptions/:name/replay', (ctx) =>
    run(ctx, 'ReplayMessages', { name: pathText(ctx, 'name') }),
  );

  router.get('/subscriptions/:name/replays', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.replays(pathText(ctx, 'name'), contextOf(ctx))));
  });

  router.delete('/subscriptions/:name/replays', (ctx) =>
    run(ctx, 'StopReplays', { name: pathText(ctx, 'name') }),
  );

  router.delete('/subscriptions/:name/replays/:replayId', (ctx) =>
    run(ctx, 'StopReplays', { name: pathText(ctx, 'name'), replayId: pathText(ctx, 'replayId') }),
  );
};
