import { contextOf } from '../context.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, unwrap } from './answer.ts';
import { refuseKey } from './idempotency.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /requests and /replies: asking over the bus, and answering. */
export const requestRoutes = ({ core, askers }: RestOptions): RestRouter => {
  const router = createRouter();

  router.post('/requests/:topic', async (ctx) => {
    negotiate(ctx);
    unwrap(refuseKey(ctx, 'what a service answers is not'));
    const topic = pathText(ctx, 'topic');
    const { topic: _topic, ...data } = await commandData(ctx, { topic });
    const replied = unwrap(
      await askers.whileOpen(ctx, (signal) => core.request(topic, data, contextOf(ctx), { signal })),
    );
    markPosition(ctx, replied);
    sendJson(ctx, 200, replied);
  });

  router.post('/replies', async (ctx) => {
    negotiate(ctx);
    unwrap(refuseKey(ctx, 'a request has one reply, which may be sent again as it is'));
    const data = await commandData(ctx, {});
    const { duplicate, ...receipt } = unwrap(await core.reply(data, contextOf(ctx)));
    // A request has one reply, so that the same one again is told from another without a key.
    if (duplicate) ctx.res.setHeader('Idempotent-Replayed', 'true');
    markPosition(ctx, receipt);
    sendJson(ctx, 201, receipt);
  });

  return router;
};
