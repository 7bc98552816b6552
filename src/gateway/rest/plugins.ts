import type { CommandType } from '../../command/catalog.ts';
import { readJson } from '../body.ts';
import { contextOf } from '../context.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, unwrap } from './answer.ts';
import { executeOnce, refuseKey } from './idempotency.ts';
import { readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

const commands: Readonly<Record<string, CommandType>> = {
  enable: 'EnablePlugin',
  disable: 'DisablePlugin',
  reload: 'ReloadPlugin',
};

/** /plugins: what runs inside the hub, and what may. */
export const pluginRoutes = ({ core }: RestOptions): RestRouter => {
  const router = createRouter();

  router.get('/plugins', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.plugins(contextOf(ctx))));
  });

  router.get('/plugins/:name', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.plugin(pathText(ctx, 'name'), contextOf(ctx))));
  });

  for (const [action, type] of Object.entries(commands)) {
    router.post(`/plugins/:name/${action}`, async (ctx) => {
      negotiate(ctx);
      const data = await commandData(ctx, { name: pathText(ctx, 'name') });
      const done = unwrap(await executeOnce(ctx, core, { type, data }));
      markPosition(ctx, done);
      sendJson(ctx, 200, done.result);
    });
  }

  router.post('/plugins/:name/shadow', async (ctx) => {
    negotiate(ctx);
    unwrap(refuseKey(ctx, 'a shadow install changes nothing'));
    const data = await readJson(ctx.req);
    sendJson(ctx, 200, unwrap(await core.shadowPlugin(pathText(ctx, 'name'), data, contextOf(ctx))));
  });

  return router;
};
