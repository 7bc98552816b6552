import { contextOf } from '../context.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, sendNothing, unwrap } from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /state-policies: what holds for state keys, by pattern; slashes of a pattern may stand as they are, or percent-encoded. */
export const statePolicyRoutes = ({ core }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/state-policies', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.statePolicies(contextOf(ctx))));
  });

  router.get('/state-policies/*pattern', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.statePolicy(pathText(ctx, 'pattern'), contextOf(ctx))));
  });

  router.put('/state-policies/*pattern', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, { pattern: pathText(ctx, 'pattern') });
    const done = unwrap(await executeOnce(ctx, core, { type: 'SetStatePolicy', data }));
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  router.delete('/state-policies/*pattern', async (ctx) => {
    const data = await commandData(ctx, { pattern: pathText(ctx, 'pattern') });
    markPosition(ctx, unwrap(await executeOnce(ctx, core, { type: 'RemoveStatePolicy', data })));
    sendNothing(ctx);
  });

  return router;
};
