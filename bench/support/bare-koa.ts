import Router from '@koa/router';
import Koa from 'koa';
import { createBareStore } from './bare-store.ts';

/**
 * The reference of the gateway: Koa, @koa/router and a JSON body parser of a few lines, before a store that is as little as
 * can be. Prints its port; argument: the folder of its log.
 */
const store = await createBareStore(process.argv[2] ?? 'bench-log');
const app = new Koa();
const router = new Router();

router.put('/state/:key', async (ctx) => {
  ctx.body = await store.put(ctx.params.key ?? '', ctx.req);
});
router.get('/state/:key', (ctx) => {
  ctx.body = store.get(ctx.params.key ?? '');
});
router.post('/events/:topic', async (ctx) => {
  ctx.body = await store.publish(ctx.params.topic ?? '', ctx.req);
  ctx.status = 201;
});
app.use(router.routes());
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
