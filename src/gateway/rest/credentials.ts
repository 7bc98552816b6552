import { given } from '../../given.ts';
import { contextOf } from '../context.ts';
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
import { readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

const pageOf = (ctx: RestContext) => {
  const query = readQuery(ctx.url, ['limit', 'cursor']);
  return given({ limit: query.limit(), cursor: query.text('cursor') });
};

/** /api-keys and /revoked-tokens: who is let in, and who is not any more. */
export const credentialRoutes = ({ core }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/api-keys', async (ctx) => {
    negotiate(ctx);
    sendJson(ctx, 200, unwrap(await core.apiKeys(pageOf(ctx), contextOf(ctx))));
  });

  router.post('/api-keys', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, {});
    const done = unwrap(await executeOnce(ctx, core, { type: 'CreateApiKey', data }));
    markPosition(ctx, done);
    sendJson(ctx, 201, done.result);
  });

  router.get('/api-keys/:id', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.apiKey(pathText(ctx, 'id'), contextOf(ctx))));
  });

  router.delete('/api-keys/:id', async (ctx) => {
    const data = await commandData(ctx, { id: pathText(ctx, 'id') });
    markPosition(ctx, unwrap(await executeOnce(ctx, core, { type: 'RevokeApiKey', data })));
    sendNothing(ctx);
  });

  router.get('/revoked-tokens', async (ctx) => {
    negotiate(ctx);
    sendJson(ctx, 200, unwrap(await core.revokedTokens(pageOf(ctx), contextOf(ctx))));
  });

  router.post('/revoked-tokens', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, {});
    const done = unwrap(await executeOnce(ctx, core, { type: 'RevokeToken', data }));
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  return router;
};
