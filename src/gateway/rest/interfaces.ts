import { given } from '../../given.ts';
import { contextOf } from '../context.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, sendNothing, unwrap } from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /interfaces: what the methods of services take and answer, by service name and major version. */
export const interfaceRoutes = ({ core }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/interfaces', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['limit', 'cursor']);
    const page = given({ limit: query.limit(), cursor: query.text('cursor') });
    sendJson(ctx, 200, unwrap(await core.serviceInterfaces(page, contextOf(ctx))));
  });

  router.get('/interfaces/:name', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.serviceInterface(pathText(ctx, 'name'), contextOf(ctx))));
  });

  router.delete('/interfaces/:name/:major', async (ctx) => {
    const data = await commandData(ctx, { name: pathText(ctx, 'name'), major: pathText(ctx, 'major') });
    markPosition(ctx, unwrap(await executeOnce(ctx, core, { type: 'RetireInterface', data })));
    sendNothing(ctx);
  });

  return router;
};
