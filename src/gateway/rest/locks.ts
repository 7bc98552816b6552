import { given } from '../../given.ts';
import { contextOf } from '../context.ts';
import {
  commandData,
  markPosition,
  negotiate,
  pathText,
  sendJson,
  sendNothing,
  shapeFault,
  unwrap,
} from './answer.ts';
import { executeOnce } from './idempotency.ts';
import { readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';

/** /locks: keys that one holder has for a time. They are written as in /state. */
export const lockRoutes = ({ core, askers }: RestOptions): RestRouter => {
  const router = createRouter();
  const path = '/locks/*key';

  router.get(path, async (ctx) => {
    negotiate(ctx);
    sendJson(ctx, 200, unwrap(await core.lock(pathText(ctx, 'key'), contextOf(ctx))));
  });

  router.post(path, async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, { key: pathText(ctx, 'key') });
    const done = await askers.whileOpen(ctx, (signal) =>
      executeOnce(ctx, core, { type: 'AcquireLock', data }, signal),
    );
    const acquired = unwrap(done);
    markPosition(ctx, acquired);
    sendJson(ctx, 201, acquired.result);
  });

  router.put(path, async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, { key: pathText(ctx, 'key') });
    const renewed = unwrap(await executeOnce(ctx, core, { type: 'RenewLock', data }));
    markPosition(ctx, renewed);
    sendJson(ctx, 200, renewed.result);
  });

  router.delete(path, async (ctx) => {
    const inQuery = readQuery(ctx.url, ['token']).integer('token', 1);
    const body = await commandData(ctx, { key: pathText(ctx, 'key') });
    if (inQuery !== undefined && body.token !== undefined && body.token !== inQuery)
      throw shapeFault('/token', 'is not what the query says');
    const data = { ...body, ...given({ token: inQuery }) };
    markPosition(ctx, unwrap(await executeOnce(ctx, core, { type: 'ReleaseLock', data })));
    sendNothing(ctx);
  });

  return router;
};
