import { batchType, structuredType } from '../../bus/cloudevents/structured.ts';
import { given } from '../../given.ts';
import { contextOf } from '../context.ts';
import { messageFrames } from '../tails.ts';
import { commandData, markPosition, negotiate, pathText, sendJson, unwrap } from './answer.ts';
import {
  cloudEventFrames,
  contentModeOf,
  publishBatch,
  readCloudEvent,
  sendBatch,
  sendCloudEvent,
} from './cloudevents.ts';
import { executeOnce } from './idempotency.ts';
import { invalidQuery, readQuery } from './query.ts';
import { createRouter, type RestOptions, type RestRouter } from './router.ts';
import { eventStreamType, tailStart } from './tail.ts';

/** /events, /messages and /topics: publishing, pages of what was published, one message, the live tail. */
export const eventRoutes = ({ core, tails, logger }: RestOptions): RestRouter => {
  const router = createRouter();

  router.post('/events/:topic', async (ctx) => {
    negotiate(ctx);
    const topic = pathText(ctx, 'topic');
    const mode = contentModeOf(ctx);
    if (mode === 'batched') return publishBatch(ctx, core, topic, logger);
    const command =
      mode === undefined
        ? { type: 'PublishMessage', data: await commandData(ctx, { topic }) }
        : await readCloudEvent(ctx, mode, topic);
    const done = unwrap(await executeOnce(ctx, core, command));
    markPosition(ctx, done);
    sendJson(ctx, done.created ? 201 : 200, done.result);
  });

  router.get('/events', async (ctx) => {
    const type = negotiate(ctx, ['application/json', eventStreamType, batchType]);
    const query = readQuery(ctx.url, ['topic', 'after', 'from', 'limit', 'format']);
    const format = formatOf(query.text('format'), type);
    if (type === eventStreamType) {
      for (const name of ['from', 'limit']) {
        if (query.text(name) !== undefined) {
          throw invalidQuery([{ pointer: `/${name}`, detail: 'is not for a live tail, which takes after' }]);
        }
      }
      const after = tailStart(ctx, query);
      const topic = query.text('topic') ?? '>';
      await tails.serve(
        ctx,
        (signal) => core.watchMessages(topic, { after, signal }, contextOf(ctx)),
        format === 'cloudevents' ? cloudEventFrames : messageFrames,
      );
      return;
    }
    const options = given({
      topic: query.text('topic'),
      after: query.text('after'),
      from: query.text('from'),
      limit: query.limit(),
    });
    const page = unwrap(await core.messages(options, contextOf(ctx)));
    if (type === batchType) sendBatch(ctx, page, options);
    else sendJson(ctx, 200, page);
  });

  router.get('/messages/:position', async (ctx) => {
    const query = readQuery(ctx.url, ['mode']);
    const mode =
      modeOf(query.text('mode')) ?? modeByType[negotiate(ctx, ['application/json', structuredType])];
    const message = unwrap(await core.message(pathText(ctx, 'position'), contextOf(ctx)));
    if (mode === undefined) sendJson(ctx, 200, message);
    else sendCloudEvent(ctx, message, mode);
  });

  router.get('/topics', async (ctx) => {
    negotiate(ctx);
    readQuery(ctx.url, []);
    sendJson(ctx, 200, unwrap(await core.topics(contextOf(ctx))));
  });

  return router;
};

/** A page says by its media type what its items are; a browser's tail can say it by the URL alone. */
const formatOf = (text: string | undefined, type: string): 'cloudevents' | undefined => {
  if (text === undefined) return undefined;
  if (type !== eventStreamType) {
    throw invalidQuery([
      { pointer: '/format', detail: `is for a live tail; a page is asked for as ${batchType}` },
    ]);
  }
  if (text === 'cloudevents') return text;
  throw invalidQuery([{ pointer: '/format', detail: 'must be cloudevents' }]);
};

type Mode = 'structured' | 'binary';

const modeByType: Readonly<Record<string, Mode | undefined>> = { [structuredType]: 'structured' };

const modeOf = (text: string | undefined): Mode | undefined => {
  if (text === undefined || text === 'structured' || text === 'binary') return text;
  throw invalidQuery([{ pointer: '/mode', detail: 'must be structured or binary' }]);
};
