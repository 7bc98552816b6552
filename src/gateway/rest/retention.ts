import { contextOf } from '../context.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, sendNothing, unwrap } from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /retention: what topics may keep, by pattern. `>` and `*` may stand in the path as they are, or percent-encoded. */
export const retentionRoutes = ({ core }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/retention', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.retentions(contextOf(ctx))));
  });

  router.get('/retention/:pattern', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.retention(pathText(ctx, 'pattern'), contextOf(ctx))));
  });

  router.put('/retention/:pattern', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, { topic: pathText(ctx, 'pattern') });
    const done = unwrap(await executeOnce(ctx, core, { type: 'SetRetention', data }));
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  router.delete('/retention/:pattern', async (ctx) => {
    const data = await commandData(ctx, { topic: pathText(ctx, 'pattern') });
    markPosition(ctx, unwrap(await executeOnce(ctx, core, { type: 'RemoveRetention', data })));
    sendNothing(ctx);
  });

  return router;
};
