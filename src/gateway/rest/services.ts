import type { Json } from '../../../domain/event.ts';
import { given } from '../../given.ts';
import { readJson } from '../body.ts';
import { callOptionsOf } from '../call-options.ts';
import { contextOf } from '../context.ts';
import { rest, resume } from '../limits/work.ts';
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
import { executeOnce, refuseKey } from './idempotency.ts';
import { readQuery } from './query.ts';
import type { RestOptions } from './router.ts';
import { createRouter, type RestRouter } from './router.ts';

const filters = ['name', 'status', 'version', 'tag', 'reach', 'asOf', 'limit', 'cursor'];

/** /services: the registry. */
export const serviceRoutes = ({ core }: RestOptions): RestRouter => {
  const router = createRouter();

  router.post('/services', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, {});
    const done = unwrap(await executeOnce(ctx, core, { type: 'RegisterService', data }));
    const id = textOf(member(member(done.result, 'service'), 'id'));
    ctx.res.setHeader('Location', `/services/${encodeURIComponent(id)}`);
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  router.get('/services', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, filters, ['capability']);
    const filter = {
      capabilities: query.all('capability'),
      ...given({
        name: query.text('name'),
        status: query.text('status'),
        version: query.text('version'),
        tag: query.text('tag'),
        reach: query.text('reach'),
        asOf: query.text('asOf'),
        limit: query.limit(),
        cursor: query.text('cursor'),
      }),
    };
    sendJson(ctx, 200, unwrap(await core.services(filter, contextOf(ctx))));
  });

  router.get('/services/:id', async (ctx) => {
    negotiate(ctx);
    const query = readQuery(ctx.url, ['asOf']);
    const options = given({ asOf: query.text('asOf') });
    sendJson(ctx, 200, unwrap(await core.service(pathText(ctx, 'id'), options, contextOf(ctx))));
  });

  router.patch('/services/:id', async (ctx) => {
    negotiate(ctx);
    const data = await commandData(ctx, { id: pathText(ctx, 'id') });
    const done = unwrap(await executeOnce(ctx, core, { type: 'UpdateService', data }));
    markPosition(ctx, done);
    sendJson(ctx, 200, member(done.result, 'service'));
  });

  router.delete('/services/:id', async (ctx) => {
    const data = await commandData(ctx, { id: pathText(ctx, 'id') });
    markPosition(ctx, unwrap(await executeOnce(ctx, core, { type: 'DeregisterService', data })));
    sendNothing(ctx);
  });

  router.post('/services/:id/heartbeat', async (ctx) => {
    negotiate(ctx);
    unwrap(refuseKey(ctx, 'a heartbeat is not recorded, and may be sent again as it is'));
    const data = (await readJson(ctx.req)) ?? {};
    sendJson(ctx, 200, unwrap(await core.heartbeat(pathText(ctx, 'id'), data, contextOf(ctx))));
  });

  router.post('/services/:name/invoke', async (ctx) => {
    negotiate(ctx);
    unwrap(refuseKey(ctx, 'what a service answers is not'));
    const data = await readJson(ctx.req);
    if (data === undefined) throw shapeFault('', 'must be an object');
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    const options = callOptionsOf(ctx.req.headers, gone.signal);
    ctx.res.once('close', onClose);
    rest(ctx.req);
    const invoked = await core.invoke(pathText(ctx, 'name'), data, contextOf(ctx), options);
    resume(ctx.req, false);
    ctx.res.off('close', onClose);
    const instance = invoked.ok ? invoked.value.instance : invoked.problem.facts?.instance;
    if (typeof instance === 'string') ctx.res.setHeader('X-Nexus-Instance', instance);
    sendJson(ctx, 200, unwrap(invoked));
  });

  return router;
};

const member = (value: Json, name: string): Json =>
  isRecord(value) && Object.hasOwn(value, name) ? (value[name] ?? null) : null;

const isRecord = (value: Json): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const textOf = (value: Json): string => (typeof value === 'string' ? value : '');
