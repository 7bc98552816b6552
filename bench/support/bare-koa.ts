import Router from '@koa/router';
import Koa from 'koa';
import { streamId } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';

/**
 * The reference of the gateway: Koa, @koa/router and a JSON body parser of a few lines, with the same durable append and
 * nothing else: no checks, no limits, no read models but a map of the newest entries. Prints its port; argument: the
 * folder of its log.
 */
const log = await openEmbeddedLog({ directory: process.argv[2] ?? 'bench-log' });
const app = new Koa();
const router = new Router();

const readJson = async (request: NodeJS.ReadableStream): Promise<Record<string, unknown>> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return JSON.parse(Buffer.concat(chunks).toString());
};

const append = async (stream: string, type: string, data: unknown) => {
  const id = newId();
  const metadata = { actor: 'bare', correlationId: id, causationId: null, node: 'bare', schema: 1 };
  const result = await log.append(streamId('state', stream), [{ id, type, data, metadata }], 'any');
  return { id, place: result.ok ? result.events[0] : undefined };
};

const entries = new Map<string, object>();

router.put('/state/:key', async (ctx) => {
  const { value } = await readJson(ctx.req);
  const { key = '' } = ctx.params;
  const { place } = await append(key, 'StateSet', { value });
  const version = (place?.revision ?? 0) + 1;
  const position = place?.position;
  entries.set(key, { key, value, version, updatedAt: new Date().toISOString(), updatedBy: 'bare', position });
  ctx.body = { key, value, version, position };
});
router.get('/state/:key', (ctx) => {
  ctx.body = entries.get(ctx.params.key ?? '');
});
router.post('/events/:topic', async (ctx) => {
  const body = await readJson(ctx.req);
  const { id, place } = await append(ctx.params.topic ?? '', 'MessagePublished', { payload: body.payload });
  ctx.status = 201;
  ctx.body = { messageId: id, topic: ctx.params.topic, position: place?.position };
});
app.use(router.routes());
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : 0}\n`);
});
